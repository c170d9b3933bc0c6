//! A machine that runs: devices and board under one lock, and how its threads stop each other.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use kvm_bindings::kvm_debug_exit_arch;
use machine::{Devices, Nanos, Request, Reset};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::board::Board;
use crate::failure::{Failure, Outcome};
use crate::sys::Kicks;
use crate::trace::Trace;

/// Why all CPUs stop.
#[derive(Debug)]
pub(crate) enum Stop {
    /// For good.
    Outcome(Outcome),
    /// To start again.
    Reset(Reset),
    /// To go on after files whose pages are the guest's have been given free.
    FilesWanted,
    /// To go on after gdb has been listened to.
    GdbSpeaks,
    /// A CPU has come to what gdb waits for.
    Debug(usize, kvm_debug_exit_arch),
    /// The guest can't go on, for what this CPU did; this says why.
    Crash(usize, String),
    /// KVM or the host can't go on.
    Failed(Failure),
    /// A thread of ours panicked, and has said so.
    Panicked,
}

impl Stop {
    /// What only interrupts the guest gives way to what does more, and comes back by itself.
    const fn weight(&self) -> u8 {
        match self {
            Self::FilesWanted | Self::GdbSpeaks => 0,
            Self::Debug(..) => 1,
            _ => 2,
        }
    }
}

/// Everything that the threads share.
#[derive(Debug)]
pub(crate) struct Live<'m> {
    parts: Mutex<Parts<'m>>,
    power_on: Instant,
    /// Whether the 8259s ask for an interrupt that CPU 0 has not taken yet.
    external_interrupt: AtomicBool,
    stopping: AtomicBool,
    /// Wakes the thread that waits for events.
    pub(crate) wake: OwnedFd,
    /// Fires when a device has something to do.
    pub(crate) timer: OwnedFd,
    pub(crate) kicks: Kicks,
    /// Where exits are written down, if they are.
    pub(crate) trace: Option<Trace>,
}

/// What only one thread may touch at a time.
#[derive(Debug)]
pub(crate) struct Parts<'m> {
    pub(crate) devices: Devices<'m>,
    pub(crate) board: Board,
    stop: Option<Stop>,
    /// What the timer is armed for.
    armed: Option<Nanos>,
}

impl<'m> Live<'m> {
    pub(crate) fn new(
        devices: Devices<'m>,
        board: Board,
        trace: Option<Trace>,
    ) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let parts = Parts { devices, board, stop: None, armed: None };
        Ok(Self {
            parts: Mutex::new(parts),
            power_on: Instant::now(),
            external_interrupt: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            timer,
            kicks: Kicks::default(),
            trace,
        })
    }

    /// Returns the time since power-on.
    pub(crate) fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    /// Returns the time from power-on to `instant`.
    pub(crate) fn at(&self, instant: Instant) -> Nanos {
        let elapsed = instant.saturating_duration_since(self.power_on).as_nanos();
        Nanos::new(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Locks devices and board. A thread that panicked left them in some state of theirs.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Parts<'m>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless a CPU has them.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Parts<'m>>> {
        match self.parts.try_lock() {
            Ok(parts) => Some(parts),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Tells whether all CPUs are to leave the guest for good.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Tells whether CPU 0 should look at the 8259s.
    pub(crate) fn has_external_interrupt(&self) -> bool {
        self.external_interrupt.load(Ordering::Acquire)
    }

    /// Stops all CPUs, for the first reason that is given.
    pub(crate) fn stop(&self, stop: Stop) {
        self.stop_locked(&mut self.lock(), stop);
    }

    /// The same, unless a CPU has the devices; tells whether it did.
    pub(crate) fn try_stop(&self, stop: Stop) -> bool {
        self.try_lock().map(|mut parts| self.stop_locked(&mut parts, stop)).is_some()
    }

    /// Makes all CPUs stop, without the lock, which one of them may be holding while it waits for
    /// a reader of its console.
    pub(crate) fn stop_regardless(&self) {
        self.stopping.store(true, Ordering::Release);
        self.kicks.kick_all();
    }

    fn stop_locked(&self, parts: &mut Parts<'_>, stop: Stop) {
        if parts.stop.as_ref().is_none_or(|before| before.weight() < stop.weight()) {
            parts.stop = Some(stop);
        }
        self.stopping.store(true, Ordering::Release);
        self.kicks.kick_all();
        // A full counter wakes just as well.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Takes the reason of the stop, and gets ready for the next start.
    pub(crate) fn take_stop(&self) -> Option<Stop> {
        self.stopping.store(false, Ordering::Release);
        self.external_interrupt.store(false, Ordering::Release);
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        self.lock().stop.take()
    }

    /// Sees to what devices left behind: requests to disks, wishes of the guest, the next deadline, the 8259s.
    ///
    /// `cpu` is the CPU whose thread this is, if it is one.
    pub(crate) fn settle(&self, parts: &mut Parts<'_>, cpu: Option<usize>) {
        while let Some((disk, request, ended)) = parts.board.serve_disk() {
            parts.devices.complete(disk, request, ended, &mut parts.board);
        }
        if let Some(request) = parts.board.requested.take() {
            let stop = match request {
                Request::PowerOff => Stop::Outcome(Outcome::PowerOff),
                Request::Exit(status) => Stop::Outcome(Outcome::Exit(status.get())),
                Request::Reset(reset) => Stop::Reset(reset),
            };
            self.stop_locked(parts, stop);
        }
        if let Some(failure) = parts.board.refused.take() {
            self.stop_locked(parts, Stop::Failed(failure));
        }
        if let Err(error) = self.arm(parts) {
            self.stop_locked(parts, Stop::Failed(Failure::host("set a timer")(error)));
        }
        let asks = parts.devices.external_interrupt();
        if asks && !self.external_interrupt.swap(true, Ordering::AcqRel) && cpu != Some(0) {
            self.kicks.kick(0);
        }
        if !asks {
            self.external_interrupt.store(false, Ordering::Release);
        }
    }

    /// Arms the timer for the next deadline if that comes before what it is armed for.
    fn arm(&self, parts: &mut Parts<'_>) -> io::Result<()> {
        let Some(deadline) = parts.devices.deadline() else { return Ok(()) };
        if parts.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        let ahead = Duration::from_nanos(deadline.saturating_sub(self.now()).get());
        let it_value = Timespec {
            tv_sec: i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX),
            // No time at all would disarm it.
            tv_nsec: i64::from(ahead.subsec_nanos()).max(i64::from(ahead.as_secs() == 0)),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let time = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time)?;
        parts.armed = Some(deadline);
        Ok(())
    }

    /// Lets the devices catch up with time, once the timer has fired.
    pub(crate) fn catch_up(&self, parts: &mut Parts<'_>) {
        parts.armed = None;
        let Parts { devices, board, .. } = parts;
        devices.advance(self.now(), board);
        self.settle(parts, None);
    }
}
