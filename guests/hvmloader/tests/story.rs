//! All that hvmloader does, on the devices of `machine`, without a CPU.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

use boot_plan::{BootPlan, Placement};
use elf_boot::{Boot, Image, Module};
use guest_state::{E820Entry, Gpa, GpaRange, GuestMemory, MemoryKind, WordMemory};
use hvkit_hvmloader::{Cpuid, Error, Pc, load};
use hvmloader_core::WakePage;
use machine::{
    Backend, Backing, Devices, HandOver, InterruptMessage, IoApic, Machine, Nanos, Platform,
    Request, Start, Tables, Xen,
};
use zerocopy::FromBytes;

const NOW: Nanos = Nanos::new(0);
const MEMORY_BYTES: u64 = 16 << 20;
const CPUS: u32 = 2;
/// The interrupt command register of the local APIC.
const COMMAND: u64 = 0xFEE0_0300;

/// What the backend of the devices is: memory, and what was noted.
struct Board<'w> {
    memory: WordMemory<'w>,
    /// What PAM made of which range.
    remapped: Vec<(GpaRange, Backing)>,
}

impl<'w> Backend for Board<'w> {
    type Memory = WordMemory<'w>;

    fn memory(&self) -> &WordMemory<'w> {
        &self.memory
    }
    fn console(&mut self, _: u8) {}
    fn debug(&mut self, _: u8) {}
    fn interrupt(&mut self, _: InterruptMessage) {}
    fn rerouted(&mut self, _: &IoApic) {}
    fn remap(&mut self, range: GpaRange, backing: Backing) {
        self.remapped.push((range, backing));
    }
    fn request(&mut self, _: Request) {}
}

/// The machine as hvmloader sees it.
struct FromInside<'w, 'd> {
    devices: Devices<'d>,
    board: Board<'w>,
    sees_xen: bool,
    msrs: Vec<(u32, u64)>,
    registers: BTreeMap<u64, u32>,
    /// How many other CPUs do what they are told.
    others_that_come: u16,
    said: String,
}

impl<'w> Pc for FromInside<'w, '_> {
    type Memory = WordMemory<'w>;

    fn memory(&self) -> &WordMemory<'w> {
        &self.board.memory
    }
    fn in8(&mut self, port: u16) -> u8 {
        let mut data = [0];
        self.devices.port_read(port, 1, &mut data, NOW, &mut self.board);
        data[0]
    }
    fn out8(&mut self, port: u16, value: u8) {
        self.devices.port_write(port, 1, &[value], NOW, &mut self.board);
    }
    fn in32(&mut self, port: u16) -> u32 {
        let mut data = [0; 4];
        self.devices.port_read(port, 4, &mut data, NOW, &mut self.board);
        u32::from_le_bytes(data)
    }
    fn out32(&mut self, port: u16, value: u32) {
        self.devices.port_write(port, 4, &value.to_le_bytes(), NOW, &mut self.board);
    }
    fn write_register(&mut self, gpa: Gpa, value: u32) {
        self.registers.insert(gpa.as_u64(), value);
        if gpa.as_u64() == COMMAND && value == 0x000C_4609 {
            // The other CPU, if there is one, does what the page says.
            let done = WakePage::new(Gpa::new(0x9000)).unwrap().done();
            self.board.memory.store_u16(done, self.others_that_come, Ordering::Release).unwrap();
        }
    }
    fn cpuid(&self, leaf: u32) -> Cpuid {
        let xen = Xen::leaves().into_iter().filter(|_| self.sees_xen);
        let (eax, ebx, ecx, edx) = match leaf {
            1 => (0x9_06A3, 0, 0, 1 << 12),
            0x8000_0000 => (0x8000_0008, 0, 0, 0),
            0x8000_0008 => (40, 0, 0, 0),
            _ => xen
                .into_iter()
                .find(|(at, _)| *at == leaf)
                .map_or((0, 0, 0, 0), |(_, [a, b, c, d])| (a, b, c, d)),
        };
        Cpuid { eax, ebx, ecx, edx }
    }
    fn read_msr(&mut self, msr: u32) -> u64 {
        assert_eq!(msr, 0xFE, "IA32_MTRRCAP");
        0x508
    }
    fn write_msr(&mut self, msr: u32, value: u64) {
        self.msrs.push((msr, value));
    }
}

impl fmt::Write for FromInside<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.said.push_str(text);
        Ok(())
    }
}

/// Where the plan puts hvmloader.
fn own() -> GpaRange {
    GpaRange::new(Gpa::new(0x10_0000), 0x10_0000).unwrap()
}

