//! ELF notes, read as they are found in the wild.
//!
//! The format has no one alignment: GNU's notes in 64-bit files are padded to 8 bytes, Xen's always
//! to 4, and linkers merge both into one segment whose alignment tells nothing. A kernel may have
//! several note segments, with the one note that matters in any of them.

use alloc::vec::Vec;

use super::Elf;
use crate::relocation::range_to;
use crate::{Error, Relocation};

/// More notes than any kernel has. Segments may overlap, so that the file's length is no bound.
const MOST_NOTES: usize = 4096;

/// The types of Xen's notes that PVH is about.
const PHYS32_ENTRY: u32 = 18;
const PHYS32_RELOC: u32 = 19;

/// What a kernel is aligned to that does not say to what.
const DEFAULT_ALIGNMENT: u64 = 0x20_0000;

/// An ELF note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note<'a> {
    /// Whose type it is; any bytes, mostly with a final zero.
    pub name: &'a [u8],
    /// The type.
    pub kind: u32,
    /// What it says.
    pub descriptor: &'a [u8],
}

impl<'a> Note<'a> {
    /// Tells whether this is one of Xen's notes.
    #[must_use]
    pub fn is_xen(&self) -> bool {
        matches!(self.name, b"Xen\0" | b"Xen")
    }

    /// Returns what Xen calls this type, if it is one of its own.
    ///
    /// # Source
    /// Xen `public/elfnote.h`.
    #[must_use]
    pub fn xen_name(&self) -> Option<&'static str> {
        let index = usize::try_from(self.kind).ok().filter(|_| self.is_xen())?;
        XEN_NAMES.get(index).copied()
    }

    /// Returns a descriptor of 4 or 8 bytes as the number that it is.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match *self.descriptor {
            [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d]).into()),
            [a, b, c, d, e, f, g, h] => Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            _ => None,
        }
    }

    /// Returns a descriptor that is printable ASCII with a final zero as text.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let text = self.descriptor.strip_suffix(b"\0")?;
        let printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        core::str::from_utf8(text).ok().filter(|text| printable && !text.is_empty())
    }
}

/// The names of Xen's notes, by type.
const XEN_NAMES: [&str; 20] = [
    "INFO",
    "ENTRY",
    "HYPERCALL_PAGE",
    "VIRT_BASE",
    "PADDR_OFFSET",
    "XEN_VERSION",
    "GUEST_OS",
    "GUEST_VERSION",
    "LOADER",
    "PAE_MODE",
    "FEATURES",
    "BSD_SYMTAB",
    "HV_START_LOW",
    "L1_MFN_VALID",
    "SUSPEND_CANCEL",
    "INIT_P2M",
    "MOD_START_PFN",
    "SUPPORTED_FEATURES",
    "PHYS32_ENTRY",
    "PHYS32_RELOC",
];

/// Finds the physical address of the PVH entry.
///
/// # Source
/// Xen `public/elfnote.h`, `XEN_ELFNOTE_PHYS32_ENTRY`: 4 bytes, or 8 from 64-bit assemblers.
pub(crate) fn pvh_entry(elf: &Elf<'_>) -> Result<u32, Error> {
    let (notes, problem) = read_notes(elf);
    let mut reason = problem.unwrap_or(Error::NoPvhNote);
    for note in notes.iter().filter(|note| note.is_xen() && note.kind == PHYS32_ENTRY) {
        match note.number() {
            Some(entry) => {
                return u32::try_from(entry).map_err(|_| Error::PvhEntryAbove4G { entry });
            }
            None => reason = Error::PvhNoteSize { size_bytes: note.descriptor.len() },
        }
    }
    Err(reason)
}

