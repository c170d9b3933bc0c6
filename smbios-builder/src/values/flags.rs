//! Sets of flags.

use bitflags::bitflags;

/// Lets flags stand in a structure: all bits are kept, known or not.
macro_rules! flag_fields {
    ($($name:ident: $wire:ty,)*) => {$(
        impl $crate::encoder::Field<$wire> for $name {
            fn put(&self, _: &mut $crate::Encoder<'_>) -> Result<$wire, $crate::Error> {
                Ok(self.bits().into())
            }

            fn get(wire: $wire, _: &$crate::Structure<'_>) -> Self {
                Self::from_bits_retain(wire.into())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::empty()
            }
        }
    )*};
}

bitflags! {
    /// What the platform's firmware can do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FirmwareCharacteristics: u64 {
        /// The fields of characteristics say nothing.
        const NOT_SUPPORTED = 1 << 3;
        /// ISA is supported.
        const ISA = 1 << 4;
        /// PCI is supported.
        const PCI = 1 << 7;
        /// Plug and play is supported.
        const PLUG_AND_PLAY = 1 << 9;
        /// The firmware can be upgraded.
        const UPGRADEABLE = 1 << 11;
        /// The firmware can be shadowed.
        const SHADOWING = 1 << 12;
        /// Booting from CD is supported.
        const CD_BOOT = 1 << 15;
        /// What to boot can be chosen.
        const SELECTABLE_BOOT = 1 << 16;
    }

    /// What else the platform's firmware can do: two bytes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FirmwareCharacteristicsExtension: u16 {
        /// ACPI is supported.
        const ACPI = 1 << 0;
        /// USB keyboards and mice work before the system has drivers.
        const USB_LEGACY = 1 << 1;
        /// Targeted content distribution is enabled.
        const TARGETED_CONTENT_DISTRIBUTION = 1 << 10;
        /// UEFI is supported.
        const UEFI = 1 << 11;
        /// The table describes a virtual machine.
        const VIRTUAL_MACHINE = 1 << 12;
    }

    /// What a board can do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct BoardFeatures: u8 {
        /// It hosts others, such as a motherboard.
        const HOSTING = 1 << 0;
        /// It needs a daughter board.
        const NEEDS_DAUGHTER_BOARD = 1 << 1;
        /// It can be removed.
        const REMOVABLE = 1 << 2;
        /// It can be replaced.
        const REPLACEABLE = 1 << 3;
        /// It can be swapped while running.
        const HOT_SWAPPABLE = 1 << 4;
    }

    /// What a processor can do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ProcessorCharacteristics: u16 {
        /// Nothing is known.
        const UNKNOWN = 1 << 1;
        /// It has 64-bit mode.
        const BITS_64 = 1 << 2;
        /// It has several cores.
        const MULTI_CORE = 1 << 3;
        /// A core has several threads.
        const HARDWARE_THREAD = 1 << 4;
        /// Pages can be protected from execution.
        const EXECUTE_PROTECTION = 1 << 5;
        /// It can run virtual machines.
        const ENHANCED_VIRTUALIZATION = 1 << 6;
        /// It can change its power and performance.
        const POWER_CONTROL = 1 << 7;
    }

    /// How a cache's SRAM works.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SramType: u16 {
        /// In another way.
        const OTHER = 1 << 0;
        /// Unknown.
        const UNKNOWN = 1 << 1;
        /// Non-burst.
        const NON_BURST = 1 << 2;
        /// Burst.
        const BURST = 1 << 3;
        /// Pipeline burst.
        const PIPELINE_BURST = 1 << 4;
        /// Synchronous.
        const SYNCHRONOUS = 1 << 5;
        /// Asynchronous.
        const ASYNCHRONOUS = 1 << 6;
    }

    /// What a slot offers, first byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SlotCharacteristics1: u8 {
        /// Nothing is known.
        const UNKNOWN = 1 << 0;
        /// It provides 5 V.
        const VOLTS_5 = 1 << 1;
        /// It provides 3.3 V.
        const VOLTS_3_3 = 1 << 2;
        /// Its opening is shared with another slot.
        const SHARED = 1 << 3;
    }

    /// What a slot offers, second byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SlotCharacteristics2: u8 {
        /// It has the PME# signal.
        const PME = 1 << 0;
        /// It takes cards while running.
        const HOT_PLUG = 1 << 1;
        /// It has the SMBus signal.
        const SMBUS = 1 << 2;
        /// It can be bifurcated.
        const BIFURCATION = 1 << 3;
        /// Cards may be removed without notice.
        const SURPRISE_REMOVAL = 1 << 4;
    }

    /// How a memory device works.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MemoryTypeDetail: u16 {
        /// In another way.
        const OTHER = 1 << 1;
        /// Unknown.
        const UNKNOWN = 1 << 2;
        /// Synchronous.
        const SYNCHRONOUS = 1 << 7;
        /// Non-volatile.
        const NON_VOLATILE = 1 << 12;
        /// Registered (buffered).
        const REGISTERED = 1 << 13;
        /// Unbuffered.
        const UNBUFFERED = 1 << 14;
    }

    /// How a memory device can be operated.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct OperatingModes: u16 {
        /// In another way.
        const OTHER = 1 << 1;
        /// Unknown.
        const UNKNOWN = 1 << 2;
        /// As volatile memory.
        const VOLATILE = 1 << 3;
        /// As persistent memory, by byte.
        const BYTE_PERSISTENT = 1 << 4;
        /// As persistent memory, by block.
        const BLOCK_PERSISTENT = 1 << 5;
    }

    /// What a TPM device can do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct TpmCharacteristics: u64 {
        /// Characteristics are not supported.
        const NOT_SUPPORTED = 1 << 2;
        /// Its family can be set by an update of firmware.
        const FAMILY_BY_FIRMWARE = 1 << 3;
        /// Its family can be set by the platform's software.
        const FAMILY_BY_SOFTWARE = 1 << 4;
        /// Its family can be set by the maker.
        const FAMILY_BY_OEM = 1 << 5;
    }

    /// How a firmware component can be changed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ComponentCharacteristics: u16 {
        /// It can be updated.
        const UPDATABLE = 1 << 0;
        /// It is write-protected.
        const WRITE_PROTECTED = 1 << 1;
    }
}

flag_fields! {
    FirmwareCharacteristics: zerocopy::little_endian::U64,
    FirmwareCharacteristicsExtension: zerocopy::little_endian::U16,
    BoardFeatures: u8,
    ProcessorCharacteristics: zerocopy::little_endian::U16,
    SramType: zerocopy::little_endian::U16,
    SlotCharacteristics1: u8,
    SlotCharacteristics2: u8,
    MemoryTypeDetail: zerocopy::little_endian::U16,
    OperatingModes: zerocopy::little_endian::U16,
    TpmCharacteristics: zerocopy::little_endian::U64,
    ComponentCharacteristics: zerocopy::little_endian::U16,
}
