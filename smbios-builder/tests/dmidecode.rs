//! The tables, read by dmidecode.
//!
//! `HVKIT_DMIDECODE` names the program; without it, the toolbox's is taken, or that in PATH.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::everything;
use smbios_builder::*;

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("HVKIT_DMIDECODE") {
        return program.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let toolbox = workspace.join("target/toolbox/dmidecode/bin/dmidecode");
    if toolbox.exists() { toolbox } else { "dmidecode".into() }
}

/// What dmidecode prints of a dump, which must not be a complaint.
fn dmidecode(name: &str, dump: &[u8]) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, dump).unwrap();
    let output = Command::new(program()).arg("--from-dump").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    for complaint in [
        "broken",
        "TRUNCATED",
        "Wrong DMI",
        "OUT OF SPEC",
        "BAD INDEX",
        "not fully supported",
        "Invalid",
        "Announced",
        "No SMBIOS",
        "mismatch",
        "Bad checksum",
    ] {
        assert!(!text.contains(complaint), "{complaint}: {text}");
    }
    text
}

/// The lines of the structure of a type, without indentation.
fn lines(text: &str, kind: u8) -> Vec<String> {
    let title = format!("DMI type {kind},");
    let structure = text.split("\n\n").find(|part| part.contains(&title));
    let structure = structure.unwrap_or_else(|| panic!("no structure of type {kind}: {text}"));
    structure.lines().map(|line| line.trim().to_owned()).collect()
}

#[track_caller]
fn assert_lines(text: &str, kind: u8, expected: &[&str]) {
    let lines = lines(text, kind);
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "type {kind}, {line:?}: {lines:#?}");
    }
}

