//! Parts of a file that may be shorter than it says.

use crate::Error;

/// Returns `size_bytes` of the file from `offset`; `what` is for the error.
pub(crate) fn part<'a>(
    file: &'a [u8],
    what: &'static str,
    offset: u64,
    size_bytes: u64,
) -> Result<&'a [u8], Error> {
    let end = offset.saturating_add(size_bytes);
    let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| file.get(start..end)).ok_or_else(|| truncated(file, what, end))
}

pub(crate) const fn truncated(file: &[u8], what: &'static str, end: u64) -> Error {
    Error::Truncated { what, end, size_bytes: file.len() as u64 }
}
