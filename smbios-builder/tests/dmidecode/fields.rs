//! The fields that every version has, as they were put in.

use crate::tool::assert_lines;

/// What both versions print alike.
pub(crate) fn assert_common(text: &str) {
    assert_lines(
        text,
        0,
        &[
            "Vendor: A Vendor",
            "Version: 1.2.3",
            "Release Date: 02/03/2026",
            "Address: 0xE8000",
            "PCI is supported",
            "Boot from CD is supported",
            "ACPI is supported",
            "UEFI is supported",
            "System is a virtual machine",
            "BIOS Revision: 7.8",
            "Firmware Revision: 9.10",
        ],
    );
    assert_lines(
        text,
        1,
        &[
            "Manufacturer: System Maker",
            "Product Name: System Product",
            "Version: System Version",
            "Serial Number: System Serial",
            "UUID: 00112233-4455-6677-8899-aabbccddeeff",
            "Wake-up Type: LAN Remote",
            "SKU Number: System SKU",
            "Family: System Family",
        ],
    );
    assert_lines(
        text,
        2,
        &[
            "Manufacturer: Board Maker",
            "Product Name: Board Product",
            "Version: Board Version",
            "Serial Number: Board Serial",
            "Asset Tag: Board Asset",
            "Board is a hosting board",
            "Board is replaceable",
            "Location In Chassis: Board Location",
            "Chassis Handle: 0x0002",
            "Type: System Management Module",
            "Contained Object Handles: 2",
            "0x0001",
            "0x0002",
        ],
    );
    assert_lines(
        text,
        3,
        &[
            "Manufacturer: Chassis Maker",
            "Type: Rack Mount Chassis",
            "Lock: Not Present",
            "Version: Chassis Version",
            "Serial Number: Chassis Serial",
            "Asset Tag: Chassis Asset",
            "Boot-up State: Safe",
            "Power Supply State: Warning",
            "Thermal State: Critical",
            "Security Status: External Interface Locked Out",
            "OEM Information: 0x12345678",
            "Height: 2 U",
            "Number Of Power Cords: 3",
            "SKU Number: Chassis SKU",
        ],
    );
    assert_lines(
        text,
        4,
        &[
            "Socket Designation: Socket",
            "Type: Central Processor",
            "Manufacturer: Processor Maker",
            "ID: A6 06 06 00 FF FB 8B 0F",
            "Version: Processor Version",
            "Voltage: 1.2 V",
            "External Clock: 100 MHz",
            "Max Speed: 4000 MHz",
            "Current Speed: 2100 MHz",
            "Status: Populated, Enabled",
            "Upgrade: ZIF Socket",
            "L1 Cache Handle: Not Provided",
            "L2 Cache Handle: 0x0004",
            "L3 Cache Handle: Not Provided",
            "Serial Number: Processor Serial",
            "Asset Tag: Processor Asset",
            "Part Number: Processor Part",
            "64-bit capable",
            "Multi-Core",
        ],
    );
    assert_lines(
        text,
        7,
        &[
            "Socket Designation: L2",
            "Configuration: Enabled, Not Socketed, Level 2",
            "Operational Mode: Write Back",
            "Location: Internal",
            "Speed: 3 ns",
            "Installed SRAM Type: Synchronous",
            "Error Correction Type: Multi-bit ECC",
            "System Type: Unified",
            "Associativity: 12-way Set-associative",
        ],
    );
    assert_lines(
        text,
        8,
        &[
            "Internal Reference Designator: J1",
            "Internal Connector Type: None",
            "External Reference Designator: COM1",
            "External Connector Type: DB-9 male",
            "Port Type: Serial Port 16550A Compatible",
        ],
    );
    assert_lines(
        text,
        9,
        &[
            "Designation: PCIE1",
            "Current Usage: In Use",
            "Length: Long",
            "ID: 5",
            "3.3 V is provided",
            "PME signal is supported",
            "Hot-plug devices are supported",
            "Bus Address: 0001:02:03.4",
        ],
    );
    assert_lines(
        text,
        10,
        &[
            "Type: Video",
            "Status: Enabled",
            "Description: Old Video",
            "Type: Sound",
            "Status: Disabled",
            "Description: Old Sound",
        ],
    );
    assert_lines(text, 11, &["String 1: first", "String 2: io.systemd.x=y"]);
    assert_lines(
        text,
        13,
        &[
            "Language Description Format: Long",
            "Installable Languages: 2",
            "en|US|iso8859-1",
            "Currently Installed Language: de|DE|iso8859-1",
        ],
    );
    assert_lines(
        text,
        16,
        &[
            "Location: System Board Or Motherboard",
            "Use: System Memory",
            "Error Correction Type: Single-bit ECC",
            "Error Information Handle: Not Provided",
            "Number Of Devices: 2",
        ],
    );
    assert_lines(
        text,
        17,
        &[
            "Array Handle: 0x000B",
            "Error Information Handle: Not Provided",
            "Total Width: 72 bits",
            "Data Width: 64 bits",
            "Form Factor: DIMM",
            "Set: 1",
            "Locator: DIMM A1",
            "Bank Locator: Bank 3",
            "Type: DDR5",
            "Type Detail: Synchronous Registered (Buffered)",
            "Manufacturer: Memory Maker",
            "Serial Number: Memory Serial",
            "Asset Tag: Memory Asset",
            "Part Number: Memory Part",
            "Rank: 2",
            "Configured Memory Speed: 4400 MT/s",
            "Minimum Voltage: 1.1 V",
            "Maximum Voltage: 1.25 V",
            "Configured Voltage: 1.2 V",
        ],
    );
    assert_lines(text, 19, &["Physical Array Handle: 0x000B", "Partition Width: 2"]);
    assert_lines(
        text,
        20,
        &[
            "Starting Address: 0x00040000000",
            "Ending Address: 0x0005FFFFFFF",
            "Range Size: 512 MB",
            "Physical Device Handle: 0x000C",
            "Memory Array Mapped Address Handle: 0x000D",
            "Partition Row Position: 1",
            "Interleave Position: 2",
            "Interleaved Data Depth: 3",
        ],
    );
    assert_lines(
        text,
        22,
        &[
            "Location: Rear",
            "Manufacturer: Battery Maker",
            "Manufacture Date: Battery Date",
            "Serial Number: Battery Serial",
            "Name: Battery Name",
            "Chemistry: Lithium Ion",
            "Design Capacity: 50000 mWh",
            "Design Voltage: 11100 mV",
            "SBDS Version: SBDS 1.1",
            "Maximum Error: 4%",
            "OEM-specific Information: 0xABCD0123",
        ],
    );
    assert_lines(text, 32, &["Status: No bootable media"]);
    assert_lines(
        text,
        38,
        &[
            "Interface Type: KCS (Keyboard Control Style)",
            "Specification Version: 2.0",
            "I2C Slave Address: 0x10",
            "NV Storage Device: Not Present",
            "Base Address: 0x0000000000000CA2 (I/O)",
            "Register Spacing: 32-bit Boundaries",
            "Interrupt Number: 9",
        ],
    );
    assert_lines(
        text,
        39,
        &[
            "Power Unit Group: 1",
            "Location: Supply Location",
            "Name: Supply Name",
            "Manufacturer: Supply Maker",
            "Serial Number: Supply Serial",
            "Asset Tag: Supply Asset",
            "Model Part Number: Supply Part",
            "Revision: Supply Revision",
            "Max Power Capacity: 750 W",
            "Status: Present, OK",
            "Type: Switching",
            "Input Voltage Range Switching: Auto-switch",
            "Plugged: Yes",
            "Hot Replaceable: Yes",
        ],
    );
    assert_lines(
        text,
        41,
        &[
            "Reference Designation: Onboard LAN",
            "Type: Ethernet",
            "Status: Enabled",
            "Type Instance: 2",
            "Bus Address: 0000:01:02.1",
        ],
    );
    assert!(text.contains("C8 07 "), "{text}");
    assert_lines(text, 200, &["Oem Text"]);
    assert_lines(text, 127, &["End Of Table"]);
}
