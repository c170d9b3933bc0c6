//! Reading what the guest starts with.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The places where packages put SeaBIOS, the better build first.
const SEABIOS: [&str; 4] = [
    "/usr/share/seabios/bios-256k.bin",
    "/usr/share/qemu/bios-256k.bin",
    "/usr/share/seabios/bios.bin",
    "/usr/share/qemu/bios.bin",
];
/// Where else firmware is looked for: folders, separated by colons.
const FIRMWARE_PATH: &str = "HVKIT_FIRMWARE_PATH";

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
    let path = std::env::var_os(FIRMWARE_PATH).unwrap_or_default();
    let named = std::env::split_paths(&path)
        .flat_map(|folder| ["bios-256k.bin", "bios.bin"].map(|name| folder.join(name)));
    let candidates: Vec<PathBuf> = named.chain(SEABIOS.map(PathBuf::from)).collect();
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| Failure::NotInstalled {
        name: "SeaBIOS",
        places: candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}
