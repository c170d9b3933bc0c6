//! `cargo xtask bench`: figures, each beside a peer that is measured in the same run.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{nested, paths, process};

/// The peer of [`startup`]: the same ioctls in C.
const PEER: &str = "xtask/bench/startup.c";
/// How often each program is started, after one start that does not count.
const RUNS: usize = 101;
/// What is to be held: start in terms of the peer's, and peak memory.
const MOST_RATIO: f64 = 1.5;
pub(crate) const MOST_MEMORY_KIB: u64 = 2048;

/// `mov dx, 0x3F8; mov al, 'x'; out dx, al; mov al, 1; out 0xF4, al; jmp $`.
const GUEST: [u8; 13] = [0x66, 0xBA, 0xF8, 0x03, 0xB0, b'x', 0xEE, 0xB0, 1, 0xE6, 0xF4, 0xEB, 0xFE];
/// Where the guest's code stands in its file, as the peer knows too.
const CODE_OFFSET: usize = 0x1000;
/// Where it is loaded and entered.
const CODE: u32 = 0x10_0000;
/// The status with which the guest ends.
const STATUS: i32 = 3;
/// How kvm-vmm is asked to run it.
const OPTIONS: &[&str] = &["--memory", "128M", "--stats=json", "--kernel"];

/// From process start to the guest's first output byte, and peak memory.
struct Start {
    first_byte: Duration,
    memory_kib: u64,
}

/// A program that starts the guest.
struct Program {
    name: &'static str,
    path: PathBuf,
    arguments: &'static [&'static str],
    starts: Vec<Start>,
}

impl Program {
    fn new(name: &'static str, path: PathBuf, arguments: &'static [&'static str]) -> Self {
        Self { name, path, arguments, starts: Vec::new() }
    }

    fn median(&self) -> Duration {
        let mut times: Vec<_> = self.starts.iter().map(|start| start.first_byte).collect();
        times.sort();
        times[times.len() / 2]
    }

    fn memory_kib(&self) -> u64 {
        self.starts.iter().map(|start| start.memory_kib).max().unwrap_or_default()
    }
}

/// Starts kvm-vmm a few times, and returns the most memory that it took.
pub(crate) fn peak_memory_kib(messages: Stdio) -> Result<u64> {
    const STARTS: usize = 9;
    let (_, guest) = place_guest()?;
    let program = nested::build_vmm(&[], messages)?;
    (0..STARTS).try_fold(0, |most, _| {
        let start = measure(Command::new(&program).args(OPTIONS).arg(&guest))?;
        Ok(start.memory_kib.max(most))
    })
}

/// Writes the guest to a folder; returns both.
fn place_guest() -> Result<(PathBuf, PathBuf)> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    let guest = folder.join("guest.elf");
    fs::write(&guest, guest_file(&GUEST))?;
    Ok((folder, guest))
}

/// Starts kvm-vmm and the peer in turns, and prints what it took.
pub(crate) fn startup() -> Result<()> {
    let (folder, guest) = place_guest()?;
    let mut programs = [
        Program::new("peer in C", compile_peer(&folder)?, &[]),
        Program::new("kvm-vmm", nested::build_vmm(&[], Stdio::inherit())?, OPTIONS),
    ];
    for run in 0..=RUNS {
        // Which of them goes first changes from run to run.
        programs.rotate_left(1);
        for program in &mut programs {
            let start = measure(Command::new(&program.path).args(program.arguments).arg(&guest))?;
            if run > 0 {
                program.starts.push(start);
            }
        }
    }
    programs.sort_by_key(|program| !program.arguments.is_empty());
    report(&programs);
    Ok(())
}

/// Times ACPI and SMBIOS tables of a large machine.
pub(crate) fn tables() -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["bench", "-p", "acpi-builder", "-p", "smbios-builder", "--bench", "tables"]);
    let status = process::run(&mut cargo, Duration::from_secs(1800))?;
    ensure!(status.is_some_and(|status| status.success()), "the benches fail");
    Ok(())
}

fn report([peer, ours]: &[Program; 2]) {
    println!("process start to the guest's first byte, {RUNS} starts of each in turns, 128 MiB");
    println!("             min us  median us   max us  peak KiB");
    for program in [peer, ours] {
        let times = || program.starts.iter().map(|start| start.first_byte.as_micros());
        let (least, most) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let (name, median) = (program.name, program.median().as_micros());
        println!("  {name:<9} {least:>8}  {median:>9}  {most:>7}  {:>8}", program.memory_kib());
    }
    let verdict = |holds: bool| if holds { "holds" } else { "DOES NOT HOLD" };
    let ratio = ours.median().as_secs_f64() / peer.median().as_secs_f64();
    let memory = ours.memory_kib();
    let (fast, small) = (verdict(ratio <= MOST_RATIO), verdict(memory <= MOST_MEMORY_KIB));
    println!("{ratio:.2} of the peer's median, bar {MOST_RATIO}: {fast}");
    println!("{memory} KiB, bar {MOST_MEMORY_KIB} KiB: {small}");
}

/// Starts a program and waits for the guest's byte; the program itself says what memory it took.
fn measure(command: &mut Command) -> Result<Start> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut byte = [0];
    let read = child.stdout.as_mut().context("no pipe")?.read(&mut byte)?;
    let first_byte = started.elapsed();
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(read == 1 && output.status.code() == Some(STATUS), "{}: {said}", output.status);
    Ok(Start { first_byte, memory_kib: memory_kib(&said).with_context(|| said.into_owned())? })
}

/// The number behind the name in kvm-vmm's statistics, or the peer's only line.
fn memory_kib(said: &str) -> Option<u64> {
    let text = said.split_once("\"peak_memory_kib\":").map_or(said, |(_, rest)| rest);
    let digits = text.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn compile_peer(folder: &Path) -> Result<PathBuf> {
    let peer = folder.join("startup");
    let mut cc = process::command("cc");
    cc.args(["-O2", "-Wall", "-o"]).arg(&peer).arg(paths::workspace().join(PEER));
    process::output(&mut cc)?;
    Ok(peer)
}

/// A guest of 32-bit code as an ELF64 with one segment and a PVH note.
pub(crate) fn guest_file(code: &[u8]) -> Vec<u8> {
    const NOTE_OFFSET: u64 = 0x800;
    let mut file = vec![0; CODE_OFFSET];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    let size = code.len() as u64;
    // Class, byte order, version; executable for x86-64; headers of 64 and 56 bytes.
    put(0, b"\x7FELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 2]);
    for (at, kind, offset, address, size) in
        [(64, 1_u32, CODE_OFFSET as u64, u64::from(CODE), size), (120, 4, NOTE_OFFSET, 0, 20)]
    {
        put(at, &kind.to_le_bytes());
        let words = [offset, address, address, size, size, 4];
        for (field, word) in (at + 8..).step_by(8).zip(words) {
            put(field, &word.to_le_bytes());
        }
    }
    // XEN_ELFNOTE_PHYS32_ENTRY.
    let note = [4, 4, 18, u32::from_le_bytes(*b"Xen\0"), CODE];
    for (at, word) in (0x800..).step_by(4).zip(note) {
        put(at, &word.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_is_read_from_both_programs() {
        assert_eq!(memory_kib("{\"x\":1,\"peak_memory_kib\":2040,\"y\":2}\n"), Some(2040));
        assert_eq!(memory_kib("1460\n"), Some(1460));
        assert_eq!(memory_kib("kvm-vmm: no\n"), None);
    }
}
