//! Running ACPICA's tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use acpi_builder::{Dsdt, Fadt, FixedHardware, Processors, Sdt, TableEntry, TableSet};
use guest_state::Gpa;

/// An empty folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program that `variable` names and returns what it prints, which must not be a warning.
pub(crate) fn run(variable: &str, arguments: &[&str], folder: &Path) -> String {
    let program = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    let counts = text.replace("0 Errors", "").replace("0 Warnings", "");
    // acpiexec does not free what it installs for the interrupts of a generic event device.
    let is_own = |line: &&str| line.starts_with("ACPI Error") && line.contains("Outstanding cache");
    let counts: String = counts.lines().filter(|line| !is_own(line)).collect();
    for word in ["Warning", "Error", "Exception", "unknown"] {
        assert!(!counts.contains(word), "{text}");
    }
    text
}

/// Each table with its name in lower case, as it lies at some address. The RSDP is not for iasl.
pub(crate) fn files(set: &TableSet) -> Vec<(String, Vec<u8>)> {
    let placed = set.at(Gpa::new(0xE_1000)).unwrap();
    let file = |entry: &TableEntry| {
        let table = &placed.tables[entry.offset as usize..][..entry.size_bytes as usize];
        (entry.signature.to_string().to_lowercase(), table.to_vec())
    };
    set.entries().iter().map(file).collect()
}

/// Clears what the compiler puts its own name into, and the checksum, which differs with it.
pub(crate) fn without_creator(name: &str, mut table: Vec<u8>) -> Vec<u8> {
    if name != "facs" {
        table[9] = 0;
        table[28..36].fill(0);
    }
    table
}

/// Disassembles a table and returns what comes out.
pub(crate) fn disassemble(folder: &Path, name: &str, table: &[u8]) -> String {
    std::fs::write(folder.join(format!("{name}.dat")), table).unwrap();
    run("HVKIT_IASL", &["-d", &format!("{name}.dat")], folder);
    let text = std::fs::read_to_string(folder.join(format!("{name}.dsl"))).unwrap();
    // Behind it are the bytes, as numbers and as characters.
    let (text, _) = text.split_once("Raw Table Data").unwrap_or((&text, ""));
    // What it can't make sense of the disassembler says in the text itself.
    for word in ["Invalid", "Unknown", "****"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    text.to_owned()
}

/// Disassembles a table, compiles what comes out, compares, and returns what came out.
pub(crate) fn recompiled(test: &str, name: &str, table: &[u8]) -> String {
    let folder = folder(&format!("iasl-{test}-{name}"));
    let text = disassemble(&folder, name, table);
    run("HVKIT_IASL", &["-we", "-oa", &format!("{name}.dsl")], &folder);
    let compiled = std::fs::read(folder.join(format!("{name}.aml"))).unwrap();
    assert_eq!(without_creator(name, compiled), without_creator(name, table.to_vec()), "{text}");
    text
}

/// A table as a small machine has it: its name and its bytes.
pub(crate) fn finished(table: &Sdt) -> (String, Vec<u8>) {
    let cpus = Processors::sequential(1).unwrap();
    let dsdt = Dsdt::new(&cpus);
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), dsdt.boot_arch());
    let set = TableSet::builder(fadt, dsdt.build().unwrap()).table(table.clone()).build().unwrap();
    files(&set).remove(3)
}

/// A table of a small machine, disassembled and compiled again.
pub(crate) fn disassembled(test: &str, table: &Sdt) -> String {
    let (name, bytes) = finished(table);
    recompiled(test, &name, &bytes)
}

/// Checks that the disassembly says these values, in this order, maybe with others between.
pub(crate) fn says(text: &str, expected: &[(&str, &str)]) {
    let mut lines = text.lines().filter_map(|line| line.split_once(" : "));
    for (label, value) in expected {
        let found = lines.any(|(before, after)| {
            let after = after.split('[').next().unwrap_or_default();
            before.ends_with(label) && after.trim().trim_matches('"') == *value
        });
        assert!(found, "no {label} : {value} in {text}");
    }
}
