//! What the tests that run the program share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]
#![allow(missing_debug_implementations)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use guest_images::{Segment, pvh_kernel};

/// `mov al, V; out 0xF4, al`.
#[macro_export]
macro_rules! exit_with {
    ($value:expr) => {
        [0xB0, $value, 0xE6, 0xF4]
    };
}

#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// It ended with this status, the hypervisor said this, and went on to its own end.
    #[track_caller]
    pub fn ends(&self, status: i32, said: &str) {
        assert_eq!(self.status, status, "{self:#?}");
        assert!(self.stderr.contains(said), "no {said:?} in {self:#?}");
        assert!(self.stderr.contains("hypervisor: the host's BIOS area is unchanged"), "{self:#?}");
    }
}

/// Where cargo put the example that it built for these tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/bare-metal")
}

pub fn run(arguments: &[&str]) -> Run {
    let limits = ["--timeout", "300", "--max-ticks", "3000000000"];
    let output = Command::new(program()).args(arguments).args(limits).output().unwrap();
    Run {
        status: output.status.code().expect("it ends by itself, not by a signal"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Writes a PVH kernel of these 32-bit instructions.
pub fn kernel(code: &[&[u8]]) -> TempFile {
    TempFile::new(&pvh_kernel(&[Segment::new(0x10_0000, 0x1000, &code.concat())]))
}

/// Runs such a guest, in as little memory as can be.
pub fn run_code(code: &[&[u8]]) -> Run {
    run(&["--memory", "8M", "--kernel", kernel(code).path()])
}

pub struct TempFile(pub PathBuf);

impl TempFile {
    pub fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bare-metal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl TempFile {
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
