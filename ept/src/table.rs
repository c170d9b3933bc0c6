//! The tables and what can be done with them.

use core::sync::atomic::Ordering;

use guest_state::{GpaRange, Hpa, MemoryType, PageSize};

use crate::edit::{Change, Edit};
use crate::frames::{Chain, Queue};
use crate::{
    EptAttributes, EptCaps, EptControls, EptEntry, EptFlags, EptOptions, EptPermissions,
    EptPointer, EptRules, Error, InvalidationDebt, Invept, Level, TableMemory,
};

/// Extended page tables, in memory `M`.
///
/// Edits take ranges of whole 4 KiB pages. Each either returns the debt that it leaves or an error,
/// and then the tables are as they were. An empty range is no error.
///
/// # Beside running CPUs
/// CPUs may walk the tables while they are edited; the tables have one editor at a time, which
/// `&mut self` sees to. Three things make that safe:
///
/// 1. *Every change is one atomic write of one entry, between two states that are both right.* New
///    tables are filled before the entry that links them is written with release ordering, so a
///    walker sees the old subtree or all of the new one. An entry never takes a value that would
///    misconfigure it.
/// 2. *Hardware changes entries in one way: it sets the accessed flag, or both flags, of a present
///    entry, by an atomic update that fails if the entry has changed.* So the flags of an entry
///    that has both can't change, nor can an entry that is not present: these are written by plain
///    stores. All others are exchanged, and flags that were set meanwhile are carried over: into
///    the entry that replaces it, into all parts of a page that is split, and into the page that
///    replaces 512 merged ones, whose old entries are taken away one by one for that.
/// 3. *A freed frame is not used again until every CPU has executed INVEPT*, which
///    [`settle`](Self::settle) sees to. Until then a CPU that remembers the way into it finds the
///    entries that were there, or entries that are not present: the first is what the debt is
///    about, and the second is a violation that [`explain`](Self::explain) calls stale.
#[derive(Debug)]
pub struct Ept<M> {
    pub(crate) memory: M,
    pub(crate) rules: EptRules,
    pub(crate) root: Hpa,
    pub(crate) pointer: EptPointer,
    /// The first guest-physical address that can't be translated.
    pub(crate) guest_end: u64,
    /// Frames taken for the edit that is under way.
    pub(crate) reserve: Queue,
    /// Freed frames that CPUs may still walk, oldest first.
    pub(crate) retired: Chain,
    /// How many frames were ever put into `retired`.
    pub(crate) ever_retired: u64,
    /// Whether the edits under way keep tables that could be merged.
    pub(crate) keep_tables: bool,
    /// Whether the edit under way needs INVEPT.
    pub(crate) invept_due: bool,
}

