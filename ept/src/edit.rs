//! What an edit is, and the frames that it needs.

use guest_state::{GpaRange, Hpa, MemoryType};

use crate::level::{Part, Span};
use crate::{
    Ept, EptAttributes, EptEntry, EptFlags, EptRules, Error, InvalidationDebt, Level, TableMemory,
};

/// What is to be done with every page of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// Map it.
    Map(Mapper),
    /// Make it a hole.
    Unmap,
    /// Change its leaf.
    Change(Change),
    /// Split pages that are larger than entries of this level map, and merge up to there.
    Resize(Level),
}

/// What becomes of the bits of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// `bits` take the place of `mask`.
    Put {
        /// Which bits change.
        mask: u64,
        /// What they become.
        bits: u64,
    },
    /// If `from` is set, it is cleared and `to` is set.
    Swap {
        /// One bit.
        from: u64,
        /// Another.
        to: u64,
    },
}

impl Change {
    /// Returns a leaf's bits as they become.
    pub(crate) const fn of(self, old: u64) -> u64 {
        match self {
            Self::Put { mask, bits } => old & !mask | bits,
            Self::Swap { from, to } if old & from != 0 => old & !from | to,
            Self::Swap { .. } => old,
        }
    }
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
    pub(crate) const fn leaf(&self, level: Level, gpa: u64) -> EptEntry {
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
        let bits = (memory_type.0 as u64) << 3;
        Ok(Self::Change(Change::Put { mask: EptEntry::MEMORY_TYPE, bits }))
    }

    /// Tells whether pages that `old`, the entry of `level` for `base`, maps or could map change.
    pub(crate) fn concerns(&self, level: Level, base: u64, old: EptEntry) -> bool {
        let leaf = old.is_leaf(level);
        match *self {
            Self::Map(mapper) => {
                !leaf || old.without_accessed_dirty() != mapper.leaf(level, base).bits()
            }
            Self::Unmap => old.is_present(),
            Self::Change(change) => {
                old.is_present() && (!leaf || change.of(old.bits()) != old.bits())
            }
            Self::Resize(largest) => old.is_present() && (!leaf || level > largest),
        }
    }
}

impl EptRules {
    /// Checks the arguments of `map` and makes its edit.
    pub(crate) fn mapper(
        &self,
        range: GpaRange,
        to: Hpa,
        attributes: EptAttributes,
    ) -> Result<Mapper, Error> {
        self.span(range)?;
        if !to.is_aligned(4096) {
            return Err(Error::MisalignedHost(to));
        }
        self.check_host(to, range.size_bytes())?;
        let bits = self.attribute_bits(attributes)?;
        let offset = to.as_u64().wrapping_sub(range.start().as_u64());
        let fits = |level: &Level| {
            self.maps_pages(*level)
                && offset & (level.span_bytes() - 1) == 0
                && !attributes.flags.contains(EptFlags::SUB_PAGE_WRITE)
        };
        let largest = [Level::Pdpt, Level::Pd].into_iter().find(fits).unwrap_or(Level::Pt);
        Ok(Mapper { offset, bits, largest })
    }

