//! Addresses that something has.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

/// A set of addresses, as ranges in order that don't touch.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<GpaRange>);

impl Ranges {
    pub(super) fn new(ranges: impl Iterator<Item = GpaRange>) -> Self {
        let mut sorted: Vec<_> = ranges.filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| range.start());
        let mut merged: Vec<GpaRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if last.end() >= range.start() => {
                    let end = last.end().max(range.end());
                    *last = GpaRange::from_bounds(last.start(), end).unwrap_or(*last);
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// Returns the first address of a range that is in the set.
    pub(super) fn first_in(&self, range: GpaRange) -> Option<Gpa> {
        let index = self.0.partition_point(|before| before.end() <= range.start());
        let found = self.0.get(index).filter(|found| found.overlaps(range))?;
        Some(found.start().max(range.start()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_in_common_is_found() {
        let range = |start, size| GpaRange::new(Gpa::new(start), size).unwrap_or_default();
        let ranges = [range(0x50, 0x10), range(0x10, 0x10), range(0x18, 0x10), range(0x30, 0)];
        let ranges = Ranges::new(ranges.into_iter());
        for (start, size, first) in [
            (0, 0x10, None),
            (0, 0x11, Some(0x10)),
            (0x1F, 0x100, Some(0x1F)),
            (0x20, 8, Some(0x20)),
            (0x28, 0x28, None),
            (0x28, 0x29, Some(0x50)),
            (0x60, u64::MAX - 0x60, None),
        ] {
            let found = ranges.first_in(range(start, size));
            assert_eq!(found, first.map(Gpa::new), "{start:#x}");
        }
    }
}
