//! Types of structures.

use core::fmt;

/// What a structure describes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct StructureType(pub u8);

macro_rules! kinds {
    ($($name:ident = $number:literal $text:literal,)*) => {
        impl StructureType {
            $(#[doc = concat!($text, ".")] pub const $name: Self = Self($number);)*

            /// Returns the type's name, or `None` if the specification gives it none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    128..=255 => Some("OEM-specific"),
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    FIRMWARE = 0 "BIOS Information",
    SYSTEM = 1 "System Information",
    BASEBOARD = 2 "Base Board Information",
    CHASSIS = 3 "Chassis Information",
    PROCESSOR = 4 "Processor Information",
    CACHE = 7 "Cache Information",
    PORT_CONNECTOR = 8 "Port Connector Information",
    SYSTEM_SLOT = 9 "System Slot Information",
    ON_BOARD_DEVICES = 10 "On Board Device Information",
    OEM_STRINGS = 11 "OEM Strings",
    LANGUAGE = 13 "BIOS Language Information",
    MEMORY_ARRAY = 16 "Physical Memory Array",
    MEMORY_DEVICE = 17 "Memory Device",
    MEMORY_ERROR_32 = 18 "32-bit Memory Error Information",
    ARRAY_MAPPING = 19 "Memory Array Mapped Address",
    DEVICE_MAPPING = 20 "Memory Device Mapped Address",
    BATTERY = 22 "Portable Battery",
    VOLTAGE_PROBE = 26 "Voltage Probe",
    COOLING_DEVICE = 27 "Cooling Device",
    CURRENT_PROBE = 29 "Electrical Current Probe",
    BOOT_INFORMATION = 32 "System Boot Information",
    MEMORY_ERROR_64 = 33 "64-bit Memory Error Information",
    IPMI = 38 "IPMI Device Information",
    POWER_SUPPLY = 39 "System Power Supply",
    ONBOARD_DEVICE = 41 "Onboard Device",
    TPM = 43 "TPM Device",
    FIRMWARE_INVENTORY = 45 "Firmware Inventory Information",
    STRING_PROPERTY = 46 "String Property",
    INACTIVE = 126 "Inactive",
    END_OF_TABLE = 127 "End Of Table",
}

impl StructureType {
    /// Tells whether the type is for makers of machines to define.
    #[must_use]
    pub const fn is_oem(self) -> bool {
        self.0 >= 128
    }
}

impl fmt::Display for StructureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "structure of type {}", self.0)
    }
}

impl fmt::Debug for StructureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StructureType({})", self.0)
    }
}
