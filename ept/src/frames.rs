//! Frames that are no tables: free ones, those taken for an edit, and those freed but not yet given
//! back. They are kept in one another, so that no other memory is needed.

use core::sync::atomic::Ordering;

use guest_state::Hpa;

use crate::{Table, TableMemory};

/// A queue of frames, linked through their first entries.
///
/// A CPU that still walks a freed table may meet the link. It is an aligned address, whose
/// permission bits are clear: an entry that is not present, of which hardware neither remembers
/// nor changes anything.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    first: Hpa,
    last: Hpa,
    count: u64,
}

impl Chain {
    pub(crate) fn push(&mut self, memory: &impl TableMemory, frame: Hpa) {
        if self.count == 0 {
            self.first = frame;
        } else if let Some(last) = memory.table(self.last) {
            last.0[0].store(frame.as_u64(), Ordering::Relaxed);
        }
        if let Some(table) = memory.table(frame) {
            table.0[0].store(0, Ordering::Relaxed);
        }
        self.last = frame;
        self.count += 1;
    }

    pub(crate) fn pop(&mut self, memory: &impl TableMemory) -> Option<Hpa> {
        self.count = self.count.checked_sub(1)?;
        let frame = self.first;
        let next = memory.table(frame).map_or(0, |table| table.0[0].load(Ordering::Relaxed));
        self.first = Hpa::new(next);
        Some(frame)
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}

/// A queue of frames that no CPU can reach. One frame in 512 is a book, which holds the addresses
/// of the others, so that those need not be touched.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The book to read from; its first entry is the next book.
    first: Hpa,
    /// The last entry that was read.
    read: usize,
    /// The book to write to.
    last: Hpa,
    /// The last entry that was written.
    written: usize,
    count: u64,
}

impl Queue {
    pub(crate) fn push<'a>(&mut self, frame: Hpa, table: impl Fn(Hpa) -> Option<&'a Table>) {
        let write = |book, slot: usize| {
            if let Some(table) = table(book) {
                table.0[slot].store(frame.as_u64(), Ordering::Relaxed);
            }
        };
        if self.count == 0 {
            *self = Self { first: frame, last: frame, ..Self::default() };
        } else if self.written == 511 {
            write(self.last, 0);
            (self.last, self.written) = (frame, 0);
        } else {
            self.written += 1;
            write(self.last, self.written);
        }
        self.count += 1;
    }

    pub(crate) fn pop<'a>(&mut self, table: impl Fn(Hpa) -> Option<&'a Table>) -> Option<Hpa> {
        self.count = self.count.checked_sub(1)?;
        let last_of_book = self.read == if self.first == self.last { self.written } else { 511 };
        self.read = if last_of_book { 0 } else { self.read + 1 };
        let found = table(self.first).map(|book| book.0[self.read].load(Ordering::Relaxed));
        let found = Hpa::new(found.unwrap_or_default());
        // Behind its last entry, a book itself is next, and another takes its place.
        Some(if last_of_book { core::mem::replace(&mut self.first, found) } else { found })
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}
