//! Memory types, and the MTRR model that assigns them to physical addresses.

use crate::Gpa;

/// A memory type as MTRRs, the PAT and EPT entries encode it.
///
/// # Source
/// Intel SDM Vol. 3A, "Memory Types That Can Be Encoded in MTRRs" and "Page Attribute Table".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct MemoryType(pub u8);

impl MemoryType {
    /// Strong uncacheable (UC).
    pub const UNCACHEABLE: Self = Self(0);
    /// Write-combining (WC).
    pub const WRITE_COMBINING: Self = Self(1);
    /// Write-through (WT).
    pub const WRITE_THROUGH: Self = Self(4);
    /// Write-protected (WP).
    pub const WRITE_PROTECTED: Self = Self(5);
    /// Write-back (WB).
    pub const WRITE_BACK: Self = Self(6);
    /// Uncacheable unless an MTRR says write-combining (UC-): in the PAT only.
    pub const UNCACHED: Self = Self(7);

    /// Tells whether an MTRR or an EPT entry may hold this type: UC, WC, WT, WP or WB.
    #[must_use]
    pub const fn is_valid_in_mtrr(self) -> bool {
        matches!(self.0, 0 | 1 | 4 | 5 | 6)
    }
}

impl core::fmt::Debug for MemoryType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.0 {
            0 => "UC",
            1 => "WC",
            4 => "WT",
            5 => "WP",
            6 => "WB",
            7 => "UC-",
            other => return write!(f, "MemoryType({other:#x})"),
        })
    }
}

/// One variable-range MTRR: the two MSRs `IA32_MTRR_PHYSBASEn` and `IA32_MTRR_PHYSMASKn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VariableMtrr {
    /// Base address in bits 12 and up, memory type in bits 7:0.
    pub base: u64,
    /// Mask in bits 12 and up, valid bit in bit 11.
    pub mask: u64,
}

impl VariableMtrr {
    const ADDRESS: u64 = !0xFFF;

    /// Makes the pair that gives `size_bytes` from `base` the type `memory_type`.
    ///
    /// `None` unless the size is a power of two of at least 4 KiB and the base a multiple of it.
    /// `physical_bits` is MAXPHYADDR: mask bits above it are reserved.
    #[must_use]
    pub const fn new(
        base: Gpa,
        size_bytes: u64,
        memory_type: MemoryType,
        physical_bits: u32,
    ) -> Option<Self> {
        if size_bytes < 0x1000 || !size_bytes.is_power_of_two() || !base.is_aligned(size_bytes) {
            return None;
        }
        let Some(top) = 1_u64.checked_shl(physical_bits) else {
            return None;
        };
        let mask = (top - 1) & !(size_bytes - 1);
        Some(Self { base: base.as_u64() | memory_type.0 as u64, mask: mask | 1 << 11 })
    }

    /// Tells whether the valid bit is set.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.mask & 1 << 11 != 0
    }

    /// Returns the type that this range gives.
    #[must_use]
    pub const fn memory_type(self) -> MemoryType {
        let [memory_type, ..] = self.base.to_le_bytes();
        MemoryType(memory_type)
    }

    /// Tells whether `gpa` falls into the range; a range that is not valid holds nothing.
    #[must_use]
    pub const fn matches(self, gpa: Gpa) -> bool {
        let mask = self.mask & Self::ADDRESS;
        self.is_valid() && gpa.as_u64() & mask == self.base & mask
    }

    /// Returns the first address above `gpa` where the answer of `matches` may be another.
    ///
    /// Exact for masks without holes up to `physical_bits`; a mask with holes is a pattern that
    /// repeats, whose smallest step is returned.
    const fn next_edge(self, gpa: Gpa) -> u64 {
        let mask = self.mask & Self::ADDRESS;
        if !self.is_valid() || mask == 0 {
            return u64::MAX;
        }
        let step = 1_u64 << mask.trailing_zeros();
        let highest = 1_u64 << (63 - mask.leading_zeros());
        let contiguous = mask == (highest - step) | highest;
        let here = gpa.as_u64();
        if contiguous && !self.matches(gpa) {
            let start = self.base & mask;
            if here < start {
                return start;
            }
            // Behind it the range comes again only where address bits above the mask's change.
            return next_multiple(here, highest.saturating_mul(2));
        }
        next_multiple(here, step)
    }
}

/// Returns the next multiple of the power of two `step` above `value`, or the highest number.
const fn next_multiple(value: u64, step: u64) -> u64 {
    match (value | (step - 1)).checked_add(1) {
        Some(next) => next,
        None => u64::MAX,
    }
}

