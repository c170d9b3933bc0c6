//! Why bytes are not what they seem.

use crate::Guid;

/// Why an image, or a structure in it, can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image has no byte.
    #[error("the image is empty")]
    Empty,
    /// The image is none of the known kinds.
    #[error("no known firmware: {size_bytes:#x} bytes that begin with {start:#010x}")]
    Unknown {
        /// How long it is.
        size_bytes: usize,
        /// Its first bytes, as a little-endian number; bytes that it does not have are 0.
        start: u32,
    },
    /// A structure ends behind the image.
    #[error("{what} at {offset:#x} does not end within the image")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it begins.
        offset: usize,
    },
    /// A structure has a length that can't be.
    #[error("{what} at {offset:#x} with a length of {length:#x}")]
    Length {
        /// The structure.
        what: &'static str,
        /// Where it begins.
        offset: usize,
        /// The length that it gives.
        length: u64,
    },
    /// A checksum is wrong.
    #[error("{what} at {offset:#x} adds up to {sum:#x}, not to 0")]
    Checksum {
        /// The structure.
        what: &'static str,
        /// Where it begins.
        offset: usize,
        /// The sum.
        sum: u16,
    },
    /// A structure does not begin as it should.
    #[error("no {what} at {offset:#x}")]
    Signature {
        /// The structure.
        what: &'static str,
        /// Where it should begin.
        offset: usize,
    },
    /// A structure has a version that is not known.
    #[error("{what} of version {version}")]
    Version {
        /// The structure.
        what: &'static str,
        /// The version that it gives.
        version: u32,
    },
    /// The image has no entry of this GUID in its table.
    #[error("no entry {guid} in the GUID table")]
    NoEntry {
        /// The GUID.
        guid: Guid,
    },
}
