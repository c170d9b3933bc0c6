//! The levels of the tables.

use guest_state::{Gpa, PageSize};

use crate::EptEntry;

/// A level of EPT paging structures, named by the table; `Pt` holds the entries of 4 KiB pages.
///
/// # Source
/// Intel SDM Vol. 3C, "EPT Translation Mechanism".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Page table: each entry is for 4 KiB.
    Pt = 1,
    /// Page directory: 2 MiB.
    Pd = 2,
    /// Page-directory-pointer table: 1 GiB.
    Pdpt = 3,
    /// PML4 table: 512 GiB.
    Pml4 = 4,
    /// PML5 table: 256 TiB.
    Pml5 = 5,
}

impl Level {
    /// Returns the lowest address bit that selects an entry of this level.
    #[must_use]
    pub const fn shift(self) -> u32 {
        12 + 9 * (self as u32 - 1)
    }

    /// Returns how many bytes one entry is for.
    #[must_use]
    pub const fn span_bytes(self) -> u64 {
        1 << self.shift()
    }

    /// Returns the level of the tables that entries of this level point to.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::Pt => None,
            Self::Pd => Some(Self::Pt),
            Self::Pdpt => Some(Self::Pd),
            Self::Pml4 => Some(Self::Pdpt),
            Self::Pml5 => Some(Self::Pml4),
        }
    }

    /// Returns the size of the pages that entries of this level can map, if they can.
    #[must_use]
    pub const fn page_size(self) -> Option<PageSize> {
        match self {
            Self::Pt => Some(PageSize::Size4K),
            Self::Pd => Some(PageSize::Size2M),
            Self::Pdpt => Some(PageSize::Size1G),
            Self::Pml4 | Self::Pml5 => None,
        }
    }

    /// Returns the level whose entries map pages of `size`.
    #[must_use]
    pub const fn of_page(size: PageSize) -> Self {
        match size {
            PageSize::Size4K => Self::Pt,
            PageSize::Size2M => Self::Pd,
            PageSize::Size1G => Self::Pdpt,
        }
    }

    /// Returns which of the 512 entries of a table is for `gpa`.
    #[must_use]
    pub const fn index(self, gpa: Gpa) -> usize {
        self.index_u64(gpa.as_u64())
    }

    #[allow(clippy::cast_possible_truncation, reason = "nine bits fit any usize")]
    pub(crate) const fn index_u64(self, gpa: u64) -> usize {
        (gpa >> self.shift() & 0x1FF) as usize
    }

    /// Returns bit 7 as a leaf of this level has it.
    pub(crate) const fn large_bit(self) -> u64 {
        if matches!(self, Self::Pt) { 0 } else { EptEntry::LARGE }
    }

    /// Cuts `span`, which is not empty and lies within one table of this level, into the entries that it covers
    /// whole and the up to two that it covers in part.
    pub(crate) const fn cut(self, span: Span) -> Cut {
        let mask = self.span_bytes() - 1;
        let (first, end) = ((span.start + mask) & !mask, span.end & !mask);
        if first > end {
            return Cut { head: Some(self.part(span)), whole: self.run(first, first), tail: None };
        }
        let head = Span { start: span.start, end: first };
        let tail = Span { start: end, end: span.end };
        Cut {
            head: if head.start < head.end { Some(self.part(head)) } else { None },
            whole: self.run(first, end),
            tail: if tail.start < tail.end { Some(self.part(tail)) } else { None },
        }
    }

    const fn part(self, span: Span) -> Part {
        let base = span.start & !(self.span_bytes() - 1);
        Part { index: self.index_u64(base), base, span, whole: false }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a table has 512 entries")]
    const fn run(self, start: u64, end: u64) -> Run {
        let count = ((end - start) >> self.shift()) as usize;
        Run { level: self, index: self.index_u64(start), base: start, count }
    }
}

/// Guest-physical addresses from `start` up to but without `end`, below the guest-physical width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A span, cut by the entries of one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    head: Option<Part>,
    pub(crate) whole: Run,
    tail: Option<Part>,
}

impl Cut {
    /// Returns what is covered in part.
    pub(crate) fn ends(&self) -> impl Iterator<Item = Part> + use<> {
        self.head.into_iter().chain(self.tail)
    }
}

/// The part of a span that one entry is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) index: usize,
    /// The first address that the entry is for.
    pub(crate) base: u64,
    pub(crate) span: Span,
    /// Whether the span is all that the entry is for.
    pub(crate) whole: bool,
}

/// Entries of one table that a span covers whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    level: Level,
    pub(crate) index: usize,
    /// The first address that the first of them is for.
    pub(crate) base: u64,
    pub(crate) count: usize,
}

impl Run {
    /// Returns the same without the first `count` entries.
    pub(crate) const fn skip(self, count: usize) -> Self {
        let base = self.base + ((count as u64) << self.level.shift());
        Self { index: self.index + count, base, count: self.count - count, ..self }
    }

    /// Returns the first entry.
    pub(crate) const fn first(self) -> Part {
        let span = Span { start: self.base, end: self.base + self.level.span_bytes() };
        Part { index: self.index, base: self.base, span, whole: true }
    }

    /// Returns the entries one by one.
    pub(crate) fn parts(self) -> impl Iterator<Item = Part> {
        (0..self.count).map(move |count| self.skip(count).first())
    }
}
