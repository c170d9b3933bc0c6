//! A Linux with KVM inside QEMU's interpreter, and a VMM inside that: whole guests boot under real
//! KVM, on hosts without any.
//!
//! The outer Linux (L1) has four serial ports, so that what the VMM prints, what it complains
//! about, its exit status, and what L1 itself says come out apart.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::cpio::Archive;
use crate::toolbox::Toolbox;
use crate::tools::{BUSYBOX, LINUX_TRIXIE, QEMU, Tool};
use crate::{initrd, paths, process};

/// What the rig needs from the toolbox.
pub(crate) const TOOLS: [&Tool; 3] = [&QEMU, &BUSYBOX, &LINUX_TRIXIE];

/// The modules that give L1 its KVM, in the order in which they depend on each other.
const MODULES: [&str; 3] =
    ["virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko", "arch/x86/kvm/kvm-amd.ko"];

/// A program to run in L1.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// A static program, as kvm-vmm is where there is a static C library.
    pub(crate) program: &'a Path,
    /// Its arguments. The value of an option that names a file brings that file along.
    pub(crate) arguments: &'a [OsString],
    /// How long L1 may take, boot included.
    pub(crate) limit: Duration,
    /// An option that names a file, each time: these are to come back as the program left them.
    pub(crate) returns: Option<&'a str>,
    /// Whether to pass on what the program prints while it runs.
    pub(crate) live: bool,
    /// Where L1's log goes, and what QEMU says.
    pub(crate) log: &'a Path,
}

/// What came out of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The program's exit status, 128 more than its signal, or [`process::TIMED_OUT`].
    pub(crate) status: i32,
    /// What it printed, byte for byte.
    pub(crate) stdout: Vec<u8>,
    /// What it complained about.
    pub(crate) stderr: Vec<u8>,
    /// The files that were to come back, one behind the other; nothing if the program did not end.
    pub(crate) returned: Vec<u8>,
}

/// Builds the program that checks `--gdb`. What cargo says goes to `messages`.
pub(crate) fn build_gdb_check(messages: Stdio) -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--quiet", "-p", "kvm-vmm", "--example", "gdb-check"]);
    cargo.args(["--features", "gdb-rig"]).stderr(messages);
    match process::run(&mut cargo, Duration::from_secs(1800))? {
        Some(status) if status.success() => Ok(paths::target().join("release/examples/gdb-check")),
        _ => bail!("gdb-check does not build"),
    }
}

/// Builds kvm-vmm with some of its features. What cargo says goes to `messages`.
pub(crate) fn build_vmm(features: &[&str], messages: Stdio) -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--quiet", "-p", "kvm-vmm", "--example", "kvm-vmm"]);
    cargo.stderr(messages);
    let mut folder = paths::target();
    if !features.is_empty() {
        // A folder of its own, so that the program without them stays what it is.
        folder.push(format!("kvm-vmm-{}", features.join("-")));
        cargo.arg("--target-dir").arg(&folder).arg("--features").arg(features.join(","));
    }
    match process::run(&mut cargo, Duration::from_secs(1800))? {
        Some(status) if status.success() => Ok(folder.join("release/examples/kvm-vmm")),
        _ => bail!("kvm-vmm does not build"),
    }
}

/// Boots L1 with AMD's virtualization and runs the program in it.
///
/// # Errors
///
/// When L1 does not come to the program's end and no time limit is the reason.
pub(crate) fn amd(run: &Run<'_>) -> Result<Outcome> {
    let toolbox = Toolbox::ensure(&TOOLS)?;
    // Without a name there is nothing to clean up. QEMU inherits it.
    let initramfs = File::from(memfd_create("initramfs", MemfdFlags::empty())?);
    (&initramfs).write_all(&l1_initramfs(&toolbox, run)?)?;

    let mut tries = QEMU_TRIES;
    loop {
        let ended = boot(&mut qemu(&toolbox, &initramfs), run);
        tries -= 1;
        let is_qemus_own = || fs::read(run.log).is_ok_and(|log| shows(&log, QEMU_FAULT));
        if ended.is_ok() || tries == 0 || run.live || !is_qemus_own() {
            return ended;
        }
        println!("QEMU ended by a fault of its own ({QEMU_FAULT}): once more");
    }
}

/// What QEMU 10.0 says when it ends because a nested guest set CR8 while an interrupt was pending for
/// it: it forgets a lock of its own then (`helper_write_crN`). UEFI does so at the end of each
/// interrupt; whether one is pending is a matter of time.
const QEMU_FAULT: &str = "tcg_handle_interrupt: assertion failed: (bql_locked())";
/// How often it may.
const QEMU_TRIES: u32 = 5;

