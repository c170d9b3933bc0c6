//! Images that no package has, and images with something wrong in them.

#![allow(
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the images are small, and a test may panic"
)]

use firmware_blobs::{
    CodeType, Error, Firmware, FlashPart, Guid, GuidTable, OptionRom, OptionRoms, SecWidth,
    TdxSectionKind, Volumes, identify, release,
};
use guest_state::Gpa;
use proptest::prelude::*;

/// A firmware volume of `size_bytes` with `files` in it.
fn volume(file_system: Guid, size_bytes: usize, files: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xFF; size_bytes];
    bytes[..72].fill(0);
    bytes[16..32].copy_from_slice(&file_system.0);
    bytes[32..40].copy_from_slice(&(size_bytes as u64).to_le_bytes());
    bytes[40..44].copy_from_slice(b"_FVH");
    bytes[48] = 72;
    let sum = bytes[..72]
        .chunks(2)
        .fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes([word[0], word[1]])));
    bytes[50..52].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    bytes[72..72 + files.len()].copy_from_slice(files);
    bytes
}

const FFS2: Guid = Guid::new(0x8C8C_E578_8A3D_4F1C_9935_8961_85C3_2DD3);
const NV_DATA: Guid = Guid::new(0xFFF1_2B8D_7696_4C8B_A985_2747_075B_4F50);

/// A file of the security core, with a TE image for `machine`.
fn security_core(machine: u16) -> Vec<u8> {
    let mut te = vec![b'V', b'Z'];
    te.extend(machine.to_le_bytes());
    te.resize(40, 0);
    let mut section = ((te.len() + 4) as u32 | 0x12 << 24).to_le_bytes().to_vec();
    section.extend(te);
    let mut file = vec![0x11; 16];
    file.extend([0, 0, 3, 0]);
    file.extend(((section.len() + 24) as u32).to_le_bytes());
    file.extend(section);
    file
}

