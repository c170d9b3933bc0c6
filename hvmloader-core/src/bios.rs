//! Placement of a flat BIOS image.

use boot_plan::{Placement, Protection};
use guest_state::{Gpa, VcpuState};

use crate::Error;

const GRANULE: usize = 0x1_0000;
const LARGEST: usize = 0x100_0000;
const LOW_BYTES: usize = 0x2_0000;
const FOUR_GIB: u64 = 1 << 32;
const ONE_MIB: u64 = 1 << 20;

/// A flat BIOS image whose last byte is the last one below 4 GiB: SeaBIOS, Bochs' BIOS, qboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bios<'a> {
    image: &'a [u8],
}

impl<'a> Bios<'a> {
    /// Takes an image of 64 KiB to 16 MiB.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::TooLarge`].
    pub const fn new(image: &'a [u8]) -> Result<Self, Error> {
        match check_size(image, LARGEST) {
            Ok(()) => Ok(Self { image }),
            Err(error) => Err(error),
        }
    }

    /// Returns the whole image at the top of 4 GiB, read-only, and its last 128 KiB (or all, if it
    /// is shorter) below 1 MiB, shadowed.
    #[must_use]
    pub fn placements(&self) -> [Placement<'a>; 2] {
        let (_, low) = self.image.split_at(self.image.len() - self.image.len().min(LOW_BYTES));
        let high_at = Gpa::new(FOUR_GIB - self.image.len() as u64);
        let low_at = Gpa::new(ONE_MIB - low.len() as u64);
        [
            Placement::borrowed("bios", high_at, self.image).protected(Protection::ReadOnly),
            Placement::borrowed("bios, low copy", low_at, low).protected(Protection::Shadowed),
        ]
    }

    /// Returns the state of the CPU that boots: reset, the first instruction 16 bytes below 4 GiB.
    ///
    /// `signature` is CPUID leaf 1, EAX.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "First Instruction Executed".
    #[must_use]
    pub const fn reset_state(&self, signature: u32) -> VcpuState {
        VcpuState::reset(signature)
    }
}

/// Checks that an image is of whole 64 KiB, some at least, and of `most` bytes at the most.
pub(crate) const fn check_size(image: &[u8], most: usize) -> Result<(), Error> {
    let size_bytes = image.len();
    if size_bytes == 0 || !size_bytes.is_multiple_of(GRANULE) {
        return Err(Error::Size { size_bytes });
    }
    if size_bytes > most {
        return Err(Error::TooLarge { size_bytes, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use alloc::vec;

    use boot_plan::{BootPlan, MemoryMap};

    use super::*;

    #[test]
    fn a_placed_bios_is_a_sound_plan() {
        for size in [0x1_0000, 0x2_0000, 0x4_0000] {
            let image = vec![0x90; size];
            let bios = Bios::new(&image).unwrap();
            let mut plan = BootPlan::new(MemoryMap::pc(16 << 20).unwrap());
            plan.placements.extend(bios.placements());
            plan.vcpus.push(bios.reset_state(0));
            plan.check().unwrap();
        }
    }

    #[test]
    fn the_low_copy_is_the_end_of_the_image() {
        let mut image = vec![0; 0x4_0000];
        image[0x2_0000] = 1;
        image[0x3_FFFF] = 2;
        let [high, low] = Bios::new(&image).unwrap().placements();
        assert_eq!(high.range().unwrap().end(), Gpa::new(0x1_0000_0000));
        assert_eq!(low.range().unwrap().end(), Gpa::new(0x10_0000));
        let low = low.contents.bytes().unwrap();
        assert_eq!((low.len(), low[0], low[0x1_FFFF]), (0x2_0000, 1, 2));
    }

    #[test]
    fn sizes_that_no_bios_has_are_refused() {
        for size in [0, 1, 0xFFFF, 0x1_0001] {
            assert_eq!(Bios::new(&vec![0; size]), Err(Error::Size { size_bytes: size }));
        }
        let large = vec![0; 0x101_0000];
        assert!(matches!(Bios::new(&large), Err(Error::TooLarge { .. })));
    }
}