    /// Checks a range.
    pub(crate) fn span(&self, range: GpaRange) -> Result<Span, Error> {
        let (start, end) = (range.start(), range.end());
        if !start.is_aligned(4096) || !end.is_aligned(4096) {
            return Err(Error::Misaligned(range));
        }
        let bits = self.guest_bits();
        if end.as_u64() > 1 << bits {
            return Err(Error::PastGuestWidth { range, bits });
        }
        Ok(Span { start: start.as_u64(), end: end.as_u64() })
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

/// The tables that edits will make.
#[derive(Default)]
struct Count {
    frames: u64,
    /// By level, the entry that was the last to need one: the next edit may need the same.
    last: [Option<u64>; 6],
}

impl Count {
    /// Counts the table below the entry of `level` for `base`, unless it was the last.
    fn make_table(&mut self, level: Level, base: u64) {
        if self.last[level as usize].replace(base) != Some(base) {
            self.frames += 1;
        }
    }
}

impl<M: TableMemory> Ept<M> {
    /// Makes one edit: counts the frames that it needs, takes them, and applies it.
    pub(crate) fn edit(&mut self, range: GpaRange, edit: Edit) -> Result<InvalidationDebt, Error> {
        let (span, top) = (self.rules.span(range)?, self.rules.options().top_level());
        if range.is_empty() {
            return Ok(InvalidationDebt::NONE);
        }
        let mut count = Count::default();
        self.count_frames(&mut count, Below::Table(self.root), top, span, &edit)?;
        self.take_reserve(count.frames)?;
        self.apply(self.root, top, span, &edit);
        self.free_reserve();
        Ok(self.debt())
    }

    /// Does the same for several edits, of ranges that follow one another.
    pub(crate) fn edit_all(
        &mut self,
        edits: impl Iterator<Item = Result<(GpaRange, Edit), Error>> + Clone,
    ) -> Result<InvalidationDebt, Error> {
        let top = self.rules.options().top_level();
        let (mut count, mut ranges) = (Count::default(), 0);
        for edit in edits.clone() {
            let (range, edit) = edit?;
            let span = self.rules.span(range)?;
            ranges += 1;
            if !range.is_empty() {
                self.count_frames(&mut count, Below::Table(self.root), top, span, &edit)?;
            }
        }
        self.take_reserve(count.frames)?;
        // A table that one edit makes mergeable may be split again by the next: merge at the end.
        self.keep_tables = ranges > 1;
        let mut all: Option<Span> = None;
        for (range, edit) in edits.flatten() {
            if let (Ok(span), false) = (self.rules.span(range), range.is_empty()) {
                self.apply(self.root, top, span, &edit);
                all = Some(Span { start: all.map_or(span.start, |all| all.start), ..span });
            }
        }
        if let (true, Some(all)) = (core::mem::take(&mut self.keep_tables), all) {
            self.tidy_all(self.root, top, all);
        }
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
        count: &mut Count,
        below: Below,
        level: Level,
        span: Span,
        edit: &Edit,
    ) -> Result<(), Error> {
        if let Below::Table(frame) = below {
            self.memory.table(frame).ok_or(Error::LostTable(frame))?;
        }
        let cut = level.cut(span);
        for part in cut.ends() {
            self.count_frames_of(count, below, level, part, edit)?;
        }
        // Entries that are covered whole need tables only for pages smaller than they are for.
        match (edit, below) {
            (Edit::Map(mapper), Below::Nothing) => {
                count.frames += cut.whole.count as u64 * mapper.tables_below(level);
            }
            (Edit::Map(Mapper { largest, .. }) | Edit::Resize(largest), _) if level > *largest => {
                for part in cut.whole.parts() {
                    self.count_frames_of(count, below, level, part, edit)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn count_frames_of(
        &self,
        count: &mut Count,
        below: Below,
        level: Level,
        part: Part,
        edit: &Edit,
    ) -> Result<(), Error> {
        let old = match below {
            Below::Table(frame) => self.load(frame, part.index),
            Below::Leaf(leaf) => leaf.piece(part.index as u64, level),
            Below::Nothing => EptEntry::EMPTY,
        };
        let Some(next) = level.below() else { return Ok(()) };
        if !edit.concerns(level, part.base, old) {
            return Ok(());
        }
        let inner = if old.is_table(level) {
            Below::Table(old.address())
        } else {
            count.make_table(level, part.base);
            if old.is_present() { Below::Leaf(old) } else { Below::Nothing }
        };
        self.count_frames(count, inner, next, part.span, edit)
    }

    /// Takes `needed` frames from the memory, all or none.
    fn take_reserve(&mut self, needed: u64) -> Result<(), Error> {
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
    pub(crate) fn take(&mut self) -> Option<Hpa> {
        self.reserve.pop(|frame| self.memory.table(frame))
    }

    fn free_reserve(&mut self) {
        while let Some(frame) = self.take() {
            self.memory.free(frame);
        }
    }
}
