//! The levels of the tables.

use guest_state::{Gpa, PageSize};

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

    /// Cuts `span`, which lies within one table of this level, into its parts by entry.
    pub(crate) fn parts(self, span: Span) -> impl Iterator<Item = Part> {
        let bytes = self.span_bytes();
        let mut at = span.start;
        core::iter::from_fn(move || {
            if at >= span.end {
                return None;
            }
            let base = at & !(bytes - 1);
            let part = Span { start: at, end: span.end.min(base + bytes) };
            at = part.end;
            let whole = part.end - part.start == bytes;
            Some(Part { index: self.index_u64(base), base, span: part, whole })
        })
    }
}

/// Guest-physical addresses from `start` up to but without `end`, below the guest-physical width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
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
