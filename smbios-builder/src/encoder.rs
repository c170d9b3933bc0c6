//! How a description becomes a structure in the table, and comes back.

use alloc::string::String;
use alloc::vec::Vec;

use zerocopy::little_endian::{U16, U32, U64};

use crate::spec::Layout;
use crate::{Error, Handle, Ref, Structure, StructureType, Version};

/// The longest formatted area, in bytes: its length field has one.
const MAX_FORMATTED_BYTES: usize = 0xFF;

/// A description of one structure.
///
/// This crate implements it for the types that the specification defines; a maker's own structure
/// is an [`OemStructure`](crate::OemStructure), or one more implementation.
pub trait Describe: Sized {
    /// The structure's type.
    const TYPE: StructureType;
    /// The version that introduced it.
    const SINCE: Version;

    /// Gives the structure's formatted area without header to `encoder`, and its strings.
    ///
    /// # Errors
    /// Whatever keeps the description from being expressed.
    fn encode(&self, encoder: &mut Encoder<'_>) -> Result<(), Error>;

    /// Reads a description out of a structure. Fields that it is too short for read as zero.
    ///
    /// # Errors
    /// [`Error::WrongType`], or [`Error::StructureTooShort`] if it lacks what the first version had.
    fn decode(structure: &Structure<'_>) -> Result<Self, Error>;
}

/// Where a structure is written: it numbers strings, checks references, and knows the version.
#[derive(Debug)]
pub struct Encoder<'a> {
    pub(crate) kind: StructureType,
    pub(crate) version: Version,
    /// The type of each structure so far, by its handle.
    pub(crate) kinds: &'a [Option<StructureType>],
    /// The whole table, the header of this structure last.
    pub(crate) bytes: &'a mut Vec<u8>,
    /// The strings of this structure, each with its zero.
    pub(crate) strings: &'a mut Vec<u8>,
    pub(crate) string_count: u8,
}

impl Encoder<'_> {
    /// Returns the version that the table follows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Appends to the formatted area. Its length is checked at the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a string and returns its number, which is 0 for an empty one.
    ///
    /// # Errors
    /// [`Error::StringNul`], [`Error::TooManyStrings`].
    pub fn string(&mut self, text: &str) -> Result<u8, Error> {
        self.string_bytes(text.as_bytes())
    }

    pub(crate) fn string_bytes(&mut self, text: &[u8]) -> Result<u8, Error> {
        let kind = self.kind;
        if text.is_empty() {
            return Ok(0);
        }
        if let Some(offset) = text.iter().position(|&byte| byte == 0) {
            return Err(Error::StringNul { kind, offset });
        }
        self.string_count =
            self.string_count.checked_add(1).ok_or(Error::TooManyStrings { kind })?;
        self.strings.extend_from_slice(text);
        self.strings.push(0);
        Ok(self.string_count)
    }

    /// Adds each string of a list, which has none that is empty, and returns how many they are.
    ///
    /// # Errors
    /// [`Error::EmptyString`], [`Error::StringNul`], [`Error::TooManyStrings`].
    pub fn string_list(&mut self, list: &[String]) -> Result<u8, Error> {
        let kind = self.kind;
        let before = self.string_count;
        for (index, text) in list.iter().enumerate() {
            if text.is_empty() {
                return Err(Error::EmptyString { kind, index });
            }
            self.string(text)?;
        }
        Ok(self.string_count - before)
    }

    /// Checks that a structure has this handle, whatever its type.
    ///
    /// # Errors
    /// [`Error::DanglingHandle`].
    pub fn any_reference(&self, handle: Handle) -> Result<U16, Error> {
        self.kind_of(handle).map(|_| handle.0.into())
    }

    /// Checks that a structure of the reference's type has its handle.
    ///
    /// # Errors
    /// [`Error::DanglingHandle`], [`Error::WrongReference`].
    pub fn reference<T: Describe>(&self, target: Ref<T>) -> Result<U16, Error> {
        let handle = target.handle();
        let found = self.kind_of(handle)?;
        if found != T::TYPE {
            let (kind, expected) = (self.kind, T::TYPE);
            return Err(Error::WrongReference { kind, handle, expected, found });
        }
        Ok(handle.0.into())
    }

    fn kind_of(&self, handle: Handle) -> Result<StructureType, Error> {
        let kind = self.kinds.get(usize::from(handle.0)).copied().flatten();
        kind.ok_or(Error::DanglingHandle { kind: self.kind, handle })
    }

