//! The programmable attribute map: what the ranges between 768 KiB and 1 MiB are.

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// Where accesses to a range go: with the bit to memory, without it to the PCI bus, where the
    /// firmware's ROM answers reads and nothing takes writes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PamAccess: u8 {
        /// Reads are memory's.
        const READ = 1 << 0;
        /// Writes are memory's.
        const WRITE = 1 << 1;
    }
}

/// One of the thirteen ranges, in order of address: twelve of 16 KiB from C0000h to EFFFFh and one
/// of 64 KiB from F0000h.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PamRange(u8);

impl PamRange {
    /// F0000h to FFFFFh, the system firmware.
    pub const FIRMWARE: Self = Self(Self::COUNT - 1);
    const COUNT: u8 = 13;

    /// All ranges, in order of address.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The range that holds a guest-physical address, if any does.
    #[must_use]
    pub fn containing(address: u64) -> Option<Self> {
        Self::all().find(|range| {
            let start = u64::from(range.start());
            (start..start + u64::from(range.size_bytes())).contains(&address)
        })
    }

    /// The guest-physical address at which the range starts.
    #[must_use]
    pub const fn start(self) -> u32 {
        0xC_0000 + 0x4000 * self.0 as u32
    }

    /// The size in bytes, 16 KiB or 64 KiB.
    #[must_use]
    pub const fn size_bytes(self) -> u32 {
        if self.0 == Self::FIRMWARE.0 { 0x1_0000 } else { 0x4000 }
    }

    /// The register that holds the range's attributes, and how far up in it they are.
    pub(super) const fn field(self) -> (u8, u8) {
        if self.0 == Self::FIRMWARE.0 { (0x59, 4) } else { (0x5A + self.0 / 2, 4 * (self.0 % 2)) }
    }
}

impl fmt::Debug for PamRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start(), self.start() + self.size_bytes())
    }
}

/// A set of ranges.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "changed ranges must be mapped anew"]
pub struct PamRanges(u16);

impl PamRanges {
    /// No range.
    pub const EMPTY: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this range is one of them.
    #[must_use]
    pub const fn contains(self, range: PamRange) -> bool {
        self.0 & 1 << range.0 != 0
    }

    /// The ranges, in order of address.
    pub fn iter(self) -> impl Iterator<Item = PamRange> {
        PamRange::all().filter(move |&range| self.contains(range))
    }

    /// The ranges of both sets: what several writes changed.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<PamRange> for PamRanges {
    fn from_iter<I: IntoIterator<Item = PamRange>>(ranges: I) -> Self {
        Self(ranges.into_iter().fold(0, |set, range| set | 1 << range.0))
    }
}

impl fmt::Debug for PamRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
