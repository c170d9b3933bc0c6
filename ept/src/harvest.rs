//! Reading and clearing the flags that hardware sets, and the page-modification log.

use core::sync::atomic::Ordering;

use bitflags::bitflags;
use guest_state::{Gpa, GpaRange, Hpa, PageSize};

use crate::atomic::AtomicU64;
use crate::level::Span;
use crate::{
    Ept, EptEntry, Error, InvalidationDebt, Level, Mapping, Requirement, Table, TableMemory,
};

bitflags! {
    /// The flags that hardware sets in a leaf.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Use: u64 {
        /// The page was accessed.
        const ACCESSED = EptEntry::ACCESSED;
        /// The page was written.
        const DIRTY = EptEntry::DIRTY;
    }
}

impl<M: TableMemory> Ept<M> {
    /// Calls `visit` for each page in `range` that has one of `flags`, with its leaf as it was, and
    /// clears these flags. A page that lies in the range in part counts.
    ///
    /// Until the debt is settled, CPUs may use such pages without setting the flags again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the tables are used without accessed and dirty flags;
    /// [`Error::Misaligned`], [`Error::PastGuestWidth`].
    pub fn harvest(
        &mut self,
        range: GpaRange,
        flags: Use,
        mut visit: impl FnMut(Mapping),
    ) -> Result<InvalidationDebt, Error> {
        if !self.rules.accessed_dirty() {
            return Err(Error::Unsupported(Requirement::AccessedDirty));
        }
        let span = self.rules.span(range)?;
        let mut found = false;
        if !range.is_empty() {
            let top = self.rules.options().top_level();
            self.harvest_table(self.root, top, span, flags, &mut |page| {
                found = true;
                visit(page);
            });
        }
        self.invept_due |= found;
        Ok(self.debt())
    }

    fn harvest_table(
        &self,
        frame: Hpa,
        level: Level,
        span: Span,
        flags: Use,
        visit: &mut impl FnMut(Mapping),
    ) {
        let Some(table) = self.memory.table(frame) else { return };
        let (bytes, leaf) = (level.span_bytes(), level.large_bit());
        let page_size = level.page_size().unwrap_or(PageSize::Size4K);
        let slots = &table.0[level.index_u64(span.start)..=level.index_u64(span.end - 1)];
        let mut next = span.start & !(bytes - 1);
        for slot in slots {
            let base = next;
            next += bytes;
            let old = EptEntry::from_bits(slot.load(Ordering::Acquire));
            if old.bits() & leaf == leaf {
                // A leaf; or a hole, which has no flags.
                if old.bits() & flags.bits() != 0 {
                    let entry = clear(slot, old, flags.bits());
                    let hpa = Hpa::new(entry.address().as_u64() & !(bytes - 1));
                    visit(Mapping { gpa: Gpa::new(base), hpa, page_size, entry });
                }
            } else if let (true, Some(below)) = (old.is_present(), level.below()) {
                let end = span.end.min(next);
                let within = Span { start: base.max(span.start), end };
                self.harvest_table(old.address(), below, within, flags, visit);
            }
        }
    }

    /// Calls `visit` for each page in the page-modification log, oldest first, and clears its dirty
    /// flag, so that the next write to it is logged again.
    ///
    /// `log` is the page at the PML address, and `index` the PML index as the CPU left it: it counts
    /// down from 511, and what it wraps to when the log is full is taken for that. Afterwards write
    /// 511 to the PML index.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the tables are used without accessed and dirty flags.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Page-Modification Logging".
    pub fn drain_log(
        &mut self,
        log: &Table,
        index: u16,
        mut visit: impl FnMut(Gpa),
    ) -> Result<InvalidationDebt, Error> {
        let mut debt = InvalidationDebt::NONE;
        let first = if index > 511 { 0 } else { usize::from(index) + 1 };
        for slot in log.0[first..].iter().rev() {
            let page = Gpa::new(slot.load(Ordering::Acquire)).page_base(PageSize::Size4K);
            visit(page);
            if let Some(range) =
                GpaRange::new(page, 4096).filter(|range| self.rules.span(*range).is_ok())
            {
                debt += self.harvest(range, Use::DIRTY, |_| {})?;
            }
        }
        Ok(debt)
    }
}

/// Clears `flags` in a leaf that was `old`, and returns it as it was just before.
fn clear(slot: &AtomicU64, old: EptEntry, flags: u64) -> EptEntry {
    // With both flags set hardware has nothing left to set, and nobody else writes the entry.
    if old.bits() & EptEntry::SET_BY_HARDWARE == EptEntry::SET_BY_HARDWARE {
        slot.store(old.bits() & !flags, Ordering::Release);
        old
    } else {
        EptEntry::from_bits(slot.fetch_and(!flags, Ordering::AcqRel))
    }
}
