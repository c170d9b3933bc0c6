//! What the program writes, read by iasl and dmidecode.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where cargo put the example that it built for these tests.
fn program() -> PathBuf {
    let tests = env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/tables")
}

fn tool(variable: &str, arguments: &[&str], folder: &Path) -> String {
    // Without the variable, its name is no program either.
    let program = env::var_os(variable).unwrap_or_else(|| variable.into());
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    text.into_owned()
}

#[test]
fn both_tools_read_all_files_without_a_complaint() {
    let folder = env::temp_dir().join(format!("hvkit-tables-{}", std::process::id()));
    let run = Command::new(program())
        .args(["--cpus", "4", "--memory", "6G", "--out"])
        .arg(&folder)
        .output()
        .unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    for name in ["facp", "facs", "dsdt", "apic", "xsdt"] {
        assert!(printed.contains(&format!("{name}.dat")), "{name} in {printed}");
        let said = tool("HVKIT_IASL", &["-d", &format!("{name}.dat")], &folder).to_lowercase();
        assert!(!said.contains("warning") && !said.contains("error"), "{name}: {said}");
    }
    let madt = fs::read_to_string(folder.join("apic.dsl")).unwrap();
    assert_eq!(madt.matches("[Processor Local APIC]").count(), 4, "{madt}");

    let said = tool("HVKIT_DMIDECODE", &["--from-dump", "smbios.bin"], &folder);
    for wanted in ["Core Count: 4", "Maximum Capacity: 6 GB", "End Of Table"] {
        assert!(said.contains(wanted), "{wanted} in {said}");
    }
    for complaint in ["WARNING", "Wrong", "Invalid", "truncated", "out of spec", "OUT OF SPEC"] {
        assert!(!said.to_lowercase().contains(&complaint.to_lowercase()), "{complaint} in {said}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