/// Entries of a GUID table, the first one lowest, and the footer.
fn table(entries: &[(Guid, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (guid, data) in entries {
        bytes.extend(*data);
        bytes.extend((data.len() as u16 + 18).to_le_bytes());
        bytes.extend(guid.0);
    }
    bytes.extend((bytes.len() as u16 + 18).to_le_bytes());
    bytes.extend(GuidTable::FOOTER.0);
    bytes
}

/// Puts bytes before the last 32, and the mark of the reset vector.
fn end_with(image: &mut [u8], table: &[u8]) {
    let end = image.len() - 32;
    image[end - table.len()..end].copy_from_slice(table);
    image[end + 12..end + 16].copy_from_slice(b"VTF\0");
    image[end + 16..].copy_from_slice(&[0x90; 16]);
}

const TDX_GUID: Guid = Guid::new(0xE9EA_F9F3_168E_44D5_A8EB_7F4D_8738_F6AE);

fn ovmf() -> Vec<u8> {
    let mut image = volume(NV_DATA, 0x2000, &[]);
    image.extend([0xFF; 0x1000]);
    image.extend(volume(FFS2, 0x3000, &security_core(0x8664)));
    let size = image.len();
    let mut tdx = TDX_GUID.0.to_vec();
    tdx.extend(b"TDVF");
    tdx.extend([48_u32, 1, 1].map(u32::to_le_bytes).concat());
    tdx.extend([0x1000_u32, 0x800].map(u32::to_le_bytes).concat());
    tdx.extend([0xFFFF_F000_u64, 0x1000].map(u64::to_le_bytes).concat());
    tdx.extend([3_u32, 1].map(u32::to_le_bytes).concat());
    image[size - 0x400..size - 0x400 + tdx.len()].copy_from_slice(&tdx);
    let distance = (0x400_u32 - 16).to_le_bytes();
    let entries: [(Guid, &[u8]); 2] =
        [(GuidTable::TDX_METADATA, &distance), (GuidTable::SEV_ES_RESET, &[4, 0xB0, 0x80, 0])];
    end_with(&mut image, &table(&entries));
    image
}

#[test]
fn flash_is_taken_apart() {
    let image = ovmf();
    let Ok(Firmware::Ovmf(flash)) = identify(&image) else { panic!("{:?}", identify(&image)) };
    assert_eq!(flash.part, FlashPart::Both { variables_bytes: 0x3000 });
    assert_eq!(flash.sec, Some(SecWidth::X64));
    let table = flash.table.unwrap();
    assert_eq!(table.check(), Ok(()));
    assert_eq!(table.get(GuidTable::SEV_ES_RESET), Some(&[4, 0xB0, 0x80, 0][..]));
    assert!(table.sev().unwrap().is_none());
    let sections: Vec<_> = table.tdx().unwrap().unwrap().collect();
    let [section] = sections[..] else { panic!("{sections:?}") };
    assert_eq!(section.kind, TdxSectionKind::TemporaryMemory);
    assert_eq!((section.data_offset, section.data_size_bytes), (0x1000, 0x800));
    assert_eq!((section.gpa, section.memory_size_bytes), (Gpa::new(0xFFFF_F000), 0x1000));
    assert!(section.attributes.is_measured());
}

#[test]
fn code_and_variables_alone_are_told_apart() {
    let image = ovmf();
    let Ok(Firmware::Ovmf(variables)) = identify(&image[..0x3000]) else { panic!() };
    assert_eq!((variables.part, variables.sec), (FlashPart::Variables, None));
    let Ok(Firmware::Ovmf(code)) = identify(&image[0x3000..]) else { panic!() };
    assert_eq!((code.part, code.sec), (FlashPart::Code, Some(SecWidth::X64)));
    let mut old = volume(FFS2, 0x3000, &security_core(0x14C));
    end_with(&mut old, &table(&[]));
    let Ok(Firmware::Ovmf(old)) = identify(&old) else { panic!() };
    assert_eq!(old.sec, Some(SecWidth::Ia32));
}

#[test]
fn the_builds_of_xen_and_cloud_hypervisor_are_told_by_their_entry() {
    let mut xen = volume(FFS2, 0x3000, &security_core(0x8664));
    end_with(&mut xen, &[0xE9, 0x4D, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(identify(&xen), Ok(Firmware::OvmfXen));
    let mut cloud = vec![0; 0x3000];
    cloud[..4].copy_from_slice(b"\x7FELF");
    assert_eq!(identify(&cloud), Ok(Firmware::Elf));
    end_with(&mut cloud, &table(&[]));
    assert_eq!(identify(&cloud), Ok(Firmware::CloudHv));
    assert_eq!(identify(b"IGVM\x01\0\0\0"), Ok(Firmware::Igvm));
}

#[test]
fn a_volume_that_was_changed_is_refused() {
    let mut image = ovmf();
    image[20] ^= 1;
    let changed = identify(&image).unwrap_err();
    assert!(matches!(changed, Error::Checksum { offset: 0, .. }), "{changed}");
    let cut = identify(&ovmf()[..0x1800]).unwrap_err();
    assert!(matches!(cut, Error::Truncated { offset: 0, .. }), "{cut}");
    let mut no_vector = ovmf();
    let at = no_vector.len() - 20;
    no_vector[at] = b'X';
    let gone = identify(&no_vector).unwrap_err();
    assert!(matches!(gone, Error::Signature { what: "reset vector", .. }), "{gone}");
}

#[test]
fn a_guid_table_that_does_not_fit_is_refused() {
    let footer_length = |length: u16| {
        let mut image = ovmf();
        let at = image.len() - 50;
        image[at..at + 2].copy_from_slice(&length.to_le_bytes());
        GuidTable::find(&image).err()
    };
    assert!(matches!(footer_length(17), Some(Error::Length { length: 17, .. })));
    assert!(matches!(footer_length(0xFFFF), Some(Error::Length { length: 0xFFFF, .. })));
    // An entry that is longer than the table, and one that is shorter than its own trailer.
    for length in [0x200_u16, 5] {
        let mut image = ovmf();
        let at = image.len() - 32 - 18 - 18;
        image[at..at + 2].copy_from_slice(&length.to_le_bytes());
        let table = GuidTable::find(&image).unwrap().unwrap();
        assert!(matches!(table.check(), Err(Error::Length { .. })), "{length:#x}");
        assert_eq!(table.entries().count(), 0);
    }
}

#[test]
fn metadata_that_does_not_fit_is_refused() {
    let change = |from_end: usize, bytes: &[u8]| {
        let mut image = ovmf();
        let at = image.len() - from_end;
        image[at..at + bytes.len()].copy_from_slice(bytes);
        GuidTable::find(&image).unwrap().unwrap().tdx().map(|_| ()).unwrap_err()
    };
    let header = 0x400 - 16;
    assert!(matches!(change(header, b"X"), Error::Signature { .. }));
    assert!(matches!(change(header - 8, &[2]), Error::Version { version: 2, .. }));
    assert!(matches!(change(header - 12, &[0xFF; 4]), Error::Truncated { .. }));
    // The distance from the end, past the image's beginning.
    assert!(matches!(change(32 + 18 + 22 + 22, &[0xFF; 4]), Error::Length { .. }));
}

/// An option ROM of `blocks`, with a PCI data structure at 20h, whose bytes add up to 0.
fn option_rom(blocks: u8, code_type: u8, is_last: bool) -> Vec<u8> {
    let mut rom = vec![0; usize::from(blocks) * 512];
    rom[..3].copy_from_slice(&[0x55, 0xAA, blocks]);
    rom[0x18] = 0x20;
    rom[0x20..0x28].copy_from_slice(b"PCIR\x34\x12\x11\x11");
    rom[0x2F] = 3;
    rom[0x30] = blocks;
    rom[0x34] = code_type;
    rom[0x35] = if is_last { 0x80 } else { 0 };
    let sum = rom.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let last = rom.len() - 1;
    rom[last] = sum.wrapping_neg();
    rom
}

#[test]
fn the_images_of_an_option_rom_are_read_one_by_one() {
    let mut file = option_rom(2, 0, false);
    let mut uefi = option_rom(1, 3, true);
    uefi[200] = 1; // UEFI's images have no sum, and its header has other bytes at 2.
    uefi[2] = 0xF1;
    file.extend(uefi);
    let images: Vec<_> = OptionRoms::new(&file).collect();
    let [first, second] = images[..] else { panic!("{images:?}") };
    assert_eq!((first.offset, first.bytes.len(), first.is_vga()), (0, 1024, true));
    let pci = second.pci.unwrap();
    assert_eq!((second.offset, pci.code_type, pci.is_last), (1024, CodeType::Uefi, true));
    assert_eq!((pci.vendor, pci.device), (0x1234, 0x1111));
}

#[test]
fn an_option_rom_with_a_fault_is_refused() {
    let rom = option_rom(2, 0, true);
    assert!(matches!(OptionRom::at(&rom[..1023], 0), Err(Error::Truncated { .. })));
    let mut changed = rom.clone();
    changed[100] ^= 1;
    assert!(matches!(OptionRom::at(&changed, 0), Err(Error::Checksum { sum: 1 | 0xFF, .. })));
    let mut empty = rom.clone();
    empty[2] = 0;
    assert!(matches!(OptionRom::at(&empty, 0), Err(Error::Length { length: 0, .. })));
    let mut cut = rom;
    cut[0x18..0x1A].copy_from_slice(&1020_u16.to_le_bytes());
    cut[1020..].copy_from_slice(b"PCIR");
    assert!(matches!(OptionRom::at(&cut, 0), Err(Error::Truncated { offset: 1020, .. })));
    assert!(matches!(OptionRom::at(b"\x55", 0), Err(Error::Signature { .. })));
}

#[test]
fn what_nobody_knows_is_said_so() {
    assert_eq!(identify(&[]), Err(Error::Empty));
    let error = identify(b"abc").unwrap_err();
    assert_eq!(error, Error::Unknown { size_bytes: 3, start: 0x0063_6261 });
    assert_eq!(error.to_string(), "no known firmware: 0x3 bytes that begin with 0x00636261");
    assert_eq!(release(b"abc"), None);
}

/// Reads all that can be read.
fn read_all(image: &[u8]) {
    let _ = identify(image).map(|firmware| firmware.to_string());
    for rom in OptionRoms::new(image) {
        let _ = (rom.is_vga(), rom.is_ipxe());
    }
    for volume in Volumes::new(image) {
        for file in volume.files() {
            let _ = file.machine();
        }
    }
    if let Ok(Some(table)) = GuidTable::find(image) {
        let _ = (table.check(), table.entries().count());
        let _ = table.tdx().map(|sections| sections.map(Iterator::count));
        let _ = table.sev().map(|sections| sections.map(Iterator::count));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_bad(image in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_all(&image);
    }

    #[test]
    fn no_change_is_too_bad(
        which in 0..3_usize,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..8),
        end in any::<u16>(),
    ) {
        let mut image = match which {
            0 => ovmf(),
            1 => [option_rom(2, 0, false), option_rom(1, 3, true)].concat(),
            _ => ovmf()[0x3000..].to_vec(),
        };
        let (size, near_end) = (image.len(), 0x400);
        for (at, value) in changes {
            // Half of them where the table and the metadata are.
            let at = usize::from(at);
            let place = if at & 1 == 0 { at % size } else { size - 1 - at % near_end };
            image[place] = value;
        }
        read_all(&image);
        let cut = usize::from(end) % image.len();
        read_all(&image[..cut]);
        read_all(&image[cut..]);
    }
}
