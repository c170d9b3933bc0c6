//! Any bytes in any mode: nothing panics, and nothing happens past the bus.

use guest_state::{AccessRights, Gpa, VcpuState};
use machine::{Executed, MemoryBus, REPEAT_LIMIT, execute};
use proptest::prelude::*;

use crate::rig::{PHYSICAL_BITS, Rig, Tables};

/// Says the same bytes wherever instructions are fetched, and checks each access.
struct Anywhere {
    bytes: [u8; 15],
    fetched: usize,
    accesses: u64,
    crossed: bool,
}

impl Anywhere {
    fn check(&mut self, gpa: Gpa, length: usize) {
        let gpa = gpa.as_u64();
        self.crossed |= length == 0 || length > 8 || gpa % 0x1000 + length as u64 > 0x1000;
        self.crossed |= gpa >> PHYSICAL_BITS != 0;
        self.accesses += 1;
    }
}

impl MemoryBus for Anywhere {
    fn read(&mut self, gpa: Gpa, data: &mut [u8]) {
        self.check(gpa, data.len());
        data.fill(0x5A);
    }

    fn write(&mut self, gpa: Gpa, data: &[u8]) {
        self.check(gpa, data.len());
    }

    fn fetch(&mut self, gpa: Gpa, data: &mut [u8]) {
        let length = data.len();
        self.crossed |= length == 0 || gpa.as_u64() % 0x1000 + length as u64 > 0x1000;
        let rest = self.bytes.iter().skip(self.fetched);
        data.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.fetched += length;
    }
}

/// Opcodes that the executor knows, behind prefixes, and any others.
fn instruction() -> impl Strategy<Value = [u8; 15]> {
    let prefix = prop::sample::select(vec![
        0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x40, 0x48, 0x4F,
    ]);
    let opcode = prop::sample::select(vec![
        0x00, 0x01, 0x08, 0x21, 0x29, 0x31, 0x39, 0x80, 0x81, 0x83, 0x84, 0x86, 0x88, 0x89, 0x8A,
        0x8B, 0x8C, 0xA0, 0xA3, 0xA4, 0xA5, 0xA8, 0xAA, 0xAB, 0xAC, 0xAD, 0xC6, 0xC7, 0xF6, 0xF7,
        0xFE, 0xFF, 0x63,
    ]);
    let second = prop::sample::select(vec![
        0xA3, 0xAB, 0xB3, 0xBB, 0xBA, 0xB0, 0xB1, 0xB6, 0xB7, 0xBE, 0xBF, 0xC0, 0xC1,
    ]);
    let known = (
        prop::collection::vec(prefix, 0..4),
        prop_oneof![opcode.prop_map(|byte| vec![byte]), second.prop_map(|byte| vec![0x0F, byte])],
        any::<[u8; 15]>(),
    );
    let known = known.prop_map(|(prefixes, opcode, rest)| {
        let mut bytes = rest;
        let all = prefixes.into_iter().chain(opcode).chain(rest);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    });
    prop_oneof![3 => known, 1 => any::<[u8; 15]>()]
}

fn register() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0_u64..0x2_0000,
        1 => (0_u64..16).prop_map(|below| 0x1_0000 - below),
        1 => (0_u64..16).prop_map(|below| 0x1_0000_0000 - below),
        1 => (0_u64..16).prop_map(|below| 0x0000_8000_0000_0000 - below),
        1 => (0_u64..16).prop_map(|below| u64::MAX - below),
        1 => any::<u64>(),
    ]
}

