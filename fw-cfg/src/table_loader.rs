//! The script by which firmware places tables: what it says.

use alloc::vec::Vec;
use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::spec::{self, COMMAND_BYTES, command};
use crate::{Error, FileName};

/// Where in memory a file goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Zone(pub u8);

impl Zone {
    /// Anywhere below 4 GiB.
    pub const HIGH: Self = Self(1);
    /// 0xf0000 to 0xfffff, where guests scan.
    pub const F_SEGMENT: Self = Self(2);
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::HIGH => f.pad("high memory"),
            Self::F_SEGMENT => f.pad("the F segment"),
            Self(number) => write!(f, "zone {number}"),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.0)
    }
}

/// How many bytes a pointer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointerWidth {
    /// One.
    Bytes1,
    /// Two.
    Bytes2,
    /// Four.
    Bytes4,
    /// Eight.
    Bytes8,
}

impl PointerWidth {
    /// Returns the width as a number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        match self {
            Self::Bytes1 => 1,
            Self::Bytes2 => 2,
            Self::Bytes4 => 4,
            Self::Bytes8 => 8,
        }
    }
}

impl TryFrom<u8> for PointerWidth {
    type Error = Error;

    fn try_from(width_bytes: u8) -> Result<Self, Error> {
        Ok(match width_bytes {
            1 => Self::Bytes1,
            2 => Self::Bytes2,
            4 => Self::Bytes4,
            8 => Self::Bytes8,
            _ => return Err(Error::PointerWidth { width_bytes }),
        })
    }
}

/// A request to load a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Allocation {
    /// The file.
    pub file: FileName,
    /// Its alignment in bytes, a power of two.
    pub alignment: u32,
    /// Where it goes.
    pub zone: Zone,
}

/// A field that holds an offset into a file, and is to hold the address of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PointerField {
    /// Where in its own file the field is, in bytes.
    pub offset: u32,
    /// How wide it is.
    pub width: PointerWidth,
    /// The file that it points into.
    pub target: FileName,
}

/// A byte that is to make a range sum to zero; zero before, if it lies within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChecksumField {
    /// Where in its file the byte is.
    pub offset: u32,
    /// Where the range starts.
    pub start: u32,
    /// How long the range is, in bytes.
    pub size_bytes: u32,
}

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Command {
    /// Load a file.
    Allocate(Allocation),
    /// Add a loaded file's address to a field of a loaded file.
    AddPointer {
        /// The file that has the field.
        file: FileName,
        /// The field.
        field: PointerField,
    },
    /// Compute a checksum in a loaded file.
    AddChecksum {
        /// The file.
        file: FileName,
        /// The byte and its range.
        field: ChecksumField,
    },
    /// Tell the host a loaded file's address, by writing it to a file of the device.
    WritePointer {
        /// The file to write to, and where.
        file: FileName,
        /// The field to write, and the file whose address it gets.
        field: PointerField,
        /// What to add to the address.
        target_offset: u32,
    },
    /// A command that firmware doesn't know and skips; 0 is padding.
    Unknown(u32),
}

/// A file and what must be done to it once it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderFile {
    /// The file and where it goes.
    pub allocation: Allocation,
    /// Its pointers.
    pub pointers: Vec<PointerField>,
    /// Its checksums, in the order in which to compute them.
    pub checksums: Vec<ChecksumField>,
}

/// The contents of `etc/table-loader`: steps that load files, link them and seal them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    commands: Vec<Command>,
}

impl Script {
    /// Makes a script of any commands.
    #[must_use]
    pub fn new(commands: Vec<Command>) -> Self {
        Self { commands }
    }

    /// Makes the script that places some files: it loads all, links all, then seals all, so that
    /// every address is known where it is added and every byte is final where it is summed.
    #[must_use]
    pub fn placing(files: &[LoaderFile]) -> Self {
        let allocations = files.iter().map(|file| Command::Allocate(file.allocation));
        let pointers = files.iter().flat_map(|loaded| {
            let file = loaded.allocation.file;
            let fields = loaded.pointers.iter();
            fields.map(move |&field| Command::AddPointer { file, field })
        });
        let checksums = files.iter().flat_map(|loaded| {
            let file = loaded.allocation.file;
            let fields = loaded.checksums.iter();
            fields.map(move |&field| Command::AddChecksum { file, field })
        });
        Self::new(allocations.chain(pointers).chain(checksums).collect())
    }

