//! What a VMCS field is: its encoding, its width and its access class, in the type.

use core::fmt;
use core::marker::PhantomData;

use crate::{Existence, FIELDS};

mod sealed {
    pub trait Sealed {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
    impl Sealed for super::Natural {}
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::ReadWrite {}
}

/// The width of a field: `u16`, `u32`, `u64` or [`Natural`].
pub trait FieldWidth: sealed::Sealed {
    /// What a program reads and writes.
    type Value: Copy + Into<u64>;
    /// The width as the encoding says it.
    const WIDTH: Width;

    /// Takes the value out of what VMREAD gave; bits that the field does not have are dropped.
    fn from_raw(raw: u64) -> Self::Value;
}

impl FieldWidth for u16 {
    type Value = Self;
    const WIDTH: Width = Width::Bits16;

    #[inline]
    fn from_raw(raw: u64) -> Self {
        let [b0, b1, ..] = raw.to_le_bytes();
        Self::from_le_bytes([b0, b1])
    }
}

impl FieldWidth for u32 {
    type Value = Self;
    const WIDTH: Width = Width::Bits32;

    #[inline]
    fn from_raw(raw: u64) -> Self {
        let [b0, b1, b2, b3, ..] = raw.to_le_bytes();
        Self::from_le_bytes([b0, b1, b2, b3])
    }
}

impl FieldWidth for u64 {
    type Value = Self;
    const WIDTH: Width = Width::Bits64;

    #[inline]
    fn from_raw(raw: u64) -> Self {
        raw
    }
}

/// The width of a general-purpose register: 64 bits on every processor that this crate runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Natural {}

impl FieldWidth for Natural {
    type Value = u64;
    const WIDTH: Width = Width::Natural;

    #[inline]
    fn from_raw(raw: u64) -> u64 {
        raw
    }
}

/// Whether a field can be written: [`ReadOnly`] or [`ReadWrite`].
pub trait FieldAccess: sealed::Sealed {
    /// Whether it can.
    const WRITABLE: bool;
}

/// A field that only the processor writes.
///
/// Processors with `IA32_VMX_MISC` bit 29 accept a VMWRITE even to these; hypervisors have no use
/// for it but when they run another hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {}

/// A field that a hypervisor writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWrite {}

impl FieldAccess for ReadOnly {
    const WRITABLE: bool = false;
}

impl FieldAccess for ReadWrite {
    const WRITABLE: bool = true;
}

/// A field of the VMCS, with its width and access class in the type.
///
/// # Examples
/// ```
/// use vmx::{VmcsAccess, VmcsSnapshot, field};
///
/// let mut vmcs = VmcsSnapshot::new();
/// vmcs.write(field::GUEST_CS_SELECTOR, 0xF000)?;
/// assert_eq!(vmcs.read(field::GUEST_CS_SELECTOR), Ok(0xF000_u16));
/// # Ok::<(), vmx::VmFail>(())
/// ```
/// What does not fit does not compile: a value too wide,
/// ```compile_fail,E0308
/// # use vmx::{VmcsAccess, VmcsSnapshot, field};
/// VmcsSnapshot::new().write(field::GUEST_CS_SELECTOR, 0xF000_u64);
/// ```
/// and a field that only the processor writes.
/// ```compile_fail,E0308
/// # use vmx::{VmcsAccess, VmcsSnapshot, field};
/// VmcsSnapshot::new().write(field::EXIT_REASON, 0_u32);
/// ```
pub struct VmcsField<W, A> {
    encoding: FieldEncoding,
    /// The place of the field in [`FIELDS`].
    position: usize,
    kind: PhantomData<(W, A)>,
}

impl<W: FieldWidth, A: FieldAccess> VmcsField<W, A> {
    /// Makes the field of `encoding`; the field table alone does.
    pub(crate) const fn new(encoding: u32) -> Self {
        let mut position = 0;
        while FIELDS[position].encoding.as_u32() != encoding {
            position += 1;
        }
        Self { encoding: FieldEncoding::new(encoding), position, kind: PhantomData }
    }

    /// Returns the place of the field in [`FIELDS`].
    #[inline]
    pub(crate) const fn position(self) -> usize {
        self.position
    }

    /// Returns the encoding that VMREAD and VMWRITE take.
    #[must_use]
    #[inline]
    pub const fn encoding(self) -> FieldEncoding {
        self.encoding
    }
}

impl<W, A> Clone for VmcsField<W, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, A> Copy for VmcsField<W, A> {}

impl<W, A> PartialEq for VmcsField<W, A> {
    fn eq(&self, other: &Self) -> bool {
        self.encoding == other.encoding
    }
}

impl<W, A> Eq for VmcsField<W, A> {}

impl<W, A> fmt::Debug for VmcsField<W, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.encoding, f)
    }
}

