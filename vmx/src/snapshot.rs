//! A VMCS in memory, whole or in part.

use core::fmt;

use crate::access::VmcsAccess;
use crate::encoding::{FieldAccess, FieldWidth};
use crate::{FIELDS, FieldEncoding, FieldGroup, InstructionError, VmFail, VmcsField, VmxCaps};

const WORDS: usize = FIELDS.len().div_ceil(64);

/// The fields of a VMCS as plain values: read from a dump, taken from the processor's VMCS, or
/// built by a test. It may lack any of them.
///
/// A field that it lacks does not exist, as far as reads are concerned; a write adds it.
///
/// # Examples
/// ```
/// use vmx::{VmcsAccess, VmcsSnapshot, field};
///
/// let mut vmcs = VmcsSnapshot::new();
/// assert!(vmcs.read(field::GUEST_RIP).is_err());
/// vmcs.write(field::GUEST_RIP, 0xFFF0)?;
/// assert_eq!(vmcs.get(field::GUEST_RIP), Some(0xFFF0));
/// # Ok::<(), vmx::VmFail>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VmcsSnapshot {
    values: [u64; FIELDS.len()],
    present: [u64; WORDS],
}

impl VmcsSnapshot {
    /// Makes a VMCS without fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: [0; FIELDS.len()], present: [0; WORDS] }
    }

    /// Makes a VMCS of all fields that a processor of these capabilities has, each 0.
    #[must_use]
    pub fn zeroed(caps: &VmxCaps) -> Self {
        let mut snapshot = Self::new();
        for field in FIELDS.iter().filter(|field| field.existence.holds(caps)) {
            snapshot.set(field.encoding, 0);
        }
        snapshot
    }

    /// Copies all fields that `vmcs` has.
    #[must_use]
    pub fn of(vmcs: &impl VmcsAccess) -> Self {
        let mut snapshot = Self::new();
        for field in FIELDS {
            if let Ok(value) = vmcs.read_raw(field.encoding) {
                snapshot.set(field.encoding, value);
            }
        }
        snapshot
    }

    /// Returns the value of `field`, or `None` if it is lacking.
    #[must_use]
    #[inline]
    pub fn get<W: FieldWidth, A: FieldAccess>(&self, field: VmcsField<W, A>) -> Option<W::Value> {
        match self.has(field.position()) {
            true => self.values.get(field.position()).copied().map(W::from_raw),
            false => None,
        }
    }

    /// Returns the value of the field of this encoding, or `None` if it is lacking or unknown.
    #[must_use]
    pub fn raw(&self, encoding: FieldEncoding) -> Option<u64> {
        let full = FieldEncoding::new(encoding.as_u32() & !1);
        let position = full.position()?;
        if !self.has(position) || (encoding.is_high() && full.width() != crate::Width::Bits64) {
            return None;
        }
        let value = *self.values.get(position)?;
        Some(if encoding.is_high() { value >> 32 } else { value })
    }

    /// Sets the field of this encoding, even one that only the processor writes; bits that the
    /// field does not have are dropped. Returns whether the field is known.
    pub fn set(&mut self, encoding: FieldEncoding, value: u64) -> bool {
        let full = FieldEncoding::new(encoding.as_u32() & !1);
        let Some(position) = full.position() else {
            return false;
        };
        if encoding.is_high() && full.width() != crate::Width::Bits64 {
            return false;
        }
        let (Some(slot), Some(word)) =
            (self.values.get_mut(position), self.present.get_mut(position / 64))
        else {
            return false;
        };
        *slot = match encoding.is_high() {
            true => *slot & 0xFFFF_FFFF | value << 32,
            false => value & full.width().mask(),
        };
        *word |= 1 << (position % 64);
        true
    }

    /// Takes the field of this encoding away.
    pub fn remove(&mut self, encoding: FieldEncoding) {
        if let Some(position) = FieldEncoding::new(encoding.as_u32() & !1).position()
            && let Some(word) = self.present.get_mut(position / 64)
            && let Some(slot) = self.values.get_mut(position)
        {
            *word &= !(1 << (position % 64));
            *slot = 0;
        }
    }

    /// Returns every field that is there, with its value, by ascending encoding.
    pub fn fields(&self) -> impl Iterator<Item = (FieldEncoding, u64)> {
        FIELDS
            .iter()
            .zip(self.values)
            .enumerate()
            .filter(|(position, _)| self.has(*position))
            .map(|(_, (field, value))| (field.encoding, value))
    }

    #[inline]
    fn has(&self, position: usize) -> bool {
        self.present.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 != 0)
    }
}

impl Default for VmcsSnapshot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VmcsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (encoding, value) in self.fields() {
            map.entry(&format_args!("{encoding}"), &format_args!("{value:#x}"));
        }
        map.finish()
    }
}

impl VmcsAccess for VmcsSnapshot {
    // A field knows its place, which an encoding has to search for.
    #[inline]
    fn read<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
    ) -> Result<W::Value, VmFail> {
        self.get(field).ok_or(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }

    fn read_raw(&self, encoding: FieldEncoding) -> Result<u64, VmFail> {
        self.raw(encoding).ok_or(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }

    fn write_raw(&mut self, encoding: FieldEncoding, value: u64) -> Result<(), VmFail> {
        if encoding.group() == FieldGroup::ExitInformation {
            return Err(VmFail::Valid(InstructionError::READ_ONLY_FIELD));
        }
        match self.set(encoding, value) {
            true => Ok(()),
            false => Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;

    #[test]
    fn halves_of_a_64_bit_field_are_written_apart() {
        let mut vmcs = VmcsSnapshot::new();
        let low = field::EPT_POINTER.encoding();
        let high = FieldEncoding::new(low.as_u32() | 1);
        vmcs.write_raw(low, 0x1111_2222_3333_4444).unwrap();
        vmcs.write_raw(high, 0x5555_6666).unwrap();
        assert_eq!(vmcs.read_raw(low), Ok(0x5555_6666_3333_4444));
        assert_eq!(vmcs.read_raw(high), Ok(0x5555_6666));
    }

    #[test]
    fn a_narrow_field_has_no_upper_half() {
        let mut vmcs = VmcsSnapshot::new();
        let high = FieldEncoding::new(field::GUEST_CR0.encoding().as_u32() | 1);
        vmcs.write(field::GUEST_CR0, 1).unwrap();
        assert!(vmcs.read_raw(high).is_err());
        assert!(vmcs.write_raw(high, 1).is_err());
    }

    #[test]
    fn exit_information_is_set_but_not_written() {
        let mut vmcs = VmcsSnapshot::new();
        let reason = field::EXIT_REASON.encoding();
        let read_only = Err(VmFail::Valid(InstructionError::READ_ONLY_FIELD));
        assert_eq!(vmcs.write_raw(reason, 10), read_only);
        assert!(vmcs.set(reason, 10));
        assert_eq!(vmcs.get(field::EXIT_REASON), Some(10));
    }

    #[test]
    fn a_removed_field_is_lacking_again() {
        let mut vmcs = VmcsSnapshot::new();
        vmcs.write(field::GUEST_RIP, 1).unwrap();
        vmcs.write(field::GUEST_RSP, 2).unwrap();
        vmcs.remove(field::GUEST_RIP.encoding());
        assert_eq!(vmcs.get(field::GUEST_RIP), None);
        assert_eq!(VmcsSnapshot::of(&vmcs), vmcs);
        assert_eq!(vmcs.fields().count(), 1);
    }
}
