//! What can be wrong with contents and scripts.

use guest_state::Gpa;

use crate::{FileName, Key, Zone};

/// Why a device can't be filled, or a table-loader script not be read or run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file name is empty or longer than 55 bytes.
    #[error("file name of {length} bytes, not 1 to 55")]
    FileNameLength {
        /// How long it is.
        length: usize,
    },
    /// A file name has a byte that is not printable ASCII.
    #[error("file name with byte {byte:#04x}, which is not printable ASCII")]
    FileNameByte {
        /// The first such byte.
        byte: u8,
    },
    /// Two files have the same name.
    #[error("two files are named {name}")]
    DuplicateFile {
        /// The name of both.
        name: FileName,
    },
    /// A file has 4 GiB or more.
    #[error("file {name} has {length:#x} bytes, more than the directory can say")]
    FileTooLong {
        /// Its name.
        name: FileName,
        /// How long it is.
        length: usize,
    },
    /// There are more files than keys for them.
    #[error("more than {max:#x} files")]
    TooManyFiles {
        /// How many there may be.
        max: u16,
    },
    /// An item was given a key that the device itself uses, or that is a file's.
    #[error("key {key} is not free for an item")]
    ReservedKey {
        /// The key.
        key: Key,
    },
    /// Two items have the same key.
    #[error("two items have key {key}")]
    DuplicateKey {
        /// The key of both.
        key: Key,
    },
    /// A script's length is not a multiple of a command's.
    #[error("script of {length:#x} bytes, not a multiple of 0x80")]
    ScriptLength {
        /// How long it is.
        length: usize,
    },
    /// A script has a pointer whose width is not 1, 2, 4 or 8 bytes.
    #[error("pointer of {width_bytes} bytes, not 1, 2, 4 or 8")]
    PointerWidth {
        /// The width.
        width_bytes: u8,
    },
    /// A script asks for an alignment that is not a power of two.
    #[error("file {file} with alignment {alignment:#x}, not a power of two")]
    Alignment {
        /// The file.
        file: FileName,
        /// The alignment in bytes.
        alignment: u32,
    },
    /// A script asks for an unknown zone.
    #[error("file {file} for {zone}, which is neither high memory nor the F segment")]
    UnknownZone {
        /// The file.
        file: FileName,
        /// The zone.
        zone: Zone,
    },
    /// A script loads a file that isn't there.
    #[error("file {file} does not exist")]
    NoSuchFile {
        /// The file.
        file: FileName,
    },
    /// A script loads a file twice.
    #[error("file {file} is loaded twice")]
    LoadedTwice {
        /// The file.
        file: FileName,
    },
    /// A script works on a file that it has not loaded.
    #[error("file {file} is used before it is loaded")]
    NotLoaded {
        /// The file.
        file: FileName,
    },
    /// There is no place for a file, or not one that is aligned as asked and within 64 bits.
    #[error("no place for file {file}")]
    NoPlace {
        /// The file.
        file: FileName,
    },
    /// A field or a range is not within its file.
    #[error("{size_bytes:#x} bytes at {offset:#x} are not within file {file}")]
    OutsideFile {
        /// The file.
        file: FileName,
        /// Where the field starts.
        offset: u32,
        /// How long it is.
        size_bytes: u32,
    },
    /// A pointer doesn't point into its target file.
    #[error("pointer to {offset:#x} is not within file {target}")]
    OutsideTarget {
        /// The target file.
        target: FileName,
        /// The offset that the pointer holds.
        offset: u64,
    },
    /// A pointer's field can't hold the address.
    #[error("address {gpa} does not fit a pointer of {width_bytes} bytes")]
    PointerOverflow {
        /// The address.
        gpa: Gpa,
        /// The width of the field.
        width_bytes: u8,
    },
}