impl<M: TableMemory> Ept<M> {
    /// Makes empty tables that every CPU with these capabilities can use.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(memory: M, caps: EptCaps) -> Result<Self, Error> {
        Self::with_options(memory, caps, EptOptions::default())
    }

    /// Makes empty tables to be used as `options` say.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the CPU can't do that; [`Error::OutOfFrames`] if there is none
    /// for the root table; [`Error::BadFrame`] and [`Error::LostTable`] if it can't be used.
    pub fn with_options(mut memory: M, caps: EptCaps, options: EptOptions) -> Result<Self, Error> {
        let rules = EptRules::new(caps, options)?;
        let root = memory.allocate().ok_or(Error::OutOfFrames { needed: 1 })?;
        let usable = rules.pointer(root).and_then(|pointer| {
            let table = memory.table(root).ok_or(Error::LostTable(root))?;
            table.0.iter().for_each(|entry| entry.store(0, Ordering::Release));
            Ok(pointer)
        });
        match usable {
            Ok(pointer) => Ok(Self {
                memory,
                rules,
                root,
                pointer,
                guest_end: 1 << rules.guest_bits(),
                reserve: Queue::default(),
                retired: Chain::default(),
                ever_retired: 0,
                keep_tables: false,
                invept_due: false,
            }),
            Err(error) => {
                memory.free(root);
                Err(error)
            }
        }
    }

    /// Returns the EPT pointer, for the VMCS.
    #[must_use]
    pub const fn pointer(&self) -> EptPointer {
        self.pointer
    }

    /// Returns the rules that the entries follow.
    #[must_use]
    pub const fn rules(&self) -> &EptRules {
        &self.rules
    }

    /// Returns the memory of the tables.
    #[must_use]
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// Returns how many freed frames wait for a debt to be settled.
    #[must_use]
    pub const fn retired_frames(&self) -> u64 {
        self.retired.count()
    }

    /// Returns the debt for the freed frames that still wait: what recovers them if one was dropped.
    pub fn outstanding(&self) -> InvalidationDebt {
        if self.retired.count() == 0 {
            return InvalidationDebt::NONE;
        }
        InvalidationDebt::new(self.pointer, self.invept(), self.ever_retired)
    }

    /// Limits the size of the pages that later edits map and merge to; larger ones stay as they
    /// are until an edit of part of them.
    pub const fn set_largest_page(&mut self, size: PageSize) {
        self.rules.set_largest_page(size);
    }

    /// Maps `range` to host memory from `to` on, in the largest pages that fit.
    ///
    /// What was mapped there is replaced. A page that leads to the same place as before keeps its
    /// accessed and dirty flags, and is not touched if it is just the same.
    ///
    /// # Errors
    /// [`Error::Misaligned`], [`Error::MisalignedHost`], [`Error::PastGuestWidth`],
    /// [`Error::PastHostWidth`]; [`Error::Permissions`] and [`Error::MemoryType`] for attributes
    /// that no entry may have; [`Error::OutOfFrames`], [`Error::BadFrame`],
    /// [`Error::LostTable`] from the table memory.
    pub fn map(
        &mut self,
        range: GpaRange,
        to: Hpa,
        attributes: EptAttributes,
    ) -> Result<InvalidationDebt, Error> {
        let mapper = self.rules.mapper(range, to, attributes)?;
        self.edit(range, Edit::Map(mapper))
    }

    /// Unmaps `range`: every access will be an EPT violation. Holes in it are no error.
    ///
    /// Tables that become empty are freed. Accessed and dirty flags are lost.
    ///
    /// # Errors
    /// [`Error::Misaligned`], [`Error::PastGuestWidth`]; [`Error::OutOfFrames`],
    /// [`Error::BadFrame`] if a large page can't be split; [`Error::LostTable`].
    pub fn unmap(&mut self, range: GpaRange) -> Result<InvalidationDebt, Error> {
        self.edit(range, Edit::Unmap)
    }

    /// Changes what the guest may do with the pages that are mapped in `range`; holes stay holes.
    ///
    /// Pages are no longer logged or copied on write. Those that lose the read permission lose
    /// [`EptFlags::PAGING_WRITE`] too where it counts, as one without the other is misconfigured.
    ///
    /// # Errors
    /// [`Error::Permissions`] for permissions that no entry may have; the rest as
    /// [`unmap`](Self::unmap).
    pub fn protect(
        &mut self,
        range: GpaRange,
        permissions: EptPermissions,
    ) -> Result<InvalidationDebt, Error> {
        let attributes = EptAttributes::new(permissions, MemoryType::WRITE_BACK);
        self.rules.attribute_bits(attributes)?;
        let mut mask = EptEntry::PERMISSIONS | EptEntry::BY_US;
        let paging_write = self.rules.options().controls.contains(EptControls::PAGING_WRITE);
        if paging_write && !permissions.contains(EptPermissions::READ) {
            mask |= EptFlags::PAGING_WRITE.bits();
        }
        self.edit(range, Edit::Change(Change::Put { mask, bits: permissions.bits() }))
    }

    /// Changes the memory type of the pages that are mapped in `range`; holes stay holes.
    ///
    /// # Errors
    /// [`Error::MemoryType`] for one that EPT does not have; the rest as [`unmap`](Self::unmap).
    pub fn set_memory_type(
        &mut self,
        range: GpaRange,
        memory_type: MemoryType,
    ) -> Result<InvalidationDebt, Error> {
        let edit = Edit::memory_type(memory_type)?;
        self.edit(range, edit)
    }

    /// Splits the pages in `range` that are larger than the limit, and merges those that can be
    /// larger: what [`set_largest_page`](Self::set_largest_page) alone leaves to later edits.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    pub fn resize(&mut self, range: GpaRange) -> Result<InvalidationDebt, Error> {
        let mut levels = [Level::Pdpt, Level::Pd].into_iter();
        let largest = levels.find(|level| self.rules.maps_pages(*level));
        self.edit(range, Edit::Resize(largest.unwrap_or(Level::Pt)))
    }

    /// Does what a debt asks for, and gives back the frames that were freed until it was made.
    ///
    /// `invalidate` is not called for an empty debt. When it returns `Ok`, every CPU that may have
    /// used these tables must have executed the INVEPT, or be about to before it enters the guest
    /// again.
    ///
    /// # Errors
    /// What `invalidate` returns. The debt then goes over into the one of the next edit, and
    /// the frames stay.
    pub fn settle<E>(
        &mut self,
        debt: InvalidationDebt,
        invalidate: impl FnOnce(Invept) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(invept) = debt.invept() else { return Ok(()) };
        if let Err(error) = invalidate(invept) {
            self.invept_due = true;
            return Err(error);
        }
        if debt.pointer() == Some(self.pointer) {
            // The frames are in the order in which they were retired.
            while self.ever_retired - self.retired.count() < debt.retired() {
                let Some(frame) = self.retired.pop(&self.memory) else { break };
                self.memory.free(frame);
            }
        }
        Ok(())
    }

    /// Takes the tables apart, when no CPU will enter the guest again: gives back all frames, the
    /// root among them, and returns the memory.
    ///
    /// # Errors
    /// What `invalidate`, as in [`settle`](Self::settle), returns; the frames are not given back
    /// then.
    pub fn dismantle<E>(
        mut self,
        invalidate: impl FnOnce(Invept) -> Result<(), E>,
    ) -> Result<M, E> {
        self.retire_tree(self.root, self.rules.options().top_level());
        invalidate(self.invept())?;
        while let Some(frame) = self.retired.pop(&self.memory) {
            self.memory.free(frame);
        }
        Ok(self.memory)
    }

    /// Returns the narrowest INVEPT that the CPU has for these tables.
    pub(crate) const fn invept(&self) -> Invept {
        if self.rules.caps().invept_single_context() {
            Invept::SingleContext(self.pointer)
        } else {
            Invept::AllContexts
        }
    }
}
