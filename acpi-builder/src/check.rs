//! Checks that several descriptions make.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use crate::Error;

/// Checks that no range is empty and that no two have an address in common.
pub(crate) fn disjoint(field: &'static str, mut ranges: Vec<GpaRange>) -> Result<(), Error> {
    if let Some(empty) = ranges.iter().find(|range| range.is_empty()) {
        return Err(Error::EmptyRange { field, start: empty.start() });
    }
    ranges.sort_unstable_by_key(|range| range.start());
    for pair in ranges.windows(2) {
        if pair[0].overlaps(pair[1]) {
            return Err(Error::Overlap { field, gpa: pair[1].start() });
        }
    }
    Ok(())
}

/// Checks that no number is there twice.
pub(crate) fn unique(field: &'static str, numbers: impl Iterator<Item = u64>) -> Result<(), Error> {
    match duplicate(numbers) {
        Some(value) => Err(Error::Duplicate { field, value }),
        None => Ok(()),
    }
}

/// Returns a number that is there more than once.
pub(crate) fn duplicate<T: Ord + Copy>(numbers: impl Iterator<Item = T>) -> Option<T> {
    let mut sorted: Vec<T> = numbers.collect();
    sorted.sort_unstable();
    sorted.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]))
}

/// Checks that an address is a multiple of a power of two, and not zero.
pub(crate) fn aligned(field: &'static str, gpa: Gpa, alignment: u64) -> Result<(), Error> {
    if gpa == Gpa::ZERO || !gpa.is_aligned(alignment) {
        return Err(Error::Invalid { field, value: gpa.as_u64() });
    }
    Ok(())
}

/// Checks that a number fits into 16 bits.
pub(crate) fn word(field: &'static str, value: usize) -> Result<u16, Error> {
    u16::try_from(value).map_err(|_| too_large(field, value, u16::MAX.into()))
}

/// Checks that a number fits into 32 bits.
pub(crate) fn dword(field: &'static str, value: usize) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| too_large(field, value, u32::MAX.into()))
}

fn too_large(field: &'static str, value: usize, max: u64) -> Error {
    Error::OutOfRange { field, value: u64::try_from(value).unwrap_or(u64::MAX), max }
}
