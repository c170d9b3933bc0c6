//! How long tables and their entries are: data, no logic.
//!
//! # Source
//! ACPI 6.5, "ACPI System Description Tables"; for tables of other specifications, those that the
//! descriptions name.

use core::ops::RangeInclusive;

use crate::Signature;

/// How long a table of some revisions is, in bytes.
pub(super) struct Size {
    pub(super) signature: Signature,
    pub(super) revisions: RangeInclusive<u8>,
    pub(super) least: usize,
    pub(super) most: usize,
}

const fn size(signature: Signature, revisions: RangeInclusive<u8>, least: usize) -> Size {
    Size { signature, revisions, least, most: usize::MAX }
}

const fn exactly(signature: Signature, revisions: RangeInclusive<u8>, bytes: usize) -> Size {
    Size { signature, revisions, least: bytes, most: bytes }
}

const ANY: RangeInclusive<u8> = 0..=u8::MAX;

/// The sizes of the tables that are known.
pub(super) const SIZES: &[Size] = &[
    exactly(Signature::FACP, 0..=1, 116),
    size(Signature::FACP, 2..=2, 116),
    exactly(Signature::FACP, 3..=4, 244),
    exactly(Signature::FACP, 5..=5, 268),
    size(Signature::FACP, 6..=u8::MAX, 276),
    size(Signature::APIC, ANY, 44),
    exactly(Signature::BERT, 0..=1, 48),
    exactly(Signature::BGRT, 0..=1, 56),
    size(Signature::DBG2, ANY, 44),
    size(Signature::DMAR, ANY, 48),
    size(Signature::ERST, ANY, 48),
    size(Signature::HEST, ANY, 40),
    size(Signature::HMAT, ANY, 40),
    exactly(Signature::HPET, 0..=1, 56),
    size(Signature::IVRS, ANY, 48),
    size(Signature::MCFG, ANY, 44),
    size(Signature::NFIT, ANY, 40),
    size(Signature::SLIT, ANY, 44),
    exactly(Signature::SPCR, 0..=2, 80),
    size(Signature::SPCR, 4..=u8::MAX, 88),
    size(Signature::SRAT, ANY, 48),
    size(Signature::TCPA, ANY, 50),
    size(Signature::TPM2, ANY, 52),
    size(Signature::UEFI, ANY, 54),
    size(Signature::VIOT, ANY, 48),
    exactly(Signature::WAET, 0..=1, 40),
];

/// Where an entry has its type and its length.
#[derive(Clone, Copy)]
pub(super) enum EntryHeader {
    /// A byte each.
    Bytes,
    /// Two bytes each.
    Words,
    /// Type of two bytes, two reserved ones, length of four.
    Wide,
    /// Type of one byte, one reserved, length of two.
    Mixed,
}

/// The entries of a table, from an offset to its end.
pub(super) struct Entries {
    pub(super) signature: Signature,
    pub(super) start: usize,
    pub(super) header: EntryHeader,
    /// The least length of an entry of a type.
    pub(super) least: &'static [(u16, usize)],
    /// The entries that are not longer than that.
    pub(super) fixed: &'static [u16],
}

/// The tables that are lists of entries.
pub(super) const ENTRIES: &[Entries] = &[
    Entries {
        signature: Signature::APIC,
        start: 44,
        header: EntryHeader::Bytes,
        least: &[
            (0, 8),
            (1, 12),
            (2, 10),
            (3, 8),
            (4, 6),
            (5, 12),
            (9, 16),
            (10, 12),
            (11, 76),
            (16, 16),
        ],
        fixed: &[0, 1, 2, 3, 4, 5, 9, 10],
    },
    Entries {
        signature: Signature::SRAT,
        start: 48,
        header: EntryHeader::Bytes,
        least: &[(0, 16), (1, 40), (2, 24), (3, 18), (4, 12), (5, 32)],
        fixed: &[0, 1, 2, 3, 4, 5],
    },
    Entries {
        signature: Signature::PPTT,
        start: 36,
        header: EntryHeader::Bytes,
        least: &[(0, 20), (1, 24)],
        fixed: &[],
    },
    Entries {
        signature: Signature::DMAR,
        start: 48,
        header: EntryHeader::Words,
        least: &[(0, 16), (1, 24), (2, 8), (3, 20), (4, 8), (5, 16), (6, 8)],
        fixed: &[3],
    },
    Entries {
        signature: Signature::NFIT,
        start: 40,
        header: EntryHeader::Words,
        least: &[(0, 56), (1, 48), (2, 16), (3, 8), (4, 32), (5, 40), (6, 16), (7, 16)],
        fixed: &[1, 7],
    },
    Entries {
        signature: Signature::HMAT,
        start: 40,
        header: EntryHeader::Wide,
        least: &[(0, 40), (1, 32), (2, 32)],
        fixed: &[0],
    },
    Entries {
        signature: Signature::VIOT,
        start: 48,
        header: EntryHeader::Mixed,
        least: &[(1, 24), (2, 24), (3, 16), (4, 16)],
        fixed: &[1, 2, 3, 4],
    },
    Entries {
        signature: Signature::CEDT,
        start: 36,
        header: EntryHeader::Mixed,
        least: &[(0, 32), (1, 40), (2, 8), (3, 12), (4, 16)],
        fixed: &[0],
    },
];
