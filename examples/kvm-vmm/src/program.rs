//! The program, from its arguments to its exit status.

use std::io::{self, Write};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use boot_plan::BootPlan;
use machine::{Machine, Reset};

use crate::board::{Board, View};
use crate::console::{Output, RawTerminal, restore_terminal};
use crate::disk::Disk;
use crate::events::{Events, Signals};
use crate::failure::{Failure, Outcome};
use crate::files::MappedFiles;
use crate::gdb::Waiting;
use crate::guest::Inputs;
use crate::live::{Live, Stop};
use crate::options::{Console, Debugcon, OnReset, Options, Parsed, parse};
use crate::power::{Host, allocate};
use crate::stats::Stats;
use crate::sys::{Kicks, Vcpu};
use crate::trace::Trace;
use crate::variables::{Flash, VariableFile};
use crate::{cpu, dry_run, registers};

/// The files that stay open as long as the guest runs.
struct Files<'m> {
    mapped: MappedFiles<'m>,
    disks: Vec<Disk>,
    variables: Option<VariableFile>,
}

/// How long CPUs get to leave the guest before the program ends without them.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let stats = Stats::new();
    let status = match parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Print(text)) => print(&text),
        Ok(Parsed::Run(options)) => start(&options, stats),
        Err(message) => Err(Failure::Usage(message)),
    };
    let status = status.unwrap_or_else(|failure| {
        complain(&failure.to_string());
        failure.status()
    });
    ExitCode::from(status)
}

/// Says something on standard error, on a line of its own.
pub(crate) fn complain(message: &str) {
    // A terminal in raw mode needs the carriage return; where nobody listens, nothing helps.
    let _ = writeln!(io::stderr(), "kvm-vmm: {message}");
}

fn print(text: &str) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // Whoever closed it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        written => written.map(|()| 0).map_err(Failure::host("write to standard output")),
    }
}

fn start(options: &Options, stats: Stats) -> Result<u8, Failure> {
    let mut inputs = Inputs::read(options)?;
    let variables = inputs.take_variable_file();
    let disks = Disk::open_all(&options.disks)?;
    let modules = inputs.modules();
    if let Some(what) = options.dry_run {
        // A plan needs no KVM: this CPU's own signature is what KVM would offer.
        let signature = std::arch::x86_64::__cpuid(1).eax;
        let machine = inputs.machine(options, signature, &modules, &disks)?;
        let title = inputs.title(options);
        return print(&dry_run::show(&machine.plan, &disks, &title, what));
    }
    let host = Host::open()?;
    let machine = inputs.machine(options, host.cpu_signature(), &modules, &disks)?;
    let files = Files { mapped: inputs.mapped_files(), disks, variables };
    let outcome = Run::new(&host, options, machine, files, stats)?.run_to_its_end()?;
    Ok(outcome.status())
}

/// A guest from its first power-on to its end, through all its resets.
pub(crate) struct Run<'h, 'm> {
    host: &'h Host,
    options: &'h Options,
    plan: BootPlan<'m>,
    files: MappedFiles<'m>,
    has_reset_vector: bool,
    sees_xen: bool,
    live: Live<'m>,
    pub(crate) vcpus: Vec<Vcpu>,
}

impl<'h, 'm> Run<'h, 'm> {
    /// Switches the machine on; no CPU runs yet.
    fn new(
        host: &'h Host,
        options: &'h Options,
        machine: Machine<'m>,
        files: Files<'m>,
        stats: Stats,
    ) -> Result<Self, Failure> {
        let Machine { plan, devices, has_shadow, has_reset_vector, sees_xen, flash } = machine;
        let Files { mapped: files, disks, variables } = files;
        let flash = flash.map(|range| Flash::new(range, variables));
        let debugcon = match (&options.debugcon, has_shadow || has_reset_vector) {
            (Some(debugcon), _) => debugcon,
            (None, true) => &Debugcon::Stderr,
            (None, false) => &Debugcon::Null,
        };
        let outputs = (Output::console(&options.console)?, Output::debugcon(debugcon)?);
        let vm = host.create_vm(Arc::new(allocate(&plan, &files)?), sees_xen)?;
        let vcpus = host.create_vcpus(&vm, &plan.vcpus, sees_xen)?;
        let board = Board::new(vm, has_shadow, outputs, disks, stats).with_flash(flash);
        board.set_slots()?;
        let trace = options.debugging.trace_exits.as_ref();
        let trace = trace.map(|to| Trace::new(to, host.keeps_registers())).transpose()?;
        let live = Live::new(devices, board, trace).map_err(Failure::host("make a timer"))?;
        Ok(Self { host, options, plan, files, has_reset_vector, sees_xen, live, vcpus })
    }

