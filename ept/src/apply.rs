//! Edits applied: the recursion over tables.

use core::sync::atomic::Ordering;

use guest_state::Hpa;

use crate::atomic::AtomicU64;
use crate::edit::{Change, Edit, Mapper};
use crate::leaves::{self, load};
use crate::level::{Part, Run, Span};
use crate::{Ept, EptEntry, EptFlags, Level, TableMemory};

impl<M: TableMemory> Ept<M> {
    /// Applies `edit` to `span`, which lies within the table of `level` at `frame`.
    pub(crate) fn apply(&mut self, frame: Hpa, level: Level, span: Span, edit: &Edit) {
        let cut = level.cut(span);
        for part in cut.ends() {
            self.apply_below(frame, level, part, edit);
        }
        let mut left = cut.whole;
        while left.count > 0 {
            left = left.skip(self.apply_leaves(frame, level, left, edit));
            if left.count > 0 {
                self.apply_below(frame, level, left.first(), edit);
                left = left.skip(1);
            }
        }
    }

    /// Applies `edit` to entries that are or become leaves or holes, up to the first that is none
    /// of these; returns how many came before.
    fn apply_leaves(&mut self, frame: Hpa, level: Level, run: Run, edit: &Edit) -> usize {
        let Some(table) = self.memory.table(frame) else { return run.count };
        let slots = &table.0[run.index..][..run.count];
        let flags_change = self.rules.accessed_dirty();
        let done = match *edit {
            Edit::Map(mapper) if level > mapper.largest => return 0,
            Edit::Map(mapper) => {
                leaves::map(slots, level, mapper.leaf(level, run.base), flags_change)
            }
            Edit::Unmap => leaves::unmap(slots, level),
            // Two calls, so that each loop has one change.
            Edit::Change(change @ Change::Put { .. }) => {
                leaves::change(slots, level, |old| change.of(old), flags_change)
            }
            Edit::Change(change @ Change::Swap { .. }) => {
                leaves::change(slots, level, |old| change.of(old), flags_change)
            }
            Edit::Resize(_) if level == Level::Pt => return run.count,
            Edit::Resize(_) => return 0,
        };
        self.invept_due |= done.invept_due;
        done.count
    }

    /// Applies `edit` to a part for which it needs a table below the entry, or finds one there.
    fn apply_below(&mut self, frame: Hpa, level: Level, part: Part, edit: &Edit) -> Option<()> {
        let (below, old) = (level.below()?, self.load(frame, part.index));
        if !edit.concerns(level, part.base, old) {
            return None;
        }
        match *edit {
            Edit::Map(mapper) if !old.is_present() => {
                let new = self.build(below, part.span, &mapper)?;
                self.store(frame, part.index, new);
                return Some(());
            }
            Edit::Unmap if part.whole => {
                self.store(frame, part.index, EptEntry::EMPTY);
                self.retire_tree(old.address(), below);
                return Some(());
            }
            _ => {}
        }
        if old.is_leaf(level) {
            self.split(frame, below, part.index)?;
        }
        let entry = self.load(frame, part.index);
        let child = entry.address();
        match *edit {
            Edit::Change(change) if part.whole && entry.is_uniform() => {
                self.change_uniform(child, below, change);
            }
            _ => {
                if entry.is_uniform() {
                    self.store(frame, part.index, entry.with_uniform(false));
                }
                self.apply(child, below, part.span, edit);
            }
        }
        if !self.keep_tables {
            self.tidy(frame, level, part.index, child);
        }
        Some(())
    }

    /// Changes all leaves of a uniform table of `level`, which need not be read for that.
    fn change_uniform(&mut self, frame: Hpa, level: Level, change: Change) {
        let Some(table) = self.memory.table(frame) else { return };
        let old = load(&table.0[0]);
        let new = EptEntry::from_bits(change.of(old.bits()));
        if new != old {
            leaves::fill(&table.0, new, level.span_bytes());
            self.invept_due |= old.change_needs_invept(new);
        }
    }

    /// Makes a table of `level` that maps `span` and nothing else, with all below it, and returns
    /// the entry that will link it.
    fn build(&mut self, level: Level, span: Span, mapper: &Mapper) -> Option<EptEntry> {
        let frame = self.take()?;
        let cut = level.cut(span);
        let nothing = cut.whole.skip(cut.whole.count);
        let (pages, tables) =
            if level <= mapper.largest { (cut.whole, nothing) } else { (nothing, cut.whole) };
        let table = &self.memory.table(frame)?.0;
        let (before, rest) = table.split_at_checked(pages.index)?;
        let (slots, after) = rest.split_at_checked(pages.count)?;
        before.iter().chain(after).for_each(|slot| slot.store(0, Ordering::Relaxed));
        leaves::fill(slots, mapper.leaf(level, pages.base), level.span_bytes());
        if let Some(below) = level.below() {
            for part in cut.ends().chain(tables.parts()) {
                let entry = self.build(below, part.span, mapper)?;
                self.store(frame, part.index, entry);
            }
        }
        // Where hardware sets flags, leaves do not stay as they were written.
        let uniform = pages.count == 512 && !self.rules.accessed_dirty();
        Some(EptEntry::table(frame).with_uniform(uniform))
    }

