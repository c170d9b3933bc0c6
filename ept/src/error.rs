//! Why an edit was refused.

use guest_state::{Gpa, GpaRange, Gva, Hpa, MemoryType};

use crate::EptPermissions;

/// Why something was refused; the tables are as they were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The CPU can't do what was asked for.
    #[error("the CPU has no {0}")]
    Unsupported(Requirement),
    /// The range does not begin and end at multiples of 4 KiB.
    #[error("guest-physical range {0} is not made of whole 4 KiB pages")]
    Misaligned(GpaRange),
    /// The host-physical address is not a multiple of 4 KiB.
    #[error("host-physical address {0} is not a multiple of 4 KiB")]
    MisalignedHost(Hpa),
    /// The range ends behind what the tables can translate.
    #[error("guest-physical range {range} passes the width of {bits} bits")]
    PastGuestWidth {
        /// The range.
        range: GpaRange,
        /// How many address bits the tables translate.
        bits: u32,
    },
    /// The host-physical range passes MAXPHYADDR.
    #[error("{size_bytes:#x} bytes at host-physical {hpa} pass the width of {bits} bits")]
    PastHostWidth {
        /// Where the range begins.
        hpa: Hpa,
        /// How long it is.
        size_bytes: u64,
        /// MAXPHYADDR.
        bits: u32,
    },
    /// No entry may have these permissions: none at all, write without read, or execute alone on a
    /// CPU without execute-only pages.
    #[error("permissions {0} would misconfigure an entry")]
    Permissions(EptPermissions),
    /// EPT has no such memory type.
    #[error("memory type {0:?} would misconfigure an entry")]
    MemoryType(MemoryType),
    /// INVVPID takes canonical addresses only.
    #[error("guest-linear address {0} is not canonical")]
    NonCanonical(Gva),
    /// A page of this kind can't be mapped by an entry of that level.
    #[error("host-physical address {0} is not aligned to the page that the entry maps")]
    MisalignedPage(Hpa),
    /// There are not enough free frames for the tables that the edit needs.
    #[error("out of table frames: the edit needs {needed}")]
    OutOfFrames {
        /// How many it needs.
        needed: u64,
    },
    /// The allocator returned a frame that no entry can point to.
    #[error("allocated table frame {0} is not aligned or beyond the physical width")]
    BadFrame(Hpa),
    /// No page at this address is logged, or is to be copied.
    #[error("no page at {0} is write-protected for that")]
    NotProtected(Gpa),
    /// The table memory does not know a frame that an entry points to.
    #[error("no table memory at frame {0}, which an entry points to")]
    LostTable(Hpa),
}

/// Something that a CPU may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Requirement {
    /// EPT with tables of four levels.
    #[error("EPT page-walk length of 4")]
    FourLevels,
    /// EPT with tables of five levels.
    #[error("EPT page-walk length of 5")]
    FiveLevels,
    /// Tables in write-back or in uncacheable memory.
    #[error("usable memory type for EPT tables")]
    TableMemoryType,
    /// INVEPT with one of its two types.
    #[error("INVEPT")]
    Invept,
    /// Accessed and dirty flags for EPT.
    #[error("accessed and dirty flags for EPT")]
    AccessedDirty,
    /// Pages of this level.
    #[error("pages of this size at this level")]
    PageSize,
    /// INVVPID of a type that does what is wanted.
    #[error("INVVPID of that kind")]
    Invvpid,
    /// The supervisor shadow-stack control.
    #[error("supervisor shadow-stack control")]
    ShadowStack,
}
