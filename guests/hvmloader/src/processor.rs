//! The CPUs: what they cache, and how interrupts come to the one that boots.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, GuestMemory};
use hvmloader_core::{WakePage, mtrr_writes, plan_mtrrs};

use crate::{Error, Pc};

const MTRR_CAPABILITIES: u32 = 0xFE;
const HAS_MTRRS: u32 = 1 << 12;

const LOCAL_APIC: u64 = 0xFEE0_0000;
/// Where other CPUs start: nothing that stays is there.
const WAKE_PAGE: Gpa = Gpa::new(0x9000);
/// How often it is looked whether they are done; each look is an exit, of a microsecond at least.
const MOST_LOOKS: u32 = 200_000;

/// Loads MTRRs by which memory is cached and `devices` are not. Returns what was written to which,
/// nothing if the CPU has no MTRRs.
pub(crate) fn set_mtrrs(
    pc: &mut impl Pc,
    memory: &MemoryMap,
    devices: GpaRange,
    physical_bits: u32,
) -> Result<Vec<(u32, u64)>, Error> {
    if pc.cpuid(1).edx & HAS_MTRRS == 0 {
        return Ok(Vec::new());
    }
    let [count, ..] = pc.read_msr(MTRR_CAPABILITIES).to_le_bytes();
    let count = usize::from(count);
    let mtrrs = plan_mtrrs(memory, &[devices], physical_bits, count)?;
    let writes = mtrr_writes(&mtrrs, count);
    for (msr, value) in &writes {
        pc.write_msr(*msr, *value);
    }
    Ok(writes)
}

/// Has the other CPUs write the same, and returns how many did.
pub(crate) fn set_others(
    pc: &mut impl Pc,
    writes: &[(u32, u64)],
    others: u32,
) -> Result<u32, Error> {
    const COMMAND: Gpa = Gpa::new(LOCAL_APIC + 0x300);
    let Some(page) = WakePage::new(WAKE_PAGE).filter(|_| others > 0 && !writes.is_empty()) else {
        return Ok(0);
    };
    pc.memory().write(page.gpa(), &page.build(writes)?)?;
    // CPUs with a local APIC of their own need no time between the two.
    pc.write_register(COMMAND, WakePage::STOP_OTHERS);
    pc.write_register(COMMAND, page.start());
    let mut done = 0;
    for _ in 0..MOST_LOOKS {
        done = pc.memory().load_u16(page.done(), Ordering::Acquire)?.into();
        if done >= others {
            break;
        }
        // Any port will do.
        let _ = pc.in8(0x61);
    }
    pc.write_register(COMMAND, WakePage::STOP_OTHERS);
    Ok(done)
}

/// Connects the 8259s to LINT0 and the NMI to LINT1 of the local APIC, as the tables say, and gives
/// the I/O APIC the id that they say.
///
/// # Source
/// Intel SDM Vol. 3A, "Local APIC Initialization"; MultiProcessor Specification 1.4 §3.6.2.2,
/// "Virtual Wire Mode".
pub(crate) fn set_virtual_wire(pc: &mut impl Pc, io_apic_id: u8) {
    const SPURIOUS: u64 = 0xF0;
    const LINT0: u64 = 0x350;
    const LINT1: u64 = 0x360;
    const ENABLED: u32 = 1 << 8;
    const EXTERNAL: u32 = 0b111 << 8;
    const NMI: u32 = 0b100 << 8;
    for (register, value) in [(SPURIOUS, ENABLED | 0xFF), (LINT0, EXTERNAL), (LINT1, NMI)] {
        pc.write_register(Gpa::new(LOCAL_APIC + register), value);
    }
    const IO_APIC_SELECT: Gpa = Gpa::new(0xFEC0_0000);
    const IO_APIC_WINDOW: Gpa = Gpa::new(0xFEC0_0010);
    pc.write_register(IO_APIC_SELECT, 0);
    pc.write_register(IO_APIC_WINDOW, u32::from(io_apic_id) << 24);
}
