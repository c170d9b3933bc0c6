//! How each kind of [`Check`] is run.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::disks::{self, Disks};
use crate::judge::{Fault, NONCE_OPTION, judge, new_nonce};
use crate::rig::{Boot, Check, Host, Judge, Need, Prints, Rig};
use crate::toolbox::Toolbox;
use crate::tools::{BUSYBOX, LINUX_TRIXIE, QEMU};
use crate::{bench, guest_tables, initrd, nested, paths, process, repository, ticks, variables};

/// How long cargo may build and test.
const CARGO_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How long a guest may run, with the machine around it.
const GUEST_LIMIT: Duration = Duration::from_secs(300);
/// How long a dozen guests, one after the other, within one that QEMU interprets.
const GDB_LIMIT: Duration = Duration::from_secs(900);

/// The guest's log on the console, and an end instead of a wait if it crashes.
const LINUX_OPTIONS: &str = "console=ttyS0 panic=-1 reboot=t";

/// The word by which kvm-vmm puts a fault into a table.
const FAULT_OPTION: &str = "kvm-vmm.fault=";

/// `Scope (\_SB.NOPE) {}`: a scope that doesn't exist.
const BROKEN_AML: &[u8] = b"\x10\x0b\\._SB_NOPE";

/// Programs that tests find by these variables.
const PROGRAMS: [(&str, &str); 5] = [
    ("HVKIT_IASL", "iasl"),
    ("HVKIT_ACPIEXEC", "acpiexec"),
    ("HVKIT_DMIDECODE", "dmidecode"),
    ("HVKIT_BOCHS_SID", "bochs-sid"),
    ("HVKIT_QEMU", "qemu-system-x86_64"),
];

/// How a rig ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should.
    Passed,
    /// Not as it should, for this reason.
    Failed(String),
    /// It could not run, for this reason.
    Skipped(String),
}

/// Where a rig's output goes.
pub(crate) fn log_path(rig: &Rig) -> PathBuf {
    rigs_folder().join(format!("{}.log", rig.name))
}

fn rigs_folder() -> PathBuf {
    paths::target().join("rigs")
}

/// Runs one rig.
pub(crate) fn run(rig: &Rig) -> Verdict {
    if let Some(why) = rig.needs.iter().find_map(lack) {
        return Verdict::Skipped(why);
    }
    let run = || {
        let mut log = Log::create(log_path(rig))?;
        match &rig.check {
            Check::Cargo(arguments) => {
                let mut cargo = process::cargo();
                cargo.env("CARGO_TERM_COLOR", "never").env("TERM", "dumb");
                cargo.env("HVKIT_TOOLBOX", paths::target().join("toolbox"));
                for (name, program) in PROGRAMS {
                    cargo.env(name, Toolbox::starter(program));
                }
                let status = log.run(cargo.args(*arguments), CARGO_LIMIT)?;
                Ok(match status {
                    Some(status) if status.success() => Verdict::Passed,
                    Some(status) => Verdict::Failed(status.to_string()),
                    None => Verdict::Failed(format!("no end after {} s", CARGO_LIMIT.as_secs())),
                })
            }
            Check::Repository => {
                let complaints = repository::complaints(paths::workspace())?;
                for complaint in &complaints {
                    writeln!(log.file, "{complaint}")?;
                }
                Ok(match complaints.len() {
                    0 => Verdict::Passed,
                    count => Verdict::Failed(format!("{count} complaints")),
                })
            }
            Check::Boot(boot) => boot_guest(boot, &mut log),
            Check::Variables(boot) => variables::outlive(boot, &mut log),
            Check::Prints(prints) => start_and_read(prints, &mut log),
            Check::Agree(boot, known) => agree(boot, known, &mut log),
            Check::Gdb => check_gdb(&mut log),
            Check::Memory => {
                let peak = bench::peak_memory_kib(log.stdio()?)?;
                writeln!(log.file, "{peak} KiB, at most {}", bench::MOST_MEMORY_KIB)?;
                Ok(match peak <= bench::MOST_MEMORY_KIB {
                    true => Verdict::Passed,
                    false => {
                        Verdict::Failed(format!("{peak} KiB, over {}", bench::MOST_MEMORY_KIB))
                    }
                })
            }
            Check::Ticks => {
                let costs = ticks::measure()?;
                writeln!(log.file, "{costs:#?}")?;
                Ok(ticks::too_many(&costs).map_or(Verdict::Passed, Verdict::Failed))
            }
        }
    };
    run().unwrap_or_else(|error: anyhow::Error| Verdict::Failed(format!("{error:#}")))
}

