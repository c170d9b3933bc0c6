//! The local APIC's timer.

use crate::Nanos;
use crate::time::Frequency;

/// What the timer does, bits 18:17 of its LVT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerMode {
    OneShot,
    Periodic,
    TscDeadline,
    /// The reserved encoding: nothing.
    Off,
}

impl TimerMode {
    pub(super) const fn decode(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::OneShot,
            1 => Self::Periodic,
            2 => Self::TscDeadline,
            _ => Self::Off,
        }
    }

    const fn counts(self) -> bool {
        matches!(self, Self::OneShot | Self::Periodic)
    }
}

/// A count that runs down.
#[derive(Clone, Copy, Debug)]
struct Countdown {
    /// The tick of the timer's clock at which it began.
    start: u64,
    /// What it began with; a periodic one goes on with the initial count.
    first: u32,
    /// How many of its ends have been told.
    told: u64,
}

/// The timer, which counts ticks of its own clock, or waits for a value of the TSC.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    clock: Frequency,
    tsc: Frequency,
    mode: TimerMode,
    divide: u32,
    initial: u32,
    countdown: Option<Countdown>,
    /// Before this moment no period may end again.
    earliest: Nanos,
    tsc_deadline: u64,
    /// When the TSC will have reached its deadline.
    tsc_moment: Nanos,
}

impl Timer {
    /// The shortest time between two interrupts of the periodic mode.
    pub(super) const SHORTEST_PERIOD: Nanos = Nanos::from_micros(100);

    pub(super) const DIVIDE_WRITABLE: u32 = 0b1011;

    pub(super) const fn new(clock: Frequency, tsc: Frequency) -> Self {
        Self {
            clock,
            tsc,
            mode: TimerMode::OneShot,
            divide: 0,
            initial: 0,
            countdown: None,
            earliest: Nanos::ZERO,
            tsc_deadline: 0,
            tsc_moment: Nanos::ZERO,
        }
    }

    /// The timer at power-on. A guest that resets it does not gain a faster pace.
    pub(super) const fn reset(&self) -> Self {
        Self { earliest: self.earliest, ..Self::new(self.clock, self.tsc) }
    }

    pub(super) const fn initial(&self) -> u32 {
        self.initial
    }

    pub(super) const fn divide(&self) -> u32 {
        self.divide
    }

    pub(super) const fn tsc_deadline(&self) -> u64 {
        self.tsc_deadline
    }

    /// What is left of the count.
    pub(super) fn current(&self, now: Nanos) -> u32 {
        let Some(countdown) = self.countdown else {
            return 0;
        };
        let counts = self.counts(countdown, now);
        let left = match counts.checked_sub(u64::from(countdown.first)) {
            None => u64::from(countdown.first) - counts,
            Some(past) if self.mode == TimerMode::Periodic => {
                u64::from(self.initial) - past % self.period()
            }
            Some(_) => 0,
        };
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    pub(super) fn write_initial(&mut self, value: u32, now: Nanos) {
        if self.mode == TimerMode::TscDeadline {
            return;
        }
        self.initial = value;
        self.countdown = (value != 0 && self.mode.counts()).then(|| Countdown {
            start: self.clock.ticks(now),
            first: value,
            told: 0,
        });
    }

    pub(super) fn write_divide(&mut self, value: u32, now: Nanos) {
        let left = self.current(now);
        self.divide = value & Self::DIVIDE_WRITABLE;
        self.go_on_with(left, now);
    }

    pub(super) fn set_mode(&mut self, mode: TimerMode, now: Nanos) {
        if mode == self.mode {
            return;
        }
        let left = if mode.counts() { self.current(now) } else { 0 };
        if mode == TimerMode::TscDeadline || self.mode == TimerMode::TscDeadline {
            self.initial = 0;
            self.tsc_deadline = 0;
        }
        self.mode = mode;
        self.go_on_with(left, now);
    }

    pub(super) fn write_tsc_deadline(&mut self, value: u64, tsc: u64, now: Nanos) {
        if self.mode == TimerMode::TscDeadline {
            self.tsc_deadline = value;
            self.set_tsc(tsc, now);
        }
    }

    /// Learns what the TSC is.
    pub(super) fn set_tsc(&mut self, tsc: u64, now: Nanos) {
        let left = self.tsc.moment(self.tsc_deadline.saturating_sub(tsc));
        self.tsc_moment = now.saturating_add(left);
    }

    /// The next moment at which the timer interrupts.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let moment = if self.mode == TimerMode::TscDeadline {
            (self.tsc_deadline != 0).then_some(self.tsc_moment)?
        } else {
            let countdown = self.countdown?;
            let end = self.end(countdown, countdown.told.saturating_add(1));
            if self.mode == TimerMode::Periodic { end.max(self.earliest) } else { end }
        };
        // The end of time stands for all that lies behind it.
        (moment < Nanos::MAX).then_some(moment)
    }

    /// Brings the timer up to `now`; whether it interrupts.
    pub(super) fn advance(&mut self, now: Nanos) -> bool {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        match (self.mode, &mut self.countdown) {
            (TimerMode::TscDeadline, _) => self.tsc_deadline = 0,
            (TimerMode::Periodic, Some(countdown)) => {
                // Ends missed since the last one told are one.
                let copy = *countdown;
                let past = self.counts(copy, now).saturating_sub(u64::from(copy.first));
                let ends = 1 + past / self.period();
                let last = self.end(copy, ends);
                self.countdown = Some(Countdown { told: ends, ..copy });
                self.earliest = last.saturating_add(Self::SHORTEST_PERIOD);
            }
            (_, countdown) => *countdown = None,
        }
        true
    }

    /// Counts on from `left`, by the mode and divisor of now.
    fn go_on_with(&mut self, left: u32, now: Nanos) {
        let start = self.clock.ticks(now);
        self.countdown = (left != 0).then_some(Countdown { start, first: left, told: 0 });
    }

    /// How often the count has been taken down by one.
    fn counts(&self, countdown: Countdown, now: Nanos) -> u64 {
        self.clock.ticks(now).saturating_sub(countdown.start) / self.divisor()
    }

    /// When the countdown ends for the `nth` time: at the end of time, if its clock can't tell.
    fn end(&self, countdown: Countdown, nth: u64) -> Nanos {
        nth.saturating_sub(1)
            .checked_mul(self.period())
            .and_then(|counts| counts.checked_add(u64::from(countdown.first)))
            .and_then(|counts| counts.checked_mul(self.divisor()))
            .and_then(|ticks| countdown.start.checked_add(ticks))
            .map_or(Nanos::MAX, |tick| self.clock.moment(tick))
    }

    fn period(&self) -> u64 {
        u64::from(self.initial.max(1))
    }

    /// The divide configuration register: bits 3, 1 and 0 together are 0 for 2 up to 6 for 128,
    /// and 7 for 1.
    const fn divisor(&self) -> u64 {
        let value = self.divide & 3 | self.divide >> 1 & 4;
        1 << ((value + 1) & 7)
    }
}
