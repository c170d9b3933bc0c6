//! What stands where in the structures, for the validator and for printing.

use core::fmt;

use crate::{
    ArrayErrorCorrection, ArrayLocation, ArrayUse, Associativity, BatteryChemistry,
    BoardDeviceType, BoardFeatures, BoardType, BootStatus, CacheErrorCorrection, CacheType,
    ChassisState, ChassisType, ComponentCharacteristics, ConnectorType, FirmwareCharacteristics,
    FirmwareCharacteristicsExtension, FirmwareState, FormFactor, IpmiInterface, LanguageFlags,
    MemoryDeviceType, MemoryTechnology, MemoryTypeDetail, OperatingModes, PortType,
    ProcessorCharacteristics, ProcessorFamily, ProcessorStatus, ProcessorType, ProcessorUpgrade,
    SecurityStatus, SlotCharacteristics1, SlotCharacteristics2, SlotLength, SlotType, SlotUsage,
    SlotWidth, SramType, StructureType, TpmCharacteristics, WakeUp,
};

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contents {
    /// The number of a string.
    Text,
    /// A number of so many bytes, to be printed in decimal.
    Decimal(usize),
    /// A number of so many bytes, to be printed in hexadecimal.
    Hex(usize),
    /// One byte with names; zero is none of its values.
    Named(fn(u8) -> Option<&'static str>),
    /// One byte with names, zero among its values.
    NamedFromZero(fn(u8) -> Option<&'static str>),
    /// So many bytes of flags, and what writes the names of those that are set.
    Flags(usize, fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result),
    /// The handle of a structure of a type, which must be there.
    Target(StructureType),
    /// The same, where 0xfffe and 0xffff stand for none.
    OptionalTarget(StructureType),
    /// The handle of any structure.
    AnyTarget,
    /// The sixteen bytes of a UUID.
    Uuid,
}

impl Contents {
    /// Returns how many bytes the field has.
    pub(crate) const fn size_bytes(self) -> usize {
        match self {
            Self::Text | Self::Named(_) | Self::NamedFromZero(_) => 1,
            Self::Decimal(size) | Self::Hex(size) | Self::Flags(size, _) => size,
            Self::Target(_) | Self::OptionalTarget(_) | Self::AnyTarget => 2,
            Self::Uuid => 16,
        }
    }
}

/// Writes the names of the flags that are set, and nothing for those without.
fn names<T: bitflags::Flags<Bits: TryFrom<u64>>>(
    bits: u64,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let Ok(bits) = bits.try_into() else { return Ok(()) };
    for (index, (name, _)) in T::from_bits_retain(bits).iter_names().enumerate() {
        f.write_str(if index == 0 { " (" } else { ", " })?;
        name.split('_').enumerate().try_for_each(|(index, word)| {
            f.write_str(if index == 0 { "" } else { " " })?;
            f.write_str(word)
        })?;
    }
    f.write_str(if T::from_bits_retain(bits).iter_names().next().is_some() { ")" } else { "" })
}

/// Offset, name and contents of each field that has a fixed place.
pub(crate) type Fields = &'static [(usize, &'static str, Contents)];

