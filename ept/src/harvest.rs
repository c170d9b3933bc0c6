//! Reading and clearing the flags that hardware sets, and the page-modification log.

use core::sync::atomic::Ordering;

use bitflags::bitflags;
use guest_state::{Gpa, GpaRange, Hpa, PageSize};

use crate::atomic::AtomicU64;
use crate::leaves::load;
use crate::level::Span;
use crate::{
    DirtyBitmap, Ept, EptEntry, Error, InvalidationDebt, Level, Mapping, Requirement, Table,
    TableMemory,
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
        let span = self.harvested(range)?;
        let mut found = false;
        self.each_run(span, |slots, level, base| {
            let bytes = level.span_bytes();
            let page_size = level.page_size().unwrap_or(PageSize::Size4K);
            for (slot, at) in slots.iter().zip(0..) {
                let old = load(slot);
                if old.bits() & flags.bits() != 0 {
                    found = true;
                    let entry = clear(slot, old, flags.bits());
                    let gpa = Gpa::new(base + at * bytes);
                    let hpa = Hpa::new(entry.address().as_u64() & !(bytes - 1));
                    visit(Mapping { gpa, hpa, page_size, entry });
                }
            }
        });
        self.invept_due |= found;
        Ok(self.debt())
    }

    /// Marks the pages in `range` that have one of `flags` in `log`, and clears these flags: what
    /// [`harvest`](Self::harvest) with [`DirtyBitmap::mark`] does, several times as fast.
    ///
    /// Pages that `log` is not for keep their flags. So does a large page that it is for in part,
    /// as the rest is in no log; that part is marked each time.
    ///
    /// # Errors
    /// As [`harvest`](Self::harvest).
    pub fn harvest_into(
        &mut self,
        range: GpaRange,
        flags: Use,
        log: &mut DirtyBitmap<'_>,
    ) -> Result<InvalidationDebt, Error> {
        let (span, pages) = (self.harvested(range)?, log.span());
        let span = Span { start: span.start.max(pages.start), end: span.end.min(pages.end) };
        let mut found = false;
        self.each_run(span, |slots, level, base| {
            if level == Level::Pt {
                for (slots, first) in slots.chunks(64).zip((base / 4096..).step_by(64)) {
                    let word = clear_all(slots, flags.bits());
                    found |= word != 0;
                    log.mark_word(first, word);
                }
            } else if slots.iter().any(|slot| load(slot).bits() & flags.bits() != 0) {
                // One large page: see `each_run`.
                let (start, end) = (base.max(pages.start), base + level.span_bytes());
                log.mark_span(Span { start, end: end.min(pages.end) });
                if pages.start <= base && end <= pages.end {
                    found |= clear_all(slots, flags.bits()) != 0;
                }
            }
        });
        self.invept_due |= found;
        Ok(self.debt())
    }

    /// Returns the span of a range whose flags are to be read.
    fn harvested(&self, range: GpaRange) -> Result<Span, Error> {
        if !self.rules.accessed_dirty() {
            return Err(Error::Unsupported(Requirement::AccessedDirty));
        }
        self.rules.span(range)
    }

    /// Calls `visit` with all entries for pages in `span`: with those of a PT in one run, holes
    /// among them, and with each leaf above by itself; with their level, and the address that the
    /// first is for.
    fn each_run(&self, span: Span, mut visit: impl FnMut(&[AtomicU64], Level, u64)) {
        if span.start < span.end {
            self.each_run_in(self.root, self.rules.options().top_level(), span, &mut visit);
        }
    }

    fn each_run_in(
        &self,
        frame: Hpa,
        level: Level,
        span: Span,
        visit: &mut impl FnMut(&[AtomicU64], Level, u64),
    ) {
        let Some(table) = self.memory.table(frame) else { return };
        let bytes = level.span_bytes();
        let slots = &table.0[level.index_u64(span.start)..=level.index_u64(span.end - 1)];
        let first = span.start & !(bytes - 1);
        let Some(below) = level.below() else { return visit(slots, level, first) };
        for (slot, at) in slots.iter().zip(0..) {
            let base = first + at * bytes;
            let entry = load(slot);
            if let Some(child) = entry.next_table() {
                let end = span.end.min(base + bytes);
                let within = Span { start: base.max(span.start), end };
                self.each_run_in(child, below, within, visit);
            } else if entry.is_present() {
                visit(core::slice::from_ref(slot), level, base);
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
        if !self.rules.accessed_dirty() {
            return Err(Error::Unsupported(Requirement::AccessedDirty));
        }
        let first = if index > 511 { 0 } else { usize::from(index) + 1 };
        for logged in log.0[first..].iter().rev() {
            let page = load(logged).bits();
            visit(Gpa::new(page).page_base(PageSize::Size4K));
            let found = self.last_slot(Gpa::new(page), |slot, _| {
                let old = load(slot);
                old.is_dirty() && clear(slot, old, EptEntry::DIRTY).is_dirty()
            });
            self.invept_due |= found == Some(true);
        }
        Ok(self.debt())
    }
}

/// Clears `flags` in up to 64 entries, and returns which had one of them: bit 0 for the first.
fn clear_all(slots: &[AtomicU64], flags: u64) -> u64 {
    let (eights, rest) = slots.as_chunks::<8>();
    let mut word = 0;
    for (eight, at) in eights.iter().zip((0..).step_by(8)) {
        // Most often all are alike: clean, or accessed and dirty.
        let [any, all] = eight.iter().fold([0, !0], |[any, all], slot| {
            let entry = load(slot).bits();
            [any | entry, all & entry]
        });
        if any & flags == 0 {
            continue;
        }
        if is_settled(all) {
            for slot in eight {
                slot.store(load(slot).bits() & !flags, Ordering::Release);
            }
            word |= 0xFF << at;
        } else {
            word |= clear_each(eight, flags) << at;
        }
    }
    if rest.is_empty() { word } else { word | clear_each(rest, flags) << (8 * eights.len()) }
}

/// The same one by one.
fn clear_each(slots: &[AtomicU64], flags: u64) -> u64 {
    let mut word = 0;
    for (slot, at) in slots.iter().zip(0..) {
        let old = load(slot);
        if old.bits() & flags != 0 {
            clear(slot, old, flags);
            word |= 1 << at;
        }
    }
    word
}

/// Clears `flags` in a leaf that was `old`, and returns it as it was just before.
fn clear(slot: &AtomicU64, old: EptEntry, flags: u64) -> EptEntry {
    if is_settled(old.bits()) {
        slot.store(old.bits() & !flags, Ordering::Release);
        old
    } else {
        EptEntry::from_bits(slot.fetch_and(!flags, Ordering::AcqRel))
    }
}

/// Tells whether an entry has both flags: then hardware has nothing left to set, and nobody else
/// writes it.
const fn is_settled(entry: u64) -> bool {
    entry & EptEntry::SET_BY_HARDWARE == EptEntry::SET_BY_HARDWARE
}
