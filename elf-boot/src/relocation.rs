//! Images that need not lie where they were linked.

use boot_plan::{Request, Side};
use guest_state::{Gpa, GpaRange};

/// Where an image may lie instead of where it says, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relocation {
    /// On what boundary: a power of two.
    pub alignment: u64,
    /// What the whole image must lie in.
    pub within: GpaRange,
    /// Which end of that it wants to be at; `None` if it wants to be where it says.
    pub side: Option<Side>,
}

impl Relocation {
    pub(crate) fn request(&self, size_bytes: u64) -> Request {
        let side = self.side.unwrap_or_default();
        Request { size_bytes, alignment: self.alignment, within: self.within, side }
    }
}

/// Makes the range of 32-bit addresses from `least` to `last`; empty if there are none.
pub(crate) fn range_to(least: u32, last: u32) -> GpaRange {
    let end = Gpa::new(u64::from(last) + 1);
    GpaRange::from_bounds(Gpa::new(least.into()), end).unwrap_or_default()
}