/// Why a need is not met.
fn lack(need: &Need) -> Option<String> {
    match need {
        Need::Kvm => {
            let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm");
            kvm.is_err().then(|| "no usable /dev/kvm".to_owned())
        }
        Need::Tool(tool) => Toolbox::ensure(&[tool]).err().map(|error| format!("{error:#}")),
    }
}

/// A rig's log file.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    file: File,
}

impl Log {
    fn create(path: PathBuf) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, file })
    }

    fn stdio(&self) -> Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }

    /// Runs a command with all its output in the log.
    fn run(&self, command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
        process::run(command.stdout(self.stdio()?).stderr(self.stdio()?), limit)
    }

    /// Runs a command that prints a guest's console, and returns its status and the console.
    fn run_guest(&mut self, command: &mut Command) -> Result<(i32, Vec<u8>)> {
        let path = self.path.with_extension("console");
        command.stdout(File::create(&path)?).stderr(self.stdio()?);
        let status = match process::run(command, GUEST_LIMIT)? {
            Some(status) => status.code().context("the host was killed by a signal")?,
            None => process::TIMED_OUT,
        };
        let console = fs::read(&path)?;
        self.file.write_all(&console)?;
        Ok((status, console))
    }
}

/// Boots a guest with a new nonce, and judges what came of it.
fn boot_guest(boot: &Boot, log: &mut Log) -> Result<Verdict> {
    let nonce = new_nonce();
    let disks = boot.has_disks.then(|| Disks::make(&log.path)).transpose()?;
    let mut returned = Vec::new();
    let (status, console) = match boot.host {
        Host::Kvm => log.run_guest(example("kvm-vmm").args(vmm_arguments(boot, &nonce)?))?,
        Host::Bochs => log.run_guest(example("bare-metal").args(vmm_arguments(boot, &nonce)?))?,
        Host::NestedAmd => {
            let mut arguments = vmm_arguments(boot, &nonce)?;
            let options = disks.iter().flat_map(Disks::options);
            arguments.extend(options.map(OsString::from));
            let returns = disks.as_ref().map(|_| Disks::OPTION);
            let outcome = nested_guest(boot, &arguments, returns, log)?;
            returned = outcome.returned;
            (outcome.status, outcome.stdout)
        }
        Host::Qemu => log.run_guest(&mut qemu(boot, &nonce)?)?,
    };
    let faults = judge(status, &console, &nonce, boot.starts);
    let text = String::from_utf8_lossy(&console);
    if let Some(missing) = boot.prints.iter().find(|wanted| !text.contains(**wanted)) {
        return Ok(Verdict::Failed(format!("did not print {missing:?}")));
    }
    let differences = match boot.tables_of_cpus {
        // What did not even run has nothing more to say, if it should have.
        Some(cpus) if faults.is_empty() || boot.red_by.is_some() => {
            table_faults(&console, cpus, log)?
        }
        _ => Vec::new(),
    };
    let by_log = |fault: &&Fault| matches!(fault, Fault::Forbidden(_));
    let red_by: Vec<_> = [
        (Judge::End, faults.iter().any(|fault| !by_log(&fault))),
        (Judge::Log, faults.iter().any(|fault| by_log(&fault))),
        (Judge::Tables, !differences.is_empty()),
    ]
    .into_iter()
    .filter_map(|(judge, sees)| sees.then_some(judge))
    .collect();
    let on_disks = disks.map_or(Vec::new(), |disks| disks.faults(&console, &returned, &nonce));
    let all: Vec<_> =
        faults.iter().map(Fault::to_string).chain(differences).chain(on_disks).collect();
    writeln!(log.file, "red by {red_by:?}: {all:#?}")?;
    Ok(match boot.red_by {
        None if all.is_empty() => Verdict::Passed,
        None => Verdict::Failed(all.join("; ")),
        Some(expected) if red_by == expected => Verdict::Passed,
        Some(expected) => {
            Verdict::Failed(format!("the fault is seen by {red_by:?}, and not by {expected:?}"))
        }
    })
}

