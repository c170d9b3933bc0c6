//! The script by which firmware places tables: what firmware does with it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use guest_state::Gpa;

use crate::table_loader::{Allocation, ChecksumField, Command, PointerField, Script};
use crate::{Error, FileName, FwCfg, PointerWidth, Zone};

/// A file where the script has placed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// Its name.
    pub name: FileName,
    /// Where it lies.
    pub gpa: Gpa,
    /// What lies there, with pointers and checksums done.
    pub bytes: Vec<u8>,
}

/// An address that the script tells the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PointerWrite {
    /// The file of the device to write to.
    pub file: FileName,
    /// Where in it, in bytes.
    pub offset: u32,
    /// How wide.
    pub width: PointerWidth,
    /// The address.
    pub gpa: Gpa,
}

/// What a script has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedFiles {
    /// The files in guest memory, by ascending name.
    pub files: Vec<LoadedFile>,
    /// What it tells the host, in the script's order.
    pub writes: Vec<PointerWrite>,
}

impl Script {
    /// Does what firmware does with the script, on copies of the device's files.
    ///
    /// `place` chooses an address for a file of so many bytes, as firmware's allocator would, or
    /// `None` if it has no room.
    ///
    /// # Errors
    /// - [`Error::NoSuchFile`], [`Error::LoadedTwice`], [`Error::NotLoaded`]: a file is missing or
    ///   used out of turn.
    /// - [`Error::Alignment`], [`Error::UnknownZone`], [`Error::NoPlace`]: a file has no place.
    /// - [`Error::OutsideFile`], [`Error::OutsideTarget`], [`Error::PointerOverflow`]: a pointer or
    ///   a checksum can't be right.
    pub fn run(
        &self,
        device: &FwCfg<'_>,
        mut place: impl FnMut(&Allocation, usize) -> Option<Gpa>,
    ) -> Result<LoadedFiles, Error> {
        let mut loaded = Loaded::default();
        let mut writes = Vec::new();
        for command in self.commands() {
            match *command {
                Command::Allocate(allocation) => {
                    loaded.allocate(&allocation, device, &mut place)?;
                }
                Command::AddPointer { file, field } => loaded.add_pointer(file, &field)?,
                Command::AddChecksum { file, field } => loaded.add_checksum(file, &field)?,
                Command::WritePointer { file, field, target_offset } => {
                    let contents = device.file(file.as_str());
                    let contents = contents.ok_or(Error::NoSuchFile { file })?;
                    range(file, contents, field.offset, field.width.bytes().into())?;
                    writes.push(PointerWrite {
                        file,
                        offset: field.offset,
                        width: field.width,
                        gpa: loaded.address(&field, target_offset.into())?,
                    });
                }
                Command::Unknown(_) => {}
            }
        }
        let files = loaded.0.into_values().collect();
        Ok(LoadedFiles { files, writes })
    }
}

/// The files loaded so far.
#[derive(Default)]
struct Loaded(BTreeMap<FileName, LoadedFile>);

impl Loaded {
    fn allocate(
        &mut self,
        allocation: &Allocation,
        device: &FwCfg<'_>,
        place: &mut impl FnMut(&Allocation, usize) -> Option<Gpa>,
    ) -> Result<(), Error> {
        let Allocation { file, alignment, zone } = *allocation;
        if !alignment.is_power_of_two() {
            return Err(Error::Alignment { file, alignment });
        }
        if ![Zone::HIGH, Zone::F_SEGMENT].contains(&zone) {
            return Err(Error::UnknownZone { file, zone });
        }
        if self.0.contains_key(&file) {
            return Err(Error::LoadedTwice { file });
        }
        let contents = device.file(file.as_str());
        let bytes = contents.ok_or(Error::NoSuchFile { file })?.to_vec();
        let gpa = place(allocation, bytes.len())
            .filter(|gpa| gpa.is_aligned(alignment.into()))
            .filter(|gpa| gpa.checked_add(bytes.len() as u64).is_some())
            .ok_or(Error::NoPlace { file })?;
        let name = file;
        self.0.insert(file, LoadedFile { name, gpa, bytes });
        Ok(())
    }

    fn get(&mut self, file: FileName) -> Result<&mut LoadedFile, Error> {
        self.0.get_mut(&file).ok_or(Error::NotLoaded { file })
    }

    /// Returns the address of `offset` in the field's target, which must fit the field.
    fn address(&mut self, field: &PointerField, offset: u64) -> Result<Gpa, Error> {
        let target = self.get(field.target)?;
        if offset >= target.bytes.len() as u64 {
            return Err(Error::OutsideTarget { target: field.target, offset });
        }
        // Within the file, whose end has an address.
        let gpa = Gpa::new(target.gpa.as_u64() + offset);
        let width_bytes = field.width.bytes();
        let fits = match field.width {
            PointerWidth::Bytes8 => true,
            _ => gpa.as_u64() >> (8 * width_bytes) == 0,
        };
        if fits { Ok(gpa) } else { Err(Error::PointerOverflow { gpa, width_bytes }) }
    }

    fn add_pointer(&mut self, file: FileName, field: &PointerField) -> Result<(), Error> {
        let width = field.width.bytes();
        let contents = &self.get(file)?.bytes;
        let range = range(file, contents, field.offset, width.into())?;
        let mut offset = [0; 8];
        offset[..range.len()].copy_from_slice(&contents[range.clone()]);
        let gpa = self.address(field, u64::from_le_bytes(offset))?;
        let address = gpa.as_u64().to_le_bytes();
        let bytes = &mut self.get(file)?.bytes[range];
        bytes.copy_from_slice(&address[..bytes.len()]);
        Ok(())
    }

    fn add_checksum(&mut self, file: FileName, field: &ChecksumField) -> Result<(), Error> {
        let bytes = &mut self.get(file)?.bytes;
        let byte = range(file, bytes, field.offset, 1)?.start;
        let summed = range(file, bytes, field.start, field.size_bytes)?;
        let sum = bytes[summed].iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        bytes[byte] = bytes[byte].wrapping_sub(sum);
        Ok(())
    }
}

/// Returns the range of a field, if all of it is within the file.
fn range(
    file: FileName,
    bytes: &[u8],
    offset: u32,
    size_bytes: u32,
) -> Result<core::ops::Range<usize>, Error> {
    let start = offset as usize;
    let end = start.checked_add(size_bytes as usize);
    match end.filter(|&end| end <= bytes.len()) {
        Some(end) => Ok(start..end),
        None => Err(Error::OutsideFile { file, offset, size_bytes }),
    }
}
