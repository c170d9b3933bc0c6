//! Room: free ranges of an address space, given out lowest first.

use alloc::vec::Vec;

use super::{PciFunction, PciPart};
use crate::Error;

/// What wants addresses, and what kind of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) function: PciFunction,
    pub(super) part: PciPart,
    pub(super) wish: Wish,
    pub(super) size: u64,
    pub(super) alignment: u64,
}

/// What kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Io,
    Memory32,
    Memory64,
    Prefetchable32,
    Prefetchable64,
}

impl Wish {
    pub(super) const fn is_64_bit(self) -> bool {
        matches!(self, Self::Memory64 | Self::Prefetchable64)
    }
}

impl Item {
    pub(super) const fn no_room(&self) -> Error {
        Error::PciNoRoom {
            function: self.function,
            part: self.part,
            size_bytes: self.size,
            alignment: self.alignment,
        }
    }
}

/// Sorts so that what comes first leaves no gap before what comes next, where all are powers of
/// two: by alignment, then by size, the largest first.
pub(super) fn sort(items: &mut [Item]) {
    items.sort_by_key(|item| {
        (core::cmp::Reverse((item.alignment, item.size)), item.function, item.part)
    });
}

/// The next multiple of the power of two `alignment`.
pub(super) const fn align_up(value: u64, alignment: u64) -> Option<u64> {
    match value.checked_add(alignment - 1) {
        Some(sum) => Some(sum & !(alignment - 1)),
        None => None,
    }
}

/// Free ranges, lowest first; the second number is the first address behind the range.
#[derive(Clone, Debug)]
pub(super) struct Room(Vec<(u64, u64)>);

impl Room {
    pub(super) fn new(start: u64, end: u64) -> Self {
        Self(if start < end { Vec::from([(start, end)]) } else { Vec::new() })
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, start: u64, end: u64) {
        let cut = |&(from, to): &(u64, u64)| {
            [(from, to.min(start)), (from.max(end), to)].into_iter().filter(|(from, to)| from < to)
        };
        if start < end {
            self.0 = self.0.iter().flat_map(cut).collect();
        }
    }

    /// Takes the lowest place where `item` fits.
    pub(super) fn take(&mut self, item: &Item) -> Result<u64, Error> {
        let place = |&(from, to): &(u64, u64)| {
            let start = align_up(from, item.alignment)?;
            (start.checked_add(item.size)? <= to).then_some(start)
        };
        let start = self.0.iter().find_map(place).ok_or(item.no_room())?;
        self.remove(start, start + item.size);
        Ok(start)
    }

    pub(super) fn size(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }
}
