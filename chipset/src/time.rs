//! Time as the devices see it: an argument, never a clock that they read.

use core::fmt;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A moment, in nanoseconds since power-on, or a length of time in nanoseconds.
///
/// Moments given to a device should not run backwards. One that does is harmless: the device
/// stays where it was until time catches up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(u64);

impl Nanos {
    /// Power-on.
    pub const ZERO: Self = Self(0);
    /// The last moment that can be told, 584 years after power-on.
    pub const MAX: Self = Self(u64::MAX);

    /// Takes a number of nanoseconds.
    #[must_use]
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Takes a number of microseconds; stops at [`Nanos::MAX`].
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// Takes a number of milliseconds; stops at [`Nanos::MAX`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Takes a number of seconds; stops at [`Nanos::MAX`].
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SECOND))
    }

    /// The number of nanoseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Adds a length of time; stops at [`Nanos::MAX`].
    #[must_use]
    pub const fn saturating_add(self, length: Self) -> Self {
        Self(self.0.saturating_add(length.0))
    }

    /// The length of time since `earlier`, zero if that is later.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

/// A clock input, in ticks per second as a fraction, so that the 8254's third of the PM timer's
/// frequency is exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frequency {
    hertz: u64,
    divisor: u64,
}

impl Frequency {
    /// The ACPI power-management timer.
    pub(crate) const PM_TIMER: Self = Self { hertz: 3_579_545, divisor: 1 };
    /// The 8254's clock, a third of the PM timer's: 1.193182 MHz.
    pub(crate) const PIT: Self = Self { hertz: 3_579_545, divisor: 3 };
    /// The clock crystal of the MC146818.
    pub(crate) const RTC: Self = Self { hertz: 32_768, divisor: 1 };
    /// The ticks of a clock.
    pub(crate) const SECONDS: Self = Self { hertz: 1, divisor: 1 };

    /// Takes a number of ticks per second, at least one.
    pub(crate) const fn from_hertz(hertz: u64) -> Self {
        Self { hertz: if hertz == 0 { 1 } else { hertz }, divisor: 1 }
    }

    /// How many ticks have passed since power-on.
    pub(crate) fn ticks(self, now: Nanos) -> u64 {
        let nanos_per_hertz = u128::from(self.divisor) * u128::from(NANOS_PER_SECOND);
        let ticks = u128::from(now.0) * u128::from(self.hertz) / nanos_per_hertz;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// The first moment at which `ticks` have passed.
    pub(crate) fn moment(self, ticks: u64) -> Nanos {
        let nanos_per_hertz = u128::from(self.divisor) * u128::from(NANOS_PER_SECOND);
        let nanos = (u128::from(ticks) * nanos_per_hertz).div_ceil(u128::from(self.hertz));
        Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_has_as_many_ticks_as_the_frequency_says() {
        assert_eq!(Frequency::PM_TIMER.ticks(Nanos::from_secs(1)), 3_579_545);
        assert_eq!(Frequency::PIT.ticks(Nanos::from_secs(3)), 3_579_545);
        assert_eq!(Frequency::RTC.ticks(Nanos::from_millis(500)), 16_384);
    }

    #[test]
    fn lengths_stop_at_the_end_of_time() {
        assert_eq!(Nanos::from_secs(u64::MAX), Nanos::MAX);
        assert_eq!(Frequency::PIT.moment(u64::MAX), Nanos::MAX);
    }

    proptest! {
        #[test]
        fn a_tick_begins_at_its_moment_and_not_a_nanosecond_before(tick in 1u64..1 << 40) {
            for frequency in [Frequency::PM_TIMER, Frequency::PIT, Frequency::RTC] {
                let moment = frequency.moment(tick);
                prop_assert_eq!(frequency.ticks(moment), tick);
                prop_assert_eq!(frequency.ticks(Nanos(moment.0 - 1)), tick - 1);
            }
        }
    }
}
