//! One CPU: in and out of the guest until something stops it.

use std::thread;

use guest_state::Gpa;
use kvm_ioctls::{VcpuExit, WriteMsrExit};
use machine::Xen;

use crate::crash;
use crate::failure::Failure;
use crate::live::{Live, Parts, Stop};
use crate::sys::{Exit, Vcpu};

/// Writing here panics in the middle of a device: what does that leave behind?
#[cfg(feature = "fault-injection")]
const FAULT_PORT: u16 = 0xFA17;

/// Stops the other threads if this one panics.
struct StopOnPanic<'l, 'm>(&'l Live<'m>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(Stop::Panicked);
        }
    }
}

/// What has to happen after an exit.
enum Next {
    /// Into the guest again.
    Enter,
    /// Say that the guest crashed, why, and with which instruction if KVM knows it.
    Crash(String, Option<Vec<u8>>),
}

/// Runs CPU `index` until all CPUs stop.
pub(crate) fn run(index: usize, vcpu: &mut Vcpu, live: &Live<'_>) {
    let _stop_on_panic = StopOnPanic(live);
    let _kickable = live.kicks.enter(index);
    while !live.is_stopping() {
        if index == 0
            && live.has_external_interrupt()
            && let Err(failure) = offer_external_interrupt(vcpu, live)
        {
            return live.stop(Stop::Failed(failure));
        }
        let next = match vcpu.run() {
            Ok(exit) => serve(index, exit, live),
            Err(error) => match error.errno() {
                libc::EINTR => {
                    vcpu.forget_kick();
                    Next::Enter
                }
                // A CPU that waited for its SIPI has got it.
                libc::EAGAIN => Next::Enter,
                _ => Next::Crash(format!("KVM can't run it: {error}"), None),
            },
        };
        if let Next::Crash(reason, instruction) = next {
            let parts = live.lock();
            let report = crash::report(index, vcpu, &parts.board, &reason, instruction.as_deref());
            drop(parts);
            return live.stop(Stop::Crash(report));
        }
    }
}

/// Gives the 8259s' interrupt to the CPU, or asks for an exit as soon as it would take it.
fn offer_external_interrupt(vcpu: &mut Vcpu, live: &Live<'_>) -> Result<(), Failure> {
    let mut parts = live.lock();
    if !parts.devices.external_interrupt() {
        live.settle(&mut parts, Some(0));
        vcpu.request_interrupt_window(false);
        return Ok(());
    }
    if !vcpu.takes_interrupt() {
        vcpu.request_interrupt_window(true);
        return Ok(());
    }
    let vector = parts.devices.acknowledge();
    let result = vcpu.inject(vector).map_err(Failure::host("inject an interrupt"));
    let more = parts.devices.external_interrupt();
    vcpu.request_interrupt_window(more);
    live.settle(&mut parts, Some(0));
    result
}

fn serve(index: usize, exit: Exit<'_>, live: &Live<'_>) -> Next {
    let mut guard = live.lock();
    let parts = &mut *guard;
    let Parts { devices, board, .. } = parts;
    match exit {
        Exit::PortRead { port, size, data } => {
            board.stats.port(port);
            board.stats.exit("port read");
            devices.port_read(port, size, data, live.now(), board);
        }
        Exit::PortWrite { port, size, data } => {
            #[cfg(feature = "fault-injection")]
            assert_ne!(port, FAULT_PORT, "a device fails, as the guest asked");
            board.stats.port(port);
            board.stats.exit("port write");
            devices.port_write(port, size, data, live.now(), board);
        }
        Exit::Other(VcpuExit::MmioRead(address, data)) => {
            board.stats.exit("memory read");
            devices.memory_read(Gpa::new(address), data, board);
        }
        Exit::Other(VcpuExit::MmioWrite(address, data)) => {
            board.stats.exit("memory write");
            devices.memory_write(Gpa::new(address), data, board);
        }
        Exit::Other(VcpuExit::IoapicEoi(vector)) => {
            board.stats.exit("end of interrupt");
            devices.end_of_interrupt(vector, board);
        }
        Exit::Other(VcpuExit::X86Wrmsr(WriteMsrExit { error, index, data, .. })) => {
            board.stats.exit("MSR write");
            let taken = index == Xen::HYPERCALL_MSR && devices.write_hypercall_page(data, board);
            *error = (!taken).into();
        }
        Exit::Other(VcpuExit::IrqWindowOpen) => board.stats.exit("interrupt window"),
        Exit::Other(VcpuExit::Intr) => board.stats.exit("signal"),
        Exit::InternalError { suberror, instruction, data } => {
            return Next::Crash(internal_error(suberror, &data), instruction);
        }
        Exit::Other(other) => return Next::Crash(unexpected(&other), None),
    }
    live.settle(parts, Some(index));
    parts.board.flush_console();
    Next::Enter
}

fn internal_error(suberror: u32, data: &[u64]) -> String {
    let name = match suberror {
        1 => "emulation",
        2 => "simultaneous exceptions",
        3 => "exit during event delivery",
        4 => "unexpected exit reason",
        _ => "unknown",
    };
    let data: Vec<_> = data.iter().map(|word| format!("{word:#x}")).collect();
    format!("KVM internal error, suberror {suberror} ({name}), data [{}]", data.join(", "))
}

fn unexpected(exit: &VcpuExit<'_>) -> String {
    match exit {
        VcpuExit::Shutdown => "triple fault".to_owned(),
        VcpuExit::FailEntry(reason, cpu) => {
            format!("KVM can't enter the guest: hardware reason {reason:#x} on host CPU {cpu}")
        }
        VcpuExit::Hlt => "halted with nothing to wake it".to_owned(),
        VcpuExit::MemoryFault { flags, gpa, size } => {
            format!("KVM can't access {size:#x} bytes at {gpa:#x}, flags {flags:#x}")
        }
        VcpuExit::SystemEvent(kind, data) => format!("system event {kind}, data {data:x?}"),
        other => format!("unexpected exit: {other:?}"),
    }
}
