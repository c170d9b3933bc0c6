//! Bytes that don't know yet where they will lie.

use alloc::vec::Vec;

use guest_state::Gpa;

use crate::Error;

/// How many bytes a pointer field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointerWidth {
    /// Four: the target must lie below 4 GiB.
    Bytes4,
    /// Eight.
    Bytes8,
}

impl PointerWidth {
    /// Returns the width as a number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        match self {
            Self::Bytes4 => 4,
            Self::Bytes8 => 8,
        }
    }
}

/// A field that holds the address of something in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// Where in its own blob the field is, in bytes.
    pub offset: u32,
    /// How wide it is.
    pub width: PointerWidth,
    /// Where in the table it points, in bytes.
    pub target: u32,
}

/// A byte that makes a range, itself included, sum to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// Where in the blob the byte is.
    pub offset: u32,
    /// Where the range starts.
    pub start: u32,
    /// How long the range is, in bytes.
    pub size_bytes: u32,
}

/// Bytes to be placed anywhere, with what must be done to them then.
///
/// Each pointer field holds its target's offset, so placing adds the address of the table.
/// Each checksum byte is zero. Pointers come first, then the checksums in the order listed, for one
/// may cover another. That is also how a fw_cfg table-loader script does it, so the script follows
/// from the two lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    bytes: Vec<u8>,
    pointers: Vec<Pointer>,
    checksums: Vec<Checksum>,
}

impl Blob {
    /// Joins bytes with their fields, all of which lie within them.
    pub(crate) fn new(
        mut bytes: Vec<u8>,
        pointers: Vec<Pointer>,
        checksums: Vec<Checksum>,
    ) -> Result<Self, Error> {
        for pointer in &pointers {
            pointer.write(&mut bytes, Gpa::ZERO)?;
        }
        Ok(Self { bytes, pointers, checksums })
    }

    /// Returns the bytes as they are before they have a place.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the fields that hold addresses.
    #[must_use]
    pub fn pointers(&self) -> &[Pointer] {
        &self.pointers
    }

    /// Returns the checksums, in the order in which to compute them.
    #[must_use]
    pub fn checksums(&self) -> &[Checksum] {
        &self.checksums
    }

    /// Returns the bytes as they are once the table lies at `table`.
    pub(crate) fn relocated(&self, table: Gpa) -> Result<Vec<u8>, Error> {
        let mut bytes = self.bytes.clone();
        for pointer in &self.pointers {
            pointer.write(&mut bytes, table)?;
        }
        for checksum in &self.checksums {
            let start = checksum.start as usize;
            let sum = bytes[start..start + checksum.size_bytes as usize]
                .iter()
                .fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
            bytes[checksum.offset as usize] = sum.wrapping_neg();
        }
        Ok(bytes)
    }
}

impl Pointer {
    /// Writes the address of the target into its field.
    fn write(&self, bytes: &mut [u8], table: Gpa) -> Result<(), Error> {
        let unreachable = Error::Unreachable { gpa: table, width_bytes: self.width.bytes() };
        let address = table.checked_add(u64::from(self.target)).ok_or(unreachable)?.as_u64();
        let offset = self.offset as usize;
        match self.width {
            PointerWidth::Bytes4 => {
                let address = u32::try_from(address).map_err(|_| unreachable)?;
                bytes[offset..offset + 4].copy_from_slice(&address.to_le_bytes());
            }
            PointerWidth::Bytes8 => {
                bytes[offset..offset + 8].copy_from_slice(&address.to_le_bytes());
            }
        }
        Ok(())
    }
}