    /// Returns the steps.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Encodes the script, 128 bytes a command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.commands.len() * COMMAND_BYTES);
        for step in &self.commands {
            let end = bytes.len() + COMMAND_BYTES;
            step.append_to(&mut bytes);
            bytes.resize(end, 0);
        }
        bytes
    }

    /// Decodes a script.
    ///
    /// # Errors
    /// - [`Error::ScriptLength`]: the bytes are not a number of whole commands.
    /// - [`Error::FileNameLength`], [`Error::FileNameByte`]: a file's name is none.
    /// - [`Error::PointerWidth`]: a pointer has no width that pointers have.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (steps, rest) = bytes.as_chunks::<COMMAND_BYTES>();
        if !rest.is_empty() {
            let length = bytes.len();
            return Err(Error::ScriptLength { length });
        }
        let commands = steps.iter().map(Command::decode);
        Ok(Self::new(commands.collect::<Result<_, _>>()?))
    }
}

impl Command {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        let mut append = |number: u32, body: &[u8]| {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(body);
        };
        match *self {
            Self::Allocate(allocation) => {
                let body = spec::Allocate {
                    file: allocation.file.as_field(),
                    alignment: allocation.alignment.into(),
                    zone: allocation.zone.0,
                };
                append(command::ALLOCATE, body.as_bytes());
            }
            Self::AddPointer { file, field } => {
                let body = spec::AddPointer {
                    file: file.as_field(),
                    target: field.target.as_field(),
                    offset: field.offset.into(),
                    width_bytes: field.width.bytes(),
                };
                append(command::ADD_POINTER, body.as_bytes());
            }
            Self::AddChecksum { file, field } => {
                let body = spec::AddChecksum {
                    file: file.as_field(),
                    offset: field.offset.into(),
                    start: field.start.into(),
                    size_bytes: field.size_bytes.into(),
                };
                append(command::ADD_CHECKSUM, body.as_bytes());
            }
            Self::WritePointer { file, field, target_offset } => {
                let body = spec::WritePointer {
                    file: file.as_field(),
                    target: field.target.as_field(),
                    offset: field.offset.into(),
                    target_offset: target_offset.into(),
                    width_bytes: field.width.bytes(),
                };
                append(command::WRITE_POINTER, body.as_bytes());
            }
            Self::Unknown(number) => append(number, &[]),
        }
    }

    fn decode(bytes: &[u8; COMMAND_BYTES]) -> Result<Self, Error> {
        let [a, b, c, d, body @ ..] = bytes;
        match u32::from_le_bytes([*a, *b, *c, *d]) {
            command::ALLOCATE => {
                let body: spec::Allocate = prefix(body);
                Ok(Self::Allocate(Allocation {
                    file: FileName::from_field(&body.file)?,
                    alignment: body.alignment.get(),
                    zone: Zone(body.zone),
                }))
            }
            command::ADD_POINTER => {
                let body: spec::AddPointer = prefix(body);
                Ok(Self::AddPointer {
                    file: FileName::from_field(&body.file)?,
                    field: PointerField {
                        offset: body.offset.get(),
                        width: body.width_bytes.try_into()?,
                        target: FileName::from_field(&body.target)?,
                    },
                })
            }
            command::ADD_CHECKSUM => {
                let body: spec::AddChecksum = prefix(body);
                Ok(Self::AddChecksum {
                    file: FileName::from_field(&body.file)?,
                    field: ChecksumField {
                        offset: body.offset.get(),
                        start: body.start.get(),
                        size_bytes: body.size_bytes.get(),
                    },
                })
            }
            command::WRITE_POINTER => {
                let body: spec::WritePointer = prefix(body);
                Ok(Self::WritePointer {
                    file: FileName::from_field(&body.file)?,
                    field: PointerField {
                        offset: body.offset.get(),
                        width: body.width_bytes.try_into()?,
                        target: FileName::from_field(&body.target)?,
                    },
                    target_offset: body.target_offset.get(),
                })
            }
            number => Ok(Self::Unknown(number)),
        }
    }
}

/// Reads what stands first in a command's body.
fn prefix<T>(body: &[u8; COMMAND_BYTES - 4]) -> T
where
    T: FromBytes + Immutable + IntoBytes + KnownLayout + Unaligned,
{
    const { assert!(size_of::<T>() <= COMMAND_BYTES - 4) };
    let mut value = T::new_zeroed();
    value.as_mut_bytes().copy_from_slice(&body[..size_of::<T>()]);
    value
}