    fn run_to_its_end(mut self) -> Result<Outcome, Failure> {
        let gdb = self.options.debugging.gdb.as_ref();
        let gdb = gdb.map(|address| Waiting::new(self.host, address)).transpose()?;
        Kicks::install().map_err(Failure::host("install a signal handler"))?;
        let signals = Signals::catch()?;
        let has_input = self.options.console == Console::Stdio;
        restore_terminal_on_panic();
        let terminal = if has_input { RawTerminal::enter() } else { Ok(None) };
        let terminal = terminal.map_err(Failure::host("make the terminal raw"))?;
        let end = self.options.timeout.map(|limit| Instant::now() + limit);
        let mut events = Events::new(signals, end, has_input, self.files.clone());

        let mut gdb = match gdb.map(|gdb| gdb.accept(&self, &mut events)).transpose()?.transpose() {
            Ok(gdb) => gdb,
            Err(outcome) => {
                drop(terminal);
                self.finish(outcome);
                return Ok(outcome);
            }
        };

        let result = loop {
            let stop = match &mut gdb {
                Some(gdb) => gdb.run(&mut self, &mut events),
                None => self.until_stopped(&mut events, None),
            };
            match stop {
                Stop::Outcome(outcome) => break Ok(outcome),
                Stop::Reset(_) if self.options.on_reset == OnReset::Exit => {
                    break Ok(Outcome::Reset);
                }
                Stop::Reset(reset) => {
                    if let Err(failure) = self.reset(reset) {
                        break Err(failure);
                    }
                }
                Stop::FilesWanted => {
                    if self.release_files().is_err() {
                        break Ok(Outcome::FileTaken);
                    }
                }
                // Nobody is there to be told.
                Stop::GdbSpeaks | Stop::Debug(..) => {}
                Stop::Crash(_, report) => {
                    drop(terminal);
                    let _ = io::stderr().write_all(report.as_bytes());
                    self.finish(Outcome::Crash);
                    return Ok(Outcome::Crash);
                }
                Stop::Failed(failure) => break Err(failure),
                Stop::Panicked => break Ok(Outcome::Crash),
            }
        };
        drop(terminal);
        if let (Some(gdb), Ok(outcome)) = (gdb, &result) {
            gdb.end(*outcome);
        }
        if let Ok(outcome) = result {
            self.finish(outcome);
        }
        result
    }

    /// Returns guest memory as the CPUs see it now.
    pub(crate) fn view(&self) -> View {
        self.live.lock().board.view()
    }

    /// Gives up the files whose pages the guest has, for copies of these. No CPU may run.
    pub(crate) fn release_files(&self) -> io::Result<()> {
        let parts = &mut *self.live.lock();
        self.files.release(parts.board.vm.memory())?;
        self.live.settle(parts, None);
        Ok(())
    }

