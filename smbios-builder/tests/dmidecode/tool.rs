//! Running dmidecode, and reading what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("HVKIT_DMIDECODE") {
        return program.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let toolbox = workspace.join("target/toolbox/dmidecode/bin/dmidecode");
    if toolbox.exists() { toolbox } else { "dmidecode".into() }
}

/// What dmidecode prints of a dump.
pub(crate) fn print(name: &str, dump: &[u8]) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, dump).unwrap();
    let output = Command::new(program()).arg("--from-dump").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// The same, which must not be a complaint.
pub(crate) fn dmidecode(name: &str, dump: &[u8]) -> String {
    let text = print(name, dump);
    for complaint in [
        "broken",
        "TRUNCATED",
        "Wrong DMI",
        "OUT OF SPEC",
        "BAD INDEX",
        "not fully supported",
        "Invalid",
        "Announced",
        "No SMBIOS",
        "mismatch",
        "Bad checksum",
    ] {
        assert!(!text.contains(complaint), "{complaint}: {text}");
    }
    text
}

/// The lines of the structure of a type, without indentation.
pub(crate) fn lines(text: &str, kind: u8) -> Vec<String> {
    let title = format!("DMI type {kind},");
    let structure = text.split("\n\n").find(|part| part.contains(&title));
    let structure = structure.unwrap_or_else(|| panic!("no structure of type {kind}: {text}"));
    structure.lines().map(|line| line.trim().to_owned()).collect()
}

#[track_caller]
pub(crate) fn assert_lines(text: &str, kind: u8, expected: &[&str]) {
    let lines = lines(text, kind);
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "type {kind}, {line:?}: {lines:#?}");
    }
}
