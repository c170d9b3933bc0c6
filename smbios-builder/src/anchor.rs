//! Making entry points for a table that has no place yet.

use alloc::vec::Vec;

use guest_state::Gpa;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U16;

use crate::spec::{EntryPoint32Layout, EntryPoint64Layout, INTERMEDIATE_OFFSET};
use crate::{Error, Version};

/// An entry point, complete but for the table's address and the checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// `_SM_`.
    Bits32(EntryPoint32Layout),
    /// `_SM3_`.
    Bits64(EntryPoint64Layout),
}

impl Anchor {
    /// Makes `_SM_` for a table of so many structures, the largest of which is so long.
    pub(crate) fn bits_32(
        version: Version,
        length: usize,
        count: usize,
        largest: usize,
    ) -> Result<Self, Error> {
        let max = usize::from(u16::MAX);
        let word = |value: usize| {
            let too_long = Error::TableTooLong { length, max, anchor: "_SM_" };
            u16::try_from(value).map(U16::new).map_err(|_| too_long)
        };
        let Version { major, minor } = version;
        Ok(Self::Bits32(EntryPoint32Layout {
            anchor: *b"_SM_",
            checksum: 0,
            length: 0x1F,
            major,
            minor,
            max_structure_size: word(largest)?,
            entry_point_revision: 0,
            formatted_area: [0; 5],
            intermediate_anchor: *b"_DMI_",
            intermediate_checksum: 0,
            table_length: word(length)?,
            table_address: 0.into(),
            structure_count: word(count)?,
            bcd_revision: major << 4 | minor,
        }))
    }

    /// Makes `_SM3_`.
    pub(crate) fn bits_64(version: Version, length: usize) -> Result<Self, Error> {
        let max = u32::MAX as usize;
        let too_long = Error::TableTooLong { length, max, anchor: "_SM3_" };
        let Version { major, minor } = version;
        Ok(Self::Bits64(EntryPoint64Layout {
            anchor: *b"_SM3_",
            checksum: 0,
            length: 0x18,
            major,
            minor,
            docrev: 0,
            entry_point_revision: 1,
            reserved: 0,
            // Firmware compares this with the size of its file, so it is exact.
            max_table_bytes: u32::try_from(length).map_err(|_| too_long)?.into(),
            table_address: 0.into(),
        }))
    }

    /// Returns the bytes once the table lies at `table`.
    pub(crate) fn placed(self, table: Gpa) -> Result<Vec<u8>, Error> {
        match self {
            Self::Bits32(mut layout) => {
                let unreachable = Error::Unreachable { gpa: table, width_bytes: 4 };
                let address = u32::try_from(table.as_u64()).map_err(|_| unreachable)?;
                layout.table_address = address.into();
                // The whole covers the second range, which comes first for that reason.
                let second = &layout.as_bytes()[INTERMEDIATE_OFFSET as usize..];
                layout.intermediate_checksum = complement(second);
                layout.checksum = complement(layout.as_bytes());
                Ok(layout.as_bytes().to_vec())
            }
            Self::Bits64(mut layout) => {
                layout.table_address = table.as_u64().into();
                layout.checksum = complement(layout.as_bytes());
                Ok(layout.as_bytes().to_vec())
            }
        }
    }
}

/// Returns what makes the sum of some bytes zero.
fn complement(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)).wrapping_neg()
}
