//! Values of slots, connectors, devices on board, power and management.

use super::open_values;

open_values! {
    /// What a connector looks like.
    ConnectorType(u8), default NONE {
        NONE = 0 "None", CENTRONICS = 1 "Centronics", MINI_CENTRONICS = 2 "Mini Centronics",
        PROPRIETARY = 3 "Proprietary", DB25_MALE = 4 "DB-25 male", DB25_FEMALE = 5 "DB-25 female",
        DB15_MALE = 6 "DB-15 male", DB15_FEMALE = 7 "DB-15 female", DB9_MALE = 8 "DB-9 male",
        DB9_FEMALE = 9 "DB-9 female", RJ11 = 10 "RJ-11", RJ45 = 11 "RJ-45",
        MINI_DIN = 13 "Mini DIN", MICRO_DIN = 14 "Micro DIN", PS2 = 15 "PS/2",
        INFRARED = 16 "Infrared", HP_HIL = 17 "HP-HIL", USB = 18 "Access Bus (USB)",
        IDE = 22 "On Board IDE", FLOPPY = 23 "On Board Floppy", USB_C = 35 "USB Type-C Receptacle",
        OTHER = 255 "Other",
    }

    /// What a port is for.
    PortType(u8), default NONE {
        NONE = 0 "None", PARALLEL_XT = 1 "Parallel Port XT/AT Compatible",
        PARALLEL_PS2 = 2 "Parallel Port PS/2", PARALLEL_ECP = 3 "Parallel Port ECP",
        PARALLEL_EPP = 4 "Parallel Port EPP", PARALLEL_ECP_EPP = 5 "Parallel Port ECP/EPP",
        SERIAL_XT = 6 "Serial Port XT/AT Compatible",
        SERIAL_16450 = 7 "Serial Port 16450 Compatible",
        SERIAL_16550 = 8 "Serial Port 16550 Compatible",
        SERIAL_16550A = 9 "Serial Port 16550A Compatible", SCSI = 10 "SCSI Port",
        MIDI = 11 "MIDI Port", JOYSTICK = 12 "Joystick Port", KEYBOARD = 13 "Keyboard Port",
        MOUSE = 14 "Mouse Port", SSA_SCSI = 15 "SSA SCSI", USB = 16 "USB",
        FIREWIRE = 17 "Firewire (IEEE P1394)", VIDEO = 28 "Video Port", AUDIO = 29 "Audio Port",
        MODEM = 30 "Modem Port", NETWORK = 31 "Network Port", SATA = 32 "SATA", SAS = 33 "SAS",
        OTHER = 255 "Other",
    }

    /// What a slot takes.
    SlotType(u8), default PCI_EXPRESS {
        OTHER = 0x01 "Other", UNKNOWN = 0x02 "Unknown", ISA = 0x03 "ISA", MCA = 0x04 "MCA",
        EISA = 0x05 "EISA", PCI = 0x06 "PCI", PCMCIA = 0x07 "PC Card (PCMCIA)", AGP = 0x0F "AGP",
        PCI_X = 0x12 "PCI-X", PCI_EXPRESS = 0xA5 "PCI Express", PCI_EXPRESS_X1 = 0xA6 "PCI Express",
        PCI_EXPRESS_X4 = 0xA8 "PCI Express", PCI_EXPRESS_X8 = 0xA9 "PCI Express",
        PCI_EXPRESS_X16 = 0xAA "PCI Express", PCI_EXPRESS_2 = 0xAB "PCI Express 2",
        PCI_EXPRESS_3 = 0xB1 "PCI Express 3", PCI_EXPRESS_4 = 0xB8 "PCI Express 4",
        PCI_EXPRESS_5 = 0xBE "PCI Express 5",
    }

    /// How wide a slot's bus is.
    SlotWidth(u8), default UNKNOWN {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", BITS_8 = 3 "8-bit", BITS_16 = 4 "16-bit",
        BITS_32 = 5 "32-bit", BITS_64 = 6 "64-bit", BITS_128 = 7 "128-bit", X1 = 8 "x1",
        X2 = 9 "x2", X4 = 10 "x4", X8 = 11 "x8", X12 = 12 "x12", X16 = 13 "x16", X32 = 14 "x32",
    }

    /// Whether a slot is taken.
    SlotUsage(u8), default AVAILABLE {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", AVAILABLE = 3 "Available", IN_USE = 4 "In Use",
        UNAVAILABLE = 5 "Unavailable",
    }

    /// How long a card may be.
    SlotLength(u8), default OTHER {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", SHORT = 3 "Short", LONG = 4 "Long",
        DRIVE_2_5 = 5 "2.5\" drive form factor", DRIVE_3_5 = 6 "3.5\" drive form factor",
    }

    /// How high a card may be.
    SlotHeight(u8), default NOT_APPLICABLE {
        NOT_APPLICABLE = 0 "Not applicable", OTHER = 1 "Other", UNKNOWN = 2 "Unknown",
        FULL = 3 "Full height", LOW_PROFILE = 4 "Low-profile",
    }

    /// What a device on board is, in structures of type 10 and 41: seven bits.
    BoardDeviceType(u8), default OTHER {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", VIDEO = 3 "Video", SCSI = 4 "SCSI Controller",
        ETHERNET = 5 "Ethernet", TOKEN_RING = 6 "Token Ring", SOUND = 7 "Sound",
        PATA = 8 "PATA Controller", SATA = 9 "SATA Controller", SAS = 10 "SAS Controller",
    }

    /// What a battery is made of.
    BatteryChemistry(u8), default UNKNOWN {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", LEAD_ACID = 3 "Lead Acid",
        NICKEL_CADMIUM = 4 "Nickel Cadmium", NICKEL_METAL_HYDRIDE = 5 "Nickel Metal Hydride",
        LITHIUM_ION = 6 "Lithium Ion", ZINC_AIR = 7 "Zinc Air", LITHIUM_POLYMER = 8 "Lithium Polymer",
    }

    /// How a management controller is reached.
    IpmiInterface(u8), default UNKNOWN {
        UNKNOWN = 0 "Unknown", KCS = 1 "KCS (Keyboard Control Style)",
        SMIC = 2 "SMIC (Server Management Interface Chip)", BT = 3 "BT (Block Transfer)",
        SSIF = 4 "SSIF (SMBus System Interface)",
    }
}
