//! A dirty log in a bitmap that belongs to the caller.

use guest_state::{Gpa, GpaRange};

use crate::level::Span;

/// Which 4 KiB pages of a range of guest-physical memory are dirty: one bit for each.
///
/// ```
/// # use ept::DirtyBitmap;
/// # use guest_state::{Gpa, GpaRange};
/// let mut words = [0; 2];
/// let mut log = DirtyBitmap::new(Gpa::ZERO, &mut words);
/// let range = |start, size| GpaRange::new(Gpa::new(start), size).unwrap();
/// log.mark(range(0x3F_000, 0x3000));
/// log.mark(range(0x50_000, 1));
/// assert!(log.ranges().eq([range(0x3F_000, 0x3000), range(0x50_000, 0x1000)]));
/// ```
#[derive(Debug)]
pub struct DirtyBitmap<'a> {
    base: u64,
    words: &'a mut [u64],
}

impl<'a> DirtyBitmap<'a> {
    /// Makes a log of the pages from that of `base` on, 64 for each word of `words`. What is set
    /// in them is dirty; pages past 2^64 - 1 don't exist.
    #[must_use]
    pub fn new(base: Gpa, words: &'a mut [u64]) -> Self {
        let base = base.as_u64() / 4096;
        let most = (u64::MAX / 4096 - base) / 64;
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(words.len());
        Self { base, words: &mut words[..length] }
    }

    const fn page_count(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    /// Marks the pages that have a byte in `range` dirty; those that the log is not for are left
    /// out.
    #[inline]
    pub fn mark(&mut self, range: GpaRange) {
        let Some(last) = range.last() else { return };
        let Some(last) = (last.as_u64() / 4096).checked_sub(self.base) else { return };
        let first = (range.start().as_u64() / 4096).saturating_sub(self.base);
        if first == last {
            if let Some(word) = self.word(first) {
                *word |= 1 << (first % 64);
            }
        } else {
            self.mark_pages(first, last.saturating_add(1).min(self.page_count()));
        }
    }

    fn mark_pages(&mut self, mut at: u64, end: u64) {
        while at < end {
            let count = (64 - at % 64).min(end - at);
            if let Some(word) = self.word(at) {
                *word |= u64::MAX >> (64 - count) << (at % 64);
            }
            at += count;
        }
    }

    /// Returns the addresses that the log is for.
    pub(crate) const fn span(&self) -> Span {
        Span { start: self.base * 4096, end: (self.base + self.page_count()) * 4096 }
    }

    /// Marks the pages of `span`, which is of whole pages and within the log.
    pub(crate) fn mark_span(&mut self, span: Span) {
        self.mark_pages(span.start / 4096 - self.base, span.end / 4096 - self.base);
    }

    /// Marks up to 64 pages from number `page` on, which is within the log: bit 0 for the first.
    #[inline]
    pub(crate) fn mark_word(&mut self, page: u64, bits: u64) {
        let at = page - self.base;
        if let Some(word) = self.word(at) {
            *word |= bits << (at % 64);
        }
        // Two shifts, as one by 64 would overflow.
        let rest = bits >> 1 >> (63 - at % 64);
        if rest != 0
            && let Some(word) = self.word(at + 64)
        {
            *word |= rest;
        }
    }

    #[inline]
    fn word(&mut self, page: u64) -> Option<&mut u64> {
        self.words.get_mut(usize::try_from(page / 64).ok()?)
    }

    /// Makes all pages clean.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Returns how many pages are dirty.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns the first page from `page` on whose bit is `dirty`, or the number of pages.
    fn find(&self, page: u64, dirty: bool) -> u64 {
        let start = usize::try_from(page / 64).unwrap_or(usize::MAX);
        let mut mask = u64::MAX << (page % 64);
        for (word, at) in self.words.iter().skip(start).zip(page / 64..) {
            let bits = if dirty { *word } else { !*word } & mask;
            if bits != 0 {
                return at * 64 + u64::from(bits.trailing_zeros());
            }
            mask = u64::MAX;
        }
        self.page_count()
    }

    /// Iterates over the dirty ranges, each as long as can be, in order.
    pub fn ranges(&self) -> impl Iterator<Item = GpaRange> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let first = self.find(at, true);
            at = self.find(first, false);
            let gpa = |page| Gpa::new((self.base + page) * 4096);
            GpaRange::from_bounds(gpa(first), gpa(at)).filter(|range| !range.is_empty())
        })
    }
}
