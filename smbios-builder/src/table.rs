//! All structures of a machine in one table, and the entry points that lead to it.

use alloc::vec::Vec;
use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::anchor::Anchor;
use crate::encoder::HEADER_BYTES;
use crate::spec::Header;
use crate::{Describe, Encoder, Error, Handle, RawStructure, Ref, StructureType, Version};

/// How many handles there are.
const MAX_STRUCTURES: usize = Handle::LAST.0 as usize + 1;

/// Which entry points a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EntryPoints {
    /// `_SM3_`, and `_SM_` too if the table fits.
    #[default]
    Fitting,
    /// `_SM_` alone: what systems before 2015 look for. The table is at most 64 KiB - 1.
    Bits32,
    /// `_SM3_` alone.
    Bits64,
    /// Both, or an error if the table doesn't fit.
    Both,
}

/// Collects the structures of a table.
///
/// Handles are given in the order of adding. A structure can only refer to one that was added
/// before, since there is no other way to a [`Ref`].
#[derive(Clone, Debug)]
pub struct TableBuilder {
    version: Version,
    bytes: Vec<u8>,
    /// The type of each structure by its handle.
    kinds: Vec<Option<StructureType>>,
    /// No handle below this is free.
    next: usize,
    count: usize,
    largest: usize,
    /// Kept for its capacity.
    strings: Vec<u8>,
}

impl TableBuilder {
    /// Starts a table that follows a version of the specification.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`].
    pub fn new(version: Version) -> Result<Self, Error> {
        version.check()?;
        Ok(Self {
            version,
            bytes: Vec::new(),
            kinds: Vec::new(),
            next: 0,
            count: 0,
            largest: 0,
            strings: Vec::new(),
        })
    }

    /// Returns the version that the table follows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Adds a structure.
    ///
    /// # Errors
    /// - [`Error::StructureTooNew`], [`Error::ValueTooNew`]: the table's version doesn't have it.
    /// - [`Error::DanglingHandle`], [`Error::WrongReference`]: it refers to what is not there.
    /// - [`Error::StringNul`], [`Error::EmptyString`], [`Error::TooManyStrings`]: its strings.
    /// - [`Error::ValueTooLarge`], [`Error::Granularity`], [`Error::EmptyRange`],
    ///   [`Error::TooManyParts`], [`Error::FormattedTooLong`]: its values can't be expressed.
    /// - [`Error::TooManyStructures`]: there is no handle left.
    pub fn add<S: Describe>(&mut self, structure: &S) -> Result<Ref<S>, Error> {
        let (kind, since, version) = (S::TYPE, S::SINCE, self.version);
        if version < since {
            return Err(Error::StructureTooNew { kind, since, version });
        }
        let handle = self.free_handle()?;
        self.append(kind, handle, |encoder| structure.encode(encoder))?;
        Ok(Ref::to_raw(handle))
    }

    /// Adds a structure as it is. What it refers to is its maker's care.
    ///
    /// # Errors
    /// - [`Error::OwnStructure`]: it is the end of the table.
    /// - [`Error::DuplicateHandle`], [`Error::ReservedHandle`]: it can't keep its handle.
    /// - [`Error::EmptyString`], [`Error::StringNul`], [`Error::TooManyStrings`],
    ///   [`Error::FormattedTooLong`], [`Error::TooManyStructures`]: as for [`add`](Self::add).
    pub fn add_raw(&mut self, structure: &RawStructure) -> Result<Handle, Error> {
        let kind = structure.kind;
        if kind == StructureType::END_OF_TABLE {
            return Err(Error::OwnStructure { kind });
        }
        let handle = match structure.handle {
            None => self.free_handle()?,
            Some(handle) if handle > Handle::LAST => return Err(Error::ReservedHandle { handle }),
            Some(handle) if self.has(usize::from(handle.0)) => {
                return Err(Error::DuplicateHandle { handle });
            }
            Some(handle) => handle,
        };
        self.append(kind, handle, |encoder| structure.encode(encoder))?;
        Ok(handle)
    }

