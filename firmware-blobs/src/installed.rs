//! Images that are installed on this system.

use std::env;
use std::path::{Path, PathBuf};
use std::vec::Vec;

/// The variable with folders to look in first, separated as those of `PATH`.
const VARIABLE: &str = "HVKIT_FIRMWARE_PATH";
/// Where distributions install firmware.
const FOLDERS: [&str; 6] = [
    "/usr/share/seabios",
    "/usr/share/OVMF",
    "/usr/share/ovmf",
    "/usr/share/edk2/x64",
    "/usr/share/edk2/ovmf",
    "/usr/share/qemu",
];

/// An image that a VMM may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// SeaBIOS, the larger build first.
    SeaBios,
    /// OVMF's code, without variables.
    OvmfCode,
    /// OVMF's variables, as they are before the first start.
    OvmfVariables,
    /// OVMF with both in one.
    Ovmf,
}

impl Wanted {
    /// The names that its file goes by, the best first.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::SeaBios => &["bios-256k.bin", "bios.bin"],
            Self::OvmfCode => &["OVMF_CODE_4M.fd", "OVMF_CODE.4m.fd", "OVMF_CODE.fd"],
            Self::OvmfVariables => &["OVMF_VARS_4M.fd", "OVMF_VARS.4m.fd", "OVMF_VARS.fd"],
            Self::Ovmf => &["OVMF.fd", "OVMF.4m.fd"],
        }
    }
}

/// An image that is not installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not installed: none of {} files is there", places.len())]
pub struct NotInstalled {
    /// Where it was looked for.
    pub places: Vec<PathBuf>,
}

/// Finds an image: in the folders that the variable `HVKIT_FIRMWARE_PATH` names, then where
/// distributions put it. A better name counts for more than a better folder.
///
/// # Errors
/// [`NotInstalled`] with the places, if no file is at any of them.
pub fn find(wanted: Wanted) -> Result<PathBuf, NotInstalled> {
    let variable = env::var_os(VARIABLE).unwrap_or_default();
    let own: Vec<PathBuf> =
        env::split_paths(&variable).filter(|folder| !folder.as_os_str().is_empty()).collect();
    find_in(wanted, &own, |path| path.is_file())
}

fn find_in(
    wanted: Wanted,
    own: &[PathBuf],
    is_file: impl Fn(&Path) -> bool,
) -> Result<PathBuf, NotInstalled> {
    let names = wanted.names();
    let among = |folders: &[PathBuf]| -> Vec<PathBuf> {
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).collect()
    };
    let mut places = among(own);
    places.extend(among(&FOLDERS.map(PathBuf::from)));
    match places.iter().position(|place| is_file(place)) {
        Some(index) => Ok(places.swap_remove(index)),
        None => Err(NotInstalled { places }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_folders_go_first_and_then_the_better_name() {
        let all = |_: &Path| true;
        let own = [PathBuf::from("/mine")];
        let found = |own: &[PathBuf], is_file: &dyn Fn(&Path) -> bool| {
            find_in(Wanted::SeaBios, own, is_file).unwrap()
        };
        assert_eq!(found(&own, &all), Path::new("/mine/bios-256k.bin"));
        assert_eq!(found(&[], &all), Path::new("/usr/share/seabios/bios-256k.bin"));
        // In qemu's folder alone, and the small one in seabios'.
        let some = |path: &Path| {
            path == Path::new("/usr/share/qemu/bios-256k.bin")
                || path == Path::new("/usr/share/seabios/bios.bin")
        };
        assert_eq!(found(&[], &some), Path::new("/usr/share/qemu/bios-256k.bin"));
    }

    #[test]
    fn what_is_not_there_is_named_with_all_its_places() {
        let missing = find_in(Wanted::OvmfCode, &[PathBuf::from("/mine")], |_| false).unwrap_err();
        assert_eq!(missing.places.len(), 3 * 7);
        assert!(missing.places.contains(&PathBuf::from("/mine/OVMF_CODE.fd")));
    }
}