fn shows(log: &[u8], text: &str) -> bool {
    log.windows(text.len()).any(|part| part == text.as_bytes())
}

fn qemu(toolbox: &Toolbox, initramfs: &File) -> Command {
    let mut qemu = toolbox.command("qemu-system-x86_64");
    // Of a family that Linux knows no speculation trouble of: it would warn of a CPU whose microcode
    // is too old for its mitigations.
    qemu.args(["-machine", "q35,accel=tcg", "-cpu", "EPYC,+svm,+npt,family=16,model=8"])
        .args(["-m", "2048"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(toolbox.path(&LINUX_TRIXIE, "vmlinuz"))
        .arg("-initrd")
        .arg(format!("/proc/self/fd/{}", initramfs.as_raw_fd()))
        .args(["-append", "console=ttyS0 panic=-1 reboot=t rdinit=/init mitigations=off"]);
    qemu
}

/// Starts QEMU with four serial ports, and collects what comes out of them.
fn boot(qemu: &mut Command, run: &Run<'_>) -> Result<Outcome> {
    if let Some(folder) = run.log.parent() {
        fs::create_dir_all(folder)?;
    }
    let log = File::create(run.log).with_context(|| run.log.display().to_string())?;
    qemu.stdout(log.try_clone()?).stderr(log.try_clone()?);
    let mut theirs = Vec::new();
    let mut port = |sink: Sink| -> Result<JoinHandle<Vec<u8>>> {
        let (ours, end) = UnixStream::pair()?;
        add_port(qemu, theirs.len(), &end)?;
        theirs.push(end);
        Ok(thread::spawn(move || collect(ours, sink)))
    };
    let l1 = port(Box::new(log))?;
    let stdout = port(if run.live { Box::new(io::stdout()) } else { Box::new(io::sink()) })?;
    let stderr = port(if run.live { Box::new(io::stderr()) } else { Box::new(io::sink()) })?;
    let status = port(Box::new(io::sink()))?;

    let started = Instant::now();
    let ended = process::run(qemu, run.limit)?;
    // Ours are the last open ends now; without them the readers come to an end.
    drop(theirs);
    let text = |reader: JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    let (l1, stdout, stderr, status) = (text(l1), text(stdout), text(stderr), text(status));
    // Behind the line with the status come the files, packed.
    let line_end = status.iter().position(|byte| *byte == b'\n').unwrap_or(status.len());
    let (status, packed) = status.split_at(line_end);
    let returned = unpack(packed.get(1..).unwrap_or_default(), &run.log.with_extension("gz"))?;
    let status = match String::from_utf8_lossy(status).trim().parse() {
        Ok(status) => status,
        Err(_) if ended.is_none() => process::TIMED_OUT,
        Err(_) => bail!(
            "L1 ended after {:.1} s without the program's status; its log, {}, ends with\n{}",
            started.elapsed().as_secs_f32(),
            run.log.display(),
            tail(&l1, 10)
        ),
    };
    Ok(Outcome { status, stdout, stderr, returned })
}

/// Unpacks what gzip packed, by way of `file`.
fn unpack(packed: &[u8], file: &Path) -> Result<Vec<u8>> {
    if packed.is_empty() {
        return Ok(Vec::new());
    }
    fs::write(file, packed)?;
    let output = Command::new("gzip").arg("-dc").arg(file).output().context("gzip")?;
    ensure!(
        output.status.success(),
        "gzip: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(output.stdout)
}

type Sink = Box<dyn Write + Send>;

/// Gives QEMU a serial port whose other side is `end`.
fn add_port(qemu: &mut Command, index: usize, end: &UnixStream) -> Result<()> {
    fcntl_setfd(end.as_fd(), FdFlags::empty()).context("cannot pass a socket on")?;
    // Ports that share an interrupt work, but slowly.
    let irq = [4, 3, 5, 7].get(index).context("a PC has four serial ports")?;
    qemu.arg("-chardev").arg(format!("socket,id=port{index},fd={}", end.as_raw_fd()));
    qemu.arg("-device").arg(format!("isa-serial,chardev=port{index},index={index},irq={irq}"));
    Ok(())
}

/// Reads a port to its end. A sink that fails is no reason to let L1 wait.
fn collect(mut port: UnixStream, mut sink: Sink) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = port.read(&mut buffer) {
        let _ = sink.write_all(&buffer[..length]).and_then(|()| sink.flush());
        all.extend_from_slice(&buffer[..length]);
    }
    all
}

/// The last `count` lines of a text.
pub(crate) fn tail(text: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// L1's user space: KVM's modules, the program, and the files that its arguments name.
fn l1_initramfs(toolbox: &Toolbox, run: &Run<'_>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    initrd::add_busybox(
        &mut archive,
        toolbox,
        &["sh", "mount", "insmod", "stty", "poweroff", "gzip"],
    )?;
    for folder in ["proc", "sys", "dev", "tmp"] {
        archive.folder(folder)?;
    }
    let mut modules = Vec::new();
    for module in MODULES {
        modules.push(initrd::add_module(&mut archive, toolbox, module)?);
    }
    let program = fs::read(run.program).with_context(|| run.program.display().to_string())?;
    archive.program("program", &program)?;
    let arguments = add_files(&mut archive, run.arguments)?;
    let values = arguments.windows(2).filter(|pair| run.returns == Some(pair[0].as_str()));
    let returned = values.map(|pair| pair[1].split(',').next().unwrap_or_default());
    archive.program("init", l1_script(&modules, &arguments, returned).as_bytes())?;
    archive.finish()
}

/// Adds the files that values of options name (`--kernel FILE`, `--disk FILE,readonly`), and
/// returns the arguments with their names in L1.
fn add_files(archive: &mut Archive, arguments: &[OsString]) -> Result<Vec<String>> {
    let mut renamed = Vec::new();
    let mut after_option = false;
    for (index, argument) in arguments.iter().enumerate() {
        let argument = argument.to_str().context("an argument is not UTF-8")?;
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (format!("{option}="), value),
            _ => (String::new(), argument),
        };
        let (file, details) = match value.split_once(',') {
            Some((file, _)) => (file, &value[file.len()..]),
            None => (value, ""),
        };
        if (after_option || !option.is_empty()) && Path::new(file).is_file() {
            let base = Path::new(file).file_name().and_then(OsStr::to_str).unwrap_or("file");
            let name = format!("files/{index}/{base}");
            archive.file(&name, &fs::read(file).with_context(|| file.to_owned())?)?;
            renamed.push(format!("{option}/{name}{details}"));
        } else {
            renamed.push(argument.to_owned());
        }
        after_option = argument.starts_with("--") && option.is_empty();
    }
    Ok(renamed)
}

fn l1_script<'a>(
    modules: &[String],
    arguments: &[String],
    returned: impl Iterator<Item = &'a str>,
) -> String {
    let mut script = String::from(
        "#!/bin/sh\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t devtmpfs devtmpfs /dev\n",
    );
    for module in modules {
        let _ = writeln!(script, "insmod /{module}");
    }
    // Open ports keep their settings, and are drained before they are closed.
    script += "exec 3>/dev/ttyS1 4>/dev/ttyS2 5>/dev/ttyS3\n\
               for port in 1 2 3; do stty -F /dev/ttyS$port raw -echo; done\n\
               /program";
    for argument in arguments {
        let _ = write!(script, " '{}'", argument.replace('\'', r"'\''"));
    }
    script += " </dev/null >&3 2>&4 3>&- 4>&- 5>&-\n\
               echo $? >&5\n";
    for file in returned {
        let _ = writeln!(script, "gzip -c '{}' >&5", file.replace('\'', r"'\''"));
    }
    script += "exec 3>&- 4>&- 5>&-\n\
               poweroff -f\n";
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_options_name_come_along_and_nothing_else_does() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let readonly = format!("{file},readonly");
        let joined = format!("--initrd={file}");
        let asked = ["--kernel", file, "--disk", &readonly, &joined, "--cmdline", "a=b", file];
        let mut archive = Archive::default();
        let renamed = add_files(&mut archive, &asked.map(OsString::from)).unwrap();
        assert_eq!(
            renamed,
            [
                "--kernel",
                "/files/1/Cargo.toml",
                "--disk",
                "/files/3/Cargo.toml,readonly",
                "--initrd=/files/4/Cargo.toml",
                "--cmdline",
                "a=b",
                file,
            ]
        );
        let contents = fs::read(file).unwrap();
        let bytes = archive.finish().unwrap();
        let copies = bytes.windows(contents.len()).filter(|window| *window == contents).count();
        assert_eq!(copies, 3);
    }

    #[test]
    fn arguments_reach_the_program_as_they_are() {
        let arguments = ["", "two words", "it's", "$HOME `x` \"q\" \\"].map(str::to_owned);
        let script = l1_script(&[], &arguments, ["/files/1/it's", "/files/3/x"].into_iter());
        assert!(script.contains("gzip -c '/files/1/it'\\''s' >&5\ngzip -c '/files/3/x' >&5\n"));
        let line = script.lines().find(|line| line.starts_with("/program")).unwrap();
        let (arguments_as_written, _) = line["/program".len()..].split_once(" </dev/null").unwrap();
        let echo = format!("printf '%s\\n' {arguments_as_written}");
        let output = Command::new("sh").arg("-c").arg(echo).output().unwrap();
        let lines: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
        assert_eq!(lines, arguments);
    }
}
