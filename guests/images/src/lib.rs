#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod floppy;
mod tiny;

pub use floppy::{Error, FLOPPY_BYTES, tour_floppy};
pub use tiny::{Segment, pvh_kernel};

/// The tour guest: an ELF64 with a PVH note and a Multiboot header.
pub static TOUR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tour"));

/// The hvmloader: an ELF64 with a PVH note, which wants the firmware as its module `firmware`.
pub static HVMLOADER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hvmloader"));