    /// Runs all CPUs, or those that a debugger lets go, each in a thread, until something stops them.
    pub(crate) fn until_stopped(
        &mut self,
        events: &mut Events<'_>,
        debug: Option<&cpu::Debug>,
    ) -> Stop {
        let live = &self.live;
        live.lock().board.stats.ready();
        let ended = thread::scope(|scope| {
            let threads: Vec<_> = self
                .vcpus
                .iter_mut()
                .enumerate()
                .filter(|(index, _)| debug.is_none_or(|debug| debug.lets_go(*index)))
                .map(|(index, vcpu)| scope.spawn(move || cpu::run(index, vcpu, live, debug)))
                .collect();
            let ended = events.serve(live);
            live.stop_regardless();
            if !all_end(&threads) {
                abandon(ended, live);
            }
            // A panic has been reported, and is among the reasons to stop.
            threads.into_iter().for_each(|thread| drop(thread.join()));
            ended
        });
        let stop = live.take_stop();
        match ended {
            Some(outcome) => Stop::Outcome(outcome),
            None => stop.unwrap_or(Stop::Panicked),
        }
    }

    /// Starts the machine again, as far as `reset` goes.
    fn reset(&mut self, reset: Reset) -> Result<(), Failure> {
        let parts = &mut *self.live.lock();
        parts.board.stats.reset();
        if let Some(trace) = &self.live.trace {
            trace.remark("reset");
        }
        // Without firmware at the reset vector only a start from nothing leads anywhere.
        let reset = if self.has_reset_vector { reset } else { Reset::PowerCycle };
        let mut states = self.plan.vcpus.clone();
        if reset == Reset::Init {
            let signature = self.host.cpu_signature();
            for (state, vcpu) in states.iter_mut().zip(&self.vcpus) {
                *state = registers::read(vcpu.fd())?;
                state.init(signature);
            }
        } else {
            parts.devices.reset();
            parts.board.unshadow();
        }
        let memory = match reset {
            Reset::PowerCycle => {
                let memory = allocate(&self.plan, &self.files)?;
                parts.board.keep_flash(&memory)?;
                Arc::new(memory)
            }
            Reset::Init | Reset::Hard => Arc::clone(parts.board.vm.memory()),
        };
        // New CPUs have no interrupt pending and no timer running.
        self.vcpus.clear();
        let vm = self.host.create_vm(memory, self.sees_xen)?;
        self.vcpus = self.host.create_vcpus(&vm, &states, self.sees_xen)?;
        parts.board.replace_vm(vm);
        parts.board.set_slots()
    }

    /// Says how the run ended, unless it ended well, and what it took, if asked.
    fn finish(&self, outcome: Outcome) {
        let parts = &mut *self.live.lock();
        parts.board.console.flush();
        parts.board.debugcon.flush();
        if let Err(failure) = parts.board.sync_flash() {
            complain(&failure.to_string());
        }
        if let Some(trace) = &self.live.trace {
            trace.flush();
        }
        if let Some(message) = outcome.message() {
            complain(&message);
        }
        if outcome == Outcome::Timeout {
            for (index, vcpu) in self.vcpus.iter().enumerate() {
                if let Ok(state) = registers::read(vcpu.fd()) {
                    complain(&format!("cpu {index}: {}", state.in_words()));
                }
            }
        }
        if let Some(format) = self.options.stats {
            let _ = io::stderr().write_all(parts.board.stats.show(format).as_bytes());
        }
    }
}

/// Waits until all CPUs have left the guest; false if one does not.
fn all_end(threads: &[ScopedJoinHandle<'_, ()>]) -> bool {
    let called = Instant::now();
    while !threads.iter().all(ScopedJoinHandle::is_finished) {
        if called.elapsed() > LAST_CALL {
            return false;
        }
        thread::sleep(Duration::from_micros(20));
    }
    true
}

/// Ends the program although a CPU's thread does not: it waits for a reader of its console.
fn abandon(ended: Option<Outcome>, live: &Live<'_>) -> ! {
    restore_terminal();
    if let Some(trace) = &live.trace {
        trace.flush();
    }
    let outcome = ended.unwrap_or(Outcome::Crash);
    if let Some(message) = outcome.message() {
        complain(&message);
    }
    complain("nobody reads the guest's console; what is left of it is lost");
    exit(outcome.status().into())
}

fn restore_terminal_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore_terminal();
        report(info);
    }));
}
