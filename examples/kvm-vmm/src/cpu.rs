//! One CPU: in and out of the guest until something stops it.

use std::thread;
use std::time::Instant;

use guest_state::Gpa;
use kvm_bindings::{
    KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_INJECT_BP, kvm_debug_exit_arch, kvm_guest_debug,
};
use kvm_ioctls::{VcpuExit, WriteMsrExit};
use machine::{Devices, Xen};

use crate::crash;
use crate::failure::Failure;
use crate::live::{Live, Parts, Stop};
use crate::sys::{Exit, Vcpu};
use crate::trace::{Left, Line};

/// The exception of INT3.
pub(crate) const BREAKPOINT_EXCEPTION: u32 = 3;
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

/// What a debugger wants of the CPUs.
#[derive(Debug)]
pub(crate) struct Debug {
    /// What KVM was told of each; `None` for those that stay where they are.
    pub(crate) controls: Vec<Option<kvm_guest_debug>>,
    /// The linear addresses where INT3 is a breakpoint, and not the guest's.
    pub(crate) int3s: Vec<u64>,
}

impl Debug {
    /// Tells whether CPU `index` is to run.
    pub(crate) fn lets_go(&self, index: usize) -> bool {
        self.controls.get(index).is_some_and(Option::is_some)
    }

    fn control(&self, index: usize) -> kvm_guest_debug {
        self.controls.get(index).copied().flatten().unwrap_or_default()
    }

    /// Tells whether CPU `index` takes one step, and no interrupt meanwhile.
    fn keeps_interrupts_off(&self, index: usize) -> bool {
        self.control(index).control & KVM_GUESTDBG_BLOCKIRQ != 0
    }

    /// Gives the guest the exception of an INT3 of its own, or tells that it is a breakpoint.
    fn is_ours(
        &self,
        index: usize,
        at: &kvm_debug_exit_arch,
        vcpu: &Vcpu,
    ) -> Result<bool, Failure> {
        if at.exception != BREAKPOINT_EXCEPTION || self.int3s.contains(&at.pc) {
            return Ok(true);
        }
        let mut debug = self.control(index);
        debug.control |= KVM_GUESTDBG_INJECT_BP;
        vcpu.fd().set_guest_debug(&debug).map_err(Failure::kvm("pass a breakpoint on"))?;
        Ok(false)
    }
}

/// What has to happen after an exit.
enum Next {
    /// Into the guest again.
    Enter,
    /// Tell the debugger, unless it is the guest's own affair.
    Debug(kvm_debug_exit_arch),
    /// Say that the guest crashed, why, and with which instruction if KVM knows it.
    Crash(String, Option<Vec<u8>>),
}

/// Runs CPU `index` until all CPUs stop.
pub(crate) fn run(index: usize, vcpu: &mut Vcpu, live: &Live<'_>, debug: Option<&Debug>) {
    let _stop_on_panic = StopOnPanic(live);
    let _kickable = live.kicks.enter(index);
    let has_rip = live.trace.as_ref().is_some_and(|trace| trace.has_rip);
    if has_rip {
        vcpu.keep_registers();
    }
    while !live.is_stopping() {
        if index == 0
            && live.has_external_interrupt()
            && debug.is_none_or(|debug| !debug.keeps_interrupts_off(index))
            && let Err(failure) = offer_external_interrupt(vcpu, live)
        {
            return live.stop(Stop::Failed(failure));
        }
        let result = vcpu.run();
        let since = live.trace.as_ref().map(|_| Instant::now());
        let (next, line) = match result {
            Ok(mut exit) => serve(index, &mut exit, since, live),
            Err(error) => match error.errno() {
                libc::EINTR => {
                    vcpu.forget_kick();
                    (Next::Enter, trace_alone(index, &Left::Interrupted, since, live))
                }
                // A CPU that waited for its SIPI has got it.
                libc::EAGAIN => (Next::Enter, trace_alone(index, &Left::Sipi, since, live)),
                errno => {
                    let crash = Next::Crash(format!("KVM can't run it: {error}"), None);
                    (crash, trace_alone(index, &Left::Error(errno), since, live))
                }
            },
        };
        if let Some(line) = line {
            line.end(has_rip.then(|| vcpu.kept_rip()));
        }
        match next {
            Next::Enter => {}
            Next::Debug(at) => match debug.map(|debug| debug.is_ours(index, &at, vcpu)) {
                Some(Ok(false)) => {}
                Some(Err(failure)) => return live.stop(Stop::Failed(failure)),
                Some(Ok(true)) | None => {
                    live.stop(Stop::Debug(index, at));
                    break;
                }
            },
            Next::Crash(reason, instruction) => {
                let parts = live.lock();
                let report =
                    crash::report(index, vcpu, &parts.board, &reason, instruction.as_deref());
                drop(parts);
                return live.stop(Stop::Crash(index, report));
            }
        }
    }
    if debug.is_some() {
        finish_instruction(index, vcpu, live);
    }
}

