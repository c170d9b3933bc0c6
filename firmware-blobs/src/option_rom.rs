//! Option ROMs: images on expansion cards, several in one file.

use crate::Error;
use crate::bytes::{array, u16_at, u24_at};

const SIGNATURE: [u8; 2] = [0x55, 0xAA];
/// The unit of sizes.
const BLOCK_BYTES: usize = 512;
const ROM: &str = "option ROM";
const PCI_DATA: &str = "PCI data structure";
const PCI_DATA_BYTES: usize = 0x16;

/// What the code of an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeType {
    /// A PC with a BIOS.
    PcAt,
    /// Open Firmware.
    OpenFirmware,
    /// UEFI.
    Uefi,
    /// One that is not known here.
    Other(u8),
}

/// What the PCI data structure of an image says.
///
/// # Source
/// PCI Firmware Specification, "PCI Expansion ROM Contents".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciRom {
    /// The vendor of the device that it is for.
    pub vendor: u16,
    /// The device.
    pub device: u16,
    /// The class code: base class, subclass, interface, from the highest byte down.
    pub class: u32,
    /// The length of the image.
    pub size_bytes: usize,
    /// What the code is for.
    pub code_type: CodeType,
    /// Whether no other image follows.
    pub is_last: bool,
}

/// An image of an option ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionRom<'a> {
    /// Where it begins in the file.
    pub offset: usize,
    /// Its bytes, as many as its header says.
    pub bytes: &'a [u8],
    /// What it says of the PCI device that it is for; ISA ROMs say nothing.
    pub pci: Option<PciRom>,
}

impl<'a> OptionRom<'a> {
    /// Reads the image at `offset`.
    ///
    /// The byte sum of an image for a PC's BIOS must be 0: others, UEFI's for one, have none.
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::Length`] of a ROM without a byte, [`Error::Truncated`],
    /// [`Error::Checksum`].
    pub fn at(file: &'a [u8], offset: usize) -> Result<Self, Error> {
        let rom = file.get(offset..).ok_or(Error::Signature { what: ROM, offset })?;
        if !rom.starts_with(&SIGNATURE) {
            return Err(Error::Signature { what: ROM, offset });
        }
        let truncated = Error::Truncated { what: ROM, offset };
        let pci = PciRom::of(rom, offset)?;
        let size_bytes = match pci {
            // In the header UEFI has a word of its own, and both must agree.
            Some(PciRom { size_bytes, code_type: CodeType::Uefi, .. }) => size_bytes,
            _ => usize::from(*rom.get(2).ok_or(truncated)?) * BLOCK_BYTES,
        };
        if size_bytes == 0 {
            return Err(Error::Length { what: ROM, offset, length: 0 });
        }
        let bytes = rom.get(..size_bytes).ok_or(truncated)?;
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let is_summed = pci.is_none_or(|pci| pci.code_type == CodeType::PcAt);
        if is_summed && sum != 0 {
            return Err(Error::Checksum { what: ROM, offset, sum: sum.into() });
        }
        Ok(Self { offset, bytes, pci })
    }

    /// Tells whether it is for a display: class 3 of PCI, or, on an ISA ROM, the text that a VGA BIOS
    /// has behind its header.
    #[must_use]
    pub fn is_vga(&self) -> bool {
        const DISPLAY: u32 = 0x03;
        match self.pci {
            Some(pci) => pci.class >> 16 == DISPLAY,
            // IBM's own VGA BIOS has it at 1Eh, and drivers look for it there.
            None => self.bytes.get(0x1E..).is_some_and(|bytes| bytes.starts_with(b"IBM")),
        }
    }

    /// Tells whether it is iPXE, which says so in its text.
    #[must_use]
    pub fn is_ipxe(&self) -> bool {
        self.bytes.windows(4).any(|window| window == b"iPXE")
    }
}

impl PciRom {
    /// Reads the structure that the header points to; `None` if it points to none.
    fn of(rom: &[u8], offset: usize) -> Result<Option<Self>, Error> {
        const POINTER: usize = 0x18;
        let Some(pointer) = u16_at(rom, POINTER).map(usize::from) else { return Ok(None) };
        let Some(data) = rom.get(pointer..).filter(|data| data.starts_with(b"PCIR")) else {
            return Ok(None);
        };
        let truncated = Error::Truncated { what: PCI_DATA, offset: offset.saturating_add(pointer) };
        let data: [u8; PCI_DATA_BYTES] = array(data, 0).ok_or(truncated)?;
        let word = |at| u16_at(&data, at).ok_or(truncated);
        let [code_type, indicator] = array(&data, 0x14).ok_or(truncated)?;
        Ok(Some(Self {
            vendor: word(4)?,
            device: word(6)?,
            class: u24_at(&data, 0x0D).ok_or(truncated)?,
            size_bytes: usize::from(word(0x10)?) * BLOCK_BYTES,
            code_type: match code_type {
                0 => CodeType::PcAt,
                1 => CodeType::OpenFirmware,
                3 => CodeType::Uefi,
                other => CodeType::Other(other),
            },
            is_last: indicator & 0x80 != 0,
        }))
    }
}

/// The images of a file, until the last or one that is not as it should be.
#[derive(Clone, Debug)]
pub struct OptionRoms<'a> {
    file: &'a [u8],
    next: Option<usize>,
}

impl<'a> OptionRoms<'a> {
    /// Begins at the file's first byte.
    #[must_use]
    pub const fn new(file: &'a [u8]) -> Self {
        Self { file, next: Some(0) }
    }
}

impl<'a> Iterator for OptionRoms<'a> {
    type Item = OptionRom<'a>;

    fn next(&mut self) -> Option<OptionRom<'a>> {
        let rom = OptionRom::at(self.file, self.next?).ok()?;
        // An image has a byte at least, so that this comes to an end.
        self.next = match rom.pci {
            Some(PciRom { is_last: false, size_bytes, .. }) => {
                rom.offset.checked_add(size_bytes.max(rom.bytes.len()))
            }
            _ => None,
        };
        Some(rom)
    }
}
