//! The memory that tables lie in. It belongs to the caller.

use core::sync::atomic::{AtomicU64, Ordering};

use guest_state::Hpa;

/// One table: the 512 entries of a 4 KiB frame, which CPUs read and write as well.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Table(pub [AtomicU64; 512]);

const _: () = assert!(size_of::<Table>() == 4096);

impl Table {
    /// Makes a table that maps nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

/// Frames for tables, and the way to reach them.
///
/// The frames are ordinary host memory: how they are allocated and where they are mapped is the
/// implementor's business. What stands in a frame when it is allocated does not matter.
pub trait TableMemory {
    /// Takes a free frame of 4 KiB, or `None` if there is none.
    fn allocate(&mut self) -> Option<Hpa>;

    /// Takes back a frame that [`allocate`](Self::allocate) returned. No CPU uses it any more.
    fn free(&mut self, frame: Hpa);

    /// Returns the table in `frame`, or `None` if the frame is not one of those that were
    /// allocated, which happens only after somebody else has written to a table.
    fn table(&self, frame: Hpa) -> Option<&Table>;
}

impl<M: TableMemory + ?Sized> TableMemory for &mut M {
    fn allocate(&mut self) -> Option<Hpa> {
        (**self).allocate()
    }

    fn free(&mut self, frame: Hpa) {
        (**self).free(frame);
    }

    fn table(&self, frame: Hpa) -> Option<&Table> {
        (**self).table(frame)
    }
}

/// Table memory made of a slice of tables that lie one after another in host memory.
#[derive(Debug)]
pub struct FramePool<'a> {
    base: Hpa,
    tables: &'a [Table],
    /// How many tables from the beginning have ever been taken.
    touched: usize,
    /// The chain of frames that were given back, through their first entries.
    freed: Option<Hpa>,
    free_count: usize,
}

impl<'a> FramePool<'a> {
    /// Makes a pool of `tables`, of which the first lies at the host-physical address `base`.
    ///
    /// Only one pool may use a table at a time. A base that is not a multiple of 4 KiB gives a
    /// pool without frames.
    #[must_use]
    pub fn new(base: Hpa, tables: &'a [Table]) -> Self {
        let fits = base.checked_add(tables.len() as u64 * 4096).is_some();
        let tables = if base.is_aligned(4096) && fits { tables } else { &[] };
        Self { base, tables, touched: 0, freed: None, free_count: tables.len() }
    }

    /// Returns how many frames are free.
    #[must_use]
    pub const fn free_count(&self) -> usize {
        self.free_count
    }
}

impl TableMemory for FramePool<'_> {
    fn allocate(&mut self) -> Option<Hpa> {
        let frame = match self.freed {
            Some(frame) => {
                // The chain ends in a one, which no aligned address has.
                let next = self.table(frame)?.0[0].load(Ordering::Relaxed);
                self.freed = (next != 1).then_some(Hpa::new(next));
                frame
            }
            None if self.touched < self.tables.len() => {
                let frame = self.base.checked_add(self.touched as u64 * 4096)?;
                self.touched += 1;
                frame
            }
            None => return None,
        };
        self.free_count -= 1;
        Some(frame)
    }

    fn free(&mut self, frame: Hpa) {
        if let Some(table) = self.table(frame) {
            table.0[0].store(self.freed.map_or(1, Hpa::as_u64), Ordering::Relaxed);
            self.freed = Some(frame);
            self.free_count += 1;
        }
    }

    #[inline]
    fn table(&self, frame: Hpa) -> Option<&Table> {
        let index = frame.offset_from(self.base)? / 4096;
        self.tables.get(usize::try_from(index).ok()?)
    }
}