/// Has KVM finish the instruction whose access was answered last, so that a debugger sees the
/// registers as they are after it.
fn finish_instruction(index: usize, vcpu: &mut Vcpu, live: &Live<'_>) {
    loop {
        vcpu.stay_out();
        let Ok(mut exit) = vcpu.run() else { break };
        // It goes on where an access is more than one.
        let since = live.trace.as_ref().map(|_| Instant::now());
        let (next, line) = serve(index, &mut exit, since, live);
        if let Some(line) = line {
            line.end(None);
        }
        if !matches!(next, Next::Enter) {
            break;
        }
    }
    vcpu.forget_kick();
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

/// Answers an exit, and sees to what that left behind; begins its line in the trace, if there is one.
fn serve<'l>(
    index: usize,
    exit: &mut Exit<'_>,
    since: Option<Instant>,
    live: &'l Live<'_>,
) -> (Next, Option<Line<'l>>) {
    let mut guard = live.lock();
    let parts = &mut *guard;
    let next = answer(exit, parts, live);
    if matches!(next, Next::Enter) {
        live.settle(parts, Some(index));
        parts.board.flush_console();
    }
    (next, trace(index, &Left::Exit(exit), since, &parts.devices, live))
}

/// Begins a line in the trace, if there is one.
fn trace<'l>(
    index: usize,
    left: &Left<'_, '_>,
    since: Option<Instant>,
    devices: &Devices<'_>,
    live: &'l Live<'_>,
) -> Option<Line<'l>> {
    let trace = live.trace.as_ref()?;
    let since = since?;
    Some(trace.line(index, (since, live.at(since)), left, devices))
}

/// The same for what devices don't see.
fn trace_alone<'l>(
    index: usize,
    left: &Left<'_, '_>,
    since: Option<Instant>,
    live: &'l Live<'_>,
) -> Option<Line<'l>> {
    since.and_then(|_| trace(index, left, since, &live.lock().devices, live))
}

fn answer(exit: &mut Exit<'_>, parts: &mut Parts<'_>, live: &Live<'_>) -> Next {
    let Parts { devices, board, .. } = parts;
    match exit {
        Exit::PortRead { port, size, data } => {
            board.stats.port(*port);
            board.stats.exit("port read");
            devices.port_read(*port, *size, data, live.now(), board);
        }
        Exit::PortWrite { port, size, data } => {
            #[cfg(feature = "fault-injection")]
            assert_ne!(*port, FAULT_PORT, "a device fails, as the guest asked");
            board.stats.port(*port);
            board.stats.exit("port write");
            devices.port_write(*port, *size, data, live.now(), board);
        }
        Exit::Other(VcpuExit::MmioRead(address, data)) => {
            board.stats.exit("memory read");
            devices.memory_read(Gpa::new(*address), data, board);
        }
        Exit::Other(VcpuExit::MmioWrite(address, data)) => {
            board.stats.exit("memory write");
            devices.memory_write(Gpa::new(*address), data, board);
        }
        Exit::Other(VcpuExit::IoapicEoi(vector)) => {
            board.stats.exit("end of interrupt");
            devices.end_of_interrupt(*vector, board);
        }
        Exit::Other(VcpuExit::X86Wrmsr(WriteMsrExit { error, index, data, .. })) => {
            board.stats.exit("MSR write");
            let taken = *index == Xen::HYPERCALL_MSR && devices.write_hypercall_page(*data, board);
            **error = (!taken).into();
        }
        Exit::Other(VcpuExit::Debug(at)) => {
            board.stats.exit("debug");
            return Next::Debug(*at);
        }
        Exit::Other(VcpuExit::IrqWindowOpen) => board.stats.exit("interrupt window"),
        Exit::Other(VcpuExit::Intr) => board.stats.exit("signal"),
        Exit::InternalError { suberror, instruction, data } => {
            return Next::Crash(internal_error(*suberror, data), instruction.clone());
        }
        Exit::Other(other) => return Next::Crash(unexpected(other), None),
    }
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
