//! The one recursion that makes all changes.

use core::sync::atomic::{AtomicU64, Ordering};

use guest_state::{GpaRange, Hpa, MemoryType};

use crate::level::{Part, Span};
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
        let large = if matches!(level, Level::Pt) { 0 } else { EptEntry::LARGE };
        EptEntry::from_bits(self.offset.wrapping_add(gpa) | self.bits | large)
    }
}

/// What an edit does with one entry.
enum Step {
    /// Nothing.
    Keep,
    /// Replace it; flags that hardware sets are of no interest.
    Replace(EptEntry),
    /// Replace it, keeping the flags that hardware sets.
    Change(EptEntry),
    /// Go on in the table below it, made first if there is none.
    Descend,
}

impl Edit {
    /// Makes the edit that gives pages a memory type.
    pub(crate) const fn memory_type(memory_type: MemoryType) -> Result<Self, Error> {
        if !memory_type.is_valid_in_mtrr() {
            return Err(Error::MemoryType(memory_type));
        }
        Ok(Self::Change { mask: EptEntry::MEMORY_TYPE, bits: (memory_type.0 as u64) << 3 })
    }

    /// Decides what to do with `old`, the entry for `part` in a table of `level`.
    fn step(&self, level: Level, part: &Part, old: EptEntry) -> Step {
        let leaf = old.is_leaf(level);
        match *self {
            Self::Map(mapper) => {
                let new = mapper.leaf(level, part.base);
                // A table is filled and then merged, which keeps the flags of pages that stay.
                if leaf && old.without_accessed_dirty() == new.bits() {
                    Step::Keep
                } else if part.whole && leaf && old.address() == new.address() {
                    Step::Change(EptEntry::from_bits(new.bits() | old.accessed_dirty_bits()))
                } else if part.whole && level <= mapper.largest && !old.is_table(level) {
                    Step::Replace(new)
                } else {
                    Step::Descend
                }
            }
            Self::Unmap => match (old.is_present(), part.whole) {
                (false, _) => Step::Keep,
                (true, true) => Step::Replace(EptEntry::EMPTY),
                (true, false) => Step::Descend,
            },
            Self::Change { mask, bits } => {
                let new = EptEntry::from_bits(old.bits() & !mask | bits);
                match (old.is_present(), leaf) {
                    (false, _) => Step::Keep,
                    (true, true) if new == old => Step::Keep,
                    (true, true) if part.whole => Step::Change(new),
                    (true, _) => Step::Descend,
                }
            }
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
        let table = match below {
            Below::Table(frame) => Some(self.memory.table(frame).ok_or(Error::LostTable(frame))?),
            _ => None,
        };
        let Some(next) = level.below() else { return Ok(0) };
        let mut count = 0;
        for part in level.parts(span) {
            let old = match below {
                Below::Leaf(leaf) => leaf.piece(part.index as u64, level),
                _ => table.map_or(EptEntry::EMPTY, |table| load(&table.0[part.index])),
            };
            if matches!(edit.step(level, &part, old), Step::Descend) {
                let inner = if old.is_table(level) {
                    Below::Table(old.address())
                } else {
                    count += 1;
                    if old.is_present() { Below::Leaf(old) } else { Below::Nothing }
                };
                count += self.count_frames(inner, next, part.span, edit)?;
            }
        }
        Ok(count)
    }

    /// Takes `needed` frames from the memory, all or none.
    pub(crate) fn take_reserve(&mut self, needed: u64) -> Result<(), Error> {
        for _ in 0..needed {
            let error = match self.memory.allocate() {
                None => Error::OutOfFrames { needed },
                Some(frame) => match self.rules.table(frame) {
                    Ok(_) if self.memory.table(frame).is_some() => {
                        self.reserve.push(&self.memory, frame);
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

    pub(crate) fn free_reserve(&mut self) {
        while let Some(frame) = self.reserve.pop(&self.memory) {
            self.memory.free(frame);
        }
    }

    /// Applies `edit` to `span`, which lies within the table of `level` at `frame`.
    pub(crate) fn apply(&mut self, frame: Hpa, level: Level, span: Span, edit: &Edit) {
        for part in level.parts(span) {
            let Some(table) = self.memory.table(frame) else { return };
            let slot = &table.0[part.index];
            let old = load(slot);
            match edit.step(level, &part, old) {
                Step::Keep => {}
                Step::Replace(new) => {
                    slot.store(new.bits(), Ordering::Release);
                    self.invept_due |= old.change_needs_invept(new);
                    if let (true, Some(below)) = (old.is_table(level), level.below()) {
                        self.retire_tree(old.address(), below);
                    }
                }
                Step::Change(new) => {
                    self.exchange(slot, old, new);
                    self.invept_due |= old.change_needs_invept(new);
                }
                Step::Descend => {
                    let Some(below) = level.below() else { continue };
                    if let (Edit::Map(mapper), false) = (edit, old.is_present()) {
                        if let Some(new) = self.build(below, part.span, mapper) {
                            self.store(frame, part.index, new);
                        }
                        continue;
                    }
                    if old.is_leaf(level) && self.split(frame, below, part.index).is_none() {
                        continue;
                    }
                    let child = self.load(frame, part.index).address();
                    self.apply(child, below, part.span, edit);
                    self.tidy(frame, level, part.index, child);
                }
            }
        }
    }

    /// Makes a table of `level` that maps `span` and nothing else, with all below it, and returns
    /// the entry that will link it.
    fn build(&mut self, level: Level, span: Span, mapper: &Mapper) -> Option<EptEntry> {
        let frame = self.reserve.pop(&self.memory)?;
        let bytes = level.span_bytes();
        // The entries that will be leaves: whole ones, if leaves may be at this level.
        let (first, end) = if level <= mapper.largest {
            let first = span.start.next_multiple_of(bytes);
            (first, (span.end & !(bytes - 1)).max(first))
        } else {
            (span.start, span.start)
        };
        let mut at = span.start & !((bytes << 9) - 1);
        for slot in &self.memory.table(frame)?.0 {
            let leaf = first <= at && at < end;
            slot.store(if leaf { mapper.leaf(level, at).bits() } else { 0 }, Ordering::Relaxed);
            at += bytes;
        }
        if let Some(below) = level.below() {
            for part in level.parts(span) {
                if !(first <= part.base && part.base < end) {
                    let entry = self.build(below, part.span, mapper)?;
                    self.store(frame, part.index, entry);
                }
            }
        }
        Some(EptEntry::table(frame))
    }

    /// Replaces the leaf at `index` by a table of `level` whose 512 leaves map the same.
    fn split(&mut self, frame: Hpa, level: Level, index: usize) -> Option<()> {
        let child_frame = self.reserve.pop(&self.memory)?;
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
            for index in 0..512 {
                let entry = self.load(frame, index);
                if entry.is_table(level) {
                    self.retire_tree(entry.address(), below);
                }
            }
        }
        self.retire(frame);
    }

    fn retire(&mut self, frame: Hpa) {
        self.retired.push(&self.memory, frame);
        self.ever_retired += 1;
        self.invept_due = true;
    }

    /// Replaces `old` by `new`, carrying over flags that hardware sets meanwhile.
    pub(crate) fn exchange(&self, slot: &AtomicU64, old: EptEntry, new: EptEntry) {
        let flags = EptEntry::SET_BY_HARDWARE;
        // Hardware has nothing left to set: nobody else writes this entry.
        if !self.rules.accessed_dirty() || old.bits() & flags == flags {
            slot.store(new.bits(), Ordering::Release);
            return;
        }
        let (mut old, mut new) = (old.bits(), new.bits());
        while let Err(seen) =
            slot.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed)
        {
            new |= seen & flags;
            old = seen;
        }
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

pub(crate) fn load(slot: &AtomicU64) -> EptEntry {
    EptEntry::from_bits(slot.load(Ordering::Acquire))
}
