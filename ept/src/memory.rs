//! The memory that tables lie in. It belongs to the caller.

use guest_state::Hpa;

use crate::atomic::AtomicU64;
use crate::frames::Queue;

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
/// implementor's business, who also proves that a frame may be reached as a [`Table`] until it is
/// freed. What stands in a frame when it is allocated does not matter.
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
///
/// A freestanding hypervisor can have it as a static, wherever its image is loaded:
/// ```
/// # use ept::{FramePool, Table};
/// # use guest_state::Hpa;
/// static TABLES: [Table; 64] = [const { Table::new() }; 64];
/// # let to_physical = |address: usize| Hpa::new(address as u64);
/// let pool = FramePool::new(to_physical(TABLES.as_ptr().addr()), &TABLES);
/// assert_eq!(pool.free_count(), 64);
/// ```
#[derive(Debug)]
pub struct FramePool<'a> {
    base: Hpa,
    tables: &'a [Table],
    /// How many tables from the beginning have ever been taken.
    touched: usize,
    freed: Queue,
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
        Self { base, tables, touched: 0, freed: Queue::default() }
    }

    /// Returns how many frames are free.
    #[must_use]
    pub const fn free_count(&self) -> u64 {
        (self.tables.len() - self.touched) as u64 + self.freed.count()
    }

    #[inline]
    fn find(base: Hpa, tables: &'a [Table], frame: Hpa) -> Option<&'a Table> {
        // By frame numbers, of which one shift makes the number of an entry's table.
        let index = (frame.as_u64() / 4096).wrapping_sub(base.as_u64() / 4096);
        tables.get(usize::try_from(index).ok()?)
    }
}

impl TableMemory for FramePool<'_> {
    fn allocate(&mut self) -> Option<Hpa> {
        let (base, tables) = (self.base, self.tables);
        self.freed.pop(|frame| Self::find(base, tables, frame)).or_else(|| {
            let index = (self.touched < tables.len()).then_some(self.touched)?;
            self.touched += 1;
            base.checked_add(index as u64 * 4096)
        })
    }

    fn free(&mut self, frame: Hpa) {
        let (base, tables) = (self.base, self.tables);
        self.freed.push(frame, |frame| Self::find(base, tables, frame));
    }

    #[inline]
    fn table(&self, frame: Hpa) -> Option<&Table> {
        Self::find(self.base, self.tables, frame)
    }
}
