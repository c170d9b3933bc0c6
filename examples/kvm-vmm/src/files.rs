//! Reading what the guest starts with.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use boot_plan::{Contents, FileId, Placement};
use elf_boot::Image;
use firmware_blobs::{NotInstalled, Wanted, find};

use crate::failure::Failure;
use crate::sys::{HostMemory, MappedFile};

/// A file that the guest gets to see.
#[derive(Debug)]
pub(crate) enum GuestFile {
    /// It was read.
    Read(Vec<u8>),
    /// It is mapped, and so may be parts of it in guest memory.
    Mapped(MappedFile),
}

impl GuestFile {
    /// Maps a file of at most `most` bytes, or reads it if it is small or others may change it.
    pub(crate) fn open(path: &Path, most: u64) -> Result<Self, Failure> {
        let (file, size_bytes) = open(path, most)?;
        let size = usize::try_from(size_bytes).unwrap_or(0);
        match MappedFile::new(file, size) {
            Ok(file) => Ok(Self::Mapped(file)),
            Err(file) => read_open(path, file, size, most).map(Self::Read),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Mapped(file) => file.bytes(),
        }
    }

    /// Returns it for a boot plan, whose placements are to call it `id`.
    pub(crate) fn image(&self, id: FileId) -> Image<'_> {
        Image::of_file(id, self.bytes())
    }
}

/// The mapped ones among a guest's files, by the names that its plan has for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MappedFiles<'f>(pub(crate) Vec<(FileId, &'f MappedFile)>);

impl MappedFiles<'_> {
    /// Maps what can be of a placement in RAM; returns which of its bytes these are.
    pub(crate) fn place(
        &self,
        memory: &HostMemory,
        placement: &Placement<'_>,
    ) -> io::Result<Range<usize>> {
        let Contents::File { file, offset, bytes } = placement.contents else { return Ok(0..0) };
        let mut mapped = self.0.iter().filter(|(id, mapped)| *id == file && mapped.is_leased());
        match mapped.next() {
            Some((_, file)) => memory.map_file(placement.gpa, bytes.len(), file, offset),
            None => Ok(0..0),
        }
    }

    /// Tells whether somebody waits to write to one.
    pub(crate) fn are_wanted(&self) -> bool {
        self.0.iter().any(|(_, file)| file.is_wanted())
    }

    /// Lets others write to them, after the guest with this memory, which must not run, has got
    /// copies.
    pub(crate) fn release(&self, memory: &HostMemory) -> io::Result<()> {
        memory.replace_file_pages()?;
        self.0.iter().filter(|(_, file)| file.is_leased()).try_for_each(|(_, file)| file.release())
    }
}

/// Reads a whole file of at most `most` bytes, which is what the guest's memory could hold.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let (file, size_bytes) = open(path, most)?;
    read_open(path, file, usize::try_from(size_bytes).unwrap_or(0), most)
}

/// Opens a regular file of at most `most` bytes; returns it and its size.
fn open(path: &Path, most: u64) -> Result<(File, u64), Failure> {
    let failed = |error| Failure::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let size_bytes = metadata.len();
    if size_bytes > most {
        let path = path.display();
        return Err(Failure::Image(format!(
            "{path}: {size_bytes} bytes, more than the guest's memory of {most} bytes holds"
        )));
    }
    Ok((file, size_bytes))
}

fn read_open(path: &Path, file: File, size: usize, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(size);
    // The file may grow while it is read: no further than the limit.
    let read = file.take(most).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| Failure::File { path: path.to_owned(), error })
}

/// Finds SeaBIOS among the places where it is installed.
pub(crate) fn seabios() -> Result<PathBuf, Failure> {
    find(Wanted::SeaBios).map_err(|NotInstalled { places }| Failure::NotInstalled {
        name: "SeaBIOS",
        places: places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}
