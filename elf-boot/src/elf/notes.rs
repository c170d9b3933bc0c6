//! ELF notes, read as they are found in the wild.
//!
//! The format has no one alignment: GNU's notes in 64-bit files are padded to 8 bytes, Xen's always
//! to 4, and linkers merge both into one segment whose alignment tells nothing. A kernel may have
//! several note segments, with the one note that matters in any of them.

use alloc::vec::Vec;

use super::Elf;
use crate::Error;

/// More notes than any kernel has. Segments may overlap, so that the file's length is no bound.
const MOST_NOTES: usize = 4096;

/// The type of Xen's note that holds the PVH entry.
const PHYS32_ENTRY: u32 = 18;

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Note<'a> {
    /// Whose type it is; any bytes, mostly with a final zero.
    name: &'a [u8],
    kind: u32,
    descriptor: &'a [u8],
}

impl Note<'_> {
    fn is_xen(&self, kind: u32) -> bool {
        matches!(self.name, b"Xen\0" | b"Xen") && self.kind == kind
    }
}

/// Finds the physical address of the PVH entry.
///
/// # Source
/// Xen `public/elfnote.h`, `XEN_ELFNOTE_PHYS32_ENTRY`: 4 bytes, or 8 from 64-bit assemblers.
pub(crate) fn pvh_entry(elf: &Elf<'_>) -> Result<u32, Error> {
    let (notes, problem) = read_notes(elf);
    let mut reason = problem.unwrap_or(Error::NoPvhNote);
    for note in notes.iter().filter(|note| note.is_xen(PHYS32_ENTRY)) {
        reason = match *note.descriptor {
            [a, b, c, d] => return Ok(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => {
                let entry = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                return u32::try_from(entry).map_err(|_| Error::PvhEntryAbove4G { entry });
            }
            ref other => Error::PvhNoteSize { size_bytes: other.len() },
        };
    }
    Err(reason)
}

/// Reads every note that can be read, those of segments first; and the first thing that was wrong.
fn read_notes<'a>(elf: &Elf<'a>) -> (Vec<Note<'a>>, Option<Error>) {
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
