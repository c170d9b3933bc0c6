//! Option ROMs, from bytes: the images of a file are those that a plain reading of the PCI Firmware
//! Specification finds, and none that it does not.

use firmware_blobs::{CodeType, Error, Firmware, OptionRom, OptionRoms, identify};

/// An image by the plain reading.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    offset: usize,
    size_bytes: usize,
    /// Where its PCI data structure is in the file.
    pci: Option<usize>,
}

/// Reads a file of option ROMs.
///
/// The first byte says what is put right in the first image: its signature, the one of its PCI data
/// structure, its sum. The rest is the file.
///
/// # Panics
/// If the reader is wrong.
pub fn option_rom(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let mut file = rest.to_vec();
    repair(&mut file, *how);
    let plain = plain(&file);
    let read: Vec<_> = OptionRoms::new(&file).collect();
    let found = read.iter().map(|rom| (rom.offset, rom.bytes.len(), rom.pci.is_some()));
    let wanted = plain.iter().map(|rom| (rom.offset, rom.size_bytes, rom.pci.is_some()));
    assert!(found.eq(wanted), "{:x?} and {plain:x?}", read);
    for (rom, plain) in read.iter().zip(&plain) {
        assert_eq!(rom.bytes, &file[plain.offset..plain.offset + plain.size_bytes]);
        let has_mark =
            |mark: &[u8]| (0..rom.bytes.len()).any(|at| rom.bytes[at..].starts_with(mark));
        assert_eq!(rom.is_ipxe(), has_mark(b"iPXE"));
        match (rom.pci, plain.pci) {
            (Some(pci), Some(at)) => {
                let word = |offset: usize| number(&file, at + offset, 2);
                assert_eq!((pci.vendor.into(), pci.device.into()), (word(4), word(6)));
                assert_eq!(pci.class as usize, number(&file, at + 13, 3));
                assert_eq!(pci.size_bytes, word(16) * 512);
                assert_eq!(pci.is_last, file[at + 21] >= 0x80);
                assert_eq!(rom.is_vga(), file[at + 15] == 3);
                let code_type = match file[at + 20] {
                    0 => CodeType::PcAt,
                    1 => CodeType::OpenFirmware,
                    3 => CodeType::Uefi,
                    other => CodeType::Other(other),
                };
                assert_eq!(pci.code_type, code_type);
            }
            _ => assert_eq!(rom.is_vga(), rom.bytes.get(0x1E..0x21) == Some(b"IBM")),
        }
    }
    at_any_place(&file, usize::from(*how) << 4);
    if let Ok(Firmware::OptionRom(rom)) = identify(&file) {
        assert_eq!(Some(&rom), read.first());
    }
}

/// Wherever it is asked to begin, the reader stays in the file, and a sum that it refuses is wrong.
fn at_any_place(file: &[u8], offset: usize) {
    match OptionRom::at(file, offset) {
        Ok(rom) => assert!(!rom.bytes.is_empty() && offset + rom.bytes.len() <= file.len()),
        Err(Error::Checksum { sum, .. }) => {
            let size_bytes = usize::from(file[offset + 2]) * 512;
            let wanted = sum_of(&file[offset..offset + size_bytes]) % 256;
            assert!(sum != 0 && u32::from(sum) == wanted);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn repair(file: &mut [u8], how: u8) {
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = file.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    if how & 1 != 0 {
        put(0, b"\x55\xAA");
    }
    if how & 2 != 0 {
        put(0x18, &[0x1C, 0]);
        put(0x1C, b"PCIR");
    }
    let size_bytes = file.get(2).map_or(0, |blocks| usize::from(*blocks) * 512);
    if how & 4 != 0
        && let Some(image) = file.get_mut(..size_bytes)
        && let Some(last) = image.last_mut()
    {
        *last = 0;
        image[size_bytes - 1] = (256 - sum_of(image) % 256).to_le_bytes()[0];
    }
}

/// The images, from the first to one that is not as it should be.
fn plain(file: &[u8]) -> Vec<Plain> {
    let mut roms = Vec::new();
    let mut offset = 0;
    while file.get(offset..offset + 2) == Some(&[0x55, 0xAA]) {
        let end = file.len() - offset;
        let pointer = if end < 0x1A { end } else { number(file, offset + 0x18, 2) };
        let at = offset + pointer;
        let pci = (file.get(at..at + 4) == Some(b"PCIR")).then_some(at);
        if pci.is_some() && at + 0x16 > file.len() {
            break;
        }
        let by_header = file.get(offset + 2).map(|blocks| usize::from(*blocks) * 512);
        let is_uefi = pci.is_some_and(|at| file[at + 20] == 3);
        let by_structure = pci.map_or(0, |at| number(file, at + 16, 2) * 512);
        let size_bytes = if is_uefi { Some(by_structure) } else { by_header };
        let Some(size_bytes) = size_bytes.filter(|size| (1..=end).contains(size)) else { break };
        let is_for_bios = pci.is_none_or(|at| file[at + 20] == 0);
        if is_for_bios && !sum_of(&file[offset..offset + size_bytes]).is_multiple_of(256) {
            break;
        }
        roms.push(Plain { offset, size_bytes, pci });
        if pci.is_none_or(|at| file[at + 21] >= 0x80) {
            break;
        }
        offset += size_bytes.max(by_structure);
    }
    roms
}

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width].iter().rev().fold(0, |number, byte| number * 256 + usize::from(*byte))
}

fn sum_of(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(*byte)).sum()
}
