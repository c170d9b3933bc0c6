//! The CPU that boots: what is cached, and how interrupts come to it.

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange};
use hvmloader_core::{mtrr_writes, plan_mtrrs};

use crate::{Error, Pc};

const MTRR_CAPABILITIES: u32 = 0xFE;
const HAS_MTRRS: u32 = 1 << 12;

/// Loads MTRRs by which memory is cached and `devices` are not. Returns how many variable ranges
/// that takes, or `None` if the CPU has no MTRRs.
pub(crate) fn set_mtrrs(
    pc: &mut impl Pc,
    memory: &MemoryMap,
    devices: GpaRange,
    physical_bits: u32,
) -> Result<Option<usize>, Error> {
    if pc.cpuid(1).edx & HAS_MTRRS == 0 {
        return Ok(None);
    }
    let [count, ..] = pc.read_msr(MTRR_CAPABILITIES).to_le_bytes();
    let count = usize::from(count);
    let mtrrs = plan_mtrrs(memory, &[devices], physical_bits, count)?;
    for (msr, value) in mtrr_writes(&mtrrs, count) {
        pc.write_msr(msr, value);
    }
    Ok(Some(mtrrs.variable.iter().filter(|range| range.mask != 0).count()))
}

/// Connects the 8259s to LINT0 and the NMI to LINT1 of the local APIC, as the tables say, and gives
/// the I/O APIC the id that they say.
///
/// # Source
/// Intel SDM Vol. 3A, "Local APIC Initialization"; MultiProcessor Specification 1.4 §3.6.2.2,
/// "Virtual Wire Mode".
pub(crate) fn set_virtual_wire(pc: &mut impl Pc, io_apic_id: u8) {
    const LOCAL_APIC: u64 = 0xFEE0_0000;
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
