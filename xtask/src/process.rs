//! Children that cannot outlive this program.
//!
//! Each child leads a process group of its own, so that a time limit or Ctrl-C ends it together
//! with everything that it started, and the kernel kills it if this program is itself killed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio, exit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The first argument that makes this program a child of itself; see [`become_program`].
pub(crate) const LEASH: &str = "leash";

/// The exit status of a run that its time limit ended.
pub(crate) const TIMED_OUT: i32 = 124;

/// How often a child with a time limit is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The process groups that are running now.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command, without standard input, whose child dies with the thread that spawns it.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    // Asking for the signal takes code in the child; this program started once more is a child
    // that runs safe code. The link stays good when a build replaces the file.
    let mut command = Command::new("/proc/self/exe");
    command.arg(LEASH).arg(program).process_group(0).stdin(Stdio::null());
    command
}

/// Cargo, the one that started this program.
pub(crate) fn cargo() -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::paths::workspace());
    command
}

/// The child's half of [`command`]: asks to die with its parent, then becomes the program.
/// Returns only if that fails.
pub(crate) fn become_program(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Error {
    let Some(program) = arguments.next() else {
        return anyhow!("{LEASH}: no program given");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    let error = Command::new(&program).args(arguments).exec();
    anyhow!(error).context(format!("cannot start {}", program.display()))
}

/// Ends every running child on Ctrl-C, SIGTERM and SIGHUP, then this program.
pub(crate) fn end_children_on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            for &group in groups().iter() {
                kill_group(group);
            }
            exit(128 + signal);
        }
    });
    Ok(())
}

fn kill_group(group: Pid) {
    // It may have ended by itself; there is nobody to tell.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Runs `command` to its end. At the end of `limit` it is killed with all that it started, and
/// there is no status.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let (mut child, group) = spawn(command).context("cannot start a process")?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            kill_group(group);
            child.wait()?;
            break None;
        }
        thread::sleep(POLL);
    };
    groups().retain(|&other| other != group);
    Ok(status)
}

/// Spawns under the lock, so that a signal finds every child that exists.
fn spawn(command: &mut Command) -> io::Result<(Child, Pid)> {
    let mut groups = groups();
    let child = command.spawn()?;
    let group = Pid::from_child(&child);
    groups.push(group);
    Ok((child, group))
}

/// Runs `command` and returns what it printed.
///
/// # Errors
///
/// When it cannot be started or fails; the error holds what it said on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        let arguments: Vec<_> = command.get_args().skip(1).map(OsStr::to_string_lossy).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!("{}: {}\n{}", arguments.join(" "), output.status, said.trim_end()));
    }
    String::from_utf8(output.stdout).context("output is not UTF-8")
}
