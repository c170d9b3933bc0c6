//! `--gdb`: the guest halts for gdb, and goes on as gdb says.
//!
//! While gdb has the guest, no CPU's thread runs. So nothing is shared: the CPUs move to a [`Guest`],
//! which gdb's packets are about, and back to the threads when it says so.

mod arch;
mod breakpoints;
mod connection;
mod probe;
mod target;
mod walk;

use std::io::{self, Write};
use std::mem;
use std::os::fd::AsFd;

use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStub, MultiThreadStopReason};
use kvm_bindings::{kvm_debug_exit_arch, kvm_guest_debug};

use crate::cpu::{BREAKPOINT_EXCEPTION, Debug};
use crate::events::{Events, Wanted};
use crate::failure::{Failure, Outcome};
use crate::live::Stop;
use crate::options::GdbAddress;
use crate::power::Host;
use crate::program::Run;

use breakpoints::{Breakpoints, SlotKind};
use connection::{Connection, Listener};
use probe::Support;
use target::{Action, Guest, thread};

type Conversation = GdbStubStateMachine<'static, Guest, Connection>;
type Reason = MultiThreadStopReason<u64>;

/// A place where gdb is waited for.
pub(crate) struct Waiting {
    listener: Listener,
    support: Support,
}

/// A guest that gdb has, or had.
pub(crate) struct Session {
    /// Where it has come to; `None` when it is over.
    conversation: Option<Conversation>,
    guest: Guest,
    /// The guest was reset, which gdb has not been told yet.
    was_reset: bool,
    /// The guest crashed, and gdb may look at what is left.
    has_crashed: bool,
}

/// Why a conversation pauses.
enum Pause {
    /// The guest is to go on.
    Resume,
    /// Something else comes first.
    Stop(Stop),
    /// It is over, and the guest goes on alone.
    Over(Option<String>),
}

/// Says something while the terminal may be raw.
fn say(message: &str) {
    let _ = write!(io::stderr(), "kvm-vmm: {message}\r\n");
}

impl Waiting {
    /// Begins to listen, if this machine's KVM can do what it takes, and says so.
    pub(crate) fn new(host: &Host, address: &GdbAddress) -> Result<Self, Failure> {
        let support = Support::of(host)?;
        if let Some(lack) = support.lack() {
            return Err(Failure::NoKvm(lack.to_owned()));
        }
        let listener = Listener::new(address).map_err(Failure::host("wait for gdb"))?;
        say(&format!("the guest waits for gdb; type there: {listener}"));
        Ok(Self { listener, support })
    }

    /// Waits for gdb, which then has the guest, or for what ends the program before.
    pub(crate) fn accept(
        self,
        run: &Run<'_, '_>,
        events: &mut Events<'_>,
    ) -> Result<Result<Session, Outcome>, Failure> {
        loop {
            match events.attend(self.listener.as_fd()) {
                Wanted::Input => break,
                Wanted::Outcome(outcome) => return Ok(Err(outcome)),
                Wanted::Files if run.release_files().is_err() => {
                    return Ok(Err(Outcome::FileTaken));
                }
                Wanted::Files => {}
            }
        }
        let failed = || Failure::host("talk to gdb");
        let connection = self.listener.accept().map_err(failed())?;
        events.listen_to_gdb(Some(connection.handle().map_err(failed())?));
        let mut guest = Guest {
            vcpus: Vec::new(),
            view: run.view(),
            breakpoints: Breakpoints::new(self.support),
            actions: Vec::new(),
            named: Vec::new(),
            narrow: false,
            current: 0,
        };
        let conversation = GdbStub::new(connection)
            .run_state_machine(&mut guest)
            .map_err(|error| failed()(io::Error::other(error.to_string())))?;
        let conversation = Some(conversation);
        Ok(Ok(Session { conversation, guest, was_reset: false, has_crashed: false }))
    }
}

impl Session {
    /// Runs the guest as gdb says, until something stops it that is not gdb's alone.
    pub(crate) fn run(&mut self, run: &mut Run<'_, '_>, events: &mut Events<'_>) -> Stop {
        loop {
            if let Some(stop) = self.talk(run, events) {
                return stop;
            }
            let debug = match self.let_go(run) {
                Ok(debug) => debug,
                Err(failure) => return Stop::Failed(failure),
            };
            let stop = run.until_stopped(events, debug.as_ref());
            if debug.is_none() {
                return stop;
            }
            match stop {
                Stop::Debug(cpu, at) => {
                    self.guest.current = cpu;
                    let reason = self.reason(cpu, &at);
                    self.report(reason);
                }
                Stop::Crash(cpu, report) => {
                    let _ = io::stderr().write_all(report.replace('\n', "\r\n").as_bytes());
                    self.has_crashed = true;
                    self.guest.current = cpu;
                    self.report(signal(cpu, Signal::SIGSEGV));
                }
                Stop::GdbSpeaks => {}
                Stop::Reset(reset) => {
                    // Neither memory nor CPUs may survive.
                    self.guest.breakpoints.clear(&self.guest.view);
                    self.was_reset = true;
                    return Stop::Reset(reset);
                }
                other => return other,
            }
        }
    }