/// What both versions print alike.
fn assert_common(text: &str) {
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

#[test]
fn every_field_of_version_3_is_read_as_it_was_put_in() {
    let all = everything(Version::NEWEST, EntryPoints::Both);
    for (name, dump) in [("v3.bin", all.tables.dump()), ("v3-32.bin", all.tables.dump_32())] {
        let text = dmidecode(name, &dump.unwrap());
        assert!(text.contains("SMBIOS 3.7.0 present") || text.contains("SMBIOS 3.7 present"));
        assert_common(&text);
        assert_lines(&text, 0, &["ROM Size: 32 MB"]);
        assert_lines(
            &text,
            4,
            &[
                "Family: ARMv8",
                "Core Count: 300",
                "Core Enabled: 299",
                "Thread Count: 600",
                "Thread Enabled: 601",
            ],
        );
        assert_lines(&text, 7, &["Installed Size: 3 GB", "Maximum Size: 3 GB"]);
        assert_lines(
            &text,
            9,
            &[
                "Data Bus Width: 8x or x8",
                "Data Bus Width (Base): 8",
                "Peer Devices: 1",
                "Peer Device 1: 0001:05:06.1 (Width 4)",
                "PCI Express Generation: 4",
                "Slot Physical Width: 16x or x16",
                "Pitch: 20.32 mm",
                "Height: Full height",
            ],
        );
        assert_lines(&text, 16, &["Maximum Capacity: 8 TB"]);
        assert_lines(
            &text,
            17,
            &[
                "Size: 6 TB",
                "Speed: 70000 MT/s",
                "Memory Technology: NVDIMM-N",
                "Memory Operating Mode Capability: Volatile memory Byte-accessible persistent memory",
                "Firmware Version: Memory Firmware",
                "Module Manufacturer ID: Bank 1, Hex 0xCE",
                "Module Product ID: 0x1234",
                "Memory Subsystem Controller Manufacturer ID: Bank 2, Hex 0x2C",
                "Memory Subsystem Controller Product ID: 0x5678",
                "Non-Volatile Size: 1 GB",
                "Volatile Size: 2 GB",
                "Cache Size: 3 GB",
                "Logical Size: 5 GB",
                "PMIC0 Manufacturer ID: Bank 12, Hex 0x8A",
                "RCD Manufacturer ID: Bank 13, Hex 0x9B",
            ],
        );
        assert_lines(
            &text,
            19,
            &[
                "Starting Address: 0x0000000100000000k",
                "Ending Address: 0x00000500FFFFFFFFk",
                "Range Size: 5 TB",
            ],
        );
        assert_lines(
            &text,
            43,
            &[
                "Vendor ID: HVK",
                "Specification Version: 2.0",
                "Firmware Revision: 1.2",
                "Description: TPM Description",
                "OEM-specific Information: 0x11223344",
                "Family configurable via platform software support",
            ],
        );
        assert_lines(
            &text,
            45,
            &[
                "Firmware Component Name: Component",
                "Firmware Version: Component Version",
                "Firmware ID: Component Id",
                "Release Date: 2026-01-31T00:00:00Z",
                "Manufacturer: Component Maker",
                "Lowest Supported Firmware Version: Component Lowest",
                "Image Size: 8 MB",
                "Updatable: Yes",
                "Write-Protect: No",
                "State: Enabled",
                "Associated Components: 1",
                "0x0001",
            ],
        );
        // dmidecode 3.6 doesn't know type 46 and shows its bytes.
        assert_lines(&text, 46, &["2E 09 16 00 01 00 01 01 00", "PciRoot(0x0)"]);
    }
}

#[test]
fn every_field_of_version_2_is_read_as_it_was_put_in() {
    let all = everything(Version::V2_8, EntryPoints::Bits32);
    let text = dmidecode("v2.bin", &all.tables.dump().unwrap());
    assert!(text.contains("SMBIOS 2.8 present"), "{text}");
    assert_common(&text);
    assert_lines(&text, 0, &["ROM Size: 4 MB"]);
    assert_lines(
        &text,
        4,
        &["Family: Xeon", "Core Count: 6", "Core Enabled: 5", "Thread Count: 8"],
    );
    assert_lines(&text, 7, &["Installed Size: 24 MB", "Maximum Size: 24 MB"]);
    assert_lines(&text, 17, &["Size: 6 TB", "Speed: 4800 MT/s"]);
    let lengths =
        [(0, 24), (1, 27), (3, 22), (4, 42), (7, 19), (9, 17), (16, 23), (17, 40), (19, 31)];
    for (kind, length) in lengths {
        assert!(text.contains(&format!("DMI type {kind}, {length} bytes")), "{text}");
    }
}

#[test]
fn the_lengths_of_older_versions_are_those_of_the_specification() {
    let lengths_2_4 = [(0, 24), (1, 27), (3, 21), (4, 35), (9, 13), (16, 15), (17, 27), (19, 15)];
    let all = everything(Version::new(2, 4), EntryPoints::Bits32);
    let text = dmidecode("v2.4.bin", &all.tables.dump().unwrap());
    for (kind, length) in lengths_2_4 {
        assert!(text.contains(&format!("DMI type {kind}, {length} bytes")), "{kind}: {text}");
    }
    // Before 2.6 a UUID has no order of bytes of its own.
    assert!(text.contains("UUID: 00112233-4455-6677-8899-aabbccddeeff"), "{text}");
}

#[test]
fn a_platform_of_several_tib_and_thousands_of_processors_is_read() {
    let platform = Platform::new(4096)
        .topology(64, 2)
        .memory(common::range(0, 3 << 30))
        .memory(common::range(4 << 30, 8 << 40))
        .serial("VM-0042")
        .asset_tag("Rack 7")
        .credential("name", "value")
        .credential_bytes("bytes", b"\0binary");
    let text = dmidecode("platform.bin", &platform.build().unwrap().dump().unwrap());
    assert_eq!(text.matches("DMI type 4,").count(), 64);
    assert_eq!(text.matches("DMI type 17,").count(), 513);
    assert_lines(&text, 1, &["Serial Number: VM-0042"]);
    assert_lines(&text, 3, &["Asset Tag: Rack 7"]);
    assert_lines(&text, 4, &["Core Count: 32", "Thread Count: 64", "Hardware Thread"]);
    assert_lines(
        &text,
        11,
        &[
            "String 1: io.systemd.credential:name=value",
            "String 2: io.systemd.credential.binary:bytes=AGJpbmFyeQ==",
        ],
    );
    assert_lines(&text, 17, &["Size: 16 GB", "Locator: DIMM 0", "Memory Technology: DRAM"]);
    assert!(text.contains("Range Size: 8 TB"), "{text}");
}

#[test]
fn the_control_is_seen_as_broken() {
    let mut dump = everything(Version::NEWEST, EntryPoints::Bits64).tables.dump().unwrap();
    dump[33] = 3;
    let broken = std::panic::catch_unwind(|| dmidecode("broken.bin", &dump));
    assert!(broken.is_err());
}

/// Builds one structure for each value from 0 to 255 and returns what dmidecode calls it, beside
/// our name.
fn names<S: Describe>(
    file: &str,
    label: &str,
    mut make: impl FnMut(&mut TableBuilder, u8) -> S,
    name: impl Fn(u8) -> Option<&'static str>,
) {
    let values: Vec<u8> = (0..=255).filter(|&value| name(value).is_some()).collect();
    assert!(values.len() > 3, "{file}");
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    for &value in &values {
        let structure = make(&mut table, value);
        table.add(&structure).unwrap();
    }
    let dump = table.finish(EntryPoints::Bits64).unwrap().dump().unwrap();
    let text = dmidecode(file, &dump);
    let title = format!("DMI type {},", S::TYPE.0);
    let parts = text.split("\n\n").filter(|part| part.contains(&title));
    let found = parts.map(|part| {
        let line = part.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label}: {part}")).to_owned()
    });
    let ours: Vec<_> = values.iter().map(|&value| name(value).unwrap().to_owned()).collect();
    assert_eq!(found.collect::<Vec<_>>(), ours, "{label}");
}

