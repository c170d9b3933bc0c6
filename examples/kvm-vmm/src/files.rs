//! Reading what the guest starts with.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use firmware_blobs::{NotInstalled, Wanted, find};

use crate::failure::Failure;

/// Reads a whole file of at most `most` bytes, which is what the guest's memory could hold.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::File { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(failed)?;
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
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
    // The file may grow while it is read: no further than the limit.
    file.by_ref().take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Finds SeaBIOS among the places where it is installed.
pub(crate) fn seabios() -> Result<PathBuf, Failure> {
    find(Wanted::SeaBios).map_err(|NotInstalled { places }| Failure::NotInstalled {
        name: "SeaBIOS",
        places: places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}
