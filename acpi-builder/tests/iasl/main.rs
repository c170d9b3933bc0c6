//! The tables, read by ACPICA's own tools.
//!
//! `HVKIT_IASL` and `HVKIT_ACPIEXEC` name the two programs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod data;
mod devices;
mod fixed;
mod servers;
mod templates;
mod tool;

use acpi_builder::Processors;
use common::full_pc;
use tool::{files, folder, recompiled, run};

#[test]
fn each_table_is_disassembled_and_compiled_to_the_same_bytes() {
    for count in [1, 4, 300] {
        for (name, table) in files(&full_pc(&Processors::sequential(count).unwrap())) {
            recompiled(&format!("pc-{count}"), &name, &table);
        }
    }
}

/// Gives the interpreter the full PC's DSDT and a command.
fn interpret(test: &str, command: &str) -> String {
    let folder = folder(test);
    let set = full_pc(&Processors::sequential(300).unwrap());
    let files = files(&set);
    let (_, dsdt) = files.iter().find(|(name, _)| name == "dsdt").unwrap();
    std::fs::write(folder.join("dsdt.aml"), dsdt).unwrap();
    run("HVKIT_ACPIEXEC", &["-b", command, "dsdt.aml"], &folder)
}

#[test]
fn the_interpreter_finds_the_sleep_type() {
    let text = interpret("acpiexec-s5", "evaluate \\_S5");
    assert!(text.contains("Contains 4 Elements"), "{text}");
    let fives = text.matches("[Integer] = 0000000000000005").count();
    let zeros = text.matches("[Integer] = 0000000000000000").count();
    assert_eq!((fives, zeros), (2, 2), "{text}");
}

#[test]
fn the_interpreter_finds_a_processor_by_its_uid() {
    let text = interpret("acpiexec-uid", "evaluate \\_SB.C12B._UID");
    assert!(text.contains("[Integer] = 000000000000012B"), "{text}");
}

/// What follows `label :` on each line that has it.
fn values(text: &str, label: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(before, _)| before.trim() == label)
        .map(|(_, after)| u64::from_str_radix(after.trim(), 16).unwrap())
        .collect()
}

#[test]
fn the_interpreter_decodes_the_bridge_as_described() {
    let text = interpret("acpiexec-pci", "resources \\_SB.PCI0");
    // Buses, configuration ports, two I/O windows, memory below and above 4 GiB.
    let minima = [0, 0xCF8, 0, 0xD00, 0xE000_0000, 0x1_0000_0000];
    let maxima = [0xFF, 0xCF8, 0xCF7, 0xFFFF, 0xFEBF_FFFF, 0x7F_FFFF_FFFF];
    let lengths = [0x100, 8, 0xCF8, 0xF300, 0x1EC0_0000, 0x7F_0000_0000];
    assert_eq!(values(&text, "Address Minimum"), minima, "{text}");
    assert_eq!(values(&text, "Address Maximum"), maxima, "{text}");
    assert_eq!(values(&text, "Address Length"), lengths, "{text}");
    assert_eq!(text.matches("ResourceProducer").count(), 5, "{text}");
    // Pins A and D of 32 devices.
    let addresses: Vec<u64> = (0..64).map(|i| (i / 2) << 16 | 0xFFFF).collect();
    assert_eq!(values(&text, "Address"), addresses, "{text}");
    let gsis: Vec<u64> = (0..64).map(|i| 16 + i / 2 % 8).collect();
    assert_eq!(values(&text, "Source Index"), gsis, "{text}");
}

#[test]
fn the_interpreter_evaluates_the_serial_port_as_described() {
    // As bytes: acpiexec 20250404 takes every interrupt resource, type 0, for a broken one.
    let text = interpret("acpiexec-com", "evaluate \\_SB.PCI0.COM2._CRS");
    // Ports 2F8h to 2FFh, decoded by 16 bits; IRQ 3; the end.
    let resources = "0000: 47 01 F8 02 F8 02 01 08 22 08 00 79 00 ";
    assert!(text.contains(resources), "{text}");
}
