//! The plan: map, placements and CPUs together.

use alloc::vec::Vec;
use core::ops::Range;

use guest_state::{
    Access, AccessError, AccessKind, Activity, Gpa, GpaRange, GuestMemory, Gva, MemoryKind,
    PagingState, Privilege, VcpuState, WalkError, translate,
};

use crate::placed::Placed;
use crate::{Error, MemoryMap, Placement, Protection, Report};

/// All that a guest finds at its first instruction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BootPlan<'a> {
    /// What the guest's addresses are for.
    pub memory: MemoryMap,
    /// What stands in its memory.
    pub placements: Vec<Placement<'a>>,
    /// Its CPUs; the first one boots.
    pub vcpus: Vec<VcpuState>,
}

impl<'a> BootPlan<'a> {
    /// Begins a plan with nothing placed and no CPU.
    #[must_use]
    pub const fn new(memory: MemoryMap) -> Self {
        Self { memory, placements: Vec::new(), vcpus: Vec::new() }
    }

    /// Checks that the plan can't contradict itself.
    ///
    /// Placements don't overlap; those that can be written lie in listed memory; the first
    /// instruction of every CPU that runs is something that was placed, found through the
    /// placed page tables where paging is on.
    ///
    /// # Errors
    /// The first contradiction: [`Error::PastEnd`], [`Error::Empty`], [`Error::Overlap`],
    /// [`Error::NotInMemory`], [`Error::NoVcpu`], [`Error::EntryNotMapped`],
    /// [`Error::NothingToExecute`].
    pub fn check(&self) -> Result<(), Error> {
        let mut ranges = Vec::with_capacity(self.placements.len());
        for placement in &self.placements {
            let (at, size_bytes) = (placement.gpa, placement.contents.size_bytes());
            let range = placement.range().ok_or(Error::PastEnd { at, size_bytes })?;
            if range.is_empty() {
                return Err(Error::Empty { at });
            }
            if placement.protection == Protection::ReadWrite && !self.is_memory(range) {
                return Err(Error::NotInMemory { owner: placement.tag, range });
            }
            ranges.push((placement.tag, range));
        }
        ranges.sort_by_key(|(_, range)| range.start());
        for pair in ranges.windows(2) {
            let [(other, other_range), (owner, range)] = [pair[0], pair[1]];
            if other_range.overlaps(range) {
                return Err(Error::Overlap { owner, range, other, other_range });
            }
        }
        if self.vcpus.is_empty() {
            return Err(Error::NoVcpu);
        }
        for (index, state) in self.vcpus.iter().enumerate() {
            if state.activity != Activity::Active {
                continue;
            }
            let at = self
                .first_instruction(state)
                .map_err(|source| Error::EntryNotMapped { index, source })?;
            if !ranges.iter().any(|(_, range)| range.contains(at)) {
                return Err(Error::NothingToExecute { index, at });
            }
        }
        Ok(())
    }

    /// Writes what is to stand in RAM into `memory`, which must be fresh where there are zeros.
    ///
    /// ROMs are not written: they are no RAM. A backend maps them: [`roms`](Self::roms).
    ///
    /// # Errors
    /// [`Error::Write`] with the first placement that memory refused.
    pub fn apply(&self, memory: &impl GuestMemory) -> Result<(), Error> {
        self.apply_rest(memory, |_| 0..0)
    }

    /// Writes what is to stand in RAM into `memory`, as [`apply`](Self::apply), but for the bytes that
    /// `in_place` says are there already: a backend may map parts of files instead of copying them.
    ///
    /// `in_place` is asked once for each placement that has bytes, and returns which of these they are.
    ///
    /// # Errors
    /// [`Error::Write`] with the first placement that memory refused, or of which `in_place` returned
    /// bytes that it does not have.
    pub fn apply_rest(
        &self,
        memory: &impl GuestMemory,
        mut in_place: impl FnMut(&Placement<'a>) -> Range<usize>,
    ) -> Result<(), Error> {
        let in_ram = |placement: &&Placement<'_>| placement.protection == Protection::ReadWrite;
        for placement in self.placements.iter().filter(in_ram) {
            let Some(bytes) = placement.contents.bytes() else { continue };
            let written = write_but(memory, placement.gpa, bytes, in_place(placement));
            written.map_err(|source| Error::Write { tag: placement.tag, source })?;
        }
        Ok(())
    }

    /// Returns the placements that are read-only or shadowed.
    pub fn roms(&self) -> impl Iterator<Item = &Placement<'a>> {
        self.placements.iter().filter(|placement| placement.protection != Protection::ReadWrite)
    }

    /// Returns a value that prints memory map, placements and registers as tables.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        Report::new(self)
    }

    /// Returns the physical address of a CPU's first instruction, found through the placed page tables
    /// where paging is on.
    ///
    /// # Errors
    /// Why these don't lead there.
    pub fn first_instruction(&self, state: &VcpuState) -> Result<Gpa, WalkError> {
        let linear = Gva::new(state.cs.base.wrapping_add(state.rip));
        let fetch = Access { kind: AccessKind::Execute, privilege: Privilege::Supervisor };
        let paging = PagingState::new(state, 52);
        translate(&Placed(&self.placements), &paging, linear, fetch).map(|found| found.gpa)
    }

    /// Tells whether every byte of `range` is listed as memory that the guest can write: anything
    /// but unusable or disabled.
    fn is_memory(&self, range: GpaRange) -> bool {
        let usable = |kind| !matches!(kind, MemoryKind::UNUSABLE | MemoryKind::DISABLED);
        let mut at = range.start();
        while at < range.end() {
            match self.memory.find(at).filter(|region| usable(region.kind)) {
                Some(region) => at = region.range.end(),
                None => return false,
            }
        }
        true
    }
}

/// Writes `bytes` to `gpa`, but for those that are there already.
fn write_but(
    memory: &impl GuestMemory,
    gpa: Gpa,
    bytes: &[u8],
    in_place: Range<usize>,
) -> Result<(), AccessError> {
    let nowhere = AccessError::NotMapped { gpa, size_bytes: bytes.len() as u64 };
    let Range { start, end } = in_place;
    let parts = bytes.get(..start).zip(bytes.get(end.max(start)..));
    let (before, after) = parts.ok_or(nowhere)?;
    if !before.is_empty() {
        memory.write(gpa, before)?;
    }
    if !after.is_empty() {
        let at = gpa.checked_add(end.max(start) as u64).ok_or(nowhere)?;
        memory.write(at, after)?;
    }
    Ok(())
}
