//! What Xen's hvmloader leaves for a BIOS: the BIOS itself, the memory map, and where both are told.

mod info;
mod leaves;
mod map;

use boot_plan::Placement;
use guest_state::{Gpa, GpaRange, VcpuState};

use crate::Error;
use crate::bios::check_size;

pub use info::{XenInfo, XenInfoReader};
pub use leaves::XenLeaves;
pub use map::XenMap;

const ONE_MIB: u64 = 1 << 20;
const LARGEST: usize = 0x4_0000;
/// Where the segment begins that the BIOS starts in.
const SEGMENT: u64 = 0xF_0000;

/// A BIOS where hvmloader puts it: the whole image below 1 MiB, as RAM, and nothing below 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XenBios<'a> {
    image: &'a [u8],
}

impl<'a> XenBios<'a> {
    /// The largest image that goes there.
    pub const MOST_BYTES: usize = LARGEST;

    /// Takes an image of 64 to 256 KiB. One of 256 KiB leaves no room for option ROMs.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::TooLarge`].
    pub const fn new(image: &'a [u8]) -> Result<Self, Error> {
        match check_size(image, LARGEST) {
            Ok(()) => Ok(Self { image }),
            Err(error) => Err(error),
        }
    }

    /// Returns the addresses that it takes.
    #[must_use]
    pub fn range(&self) -> GpaRange {
        let start = Gpa::new(ONE_MIB - self.image.len() as u64);
        GpaRange::from_bounds(start, Gpa::new(ONE_MIB)).unwrap_or_default()
    }

    /// Returns the image as RAM: the BIOS writes to itself without unlocking anything.
    #[must_use]
    pub fn placement(&self) -> Placement<'a> {
        Placement::borrowed("bios", self.range().start(), self.image)
    }

    /// Returns the state of the CPU that boots: as after a reset, but at F000:FFF0 in the first
    /// MiB, where hvmloader jumps to.
    ///
    /// `signature` is CPUID leaf 1, EAX.
    #[must_use]
    pub const fn start_state(&self, signature: u32) -> VcpuState {
        let mut state = VcpuState::reset(signature);
        state.cs.base = SEGMENT;
        state
    }
}