fn set_registers(cpu: &mut VcpuState, values: [u64; 16], rip: u64, flags: u64) {
    let general = &mut cpu.general;
    [
        general.rax,
        general.rbx,
        general.rcx,
        general.rdx,
        general.rsi,
        general.rdi,
        general.rbp,
        general.rsp,
        general.r8,
        general.r9,
        general.r10,
        general.r11,
        general.r12,
        general.r13,
        general.r14,
        general.r15,
    ] = values;
    cpu.rip = rip;
    cpu.rflags = 2 | flags & 0x3F_7FD5;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_instruction_in_any_mode(
        bytes in instruction(),
        mode in 0_usize..5,
        values in prop::array::uniform16(register()),
        rip in register(),
        flags: u64,
        access in prop_oneof![3 => Just(None), 1 => any::<u32>().prop_map(Some)],
        limit in prop_oneof![3 => Just(None), 1 => any::<u32>().prop_map(Some)],
        base in register(),
    ) {
        let modes: [fn() -> Rig; 5] =
            [Rig::real, Rig::flat16, Rig::flat32, Rig::compat, Rig::long];
        let mut rig = modes[mode]();
        set_registers(&mut rig.cpu, values, rip, flags);
        if let Some(access) = access {
            rig.cpu.ds.access = AccessRights(access);
            rig.cpu.ss.access = AccessRights(access);
        }
        if let Some(limit) = limit {
            (rig.cpu.ds.limit, rig.cpu.es.limit, rig.cpu.cs.limit) = (limit, limit, limit);
        }
        (rig.cpu.ds.base, rig.cpu.fs.base) = (base, base);
        let mut bus = Anywhere { bytes, fetched: 0, accesses: 0, crossed: false };
        let mut cpu = rig.cpu;
        let result = execute(&mut cpu, PHYSICAL_BITS, &rig.tables.memory(), &mut bus);
        prop_assert!(!bus.crossed, "an access of no sense");
        prop_assert!(bus.accesses <= 4 * REPEAT_LIMIT);
        prop_assert!(bus.fetched <= 15);
        match result {
            Ok(Executed::Completed) => {
                let length = cpu.rip.wrapping_sub(rig.cpu.rip) & 0xFFFF_FFFF;
                prop_assert!((1..=15).contains(&length));
                prop_assert!(mode == 4 || cpu.rip <= 0xFFFF_FFFF);
            }
            Ok(Executed::Repeating) => {
                prop_assert_eq!(cpu.rip, rig.cpu.rip);
                prop_assert!(cpu.general.rcx != rig.cpu.general.rcx, "progress");
            }
            Ok(Executed::Faulted(_)) => {
                prop_assert_eq!(cpu.rip, rig.cpu.rip);
                if bus.accesses == 0 {
                    prop_assert_eq!(cpu, rig.cpu, "a fault changes nothing");
                }
            }
            Err(_) => {
                prop_assert_eq!(cpu, rig.cpu, "what is unknown changes nothing");
                prop_assert_eq!(bus.accesses, 0);
            }
        }
        // Everything but these stays as it is, whatever the instruction.
        let kept = VcpuState {
            general: rig.cpu.general,
            rip: rig.cpu.rip,
            rflags: rig.cpu.rflags,
            ..cpu
        };
        prop_assert_eq!(kept, rig.cpu);
    }

    /// Page tables of any content.
    #[test]
    fn any_page_tables(
        bytes in instruction(),
        entries in prop::collection::vec((0_u64..0x2000, any::<u64>()), 0..64),
        values in prop::array::uniform16(register()),
        cr4: u64,
        root in 0_u64..0x40,
    ) {
        let mut rig = Rig::long();
        rig.tables = Tables::default();
        for (page, entry) in entries {
            rig.tables.map(page << 12, entry & !0xFFF, entry & 0xFFF | 1);
        }
        set_registers(&mut rig.cpu, values, values[0], 0);
        rig.cpu.cr4 |= cr4;
        rig.cpu.cr3 += root << 12;
        let mut bus = Anywhere { bytes, fetched: 0, accesses: 0, crossed: false };
        let _ = execute(&mut rig.cpu, PHYSICAL_BITS, &rig.tables.memory(), &mut bus);
        prop_assert!(!bus.crossed);
    }
}
