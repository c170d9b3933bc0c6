//! The checksum that all of a BIOS' tables have.

/// Returns the byte that makes the sum of `bytes` and itself zero.
pub(crate) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}
