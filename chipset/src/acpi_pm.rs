//! The ACPI fixed hardware: PM1 event and control blocks and the PM timer.

use bitflags::bitflags;

use crate::time::{Frequency, Nanos};

bitflags! {
    /// The bits of PM1_STS and PM1_EN that this machine has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Pm1Event: u16 {
        const TIMER = 1 << 0;
        const GLOBAL = 1 << 5;
        const POWER_BUTTON = 1 << 8;
        const RTC = 1 << 10;
    }
}

/// How wide the PM timer is; the FADT flag TMR_VAL_EXT says the same to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PmTimerWidth {
    /// 24 bits, wrapping after 4.7 seconds.
    Bits24,
    /// 32 bits, wrapping after 20 minutes.
    Bits32,
}

impl PmTimerWidth {
    const fn bits(self) -> u32 {
        match self {
            Self::Bits24 => 24,
            Self::Bits32 => 32,
        }
    }
}

/// The sleep that the guest asks for: SLP_TYP of PM1_CNT, 0 to 7.
///
/// Which sleep state a number means is what the `_Sx` objects of the DSDT say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the guest sleeps only if the machine lets it"]
pub struct SleepType(u8);

impl SleepType {
    /// The number as in SLP_TYP; its upper five bits are dropped.
    pub const fn new(number: u8) -> Self {
        Self(number & 7)
    }

    /// The number, 0 to 7.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The ACPI fixed hardware, laid out as PIIX4 has it.
///
/// | offset | register | FADT field |
/// |---|---|---|
/// | 0, 2 | PM1 status, PM1 enable | `PM1a_EVT_BLK`, length 4 |
/// | 4 | PM1 control | `PM1a_CNT_BLK`, length 2 |
/// | 8 | PM timer | `PM_TMR_BLK`, length 4 |
///
/// The machine is always in ACPI mode: SCI_EN reads as one, and there is no SMI command port for the
/// FADT to name (`SMI_CMD` is zero). Accesses wider than a byte come split, all with the same `now`,
/// so that the bytes of the timer belong together.
///
/// # Source
/// ACPI 6.5 §4.8.3, "Fixed Hardware Registers"; §4.8.2.1, "Power Management Timer".
#[derive(Clone, Debug)]
pub struct AcpiPm {
    width: PmTimerWidth,
    status: Pm1Event,
    enable: Pm1Event,
    sleep_type: u8,
    /// How often the timer's top bit had changed when the device was last up to date.
    timer_carries: u64,
}

impl AcpiPm {
    /// The hardware at power-on.
    #[must_use]
    pub const fn new(width: PmTimerWidth) -> Self {
        Self {
            width,
            status: Pm1Event::empty(),
            enable: Pm1Event::empty(),
            sleep_type: 0,
            timer_carries: 0,
        }
    }

    /// Returns to the state at power-on. The timer counts on.
    pub const fn reset(&mut self) {
        self.status = Pm1Event::empty();
        self.enable = Pm1Event::empty();
        self.sleep_type = 0;
    }

    /// The system control interrupt, a level (IRQ 9 by custom).
    #[must_use]
    pub const fn interrupt(&self) -> bool {
        self.status.intersects(self.enable)
    }

    /// The PM timer: 3.579545 MHz since power-on, as wide as [`AcpiPm::new`] was told.
    #[must_use]
    pub fn timer(&self, now: Nanos) -> u32 {
        let mask = u64::MAX >> (64 - self.width.bits());
        u32::try_from(Frequency::PM_TIMER.ticks(now) & mask).unwrap_or(u32::MAX)
    }

    /// Presses the power button: the guest gets an SCI, if it wants one, and powers off.
    pub fn press_power_button(&mut self) {
        self.status |= Pm1Event::POWER_BUTTON;
    }

    /// Learns that the clock has raised its interrupt: the guest gets an SCI, if it wants one.
    pub fn rtc_interrupt(&mut self) {
        self.status |= Pm1Event::RTC;
    }

    /// The next moment at which the SCI may rise by itself: when the timer's top bit changes.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        if self.interrupt() || !self.enable.contains(Pm1Event::TIMER) {
            return None;
        }
        let next = (self.timer_carries.saturating_add(1)).saturating_mul(self.ticks_per_carry());
        Some(Frequency::PM_TIMER.moment(next))
    }

    /// Brings the device up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let carries = Frequency::PM_TIMER.ticks(now) / self.ticks_per_carry();
        if carries > self.timer_carries {
            self.timer_carries = carries;
            self.status |= Pm1Event::TIMER;
        }
    }

    /// Reads a byte. Reserved bytes between the registers read as zero, those behind as all ones.
    #[must_use]
    pub fn read(&mut self, offset: u8, now: Nanos) -> u8 {
        self.advance(now);
        match offset {
            0..=1 => byte_of(self.status.bits(), offset),
            2..=3 => byte_of(self.enable.bits(), offset - 2),
            4 => Self::SCI_ENABLE,
            5 => self.sleep_type << Self::SLEEP_TYPE_SHIFT,
            6..=7 => 0,
            8..=11 => self.timer(now).to_le_bytes()[usize::from(offset - 8)],
            _ => 0xFF,
        }
    }

    /// Writes a byte; the sleep asked for, if this write asks for one.
    #[must_use = "the guest sleeps only if the machine lets it"]
    pub fn write(&mut self, offset: u8, value: u8, now: Nanos) -> Option<SleepType> {
        self.advance(now);
        match offset {
            // Writing a one clears a status bit.
            0..=1 => self.status -= Pm1Event::from_bits_truncate(at_byte(value, offset)),
            2..=3 => {
                let other = self.enable.bits() & !at_byte(0xFF, offset - 2);
                self.enable = Pm1Event::from_bits_truncate(other | at_byte(value, offset - 2));
            }
            5 => {
                let sleep = SleepType::new(value >> Self::SLEEP_TYPE_SHIFT);
                self.sleep_type = sleep.get();
                return (value & Self::SLEEP_ENABLE != 0).then_some(sleep);
            }
            _ => {}
        }
        None
    }

    /// Bit 0 of PM1_CNT.
    const SCI_ENABLE: u8 = 1 << 0;
    /// SLP_TYP and SLP_EN are bits 12:10 and 13 of PM1_CNT, in its upper byte.
    const SLEEP_TYPE_SHIFT: u32 = 2;
    const SLEEP_ENABLE: u8 = 1 << 5;

    const fn ticks_per_carry(&self) -> u64 {
        1 << (self.width.bits() - 1)
    }
}

/// Byte 0 or 1 of a register.
const fn byte_of(register: u16, byte: u8) -> u8 {
    register.to_le_bytes()[(byte & 1) as usize]
}

/// A value at byte 0 or 1 of a register.
const fn at_byte(value: u8, byte: u8) -> u16 {
    (value as u16) << (8 * (byte & 1) as u32)
}
