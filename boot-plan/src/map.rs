//! The memory map: what each range of guest-physical addresses is for.

use alloc::vec::Vec;

use guest_state::{E820Entry, Gpa, GpaRange, MemoryKind, StartInfoMemory};

use crate::Error;

/// One range of a [`MemoryMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Which addresses; never empty.
    pub range: GpaRange,
    /// What they are for.
    pub kind: MemoryKind,
}

/// Ranges of guest-physical addresses with their kinds, sorted, never empty, never overlapping;
/// neighbours of one kind are one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryMap {
    regions: Vec<MemoryRegion>,
}

impl MemoryMap {
    /// Where the memory hole for devices below 4 GiB begins on a PC: 3 GiB.
    pub const PC_HOLE_START: Gpa = Gpa::new(0xC000_0000);
    /// Where it ends: 4 GiB.
    pub const PC_HOLE_END: Gpa = Gpa::new(0x1_0000_0000);
    /// The least memory of a PC here: 2 MiB, for conventional memory and room for a small image.
    pub const PC_LEAST_BYTES: u64 = 2 << 20;
    /// The most memory of a PC here: 512 GiB, what one page of 4-level tables reaches.
    pub const PC_MOST_BYTES: u64 = 512 << 30;

    /// Makes an empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { regions: Vec::new() }
    }

    /// Makes the map of a PC with `size_bytes` of RAM, rounded down to whole pages.
    ///
    /// ```text
    ///          0 .. 9_FC00   RAM
    ///     9_FC00 .. A_0000   reserved: extended BIOS data area
    ///     A_0000 .. F_0000   not listed: VGA memory, option ROMs
    ///     F_0000 .. 10_0000  reserved: BIOS
    ///    10_0000 .. 3 GiB    RAM
    ///      3 GiB .. 4 GiB    not listed: devices, and firmware at the very top
    ///      4 GiB ..          RAM, the rest
    /// ```
    ///
    /// # Errors
    /// [`Error::MemorySize`] outside [`PC_LEAST_BYTES`](Self::PC_LEAST_BYTES) and
    /// [`PC_MOST_BYTES`](Self::PC_MOST_BYTES).
    pub fn pc(size_bytes: u64) -> Result<Self, Error> {
        let (least, most) = (Self::PC_LEAST_BYTES, Self::PC_MOST_BYTES);
        if !(least..=most).contains(&size_bytes) {
            return Err(Error::MemorySize { size_bytes, least, most });
        }
        let size_bytes = size_bytes & !0xFFF;
        let hole = Self::PC_HOLE_START.as_u64();
        let mut map = Self::new();
        map.insert_size(Gpa::ZERO, 0x9_FC00, MemoryKind::RAM)?;
        map.insert_size(Gpa::new(0x9_FC00), 0x400, MemoryKind::RESERVED)?;
        map.insert_size(Gpa::new(0xF_0000), 0x1_0000, MemoryKind::RESERVED)?;
        map.insert_size(Gpa::new(0x10_0000), size_bytes.min(hole) - 0x10_0000, MemoryKind::RAM)?;
        if size_bytes > hole {
            map.insert_size(Self::PC_HOLE_END, size_bytes - hole, MemoryKind::RAM)?;
        }
        Ok(map)
    }

    /// Adds a range that overlaps no other.
    ///
    /// # Errors
    /// [`Error::Empty`], and [`Error::MapOverlap`] with the first range that is in the way.
    pub fn insert(&mut self, range: GpaRange, kind: MemoryKind) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::Empty { at: range.start() });
        }
        let at = self.regions.partition_point(|region| region.range.end() <= range.start());
        if let Some(other) = self.regions.get(at).filter(|other| other.range.overlaps(range)) {
            let (other, other_kind) = (other.range, other.kind);
            return Err(Error::MapOverlap { range, kind, other, other_kind });
        }
        self.regions.insert(at, MemoryRegion { range, kind });
        self.merge(at);
        Ok(())
    }

    /// Adds `size_bytes` from `start`.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and [`Error::PastEnd`].
    pub fn insert_size(
        &mut self,
        start: Gpa,
        size_bytes: u64,
        kind: MemoryKind,
    ) -> Result<(), Error> {
        let range =
            GpaRange::new(start, size_bytes).ok_or(Error::PastEnd { at: start, size_bytes })?;
        self.insert(range, kind)
    }

    /// Gives `range` the kind `kind`, whatever was there before; what lies around it stays.
    ///
    /// # Errors
    /// [`Error::Empty`].
    pub fn set(&mut self, range: GpaRange, kind: MemoryKind) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::Empty { at: range.start() });
        }
        self.remove(range);
        self.insert(range, kind)
    }

    /// Takes `range` out of the map.
    pub fn remove(&mut self, range: GpaRange) {
        let cut = |region: &MemoryRegion| {
            let below = GpaRange::from_bounds(region.range.start(), range.start());
            let above = GpaRange::from_bounds(range.end(), region.range.end());
            let kind = region.kind;
            let touched = region.range.overlaps(range);
            let whole = (!touched).then_some(region.range);
            let parts = if touched { [below, above] } else { [whole, None] };
            parts
                .into_iter()
                .flatten()
                .filter(|part| !part.is_empty())
                .map(move |range| MemoryRegion { range, kind })
        };
        self.regions = self.regions.iter().flat_map(cut).collect();
    }

    /// Returns the ranges, lowest first.
    #[must_use]
    pub fn regions(&self) -> &[MemoryRegion] {
        &self.regions
    }

    /// Returns the ranges of one kind, lowest first.
    pub fn ranges(&self, kind: MemoryKind) -> impl Iterator<Item = GpaRange> + '_ {
        self.regions.iter().filter(move |region| region.kind == kind).map(|region| region.range)
    }

    /// Returns the range that holds `gpa`, if one does.
    #[must_use]
    pub fn find(&self, gpa: Gpa) -> Option<MemoryRegion> {
        let at = self.regions.partition_point(|region| region.range.end() <= gpa);
        self.regions.get(at).copied().filter(|region| region.range.contains(gpa))
    }

    /// Returns how many bytes are of `kind`.
    #[must_use]
    pub fn size_bytes(&self, kind: MemoryKind) -> u64 {
        self.ranges(kind).map(GpaRange::size_bytes).sum()
    }

    /// Returns the map as E820 entries.
    pub fn e820(&self) -> impl Iterator<Item = E820Entry> + '_ {
        self.regions.iter().map(|region| E820Entry {
            address: region.range.start().as_u64().into(),
            size_bytes: region.range.size_bytes().into(),
            kind: region.kind.0.into(),
        })
    }

    /// Returns the map as PVH's start info lists it.
    pub fn start_info(&self) -> impl Iterator<Item = StartInfoMemory> + '_ {
        self.regions.iter().map(|region| StartInfoMemory {
            address: region.range.start().as_u64().into(),
            size_bytes: region.range.size_bytes().into(),
            kind: region.kind.0.into(),
            ..StartInfoMemory::default()
        })
    }

    /// Joins the range at `index` with neighbours that touch it and are of its kind.
    fn merge(&mut self, index: usize) {
        for at in [index, index.wrapping_sub(1)] {
            let (Some(&low), Some(&high)) =
                (self.regions.get(at), self.regions.get(at.wrapping_add(1)))
            else {
                continue;
            };
            if low.kind == high.kind
                && low.range.end() == high.range.start()
                && let Some(range) = GpaRange::from_bounds(low.range.start(), high.range.end())
            {
                self.regions[at].range = range;
                self.regions.remove(at + 1);
            }
        }
    }
}
