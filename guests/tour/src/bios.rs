//! What the boot sector hands over.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What the boot sector leaves in memory for the tour.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct BiosInfo {
    /// Address of the E820 entries, 20 bytes each.
    pub e820: U32,
    /// Their number.
    pub e820_count: U32,
    /// Address of the command line, ended by a zero byte.
    pub command_line: U32,
    /// The drive that the BIOS booted from.
    pub drive: U32,
}
const _: () = assert!(size_of::<BiosInfo>() == 16);
