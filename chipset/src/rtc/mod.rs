//! The MC146818 real-time clock and the CMOS memory behind it.

mod calendar;
mod clock;

use bitflags::bitflags;

use crate::Nanos;
use crate::time::Frequency;
use clock::{Encoding, Registers};

bitflags! {
    /// Register B: what interrupts, and how the time is written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Control: u8 {
        const HOURS_24 = 1 << 1;
        const BINARY = 1 << 2;
        const UPDATE_INTERRUPT = 1 << 4;
        const ALARM_INTERRUPT = 1 << 5;
        const PERIODIC_INTERRUPT = 1 << 6;
        const SET = 1 << 7;
    }

    /// Register C: what happened since it was last read, at the bits that enable its interrupt in
    /// register B.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u8 {
        const UPDATE = 1 << 4;
        const ALARM = 1 << 5;
        const PERIODIC = 1 << 6;
        const INTERRUPT = 1 << 7;
    }
}

/// The real-time clock and the 128 bytes of CMOS memory, ports 70h and 71h.
///
/// | offset | port | read | write |
/// |---|---|---|---|
/// | 0 | 70h | - | register number; bit 7 masks NMI |
/// | 1 | 71h | register | register |
///
/// | register | |
/// |---|---|
/// | 00h to 09h | second, alarm, minute, alarm, hour, alarm, day of week, day, month, year |
/// | 0Ah to 0Dh | A rate, B control, C flags, D validity |
/// | 32h | century |
/// | others | memory, for the platform to fill with [`set_cmos`](Self::set_cmos) |
///
/// Time starts at a moment given in seconds since 1970 and goes on with `now`. What the guest sets
/// is kept, as long as this value is: the battery never fails.
///
/// Daylight saving is not known, and there is no square-wave output: neither is wired on a PC.
///
/// # Examples
/// ```
/// # use chipset::{Nanos, Rtc};
/// let mut rtc = Rtc::new(951_782_399); // 28 February 2000, 23:59:59
/// let later = Nanos::from_secs(1);
/// rtc.write(0, 0x07, later); // day of the month
/// assert_eq!(rtc.read(1, later), 0x29);
/// ```
///
/// # Source
/// Motorola MC146818 (ADI-856), "Registers", "Update Cycle"; the century register is the one that
/// the FADT names.
#[derive(Clone, Debug)]
pub struct Rtc {
    index: u8,
    nmi_masked: bool,
    memory: [u8; 128],
    clock: Registers,
    /// Bits 6:0 of register A.
    rate: u8,
    control: Control,
    flags: Flags,
    /// What to add to `now` so that seconds begin at multiples of a second.
    phase: Nanos,
    /// When the device was last brought up to date.
    last: Nanos,
}

impl Rtc {
    /// The register that holds the first two digits of the year.
    pub const CENTURY: u8 = 0x32;

    const RATE: u8 = 0x0A;
    const CONTROL: u8 = 0x0B;
    const FLAGS: u8 = 0x0C;
    const VALIDITY: u8 = 0x0D;

    /// 32.768 kHz, and 1.024 kHz for the periodic interrupt.
    const USUAL_RATE: u8 = 0x26;
    const BATTERY_IS_GOOD: u8 = 1 << 7;
    const UPDATE_IN_PROGRESS: u8 = 1 << 7;
    /// From 244 µs before an update until its end 1984 µs after its start.
    const UPDATE_TIME: Nanos = Nanos::from_micros(244 + 1_984);
    const SECOND: Nanos = Nanos::from_secs(1);
    const HALF_SECOND: Nanos = Nanos::from_millis(500);

    /// A clock that shows, at power-on, the time `epoch_seconds` after the start of 1970.
    #[must_use]
    pub const fn new(epoch_seconds: u64) -> Self {
        let encoding = Encoding { binary: false, hours_24: true };
        Self {
            index: 0,
            nmi_masked: false,
            memory: [0; 128],
            clock: Registers::new(epoch_seconds, encoding),
            rate: Self::USUAL_RATE,
            control: Control::HOURS_24,
            flags: Flags::empty(),
            phase: Nanos::ZERO,
            last: Nanos::ZERO,
        }
    }

    /// Resets what the battery does not keep: interrupts and the register number.
    pub fn reset(&mut self) {
        self.index = 0;
        self.nmi_masked = false;
        self.control -=
            Control::UPDATE_INTERRUPT | Control::ALARM_INTERRUPT | Control::PERIODIC_INTERRUPT;
        self.flags = Flags::empty();
    }

    /// Whether NMI is masked, bit 7 of port 70h.
    #[must_use]
    pub const fn nmi_masked(&self) -> bool {
        self.nmi_masked
    }

    /// A byte of CMOS memory. Registers of the clock, whose value depends on the time, are zero here.
    #[must_use]
    pub const fn cmos(&self, index: u8) -> u8 {
        self.memory[(index & 0x7F) as usize]
    }

    /// Sets a byte of CMOS memory, 0Eh to 7Fh without the century. The clock's own registers are
    /// left alone.
    pub const fn set_cmos(&mut self, index: u8, value: u8) {
        if matches!(index, 0x0E..=0x7F) && index != Self::CENTURY {
            self.memory[(index & 0x7F) as usize] = value;
        }
    }

    /// The interrupt, IRQ 8: a level that stays until register C is read.
    #[must_use]
    pub const fn interrupt(&self) -> bool {
        self.flags.bits() & self.control.bits() & Self::ANY_INTERRUPT != 0
    }

