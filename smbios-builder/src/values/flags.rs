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
        /// Nothing is known.
        const UNKNOWN = 1 << 2;
        /// The fields of characteristics say nothing.
        const NOT_SUPPORTED = 1 << 3;
        /// ISA is supported.
        const ISA = 1 << 4;
        /// MCA is supported.
        const MCA = 1 << 5;
        /// EISA is supported.
        const EISA = 1 << 6;
        /// PCI is supported.
        const PCI = 1 << 7;
        /// PC cards are supported.
        const PC_CARD = 1 << 8;
        /// Plug and play is supported.
        const PLUG_AND_PLAY = 1 << 9;
        /// APM is supported.
        const APM = 1 << 10;
        /// The firmware can be upgraded.
        const UPGRADEABLE = 1 << 11;
        /// The firmware can be shadowed.
        const SHADOWING = 1 << 12;
        /// The VESA local bus is supported.
        const VL_VESA = 1 << 13;
        /// There is extended system configuration data.
        const ESCD = 1 << 14;
        /// Booting from CD is supported.
        const CD_BOOT = 1 << 15;
        /// What to boot can be chosen.
        const SELECTABLE_BOOT = 1 << 16;
        /// The firmware's ROM sits in a socket.
        const SOCKETED_ROM = 1 << 17;
        /// Booting from PC cards is supported.
        const PC_CARD_BOOT = 1 << 18;
        /// Enhanced disk drives are supported.
        const EDD = 1 << 19;
        /// Japanese floppies of NEC 9800 for 1.2 MB, by INT 13h.
        const FLOPPY_NEC_9800 = 1 << 20;
        /// Japanese floppies of Toshiba for 1.2 MB, by INT 13h.
        const FLOPPY_TOSHIBA = 1 << 21;
        /// 5.25-inch floppies of 360 KB, by INT 13h.
        const FLOPPY_360K = 1 << 22;
        /// 5.25-inch floppies of 1.2 MB, by INT 13h.
        const FLOPPY_1_2M = 1 << 23;
        /// 3.5-inch floppies of 720 KB, by INT 13h.
        const FLOPPY_720K = 1 << 24;
        /// 3.5-inch floppies of 2.88 MB, by INT 13h.
        const FLOPPY_2_88M = 1 << 25;
        /// INT 5h prints the screen.
        const PRINT_SCREEN = 1 << 26;
        /// INT 9h serves an 8042's keyboard.
        const KEYBOARD_8042 = 1 << 27;
        /// INT 14h serves serial ports.
        const SERIAL = 1 << 28;
        /// INT 17h serves printers.
        const PRINTER = 1 << 29;
        /// INT 10h serves CGA and monochrome video.
        const CGA_MONO = 1 << 30;
        /// The machine is an NEC PC-98.
        const PC_98 = 1 << 31;
    }

    /// What else the platform's firmware can do: two bytes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FirmwareCharacteristicsExtension: u16 {
        /// ACPI is supported.
        const ACPI = 1 << 0;
        /// USB keyboards and mice work before the system has drivers.
        const USB_LEGACY = 1 << 1;
        /// AGP is supported.
        const AGP = 1 << 2;
        /// Booting from I2O is supported.
        const I2O_BOOT = 1 << 3;
        /// Booting from LS-120 is supported.
        const LS_120_BOOT = 1 << 4;
        /// Booting from ATAPI ZIP drives is supported.
        const ATAPI_ZIP_BOOT = 1 << 5;
        /// Booting from IEEE 1394 is supported.
        const IEEE_1394_BOOT = 1 << 6;
        /// Smart batteries are supported.
        const SMART_BATTERY = 1 << 7;
        /// The BIOS boot specification is supported.
        const BIOS_BOOT_SPECIFICATION = 1 << 8;
        /// A function key starts from the network.
        const NETWORK_BOOT_KEY = 1 << 9;
        /// Targeted content distribution is enabled.
        const TARGETED_CONTENT_DISTRIBUTION = 1 << 10;
        /// UEFI is supported.
        const UEFI = 1 << 11;
        /// The table describes a virtual machine.
        const VIRTUAL_MACHINE = 1 << 12;
        /// There is a mode for manufacturing.
        const MANUFACTURING_MODE_SUPPORTED = 1 << 13;
        /// That mode is on.
        const MANUFACTURING_MODE_ENABLED = 1 << 14;
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
        /// It has 128-bit mode.
        const BITS_128 = 1 << 8;
        /// Its id is that of an Arm64 system on a chip.
        const ARM64_SOC_ID = 1 << 9;
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
        /// It takes PC cards of 16 bits.
        const PC_CARD_16 = 1 << 4;
        /// It takes `CardBus` cards.
        const CARD_BUS = 1 << 5;
        /// It has zoomed video.
        const ZOOM_VIDEO = 1 << 6;
        /// A modem in it can wake the system by ringing.
        const MODEM_RING_RESUME = 1 << 7;
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
        /// It takes devices of CXL 1.0.
        const CXL_1_0 = 1 << 5;
        /// It takes devices of CXL 2.0.
        const CXL_2_0 = 1 << 6;
        /// It takes devices of CXL 3.0.
        const CXL_3_0 = 1 << 7;
    }

    /// How a memory device works.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MemoryTypeDetail: u16 {
        /// In another way.
        const OTHER = 1 << 1;
        /// Unknown.
        const UNKNOWN = 1 << 2;
        /// Fast-paged.
        const FAST_PAGED = 1 << 3;
        /// Static column.
        const STATIC_COLUMN = 1 << 4;
        /// Pseudo-static.
        const PSEUDO_STATIC = 1 << 5;
        /// RAMBUS.
        const RAMBUS = 1 << 6;
        /// Synchronous.
        const SYNCHRONOUS = 1 << 7;
        /// CMOS.
        const CMOS = 1 << 8;
        /// EDO.
        const EDO = 1 << 9;
        /// Window DRAM.
        const WINDOW_DRAM = 1 << 10;
        /// Cache DRAM.
        const CACHE_DRAM = 1 << 11;
        /// Non-volatile.
        const NON_VOLATILE = 1 << 12;
        /// Registered (buffered).
        const REGISTERED = 1 << 13;
        /// Unbuffered.
        const UNBUFFERED = 1 << 14;
        /// Of reduced load.
        const LRDIMM = 1 << 15;
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

    /// How the languages of a firmware are named.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct LanguageFlags: u8 {
        /// Abbreviated, as `enUS`; otherwise as `en|US|iso8859-1`.
        const ABBREVIATED = 1 << 0;
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
    LanguageFlags: u8,
    ComponentCharacteristics: zerocopy::little_endian::U16,
}