/// The memory type range registers of one CPU.
///
/// # Source
/// Intel SDM Vol. 3A, "Memory Type Range Registers (MTRRs)" and "MTRR Precedences".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mtrrs {
    /// `IA32_MTRR_DEF_TYPE`: default type in bits 7:0, FE in bit 10, E in bit 11.
    pub default_type: u64,
    /// The fixed-range registers in the order of [`FIXED_MTRRS`], eight types each.
    pub fixed: [u64; 11],
    /// The variable ranges; `IA32_MTRRCAP` tells a guest how many of them it has.
    pub variable: [VariableMtrr; Mtrrs::VARIABLE_COUNT],
}

/// The fixed-range MTRRs: name, MSR index, first address, bytes for each of its eight types.
pub const FIXED_MTRRS: [(&str, u32, u64, u64); 11] = [
    ("mtrr_fix64k_00000", 0x250, 0x0_0000, 0x1_0000),
    ("mtrr_fix16k_80000", 0x258, 0x8_0000, 0x4000),
    ("mtrr_fix16k_a0000", 0x259, 0xA_0000, 0x4000),
    ("mtrr_fix4k_c0000", 0x268, 0xC_0000, 0x1000),
    ("mtrr_fix4k_c8000", 0x269, 0xC_8000, 0x1000),
    ("mtrr_fix4k_d0000", 0x26A, 0xD_0000, 0x1000),
    ("mtrr_fix4k_d8000", 0x26B, 0xD_8000, 0x1000),
    ("mtrr_fix4k_e0000", 0x26C, 0xE_0000, 0x1000),
    ("mtrr_fix4k_e8000", 0x26D, 0xE_8000, 0x1000),
    ("mtrr_fix4k_f0000", 0x26E, 0xF_0000, 0x1000),
    ("mtrr_fix4k_f8000", 0x26F, 0xF_8000, 0x1000),
];

impl Mtrrs {
    /// How many variable ranges the model holds: what KVM and most CPUs have, at least.
    pub const VARIABLE_COUNT: usize = 8;

    /// Enables the fixed ranges (FE) in `default_type`.
    pub const FIXED_ENABLE: u64 = 1 << 10;
    /// Enables the MTRRs (E) in `default_type`.
    pub const ENABLE: u64 = 1 << 11;

    /// All registers zero, as a reset leaves them: MTRRs are off and memory is uncacheable.
    pub const RESET: Self = Self {
        default_type: 0,
        fixed: [0; 11],
        variable: [VariableMtrr { base: 0, mask: 0 }; Self::VARIABLE_COUNT],
    };

    /// Returns the type of the memory at `gpa` and the first address above it where the type may
    /// be another.
    ///
    /// To split a range exactly, ask again at that address and merge equal neighbours. Where the
    /// SDM leaves overlapping ranges undefined, the answer is UC, the one type that is never wrong.
    #[must_use]
    pub fn type_at(&self, gpa: Gpa) -> (MemoryType, Gpa) {
        if self.default_type & Self::ENABLE == 0 {
            return (MemoryType::UNCACHEABLE, Gpa::new(u64::MAX));
        }
        let fixed_enabled = self.default_type & Self::FIXED_ENABLE != 0;
        if fixed_enabled && let Some(answer) = self.fixed_type_at(gpa.as_u64()) {
            return answer;
        }
        let mut edge = u64::MAX;
        if fixed_enabled && gpa.as_u64() < 0x10_0000 {
            edge = 0x10_0000;
        }
        let mut found: Option<MemoryType> = None;
        for range in self.variable {
            edge = edge.min(range.next_edge(gpa));
            if range.matches(gpa) {
                found = Some(found.map_or(range.memory_type(), |other| {
                    combine_overlapping(other, range.memory_type())
                }));
            }
        }
        let [default_type, ..] = self.default_type.to_le_bytes();
        (found.unwrap_or(MemoryType(default_type)), Gpa::new(edge))
    }

    fn fixed_type_at(&self, address: u64) -> Option<(MemoryType, Gpa)> {
        FIXED_MTRRS.iter().zip(&self.fixed).find_map(|(&(_, _, start, step), types)| {
            let slot = address.checked_sub(start)? / step;
            let memory_type = *types.to_le_bytes().get(usize::try_from(slot).ok()?)?;
            Some((MemoryType(memory_type), Gpa::new(start + (slot + 1) * step)))
        })
    }
}

