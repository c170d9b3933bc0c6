//! Chains of frames that are no tables: taken for an edit, or freed and not yet given back.

use core::sync::atomic::Ordering;

use guest_state::Hpa;

use crate::TableMemory;

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
