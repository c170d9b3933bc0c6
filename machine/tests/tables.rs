//! The platform's tables, held against the rules and against its own memory map.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use acpi_builder::{Rule, Validator};
use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, MemoryKind};
use machine::Tables;

const RSDP: Gpa = Gpa::new(0xF_0000);

/// What is wrong with the tables of so many CPUs and so much memory, beside some more RAM.
fn findings(cpus: u32, memory_bytes: u64, more: Option<GpaRange>) -> Vec<Rule> {
    let memory = MemoryMap::pc(memory_bytes).unwrap();
    let acpi = Tables::new(cpus, &memory).unwrap().acpi;
    let base = Gpa::new(0x100_0000);
    let placed = acpi.at(base).unwrap();
    let mut validator =
        Validator::new().memory(RSDP, &placed.rsdp).memory(base, &placed.tables).allow([]);
    for range in memory.ranges(MemoryKind::RAM).chain(more) {
        validator = validator.ram(range);
    }
    validator.validate(RSDP).iter().map(|finding| finding.rule).collect()
}

#[test]
fn tables_of_any_size_break_no_rule() {
    for cpus in [1, 4, 255, 256, 1024] {
        for memory_bytes in [64 << 20, 3 << 30, 8 << 30] {
            assert_eq!(findings(cpus, memory_bytes, None), [], "{cpus}, {memory_bytes:#x}");
        }
    }
}

#[test]
fn memory_in_the_place_of_devices_is_found() {
    let devices = GpaRange::new(Gpa::new(0xC000_0000), 0x4000_0000);
    let rules = findings(2, 64 << 20, devices);
    // The window for PCI, then the local APICs and the I/O APIC.
    assert_eq!(rules, [Rule::CrsInRam, Rule::RegistersInRam, Rule::RegistersInRam]);
}
