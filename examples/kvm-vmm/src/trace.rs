//! A line for each time that a CPU leaves the guest, for `--trace-exits`.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use guest_state::Gpa;
use kvm_ioctls::{VcpuExit, WriteMsrExit};
use machine::{Devices, Nanos, Xen};

use crate::console::Output;
use crate::failure::Failure;
use crate::options::TraceTo;
use crate::sys::Exit;

/// The columns, as the first line names them.
const COLUMNS: &str = "# n\tns\tcpu\tkind\tat\tsize\tcount\tdata\tdevice\tanswer_ns\trip\n";

/// Where the lines go. Its lock is taken with that of the devices, so that the lines are in the order
/// in which the devices saw the exits.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Whether KVM tells where the guest is.
    pub(crate) has_rip: bool,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    output: Output,
    count: u64,
    /// The line that is being made.
    line: String,
}

/// Why a CPU is back from the guest.
#[derive(Debug)]
pub(crate) enum Left<'e, 'r> {
    /// Something has to be answered, and has been.
    Exit(&'e Exit<'r>),
    /// It was kicked.
    Interrupted,
    /// It waited for its SIPI, which has come.
    Sipi,
    /// KVM can't run it.
    Error(i32),
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.output.flush();
    }
}

impl Trace {
    pub(crate) fn new(to: &TraceTo, has_rip: bool) -> Result<Self, Failure> {
        let mut output = Output::trace(to)?;
        output.write(COLUMNS.as_bytes());
        let lines = Mutex::new(Lines { output, count: 0, line: String::new() });
        Ok(Self { has_rip, lines })
    }

    /// Begins the line of an exit, which came `since`, at the guest's time `at`, and has been answered
    /// now. The rest of it is known once the exit is given back.
    pub(crate) fn line(
        &self,
        cpu: usize,
        (since, at): (Instant, Nanos),
        left: &Left<'_, '_>,
        devices: &Devices<'_>,
    ) -> Line<'_> {
        let answered = since.elapsed();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.count += 1;
        let Lines { line, count, .. } = &mut *lines;
        line.clear();
        // A string takes all that is written to it.
        let _ = write!(line, "{count}\t{}\t{cpu}\t", at.get());
        match left {
            Left::Exit(exit) => write_exit(line, exit, devices),
            Left::Interrupted => line.push_str("interrupted\t-\t-\t-\t-\t-"),
            Left::Sipi => line.push_str("sipi\t-\t-\t-\t-\t-"),
            Left::Error(errno) => write_at(line, "error", u64::from(errno.unsigned_abs())),
        }
        Line { lines, answered }
    }

    /// Adds a line that is none of an exit.
    pub(crate) fn remark(&self, remark: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.output.write(format!("# {remark}\n").as_bytes());
    }

    /// Writes what is pending, unless a thread is writing just now.
    pub(crate) fn flush(&self) {
        if let Ok(mut lines) = self.lines.try_lock() {
            lines.output.flush();
        }
    }
}

/// A line that lacks its end.
#[derive(Debug)]
#[must_use = "the line has no end yet"]
pub(crate) struct Line<'t> {
    lines: MutexGuard<'t, Lines>,
    answered: Duration,
}

impl Line<'_> {
    /// Ends it.
    pub(crate) fn end(mut self, rip: Option<u64>) {
        let Lines { line, output, .. } = &mut *self.lines;
        let _ = write!(line, "\t{}\t", self.answered.as_nanos());
        let _ = match rip {
            Some(rip) => writeln!(line, "{rip:#x}"),
            None => writeln!(line, "-"),
        };
        output.write(line.as_bytes());
    }
}

/// Writes the columns from kind to device.
fn write_exit(line: &mut String, exit: &Exit<'_>, devices: &Devices<'_>) {
    let port = |port, size| devices.port_device(port, size);
    let memory = |address| devices.memory_device(Gpa::new(address));
    match exit {
        Exit::PortRead { port: at, size, data } => {
            write_access(line, "in", (*at).into(), *size, data, port(*at, *size));
        }
        Exit::PortWrite { port: at, size, data } => {
            write_access(line, "out", (*at).into(), *size, data, port(*at, *size));
        }
        Exit::InternalError { suberror, instruction, .. } => {
            let bytes = instruction.as_deref().unwrap_or_default();
            write_access(line, "internal-error", (*suberror).into(), 1, bytes, None);
        }
        Exit::Other(other) => match other {
            VcpuExit::MmioRead(at, data) => {
                write_access(line, "read", *at, data.len(), data, memory(*at));
            }
            VcpuExit::MmioWrite(at, data) => {
                write_access(line, "write", *at, data.len(), data, memory(*at));
            }
            VcpuExit::X86Wrmsr(WriteMsrExit { index, data, .. }) => {
                let device = (*index == Xen::HYPERCALL_MSR).then_some("xen");
                write_access(line, "wrmsr", (*index).into(), 8, &data.to_le_bytes(), device);
            }
            VcpuExit::IoapicEoi(vector) => {
                let _ = write!(line, "eoi\t{vector:#x}\t-\t-\t-\tioapic");
            }
            VcpuExit::FailEntry(reason, _) => write_at(line, "fail-entry", *reason),
            VcpuExit::SystemEvent(kind, _) => write_at(line, "system-event", (*kind).into()),
            VcpuExit::MemoryFault { gpa, .. } => write_at(line, "memory-fault", *gpa),
            other => {
                let kind = match other {
                    VcpuExit::IrqWindowOpen => "window",
                    VcpuExit::Intr => "signal",
                    VcpuExit::Debug(_) => "debug",
                    VcpuExit::Hlt => "hlt",
                    VcpuExit::Shutdown => "shutdown",
                    _ => "other",
                };
                let _ = write!(line, "{kind}\t-\t-\t-\t-\t-");
            }
        },
    }
}

fn write_at(line: &mut String, kind: &str, at: u64) {
    let _ = write!(line, "{kind}\t{at:#x}\t-\t-\t-\t-");
}

/// Writes data as numbers of `size` bytes.
fn write_access(
    line: &mut String,
    kind: &str,
    at: u64,
    size: usize,
    data: &[u8],
    device: Option<&str>,
) {
    let size = size.max(1);
    let _ = write!(line, "{kind}\t{at:#x}\t{size}\t{}\t", data.len() / size);
    for (index, element) in data.chunks(size).enumerate() {
        if index > 0 {
            line.push(',');
        }
        for byte in element.iter().rev() {
            let _ = write!(line, "{byte:02x}");
        }
    }
    if data.is_empty() {
        line.push('-');
    }
    line.push('\t');
    line.push_str(device.unwrap_or("-"));
}
