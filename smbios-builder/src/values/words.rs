//! Words that are made of several fields.

use bitflags::bitflags;

use super::open_values;

/// Declares a word of fields, all of whose values are legal.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($type:ty): $wire:ty,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $type);

        impl $crate::encoder::Field<$wire> for $name {
            fn put(&self, _: &mut $crate::Encoder<'_>) -> Result<$wire, $crate::Error> {
                Ok(self.0.into())
            }

            fn get(wire: $wire, _: &$crate::Structure<'_>) -> Self {
                Self(wire.into())
            }
        }
    )*};
}

words! {
    /// What a cache is for a processor.
    ///
    /// | bits | meaning |
    /// |---|---|
    /// | 2..0 | the level, minus one |
    /// | 3 | socketed |
    /// | 6..5 | location: 0 internal, 1 external, 3 unknown |
    /// | 7 | enabled |
    /// | 9..8 | [`CacheMode`] |
    CacheConfiguration(u16): zerocopy::little_endian::U16,

    /// What a power supply is and does.
    ///
    /// | bits | meaning |
    /// |---|---|
    /// | 2..0 | [`PowerSupplyFlags`] |
    /// | 6..3 | [`InputRange`] |
    /// | 9..7 | [`PowerSupplyStatus`] |
    /// | 13..10 | [`PowerSupplyType`] |
    PowerSupplyCharacteristics(u16): zerocopy::little_endian::U16,

    /// How a management controller is reached and interrupts.
    ///
    /// | bits | meaning |
    /// |---|---|
    /// | 0 | level-triggered |
    /// | 1 | active high |
    /// | 3 | bits 0 and 1 mean something |
    /// | 4 | the lowest bit of the base address |
    /// | 7..6 | registers are 1, 4 or 16 bytes apart: 0, 1, 2 |
    IpmiModifier(u8): u8,
}

open_values! {
    /// How a cache writes.
    CacheMode(u16), default UNKNOWN {
        WRITE_THROUGH = 0 "Write Through",
        WRITE_BACK = 1 "Write Back",
        VARIES = 2 "Varies With Memory Address",
        UNKNOWN = 3 "Unknown",
    }

    /// How a power supply is switched between ranges of input.
    InputRange(u16), default UNKNOWN {
        OTHER = 1 "Other",
        UNKNOWN = 2 "Unknown",
        MANUAL = 3 "Manual",
        AUTO_SWITCH = 4 "Auto-switch",
        WIDE = 5 "Wide Range",
        NOT_APPLICABLE = 6 "N/A",
    }

    /// How a power supply is.
    PowerSupplyStatus(u16), default UNKNOWN {
        OTHER = 1 "Other",
        UNKNOWN = 2 "Unknown",
        OK = 3 "OK",
        NON_CRITICAL = 4 "Non-critical",
        CRITICAL = 5 "Critical",
    }

    /// What a power supply is.
    PowerSupplyType(u16), default UNKNOWN {
        OTHER = 1 "Other",
        UNKNOWN = 2 "Unknown",
        LINEAR = 3 "Linear",
        SWITCHING = 4 "Switching",
        BATTERY = 5 "Battery",
        UPS = 6 "UPS",
        CONVERTER = 7 "Converter",
        REGULATOR = 8 "Regulator",
    }

    /// Whether there is a processor in a socket, and what became of it.
    ProcessorStatus(u8), default EMPTY {
        EMPTY = 0x00 "Unpopulated",
        UNKNOWN = 0x40 "Populated, Unknown",
        ENABLED = 0x41 "Populated, Enabled",
        DISABLED_BY_USER = 0x42 "Populated, Disabled By User",
        DISABLED_BY_FIRMWARE = 0x43 "Populated, Disabled By BIOS",
        IDLE = 0x44 "Populated, Idle",
        OTHER = 0x47 "Populated, Other",
    }
}

bitflags! {
    /// What a power supply can do, and whether it is there.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PowerSupplyFlags: u16 {
        /// It can be replaced while running.
        const HOT_REPLACEABLE = 1 << 0;
        /// It is there.
        const PRESENT = 1 << 1;
        /// It is not plugged in.
        const UNPLUGGED = 1 << 2;
    }
}

impl CacheConfiguration {
    /// An enabled cache inside the processor, of a level from 1 to 8; other levels are brought
    /// there.
    #[must_use]
    pub const fn internal(level: u8, mode: CacheMode) -> Self {
        let level = if level == 0 { 0 } else { level - 1 };
        let level = if level > 7 { 7 } else { level };
        Self(level as u16 | 1 << 7 | (mode.0 & 3) << 8)
    }