#[test]
fn values_have_the_names_that_dmidecode_gives_them() {
    names(
        "names-chassis.bin",
        "Type: ",
        |_, value| Chassis { chassis_type: ChassisType(value), ..Default::default() },
        |value| ChassisType(value).name(),
    );
    names(
        "names-state.bin",
        "Thermal State: ",
        |_, value| Chassis { thermal_state: ChassisState(value), ..Default::default() },
        |value| ChassisState(value).name(),
    );
    names(
        "names-security.bin",
        "Security Status: ",
        |_, value| Chassis { security_status: SecurityStatus(value), ..Default::default() },
        |value| SecurityStatus(value).name(),
    );
    names(
        "names-wake-up.bin",
        "Wake-up Type: ",
        |_, value| System { wake_up: WakeUp(value), ..Default::default() },
        |value| WakeUp(value).name(),
    );
    names(
        "names-board.bin",
        "Type: ",
        |table, value| {
            let chassis = table.add(&Chassis::default()).unwrap();
            Baseboard { board_type: BoardType(value), ..Baseboard::new(chassis) }
        },
        |value| BoardType(value).name(),
    );
    names(
        "names-family.bin",
        "Family: ",
        |_, value| Processor { family: ProcessorFamily(value.into()), ..Default::default() },
        |value| ProcessorFamily(value.into()).name(),
    );
    names(
        "names-associativity.bin",
        "Associativity: ",
        |_, value| Cache { associativity: Associativity(value), ..Cache::new(1, 1 << 20) },
        |value| Associativity(value).name(),
    );
    names(
        "names-cache-errors.bin",
        "Error Correction Type: ",
        |_, value| Cache {
            error_correction: CacheErrorCorrection(value),
            ..Cache::new(1, 1 << 20)
        },
        |value| CacheErrorCorrection(value).name(),
    );
    names(
        "names-cache.bin",
        "System Type: ",
        |_, value| Cache { cache_type: CacheType(value), ..Cache::new(1, 1 << 20) },
        |value| CacheType(value).name(),
    );
    names(
        "names-connector.bin",
        "External Connector Type: ",
        |_, value| PortConnector { external_connector: ConnectorType(value), ..Default::default() },
        |value| ConnectorType(value).name(),
    );
    names(
        "names-port.bin",
        "Port Type: ",
        |_, value| PortConnector { port_type: PortType(value), ..Default::default() },
        |value| PortType(value).name(),
    );
    names(
        "names-usage.bin",
        "Current Usage: ",
        |_, value| SystemSlot { usage: SlotUsage(value), ..Default::default() },
        |value| SlotUsage(value).name(),
    );
    names(
        "names-length.bin",
        "Length: ",
        |_, value| SystemSlot { slot_length: SlotLength(value), ..Default::default() },
        |value| SlotLength(value).name(),
    );
    names(
        "names-location.bin",
        "Location: ",
        |_, value| MemoryArray { location: ArrayLocation(value), ..Default::default() },
        |value| ArrayLocation(value).name(),
    );
    names(
        "names-use.bin",
        "Use: ",
        |_, value| MemoryArray { array_use: ArrayUse(value), ..Default::default() },
        |value| ArrayUse(value).name(),
    );
    names(
        "names-errors.bin",
        "Error Correction Type: ",
        |_, value| MemoryArray {
            error_correction: ArrayErrorCorrection(value),
            ..Default::default()
        },
        |value| ArrayErrorCorrection(value).name(),
    );
    let device = |table: &mut TableBuilder| {
        let array = table.add(&MemoryArray::default()).unwrap();
        MemoryDevice::new(array, 1 << 30)
    };
    names(
        "names-form.bin",
        "Form Factor: ",
        |table, value| MemoryDevice { form_factor: FormFactor(value), ..device(table) },
        |value| FormFactor(value).name(),
    );
    names(
        "names-memory.bin",
        "Type: ",
        |table, value| MemoryDevice { memory_type: MemoryDeviceType(value), ..device(table) },
        |value| MemoryDeviceType(value).name(),
    );
    names(
        "names-technology.bin",
        "Memory Technology: ",
        |table, value| MemoryDevice { technology: MemoryTechnology(value), ..device(table) },
        |value| MemoryTechnology(value).name(),
    );
    names(
        "names-chemistry.bin",
        "Chemistry: ",
        |_, value| Battery { chemistry: BatteryChemistry(value), ..Default::default() },
        // An unknown one sends the reader to the string beside it.
        |value| BatteryChemistry(value).name().filter(|_| value != 2),
    );
    names(
        "names-boot.bin",
        "Status: ",
        |_, value| BootInformation { status: BootStatus(value) },
        |value| BootStatus(value).name(),
    );
    names(
        "names-ipmi.bin",
        "Interface Type: ",
        |_, value| Ipmi { interface: IpmiInterface(value), ..Default::default() },
        |value| IpmiInterface(value).name(),
    );
    names(
        "names-onboard.bin",
        "Type: ",
        |_, value| OnboardDevice { device_type: BoardDeviceType(value), ..Default::default() },
        |value| BoardDeviceType(value).name(),
    );
    names(
        "names-component.bin",
        "State: ",
        |_, value| FirmwareInventory { state: FirmwareState(value), ..Default::default() },
        |value| FirmwareState(value).name(),
    );
}
