//! The variables of UEFI: the file that keeps them, and the flash that the guest has them in.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use firmware_blobs::{Firmware, FlashPart, identify};
use guest_state::{Gpa, GpaRange};

use crate::failure::Failure;

/// What a file of variables begins as, and its size.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    /// These bytes, which come from this file.
    Bytes(Vec<u8>, PathBuf),
    /// Nothing is known but the size that goes with the code, if that is.
    Unknown(Option<u64>),
}

impl Template {
    /// Says how large variables are that go with code of this size: both together are a power of two.
    ///
    /// # Source
    /// EDK II, `OvmfPkg/Include/Fdf/OvmfPkgDefines.fdf.inc`: 1, 2 and 4 MiB.
    pub(crate) fn for_code(code: &[u8]) -> Self {
        let size = code.len().checked_next_power_of_two().map(|all| (all - code.len()) as u64);
        Self::Unknown(size.filter(|size| *size != 0))
    }

    fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes, _) => Some(bytes.len() as u64),
            Self::Unknown(size_bytes) => *size_bytes,
        }
    }

    /// Returns the bytes, or none.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes, _) => bytes,
            Self::Unknown(_) => Vec::new(),
        }
    }
}

/// Where to begin, for errors.
const ADVICE: &str = "begin with a copy of the template that comes with the code, such as \
                      /usr/share/OVMF/OVMF_VARS_4M.fd";
/// A file is never larger: that of all flash below 4 GiB.
const MOST_BYTES: u64 = 16 << 20;

/// A file of variables that is this program's alone.
#[derive(Debug)]
pub(crate) struct VariableFile {
    file: File,
}

impl VariableFile {
    /// Opens the file, or makes it from the template if there is none; returns it with its bytes, and
    /// whether it was made.
    pub(crate) fn open(path: &Path, template: &Template) -> Result<(Self, Vec<u8>, bool), Failure> {
        let failed = |error| Failure::File { path: path.to_owned(), error };
        let mut is_new = false;
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                is_new = true;
                let Template::Bytes(bytes, _) = template else {
                    return Err(failed(advised(error)));
                };
                create(path, bytes).map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(failed(io::Error::other("another guest has it as its variables")));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let bytes = read(path, &file, template)?;
        Ok((Self { file }, bytes, is_new))
    }

    /// Returns what the guest would find, and changes nothing.
    pub(crate) fn peek(path: &Path, template: &Template) -> Result<Vec<u8>, Failure> {
        match (File::open(path), template) {
            (Err(error), Template::Bytes(bytes, _)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(bytes.clone())
            }
            (Err(error), _) => {
                let error = advised(error);
                Err(Failure::File { path: path.to_owned(), error })
            }
            (Ok(file), _) => read(path, &file, template),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        self.file.write_all_at(data, offset).map_err(Failure::host("write the guest's variables"))
    }

    fn sync(&self) -> Result<(), Failure> {
        self.file.sync_data().map_err(Failure::host("write the guest's variables"))
    }
}

/// Makes a file that is whole or not there.
fn create(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    // Nobody else makes it its own before it is whole.
    let written = file.lock().and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written.map(|()| file)
}

fn advised(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{error}; {ADVICE}"))
}

/// Reads a file of variables, which has to be one, and as large as the firmware has it.
fn read(path: &Path, mut file: &File, template: &Template) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::File { path: path.to_owned(), error };
    let at = path.display();
    let size_bytes = file.metadata().map_err(failed)?.len();
    if let Some(expected) = template.size_bytes().filter(|expected| *expected != size_bytes) {
        return Err(Failure::Image(format!(
            "{at}: {size_bytes} bytes, and not the {expected} that this firmware has for variables; \
             {ADVICE}"
        )));
    }
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut file).map_err(failed)?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let is_store = matches!(
        identify(&bytes),
        Ok(Firmware::Ovmf(flash)) if flash.part == FlashPart::Variables
    );
    // Erased flash the firmware formats by itself.
    let is_erased = !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0xFF);
    if !is_store && !is_erased {
        return Err(Failure::Image(format!("{at}: not a file of UEFI variables; {ADVICE}")));
    }
    Ok(bytes)
}

/// The flash that the guest has its variables in.
#[derive(Debug)]
pub(crate) struct Flash {
    pub(crate) range: GpaRange,
    /// Whether the guest sees its array as memory.
    pub(crate) is_shown: bool,
    /// What keeps it when the guest has ended.
    file: Option<VariableFile>,
}

impl Flash {
    pub(crate) const fn new(range: GpaRange, file: Option<VariableFile>) -> Self {
        Self { range, is_shown: true, file }
    }

    /// Keeps what the guest wrote, at once: then there is nothing to lose, however the program ends.
    pub(crate) fn keep(&self, gpa: Gpa, data: &[u8]) -> Result<(), Failure> {
        match (&self.file, gpa.offset_from(self.range.start())) {
            (Some(file), Some(offset)) => file.write(offset, data),
            _ => Ok(()),
        }
    }

    /// Brings it all from the host's memory to its disk.
    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.file.as_ref().map_or(Ok(()), VariableFile::sync)
    }
}