    /// Ends the table and makes its entry points.
    ///
    /// # Errors
    /// [`Error::TableTooLong`] if an entry point that was asked for can't say how long it is,
    /// [`Error::TooManyStructures`] if no handle is left for its end.
    pub fn finish(mut self, entry_points: EntryPoints) -> Result<SmbiosTables, Error> {
        let end = self.free_handle()?;
        self.append(StructureType::END_OF_TABLE, end, |_| Ok(()))?;
        let length = self.bytes.len();
        let fits = u16::try_from(length).is_ok();
        let (bits_32, bits_64) = match entry_points {
            EntryPoints::Fitting => (fits, true),
            EntryPoints::Bits32 => (true, false),
            EntryPoints::Bits64 => (false, true),
            EntryPoints::Both => (true, true),
        };
        let entry_point_32 = bits_32
            .then(|| Anchor::bits_32(self.version, length, self.count, self.largest))
            .transpose()?;
        let entry_point_64 = bits_64.then(|| Anchor::bits_64(self.version, length)).transpose()?;
        let (version, table) = (self.version, self.bytes);
        Ok(SmbiosTables { version, entry_point_32, entry_point_64, table })
    }

    fn has(&self, handle: usize) -> bool {
        self.kinds.get(handle).copied().flatten().is_some()
    }

    /// Finds the lowest handle that no structure has.
    fn free_handle(&mut self) -> Result<Handle, Error> {
        while self.has(self.next) {
            self.next += 1;
        }
        let handle = u16::try_from(self.next).map(Handle).ok();
        let too_many = Error::TooManyStructures { max: MAX_STRUCTURES };
        handle.filter(|&handle| handle <= Handle::LAST).ok_or(too_many)
    }

    /// Appends a structure whole, or leaves the table as it was.
    fn append(
        &mut self,
        kind: StructureType,
        handle: Handle,
        encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = self.bytes.len();
        let header = Header { kind: kind.0, length: 0, handle: handle.0.into() };
        self.bytes.extend_from_slice(header.as_bytes());
        self.strings.clear();
        let mut encoder = Encoder {
            kind,
            version: self.version,
            kinds: &self.kinds,
            bytes: &mut self.bytes,
            strings: &mut self.strings,
            string_count: 0,
        };
        if let Err(error) = encode(&mut encoder).and_then(|()| encoder.finish(start)) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let index = usize::from(handle.0);
        if self.kinds.len() <= index {
            self.kinds.resize(index + 1, None);
        }
        self.kinds[index] = Some(kind);
        self.count += 1;
        self.largest = self.largest.max(self.bytes.len() - start);
        Ok(())
    }
}

/// A table with its entry points, complete but for their address.
///
/// [`at`](Self::at) gives bytes for a place in memory, [`fw_cfg_files`](Self::fw_cfg_files) what a
/// firmware takes to place them itself, [`dump`](Self::dump) a file that dmidecode reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmbiosTables {
    version: Version,
    entry_point_32: Option<Anchor>,
    entry_point_64: Option<Anchor>,
    table: Vec<u8>,
}

/// The bytes for one place in memory.
///
/// An entry point goes to any multiple of 16; a guest without UEFI looks for it at
/// 0xf0000-0xfffff. The table goes to the address that it was placed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedSmbios {
    /// The entry point `_SM_`, 31 bytes.
    pub entry_point_32: Option<Vec<u8>>,
    /// The entry point `_SM3_`, 24 bytes.
    pub entry_point_64: Option<Vec<u8>>,
    /// The structures.
    pub table: Vec<u8>,
}

/// What a firmware takes from fw_cfg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FwCfgFiles<'a> {
    /// The contents of `etc/smbios/smbios-anchor`.
    pub anchor: Vec<u8>,
    /// The contents of `etc/smbios/smbios-tables`.
    pub tables: &'a [u8],
}

impl FwCfgFiles<'_> {
    /// The name of the file with the entry point.
    pub const ANCHOR: &'static str = "etc/smbios/smbios-anchor";
    /// The name of the file with the structures.
    pub const TABLES: &'static str = "etc/smbios/smbios-tables";
}

impl SmbiosTables {
    /// The alignment that an entry point needs, in bytes. The table needs none.
    pub const ENTRY_POINT_ALIGNMENT: u64 = 16;

    /// Where the table starts in a [`dump`](Self::dump) and in an [`image`](Self::image) with one
    /// entry point.
    const TABLE_OFFSET: usize = 32;

