//! SeaBIOS on QEMU as a second host: it installs our tables by our script on a machine that is none
//! of ours, and the tour reads them there.
//!
//! QEMU lets go of its own ACPI tables, not of its SMBIOS tables: it would have two files of one
//! name, and refuses. So it takes our structures one by one, and SeaBIOS gets them from QEMU.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use boot_plan::MemoryMap;
use fw_cfg::{FwCfg, LoadedFiles, Script, Zone};
use guest_state::Gpa;
use machine::Tables;
use smbios_builder::structures_in;

const CPUS: u32 = 4;
const MEMORY_BYTES: usize = 128 << 20;
const F_SEGMENT: std::ops::Range<usize> = 0xF_0000..0x10_0000;
const NONCE: &str = "hvkit.nonce=5ea1b105";

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("hvkit-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name.replace('/', "-"));
        fs::write(&path, bytes).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tables() -> Tables {
    Tables::new(CPUS, &MemoryMap::pc(MEMORY_BYTES as u64).unwrap()).unwrap()
}

/// QEMU's PC with a PM timer and power-off where our tables have them, and without ACPI tables. Its
/// RAM is a file.
fn qemu(folder: &Path) -> Command {
    // Without the variable, its name is no program either.
    let program = env::var_os("HVKIT_QEMU").unwrap_or_else(|| "HVKIT_QEMU".into());
    let ram = folder.join("ram");
    let mut qemu = Command::new(program);
    qemu.args(["-machine", "q35,accel=tcg,acpi=off,memory-backend=ram", "-cpu", "max"])
        .args(["-smp", &CPUS.to_string(), "-m", &format!("{}M", MEMORY_BYTES >> 20)])
        .arg("-object")
        .arg(format!(
            "memory-backend-file,id=ram,share=on,size={MEMORY_BYTES},mem-path={}",
            ram.display()
        ))
        // There is no debug exit: QEMU powers off some time after it was told to, and the tour would
        // reach that port first.
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]);
    qemu
}

/// Runs QEMU to its end, which is near. What it prints fits a pipe.
fn run(qemu: &mut Command) -> Output {
    qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = qemu.spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// Boots the tour from a floppy on a machine with such files and structures.
fn boot(folder: &Folder, files: &[(&str, Vec<u8>)], structures: &[Vec<u8>]) -> (String, Vec<u8>) {
    let mut qemu = qemu(&folder.0);
    let floppy = ("floppyimg/hvkit.img", guest_images::tour_floppy(NONCE).unwrap());
    for (name, bytes) in files.iter().chain([&floppy]) {
        let file = folder.write(name, bytes);
        qemu.arg("-fw_cfg").arg(format!("name={name},file={file}"));
    }
    for (number, bytes) in structures.iter().enumerate() {
        let file = folder.write(&format!("structure-{number}"), bytes);
        qemu.arg("-smbios").arg(format!("file={file}"));
    }
    let Output { status, stdout, stderr } = run(&mut qemu);
    let mut said = String::from_utf8_lossy(&stdout).into_owned();
    // What QEMU says of a name that is not of the user's own part is not the guest's.
    for line in String::from_utf8_lossy(&stderr).lines() {
        if !line.contains("should be prefixed with \"opt/\"") {
            let _ = writeln!(said, "{line}");
        }
    }
    assert!(status.success(), "{status}: {said}");
    (said, fs::read(folder.0.join("ram")).unwrap())
}

/// Where in `range` the only bytes are that start with a signature.
fn only(memory: &[u8], range: std::ops::Range<usize>, step: usize, signature: &[u8]) -> usize {
    let at: Vec<_> =
        range.step_by(step).filter(|&at| memory[at..].starts_with(signature)).collect();
    assert_eq!(at.len(), 1, "places of {signature:?}: {at:x?}");
    at[0]
}

fn word(memory: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(memory[at..at + 4].try_into().unwrap())).unwrap()
}

/// What our interpreter makes of the files at the places that SeaBIOS chose.
fn interpret(files: &[(&str, Vec<u8>)], rsdp: usize, tables: usize) -> LoadedFiles {
    let mut device = FwCfg::builder();
    for (name, bytes) in files {
        device = device.file(name, bytes).unwrap();
    }
    let device = device.build();
    let script = Script::decode(device.file("etc/table-loader").unwrap()).unwrap();
    let place = |zone| Gpa::new(if zone == Zone::F_SEGMENT { rsdp } else { tables } as u64);
    script.run(&device, |allocation, _| Some(place(allocation.zone))).unwrap()
}

