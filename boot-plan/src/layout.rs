//! Choosing addresses: every owner says what it wants, and no two get the same byte.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange, MemoryKind};

use crate::{Error, MemoryMap};

/// From which end of a range a search for room begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// The lowest address that will do.
    #[default]
    Lowest,
    /// The highest.
    Highest,
}

/// What an owner wants, where it does not mind the exact address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many bytes.
    pub size_bytes: u64,
    /// On what boundary: a power of two.
    pub alignment: u64,
    /// Where the bytes must lie.
    pub within: GpaRange,
    /// Which end of `within` to prefer.
    pub side: Side,
}

impl Request {
    /// Asks for `size_bytes` on a page boundary, as low as can be, below 4 GiB.
    #[must_use]
    pub fn pages(size_bytes: u64) -> Self {
        let below_4g = GpaRange::new(Gpa::ZERO, 1 << 32).unwrap_or_default();
        Self { size_bytes, alignment: 0x1000, within: below_4g, side: Side::Lowest }
    }

    /// The same on a boundary of `alignment` bytes.
    #[must_use]
    pub const fn aligned(self, alignment: u64) -> Self {
        Self { alignment, ..self }
    }

    /// The same within `range`.
    #[must_use]
    pub const fn within(self, range: GpaRange) -> Self {
        Self { within: range, ..self }
    }

    /// The same as high as can be.
    #[must_use]
    pub const fn highest(self) -> Self {
        Self { side: Side::Highest, ..self }
    }
}

/// Who owns which part of a guest's RAM.
///
/// Address zero is never given out by a search: boot protocols use it for "absent".
#[derive(Clone, Debug)]
pub struct Layout {
    ram: Vec<GpaRange>,
    /// Sorted by address, never overlapping.
    owned: Vec<(&'static str, GpaRange)>,
}

impl Layout {
    /// Begins with all RAM of `map` free.
    #[must_use]
    pub fn new(map: &MemoryMap) -> Self {
        Self { ram: map.ranges(MemoryKind::RAM).collect(), owned: Vec::new() }
    }

    /// Takes exactly `range`, which must lie in RAM.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::NotInMemory`], and [`Error::Overlap`], which names both owners.
    pub fn claim(&mut self, owner: &'static str, range: GpaRange) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::Empty { at: range.start() });
        }
        if !self.ram.iter().any(|ram| ram.contains_range(range)) {
            return Err(Error::NotInMemory { owner, range });
        }
        self.own(owner, range)
    }

    /// Keeps every search and claim out of `range`, whether it is RAM or not.
    ///
    /// # Errors
    /// [`Error::Empty`] and [`Error::Overlap`].
    pub fn reserve(&mut self, owner: &'static str, range: GpaRange) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::Empty { at: range.start() });
        }
        self.own(owner, range)
    }

    /// Finds room and takes it.
    ///
    /// # Errors
    /// [`Error::Empty`] for no bytes, [`Error::Alignment`], [`Error::NoRoom`].
    pub fn place(&mut self, owner: &'static str, request: Request) -> Result<GpaRange, Error> {
        let Request { size_bytes, alignment, within, side } = request;
        if size_bytes == 0 {
            return Err(Error::Empty { at: within.start() });
        }
        if !alignment.is_power_of_two() {
            return Err(Error::Alignment { owner, alignment });
        }
        let fit = |gap: GpaRange| fit(gap.intersection(within)?, size_bytes, alignment, side);
        let mut gaps = self.gaps().into_iter();
        let found = match side {
            Side::Lowest => gaps.find_map(fit),
            Side::Highest => gaps.rev().find_map(fit),
        };
        let range = found.ok_or(Error::NoRoom { owner, size_bytes, alignment, within })?;
        self.own(owner, range)?;
        Ok(range)
    }

    /// Returns who has what, lowest address first.
    #[must_use]
    pub fn owners(&self) -> &[(&'static str, GpaRange)] {
        &self.owned
    }

    /// Returns the parts of RAM that nobody has, lowest first, without address zero.
    fn gaps(&self) -> Vec<GpaRange> {
        let mut gaps = Vec::new();
        for &ram in &self.ram {
            let mut at = ram.start().max(Gpa::new(1));
            for &(_, range) in self.owned.iter().filter(|(_, range)| range.overlaps(ram)) {
                gaps.extend(GpaRange::from_bounds(at, range.start()));
                at = at.max(range.end());
            }
            gaps.extend(GpaRange::from_bounds(at, ram.end()));
        }
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }

    fn own(&mut self, owner: &'static str, range: GpaRange) -> Result<(), Error> {
        let at = self.owned.partition_point(|(_, other)| other.end() <= range.start());
        if let Some(&(other, other_range)) =
            self.owned.get(at).filter(|(_, other)| other.overlaps(range))
        {
            return Err(Error::Overlap { owner, range, other, other_range });
        }
        self.owned.insert(at, (owner, range));
        Ok(())
    }
}

/// Finds `size_bytes` in `gap`, at the side asked for.
fn fit(gap: GpaRange, size_bytes: u64, alignment: u64, side: Side) -> Option<GpaRange> {
    let start = match side {
        Side::Lowest => gap.start().align_up(alignment)?,
        Side::Highest => gap.end().checked_sub(size_bytes)?.align_down(alignment)?,
    };
    let range = GpaRange::new(start, size_bytes)?;
    gap.contains_range(range).then_some(range)
}
