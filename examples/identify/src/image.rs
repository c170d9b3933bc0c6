//! A file, and what is compressed inside it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use elf_boot::{Compression, Error, identify};
use firmware_blobs::{Firmware, FlashPart, Maker, Release, release};
use hvmloader_core::FirmwareKind;

/// No kernel is longer.
const MOST_FILE_BYTES: u64 = 1 << 30;
/// No kernel unpacks to more.
const MOST_UNPACKED_BYTES: usize = 512 << 20;
/// A compressed bzImage has an ELF in it, in the second depth.
const MOST_DEPTH: u32 = 2;

/// An image, with all that is inside.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) inside: Option<Inside>,
}

/// What an image has inside.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) compression: Compression,
    pub(crate) unpacked: Result<Box<Image>, Error>,
}

impl Image {
    /// Reads a file, and unpacks what is in it.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_FILE_BYTES {
            return Err(io::Error::other("longer than 1 GiB"));
        }
        Ok(Self::unpack(bytes, 0))
    }

    fn unpack(bytes: Vec<u8>, depth: u32) -> Self {
        let packed = identify(&bytes).packed(&bytes).filter(|_| depth < MOST_DEPTH);
        let inside = packed.map(|packed| {
            let unpacked = packed.unpack(MOST_UNPACKED_BYTES);
            let compression = packed.compression();
            let unpacked = unpacked.map(|bytes| Box::new(Self::unpack(bytes, depth + 1)));
            Inside { compression, unpacked }
        });
        Self { bytes, inside }
    }

    /// Returns what firmware it is, and which release, if it is one. An ELF that is no flash image is
    /// told of as a kernel.
    pub(crate) fn firmware(&self) -> Option<(Firmware<'_>, Option<&'static Release>)> {
        let firmware = firmware_blobs::identify(&self.bytes).ok()?;
        (firmware != Firmware::Elf).then(|| (firmware, release(&self.bytes)))
    }

    /// Tells whether there is a way to start it, or what is inside; firmware starts at the reset
    /// vector.
    pub(crate) fn can_start(&self) -> bool {
        let inside = self.inside.as_ref().and_then(|inside| inside.unpacked.as_ref().ok());
        !identify(&self.bytes).ways.is_empty()
            || inside.is_some_and(|inside| inside.can_start())
            || self.firmware().is_some_and(|(firmware, _)| is_started_by_reset(firmware))
    }
}

/// Returns the kind of firmware, if it is known what that needs of its machine.
pub(crate) fn kind(firmware: Firmware<'_>) -> Option<FirmwareKind> {
    match firmware {
        Firmware::Bios(bios) if bios.maker == Some(Maker::SeaBios) => Some(FirmwareKind::SeaBios),
        Firmware::Qboot => Some(FirmwareKind::Qboot),
        Firmware::Ovmf(flash) if flash.part != FlashPart::Variables => Some(FirmwareKind::Ovmf),
        Firmware::CloudHv => Some(FirmwareKind::CloudHv),
        _ => None,
    }
}

/// Tells whether firmware is what a CPU starts with, and not what other firmware uses.
fn is_started_by_reset(firmware: Firmware<'_>) -> bool {
    match firmware {
        Firmware::Ovmf(flash) => flash.part != FlashPart::Variables,
        Firmware::OptionRom(_) => false,
        _ => true,
    }
}