    /// Tells gdb how the guest ended, if it waits for that.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.report(match outcome {
            Outcome::Signal(number) => Reason::Terminated(Signal(number)),
            Outcome::Crash => Reason::Terminated(Signal::SIGSEGV),
            other => Reason::Exited(other.status()),
        });
    }

    /// Talks to gdb for as long as it has the guest; returns what comes before all else, if something
    /// does.
    fn talk(&mut self, run: &mut Run<'_, '_>, events: &mut Events<'_>) -> Option<Stop> {
        self.guest.view = run.view();
        if mem::take(&mut self.was_reset) {
            self.guest.current = 0;
            self.report(signal(0, Signal::SIGTRAP));
        }
        let conversation = self.conversation.take()?;
        mem::swap(&mut self.guest.vcpus, &mut run.vcpus);
        let pause = self.converse(conversation, events);
        let over = match pause {
            Ok(Pause::Resume) => None,
            Ok(Pause::Over(why)) => Some(why),
            Ok(Pause::Stop(stop)) => {
                mem::swap(&mut self.guest.vcpus, &mut run.vcpus);
                return Some(stop);
            }
            Err(error) => Some(Some(error)),
        };
        if let Some(why) = over {
            if let Some(why) = why {
                say(&format!("gdb: {why}; the guest goes on without it"));
            }
            self.detach(events);
        }
        mem::swap(&mut self.guest.vcpus, &mut run.vcpus);
        self.has_crashed.then_some(Stop::Outcome(Outcome::Crash))
    }

    /// Answers packets until the guest is to go on.
    fn converse(
        &mut self,
        mut conversation: Conversation,
        events: &mut Events<'_>,
    ) -> Result<Pause, String> {
        let guest = &mut self.guest;
        loop {
            let next = match conversation {
                GdbStubStateMachine::Idle(mut gdb) => match gdb.borrow_conn().next() {
                    Some(byte) => gdb.incoming_data(guest, byte),
                    None => {
                        let wanted = events.attend_gdb();
                        if let Wanted::Input = wanted {
                            if !gdb.borrow_conn().read().map_err(|error| error.to_string())? {
                                return Ok(Pause::Over(Some("it is gone".to_owned())));
                            }
                            conversation = gdb.into();
                            continue;
                        }
                        self.conversation = Some(gdb.into());
                        return Ok(Pause::Stop(match wanted {
                            Wanted::Outcome(outcome) => Stop::Outcome(outcome),
                            Wanted::Input | Wanted::Files => Stop::FilesWanted,
                        }));
                    }
                },
                GdbStubStateMachine::Running(mut gdb) => {
                    if !gdb.borrow_conn().has_next()
                        && events.gdb_speaks()
                        && !gdb.borrow_conn().read().map_err(|error| error.to_string())?
                    {
                        return Ok(Pause::Over(Some("it is gone".to_owned())));
                    }
                    match gdb.borrow_conn().next() {
                        Some(byte) => gdb.incoming_data(guest, byte),
                        None => {
                            self.conversation = Some(gdb.into());
                            return Ok(Pause::Resume);
                        }
                    }
                }
                GdbStubStateMachine::CtrlCInterrupt(gdb) => {
                    let reason = signal(guest.current, Signal::SIGINT);
                    gdb.interrupt_handled(guest, Some(reason))
                }
                GdbStubStateMachine::Disconnected(mut gdb) => {
                    return Ok(match gdb.get_reason() {
                        DisconnectReason::Kill => {
                            gdb.borrow_conn().confirm();
                            Pause::Stop(Stop::Outcome(Outcome::Killed))
                        }
                        _ => Pause::Over(None),
                    });
                }
            };
            conversation = next.map_err(|error| error.to_string())?;
        }
    }

    /// Leaves the guest as if gdb had never been.
    fn detach(&mut self, events: &mut Events<'_>) {
        self.guest.breakpoints.clear(&self.guest.view);
        for vcpu in &self.guest.vcpus {
            // A KVM that could set it can take it back.
            let _ = vcpu.fd().set_guest_debug(&kvm_guest_debug::default());
        }
        events.listen_to_gdb(None);
    }

    /// Tells KVM what each CPU has to stop for; `None` if gdb is gone.
    fn let_go(&self, run: &Run<'_, '_>) -> Result<Option<Debug>, Failure> {
        if self.conversation.is_none() {
            return Ok(None);
        }
        let mut controls = Vec::with_capacity(run.vcpus.len());
        for (index, vcpu) in run.vcpus.iter().enumerate() {
            let action = self.guest.actions.get(index).copied().unwrap_or_default();
            let control = self.guest.breakpoints.control(action == Action::Step);
            let set = vcpu.fd().set_guest_debug(&control);
            set.map_err(Failure::kvm("set up for a debugger"))?;
            controls.push((action != Action::Stay).then_some(control));
        }
        Ok(Some(Debug { controls, int3s: self.guest.breakpoints.int3s() }))
    }

    /// Tells gdb that the guest stopped, if it waits for that.
    fn report(&mut self, reason: Reason) {
        self.conversation = match self.conversation.take() {
            Some(GdbStubStateMachine::Running(gdb)) => {
                match gdb.report_stop(&mut self.guest, reason) {
                    Ok(next) => Some(next),
                    Err(error) => {
                        say(&format!("gdb: {error}; the guest goes on without it"));
                        None
                    }
                }
            }
            other => other,
        };
    }

    fn reason(&self, cpu: usize, at: &kvm_debug_exit_arch) -> Reason {
        let tid = thread(cpu);
        if at.exception == BREAKPOINT_EXCEPTION {
            return Reason::SwBreak(tid);
        }
        match self.guest.breakpoints.hit(at.dr6) {
            None => signal(cpu, Signal::SIGTRAP),
            Some(slot) => match slot.kind {
                SlotKind::Software => Reason::SwBreak(tid),
                SlotKind::Hardware => Reason::HwBreak(tid),
                SlotKind::Watch(kind) => Reason::Watch { tid, kind, addr: slot.linear },
            },
        }
    }
}

fn signal(cpu: usize, signal: Signal) -> Reason {
    Reason::SignalWithThread { tid: thread(cpu), signal }
}
