//! Running the program, and guests of a few instructions.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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

/// One segment of an ELF: address, size in memory, bytes.
pub(crate) struct Segment<'a>(pub(crate) u64, pub(crate) u64, pub(crate) &'a [u8]);

/// A PVH kernel with these segments, entered at the first.
pub(crate) fn elf(segments: &[Segment<'_>]) -> Vec<u8> {
    const HEADERS: u64 = 0x1000;
    let note_at = 0x800_u64;
    let mut file = vec![0; usize::try_from(HEADERS).unwrap()];
    let mut put = |at: u64, bytes: &[u8]| {
        let at = usize::try_from(at).unwrap();
        file[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(0, b"\x7fELF\x02\x01\x01");
    let count = u16::try_from(segments.len() + 1).unwrap();
    put(16, &2_u16.to_le_bytes());
    put(18, &62_u16.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &segments[0].0.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &count.to_le_bytes());
    let mut header = |index: usize, kind: u32, words: [u64; 5]| {
        let at = 64 + 56 * u64::try_from(index).unwrap();
        let [offset, address, file_bytes, memory_bytes, align] = words;
        put(at, &kind.to_le_bytes());
        for (field, value) in [
            (8, offset),
            (16, address),
            (24, address),
            (32, file_bytes),
            (40, memory_bytes),
            (48, align),
        ] {
            put(at + field, &value.to_le_bytes());
        }
    };
    let mut offset = HEADERS;
    for (index, Segment(address, memory_bytes, bytes)) in segments.iter().enumerate() {
        let size = u64::try_from(bytes.len()).unwrap();
        header(index, 1, [offset, *address, size, *memory_bytes, 1]);
        offset += size;
    }
    header(segments.len(), 4, [note_at, 0, 20, 20, 4]);
    let entry = u32::try_from(segments[0].0 & 0xFFFF_FFFF).unwrap();
    for (index, word) in [4, 4, 18, u32::from_le_bytes(*b"Xen\0"), entry].into_iter().enumerate() {
        put(note_at + 4 * u64::try_from(index).unwrap(), &word.to_le_bytes());
    }
    segments.iter().for_each(|Segment(.., bytes)| file.extend_from_slice(bytes));
    file
}

/// A guest of these 32-bit instructions.
pub(crate) fn guest(name: &str, code: &[u8]) -> TempFile {
    TempFile::new(name, &elf(&[Segment(0x10_0000, 0x1000, code)]))
}

/// `jmp $`.
pub(crate) const LOOP: &[u8] = &[0xEB, 0xFE];
