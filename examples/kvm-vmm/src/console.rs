//! Where the guest's output goes, and the terminal that its input comes from.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr,
};

use crate::failure::Failure;
use crate::options::{Console, Debugcon, TraceTo};

/// A place for output that the guest may flood and that may go away.
#[derive(Debug)]
pub(crate) struct Output {
    name: &'static str,
    to: Option<Target>,
    pending: Vec<u8>,
    /// Write at once, or only whole lines.
    by_line: bool,
    /// What is lost if it can't be written.
    lost: &'static str,
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    File(File),
}

const MOST_PENDING: usize = 4096;
const MOST_TRACE_PENDING: usize = 64 << 10;

impl Output {
    /// The serial console: what the guest writes is written at once.
    pub(crate) fn console(console: &Console) -> Result<Self, Failure> {
        let to = match console {
            Console::Stdio => Some(Target::Stdout),
            Console::Null => None,
            Console::File(path) => Some(create(path)?),
        };
        Ok(Self { name: "console", to, pending: Vec::new(), by_line: false, lost: "its output" })
    }

    /// The debug ports: written by line, since they send a byte at a time.
    pub(crate) fn debugcon(debugcon: &Debugcon) -> Result<Self, Failure> {
        let to = match debugcon {
            Debugcon::Stderr => Some(Target::Stderr),
            Debugcon::Null => None,
            Debugcon::File(path) => Some(create(path)?),
        };
        let name = "debug console";
        Ok(Self { name, to, pending: Vec::new(), by_line: true, lost: "its output" })
    }

    /// A trace of exits: written when there is much of it, and at the end.
    pub(crate) fn trace(to: &TraceTo) -> Result<Self, Failure> {
        let to = match to {
            TraceTo::Stderr => Target::Stderr,
            TraceTo::File(path) => create(path)?,
        };
        let (name, lost) = ("trace of exits", "the rest of the trace");
        Ok(Self { name, to: Some(to), pending: Vec::new(), by_line: false, lost })
    }

    /// Takes a byte; it is written by the next [`flush`](Self::flush) at the latest.
    pub(crate) fn push(&mut self, byte: u8) {
        if self.to.is_none() {
            return;
        }
        self.pending.push(byte);
        if self.pending.len() >= MOST_PENDING || (self.by_line && byte == b'\n') {
            self.flush();
        }
    }

    /// Takes many bytes at once.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.to.is_none() {
            return;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= MOST_TRACE_PENDING {
            self.flush();
        }
    }

    /// Returns how many bytes wait to be written.
    pub(crate) const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes what is pending. Where nobody listens any more, says so once and drops the rest.
    pub(crate) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let result = match &mut self.to {
            None => Ok(()),
            Some(Target::Stdout) => write_unbuffered(&mut io::stdout().lock(), &self.pending),
            Some(Target::Stderr) => io::stderr().write_all(&self.pending),
            Some(Target::File(file)) => file.write_all(&self.pending),
        };
        self.pending.clear();
        if let Err(error) = result {
            self.to = None;
            // Standard error may be gone too; there is nobody left to tell then.
            let _ = writeln!(
                io::stderr(),
                "kvm-vmm: {}: {error}; the guest goes on, {} is lost\r",
                self.name,
                self.lost
            );
        }
    }
}

fn write_unbuffered(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

fn create(path: &std::path::Path) -> Result<Target, Failure> {
    File::create(path)
        .map(Target::File)
        .map_err(|error| Failure::File { path: path.to_owned(), error })
}

/// What the terminal was before it was made raw.
static COOKED: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal in raw mode, until this is dropped or the process ends in any way that can be
/// caught.
#[derive(Debug)]
pub(crate) struct RawTerminal(());

impl RawTerminal {
    /// Makes standard input raw if it is a terminal.
    ///
    /// Ctrl-C still raises SIGINT, which ends the program; all other keys are the guest's.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        let stdin = rustix::stdio::stdin();
        if !isatty(stdin) {
            return Ok(None);
        }
        let cooked = tcgetattr(stdin)?;
        let mut raw = cooked.clone();
        raw.make_raw();
        raw.local_modes |= LocalModes::ISIG;
        for code in [SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP] {
            raw.special_codes[code] = 0;
        }
        *COOKED.lock().unwrap_or_else(PoisonError::into_inner) = Some(cooked);
        tcsetattr(stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self(())))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Gives the terminal back as it was. Harmless if it never was raw.
pub(crate) fn restore_terminal() {
    let cooked = COOKED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(cooked) = cooked {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &cooked);
    }
}