    /// Replaces the leaf at `index` by a table of `level` whose 512 leaves map the same.
    fn split(&mut self, frame: Hpa, level: Level, index: usize) -> Option<()> {
        let child_frame = self.take()?;
        let child = self.memory.table(child_frame)?;
        let slot = &self.memory.table(frame)?.0[index];
        let old = load(slot);
        for (slot, index) in child.0.iter().zip(0..) {
            slot.store(old.piece(index, level).bits(), Ordering::Relaxed);
        }
        let seen = slot.swap(EptEntry::table(child_frame).bits(), Ordering::AcqRel);
        let late = seen & EptEntry::SET_BY_HARDWARE & !old.bits();
        if late != 0 {
            child.0.iter().for_each(|slot| {
                slot.fetch_or(late, Ordering::Relaxed);
            });
        }
        self.invept_due = true;
        Some(())
    }

    /// Removes all tables within `span` that have become empty or can be one page.
    pub(crate) fn tidy_all(&mut self, frame: Hpa, level: Level, span: Span) {
        let Some(below) = level.below() else { return };
        let cut = level.cut(span);
        for part in cut.ends().chain(cut.whole.parts()) {
            let entry = self.load(frame, part.index);
            if entry.is_table(level) {
                self.tidy_all(entry.address(), below, part.span);
                self.tidy(frame, level, part.index, entry.address());
            }
        }
    }

    /// Removes the table `child`, to which the entry at `index` points, if it has become empty or
    /// can be one page.
    fn tidy(&mut self, frame: Hpa, level: Level, index: usize, child: Hpa) -> Option<()> {
        let below = level.below()?;
        let table = self.memory.table(child)?;
        let slot = &self.memory.table(frame)?.0[index];
        if !load(&table.0[0]).is_present() {
            if table.0.iter().any(|slot| load(slot).is_present()) {
                return None;
            }
            slot.store(EptEntry::EMPTY.bits(), Ordering::Release);
        } else {
            let page = self.mergeable(&table.0, level, below)?;
            let parts = table.0.iter();
            let flags = parts.fold(0, |flags, slot| flags | slot.load(Ordering::Relaxed));
            let flags = flags & EptEntry::SET_BY_HARDWARE;
            slot.store(page | flags, Ordering::Release);
            // A CPU that remembers the old table sets flags there: no more, once an entry is gone.
            if self.rules.accessed_dirty() {
                let parts = table.0.iter();
                let late = parts.fold(0, |late, slot| late | slot.swap(0, Ordering::AcqRel));
                let late = late & EptEntry::SET_BY_HARDWARE & !flags;
                if late != 0 {
                    slot.fetch_or(late, Ordering::Relaxed);
                }
            }
        }
        self.retire(child);
        Some(())
    }

    /// Returns the leaf of `level`, without flags, that maps the same as a table of `below`, if
    /// there may be one.
    fn mergeable(&self, table: &[AtomicU64; 512], level: Level, below: Level) -> Option<u64> {
        let first = load(&table[0]);
        let sub_page = first.flags().contains(EptFlags::SUB_PAGE_WRITE);
        let aligned = first.address().is_aligned(level.span_bytes());
        if !self.rules.maps_pages(level) || !first.is_leaf(below) || !aligned || sub_page {
            return None;
        }
        let mut expected = first.without_accessed_dirty();
        for slot in table {
            if load(slot).without_accessed_dirty() != expected {
                return None;
            }
            expected += below.span_bytes();
        }
        Some(first.without_accessed_dirty() | EptEntry::LARGE)
    }

    /// Retires a table of `level` that is no longer linked, with all tables below it.
    pub(crate) fn retire_tree(&mut self, frame: Hpa, level: Level) {
        if let Some(below) = level.below() {
            let mut index = 0;
            while let Some((next, child)) = self.next_child(frame, index) {
                self.retire_tree(child, below);
                index = next + 1;
            }
        }
        self.retire(frame);
    }

    /// Returns the first entry from `index` on that points to a table, and the table.
    fn next_child(&self, frame: Hpa, index: usize) -> Option<(usize, Hpa)> {
        let slots = self.memory.table(frame)?.0.get(index..)?;
        let skipped = leaves::find_table(slots)?;
        Some((index + skipped, load(&slots[skipped]).address()))
    }

    fn retire(&mut self, frame: Hpa) {
        self.retired.push(&self.memory, frame);
        self.ever_retired += 1;
        self.invept_due = true;
    }

    pub(crate) fn load(&self, frame: Hpa, index: usize) -> EptEntry {
        self.memory.table(frame).map_or(EptEntry::EMPTY, |table| load(&table.0[index]))
    }

    fn store(&self, frame: Hpa, index: usize, entry: EptEntry) {
        if let Some(table) = self.memory.table(frame) {
            table.0[index].store(entry.bits(), Ordering::Release);
        }
    }
}