    /// Returns the level, from 1.
    #[must_use]
    pub const fn level(self) -> u8 {
        (self.0 & 7) as u8 + 1
    }

    /// Tells whether it was enabled at boot.
    #[must_use]
    pub const fn is_enabled(self) -> bool {
        self.0 >> 7 & 1 != 0
    }

    /// Tells whether it sits in a socket of its own.
    #[must_use]
    pub const fn is_socketed(self) -> bool {
        self.0 >> 3 & 1 != 0
    }

    /// Returns how it writes.
    #[must_use]
    pub const fn mode(self) -> CacheMode {
        CacheMode(self.0 >> 8 & 3)
    }
}

impl PowerSupplyCharacteristics {
    /// Puts the fields together; what is too large for its field is cut.
    #[must_use]
    pub const fn new(
        flags: PowerSupplyFlags,
        range: InputRange,
        status: PowerSupplyStatus,
        kind: PowerSupplyType,
    ) -> Self {
        let (range, status, kind) = (range.0 & 0xF, status.0 & 7, kind.0 & 0xF);
        Self(flags.bits() & 7 | range << 3 | status << 7 | kind << 10)
    }

    /// Returns what it can do, and whether it is there.
    #[must_use]
    pub const fn flags(self) -> PowerSupplyFlags {
        PowerSupplyFlags::from_bits_retain(self.0 & 7)
    }

    /// Returns how it is switched between ranges of input.
    #[must_use]
    pub const fn range(self) -> InputRange {
        InputRange(self.0 >> 3 & 0xF)
    }

    /// Returns how it is.
    #[must_use]
    pub const fn status(self) -> PowerSupplyStatus {
        PowerSupplyStatus(self.0 >> 7 & 7)
    }

    /// Returns what it is.
    #[must_use]
    pub const fn kind(self) -> PowerSupplyType {
        PowerSupplyType(self.0 >> 10 & 0xF)
    }
}

impl IpmiModifier {
    /// Registers that are so many bytes apart, which is 1, 4 or 16; anything else is 1. There is no
    /// interrupt.
    #[must_use]
    pub const fn spaced(bytes: u8) -> Self {
        Self(match bytes {
            4 => 1 << 6,
            16 => 2 << 6,
            _ => 0,
        })
    }

    /// The same, with an interrupt.
    #[must_use]
    pub const fn interrupt(self, level_triggered: bool, active_high: bool) -> Self {
        Self(self.0 & !3 | 1 << 3 | level_triggered as u8 | (active_high as u8) << 1)
    }

    /// The same, with the lowest bit of the base address, which the address itself has no room for.
    #[must_use]
    pub const fn address_bit_0(self, bit: bool) -> Self {
        Self(self.0 & !(1 << 4) | (bit as u8) << 4)
    }

    /// Returns how many bytes its registers are apart, or `None` for what is reserved.
    #[must_use]
    pub const fn spacing_bytes(self) -> Option<u8> {
        match self.0 >> 6 {
            0 => Some(1),
            1 => Some(4),
            2 => Some(16),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_from_where_the_specification_has_them() {
        let cache = CacheConfiguration::internal(3, CacheMode::WRITE_BACK);
        assert_eq!(cache.0, 0x0182);
        assert_eq!((cache.level(), cache.mode()), (3, CacheMode::WRITE_BACK));
        assert!(cache.is_enabled() && !cache.is_socketed());
        assert_eq!(CacheConfiguration::internal(0, CacheMode::UNKNOWN).level(), 1);
        assert_eq!(CacheConfiguration::internal(200, CacheMode::UNKNOWN).level(), 8);

        let flags = PowerSupplyFlags::HOT_REPLACEABLE | PowerSupplyFlags::PRESENT;
        let (range, status) = (InputRange::AUTO_SWITCH, PowerSupplyStatus::OK);
        let kind = PowerSupplyType::SWITCHING;
        let supply = PowerSupplyCharacteristics::new(flags, range, status, kind);
        assert_eq!(supply.0, 0x11A3);
        assert_eq!((supply.flags(), supply.range()), (flags, range));
        assert_eq!((supply.status(), supply.kind()), (status, kind));

        let modifier = IpmiModifier::spaced(4).interrupt(true, false).address_bit_0(true);
        assert_eq!(modifier.0, 0x59);
        assert_eq!(modifier.spacing_bytes(), Some(4));
        assert_eq!(IpmiModifier(0xC0).spacing_bytes(), None);
    }
}