    /// The moment at which the interrupt rises next.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        if self.interrupt() || !self.running() {
            return None;
        }
        let enabled = |flag| self.control.contains(flag);
        let seconds = if enabled(Control::SET) {
            None
        } else if enabled(Control::UPDATE_INTERRUPT) {
            Some(1)
        } else if enabled(Control::ALARM_INTERRUPT) {
            self.clock.seconds_to_alarm(self.encoding())
        } else {
            None
        };
        let phased = self.phased(self.last);
        let updates = Frequency::SECONDS.ticks(phased);
        let second = seconds.map(|seconds| {
            Frequency::SECONDS.moment(updates.saturating_add(seconds)).saturating_sub(self.phase)
        });
        let period = match self.ticks_per_period() {
            Some(ticks) if enabled(Control::PERIODIC_INTERRUPT) => {
                let next = (Frequency::RTC.ticks(phased) / ticks + 1) * ticks;
                Some(Frequency::RTC.moment(next).saturating_sub(self.phase))
            }
            _ => None,
        };
        [second, period].into_iter().flatten().min()
    }

    /// Brings the clock up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if now <= self.last {
            return;
        }
        let (before, after) = (self.phased(self.last), self.phased(now));
        self.last = now;
        if !self.running() {
            return;
        }
        if let Some(ticks) = self.ticks_per_period() {
            let periods = |time| Frequency::RTC.ticks(time) / ticks;
            if periods(after) != periods(before) {
                self.flags |= Flags::PERIODIC;
            }
        }
        let seconds = Frequency::SECONDS.ticks(after) - Frequency::SECONDS.ticks(before);
        if seconds != 0 && !self.control.contains(Control::SET) {
            self.update(seconds);
        }
    }

    /// Reads a port, given as its offset from port 70h; only the data port answers.
    #[must_use]
    pub fn read(&mut self, offset: u8, now: Nanos) -> u8 {
        self.advance(now);
        if offset != 1 {
            return 0xFF;
        }
        match self.index {
            Self::RATE => self.rate | self.update_in_progress(),
            Self::CONTROL => self.control.bits(),
            Self::FLAGS => self.read_flags(),
            Self::VALIDITY => Self::BATTERY_IS_GOOD,
            index => match self.clock.register(index) {
                Some(register) => *register,
                None => self.cmos(index),
            },
        }
    }

    /// Writes a port, given as its offset from port 70h.
    pub fn write(&mut self, offset: u8, value: u8, now: Nanos) {
        self.advance(now);
        match offset {
            0 => {
                self.index = value & 0x7F;
                self.nmi_masked = value & 0x80 != 0;
            }
            1 => self.write_register(value),
            _ => {}
        }
    }

    const ANY_INTERRUPT: u8 = Flags::UPDATE.union(Flags::ALARM).union(Flags::PERIODIC).bits();

    fn write_register(&mut self, value: u8) {
        match self.index {
            Self::RATE => self.write_rate(value & 0x7F),
            Self::CONTROL => {
                self.control = Control::from_bits_truncate(value);
                if self.control.contains(Control::SET) {
                    self.control -= Control::UPDATE_INTERRUPT;
                }
            }
            Self::FLAGS | Self::VALIDITY => {}
            index => match self.clock.register(index) {
                Some(register) => *register = value,
                None => self.set_cmos(index, value),
            },
        }
    }

    fn write_rate(&mut self, value: u8) {
        let was_running = self.running();
        self.rate = value;
        if self.running() && !was_running {
            // The divider starts from zero: the first update comes half a second later.
            let into_second = Nanos::new(self.last.get() % Self::SECOND.get());
            let phase = Self::SECOND.saturating_add(Self::HALF_SECOND).saturating_sub(into_second);
            self.phase = Nanos::new(phase.get() % Self::SECOND.get());
        }
    }

    fn read_flags(&mut self) -> u8 {
        let mut flags = self.flags;
        flags.set(Flags::INTERRUPT, self.interrupt());
        self.flags = Flags::empty();
        flags.bits()
    }

    /// Whether the divider runs, bits 6:4 of register A. Those that select another crystal run too.
    const fn running(&self) -> bool {
        self.rate & 0x70 <= 0x20
    }

    /// The period of the periodic interrupt in ticks of 32.768 kHz, bits 3:0 of register A.
    const fn ticks_per_period(&self) -> Option<u64> {
        match self.rate & 0x0F {
            0 => None,
            rate @ (1 | 2) => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    const fn phased(&self, now: Nanos) -> Nanos {
        now.saturating_add(self.phase)
    }

    fn update_in_progress(&self) -> u8 {
        let into_second = Nanos::new(self.phased(self.last).get() % Self::SECOND.get());
        let ends_soon = Self::SECOND.saturating_sub(into_second) <= Self::UPDATE_TIME;
        if ends_soon && self.running() && !self.control.contains(Control::SET) {
            Self::UPDATE_IN_PROGRESS
        } else {
            0
        }
    }

    const fn encoding(&self) -> Encoding {
        Encoding {
            binary: self.control.contains(Control::BINARY),
            hours_24: self.control.contains(Control::HOURS_24),
        }
    }

    fn update(&mut self, seconds: u64) {
        let encoding = self.encoding();
        self.flags |= Flags::UPDATE;
        if self.clock.seconds_to_alarm(encoding).is_some_and(|alarm| alarm <= seconds) {
            self.flags |= Flags::ALARM;
        }
        self.clock.add_seconds(seconds, encoding);
    }
}