    /// Returns the version that the table follows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the structures: they have no pointers, so these bytes are final.
    #[must_use]
    pub fn table(&self) -> &[u8] {
        &self.table
    }

    /// Returns the bytes for a table that lies at `table`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if there is an entry point `_SM_` and the table is not below 4 GiB.
    pub fn at(&self, table: Gpa) -> Result<PlacedSmbios, Error> {
        let place = |anchor: Anchor| anchor.placed(table);
        Ok(PlacedSmbios {
            entry_point_32: self.entry_point_32.map(place).transpose()?,
            entry_point_64: self.entry_point_64.map(place).transpose()?,
            table: self.table.clone(),
        })
    }

    /// Returns entry points and table in one piece for `base`, such as 0xf0000.
    ///
    /// # Errors
    /// [`Error::Misaligned`] if `base` is not a multiple of 16, [`Error::Unreachable`] as for
    /// [`at`](Self::at).
    pub fn image(&self, base: Gpa) -> Result<Vec<u8>, Error> {
        if !base.is_aligned(Self::ENTRY_POINT_ALIGNMENT) {
            return Err(Error::Misaligned { gpa: base });
        }
        let anchors = [self.entry_point_64, self.entry_point_32].into_iter().flatten();
        // Each entry point takes 32 bytes, and no more than two are there.
        let before = anchors.clone().map(|_| Self::TABLE_OFFSET).sum::<usize>();
        let offset = u64::try_from(before).unwrap_or(u64::MAX);
        let unreachable = Error::Unreachable { gpa: base, width_bytes: 8 };
        let table = base.checked_add(offset).ok_or(unreachable)?;
        let mut bytes = Vec::with_capacity(before + self.table.len());
        for anchor in anchors {
            let end = bytes.len() + Self::TABLE_OFFSET;
            bytes.extend_from_slice(&anchor.placed(table)?);
            bytes.resize(end, 0);
        }
        bytes.extend_from_slice(&self.table);
        Ok(bytes)
    }

    /// Returns the two files that SeaBIOS and OVMF take.
    ///
    /// OVMF takes an `_SM_` only of version 2 and an `_SM3_` only of version 3, and both firmwares
    /// take an entry point only if it says the exact size of the other file. They fill in address
    /// and checksums; the checksums here are right for address zero.
    ///
    /// # Errors
    /// [`Error::FwCfgAnchor`] if the entry point that goes with the version was not asked for.
    pub fn fw_cfg_files(&self) -> Result<FwCfgFiles<'_>, Error> {
        let (entry_point, anchor) = match self.version.major {
            2 => (self.entry_point_32, "_SM_"),
            _ => (self.entry_point_64, "_SM3_"),
        };
        let missing = Error::FwCfgAnchor { version: self.version, anchor };
        let anchor = entry_point.ok_or(missing)?.placed(Gpa::ZERO)?;
        Ok(FwCfgFiles { anchor, tables: &self.table })
    }

    /// Returns a file in dmidecode's format (`--from-dump`): one entry point, and the table at
    /// offset 32. The entry point is `_SM3_` if there is one.
    ///
    /// # Errors
    /// [`Error::Unreachable`], which can't happen at this offset.
    pub fn dump(&self) -> Result<Vec<u8>, Error> {
        self.dump_with(self.entry_point_64.or(self.entry_point_32))
    }

    /// As [`dump`](Self::dump), with the entry point `_SM_` if there is one.
    ///
    /// # Errors
    /// As for [`dump`](Self::dump).
    pub fn dump_32(&self) -> Result<Vec<u8>, Error> {
        self.dump_with(self.entry_point_32.or(self.entry_point_64))
    }

    fn dump_with(&self, anchor: Option<Anchor>) -> Result<Vec<u8>, Error> {
        let mut bytes = match anchor {
            Some(anchor) => anchor.placed(Gpa::new(32))?,
            None => Vec::new(),
        };
        bytes.resize(Self::TABLE_OFFSET, 0);
        bytes.extend_from_slice(&self.table);
        Ok(bytes)
    }
}

const _: () = assert!(HEADER_BYTES == size_of::<Header>());
