//! SeaBIOS on QEMU as a second host: it installs our tables by our script on a machine that is none
//! of ours, and the tour reads them there.
//!
//! QEMU's PC lets go of its own ACPI tables, not of its SMBIOS tables: it would have two files of
//! one name, and refuses. So it takes our structures one by one, and SeaBIOS gets them from QEMU.
//! QEMU's microvm has neither and takes all of our files, but has no PM timer and no power-off.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use common::{CPUS, Folder, MEMORY_BYTES, assert_installed, interpret, offset_of, tables};
use smbios_builder::structures_in;
use tables::Dump;

const F_SEGMENT: std::ops::Range<usize> = 0xF_0000..0x10_0000;
const NONCE: &str = "hvkit.nonce=5ea1b105";

fn program() -> Command {
    // Without the variable, its name is no program either.
    Command::new(env::var_os("HVKIT_QEMU").unwrap_or_else(|| "HVKIT_QEMU".into()))
}

/// QEMU's PC with a PM timer and power-off where our tables have them, and without ACPI tables. Its
/// RAM is a file.
fn qemu(folder: &Path) -> Command {
    let ram = folder.join("ram");
    let mut qemu = program();
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
    let (said, status) = listen(&mut qemu);
    assert_eq!(status, Some(0), "{said}");
    (said, fs::read(folder.0.join("ram")).unwrap())
}

/// Runs QEMU and returns all that was said, and its status.
fn listen(qemu: &mut Command) -> (String, Option<i32>) {
    let Output { status, stdout, stderr } = run(qemu);
    let mut said = String::from_utf8_lossy(&stdout).into_owned();
    // What QEMU says of a name that is not of the user's own part is not the guest's.
    for line in String::from_utf8_lossy(&stderr).lines() {
        if !line.contains("should be prefixed with \"opt/\"") {
            let _ = writeln!(said, "{line}");
        }
    }
    (said, status.code())
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
    let start = word(&memory, rsdp + 24) - usize::try_from(offset_of(&tables, "XSDT")).unwrap();
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
fn on_a_host_without_tables_all_of_ours_are_installed_as_our_interpreter_does() {
    let folder = Folder::new("seabios-microvm");
    let tables = tables();
    let mut qemu = program();
    // Its SeaBIOS is one for machines without PCI, and starts kernels alone; QEMU takes this one by
    // its Multiboot header.
    qemu.args(["-machine", "microvm,accel=tcg,acpi=off,pit=on,pic=on,rtc=on"])
        .args(["-bios", "bios-microvm.bin", "-cpu", "max", "-m"])
        .arg(format!("{}M", MEMORY_BYTES >> 20))
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args(["-kernel", &folder.write("tour", guest_images::TOUR)])
        .args(["-append", &format!("{NONCE} hvkit.tables")]);
    for (name, bytes) in tables.fw_cfg_files().unwrap() {
        let file = folder.write(name, &bytes);
        qemu.arg("-fw_cfg").arg(format!("name={name},file={file}"));
    }
    let (said, status) = listen(&mut qemu);
    // It can't be powered off by what our tables say, and the tour says so.
    assert_eq!(status, Some(3 << 1 | 1), "{said}");
    assert!(said.contains("nonce         5ea1b105\n"), "{said}");
    assert_installed(&tables, &Dump::read(&said).unwrap());
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
