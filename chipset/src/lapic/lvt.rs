//! The local vector table: what a local APIC's own interrupts do.

use super::timer::TimerMode;
use crate::DeliveryMode;

/// The local interrupts, in the order of their registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalInterrupt {
    Timer,
    Thermal,
    Performance,
    Lint0,
    Lint1,
    Error,
}

impl LocalInterrupt {
    pub(super) const COUNT: usize = 6;

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The bits that a write changes.
    pub(super) const fn writable(self) -> u32 {
        const VECTOR_AND_MASK: u32 = 0x1_00FF;
        match self {
            Self::Timer => VECTOR_AND_MASK | 3 << 17,
            Self::Thermal | Self::Performance => VECTOR_AND_MASK | 7 << 8,
            Self::Lint0 | Self::Lint1 => VECTOR_AND_MASK | 7 << 8 | 1 << 13 | 1 << 15,
            Self::Error => VECTOR_AND_MASK,
        }
    }

    /// The bits that a write may set without being refused in x2APIC mode: a status that can't be
    /// changed is not reserved.
    pub(super) const fn defined(self) -> u32 {
        const STATUS: u32 = 1 << 12;
        match self {
            Self::Lint0 | Self::Lint1 => self.writable() | STATUS | LvtEntry::REMOTE_IRR,
            _ => self.writable() | STATUS,
        }
    }
}

/// An entry of the local vector table.
///
/// | bits | meaning | of |
/// |---|---|---|
/// | 7:0 | vector | all |
/// | 10:8 | delivery mode | thermal, performance, LINT |
/// | 12 | delivery status, always idle here | all |
/// | 13 | polarity, kept without meaning | LINT |
/// | 14 | remote IRR: a level's interrupt has not ended | LINT |
/// | 15 | trigger mode, 1 level | LINT |
/// | 16 | mask | all |
/// | 18:17 | timer mode | timer |
///
/// # Source
/// Intel SDM Vol. 3A, "Local Vector Table".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LvtEntry(u32);

impl LvtEntry {
    const REMOTE_IRR: u32 = 1 << 14;
    const LEVEL: u32 = 1 << 15;
    const MASKED: u32 = 1 << 16;

    pub(super) const RESET: Self = Self(Self::MASKED);

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn vector(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    pub(super) const fn delivery_mode(self) -> DeliveryMode {
        DeliveryMode::new(self.0.to_le_bytes()[1])
    }

    pub(super) const fn timer_mode(self) -> TimerMode {
        TimerMode::decode(self.0 >> 17)
    }

    pub(super) const fn is_masked(self) -> bool {
        self.0 & Self::MASKED != 0
    }

    /// Whether it is a level that makes an interrupt with a vector.
    pub(super) fn is_fixed_level(self) -> bool {
        self.0 & Self::LEVEL != 0 && self.delivery_mode() == DeliveryMode::FIXED
    }

    pub(super) const fn remote_irr(self) -> bool {
        self.0 & Self::REMOTE_IRR != 0
    }

    pub(super) const fn set_remote_irr(&mut self, value: bool) {
        self.0 = if value { self.0 | Self::REMOTE_IRR } else { self.0 & !Self::REMOTE_IRR };
    }

    pub(super) const fn mask(&mut self) {
        self.0 |= Self::MASKED;
    }

    /// Writes the entry. A level that becomes another interrupt is forgotten, or its end would
    /// never be seen.
    pub(super) const fn write(&mut self, which: LocalInterrupt, value: u32) {
        let new = value & which.writable();
        let same_but_mask = (self.0 ^ new) & which.writable() & !Self::MASKED == 0;
        self.0 = new | if same_but_mask { self.0 & Self::REMOTE_IRR } else { 0 };
    }
}
