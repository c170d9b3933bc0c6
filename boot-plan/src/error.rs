//! What can be wrong with a map, a layout or a plan.

use guest_state::{AccessError, Gpa, GpaRange, MemoryKind};

/// Why a map, a layout or a plan was refused. Owners and tags are the names that callers gave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A range is empty.
    #[error("empty range at {at}")]
    Empty {
        /// Where it begins.
        at: Gpa,
    },
    /// A range passes the end of the address space.
    #[error("{size_bytes:#x} bytes at {at} pass the end of the address space")]
    PastEnd {
        /// Where it begins.
        at: Gpa,
        /// Its length.
        size_bytes: u64,
    },
    /// Two ranges of a memory map overlap.
    #[error("memory map: {range} ({kind}) overlaps {other} ({other_kind})")]
    MapOverlap {
        /// The range that was to be added.
        range: GpaRange,
        /// Its kind.
        kind: MemoryKind,
        /// The range that is there.
        other: GpaRange,
        /// The kind of that.
        other_kind: MemoryKind,
    },
    /// A guest of this size can't be laid out.
    #[error("guest memory of {size_bytes:#x} bytes: needs between {least:#x} and {most:#x}")]
    MemorySize {
        /// What was asked for.
        size_bytes: u64,
        /// The least that will do.
        least: u64,
        /// The most that will do.
        most: u64,
    },
    /// Two owners want the same bytes.
    #[error("{owner} at {range} overlaps {other} at {other_range}")]
    Overlap {
        /// Who came second.
        owner: &'static str,
        /// What it wanted.
        range: GpaRange,
        /// Who was first.
        other: &'static str,
        /// What that has.
        other_range: GpaRange,
    },
    /// Something is to lie where the guest has no memory for it.
    #[error("{owner} at {range} is not in guest memory")]
    NotInMemory {
        /// Whose range it is.
        owner: &'static str,
        /// The range.
        range: GpaRange,
    },
    /// No gap is large enough.
    #[error("no room for {owner}: {size_bytes:#x} bytes, aligned to {alignment:#x}, in {within}")]
    NoRoom {
        /// Who asked.
        owner: &'static str,
        /// For how much.
        size_bytes: u64,
        /// On what boundary.
        alignment: u64,
        /// Where it had to be.
        within: GpaRange,
    },
    /// An alignment is not a power of two.
    #[error("{owner}: alignment {alignment:#x} is not a power of two")]
    Alignment {
        /// Who asked.
        owner: &'static str,
        /// For what alignment.
        alignment: u64,
    },
    /// A plan has no CPU to start.
    #[error("no virtual CPU")]
    NoVcpu,
    /// A CPU would start where nothing was placed.
    #[error("cpu {index} starts at {at}, where nothing is placed")]
    NothingToExecute {
        /// Which CPU.
        index: usize,
        /// The address of its first instruction.
        at: Gpa,
    },
    /// A CPU's registers lead nowhere: its first instruction has no physical address.
    #[error("cpu {index}: its first instruction can't be fetched")]
    EntryNotMapped {
        /// Which CPU.
        index: usize,
        /// Why.
        #[source]
        source: guest_state::WalkError,
    },
    /// Guest memory refused a placement.
    #[error("can't place {tag}")]
    Write {
        /// Which placement.
        tag: &'static str,
        /// What memory said.
        #[source]
        source: AccessError,
    },
}