#[test]
fn seabios_installs_the_tables_as_our_interpreter_does_and_a_guest_finds_them() {
    let folder = Folder::new("seabios");
    let tables = tables();
    let mut files = tables.fw_cfg_files().unwrap();
    files.retain(|(name, _)| !name.contains("smbios"));
    let ours: Vec<_> = structures_in(tables.smbios.table()).map(Result::unwrap).collect();
    let (_, ours) = ours.split_last().unwrap();
    let ours: Vec<_> = ours
        .iter()
        .map(|structure| {
            let start = structure.offset();
            tables.smbios.table()[start..start + structure.size_bytes()].to_vec()
        })
        .collect();
    let (said, memory) = boot(&folder, &files, &ours);

    // The tour's own words: it found the tables, and read each to its end.
    for wanted in
        ["nonce         5ea1b105", "4 enabled of 4 in the MADT", "PM timer at port 0x608 runs"]
    {
        assert!(said.contains(wanted), "{wanted} in {said}");
    }
    for table in ["FACP", "FACS", "DSDT", "APIC"] {
        assert!(said.contains(&format!("  {table}")), "{table} in {said}");
    }
    for complaint in ["WRONG", "no RSDP", "no entry point"] {
        assert!(!said.contains(complaint), "{complaint} in {said}");
    }

    // Where SeaBIOS put them: the root pointer leads to the XSDT, whose place among the tables is
    // known, and so where they start.
    let rsdp = only(&memory, F_SEGMENT, 16, b"RSD PTR ");
    let entries = tables.acpi.entries();
    let xsdt = entries.iter().find(|entry| entry.signature.to_string() == "XSDT").unwrap();
    let start = word(&memory, rsdp + 24) - usize::try_from(xsdt.offset).unwrap();
    let loaded = interpret(&files, rsdp, start);
    assert_eq!(loaded.files.len(), 2);
    for file in loaded.files {
        let at = usize::try_from(file.gpa.as_u64()).unwrap();
        let found = &memory[at..at + file.bytes.len()];
        let same = found.iter().zip(&file.bytes).position(|(a, b)| a != b);
        assert_eq!(same, None, "{} at {at:#x} differs", file.name);
    }

    // And SMBIOS: QEMU adds what we do not have, and leaves ours as they are.
    let entry = only(&memory, F_SEGMENT, 16, b"_SM");
    let table = if memory[entry..].starts_with(b"_SM3_") { entry + 16 } else { entry + 24 };
    let table = word(&memory, table);
    let found: Vec<_> = structures_in(&memory[table..]).map(Result::unwrap).collect();
    for structure in &ours {
        let same = |found: &&smbios_builder::Structure<'_>| {
            let start = table + found.offset();
            memory[start..start + found.size_bytes()] == structure[..]
        };
        assert_eq!(found.iter().filter(same).count(), 1, "{structure:x?} in {found:x?}");
    }
}

#[test]
fn seabios_leaves_a_checksum_wrong_that_the_script_forgets_and_the_tour_sees_it() {
    let folder = Folder::new("seabios-broken");
    let mut files = tables().fw_cfg_files().unwrap();
    files.retain(|(name, _)| !name.contains("smbios"));
    for (name, bytes) in &mut files {
        if *name == "etc/table-loader" {
            // The last step seals a table.
            assert_eq!(bytes[bytes.len() - 128], 3);
            bytes.truncate(bytes.len() - 128);
        }
    }
    let (said, _) = boot(&folder, &files, &[]);
    assert!(said.contains("checksum WRONG"), "{said}");
}

#[test]
fn qemu_refuses_a_second_set_of_smbios_files() {
    let folder = Folder::new("seabios-smbios");
    let mut qemu = qemu(&folder.0);
    for (name, bytes) in tables().fw_cfg_files().unwrap() {
        let file = folder.write(name, &bytes);
        qemu.arg("-fw_cfg").arg(format!("name={name},file={file}"));
    }
    let output = run(&mut qemu);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("duplicate fw_cfg file name: etc/smbios/"), "{said}");
}
