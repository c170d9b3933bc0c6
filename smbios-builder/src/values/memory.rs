//! Values of memory arrays and devices.

use super::open_values;

open_values! {
    /// Where a memory array is.
    ArrayLocation(u8), default OTHER {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", MOTHERBOARD = 3 "System Board Or Motherboard",
        ISA = 4 "ISA Add-on Card", EISA = 5 "EISA Add-on Card", PCI = 6 "PCI Add-on Card",
        MCA = 7 "MCA Add-on Card", PCMCIA = 8 "PCMCIA Add-on Card",
        PROPRIETARY = 9 "Proprietary Add-on Card", NUBUS = 10 "NuBus",
        CXL = 0xA4 "CXL Add-on Card",
    }

    /// What a memory array is for.
    ArrayUse(u8), default SYSTEM {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", SYSTEM = 3 "System Memory",
        VIDEO = 4 "Video Memory", FLASH = 5 "Flash Memory", NON_VOLATILE = 6 "Non-volatile RAM",
        CACHE = 7 "Cache Memory",
    }

    /// How a memory array detects errors.
    ArrayErrorCorrection(u8), default MULTI_BIT {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", NONE = 3 "None", PARITY = 4 "Parity",
        SINGLE_BIT = 5 "Single-bit ECC", MULTI_BIT = 6 "Multi-bit ECC", CRC = 7 "CRC",
    }

    /// What a memory device looks like.
    FormFactor(u8), default DIMM {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", SIMM = 3 "SIMM", SIP = 4 "SIP", CHIP = 5 "Chip",
        DIP = 6 "DIP", ZIP = 7 "ZIP", PROPRIETARY = 8 "Proprietary Card", DIMM = 9 "DIMM",
        TSOP = 10 "TSOP", ROW_OF_CHIPS = 11 "Row Of Chips", RIMM = 12 "RIMM", SODIMM = 13 "SODIMM",
        SRIMM = 14 "SRIMM", FB_DIMM = 15 "FB-DIMM", DIE = 16 "Die",
    }

    /// What kind of memory a device has.
    MemoryDeviceType(u8), default RAM {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", DRAM = 3 "DRAM", EDRAM = 4 "EDRAM",
        VRAM = 5 "VRAM", SRAM = 6 "SRAM", RAM = 7 "RAM", ROM = 8 "ROM", FLASH = 9 "Flash",
        EEPROM = 10 "EEPROM", FEPROM = 11 "FEPROM", EPROM = 12 "EPROM", CDRAM = 13 "CDRAM",
        RAM_3D = 14 "3DRAM", SDRAM = 15 "SDRAM", SGRAM = 16 "SGRAM", RDRAM = 17 "RDRAM",
        DDR = 18 "DDR", DDR2 = 19 "DDR2", DDR2_FB_DIMM = 20 "DDR2 FB-DIMM", DDR3 = 24 "DDR3",
        FBD2 = 25 "FBD2", DDR4 = 26 "DDR4", LPDDR = 27 "LPDDR", LPDDR2 = 28 "LPDDR2",
        LPDDR3 = 29 "LPDDR3", LPDDR4 = 30 "LPDDR4",
        LOGICAL_NON_VOLATILE = 31 "Logical non-volatile device", HBM = 32 "HBM", HBM2 = 33 "HBM2",
        DDR5 = 34 "DDR5", LPDDR5 = 35 "LPDDR5", HBM3 = 36 "HBM3",
    }

    /// What a memory device is made of.
    MemoryTechnology(u8), default DRAM {
        OTHER = 1 "Other", UNKNOWN = 2 "Unknown", DRAM = 3 "DRAM", NVDIMM_N = 4 "NVDIMM-N",
        NVDIMM_F = 5 "NVDIMM-F", NVDIMM_P = 6 "NVDIMM-P",
        OPTANE = 7 "Intel Optane DC persistent memory",
    }
}