/// The number that names a field to VMREAD and VMWRITE. Any number is one, known or not.
///
/// | bits | meaning |
/// |---|---|
/// | 0 | 1: the upper half of a 64-bit field |
/// | 9:1 | index |
/// | 11:10 | group |
/// | 14:13 | width |
///
/// # Source
/// Intel SDM Vol. 3C, "VMREAD, VMWRITE, and Encodings of VMCS Fields".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct FieldEncoding(u32);

impl FieldEncoding {
    /// Makes an encoding of any number.
    #[must_use]
    pub const fn new(encoding: u32) -> Self {
        Self(encoding)
    }

    /// Returns the number.
    #[must_use]
    #[inline]
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// Returns the index within group and width, bits 9:1.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 >> 1 & 0x1FF
    }

    /// Returns the group, bits 11:10.
    #[must_use]
    pub const fn group(self) -> FieldGroup {
        match self.0 >> 10 & 3 {
            0 => FieldGroup::Control,
            1 => FieldGroup::ExitInformation,
            2 => FieldGroup::GuestState,
            _ => FieldGroup::HostState,
        }
    }

    /// Returns the width, bits 14:13.
    #[must_use]
    pub const fn width(self) -> Width {
        match self.0 >> 13 & 3 {
            0 => Width::Bits16,
            1 => Width::Bits64,
            2 => Width::Bits32,
            _ => Width::Natural,
        }
    }

    /// Tells whether this is the upper half of a 64-bit field (bit 0).
    #[must_use]
    pub const fn is_high(self) -> bool {
        self.0 & 1 != 0
    }

    /// Returns what is known of the field, or `None` for an encoding that is in no public list.
    #[must_use]
    pub fn info(self) -> Option<&'static FieldInfo> {
        self.position().and_then(|position| FIELDS.get(position))
    }

    /// Returns the place of the field in [`FIELDS`].
    pub(crate) fn position(self) -> Option<usize> {
        FIELDS.binary_search_by_key(&self, |field| field.encoding).ok()
    }
}

impl fmt::Debug for FieldEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// Shows the field's name, or its number if it is in no public list.
impl fmt::Display for FieldEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => f.write_str(info.name),
            None => write!(f, "VMCS field {:#06x}", self.0),
        }
    }
}

/// What a field is for: bits 11:10 of its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldGroup {
    /// Controls of execution, exits and entries.
    Control,
    /// What the processor says about an exit: read-only.
    ExitInformation,
    /// The guest's registers and state.
    GuestState,
    /// What an exit loads.
    HostState,
}

/// How wide a field is: bits 14:13 of its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 16 bits.
    Bits16,
    /// 64 bits; the upper half has an encoding of its own.
    Bits64,
    /// 32 bits.
    Bits32,
    /// As a general-purpose register.
    Natural,
}

impl Width {
    /// Returns the bits that a value of this width can have.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Bits16 => 0xFFFF,
            Self::Bits32 => 0xFFFF_FFFF,
            Self::Bits64 | Self::Natural => u64::MAX,
        }
    }

    /// Returns how many hexadecimal digits show a value of this width.
    #[must_use]
    pub const fn hex_digits(self) -> usize {
        match self {
            Self::Bits16 => 4,
            Self::Bits32 => 8,
            Self::Bits64 | Self::Natural => 16,
        }
    }
}

/// What is known of a field: a row of [`FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// The encoding.
    pub encoding: FieldEncoding,
    /// The name that the SDM gives it.
    pub name: &'static str,
    /// The name of its constant in [`field`](crate::field).
    pub constant: &'static str,
    /// What a processor must have for the field to exist.
    pub existence: Existence,
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use crate::field;

    #[test]
    fn an_encoding_shows_the_fields_name() {
        assert_eq!(alloc::format!("{}", field::GUEST_CR0.encoding()), "Guest CR0");
        assert_eq!(alloc::format!("{}", FieldEncoding::new(0x7FFE)), "VMCS field 0x7ffe");
        assert_eq!(alloc::format!("{:?}", field::GUEST_CR0), "0x6800");
    }

    #[test]
    fn values_lose_the_bits_that_a_field_does_not_have() {
        assert_eq!(<u16 as FieldWidth>::from_raw(0x1234_5678_9ABC_DEF0), 0xDEF0);
        assert_eq!(<u32 as FieldWidth>::from_raw(0x1234_5678_9ABC_DEF0), 0x9ABC_DEF0);
        assert_eq!(<Natural as FieldWidth>::from_raw(u64::MAX), u64::MAX);
    }
}
