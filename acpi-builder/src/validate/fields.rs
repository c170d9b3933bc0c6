//! Reading numbers from bytes that may not be there.

/// Little-endian reads at an offset.
pub(super) trait Fields {
    /// Returns the number of `size` bytes, at most eight, at `offset`.
    fn number(&self, offset: usize, size: usize) -> Option<u64>;

    fn byte(&self, offset: usize) -> Option<u8> {
        self.number(offset, 1).and_then(|number| u8::try_from(number).ok())
    }

    fn word(&self, offset: usize) -> Option<u16> {
        self.number(offset, 2).and_then(|number| u16::try_from(number).ok())
    }

    fn dword(&self, offset: usize) -> Option<u32> {
        self.number(offset, 4).and_then(|number| u32::try_from(number).ok())
    }

    fn qword(&self, offset: usize) -> Option<u64> {
        self.number(offset, 8)
    }
}

impl Fields for [u8] {
    fn number(&self, offset: usize, size: usize) -> Option<u64> {
        let bytes = self.get(offset..offset.checked_add(size)?)?;
        let mut whole = [0; 8];
        whole.get_mut(..size)?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(whole))
    }
}

/// Returns the sum of all bytes, modulo 256.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}