impl Default for Mtrrs {
    fn default() -> Self {
        Self::RESET
    }
}

/// What two overlapping variable ranges give.
const fn combine_overlapping(a: MemoryType, b: MemoryType) -> MemoryType {
    match (a.0, b.0) {
        (x, y) if x == y => a,
        (4, 6) | (6, 4) => MemoryType::WRITE_THROUGH,
        _ => MemoryType::UNCACHEABLE,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn type_at(mtrrs: &Mtrrs, gpa: u64) -> MemoryType {
        mtrrs.type_at(Gpa::new(gpa)).0
    }

    #[test]
    fn disabled_mtrrs_make_everything_uncacheable() {
        let mtrrs = Mtrrs { default_type: 6, ..Mtrrs::RESET };
        assert_eq!(mtrrs.type_at(Gpa::ZERO), (MemoryType::UNCACHEABLE, Gpa::new(u64::MAX)));
    }

    #[test]
    fn fixed_ranges_win_below_one_mebibyte_when_enabled() {
        let mut mtrrs = Mtrrs { default_type: 0xC06, ..Mtrrs::RESET };
        mtrrs.fixed[2] = 0x0101_0101_0101_0101;
        mtrrs.fixed[10] = 0x0500_0000_0000_0000;
        assert_eq!(
            mtrrs.type_at(Gpa::new(0xA_0001)),
            (MemoryType::WRITE_COMBINING, Gpa::new(0xA_4000))
        );
        assert_eq!(type_at(&mtrrs, 0xF_EFFF), MemoryType::UNCACHEABLE);
        assert_eq!(type_at(&mtrrs, 0xF_F000), MemoryType::WRITE_PROTECTED);
        assert_eq!(type_at(&mtrrs, 0x10_0000), MemoryType::WRITE_BACK);
        mtrrs.default_type = 0x806;
        assert_eq!(type_at(&mtrrs, 0xA_0000), MemoryType::WRITE_BACK);
    }

    #[test]
    fn overlaps_follow_the_precedence_rules() {
        let range = |base, size, kind| VariableMtrr::new(Gpa::new(base), size, kind, 40).unwrap();
        let mut mtrrs = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
        mtrrs.variable[0] = range(0x8000_0000, 0x8000_0000, MemoryType::WRITE_BACK);
        mtrrs.variable[1] = range(0xC000_0000, 0x1000_0000, MemoryType::WRITE_THROUGH);
        mtrrs.variable[2] = range(0xC800_0000, 0x1000, MemoryType::UNCACHEABLE);
        mtrrs.variable[3] = range(0xC000_0000, 0x1000, MemoryType::WRITE_COMBINING);
        assert_eq!(type_at(&mtrrs, 0xC100_0000), MemoryType::WRITE_THROUGH);
        assert_eq!(type_at(&mtrrs, 0xC800_0FFF), MemoryType::UNCACHEABLE);
        assert_eq!(type_at(&mtrrs, 0xC000_0000), MemoryType::UNCACHEABLE, "undefined by the SDM");
        assert_eq!(type_at(&mtrrs, 0x1_0000_0000), MemoryType::WRITE_BACK);
    }

    proptest! {
        /// Independent oracle: `matches` at every page, against the runs that `type_at` reports.
        #[test]
        fn no_type_changes_within_a_reported_run(
            ranges in prop::collection::vec((0_u64..64, 0_u32..6, 0_usize..5, any::<bool>()), 0..8),
            default_type in 0_u64..2,
            holes in any::<u64>(),
        ) {
            let kinds = [0, 1, 4, 5, 6];
            let mut mtrrs = Mtrrs { default_type: 0x800 | (default_type * 6), ..Mtrrs::RESET };
            for (slot, (page, order, kind, holey)) in mtrrs.variable.iter_mut().zip(ranges) {
                let size = 0x1000_u64 << order;
                let base = Gpa::new(page * 0x1000).align_down(size).unwrap();
                *slot = VariableMtrr::new(base, size, MemoryType(kinds[kind]), 36).unwrap();
                if holey {
                    slot.mask &= holes | 0x800;
                }
            }
            let mut at = 0;
            while at < 0x8_0000 {
                let (kind, edge) = mtrrs.type_at(Gpa::new(at));
                prop_assert!(edge.as_u64() > at);
                let end = edge.as_u64().min(0x8_0000);
                for page in (at..end).step_by(0x1000) {
                    prop_assert_eq!(type_at(&mtrrs, page), kind);
                }
                at = end;
            }
        }
    }
}