/// Returns the fields of a type; none if it is unknown.
pub(crate) fn fields(kind: StructureType) -> Fields {
    use Contents::{
        AnyTarget, Decimal, Flags, Hex, Named, NamedFromZero, OptionalTarget, Target, Text, Uuid,
    };
    match kind {
        StructureType::FIRMWARE => &[
            (0x04, "Vendor", Text),
            (0x05, "Version", Text),
            (0x06, "Starting Segment", Hex(2)),
            (0x08, "Release Date", Text),
            (0x09, "ROM Size", Hex(1)),
            (0x0A, "Characteristics", Flags(8, names::<FirmwareCharacteristics>)),
            (
                0x12,
                "Characteristics Extension",
                Flags(2, names::<FirmwareCharacteristicsExtension>),
            ),
            (0x14, "Major Release", Decimal(1)),
            (0x15, "Minor Release", Decimal(1)),
            (0x16, "Controller Major Release", Decimal(1)),
            (0x17, "Controller Minor Release", Decimal(1)),
            (0x18, "Extended ROM Size", Hex(2)),
        ],
        StructureType::SYSTEM => &[
            (0x04, "Manufacturer", Text),
            (0x05, "Product Name", Text),
            (0x06, "Version", Text),
            (0x07, "Serial Number", Text),
            (0x08, "UUID", Uuid),
            (0x18, "Wake-up Type", Named(|value| WakeUp(value).name())),
            (0x19, "SKU Number", Text),
            (0x1A, "Family", Text),
        ],
        StructureType::BASEBOARD => &[
            (0x04, "Manufacturer", Text),
            (0x05, "Product Name", Text),
            (0x06, "Version", Text),
            (0x07, "Serial Number", Text),
            (0x08, "Asset Tag", Text),
            (0x09, "Features", Flags(1, names::<BoardFeatures>)),
            (0x0A, "Location In Chassis", Text),
            (0x0B, "Chassis Handle", Target(StructureType::CHASSIS)),
            (0x0D, "Type", Named(|value| BoardType(value).name())),
            (0x0E, "Contained Object Handles", Decimal(1)),
        ],
        StructureType::CHASSIS => &[
            (0x04, "Manufacturer", Text),
            (0x05, "Type", Named(|value| ChassisType(value & 0x7F).name())),
            (0x06, "Version", Text),
            (0x07, "Serial Number", Text),
            (0x08, "Asset Tag", Text),
            (0x09, "Boot-up State", Named(|value| ChassisState(value).name())),
            (0x0A, "Power Supply State", Named(|value| ChassisState(value).name())),
            (0x0B, "Thermal State", Named(|value| ChassisState(value).name())),
            (0x0C, "Security Status", Named(|value| SecurityStatus(value).name())),
            (0x0D, "OEM Information", Hex(4)),
            (0x11, "Height", Decimal(1)),
            (0x12, "Number Of Power Cords", Decimal(1)),
            (0x13, "Contained Elements", Decimal(1)),
        ],
        StructureType::PROCESSOR => &[
            (0x04, "Socket Designation", Text),
            (0x05, "Type", Named(|value| ProcessorType(value).name())),
            // FEh sends to "Family 2".
            (0x06, "Family", Named(|value| ProcessorFamily(value.into()).name())),
            (0x07, "Manufacturer", Text),
            (0x08, "ID", Hex(8)),
            (0x10, "Version", Text),
            (0x11, "Voltage", Hex(1)),
            (0x12, "External Clock (MHz)", Decimal(2)),
            (0x14, "Max Speed (MHz)", Decimal(2)),
            (0x16, "Current Speed (MHz)", Decimal(2)),
            (0x18, "Status", NamedFromZero(|value| ProcessorStatus(value).name())),
            (0x19, "Upgrade", Named(|value| ProcessorUpgrade(value).name())),
            (0x1A, "L1 Cache Handle", OptionalTarget(StructureType::CACHE)),
            (0x1C, "L2 Cache Handle", OptionalTarget(StructureType::CACHE)),
            (0x1E, "L3 Cache Handle", OptionalTarget(StructureType::CACHE)),
            (0x20, "Serial Number", Text),
            (0x21, "Asset Tag", Text),
            (0x22, "Part Number", Text),
            (0x23, "Core Count", Decimal(1)),
            (0x24, "Core Enabled", Decimal(1)),
            (0x25, "Thread Count", Decimal(1)),
            (0x26, "Characteristics", Flags(2, names::<ProcessorCharacteristics>)),
            (0x28, "Family 2", Hex(2)),
            (0x2A, "Core Count 2", Decimal(2)),
            (0x2C, "Core Enabled 2", Decimal(2)),
            (0x2E, "Thread Count 2", Decimal(2)),
            (0x30, "Thread Enabled", Decimal(2)),
        ],
        StructureType::CACHE => &[
            (0x04, "Socket Designation", Text),
            (0x05, "Configuration", Hex(2)),
            (0x07, "Maximum Size", Hex(2)),
            (0x09, "Installed Size", Hex(2)),
            (0x0B, "Supported SRAM Types", Flags(2, names::<SramType>)),
            (0x0D, "Installed SRAM Type", Flags(2, names::<SramType>)),
            (0x0F, "Speed (ns)", Decimal(1)),
            (0x10, "Error Correction Type", Named(|value| CacheErrorCorrection(value).name())),
            (0x11, "System Type", Named(|value| CacheType(value).name())),
            (0x12, "Associativity", Named(|value| Associativity(value).name())),
            (0x13, "Maximum Size 2", Hex(4)),
            (0x17, "Installed Size 2", Hex(4)),
        ],
        StructureType::PORT_CONNECTOR => &[
            (0x04, "Internal Reference Designator", Text),
            (0x05, "Internal Connector Type", NamedFromZero(|value| ConnectorType(value).name())),
            (0x06, "External Reference Designator", Text),
            (0x07, "External Connector Type", NamedFromZero(|value| ConnectorType(value).name())),
            (0x08, "Port Type", NamedFromZero(|value| PortType(value).name())),
        ],
        StructureType::SYSTEM_SLOT => &[
            (0x04, "Designation", Text),
            (0x05, "Type", Named(|value| SlotType(value).name())),
            (0x06, "Data Bus Width", Named(|value| SlotWidth(value).name())),
            (0x07, "Current Usage", Named(|value| SlotUsage(value).name())),
            (0x08, "Length", Named(|value| SlotLength(value).name())),
            (0x09, "ID", Decimal(2)),
            (0x0B, "Characteristics 1", Flags(1, names::<SlotCharacteristics1>)),
            (0x0C, "Characteristics 2", Flags(1, names::<SlotCharacteristics2>)),
            (0x0D, "Segment", Hex(2)),
            (0x0F, "Bus", Hex(1)),
            (0x10, "Device/Function", Hex(1)),
            (0x11, "Data Bus Width (Base)", Decimal(1)),
            (0x12, "Peer Devices", Decimal(1)),
        ],
        StructureType::LANGUAGE => &[
            (0x04, "Installable Languages", Decimal(1)),
            (0x05, "Flags", Flags(1, names::<LanguageFlags>)),
            (0x15, "Currently Installed Language", Text),
        ],
        StructureType::MEMORY_ARRAY => &[
            (0x04, "Location", Named(|value| ArrayLocation(value).name())),
            (0x05, "Use", Named(|value| ArrayUse(value).name())),
            (0x06, "Error Correction Type", Named(|value| ArrayErrorCorrection(value).name())),
            (0x07, "Maximum Capacity (KiB)", Hex(4)),
            (0x0B, "Error Information Handle", Hex(2)),
            (0x0D, "Number Of Devices", Decimal(2)),
            (0x0F, "Extended Maximum Capacity", Hex(8)),
        ],
        StructureType::MEMORY_DEVICE => &[
            (0x04, "Array Handle", Target(StructureType::MEMORY_ARRAY)),
            (0x06, "Error Information Handle", Hex(2)),
            (0x08, "Total Width (bits)", Decimal(2)),
            (0x0A, "Data Width (bits)", Decimal(2)),
            (0x0C, "Size", Hex(2)),
            (0x0E, "Form Factor", Named(|value| FormFactor(value).name())),
            (0x0F, "Set", Decimal(1)),
            (0x10, "Locator", Text),
            (0x11, "Bank Locator", Text),
            (0x12, "Type", Named(|value| MemoryDeviceType(value).name())),
            (0x13, "Type Detail", Flags(2, names::<MemoryTypeDetail>)),
            (0x15, "Speed (MT/s)", Decimal(2)),
            (0x17, "Manufacturer", Text),
            (0x18, "Serial Number", Text),
            (0x19, "Asset Tag", Text),
            (0x1A, "Part Number", Text),
            (0x1B, "Attributes", Hex(1)),
            (0x1C, "Extended Size (MiB)", Decimal(4)),
            (0x20, "Configured Memory Speed (MT/s)", Decimal(2)),
            (0x22, "Minimum Voltage (mV)", Decimal(2)),
            (0x24, "Maximum Voltage (mV)", Decimal(2)),
            (0x26, "Configured Voltage (mV)", Decimal(2)),
            (0x28, "Memory Technology", Named(|value| MemoryTechnology(value).name())),
            (0x29, "Operating Modes", Flags(2, names::<OperatingModes>)),
            (0x2B, "Firmware Version", Text),
            (0x34, "Non-Volatile Size", Hex(8)),
            (0x3C, "Volatile Size", Hex(8)),
            (0x44, "Cache Size", Hex(8)),
            (0x4C, "Logical Size", Hex(8)),
            (0x54, "Extended Speed (MT/s)", Decimal(4)),
            (0x58, "Extended Configured Speed (MT/s)", Decimal(4)),
        ],
        StructureType::ARRAY_MAPPING => &[
            (0x04, "Starting Address (KiB)", Hex(4)),
            (0x08, "Ending Address (KiB)", Hex(4)),
            (0x0C, "Physical Array Handle", Target(StructureType::MEMORY_ARRAY)),
            (0x0E, "Partition Width", Decimal(1)),
            (0x0F, "Extended Starting Address", Hex(8)),
            (0x17, "Extended Ending Address", Hex(8)),
        ],
        StructureType::DEVICE_MAPPING => &[
            (0x04, "Starting Address (KiB)", Hex(4)),
            (0x08, "Ending Address (KiB)", Hex(4)),
            (0x0C, "Physical Device Handle", Target(StructureType::MEMORY_DEVICE)),
            (0x0E, "Memory Array Mapped Address Handle", Target(StructureType::ARRAY_MAPPING)),
            (0x10, "Partition Row Position", Decimal(1)),
            (0x11, "Interleave Position", Decimal(1)),
            (0x12, "Interleaved Data Depth", Decimal(1)),
            (0x13, "Extended Starting Address", Hex(8)),
            (0x1B, "Extended Ending Address", Hex(8)),
        ],
        StructureType::BATTERY => &[
            (0x04, "Location", Text),
            (0x05, "Manufacturer", Text),
            (0x06, "Manufacture Date", Text),
            (0x07, "Serial Number", Text),
            (0x08, "Name", Text),
            (0x09, "Chemistry", Named(|value| BatteryChemistry(value).name())),
            (0x0A, "Design Capacity", Decimal(2)),
            (0x0C, "Design Voltage (mV)", Decimal(2)),
            (0x0E, "SBDS Version", Text),
            (0x0F, "Maximum Error (%)", Decimal(1)),
            (0x14, "SBDS Chemistry", Text),
            (0x16, "OEM-specific Information", Hex(4)),
        ],
        StructureType::BOOT_INFORMATION => {
            &[(0x0A, "Status", NamedFromZero(|value| BootStatus(value).name()))]
        }
        StructureType::IPMI => &[
            (0x04, "Interface Type", NamedFromZero(|value| IpmiInterface(value).name())),
            (0x05, "Specification Version", Hex(1)),
            (0x06, "I2C Slave Address", Hex(1)),
            (0x07, "NV Storage Device Address", Hex(1)),
            (0x08, "Base Address", Hex(8)),
            (0x10, "Modifier", Hex(1)),
            (0x11, "Interrupt Number", Decimal(1)),
        ],
        StructureType::POWER_SUPPLY => &[
            (0x04, "Power Unit Group", Decimal(1)),
            (0x05, "Location", Text),
            (0x06, "Name", Text),
            (0x07, "Manufacturer", Text),
            (0x08, "Serial Number", Text),
            (0x09, "Asset Tag", Text),
            (0x0A, "Model Part Number", Text),
            (0x0B, "Revision", Text),
            (0x0C, "Max Power Capacity (W)", Decimal(2)),
            (0x0E, "Characteristics", Hex(2)),
            (0x10, "Input Voltage Probe Handle", OptionalTarget(StructureType::VOLTAGE_PROBE)),
            (0x12, "Cooling Device Handle", OptionalTarget(StructureType::COOLING_DEVICE)),
            (0x14, "Input Current Probe Handle", OptionalTarget(StructureType::CURRENT_PROBE)),
        ],
        StructureType::ONBOARD_DEVICE => &[
            (0x04, "Reference Designation", Text),
            // Bit 7 says that it is enabled.
            (0x05, "Type", Named(|value| BoardDeviceType(value & 0x7F).name())),
            (0x06, "Type Instance", Decimal(1)),
            (0x07, "Segment", Hex(2)),
            (0x09, "Bus", Hex(1)),
            (0x0A, "Device/Function", Hex(1)),
        ],
        StructureType::TPM => &[
            (0x04, "Vendor ID", Hex(4)),
            (0x08, "Major Specification Version", Decimal(1)),
            (0x09, "Minor Specification Version", Decimal(1)),
            (0x0A, "Firmware Version 1", Hex(4)),
            (0x0E, "Firmware Version 2", Hex(4)),
            (0x12, "Description", Text),
            (0x13, "Characteristics", Flags(8, names::<TpmCharacteristics>)),
            (0x1B, "OEM-specific Information", Hex(4)),
        ],
        StructureType::FIRMWARE_INVENTORY => &[
            (0x04, "Firmware Component Name", Text),
            (0x05, "Firmware Version", Text),
            (0x07, "Firmware ID", Text),
            (0x09, "Release Date", Text),
            (0x0A, "Manufacturer", Text),
            (0x0B, "Lowest Supported Firmware Version", Text),
            (0x0C, "Image Size", Hex(8)),
            (0x14, "Characteristics", Flags(2, names::<ComponentCharacteristics>)),
            (0x16, "State", Named(|value| FirmwareState(value).name())),
            (0x17, "Associated Components", Decimal(1)),
        ],
        StructureType::STRING_PROPERTY => &[
            (0x04, "String Property ID", Hex(2)),
            (0x06, "String Property Value", Text),
            (0x07, "Parent Handle", AnyTarget),
        ],
        _ => &[],
    }
}

/// Returns the least length of a type in bytes, that of its first version; 4 if it is unknown.
pub(crate) fn least_bytes(kind: StructureType) -> usize {
    match kind.0 {
        0 => 0x12,
        1 | 2 => 0x08,
        3 | 8 | 46 => 0x09,
        4 => 0x1A,
        7 | 16 | 19 => 0x0F,
        9 => 0x0C,
        10 => 0x06,
        11 => 0x05,
        13 => 0x16,
        39 => 0x10,
        17 => 0x15,
        20 => 0x13,
        22 => 0x10,
        32 | 41 => 0x0B,
        38 => 0x10,
        43 => 0x1F,
        45 => 0x18,
        _ => 0x04,
    }
}
