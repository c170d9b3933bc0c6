//! The headers by which an image asks to be started, found among its first bytes.

use boot_plan::Side;

use super::Version;
use crate::relocation::range_to;
use crate::{Error, Relocation};

/// What a header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Where it stands in the file.
    pub(super) offset: u32,
    /// How to load the file, whatever its format.
    pub(super) addresses: Option<Addresses>,
    /// The physical address of the entry, where it is not the format's.
    pub(super) entry: Option<u32>,
    /// Where the image may go besides.
    pub(super) relocation: Option<Relocation>,
    /// It has to be told of a screen that it can write to.
    pub(super) needs_screen: bool,
}

/// Which part of the file goes where: physical addresses, as the header has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Of the header itself.
    pub(super) header: u32,
    /// Of the first byte that is loaded; [`Addresses::FROM_START`] for the first of the file.
    pub(super) load: u32,
    /// Behind the last byte that is loaded; 0 for the last of the file.
    pub(super) load_end: u32,
    /// Behind the zeros that follow; 0 if there are none.
    pub(super) bss_end: u32,
}

impl Addresses {
    /// In `load`: from the start of the file (version 2 only).
    pub(super) const FROM_START: u32 = u32::MAX;
}

/// The words of a file that may end anywhere.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn u16(self, at: usize) -> Option<u16> {
        self.0.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.0.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
    }
}

/// Finds the header of this version.
pub(super) fn find(file: &[u8], version: Version) -> Result<Header, Error> {
    let (within, step) = match version {
        Version::One => (8192, 4),
        Version::Two => (32768, 8),
    };
    let searched = Words(file.get(..within).unwrap_or(file));
    let words = match version {
        Version::One => 3,
        Version::Two => 4,
    };
    let magic = version.header_magic();
    let mut reason = Error::NoMultibootHeader { searched_bytes: within as u64 };
    for at in (0..searched.0.len()).step_by(step).filter(|&at| searched.u32(at) == Some(magic)) {
        // A header is whole if its first words come to zero.
        let sum = (0..words).try_fold(0_u32, |sum, index| {
            searched.u32(at + 4 * index).map(|word| sum.wrapping_add(word))
        });
        match sum {
            Some(0) => {
                return match version {
                    Version::One => read_1(searched, at),
                    Version::Two => read_2(searched, at),
                };
            }
            _ => reason = Error::MultibootChecksum { offset: at as u64 },
        }
    }
    Err(reason)
}

/// Reads a header of version 1.
///
/// # Source
/// Multiboot Specification, "The layout of Multiboot header", "The magic fields of Multiboot
/// header", "The address fields of Multiboot header".
fn read_1(words: Words<'_>, at: usize) -> Result<Header, Error> {
    /// Modules on page boundaries and memory information, which there always are; a video mode.
    const KNOWN: u32 = 0b111;
    const MUST_BE_KNOWN: u32 = 0xFFFF;
    const VIDEO: u32 = 1 << 2;
    const HAS_ADDRESSES: u32 = 1 << 16;

    let cut = || Error::MultibootHeaderCut { offset: at as u64 };
    let word = |index: usize| words.u32(at + 4 * index).ok_or_else(cut);
    let flags = word(1)?;
    if flags & MUST_BE_KNOWN & !KNOWN != 0 {
        return Err(Error::MultibootFlags { flags });
    }
    let (mut addresses, mut entry) = (None, None);
    if flags & HAS_ADDRESSES != 0 {
        addresses = Some(Addresses {
            header: word(3)?,
            load: word(4)?,
            load_end: word(5)?,
            bss_end: word(6)?,
        });
        entry = Some(word(7)?);
    }
    let needs_screen = flags & VIDEO != 0;
    Ok(Header { offset: offset(at), addresses, entry, relocation: None, needs_screen })
}

/// Reads a header of version 2 and its tags.
///
/// # Source
/// Multiboot2 Specification, "The layout of Multiboot2 header", "General tag structure" and the
/// sections on each tag.
fn read_2(words: Words<'_>, at: usize) -> Result<Header, Error> {
    const I386: u32 = 0;
    const OPTIONAL: u16 = 1;

    let cut = || Error::MultibootHeaderCut { offset: at as u64 };
    let word = |at| words.u32(at).ok_or_else(cut);
    let architecture = word(at + 4)?;
    if architecture != I386 {
        return Err(Error::MultibootArchitecture { architecture });
    }
    let length = usize::try_from(word(at + 8)?).map_err(|_| cut())?;
    let end = at.checked_add(length).filter(|&end| end <= words.0.len()).ok_or_else(cut)?;
    let mut header = Header {
        offset: offset(at),
        addresses: None,
        entry: None,
        relocation: None,
        needs_screen: false,
    };
    let mut tag = at + 16;
    loop {
        let (Some(kind), Some(flags), Some(size)) =
            (words.u16(tag), words.u16(tag + 2), words.u32(tag + 4))
        else {
            return Err(cut());
        };
        let size = usize::try_from(size).map_err(|_| cut())?;
        let tag_end = tag.checked_add(size).filter(|&tag_end| size >= 8 && tag_end <= end);
        let tag_end = tag_end.ok_or_else(cut)?;
        let body = Words(words.0.get(tag + 8..tag_end).unwrap_or_default());
        match kind {
            0 => return Ok(header),
            _ => match read_tag(kind, body, &mut header) {
                Err(Error::MultibootTag { .. }) if flags & OPTIONAL != 0 => {}
                read => read.map_err(|error| match error {
                    Error::MultibootHeaderCut { .. } => cut(),
                    other => other,
                })?,
            },
        }
        tag = tag_end.next_multiple_of(8);
    }
}

fn read_tag(kind: u16, body: Words<'_>, header: &mut Header) -> Result<(), Error> {
    let word = |index: usize| {
        let offset = u64::from(header.offset);
        body.u32(4 * index).ok_or(Error::MultibootHeaderCut { offset })
    };
    match kind {
        // Information request: whatever is known may be asked for, and is told where there is any.
        1 => {
            let unknown = |kind: &u32| *kind > LAST_INFORMATION;
            let asked = (0..body.0.len() / 4).filter_map(|index| body.u32(4 * index));
            if let Some(kind) = { asked }.find(unknown) {
                return Err(Error::MultibootTag { kind });
            }
        }
        2 => {
            header.addresses = Some(Addresses {
                header: word(0)?,
                load: word(1)?,
                load_end: word(2)?,
                bss_end: word(3)?,
            });
        }
        3 => header.entry = Some(word(0)?),
        4 => header.needs_screen |= word(0)? & 1 != 0,
        // A wish for a graphics mode; modules on page boundaries; EFI, which this start is not.
        5..=9 => {}
        10 => header.relocation = Some(read_relocation([word(0)?, word(1)?, word(2)?, word(3)?])?),
        _ => return Err(Error::MultibootTag { kind: kind.into() }),
    }
    Ok(())
}

/// The last type of boot information: the image's load base.
const LAST_INFORMATION: u32 = 21;

fn read_relocation([least, most, alignment, preference]: [u32; 4]) -> Result<Relocation, Error> {
    let alignment = u64::from(alignment);
    if !alignment.is_power_of_two() {
        return Err(Error::RelocAlignment { alignment });
    }
    let side = match preference {
        1 => Some(Side::Lowest),
        2 => Some(Side::Highest),
        _ => None,
    };
    // Highest address at which the image may end.
    let within = range_to(least, most.saturating_sub(1));
    Ok(Relocation { alignment, within, side })
}

/// Makes the offset of a header, which is below 32 KiB.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
