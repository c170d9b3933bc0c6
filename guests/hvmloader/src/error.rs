//! Why the guest can't be handed to its BIOS.

use guest_state::{AccessError, GpaRange};

/// Why the guest can't be handed to its BIOS.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The VMM brought no firmware.
    #[error("no module whose command line is \"firmware\"")]
    NoFirmware,
    /// The firmware is said to be where no memory is.
    #[error("the firmware is said to be at {range}, which is not memory")]
    FirmwareNotInMemory {
        /// Where.
        range: GpaRange,
    },
    /// The firmware is larger than a BIOS can be.
    #[error("the firmware has {size_bytes:#x} bytes, a BIOS has at most {most:#x}")]
    FirmwareTooLarge {
        /// The size of the firmware.
        size_bytes: u64,
        /// What a BIOS has.
        most: usize,
    },
    /// There is no memory at 1 MiB.
    #[error("the memory map has no memory at 1 MiB")]
    NoMemory,
    /// Something computed does not fit the machine.
    #[error(transparent)]
    Core(#[from] hvmloader_core::Error),
    /// The tables can't be built.
    #[error(transparent)]
    Tables(#[from] machine::Error),
    /// The memory map contradicts itself, or has no room.
    #[error(transparent)]
    Plan(#[from] boot_plan::Error),
    /// Memory can't be read or written.
    #[error(transparent)]
    Access(#[from] AccessError),
}
