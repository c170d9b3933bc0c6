//! Reading any bytes as an entry point.

use guest_state::Gpa;
use zerocopy::FromBytes;

use crate::spec::{
    EntryPoint32Layout, EntryPoint64Layout, INTERMEDIATE_BYTES, INTERMEDIATE_OFFSET,
};
use crate::{Error, Version};

/// What an entry point says of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    /// `_SM_`.
    Bits32(EntryPoint32),
    /// `_SM3_`.
    Bits64(EntryPoint64),
}

/// What `_SM_` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPoint32 {
    /// The version that the table follows.
    pub version: Version,
    /// Where the table lies.
    pub table: Gpa,
    /// How long it is.
    pub table_bytes: u16,
    /// How many structures it has.
    pub structure_count: u16,
    /// How long the largest structure is.
    pub max_structure_bytes: u16,
}

/// What `_SM3_` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPoint64 {
    /// The version that the table follows.
    pub version: Version,
    /// Where the table lies.
    pub table: Gpa,
    /// How long it is at most.
    pub max_table_bytes: u32,
}

impl EntryPoint {
    /// Decodes the entry point at the start of some bytes.
    ///
    /// # Errors
    /// [`Error::EntryPoint`] if there is none, or not all of it; [`Error::EntryPointChecksum`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let none = Error::EntryPoint { length: bytes.len() };
        if bytes.starts_with(b"_SM3_") {
            let (layout, _) = EntryPoint64Layout::read_from_prefix(bytes).map_err(|_| none)?;
            let whole = bytes.get(..usize::from(layout.length)).ok_or(none)?;
            if whole.len() < size_of::<EntryPoint64Layout>() {
                return Err(none);
            }
            checksum(whole, "_SM3_")?;
            return Ok(Self::Bits64(EntryPoint64 {
                version: Version::new(layout.major, layout.minor),
                table: Gpa::new(layout.table_address.get()),
                max_table_bytes: layout.max_table_bytes.get(),
            }));
        }
        let (layout, _) = EntryPoint32Layout::read_from_prefix(bytes).map_err(|_| none)?;
        // Version 2.1 of the specification gave the length as 1Eh by mistake.
        let length = usize::from(layout.length).max(size_of::<EntryPoint32Layout>());
        let whole = bytes.get(..length).ok_or(none)?;
        if layout.anchor != *b"_SM_"
            || layout.intermediate_anchor != *b"_DMI_"
            || layout.length < 0x1E
        {
            return Err(none);
        }
        checksum(whole, "_SM_")?;
        let start = INTERMEDIATE_OFFSET as usize;
        checksum(&whole[start..start + INTERMEDIATE_BYTES as usize], "_DMI_")?;
        Ok(Self::Bits32(EntryPoint32 {
            version: Version::new(layout.major, layout.minor),
            table: Gpa::new(layout.table_address.get().into()),
            table_bytes: layout.table_length.get(),
            structure_count: layout.structure_count.get(),
            max_structure_bytes: layout.max_structure_size.get(),
        }))
    }
}

fn checksum(bytes: &[u8], anchor: &'static str) -> Result<(), Error> {
    let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    if sum == 0 { Ok(()) } else { Err(Error::EntryPointChecksum { anchor, sum }) }
}
