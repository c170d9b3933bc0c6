//! Segment registers with their hidden parts, and descriptor tables.

/// The access rights of a segment: bits 47:40 and 55:52 of its descriptor, and whether it is
/// usable at all.
///
/// | bits | meaning |
/// |---|---|
/// | 3:0 | type |
/// | 4 | S: code or data, not system |
/// | 6:5 | DPL |
/// | 7 | P: present |
/// | 12 | AVL |
/// | 13 | L: 64-bit code |
/// | 14 | D/B |
/// | 15 | G |
/// | 16 | unusable |
///
/// # Source
/// Intel SDM Vol. 3C, "Guest Register State", the table "Format of Access Rights".
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct AccessRights(pub u32);

impl AccessRights {
    /// A segment that holds nothing; using it faults.
    pub const UNUSABLE: Self = Self(1 << 16);
    /// Readable, accessed code of privilege level 0, 16-bit: what CS is after a reset.
    pub const CODE16: Self = Self(0x9B);
    /// Writable, accessed data of privilege level 0, 16-bit: what DS is after a reset.
    pub const DATA16: Self = Self(0x93);
    /// Readable, accessed code of privilege level 0, 32-bit, with page granularity.
    pub const CODE32: Self = Self(0xC09B);
    /// Writable, accessed data of privilege level 0, 32-bit, with page granularity.
    pub const DATA32: Self = Self(0xC093);
    /// Readable, accessed code of privilege level 0, 64-bit, with page granularity.
    pub const CODE64: Self = Self(0xA09B);
    /// A local descriptor table.
    pub const LDT: Self = Self(0x82);
    /// A busy 32-bit task-state segment (64-bit in IA-32e mode).
    pub const TSS_BUSY: Self = Self(0x8B);

    /// Returns the type, bits 3:0.
    #[must_use]
    pub const fn segment_type(self) -> u32 {
        self.0 & 0xF
    }

    /// Tells whether this is a code or data segment, not a system one (S).
    #[must_use]
    pub const fn is_code_or_data(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// Returns the descriptor privilege level.
    #[must_use]
    pub const fn dpl(self) -> u32 {
        self.0 >> 5 & 3
    }

    /// Tells whether the segment is present (P).
    #[must_use]
    pub const fn is_present(self) -> bool {
        self.0 & 1 << 7 != 0
    }

    /// Tells whether this is 64-bit code (L).
    #[must_use]
    pub const fn is_64bit(self) -> bool {
        self.0 & 1 << 13 != 0
    }

    /// Tells whether operands and addresses are 32 bits wide by default (D/B).
    #[must_use]
    pub const fn is_32bit(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    /// Tells whether the limit counts pages of 4 KiB (G).
    #[must_use]
    pub const fn is_page_granular(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    /// Tells whether the segment is marked unusable.
    #[must_use]
    pub const fn is_unusable(self) -> bool {
        self.0 & 1 << 16 != 0
    }
}

impl core::fmt::Debug for AccessRights {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A segment register with the parts that the CPU hides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// What a program sees.
    pub selector: u16,
    /// The linear address of its first byte.
    pub base: u64,
    /// The highest offset within, in bytes (never in pages).
    pub limit: u32,
    /// Type, privilege and size.
    pub access: AccessRights,
}

impl Segment {
    /// Makes real-mode code at `selector << 4`.
    #[must_use]
    pub const fn real_mode_code(selector: u16) -> Self {
        Self { access: AccessRights::CODE16, ..Self::real_mode_data(selector) }
    }

    /// Makes real-mode data at `selector << 4`.
    #[must_use]
    pub const fn real_mode_data(selector: u16) -> Self {
        Self { selector, base: (selector as u64) << 4, limit: 0xFFFF, access: AccessRights::DATA16 }
    }

    /// Makes a segment that covers all 4 GiB from address zero.
    #[must_use]
    pub const fn flat(selector: u16, access: AccessRights) -> Self {
        Self { selector, base: 0, limit: 0xFFFF_FFFF, access }
    }

    /// Reads the 8-byte descriptor `descriptor`, as loading `selector` would.
    ///
    /// The upper half of a 16-byte system descriptor is the caller's to add to `base`.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Segment Descriptors".
    #[must_use]
    pub const fn from_descriptor(selector: u16, descriptor: u64) -> Self {
        let [limit0, limit1, base0, base1, base2, access, flags, base3] = descriptor.to_le_bytes();
        let raw_limit = u32::from_le_bytes([limit0, limit1, flags & 0xF, 0]);
        let access = AccessRights((access as u32) | ((flags & 0xF0) as u32) << 8);
        Self {
            selector,
            base: u32::from_le_bytes([base0, base1, base2, base3]) as u64,
            limit: if access.is_page_granular() { raw_limit << 12 | 0xFFF } else { raw_limit },
            access,
        }
    }

    /// Makes the 8-byte descriptor that gives this segment when loaded; an unusable one gives 0.
    ///
    /// Only the low 32 bits of the base fit. With byte granularity only 20 bits of the limit do,
    /// with page granularity its low 12 bits count as ones.
    #[must_use]
    pub const fn to_descriptor(self) -> u64 {
        if self.access.is_unusable() {
            return 0;
        }
        let limit = if self.access.is_page_granular() { self.limit >> 12 } else { self.limit };
        let limit = (limit & 0xF_FFFF) as u64;
        let access = (self.access.0 & 0xF0FF) as u64;
        let base = self.base & 0xFFFF_FFFF;
        (limit & 0xFFFF)
            | (base & 0xFF_FFFF) << 16
            | access << 40
            | (limit >> 16) << 48
            | (base >> 24) << 56
    }
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DescriptorTable {
    /// The linear address of the first entry.
    pub base: u64,
    /// The highest offset within, in bytes.
    pub limit: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_descriptors_are_made() {
        // The values that every boot loader's GDT has, accessed bit set.
        let code64 = Segment::flat(0x10, AccessRights::CODE64);
        assert_eq!(code64.to_descriptor(), 0x00AF_9B00_0000_FFFF);
        let code32 = Segment::flat(0x10, AccessRights::CODE32);
        assert_eq!(code32.to_descriptor(), 0x00CF_9B00_0000_FFFF);
        let data32 = Segment::flat(0x18, AccessRights::DATA32);
        assert_eq!(data32.to_descriptor(), 0x00CF_9300_0000_FFFF);
    }

    #[test]
    fn a_task_segment_keeps_its_base_and_byte_limit() {
        let tss = Segment {
            selector: 0x20,
            base: 0x1234_5678,
            limit: 0x67,
            access: AccessRights::TSS_BUSY,
        };
        assert_eq!(tss.to_descriptor(), 0x1200_8B34_5678_0067);
        assert_eq!(Segment::from_descriptor(0x20, tss.to_descriptor()), tss);
    }

    #[test]
    fn real_mode_segments_start_at_sixteen_times_their_selector() {
        assert_eq!(Segment::real_mode_code(0xF000).base, 0xF_0000);
        assert_eq!(Segment::real_mode_data(0xFFFF).base, 0xF_FFF0);
    }
}
