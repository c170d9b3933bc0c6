//! Real images, from Debian's packages in the toolbox.

#![allow(
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the images are small, and a test may panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

use firmware_blobs::{Firmware, FlashPart, GuidTable, RELEASES, TdxSectionKind, identify, release};

/// A tool of the toolbox, a file below its root, and what it is.
const CORPUS: [(&str, &str, &str); 22] = [
    ("seabios", "usr/share/seabios/bios.bin", SEABIOS),
    ("seabios", "usr/share/seabios/bios-256k.bin", SEABIOS),
    ("seabios", "usr/share/seabios/bios-microvm.bin", SEABIOS),
    ("seabios", "usr/share/seabios/vgabios-stdvga.bin", "VGA BIOS for PCI 1234:1111"),
    ("seabios", "usr/share/seabios/vgabios-virtio.bin", "VGA BIOS for PCI 1af4:1050"),
    ("seabios", "usr/share/seabios/vgabios-isavga.bin", "VGA BIOS"),
    ("bochs", "usr/share/bochs/BIOS-bochs-latest", BOCHS),
    ("bochs", "usr/share/bochs/BIOS-bochs-legacy", BOCHS),
    ("bochs", "usr/share/bochs/VGABIOS-lgpl-latest", "VGA BIOS for PCI 1234:1111"),
    ("bochs", "usr/share/vgabios/vgabios-cirrus.bin", "VGA BIOS for PCI 1013:00b8"),
    ("bochs", "usr/share/vgabios/vgabios-banshee.bin", "VGA BIOS for PCI 121a:0003"),
    ("qemu", "usr/share/qemu/qboot.rom", "qboot"),
    ("qemu", "usr/share/qemu/linuxboot_dma.bin", "option ROM"),
    ("qemu", "usr/share/qemu/kvmvapic.bin", "option ROM"),
    ("ipxe", "usr/share/qemu/pxe-virtio.rom", "iPXE option ROM for PCI 1af4:1041"),
    ("ipxe", "usr/share/qemu/efi-e1000.rom", "iPXE option ROM for PCI 8086:100e"),
    ("ovmf", "usr/share/OVMF/OVMF_CODE_4M.fd", CODE),
    ("ovmf", "usr/share/OVMF/OVMF_CODE_4M.secboot.strictnx.fd", CODE),
    ("ovmf", "usr/share/OVMF/OVMF_VARS_4M.fd", "OVMF, variables"),
    ("ovmf", "usr/share/OVMF/OVMF_VARS_4M.ms.fd", "OVMF, variables"),
    ("ovmf", "usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd", "OVMF, variables"),
    ("ovmf", "usr/share/ovmf/OVMF.fd", BOTH),
];
const SEABIOS: &str = "SeaBIOS, entered at f000:e05b, dated 06/23/99";
const BOCHS: &str = "Bochs BIOS, entered at f000:e05b, dated 03/02/25";
const CODE: &str = "OVMF, code, 64-bit security phase, SEV-SNP metadata, TDX metadata";
const BOTH: &str = "OVMF, variables of 0x84000 bytes and code, 64-bit security phase, SEV-SNP \
                    metadata, TDX metadata";

fn toolbox(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/toolbox").join(tool).join("root")
}

fn read(tool: &str, file: &str) -> Vec<u8> {
    let path = toolbox(tool).join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_image_is_what_its_package_says() {
    for (tool, file, expected) in CORPUS {
        let image = read(tool, file);
        let found = identify(&image).map(|firmware| firmware.to_string());
        assert_eq!(found.as_deref(), Ok(expected), "{file}");
    }
}

#[test]
fn known_releases_are_found_by_their_hash() {
    let mut found = 0;
    for known in RELEASES {
        for tool in ["seabios", "ovmf", "bochs", "qemu"] {
            let Ok(image) = fs::read(toolbox(tool).join(known.file)) else { continue };
            // Another release has other bytes at the same place.
            if let Some(release) = release(&image)
                && release == known
            {
                assert!(identify(&image).is_ok(), "{known:?}");
                found += 1;
            }
        }
    }
    assert!(found >= 8, "{found} of the known releases are in the toolbox");
    let mut changed = read("seabios", "usr/share/seabios/bios.bin");
    changed[0] ^= 1;
    assert_eq!(release(&changed), None);
}

/// What the table says lies where the image has it: a VMM finds the volumes by it.
#[test]
fn the_metadata_of_ovmf_describes_the_image_itself() {
    let image = read("ovmf", "usr/share/ovmf/OVMF.fd");
    let Ok(Firmware::Ovmf(flash)) = identify(&image) else { panic!("no OVMF") };
    let FlashPart::Both { variables_bytes } = flash.part else { panic!("{:?}", flash.part) };
    let table = flash.table.unwrap();
    assert_eq!(table.check(), Ok(()));
    assert_eq!(table.entries().count(), 5);
    assert!(table.get(GuidTable::SEV_HASHES).is_some());

    let start = 0x1_0000_0000 - image.len() as u64;
    let mut boot = 0;
    for section in table.tdx().unwrap().unwrap() {
        let in_flash = match section.kind {
            TdxSectionKind::BootFirmware => {
                boot += 1;
                assert_eq!(section.data_offset as usize, variables_bytes);
                true
            }
            TdxSectionKind::Configuration => {
                assert_eq!((section.data_offset, section.attributes.is_measured()), (0, false));
                true
            }
            _ => false,
        };
        if in_flash {
            assert_eq!(section.gpa.as_u64(), start + u64::from(section.data_offset));
            assert_eq!(section.memory_size_bytes, u64::from(section.data_size_bytes));
        }
    }
    assert_eq!(boot, 1);
    let sev: Vec<_> = table.sev().unwrap().unwrap().collect();
    assert!(!sev.is_empty() && sev.iter().all(|section| section.size_bytes > 0), "{sev:?}");
}
