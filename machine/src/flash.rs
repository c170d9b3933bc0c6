//! Flash that the guest keeps variables in.

use chipset::{CfiFlash, FlashBus, FlashEffect, FlashGeometry, FlashGeometryError};
use guest_state::{Gpa, GpaRange};

use crate::backend::{Backend, Backing};

/// The blocks of the firmware's flash on a PC of QEMU's, for which OVMF is made.
const BLOCK_BYTES: u32 = 0x1000;
/// The most that is programmed at once: the write buffer.
const MOST_BYTES: usize = 256;

/// A bank of flash at its place. The backend has the array.
#[derive(Clone, Debug)]
pub(crate) struct FlashBank {
    range: GpaRange,
    chips: CfiFlash,
}

impl FlashBank {
    pub(crate) fn new(range: GpaRange) -> Result<Self, FlashGeometryError> {
        let size_bytes = u32::try_from(range.size_bytes()).unwrap_or(u32::MAX);
        let geometry = FlashGeometry::new(size_bytes, BLOCK_BYTES, FlashBus::X8)?;
        Ok(Self { range, chips: CfiFlash::new(geometry).with_ready_cleared() })
    }

    /// Tells whether an address is within.
    pub(crate) fn contains(&self, gpa: Gpa) -> bool {
        self.range.contains(gpa)
    }

    pub(crate) const fn reset(&mut self) {
        self.chips.reset();
    }

    /// Reads a byte, if it is one of its own.
    pub(crate) fn read(&self, gpa: Gpa, backend: &impl Backend) -> Option<u8> {
        let offset = self.offset(gpa)?;
        Some(self.chips.read(offset).unwrap_or_else(|| {
            // By the time that the guest's read came here, the array was shown again.
            let mut byte = [0xFF];
            backend.read_flash(gpa, &mut byte);
            byte[0]
        }))
    }

    /// Takes what of a write is its own, a cycle for each byte.
    pub(crate) fn write(&mut self, gpa: Gpa, data: &[u8], backend: &mut impl Backend) {
        let showed_array = self.chips.shows_array();
        for (byte, at) in data.iter().zip(0..) {
            let gpa = gpa.checked_add(at);
            if let Some(offset) = gpa.and_then(|gpa| self.offset(gpa)) {
                let effect = self.chips.write(offset, &[*byte]);
                apply(effect, self.range.start(), backend);
            }
        }
        if self.chips.shows_array() != showed_array {
            let backing = if showed_array { Backing::Device } else { Backing::Rom };
            backend.remap(self.range, backing);
        }
    }

    fn offset(&self, gpa: Gpa) -> Option<u32> {
        let offset = gpa.offset_from(self.range.start())?;
        u32::try_from(offset).ok().filter(|_| self.range.contains(gpa))
    }
}

/// Changes the array.
fn apply(effect: Option<FlashEffect<'_>>, start: Gpa, backend: &mut impl Backend) {
    match effect {
        None => {}
        Some(FlashEffect::Program { offset, bytes }) => {
            let mut array = [0; MOST_BYTES];
            let (Some(gpa), Some(array)) =
                (start.checked_add(offset.into()), array.get_mut(..bytes.len()))
            else {
                return;
            };
            backend.read_flash(gpa, array);
            FlashEffect::Program { offset: 0, bytes }.apply(array);
            backend.write_flash(gpa, array);
        }
        Some(FlashEffect::Erase { offset, .. }) => {
            if let Some(gpa) = start.checked_add(offset.into()) {
                backend.write_flash(gpa, &[0xFF; BLOCK_BYTES as usize]);
            }
        }
    }
}
