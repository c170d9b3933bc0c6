//! The tour on a floppy that a BIOS boots.

use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

static BOOT_SECTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/boot-sector"));

/// A 3.5 inch floppy of 1.44 MB: 80 cylinders, 2 heads, 18 sectors.
pub const FLOPPY_BYTES: usize = 80 * 2 * 18 * SECTOR_BYTES;

const SECTOR_BYTES: usize = 512;
/// Where the boot sector loads what follows it, and where that must end.
const STAGING: u32 = 0x1_0000;
const STAGING_END: usize = 0x9_0000;
/// Where the boot sector itself is loaded.
const SECTOR_ADDRESS: u32 = 0x7C00;

/// Why a floppy could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Tour and command line are more than the boot sector can load.
    #[error("tour and command line take {size_bytes} bytes, the boot sector loads {most}")]
    TooLarge {
        /// What they take.
        size_bytes: usize,
        /// What fits.
        most: usize,
    },
    /// An embedded image is not what this crate expects: it was built wrongly.
    #[error("embedded image: {0}")]
    Image(&'static str),
}

/// What the boot sector is told, at its fixed offset: `sector.s` has the other side.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SectorParameters {
    load_address: U32,
    load_words: U32,
    zero_words: U32,
    sectors: U32,
    command_line_field: U32,
}
const PARAMETERS_OFFSET: usize = 488;
const _: () = assert!(PARAMETERS_OFFSET + size_of::<SectorParameters>() <= 510);

/// Makes a bootable floppy image of 1.44 MB whose tour finds `command_line`.
///
/// # Errors
/// [`Error::TooLarge`] if the command line leaves no room for the tour.
pub fn tour_floppy(command_line: &str) -> Result<Vec<u8>, Error> {
    let (address, mut payload, zero_words) = flatten(crate::TOUR)?;
    let load_words = payload.len() / 4;
    let command_line_offset = payload.len();
    payload.extend(command_line.bytes().take_while(|byte| *byte != 0));
    payload.push(0);
    payload.resize(payload.len().next_multiple_of(SECTOR_BYTES), 0);
    let most = STAGING_END - STAGING as usize;
    if payload.len() > most {
        return Err(Error::TooLarge { size_bytes: payload.len(), most });
    }

    let (_, mut sector, _) = flatten(BOOT_SECTOR)?;
    if sector.len() != SECTOR_BYTES {
        return Err(Error::Image("the boot sector is not 512 bytes long"));
    }
    let told = SectorParameters::read_from_prefix(&sector[PARAMETERS_OFFSET..]);
    let (told, _) = told.map_err(|_| Error::Image("the boot sector has no parameters"))?;
    let field = told.command_line_field.get().wrapping_sub(SECTOR_ADDRESS) as usize;
    let parameters = SectorParameters {
        load_address: address.into(),
        load_words: word(load_words)?,
        zero_words: word(zero_words)?,
        sectors: word(payload.len() / SECTOR_BYTES)?,
        command_line_field: told.command_line_field,
    };
    let slot = &mut sector[PARAMETERS_OFFSET..][..size_of::<SectorParameters>()];
    slot.copy_from_slice(parameters.as_bytes());
    let command_line_at = U32::new(STAGING + word(command_line_offset)?.get());
    sector
        .get_mut(field..field + 4)
        .ok_or(Error::Image("the boot sector has no room for the command line's address"))?
        .copy_from_slice(command_line_at.as_bytes());

    let mut floppy = sector;
    floppy.append(&mut payload);
    floppy.resize(FLOPPY_BYTES, 0);
    Ok(floppy)
}

/// Returns load address, bytes (whole words), and the zero words that follow, of an ELF with one
/// loaded segment.
fn flatten(image: &[u8]) -> Result<(u32, Vec<u8>, usize), Error> {
    let elf = Elf::parse(image).map_err(|_| Error::Image("not an ELF"))?;
    let mut loads = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
    let (Some(load), None) = (loads.next(), loads.next()) else {
        return Err(Error::Image("not one loaded segment"));
    };
    let mut bytes =
        image.get(load.file_range()).ok_or(Error::Image("segment outside the file"))?.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let size = usize::try_from(load.p_memsz).map_err(|_| Error::Image("segment too large"))?;
    let zero_words = size.saturating_sub(bytes.len()).div_ceil(4);
    let address = u32::try_from(load.p_paddr).map_err(|_| Error::Image("segment too high"))?;
    Ok((address, bytes, zero_words))
}

fn word(value: usize) -> Result<U32, Error> {
    u32::try_from(value).map(U32::new).map_err(|_| Error::Image("too large"))
}
