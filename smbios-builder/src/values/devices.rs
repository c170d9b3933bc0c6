//! Values of slots, connectors, devices on board, power and management.

use super::open_values;

open_values! {
    /// What a connector looks like.
    ConnectorType(u8), default NONE {
        NONE = 0 "None", CENTRONICS = 1 "Centronics", MINI_CENTRONICS = 2 "Mini Centronics",
        PROPRIETARY = 3 "Proprietary", DB25_MALE = 4 "DB-25 male", DB25_FEMALE = 5 "DB-25 female",
        DB15_MALE = 6 "DB-15 male", DB15_FEMALE = 7 "DB-15 female", DB9_MALE = 8 "DB-9 male",
        DB9_FEMALE = 9 "DB-9 female", RJ11 = 10 "RJ-11", RJ45 = 11 "RJ-45",
        MINI_SCSI_50 = 12 "50 Pin MiniSCSI", MINI_DIN = 13 "Mini DIN", MICRO_DIN = 14 "Micro DIN",
        PS2 = 15 "PS/2", INFRARED = 16 "Infrared", HP_HIL = 17 "HP-HIL",
        USB = 18 "Access Bus (USB)", SSA_SCSI = 19 "SSA SCSI",
        CIRCULAR_DIN_8_MALE = 20 "Circular DIN-8 male",
        CIRCULAR_DIN_8_FEMALE = 21 "Circular DIN-8 female", IDE = 22 "On Board IDE",
        FLOPPY = 23 "On Board Floppy", DUAL_INLINE_9 = 24 "9 Pin Dual Inline (pin 10 cut)",
        DUAL_INLINE_25 = 25 "25 Pin Dual Inline (pin 26 cut)",
        DUAL_INLINE_50 = 26 "50 Pin Dual Inline", DUAL_INLINE_68 = 27 "68 Pin Dual Inline",
        SOUND_FROM_CD_ROM = 28 "On Board Sound Input From CD-ROM",
        MINI_CENTRONICS_TYPE_14 = 29 "Mini Centronics Type-14",
        MINI_CENTRONICS_TYPE_26 = 30 "Mini Centronics Type-26",
        MINI_JACK = 31 "Mini Jack (headphones)", BNC = 32 "BNC", IEEE_1394 = 33 "IEEE 1394",
        SAS_SATA = 34 "SAS/SATA Plug Receptacle", USB_C = 35 "USB Type-C Receptacle",
        PC_98 = 160 "PC-98", PC_98_HIRESO = 161 "PC-98 Hireso", PC_H98 = 162 "PC-H98",
        PC_98_NOTE = 163 "PC-98 Note", PC_98_FULL = 164 "PC-98 Full", OTHER = 255 "Other",
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
        FIREWIRE = 17 "Firewire (IEEE P1394)", PCMCIA_TYPE_I = 18 "PCMCIA Type I",
        PCMCIA_TYPE_II = 19 "PCMCIA Type II", PCMCIA_TYPE_III = 20 "PCMCIA Type III",
        CARDBUS = 21 "Cardbus", ACCESS_BUS = 22 "Access Bus Port", SCSI_II = 23 "SCSI II",
        SCSI_WIDE = 24 "SCSI Wide", PC_98 = 25 "PC-98", PC_98_HIRESO = 26 "PC-98 Hireso",
        PC_H98 = 27 "PC-H98", VIDEO = 28 "Video Port", AUDIO = 29 "Audio Port",
        MODEM = 30 "Modem Port", NETWORK = 31 "Network Port", SATA = 32 "SATA", SAS = 33 "SAS",
        MULTI_FUNCTION_DISPLAY = 34 "MFDP (Multi-Function Display Port)",
        THUNDERBOLT = 35 "Thunderbolt", SERIAL_8251 = 160 "8251 Compatible",
        SERIAL_8251_FIFO = 161 "8251 FIFO Compatible", OTHER = 255 "Other",
    }

    /// What a slot takes.
    SlotType(u8), default PCI_EXPRESS {
        OTHER = 0x01 "Other", UNKNOWN = 0x02 "Unknown", ISA = 0x03 "ISA", MCA = 0x04 "MCA",
        EISA = 0x05 "EISA", PCI = 0x06 "PCI", PCMCIA = 0x07 "PC Card (PCMCIA)", VLB = 0x08 "VLB",
        PROPRIETARY = 0x09 "Proprietary", PROCESSOR_CARD = 0x0A "Processor Card",
        PROPRIETARY_MEMORY_CARD = 0x0B "Proprietary Memory Card",
        I_O_RISER_CARD = 0x0C "I/O Riser Card", NUBUS = 0x0D "NuBus", PCI_66 = 0x0E "PCI-66",
        AGP = 0x0F "AGP", AGP_2X = 0x10 "AGP 2x", AGP_4X = 0x11 "AGP 4x", PCI_X = 0x12 "PCI-X",
        AGP_8X = 0x13 "AGP 8x", M_2_SOCKET_1_DP = 0x14 "M.2 Socket 1-DP",
        M_2_SOCKET_1_SD = 0x15 "M.2 Socket 1-SD", M_2_SOCKET_2 = 0x16 "M.2 Socket 2",
        M_2_SOCKET_3 = 0x17 "M.2 Socket 3", MXM_TYPE_I = 0x18 "MXM Type I",
        MXM_TYPE_II = 0x19 "MXM Type II", MXM_TYPE_III = 0x1A "MXM Type III",
        MXM_TYPE_III_HE = 0x1B "MXM Type III-HE", MXM_TYPE_IV = 0x1C "MXM Type IV",
        MXM_3_0_TYPE_A = 0x1D "MXM 3.0 Type A", MXM_3_0_TYPE_B = 0x1E "MXM 3.0 Type B",
        PCI_EXPRESS_2_U2 = 0x1F "PCI Express 2 SFF-8639 (U.2)",
        PCI_EXPRESS_3_U2 = 0x20 "PCI Express 3 SFF-8639 (U.2)",
        PCI_EXPRESS_MINI_52_BOTTOM_KEEP_OUTS = 0x21 "PCI Express Mini 52-pin with bottom-side keep-outs",
        PCI_EXPRESS_MINI_52 = 0x22 "PCI Express Mini 52-pin without bottom-side keep-outs",
        PCI_EXPRESS_MINI_76 = 0x23 "PCI Express Mini 76-pin",
        PCI_EXPRESS_4_U2 = 0x24 "PCI Express 4 SFF-8639 (U.2)",
        PCI_EXPRESS_5_U2 = 0x25 "PCI Express 5 SFF-8639 (U.2)",
        OCP_NIC_3_SFF = 0x26 "OCP NIC 3.0 Small Form Factor (SFF)",
        OCP_NIC_3_LFF = 0x27 "OCP NIC 3.0 Large Form Factor (LFF)",
        OCP_NIC_OLD = 0x28 "OCP NIC Prior to 3.0", CXL_FLEXBUS_1_0 = 0x30 "CXL Flexbus 1.0",
        PC_98_C20 = 0xA0 "PC-98/C20", PC_98_C24 = 0xA1 "PC-98/C24", PC_98_E = 0xA2 "PC-98/E",
        PC_98_LOCAL_BUS = 0xA3 "PC-98/Local Bus", PC_98_CARD = 0xA4 "PC-98/Card",
        PCI_EXPRESS = 0xA5 "PCI Express", PCI_EXPRESS_X1 = 0xA6 "PCI Express x1",
        PCI_EXPRESS_X2 = 0xA7 "PCI Express x2", PCI_EXPRESS_X4 = 0xA8 "PCI Express x4",
        PCI_EXPRESS_X8 = 0xA9 "PCI Express x8", PCI_EXPRESS_X16 = 0xAA "PCI Express x16",
        PCI_EXPRESS_2 = 0xAB "PCI Express 2", PCI_EXPRESS_2_X1 = 0xAC "PCI Express 2 x1",
        PCI_EXPRESS_2_X2 = 0xAD "PCI Express 2 x2", PCI_EXPRESS_2_X4 = 0xAE "PCI Express 2 x4",
        PCI_EXPRESS_2_X8 = 0xAF "PCI Express 2 x8", PCI_EXPRESS_2_X16 = 0xB0 "PCI Express 2 x16",
        PCI_EXPRESS_3 = 0xB1 "PCI Express 3", PCI_EXPRESS_3_X1 = 0xB2 "PCI Express 3 x1",
        PCI_EXPRESS_3_X2 = 0xB3 "PCI Express 3 x2", PCI_EXPRESS_3_X4 = 0xB4 "PCI Express 3 x4",
        PCI_EXPRESS_3_X8 = 0xB5 "PCI Express 3 x8", PCI_EXPRESS_3_X16 = 0xB6 "PCI Express 3 x16",
        PCI_EXPRESS_4 = 0xB8 "PCI Express 4", PCI_EXPRESS_4_X1 = 0xB9 "PCI Express 4 x1",
        PCI_EXPRESS_4_X2 = 0xBA "PCI Express 4 x2", PCI_EXPRESS_4_X4 = 0xBB "PCI Express 4 x4",
        PCI_EXPRESS_4_X8 = 0xBC "PCI Express 4 x8", PCI_EXPRESS_4_X16 = 0xBD "PCI Express 4 x16",
        PCI_EXPRESS_5 = 0xBE "PCI Express 5", PCI_EXPRESS_5_X1 = 0xBF "PCI Express 5 x1",
        PCI_EXPRESS_5_X2 = 0xC0 "PCI Express 5 x2", PCI_EXPRESS_5_X4 = 0xC1 "PCI Express 5 x4",
        PCI_EXPRESS_5_X8 = 0xC2 "PCI Express 5 x8", PCI_EXPRESS_5_X16 = 0xC3 "PCI Express 5 x16",
        PCI_EXPRESS_6_PLUS = 0xC4 "PCI Express 6+", EDSFF_E1 = 0xC5 "EDSFF E1",
        EDSFF_E3 = 0xC6 "EDSFF E3",
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
        WIRELESS_LAN = 11 "Wireless LAN", BLUETOOTH = 12 "Bluetooth", WWAN = 13 "WWAN",
        EMMC = 14 "eMMC", NVME = 15 "NVMe Controller", UFS = 16 "UFS Controller",
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
