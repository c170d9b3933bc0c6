//! The one recursion that makes all changes.

use core::sync::atomic::{AtomicU64, Ordering};

use guest_state::{GpaRange, Hpa, MemoryType};

use crate::leaves::{self, load};
use crate::level::{Part, Run, Span};
use crate::{Ept, EptEntry, EptFlags, Error, InvalidationDebt, Level, TableMemory};

/// What is to be done with every page of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// Map it.
    Map(Mapper),
    /// Make it a hole.
    Unmap,
    /// Put `bits` in the place of `mask` in its leaf.
    Change {
        /// Which bits change.
        mask: u64,
        /// What they become.
        bits: u64,
    },
}

/// Where `Edit::Map` maps to, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapper {
    /// The host-physical address minus the guest-physical one, modulo 2^64.
    pub(crate) offset: u64,
    /// The bits of the leaves but for address and size.
    pub(crate) bits: u64,
    /// The highest level at which the offset, the CPU and the options allow leaves.
    pub(crate) largest: Level,
}

impl Mapper {
    /// Returns the leaf for `gpa`, the base of an entry of `level`.
    const fn leaf(&self, level: Level, gpa: u64) -> EptEntry {
        EptEntry::from_bits(self.offset.wrapping_add(gpa) | self.bits | level.large_bit())
    }

    /// Returns how many tables it takes to map all that an empty entry of `level` is for.
    fn tables_below(&self, level: Level) -> u64 {
        (self.largest as u8..level as u8).fold(0, |tables, _| tables * 512 + 1)
    }
}

impl Edit {
    /// Makes the edit that gives pages a memory type.
    pub(crate) const fn memory_type(memory_type: MemoryType) -> Result<Self, Error> {
        if !memory_type.is_valid_in_mtrr() {
            return Err(Error::MemoryType(memory_type));
        }
        Ok(Self::Change { mask: EptEntry::MEMORY_TYPE, bits: (memory_type.0 as u64) << 3 })
    }

    /// Tells whether pages that `old`, the entry of `level` for `base`, maps or could map change.
    fn concerns(&self, level: Level, base: u64, old: EptEntry) -> bool {
        let leaf = old.is_leaf(level);
        match *self {
            Self::Map(mapper) => {
                !leaf || old.without_accessed_dirty() != mapper.leaf(level, base).bits()
            }
            Self::Unmap => old.is_present(),
            Self::Change { mask, bits } => old.is_present() && (!leaf || old.bits() & mask != bits),
        }
    }
}

/// What stands below an entry, when an edit's frames are counted.
#[derive(Clone, Copy)]
enum Below {
    /// A table.
    Table(Hpa),
    /// This leaf, which will be split, of the level above.
    Leaf(EptEntry),
    /// Nothing: a table will be made.
    Nothing,
}

impl<M: TableMemory> Ept<M> {
    /// Makes one edit: counts the frames that it needs, takes them, and applies it.
    pub(crate) fn edit(&mut self, range: GpaRange, edit: &Edit) -> Result<InvalidationDebt, Error> {
        let span = self.span(range)?;
        if range.is_empty() {
            return Ok(InvalidationDebt::NONE);
        }
        let top = self.rules.options().top_level();
        let needed = self.count_frames(Below::Table(self.root), top, span, edit)?;
        self.take_reserve(needed)?;
        self.apply(self.root, top, span, edit);
        self.free_reserve();
        Ok(self.debt())
    }

    /// Returns the debt of the edits since the last one.
    pub(crate) fn debt(&mut self) -> InvalidationDebt {
        if core::mem::take(&mut self.invept_due) {
            InvalidationDebt::new(self.pointer, self.invept(), self.ever_retired)
        } else {
            InvalidationDebt::NONE
        }
    }

    /// Counts the tables that `edit` will make below `level`.
    fn count_frames(
        &self,
        below: Below,
        level: Level,
        span: Span,
        edit: &Edit,
    ) -> Result<u64, Error> {
        if let Below::Table(frame) = below {
            self.memory.table(frame).ok_or(Error::LostTable(frame))?;
        }
        let cut = level.cut(span);
        let mut count = 0;
        for part in cut.ends() {
            count += self.count_frames_of(below, level, part, edit)?;
        }
        // Entries that are covered whole need tables only to map pages smaller than they are for.
        match (edit, below) {
            (Edit::Map(mapper), _) if level <= mapper.largest => {}
            (Edit::Map(mapper), Below::Nothing) => {
                count += cut.whole.count as u64 * mapper.tables_below(level);
            }
            (Edit::Map(_), _) => {
                for part in cut.whole.parts() {
                    count += self.count_frames_of(below, level, part, edit)?;
                }
            }
            _ => {}
        }
        Ok(count)
    }

    fn count_frames_of(
        &self,
        below: Below,
        level: Level,
        part: Part,
        edit: &Edit,
    ) -> Result<u64, Error> {
        let old = match below {
            Below::Table(frame) => self.load(frame, part.index),
            Below::Leaf(leaf) => leaf.piece(part.index as u64, level),
            Below::Nothing => EptEntry::EMPTY,
        };
        let Some(next) = level.below() else { return Ok(0) };
        if !edit.concerns(level, part.base, old) {
            return Ok(0);
        }
        let (made, inner) = if old.is_table(level) {
            (0, Below::Table(old.address()))
        } else if old.is_present() {
            (1, Below::Leaf(old))
        } else {
            (1, Below::Nothing)
        };
        Ok(made + self.count_frames(inner, next, part.span, edit)?)
    }

    /// Takes `needed` frames from the memory, all or none.
    pub(crate) fn take_reserve(&mut self, needed: u64) -> Result<(), Error> {
        for _ in 0..needed {
            let error = match self.memory.allocate() {
                None => Error::OutOfFrames { needed },
                Some(frame) => match self.rules.table(frame) {
                    Ok(_) if self.memory.table(frame).is_some() => {
                        self.reserve.push(frame, |frame| self.memory.table(frame));
                        continue;
                    }
                    result => {
                        self.memory.free(frame);
                        result.err().unwrap_or(Error::LostTable(frame))
                    }
                },
            };
            self.free_reserve();
            return Err(error);
        }
        Ok(())
    }

    /// Takes a frame from the reserve, which has as many as the edit was found to need.
    fn take(&mut self) -> Option<Hpa> {
        self.reserve.pop(|frame| self.memory.table(frame))
    }

    pub(crate) fn free_reserve(&mut self) {
        while let Some(frame) = self.take() {
            self.memory.free(frame);
        }
    }

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
            Edit::Change { mask, bits } => leaves::change(slots, level, mask, bits, flags_change),
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
        let child = self.load(frame, part.index).address();
        self.apply(child, below, part.span, edit);
        self.tidy(frame, level, part.index, child)
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
        Some(EptEntry::table(frame))
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
    fn retire_tree(&mut self, frame: Hpa, level: Level) {
        if let Some(below) = level.below() {
            let mut index = 0;
            while let Some((next, child)) = self.next_child(frame, level, index) {
                self.retire_tree(child, below);
                index = next + 1;
            }
        }
        self.retire(frame);
    }

    /// Returns the first entry from `index` on that points to a table, and the table.
    fn next_child(&self, frame: Hpa, level: Level, index: usize) -> Option<(usize, Hpa)> {
        let slots = self.memory.table(frame)?.0.get(index..)?;
        let skipped = slots.iter().position(|slot| load(slot).is_table(level))?;
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