/// Finds out whether a PVH kernel may be placed elsewhere, and where.
///
/// # Source
/// Xen `public/elfnote.h`, `XEN_ELFNOTE_PHYS32_RELOC`: alignment, least and last address, of which
/// those at the end may be missing.
pub(crate) fn pvh_relocation(elf: &Elf<'_>) -> Result<Option<Relocation>, Error> {
    let (notes, _) = read_notes(elf);
    let Some(note) = notes.iter().find(|note| note.is_xen() && note.kind == PHYS32_RELOC) else {
        return Ok(None);
    };
    let size_bytes = note.descriptor.len();
    if size_bytes > 12 || !size_bytes.is_multiple_of(4) {
        return Err(Error::RelocNoteSize { size_bytes });
    }
    let alignment = match word(note.descriptor, 0) {
        Some(alignment) => alignment.into(),
        None if elf.largest_alignment() >= 0x1000 => elf.largest_alignment(),
        None => DEFAULT_ALIGNMENT,
    };
    if !alignment.is_power_of_two() {
        return Err(Error::RelocAlignment { alignment });
    }
    let least = word(note.descriptor, 4).unwrap_or(0);
    let last = word(note.descriptor, 8).unwrap_or(u32::MAX);
    Ok(Some(Relocation { alignment, within: range_to(least, last), side: None }))
}

/// Reads every note that can be read, those of segments first; and the first thing that was wrong.
pub(super) fn read_notes<'a>(elf: &Elf<'a>) -> (Vec<Note<'a>>, Option<Error>) {
    let mut reader = Reader { notes: Vec::new(), steps_left: MOST_NOTES, problem: None };
    for area in elf.note_areas() {
        match area {
            Ok((offset, area)) => reader.read_area(offset, area),
            Err(error) => reader.refuse(error),
        }
    }
    (reader.notes, reader.problem)
}

struct Reader<'a> {
    notes: Vec<Note<'a>>,
    steps_left: usize,
    problem: Option<Error>,
}

impl<'a> Reader<'a> {
    /// Reads an area as notes padded to 4 bytes; if they break somewhere, as padded to 8 too.
    fn read_area(&mut self, offset: u64, area: &'a [u8]) {
        let Err(broken_at) = self.read_padded(area, 4) else {
            return;
        };
        if self.read_padded(area, 8).is_err() {
            self.refuse(Error::BrokenNotes { offset: offset.saturating_add(broken_at as u64) });
        }
    }

    /// Reads notes to the end of the area, or returns where the first that does not fit begins.
    fn read_padded(&mut self, area: &'a [u8], alignment: usize) -> Result<(), usize> {
        let mut at = 0;
        while at < area.len() {
            if self.steps_left == 0 {
                self.refuse(Error::TooManyNotes { most: MOST_NOTES });
                return Ok(());
            }
            self.steps_left -= 1;
            // No note has an empty name: this is what a linker left between two sections.
            if word(area, at) == Some(0) {
                at += alignment;
                continue;
            }
            let (note, end) = read_note(area, at, alignment).ok_or(at)?;
            self.notes.push(note);
            at = end;
        }
        Ok(())
    }

    /// Keeps the first error: others mostly follow from it.
    fn refuse(&mut self, error: Error) {
        self.problem.get_or_insert(error);
    }
}

/// Reads the note at `at`; returns it and where the next one begins.
fn read_note(area: &[u8], at: usize, alignment: usize) -> Option<(Note<'_>, usize)> {
    let name_bytes = usize::try_from(word(area, at)?).ok()?;
    let descriptor_bytes = usize::try_from(word(area, at + 4)?).ok()?;
    let kind = word(area, at + 8)?;
    let name_start = at + 12;
    let name_end = name_start.checked_add(name_bytes)?;
    let start = name_end.checked_next_multiple_of(alignment)?;
    let end = start.checked_add(descriptor_bytes)?;
    let name = area.get(name_start..name_end)?;
    let note = Note { name, kind, descriptor: area.get(start..end)? };
    Some((note, end.checked_next_multiple_of(alignment)?))
}

fn word(area: &[u8], at: usize) -> Option<u32> {
    area.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
