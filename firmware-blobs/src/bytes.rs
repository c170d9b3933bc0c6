//! Reading numbers out of bytes that may end too soon.

/// Returns `N` bytes at `offset`, if they are there.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

/// Returns a number of three bytes.
pub(crate) fn u24_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let [a, b, c] = array(bytes, offset)?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

/// Returns where `size_bytes` bytes at `offset` end.
pub(crate) fn end(offset: usize, size_bytes: u32) -> Option<usize> {
    offset.checked_add(usize::try_from(size_bytes).ok()?)
}
