//! The tables, read by dmidecode.
//!
//! `HVKIT_DMIDECODE` names the program; without it, the toolbox's is taken, or that in PATH.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod fields;
mod flags;
mod names;
mod tool;

use common::everything;
use fields::assert_common;
use smbios_builder::*;
use tool::{assert_lines, dmidecode};

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