/// Runs the sessions of `--gdb` in a Linux with a KVM of its own.
fn check_gdb(log: &mut Log) -> Result<Verdict> {
    let vmlinux = Toolbox::ensure(&[&LINUX_TRIXIE])?.path(&LINUX_TRIXIE, "vmlinux");
    let vmm = nested::build_vmm(&[], log.stdio()?)?;
    let outcome = nested::amd(&nested::Run {
        program: &nested::build_gdb_check(log.stdio()?)?,
        arguments: &["--vmm".into(), vmm.into(), "--vmlinux".into(), vmlinux.into()],
        limit: GDB_LIMIT,
        live: false,
        returns: None,
        log: &log.path.with_extension("l1.log"),
    })?;
    log.file.write_all(&outcome.stderr)?;
    log.file.write_all(&outcome.stdout)?;
    Ok(match outcome.status {
        0 => Verdict::Passed,
        status => {
            let last = nested::tail(&outcome.stderr, 3);
            Verdict::Failed(format!("status {status}: {last}"))
        }
    })
}

/// Runs kvm-vmm in QEMU. The file that the option `returns` names comes back.
pub(crate) fn nested_guest(
    boot: &Boot,
    arguments: &[OsString],
    returns: Option<&str>,
    log: &mut Log,
) -> Result<nested::Outcome> {
    let outcome = nested::amd(&nested::Run {
        program: &nested::build_vmm(boot.features, log.stdio()?)?,
        arguments,
        limit: GUEST_LIMIT,
        live: false,
        returns,
        log: &log.path.with_extension("l1.log"),
    })?;
    log.file.write_all(&outcome.stderr)?;
    log.file.write_all(&outcome.stdout)?;
    Ok(outcome)
}

/// Holds the tables that a guest read against those of the example `tables`, and has that example
/// look for broken rules in them.
fn table_faults(console: &[u8], cpus: u32, log: &mut Log) -> Result<Vec<String>> {
    let mut faults = guest_tables::compare(console, cpus, |cpus, place| {
        let folder = log.path.with_extension("files");
        let mut example = example("tables");
        example.args(["--cpus", &cpus.to_string(), "--at", &format!("{place:#x}"), "--out"]);
        let status = log.run(example.arg(&folder), CARGO_LIMIT)?;
        ensure!(status.is_some_and(|status| status.success()), "the example tables fails");
        Ok(folder)
    })?;
    let file = log.path.with_extension("console");
    fs::write(&file, console)?;
    let status = log.run(example("tables").arg("--check").arg(&file), CARGO_LIMIT)?;
    match status.and_then(|status| status.code()) {
        Some(0) => {}
        Some(1) => faults.push("the tables break rules, as the log says".to_owned()),
        // That there are none the comparison has said.
        Some(66) if !faults.is_empty() => {}
        _ => bail!("the example tables fails"),
    }
    Ok(faults)
}

/// Starts a kernel that knows nothing of us, and looks for what it has to print.
fn start_and_read(prints: &Prints, log: &mut Log) -> Result<Verdict> {
    let nonce = new_nonce();
    let filled = |text: &str| text.replace("$nonce", &nonce);
    let (tool, file) = prints.kernel;
    let kernel = Toolbox::ensure(&[tool])?.path(tool, file);
    let mut arguments: Vec<OsString> = vec!["--kernel".into(), kernel.into()];
    arguments.extend(["--cmdline".into(), filled(prints.command_line).into()]);
    arguments.extend(prints.options.iter().map(OsString::from));
    let outcome = nested::amd(&nested::Run {
        program: &nested::build_vmm(&[], log.stdio()?)?,
        arguments: &arguments,
        limit: GUEST_LIMIT,
        live: false,
        returns: None,
        log: &log.path.with_extension("l1.log"),
    })?;
    log.file.write_all(&outcome.stderr)?;
    log.file.write_all(&outcome.stdout)?;
    let console = String::from_utf8_lossy(&outcome.stdout);
    let missing = prints.texts.iter().map(|text| filled(text)).find(|text| !console.contains(text));
    Ok(match missing {
        Some(text) => Verdict::Failed(format!("did not print {text:?}")),
        None if outcome.status != prints.status => {
            Verdict::Failed(format!("status {}, not {}", outcome.status, prints.status))
        }
        None => Verdict::Passed,
    })
}

/// The command that runs an example; its options follow.
fn example(name: &str) -> Command {
    let mut cargo = process::cargo();
    cargo.args(["run", "--release", "--example", name, "--"]);
    cargo
}

