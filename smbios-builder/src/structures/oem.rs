//! Structures that this crate knows nothing of.

use alloc::string::String;
use alloc::vec::Vec;

use crate::encoder::HEADER_BYTES;
use crate::{Encoder, Error, Handle, Structure, StructureType};

/// A structure as it is: one of a real machine, or of a type that this crate doesn't describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawStructure {
    /// Its type.
    pub kind: StructureType,
    /// The handle that it keeps, or `None` to give it one.
    pub handle: Option<Handle>,
    /// Its formatted area without header.
    pub body: Vec<u8>,
    /// Its strings.
    pub strings: Vec<Vec<u8>>,
}

impl RawStructure {
    /// Takes over a structure, handle included.
    #[must_use]
    pub fn from_structure(structure: &Structure<'_>) -> Self {
        Self {
            kind: structure.kind(),
            handle: Some(structure.handle()),
            body: structure.body().to_vec(),
            strings: structure.strings().map(<[u8]>::to_vec).collect(),
        }
    }

    /// Takes over the first structure of some bytes.
    ///
    /// # Errors
    /// [`Error::StructureTruncated`], [`Error::StructureLength`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let first = crate::structures_in(bytes).next();
        let structure = first.ok_or(Error::StructureTruncated { offset: 0 })??;
        Ok(Self::from_structure(&structure))
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        encoder.append(&self.body);
        for (index, text) in self.strings.iter().enumerate() {
            // Left out, it would give its number to the next.
            if text.is_empty() {
                return Err(Error::EmptyString { kind: self.kind, index });
            }
            encoder.string_bytes(text)?;
        }
        Ok(())
    }
}

/// A structure of the maker's own: type 128 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OemStructure {
    /// Its type.
    pub kind: StructureType,
    /// Its formatted area without header. Strings are numbered from 1.
    pub body: Vec<u8>,
    /// Its strings.
    pub strings: Vec<String>,
}

impl OemStructure {
    /// Makes a raw structure of it, to be given a handle.
    ///
    /// # Errors
    /// [`Error::NotOem`] if its type is below 128, [`Error::FormattedTooLong`].
    pub fn to_raw(&self) -> Result<RawStructure, Error> {
        let kind = self.kind;
        if !kind.is_oem() {
            return Err(Error::NotOem { kind });
        }
        let length = self.body.len().saturating_add(HEADER_BYTES);
        if length > 0xFF {
            return Err(Error::FormattedTooLong { kind, length });
        }
        let strings = self.strings.iter().map(|text| text.clone().into_bytes()).collect();
        Ok(RawStructure { kind, handle: None, body: self.body.clone(), strings })
    }
}
