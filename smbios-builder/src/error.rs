//! What can be wrong with a description, or with bytes.

use guest_state::Gpa;

use crate::{Handle, StructureType, Version};

/// Why tables can't be built, placed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Tables are to follow a version that this crate doesn't know.
    #[error("SMBIOS version {version} is not between {} and {}", Version::OLDEST, Version::NEWEST)]
    UnsupportedVersion {
        /// The version.
        version: Version,
    },
    /// A structure was introduced by a later version than the tables follow.
    #[error("{kind} needs SMBIOS {since}, the tables follow {version}")]
    StructureTooNew {
        /// The structure's type.
        kind: StructureType,
        /// The version that introduced it.
        since: Version,
        /// The version that the tables follow.
        version: Version,
    },
    /// A value fits only in a field that a later version introduced.
    #[error("{kind}: value {value:#x} needs SMBIOS {since}, the tables follow {version}")]
    ValueTooNew {
        /// The structure's type.
        kind: StructureType,
        /// The value.
        value: u64,
        /// The version that can express it.
        since: Version,
        /// The version that the tables follow.
        version: Version,
    },
    /// A value fits in no field.
    #[error("{kind}: value {value:#x} is above {max:#x}")]
    ValueTooLarge {
        /// The structure's type.
        kind: StructureType,
        /// The value.
        value: u64,
        /// The largest that can be expressed.
        max: u64,
    },
    /// A size is not a multiple of the unit that its field counts in.
    #[error("{kind}: size of {size_bytes:#x} bytes is not a multiple of {unit_bytes:#x}")]
    Granularity {
        /// The structure's type.
        kind: StructureType,
        /// The size.
        size_bytes: u64,
        /// The unit.
        unit_bytes: u64,
    },
    /// A range of memory is empty.
    #[error("{kind}: range of memory at {start} is empty")]
    EmptyRange {
        /// The structure's type.
        kind: StructureType,
        /// Where the range starts.
        start: Gpa,
    },
    /// A string has a zero byte, which would end it.
    #[error("{kind}: string has a zero byte at {offset:#x}")]
    StringNul {
        /// The structure's type.
        kind: StructureType,
        /// Where in the string the byte is.
        offset: usize,
    },
    /// A structure has more strings than can be numbered.
    #[error("{kind}: more than 255 strings")]
    TooManyStrings {
        /// The structure's type.
        kind: StructureType,
    },
    /// A string that must not be empty is.
    #[error("{kind}: string {index} of a list is empty")]
    EmptyString {
        /// The structure's type.
        kind: StructureType,
        /// Its place in the list, from zero.
        index: usize,
    },
    /// A structure's formatted area is longer than its length field can say.
    #[error("{kind}: formatted area of {length:#x} bytes is longer than 0xff")]
    FormattedTooLong {
        /// The structure's type.
        kind: StructureType,
        /// Its length with header.
        length: usize,
    },
    /// A structure has more parts than its count can say.
    #[error("{kind}: {count} parts, at most {max} can be counted")]
    TooManyParts {
        /// The structure's type.
        kind: StructureType,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// There are more structures than handles.
    #[error("more than {max} structures")]
    TooManyStructures {
        /// How many there may be.
        max: usize,
    },
    /// A raw structure brings a handle that another has.
    #[error("two structures have handle {handle}")]
    DuplicateHandle {
        /// The handle.
        handle: Handle,
    },
    /// A raw structure brings a handle that is reserved.
    #[error("handle {handle} is above {}", Handle::LAST)]
    ReservedHandle {
        /// The handle.
        handle: Handle,
    },
    /// A structure refers to one that the table does not have.
    #[error("{kind} refers to handle {handle}, which no structure has")]
    DanglingHandle {
        /// The type of the structure that refers.
        kind: StructureType,
        /// The handle.
        handle: Handle,
    },
    /// A structure refers to one of another type than it must.
    #[error("{kind} refers to {handle}, which is {found} instead of {expected}")]
    WrongReference {
        /// The type of the structure that refers.
        kind: StructureType,
        /// The handle.
        handle: Handle,
        /// The type that it must be.
        expected: StructureType,
        /// The type that it is.
        found: StructureType,
    },
    /// A raw structure has a type that the table makes itself.
    #[error("{kind} is made by the table itself")]
    OwnStructure {
        /// The type.
        kind: StructureType,
    },
    /// A structure that describes the maker's own has a type below 128.
    #[error("{kind} is not of a type from 128 to 255")]
    NotOem {
        /// The type.
        kind: StructureType,
    },
    /// There is no processor, or they can't be spread evenly.
    #[error("{cpus} CPUs can't be spread over {sockets} sockets with {threads} threads a core")]
    Topology {
        /// How many logical processors there are.
        cpus: u32,
        /// How many sockets.
        sockets: u32,
        /// How many threads a core.
        threads: u32,
    },
    /// A platform has more levels of cache than a processor can refer to.
    #[error("{count} levels of cache, at most 3 can be described")]
    CacheLevels {
        /// How many there are.
        count: usize,
    },
    /// Text is no UUID.
    #[error("text of {length} bytes is no UUID of 8-4-4-4-12 hexadecimal digits")]
    Uuid {
        /// How long the text is.
        length: usize,
    },
    /// The table is longer than the entry point that was asked for can say.
    #[error("table of {length:#x} bytes is longer than {max:#x}, the most that {anchor} can say")]
    TableTooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        max: usize,
        /// The anchor of the entry point.
        anchor: &'static str,
    },
    /// The entry point that firmware accepts from fw_cfg for this version was not asked for.
    #[error("firmware takes tables of SMBIOS {version} only with an entry point {anchor}")]
    FwCfgAnchor {
        /// The version that the tables follow.
        version: Version,
        /// The anchor that is missing.
        anchor: &'static str,
    },
    /// The table is to be placed where its entry point can't point.
    #[error("table at {gpa} can't be reached by a pointer of {width_bytes} bytes")]
    Unreachable {
        /// The address.
        gpa: Gpa,
        /// The width of the pointer.
        width_bytes: u8,
    },
    /// Something is to be placed at an address that is not aligned.
    #[error("entry point can't be placed at {gpa}, which is not a multiple of 0x10")]
    Misaligned {
        /// The address.
        gpa: Gpa,
    },
    /// Bytes don't begin with the anchor of an entry point, or end before it does.
    #[error("{length:#x} bytes are no whole entry point")]
    EntryPoint {
        /// How many bytes there are.
        length: usize,
    },
    /// An entry point's bytes don't sum to zero.
    #[error("bytes of entry point {anchor} sum to {sum:#x}, not zero")]
    EntryPointChecksum {
        /// The anchor.
        anchor: &'static str,
        /// The sum, modulo 256.
        sum: u8,
    },
    /// A structure's formatted area or its strings reach past the end of the table.
    #[error("structure at {offset:#x} reaches past the end of the table")]
    StructureTruncated {
        /// Where it starts.
        offset: usize,
    },
    /// A structure's length field is less than its header.
    #[error("structure at {offset:#x} declares {length:#x} bytes, less than its header of 0x4")]
    StructureLength {
        /// Where it starts.
        offset: usize,
        /// What it declares.
        length: u8,
    },
    /// A structure is shorter than its type ever was.
    #[error("{kind} at {offset:#x} has {length:#x} bytes, at least {min:#x} are needed")]
    StructureTooShort {
        /// The structure's type.
        kind: StructureType,
        /// Where it starts.
        offset: usize,
        /// Its length.
        length: usize,
        /// The least.
        min: usize,
    },
    /// A structure is read as one of another type.
    #[error("structure at {offset:#x} is {found}, not {expected}")]
    WrongType {
        /// Where it starts.
        offset: usize,
        /// The type that it was read as.
        expected: StructureType,
        /// The type that it has.
        found: StructureType,
    },
}
