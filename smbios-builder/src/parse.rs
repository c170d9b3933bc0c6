//! Reading any bytes as a table.

use crate::encoder::HEADER_BYTES;
use crate::spec::Layout;
use crate::{Error, Handle, StructureType};

/// One structure in the bytes of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure<'a> {
    pub(crate) offset: usize,
    pub(crate) handle: Handle,
    /// The formatted area, header included; never shorter than one.
    pub(crate) formatted: &'a [u8],
    /// The strings with their zeros, without the last one of the structure.
    pub(crate) string_bytes: &'a [u8],
}

impl<'a> Structure<'a> {
    /// Returns where in the table it starts.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns its type.
    #[must_use]
    pub fn kind(&self) -> StructureType {
        StructureType(self.byte(0))
    }

    /// Returns its handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Returns its formatted area, header included, so that offsets are the specification's.
    #[must_use]
    pub fn formatted(&self) -> &'a [u8] {
        self.formatted
    }

    /// Returns its formatted area without header.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.formatted.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// Returns how many bytes it takes with its strings.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        // Without strings there are two zeros.
        let strings = self.string_bytes.len().max(1) + 1;
        self.formatted.len() + strings
    }

    /// Returns the byte at `offset` of the formatted area, or 0 past its end.
    #[must_use]
    pub fn byte(&self, offset: usize) -> u8 {
        self.formatted.get(offset).copied().unwrap_or_default()
    }

    /// Returns its strings in order, without their zeros.
    pub fn strings(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.string_bytes.strip_suffix(&[0]).unwrap_or_default();
        let strings = (!bytes.is_empty()).then(|| bytes.split(|&byte| byte == 0));
        strings.into_iter().flatten()
    }

    /// Returns the string with a number, or `None` for number 0 and those that it doesn't have.
    #[must_use]
    pub fn string(&self, number: u8) -> Option<&'a [u8]> {
        let index = usize::from(number).checked_sub(1)?;
        self.strings().nth(index)
    }

    /// Checks the type.
    pub(crate) fn expect(&self, expected: StructureType) -> Result<(), Error> {
        let (offset, found) = (self.offset, self.kind());
        if found == expected { Ok(()) } else { Err(Error::WrongType { offset, expected, found }) }
    }

    /// Reads the formatted area; what it is too short for is zero.
    pub(crate) fn layout<L: Layout>(&self, kind: StructureType) -> Result<L, Error> {
        self.expect(kind)?;
        let (offset, length) = (self.offset, self.formatted.len());
        let min = L::LENGTHS.first().map_or(0, |(_, length)| *length);
        // Boards were once told without what they contain.
        let min = if kind == StructureType::BASEBOARD { 0x08 } else { min };
        if length < min {
            return Err(Error::StructureTooShort { kind, offset, length, min });
        }
        let mut layout = L::new_zeroed();
        let common = length.min(size_of::<L>());
        layout.as_mut_bytes()[..common].copy_from_slice(&self.formatted[..common]);
        Ok(layout)
    }
}

/// The structures of a table, one after the other. See [`structures_in`].
#[derive(Clone, Debug)]
pub struct Structures<'a> {
    table: &'a [u8],
    offset: usize,
    ended: bool,
}

/// Reads the structures of a table, up to its end or to the structure that says so.
///
/// What can't be read as a structure is the last item, as an error: [`Error::StructureTruncated`]
/// or [`Error::StructureLength`]. Each step takes time in proportion to the structure's length.
#[must_use]
pub fn structures_in(table: &[u8]) -> Structures<'_> {
    Structures { table, offset: 0, ended: false }
}

impl Structures<'_> {
    /// Returns where the next structure would start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for Structures<'a> {
    type Item = Result<Structure<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.table.get(self.offset..).unwrap_or_default();
        if self.ended || rest.is_empty() {
            return None;
        }
        let structure = read_structure(rest, self.offset);
        match &structure {
            Ok(structure) => {
                self.offset += structure.size_bytes();
                self.ended = structure.kind() == StructureType::END_OF_TABLE;
            }
            Err(_) => self.ended = true,
        }
        Some(structure)
    }
}

fn read_structure(bytes: &[u8], offset: usize) -> Result<Structure<'_>, Error> {
    let truncated = Error::StructureTruncated { offset };
    let [_, length, low, high, ..] = *bytes else {
        return Err(truncated);
    };
    if usize::from(length) < HEADER_BYTES {
        return Err(Error::StructureLength { offset, length });
    }
    let (formatted, rest) = bytes.split_at_checked(usize::from(length)).ok_or(truncated)?;
    let end = rest.windows(2).position(|pair| pair == [0, 0]).ok_or(truncated)?;
    // Without strings the two zeros follow at once.
    let string_bytes = if end == 0 { &[][..] } else { &rest[..=end] };
    let handle = Handle(u16::from_le_bytes([low, high]));
    Ok(Structure { offset, handle, formatted, string_bytes })
}