/// Runs hvmloader with a firmware and a change to what the VMM planned, and looks at what came of it.
fn run(
    hand_over: HandOver,
    firmware: &[u8],
    change: impl FnOnce(&mut BootPlan<'_>),
    look: impl FnOnce(Result<(), Error>, FromInside<'_, '_>),
) {
    let image = guest_images::pvh_kernel(&[guest_images::Segment::new(
        own().start().as_u64(),
        own().size_bytes(),
        &[0xF4],
    )]);
    let modules = [Module { image: Image::new(firmware), command_line: b"firmware" }];
    let boot = Boot::new(Image::new(&image)).modules(&modules);
    let start = Start::Hvmloader { boot, floppy: None, hand_over };
    let (memory_bytes, cpus) = (MEMORY_BYTES, CPUS);
    let platform = Platform {
        memory_bytes,
        cpus,
        cpu_signature: 0,
        epoch_seconds: 0,
        disks: Vec::new(),
        start,
    };
    let Machine { mut plan, devices, sees_xen, .. } = platform.build().unwrap();
    change(&mut plan);
    let words: Vec<AtomicU64> = (0..MEMORY_BYTES / 8).map(|_| AtomicU64::new(0)).collect();
    let board = Board { memory: WordMemory::new(Gpa::ZERO, &words), remapped: Vec::new() };
    plan.apply(&board.memory).unwrap();
    let start_info = Gpa::new(plan.vcpus[0].general.rbx);
    let (msrs, registers, said) = (Vec::new(), BTreeMap::new(), String::new());
    let others_that_come = 1;
    let mut pc = FromInside { devices, board, sees_xen, msrs, registers, others_that_come, said };
    let result = load(start_info, own(), &mut pc);
    look(result, pc);
}

fn firmware(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn read<const N: usize>(pc: &impl Pc, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    pc.memory().read(Gpa::new(at), &mut bytes).unwrap();
    bytes
}

fn word(pc: &impl Pc, at: u64) -> u64 {
    u32::from_le_bytes(read(pc, at)).into()
}

fn sums_to_zero(pc: &impl Pc, at: u64, size: usize) -> bool {
    let mut bytes = vec![0; size];
    pc.memory().read(Gpa::new(at), &mut bytes).unwrap();
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

#[test]
fn the_bios_is_whole_below_1_mib_and_may_write_there() {
    for (hand_over, size) in [(HandOver::Xen, 0x4_0000), (HandOver::FwCfg, 0x2_0000)] {
        let image = firmware(size);
        run(
            hand_over,
            &image,
            |_| {},
            |result, pc| {
                result.unwrap();
                let mut found = vec![0; size];
                pc.memory().read(Gpa::new(0x10_0000 - size as u64), &mut found).unwrap();
                assert!(found == image);
                assert_eq!(pc.board.remapped.len(), 13);
                assert!(pc.board.remapped.iter().all(|(_, backing)| *backing == Backing::Ram));
            },
        );
    }
}

#[test]
fn devices_and_cpu_are_set_up() {
    run(
        HandOver::FwCfg,
        &firmware(0x2_0000),
        |_| {},
        |result, mut pc| {
            result.unwrap();
            let mut cmos = |index| {
                pc.out8(0x70, index);
                pc.in8(0x71)
            };
            // 15 MiB above the first one, in KiB, and no less than one CPU more.
            assert_eq!([0x15, 0x16, 0x30, 0x31, 0x5F].map(&mut cmos), [0x80, 2, 0, 0x3C, 1]);
            pc.out32(0xCF8, 0x8000_0860);
            assert_eq!(pc.in32(0xCFC), 0x050B_0A05);
            assert_eq!((pc.in8(0x4D0), pc.in8(0x4D1)), (0x20, 0x0C));
            // The local APIC is on, and lets the 8259s and the NMI through.
            assert_eq!(pc.registers[&0xFEE0_00F0], 0x1FF);
            assert_eq!((pc.registers[&0xFEE0_0350], pc.registers[&0xFEE0_0360]), (0x700, 0x400));
            // MTRRs: off, and on again with devices uncached, by as large a range as can be.
            assert_eq!(
                pc.msrs.first().map(|(msr, value)| (*msr, value & 1 << 11)),
                Some((0x2FF, 0))
            );
            assert_eq!(pc.msrs.last(), Some(&(0x2FF, 0xC06)));
            assert!(pc.msrs.contains(&(0x200, 0x8000_0000)));
            // The other CPU did the same, and waits for its next start.
            assert!(pc.said.contains("on 2 of 2 CPUs"), "{}", pc.said);
            assert_eq!(pc.registers[&COMMAND], WakePage::STOP_OTHERS);
            // Without Xen nobody looks for an info, and none is there.
            assert_eq!(read(&pc, 0x1000), *b"firmware");
        },
    );
}

#[test]
fn on_xen_the_info_leads_to_map_and_tables() {
    run(
        HandOver::Xen,
        &firmware(0x4_0000),
        |_| {},
        |result, pc| {
            result.unwrap();
            assert_eq!(&read(&pc, 0x1000), b"XenHVMSeaBIOS\0");
            assert!(sums_to_zero(&pc, 0x1000, 32));
            assert_eq!(word(&pc, 0x1014), 4);
            let [rsdp, mp, smbios, pir] = [0, 4, 8, 12].map(|at| word(&pc, word(&pc, 0x1010) + at));
            assert_eq!(&read(&pc, rsdp), b"RSD PTR ");
            assert!(sums_to_zero(&pc, rsdp, 36));
            assert_eq!(&read(&pc, mp), b"_MP_");
            assert!(sums_to_zero(&pc, mp, 16));
            assert_eq!(&read(&pc, smbios), b"_SM3_");
            assert!(sums_to_zero(&pc, smbios, 24));
            assert_eq!(&read(&pc, pir), b"$PIR");
            assert!(sums_to_zero(&pc, pir, 32 + 6 * 16));

            // The tables are those that the VMM would have made, at their place.
            let map = boot_plan::MemoryMap::pc(MEMORY_BYTES).unwrap();
            let tables = Tables::new(CPUS, &map).unwrap();
            let xsdt = word(&pc, rsdp + 24);
            let offset = tables.acpi.entries().iter().find(|entry| entry.signature.0 == *b"XSDT");
            let at = Gpa::new(xsdt - u64::from(offset.unwrap().offset));
            let expected = tables.acpi.at(at).unwrap();
            let mut found = vec![0; expected.tables.len()];
            pc.memory().read(at, &mut found).unwrap();
            assert!(found == expected.tables);
            assert_eq!(read::<36>(&pc, rsdp).as_slice(), expected.rsdp);

            let (e820, count) = (word(&pc, 0x1018), word(&pc, 0x101C));
            let entries: Vec<_> = (0..count)
                .map(|index| {
                    E820Entry::read_from_bytes(&read::<20>(&pc, e820 + 20 * index)).unwrap()
                })
                .map(|entry| {
                    (entry.address.get(), entry.size_bytes.get(), MemoryKind(entry.kind.get()))
                })
                .collect();
            assert_eq!(
                entries,
                [
                    (0, 0xA_0000, MemoryKind::RAM),
                    (0xC_0000, 0x4_0000, MemoryKind::RESERVED),
                    (0x10_0000, 0xEF_F000, MemoryKind::RAM),
                    (0xFF_F000, 0x1000, MemoryKind::NVS),
                    (0xFC00_0000, 0x400_0000, MemoryKind::RESERVED),
                ]
            );
            assert!(
                [rsdp, mp, smbios, pir, xsdt].iter().all(|at| (0xFF_F000..0x100_0000).contains(at))
            );
        },
    );
}

fn take_start_info<'a>(plan: &mut BootPlan<'a>) -> Placement<'a> {
    let at = plan.placements.iter().position(|one| one.tag == "PVH start info").unwrap();
    plan.placements.remove(at)
}

#[test]
fn what_the_vmm_got_wrong_is_said() {
    // The module is said to be where no memory is.
    let nowhere = |plan: &mut BootPlan<'_>| {
        let mut info = take_start_info(plan);
        let mut bytes = info.contents.bytes().unwrap().to_vec();
        bytes[56..64].copy_from_slice(&0xC000_0000_u64.to_le_bytes());
        info.contents = boot_plan::Contents::Owned(bytes);
        plan.placements.push(info);
    };
    let image = firmware(0x2_0000);
    run(HandOver::Xen, &image, nowhere, |result, _| {
        let range = GpaRange::new(Gpa::new(0xC000_0000), 0x2_0000).unwrap();
        assert_eq!(result, Err(Error::FirmwareNotInMemory { range }));
    });
    let nothing = |plan: &mut BootPlan<'_>| drop(take_start_info(plan));
    run(HandOver::Xen, &image, nothing, |result, _| {
        assert!(matches!(result, Err(Error::Core(hvmloader_core::Error::StartInfoMagic { .. }))));
    });
    run(
        HandOver::Xen,
        &firmware(0x5_0000),
        |_| {},
        |result, _| {
            assert!(matches!(result, Err(Error::FirmwareTooLarge { size_bytes: 0x5_0000, .. })));
        },
    );
    run(
        HandOver::Xen,
        &firmware(1000),
        |_| {},
        |result, pc| {
            assert!(matches!(result, Err(Error::Core(hvmloader_core::Error::Size { .. }))));
            assert_eq!(read(&pc, 0xF_FFF0), [0; 16]);
        },
    );
}
