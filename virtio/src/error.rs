//! What a driver can do wrong.

use core::fmt;

use guest_state::{AccessError, Gpa};

/// Which part of a split virtqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RingPart {
    /// The descriptor table.
    Descriptors,
    /// The available ring, which the driver writes.
    Available,
    /// The used ring, which the device writes.
    Used,
}

impl fmt::Display for RingPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "descriptor table",
            Self::Available => "available ring",
            Self::Used => "used ring",
        })
    }
}

/// What a driver did wrong with a queue. The device needs a reset then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A ring or a buffer lies where the guest has no memory.
    #[error(transparent)]
    Memory(#[from] AccessError),
    /// A queue was enabled with a size that is no power of two, or more than the device allows.
    #[error("queue size {size}: not a power of two up to {most}")]
    QueueSize {
        /// The size.
        size: u16,
        /// The largest that the device allows.
        most: u16,
    },
    /// A part of a queue is not aligned, or reaches past 2^64 - 1.
    #[error("{part} at {gpa}: not aligned, or too far up")]
    RingAddress {
        /// Which part.
        part: RingPart,
        /// Where it is.
        gpa: Gpa,
    },
    /// The available ring claims more new chains than it has entries.
    #[error("available index {found:#x} is more than {size} ahead of {next:#x}")]
    AvailableIndex {
        /// The index that the device would take next.
        next: u16,
        /// The driver's index.
        found: u16,
        /// The number of entries.
        size: u16,
    },
    /// More chains are available than the device has given back.
    #[error("more than {size} chains in flight")]
    TooManyInFlight {
        /// The number of entries.
        size: u16,
    },
    /// A descriptor's number is not below the size of its table.
    #[error("descriptor {index} of a table of {entries}")]
    DescriptorIndex {
        /// The number.
        index: u16,
        /// How many descriptors the table has.
        entries: u32,
    },
    /// A chain has more buffers than the queue has entries: it may have no end.
    #[error("a chain of more than {size} descriptors")]
    ChainTooLong {
        /// The number of entries.
        size: u16,
    },
    /// A descriptor refers to an indirect table, and the driver has not accepted that feature.
    #[error("an indirect table without the feature")]
    IndirectNotNegotiated,
    /// An indirect table has a descriptor of another indirect table.
    #[error("an indirect table within an indirect table")]
    NestedIndirect,
    /// A descriptor of an indirect table has a successor.
    #[error("a descriptor of an indirect table with a next one")]
    IndirectWithNext,
    /// An indirect table is empty, or not made of whole descriptors.
    #[error("an indirect table of {size_bytes:#x} bytes")]
    IndirectSize {
        /// Its size.
        size_bytes: u32,
    },
    /// A buffer that the device reads comes after one that it writes.
    #[error("a readable buffer behind a writable one")]
    ReadableAfterWritable,
    /// A buffer reaches past 2^64 - 1.
    #[error("a buffer of {size_bytes:#x} bytes at {gpa}, past the last address")]
    BufferAddress {
        /// Where it begins.
        gpa: Gpa,
        /// How long it is.
        size_bytes: u32,
    },
    /// The buffers of a chain have more than 2^32 - 1 bytes.
    #[error("a chain of more than 0xffffffff bytes")]
    ChainBytes,
    /// A chain has less room than its request takes.
    #[error("a chain with {size_bytes:#x} bytes for the {least:#x} that a request takes")]
    TooShort {
        /// How much there is.
        size_bytes: u64,
        /// How much it takes.
        least: u64,
    },
}
