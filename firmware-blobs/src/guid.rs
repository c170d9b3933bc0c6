//! GUIDs, as UEFI stores them.

use core::fmt;

/// A GUID: 16 bytes, of which the first three fields are little-endian.
///
/// # Source
/// UEFI Specification, "GUID and Time Formats".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Makes a GUID of the number that its usual form spells, hyphens left out.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = number.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = rest;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// Returns the number that [`new`](Self::new) takes.
    #[must_use]
    pub const fn number(self) -> u128 {
        Self::new(u128::from_be_bytes(self.0)).as_stored()
    }

    const fn as_stored(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        let part = |shift: u32, digits: u32| number >> shift & ((1 << (4 * digits)) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 8),
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_guid_is_stored_as_uefi_says() {
        // The specification's EFI_GUID {0x12345678, 0x9ABC, 0xDEF0, {1, 2, 3, 4, 5, 6, 7, 8}}.
        let guid = Guid::new(0x1234_5678_9ABC_DEF0_0102_0304_0506_0708);
        assert_eq!(
            guid.0,
            [0x78, 0x56, 0x34, 0x12, 0xBC, 0x9A, 0xF0, 0xDE, 1, 2, 3, 4, 5, 6, 7, 8]
        );
        assert_eq!(guid.to_string(), "12345678-9abc-def0-0102-030405060708");
        assert_eq!(guid.number(), 0x1234_5678_9ABC_DEF0_0102_0304_0506_0708);
    }
}
