//! Values of system, board, chassis and cache.

use super::open_values;

open_values! {
    /// What woke the system.
    WakeUp(u8), default POWER_SWITCH {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", APM_TIMER = 3 "APM Timer",
        MODEM_RING = 4 "Modem Ring", LAN_REMOTE = 5 "LAN Remote", POWER_SWITCH = 6 "Power Switch",
        PCI_PME = 7 "PCI PME#", AC_RESTORED = 8 "AC Power Restored",
    }

    /// What a board is.
    BoardType(u8), default MOTHERBOARD {
        UNKNOWN = 1 "Unknown", OTHER = 2 "Other", SERVER_BLADE = 3 "Server Blade",
        CONNECTIVITY_SWITCH = 4 "Connectivity Switch",
        SYSTEM_MANAGEMENT = 5 "System Management Module",
        PROCESSOR_MODULE = 6 "Processor Module", IO_MODULE = 7 "I/O Module",
        MEMORY_MODULE = 8 "Memory Module", DAUGHTER_BOARD = 9 "Daughter Board",
        MOTHERBOARD = 10 "Motherboard", PROCESSOR_MEMORY = 11 "Processor+Memory Module",
        PROCESSOR_IO = 12 "Processor+I/O Module", INTERCONNECT = 13 "Interconnect Board",
    }

    /// What a chassis is; bit 7 says that it has a lock.
    ChassisType(u8), default OTHER {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", DESKTOP = 3 "Desktop",
        LOW_PROFILE_DESKTOP = 4 "Low Profile Desktop", PIZZA_BOX = 5 "Pizza Box",
        MINI_TOWER = 6 "Mini Tower", TOWER = 7 "Tower", PORTABLE = 8 "Portable",
        LAPTOP = 9 "Laptop", NOTEBOOK = 10 "Notebook", HAND_HELD = 11 "Hand Held",
        DOCKING_STATION = 12 "Docking Station", ALL_IN_ONE = 13 "All In One",
        SUB_NOTEBOOK = 14 "Sub Notebook", SPACE_SAVING = 15 "Space-saving",
        LUNCH_BOX = 16 "Lunch Box", MAIN_SERVER = 17 "Main Server Chassis",
        EXPANSION = 18 "Expansion Chassis", SUB = 19 "Sub Chassis",
        BUS_EXPANSION = 20 "Bus Expansion Chassis", PERIPHERAL = 21 "Peripheral Chassis",
        RAID = 22 "RAID Chassis", RACK_MOUNT = 23 "Rack Mount Chassis",
        SEALED_CASE = 24 "Sealed-case PC", MULTI_SYSTEM = 25 "Multi-system",
        COMPACT_PCI = 26 "CompactPCI", ADVANCED_TCA = 27 "AdvancedTCA", BLADE = 28 "Blade",
        BLADE_ENCLOSURE = 29 "Blade Enclosing", TABLET = 30 "Tablet",
        CONVERTIBLE = 31 "Convertible", DETACHABLE = 32 "Detachable", IOT_GATEWAY = 33 "IoT Gateway",
        EMBEDDED_PC = 34 "Embedded PC", MINI_PC = 35 "Mini PC", STICK_PC = 36 "Stick PC",
    }

    /// The state of a chassis or of a part of it.
    ChassisState(u8), default SAFE {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", SAFE = 3 "Safe", WARNING = 4 "Warning",
        CRITICAL = 5 "Critical", NON_RECOVERABLE = 6 "Non-recoverable",
    }

    /// How a chassis is locked.
    SecurityStatus(u8), default NONE {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", NONE = 3 "None",
        INTERFACE_LOCKED_OUT = 4 "External Interface Locked Out",
        INTERFACE_ENABLED = 5 "External Interface Enabled",
    }

    /// How a cache detects errors.
    CacheErrorCorrection(u8), default UNKNOWN {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", NONE = 3 "None", PARITY = 4 "Parity",
        SINGLE_BIT = 5 "Single-bit ECC", MULTI_BIT = 6 "Multi-bit ECC",
    }

    /// What a cache holds.
    CacheType(u8), default UNIFIED {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", INSTRUCTION = 3 "Instruction", DATA = 4 "Data",
        UNIFIED = 5 "Unified",
    }

    /// In how many ways a cache is associative.
    Associativity(u8), default UNKNOWN {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", DIRECT = 3 "Direct Mapped",
        WAYS_2 = 4 "2-way Set-associative", WAYS_4 = 5 "4-way Set-associative",
        FULL = 6 "Fully Associative", WAYS_8 = 7 "8-way Set-associative",
        WAYS_16 = 8 "16-way Set-associative", WAYS_12 = 9 "12-way Set-associative",
        WAYS_24 = 10 "24-way Set-associative", WAYS_32 = 11 "32-way Set-associative",
        WAYS_48 = 12 "48-way Set-associative", WAYS_64 = 13 "64-way Set-associative",
        WAYS_20 = 14 "20-way Set-associative",
    }

    /// How the last boot went.
    BootStatus(u8), default NO_ERRORS {
        NO_ERRORS = 0 "No errors detected", NO_MEDIA = 1 "No bootable media",
        NO_OPERATING_SYSTEM = 2 "Operating system failed to load",
        FIRMWARE_FAILURE = 3 "Firmware-detected hardware failure",
        SYSTEM_FAILURE = 4 "Operating system-detected hardware failure",
        USER_REQUESTED = 5 "User-requested boot", SECURITY_VIOLATION = 6 "System security violation",
        PREVIOUSLY_REQUESTED = 7 "Previously-requested image", WATCHDOG = 8 "System watchdog timer expired",
    }

    /// How a firmware component's version is written.
    FirmwareVersionFormat(u8), default FREE_FORM {
        FREE_FORM = 0 "Free-form", MAJOR_MINOR = 1 "Major.Minor", HEX_32 = 2 "32-bit Hex",
        HEX_64 = 3 "64-bit Hex",
    }

    /// How a firmware component's id is written.
    FirmwareIdFormat(u8), default FREE_FORM {
        FREE_FORM = 0 "Free-form", UEFI_GUID = 1 "UEFI GUID",
    }

    /// What state a firmware component is in.
    FirmwareState(u8), default ENABLED {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", DISABLED = 3 "Disabled", ENABLED = 4 "Enabled",
        ABSENT = 5 "Absent", STANDBY_OFFLINE = 6 "Stand-by Offline",
        STANDBY_SPARE = 7 "Stand-by Spare", OFFLINE = 8 "Unavailable Offline",
    }

    /// What a string property says.
    StringPropertyId(u16), default UEFI_DEVICE_PATH {
        UEFI_DEVICE_PATH = 1 "UEFI device path",
    }
}
