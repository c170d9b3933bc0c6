//! The redirection table's entries.

use super::{DeliveryMode, DestinationMode, InterruptMessage, Polarity, TriggerMode};

/// An entry of the redirection table: what an input does.
///
/// | bits | meaning |
/// |---|---|
/// | 7:0 | vector |
/// | 10:8 | delivery mode |
/// | 11 | destination mode, 1 logical |
/// | 12 | delivery status, always idle here |
/// | 13 | polarity, 1 active low |
/// | 14 | remote IRR: a level's interrupt was sent and has not ended |
/// | 15 | trigger mode, 1 level |
/// | 16 | mask |
/// | 63:56 | destination |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RedirectionEntry(u64);

impl RedirectionEntry {
    const REMOTE_IRR: u64 = 1 << 14;
    const LEVEL: u64 = 1 << 15;
    const MASKED: u64 = 1 << 16;
    const WRITABLE: u64 = 0xFF00_0000_0001_AFFF;

    /// An entry at power-on: masked.
    pub(super) const RESET: Self = Self(Self::MASKED);

    /// All 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The vector.
    #[must_use]
    pub const fn vector(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// How interrupts are delivered.
    #[must_use]
    pub const fn delivery_mode(self) -> DeliveryMode {
        DeliveryMode::new(self.0.to_le_bytes()[1])
    }

    /// What the destination is.
    #[must_use]
    pub const fn destination_mode(self) -> DestinationMode {
        if self.0 & 1 << 11 == 0 { DestinationMode::Physical } else { DestinationMode::Logical }
    }

    /// Whom interrupts are for.
    #[must_use]
    pub const fn destination(self) -> u8 {
        self.0.to_le_bytes()[7]
    }

    /// The electrical level at which the guest believes the input to be active.
    #[must_use]
    pub const fn polarity(self) -> Polarity {
        if self.0 & 1 << 13 == 0 { Polarity::High } else { Polarity::Low }
    }

    /// When the input interrupts.
    ///
    /// Only [`DeliveryMode::FIXED`] and [`DeliveryMode::LOWEST_PRIORITY`] know levels; the others
    /// are edges, whatever bit 15 says.
    #[must_use]
    pub const fn trigger_mode(self) -> TriggerMode {
        match self.delivery_mode() {
            DeliveryMode::FIXED | DeliveryMode::LOWEST_PRIORITY if self.0 & Self::LEVEL != 0 => {
                TriggerMode::Level
            }
            _ => TriggerMode::Edge,
        }
    }

    /// Whether the input is masked.
    #[must_use]
    pub const fn is_masked(self) -> bool {
        self.0 & Self::MASKED != 0
    }

    /// Whether a level's interrupt was sent and has not ended.
    #[must_use]
    pub const fn remote_irr(self) -> bool {
        self.0 & Self::REMOTE_IRR != 0
    }

    /// What the input sends when it interrupts.
    pub const fn message(self) -> InterruptMessage {
        InterruptMessage {
            vector: self.vector(),
            delivery_mode: self.delivery_mode(),
            destination: InterruptMessage::widen_destination(self.destination()),
            destination_mode: self.destination_mode(),
            trigger_mode: self.trigger_mode(),
        }
    }

    /// The entry's route: all of it that a guest writes.
    pub(super) const fn route(self) -> u64 {
        self.0 & Self::WRITABLE
    }

    pub(super) const fn set_remote_irr(&mut self, value: bool) {
        self.0 = if value { self.0 | Self::REMOTE_IRR } else { self.0 & !Self::REMOTE_IRR };
    }

    /// Writes the lower or upper half.
    pub(super) const fn write(&mut self, upper: bool, value: u32) {
        let (shift, mask) = if upper { (32, 0xFFFF_FFFF << 32) } else { (0, 0xFFFF_FFFF) };
        let writable = Self::WRITABLE & mask;
        self.0 = self.0 & !writable | (value as u64) << shift & writable;
        // Drivers of I/O APICs without EOI register end an interrupt by making it an edge.
        if matches!(self.trigger_mode(), TriggerMode::Edge) {
            self.set_remote_irr(false);
        }
    }
}
