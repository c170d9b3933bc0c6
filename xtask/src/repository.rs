//! What must be true of the files that are committed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Result;

use crate::process;

/// No committed file is larger, but the lock file.
const SIZE_LIMIT: u64 = 200_000;

/// What is committed, and what is about to be.
const LIST_FILES: [&str; 5] = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];

/// Folders of test data that we made ourselves, which may be binary.
const OUR_DATA: [&str; 2] = ["tests/data/", "fuzz/corpus/"];

/// What is wrong in the repository at `root`, a line each; nothing if all is well.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>> {
    let mut git = process::command("git");
    let listed = process::output(git.arg("-C").arg(root).args(LIST_FILES))?;
    let own_paths = own_paths(root);
    let mut complaints = Vec::new();
    for name in listed.split_terminator('\0') {
        let path = root.join(name);
        // A link has no contents of its own; a file deleted but not yet committed has none left.
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let bytes = fs::read(&path)?;
        complaints
            .extend(complaint(name, &bytes, &own_paths).map(|what| format!("{name}: {what}")));
    }
    Ok(complaints)
}

/// Beginnings of paths that mean nothing on another machine.
fn own_paths(root: &Path) -> Vec<Vec<u8>> {
    let mut paths = vec![root.as_os_str().as_bytes().to_vec()];
    // Put together, so that this file doesn't hold them.
    paths.extend(["home", "Users", "root"].map(|folder| format!("/{folder}/").into_bytes()));
    paths
}

/// The first thing wrong with a file.
fn complaint(name: &str, bytes: &[u8], own_paths: &[Vec<u8>]) -> Option<String> {
    let is_lock_file = name.rsplit('/').next() == Some("Cargo.lock");
    if u64::try_from(bytes.len()).is_ok_and(|size| size > SIZE_LIMIT) && !is_lock_file {
        return Some(format!("{} bytes; no file may have over {SIZE_LIMIT}", bytes.len()));
    }
    if bytes.contains(&0) {
        let ours = OUR_DATA.iter().any(|folder| name.contains(folder));
        return (!ours).then(|| "a binary file outside the folders of our test data".to_owned());
    }
    let text = String::from_utf8_lossy(bytes);
    if name.rsplit('/').next() == Some("Cargo.toml") && !switches_lints_on(&text) {
        return Some("does not switch on the lints of the workspace".to_owned());
    }
    let has = |path: &&Vec<u8>| bytes.windows(path.len()).any(|window| window == path.as_slice());
    own_paths
        .iter()
        .find(has)
        .map(|path| format!("holds a path of one machine: {}", OsStr::from_bytes(path).display()))
}

/// Whether a manifest takes the workspace's lints, or is of a workspace of its own.
fn switches_lints_on(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    let is_package = lines.clone().any(|line| line == "[package]");
    let is_workspace_of_its_own =
        lines.clone().any(|line| line == "[workspace]") && !manifest.contains("members");
    let lints = lines.by_ref().find(|&line| line == "[lints]").and_then(|_| lines.next());
    !is_package || is_workspace_of_its_own || lints == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, bytes: &[u8]) -> Option<String> {
        complaint(name, bytes, &own_paths(Path::new("/somewhere/checkout")))
    }

    #[test]
    fn a_member_without_the_lints_is_found() {
        let good = b"[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";
        assert_eq!(found("x/Cargo.toml", good), None);
        assert!(found("x/Cargo.toml", b"[package]\nname = \"x\"\n").is_some());
        assert!(found("x/Cargo.toml", b"[package]\n[lints]\n[dependencies]\n").is_some());
        assert_eq!(
            found("consumers/x/Cargo.toml", b"[package]\nname = \"x\"\n[workspace]\n"),
            None
        );
    }

    #[test]
    fn large_and_binary_files_are_found() {
        assert!(found("src/big.rs", &vec![b'a'; 200_001]).is_some());
        assert_eq!(found("Cargo.lock", &vec![b'a'; 200_001]), None);
        assert!(found("src/bios.bin", b"\x55\xaa\x00").is_some());
        assert_eq!(found("elf-boot/tests/data/tiny.elf", b"\x7fELF\0"), None);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        assert!(found("README.md", b"see /somewhere/checkout/target").is_some());
        assert!(found("README.md", ["see /ho", "me/me/x"].concat().as_bytes()).is_some());
        assert_eq!(found("README.md", b"see /dev/kvm and /usr/share"), None);
    }
}
