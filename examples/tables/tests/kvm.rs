//! Tables as a guest on kvm-vmm finds them: installed by SeaBIOS, and broken in each way that the
//! validator knows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use common::{CPUS, Folder, MEMORY_BYTES, assert_installed, tables};
use tables::Dump;

/// What the tour says of a table that it can't read, or whose checksum is wrong.
const COMPLAINTS: [&str; 6] =
    [" WRONG", "no table at ", "no XSDT or RSDT", "no FACS at ", "no DSDT at ", "no RSDP"];

/// Each fault of kvm-vmm's, the rule of the validator that it breaks, and whether the tour sees it
/// too. The tour reads tables as far as a guest must, and compares no table with another.
const FAULTS: [(&str, &str, bool); 20] = [
    ("rsdp-checksum", "rsdp-checksum", true),
    ("root-signature", "root-signature", false),
    ("pointer-dangling", "pointer-dangling", true),
    ("pointer-overlap", "pointer-overlap", false),
    ("table-signature", "table-signature", false),
    ("table-size", "table-size", false),
    ("table-checksum", "table-checksum", true),
    ("entry-length", "entry-length", false),
    ("fadt-dsdt-differs", "fadt-dsdt-differs", false),
    ("facs-signature", "facs-signature", true),
    ("madt-repeated-apic-id", "madt-repeated-apic-id", false),
    ("madt-not-in-dsdt", "madt-not-in-dsdt", false),
    ("srat-not-in-madt", "srat-not-in-madt", false),
    ("aml-length", "aml-length", false),
    ("aml-repeated-name", "aml-repeated-name", false),
    ("aml-region", "aml-region", false),
    ("crs-range", "crs-range", false),
    ("crs-in-ram", "crs-in-ram", false),
    ("smbios-checksum", "entry point _SM3_ sum to", true),
    ("smbios-repeated-handle", "a structure before has handle", false),
];

/// Builds kvm-vmm with its faults, where the other rigs have it too.
fn vmm() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = workspace.join("target/kvm-vmm-fault-injection");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(&workspace)
        .args(["build", "--release", "--quiet", "-p", "kvm-vmm", "--example", "kvm-vmm"])
        .args(["--features", "fault-injection", "--target-dir"])
        .arg(&folder)
        .status();
    assert!(status.unwrap().success());
    folder.join("release/examples/kvm-vmm")
}

/// Runs a guest that powers off, and returns what it printed.
fn run(vmm: &Path, options: &[&str], words: &str) -> String {
    let output = Command::new(vmm)
        .args(["--memory", &MEMORY_BYTES.to_string(), "--cpus", &CPUS.to_string()])
        .args(["--timeout", "60", "--cmdline", &format!("hvkit.nonce=ab1e5 hvkit.tables {words}")])
        .args(options)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {}: {said}{complaint}", output.status);
    assert!(said.contains("nonce         ab1e5\n"), "{said}");
    said
}

fn complains(said: &str) -> bool {
    COMPLAINTS.iter().any(|complaint| said.contains(complaint))
}

#[test]
fn seabios_installs_the_tables_as_our_interpreter_does() {
    let toolbox = PathBuf::from(env::var_os("HVKIT_TOOLBOX").unwrap());
    let firmware = toolbox.join("seabios").join("root").join("usr/share/seabios/bios-256k.bin");
    let said = run(&vmm(), &["--firmware", firmware.to_str().unwrap()], "");
    assert!(said.contains("started by    BIOS"), "{said}");
    assert!(!complains(&said), "{said}");
    assert_installed(&tables(), &Dump::read(&said).unwrap());
}

#[test]
fn each_kind_of_fault_in_a_table_makes_the_run_with_it_red() {
    let vmm = vmm();
    let said = run(&vmm, &[], "");
    assert!(!complains(&said), "{said}");
    assert_eq!(Dump::read(&said).unwrap().findings(), [""; 0]);

    for (fault, rule, tour_complains) in FAULTS {
        let said = run(&vmm, &[], &format!("kvm-vmm.fault={fault}"));
        let findings = Dump::read(&said).unwrap().findings();
        let broken = findings.iter().any(|finding| finding.contains(rule));
        assert!(broken, "{fault}: {findings:#?}");
        assert_eq!(complains(&said), tour_complains, "{fault}: {said}");
    }
}

#[test]
fn the_program_says_what_is_wrong_and_ends_with_a_failure() {
    let folder = Folder::new("tables-check");
    let vmm = vmm();
    let tests = env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/tables");
    let check = |said: &str| {
        let file = folder.write("console", said.as_bytes());
        let output = Command::new(&program).args(["--check", &file]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let good = run(&vmm, &[], "");
    assert_eq!(check(&good), (Some(0), "8 tables, 0 findings\n".to_owned()));
    let (status, text) = check(&run(&vmm, &[], "kvm-vmm.fault=table-checksum"));
    assert_eq!(status, Some(1));
    assert!(text.starts_with("8 tables, 1 findings\nDSDT at 0x9: "), "{text}");
    assert_eq!(check("no tables").0, Some(66));
    fs::remove_file(folder.0.join("console")).unwrap();
}
