//! What an ELF says of itself, for people and programs that ask.

use alloc::vec::Vec;

use guest_state::GpaRange;

use super::notes::{self, Note};
use super::{Elf, context};
use crate::Error;

/// An ELF image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElfImage<'a> {
    /// 32 or 64.
    pub bits: u8,
    /// What the header names as its entry: mostly a virtual address.
    pub entry: u64,
    /// What is loaded, lowest address first.
    pub segments: Vec<ElfSegment>,
    /// The notes of all note segments and note sections, in this order. One that is in both is
    /// here twice.
    pub notes: Vec<Note<'a>>,
    /// The first thing that was wrong with the notes: not all of them may be listed.
    pub notes_problem: Option<Error>,
}

/// A segment that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElfSegment {
    /// The memory that it takes, by its physical address.
    pub range: GpaRange,
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// How many bytes of that the file has; zeros follow.
    pub file_bytes: u64,
}

impl ElfImage<'_> {
    /// Returns how many zero bytes the segments have behind those of the file: `.bss`.
    #[must_use]
    pub fn zero_bytes(&self) -> u64 {
        let zeros = |one: &ElfSegment| one.range.size_bytes().saturating_sub(one.file_bytes);
        self.segments.iter().map(zeros).fold(0, u64::saturating_add)
    }
}

impl<'a> Elf<'a> {
    pub(crate) fn describe(&self) -> ElfImage<'a> {
        let (notes, notes_problem) = notes::read_notes(self);
        let segment = |one: &super::Segment<'_>| ElfSegment {
            range: one.range,
            file_offset: one.offset,
            file_bytes: one.bytes.len() as u64,
        };
        ElfImage {
            bits: if context(&self.header).container.is_big() { 64 } else { 32 },
            entry: self.entry(),
            segments: self.segments.iter().map(segment).collect(),
            notes,
            notes_problem,
        }
    }
}
