//! Running the program, and guests of a few instructions.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use guest_images::{Segment, pvh_kernel};

/// Nothing here takes longer, on any machine.
const HANG: Duration = Duration::from_secs(60);

/// Where cargo put the example that it built for these tests.
pub(crate) fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/kvm-vmm");
    assert!(program.exists(), "{} is not built", program.display());
    program
}

pub(crate) fn vmm<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end, which must come.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Run {
    finish(vmm(arguments).spawn().unwrap())
}

pub(crate) fn finish(mut child: Child) -> Run {
    let started = Instant::now();
    // Outputs here are shorter than a pipe, so that nobody need read them while it runs.
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > HANG {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
    Run::new(child.wait_with_output().unwrap())
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn new(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it ends by itself, not by a signal"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It failed with this status and said this on a line of its own, and nothing else of note.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, message: &str) {
        assert_eq!(self.status, status, "{self:#?}");
        let said = self.stderr.lines().any(|line| line.contains(message));
        assert!(said, "no line with {message:?} in {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }
}

/// A file that is gone when this is dropped.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("kvm-vmm-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A guest of these 32-bit instructions.
pub(crate) fn guest(name: &str, code: &[u8]) -> TempFile {
    TempFile::new(name, &pvh_kernel(&[Segment::new(0x10_0000, 0x1000, code)]))
}

/// `jmp $`.
pub(crate) const LOOP: &[u8] = &[0xEB, 0xFE];