    /// Refuses a value that needs a later version than the table follows.
    pub(crate) fn needs(&self, since: Version, value: u64) -> Result<(), Error> {
        let (kind, version) = (self.kind, self.version);
        if version < since {
            return Err(Error::ValueTooNew { kind, value, since, version });
        }
        Ok(())
    }

    /// Counts the parts of a structure.
    pub(crate) fn count(&self, count: usize, max: u8) -> Result<u8, Error> {
        let too_many = Error::TooManyParts { kind: self.kind, count, max: usize::from(max) };
        u8::try_from(count).ok().filter(|&count| count <= max).ok_or(too_many)
    }

    /// Appends a structure, header left out, as long as the version has it.
    pub(crate) fn append_layout<L: Layout>(&mut self, layout: &L) {
        let version = self.version;
        let grown = L::LENGTHS.iter().take_while(|(since, _)| *since <= version);
        // The structure itself may be newer than the version: that is refused before.
        let length = grown.last().or(L::LENGTHS.first()).map_or(0, |(_, length)| *length);
        let bytes = layout.as_bytes();
        self.append(bytes.get(HEADER_BYTES..length).unwrap_or_default());
    }

    /// Completes the structure that starts at `start`.
    pub(crate) fn finish(self, start: usize) -> Result<(), Error> {
        let length = self.bytes.len() - start;
        let too_long = Error::FormattedTooLong { kind: self.kind, length };
        if length > MAX_FORMATTED_BYTES {
            return Err(too_long);
        }
        self.bytes[start + 1] = u8::try_from(length).map_err(|_| too_long)?;
        if self.strings.is_empty() {
            self.bytes.push(0);
        }
        self.bytes.append(self.strings);
        self.bytes.push(0);
        Ok(())
    }
}

/// How long a header is, in bytes.
pub(crate) const HEADER_BYTES: usize = 4;

/// A value that stands in one field of a layout.
pub(crate) trait Field<W>: Sized {
    /// Makes the field's contents.
    fn put(&self, encoder: &mut Encoder<'_>) -> Result<W, Error>;
    /// Reads the field's contents.
    fn get(wire: W, structure: &Structure<'_>) -> Self;
}

/// A number and its little-endian form.
pub(crate) trait Number {
    /// The form in a layout.
    type Wire;
}

macro_rules! number_fields {
    ($($number:ty: $wire:ty,)*) => {$(
        impl Number for $number {
            type Wire = $wire;
        }

        impl Field<$wire> for $number {
            fn put(&self, _: &mut Encoder<'_>) -> Result<$wire, Error> {
                Ok((*self).into())
            }

            fn get(wire: $wire, _: &Structure<'_>) -> Self {
                wire.into()
            }
        }
    )*};
}

number_fields! { u8: u8, u16: U16, u32: U32, u64: U64, [u8; 4]: [u8; 4], }

impl Field<u8> for String {
    fn put(&self, encoder: &mut Encoder<'_>) -> Result<u8, Error> {
        encoder.string(self)
    }

    fn get(wire: u8, structure: &Structure<'_>) -> Self {
        let text = structure.string(wire).unwrap_or_default();
        Self::from_utf8_lossy(text).into_owned()
    }
}

impl Field<U16> for Handle {
    fn put(&self, encoder: &mut Encoder<'_>) -> Result<U16, Error> {
        encoder.any_reference(*self)
    }

    fn get(wire: U16, _: &Structure<'_>) -> Self {
        Self(wire.get())
    }
}

impl<T: Describe> Field<U16> for Ref<T> {
    fn put(&self, encoder: &mut Encoder<'_>) -> Result<U16, Error> {
        encoder.reference(*self)
    }

    fn get(wire: U16, _: &Structure<'_>) -> Self {
        Self::to_raw(Handle(wire.get()))
    }
}

impl<T: Describe> Field<U16> for Option<Ref<T>> {
    fn put(&self, encoder: &mut Encoder<'_>) -> Result<U16, Error> {
        self.map_or(Ok(Handle::NONE.0.into()), |target| encoder.reference(target))
    }

    fn get(wire: U16, _: &Structure<'_>) -> Self {
        let handle = Handle(wire.get());
        (handle <= Handle::LAST).then(|| Ref::to_raw(handle))
    }
}
