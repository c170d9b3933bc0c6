//! Time, from the time-stamp counter.

use core::hint::spin_loop;

use machine::Nanos;

use crate::hardware::{inb, outb, rdtsc};

/// The 8254's frequency, in hertz.
const PIT_HERTZ: u64 = 1_193_182;
/// How long the TSC is measured for, in ticks of the 8254: about 10 ms.
const MEASURED_TICKS: u16 = 11_932;

/// Time since the clock was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: u64,
    hertz: u64,
    /// Nanoseconds for a tick of the TSC, times 2^32.
    nanos_per_tick: u64,
    /// The reverse.
    ticks_per_nano: u64,
}

impl Clock {
    /// Measures the TSC's frequency against the 8254.
    pub(crate) fn calibrate() -> Self {
        let hertz = measure_hertz().max(1);
        let scale = |a: u64, b: u64| {
            u64::try_from((u128::from(a) << 32) / u128::from(b)).unwrap_or(u64::MAX)
        };
        Self {
            start: rdtsc(),
            hertz,
            nanos_per_tick: scale(1_000_000_000, hertz),
            ticks_per_nano: scale(hertz, 1_000_000_000),
        }
    }

    /// Returns the frequency of the TSC.
    pub(crate) const fn hertz(&self) -> u64 {
        self.hertz
    }

    /// Returns the time since the clock was made.
    pub(crate) fn now(&self) -> Nanos {
        let ticks = u128::from(rdtsc().wrapping_sub(self.start));
        let nanos = (ticks * u128::from(self.nanos_per_tick)) >> 32;
        Nanos::new(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns how many ticks of the TSC a time takes, at least one more than it needs.
    pub(crate) fn ticks(&self, time: Nanos) -> u64 {
        let ticks = (u128::from(time.get()) * u128::from(self.ticks_per_nano)) >> 32;
        u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// Lets channel 2 of the 8254 count down once, and counts ticks of the TSC meanwhile.
fn measure_hertz() -> u64 {
    const PORT_61: u16 = 0x61;
    const OUTPUT: u8 = 1 << 5;
    let [low, high] = MEASURED_TICKS.to_le_bytes();
    // Gate on, speaker off; channel 2 counts to zero once (mode 0).
    outb(PORT_61, inb(PORT_61) & 0xFC | 1);
    outb(0x43, 0xB0);
    outb(0x42, low);
    outb(0x42, high);
    let start = rdtsc();
    while inb(PORT_61) & OUTPUT == 0 {
        spin_loop();
    }
    let ticks = rdtsc().wrapping_sub(start);
    ticks * PIT_HERTZ / u64::from(MEASURED_TICKS)
}