/// Boots the tour on KVM and on bare metal with the same nonce, and compares what it found.
fn agree(boot: &Boot, known: &[&str], log: &mut Log) -> Result<Verdict> {
    let nonce = new_nonce();
    let arguments = vmm_arguments(boot, &nonce)?;
    let mut reports = Vec::new();
    for name in ["kvm-vmm", "bare-metal"] {
        let (status, console) = log.run_guest(example(name).args(&arguments))?;
        let faults = judge(status, &console, &nonce, 1);
        if let Some(fault) = faults.first() {
            return Ok(Verdict::Failed(format!("{name}: {fault}")));
        }
        reports.push(String::from_utf8(console)?);
    }
    let is_known = |line: &&str| known.iter().any(|word| line.starts_with(word));
    let [first, second] = [0, 1]
        .map(|index| reports[index].lines().filter(|line| !is_known(line)).collect::<Vec<_>>());
    let difference = first.iter().zip(&second).find(|(a, b)| a != b);
    Ok(match difference {
        Some((a, b)) => Verdict::Failed(format!("{a:?} on KVM is {b:?} on bare metal")),
        None if first.len() != second.len() => {
            Verdict::Failed(format!("{} lines on KVM, {} on bare metal", first.len(), second.len()))
        }
        None => Verdict::Passed,
    })
}

/// The arguments that make kvm-vmm or bare-metal boot the guest.
pub(crate) fn vmm_arguments(boot: &Boot, nonce: &str) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut command_line = format!("{} {NONCE_OPTION}{nonce}", boot.words);
    if let Some(fault) = boot.fault {
        command_line = format!("{FAULT_OPTION}{fault} {command_line}");
    }
    if let Some((kernel, initrd)) = kernel_files(boot)? {
        command_line = format!("{LINUX_OPTIONS} {command_line}");
        arguments.extend(["--kernel".into(), kernel.into(), "--initrd".into(), initrd.into()]);
    }
    if boot.has_disks {
        command_line = format!("{command_line} {}", disks::OPTION);
    }
    if let Some(cpus) = boot.tables_of_cpus {
        command_line = format!("{command_line} {}", guest_tables::OPTION);
        arguments.extend(["--cpus".into(), cpus.to_string().into()]);
    }
    arguments.extend(["--cmdline".into(), command_line.into()]);
    if let Some((tool, file)) = boot.firmware {
        let firmware = Toolbox::ensure(&[tool])?.path(tool, file);
        arguments.extend(["--firmware".into(), firmware.into()]);
    }
    arguments.extend(boot.options.iter().map(OsString::from));
    Ok(arguments)
}

/// QEMU with the guest on a platform of its own.
fn qemu(boot: &Boot, nonce: &str) -> Result<Command> {
    let mut qemu = Toolbox::ensure(&[&QEMU])?.command("qemu-system-x86_64");
    qemu.args(["-machine", "q35,accel=tcg", "-m", "512", "-nodefaults", "-display", "none"])
        .args(["-no-reboot", "-serial", "stdio"])
        .args(["-append", &format!("{LINUX_OPTIONS} {NONCE_OPTION}{nonce}")])
        .args(boot.options);
    if let Some((kernel, initrd)) = kernel_files(boot)? {
        qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    }
    if boot.red_by.is_some() {
        let file = rigs_folder().join("broken.aml");
        fs::write(&file, BROKEN_AML)?;
        qemu.arg("-acpitable").arg(format!("sig=SSDT,rev=2,data={}", file.display()));
    }
    Ok(qemu)
}

/// The kernel of a guest, and its user space.
fn kernel_files(boot: &Boot) -> Result<Option<(PathBuf, PathBuf)>> {
    let Some((tool, file)) = boot.kernel else { return Ok(None) };
    let toolbox = Toolbox::ensure(&[tool, &BUSYBOX])?;
    let mut modules = Vec::new();
    if boot.has_disks {
        modules.push("drivers/block/virtio_blk.ko");
    }
    if boot.words.contains(variables::WORD) {
        modules.push("fs/efivarfs/efivarfs.ko");
    }
    let initrd = rigs_folder().join("initrd.cpio");
    fs::write(&initrd, initrd::guest(&toolbox, &modules)?)?;
    Ok(Some((toolbox.path(tool, file), initrd)))
}
