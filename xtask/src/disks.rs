//! Disks of a guest under test: what it has to find on them, and what it has to leave there.
//!
//! Each has two halves. The first holds noise, and a nonce at a known sector, which the guest prints.
//! The guest copies the first half over the second, and writes its own nonce there. On the second
//! disk, which it has readonly, it can't.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::judge::new_nonce;

/// The word on a guest's command line that has it use its disks.
pub(crate) const OPTION: &str = "hvkit.disks";
/// What the guest puts before the nonce that it found on a disk.
pub(crate) const FOUND_MARK: &str = "hvkit: disk ";
/// What it says of a disk that takes no writes.
pub(crate) const REFUSED: &str = "hvkit: write refused";

const SECTOR_BYTES: usize = 512;
/// How many sectors half a disk has.
pub(crate) const HALF_SECTORS: usize = 512;
const DISK_BYTES: usize = 2 * HALF_SECTORS * SECTOR_BYTES;
/// Where in the first half its nonce is.
pub(crate) const NONCE_SECTOR: usize = 77;
/// Where on the disk the guest writes its own.
pub(crate) const OWN_SECTOR: usize = HALF_SECTORS + 300;
/// The letters of a nonce.
pub(crate) const NONCE_BYTES: usize = 16;

/// Two disks, the second of which is readonly.
#[derive(Debug)]
pub(crate) struct Disks {
    files: [PathBuf; 2],
    contents: [Vec<u8>; 2],
    nonces: [String; 2],
}

impl Disks {
    /// The option of kvm-vmm that names them.
    pub(crate) const OPTION: &str = "--disk";

    /// Makes their files beside a log.
    pub(crate) fn make(log: &Path) -> Result<Self> {
        let files = ["disk", "readonly.disk"].map(|suffix| log.with_extension(suffix));
        let nonces = [new_nonce(), new_nonce()];
        let contents = [disk(&nonces[0]), disk(&nonces[1])];
        for (file, contents) in files.iter().zip(&contents) {
            fs::write(file, contents)?;
        }
        Ok(Self { files, contents, nonces })
    }

    /// Returns the options by which kvm-vmm gets them.
    pub(crate) fn options(&self) -> [String; 4] {
        let [first, second] = self.files.each_ref().map(|file| file.display().to_string());
        [Self::OPTION.into(), first, Self::OPTION.into(), format!("{second},readonly")]
    }

    /// What is wrong with what the guest printed, and with the disks as they came back, one behind the
    /// other. The guest's own nonce is `nonce`.
    pub(crate) fn faults(&self, console: &[u8], returned: &[u8], nonce: &str) -> Vec<String> {
        let console = String::from_utf8_lossy(console);
        let has_line = |wanted: &str| console.lines().any(|line| line.trim_end() == wanted);
        let mut faults = Vec::new();
        for (index, found) in self.nonces.iter().enumerate() {
            if !has_line(&format!("{FOUND_MARK}{found}")) {
                faults.push(format!("disk {index} was not read"));
            }
        }
        if !has_line(REFUSED) {
            faults.push("the readonly disk took a write".to_owned());
        }
        if returned.len() != 2 * DISK_BYTES {
            faults.push(format!("{} bytes of disks came back", returned.len()));
            return faults;
        }
        let (first, second) = returned.split_at(DISK_BYTES);
        if first != after(&self.contents[0], nonce) {
            faults.push("disk 0 is not what the guest should have made of it".to_owned());
        }
        if second != self.contents[1] {
            faults.push("the readonly disk has changed".to_owned());
        }
        faults
    }
}

/// A disk as the guest finds it.
fn disk(nonce: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DISK_BYTES);
    let state = RandomState::new();
    for number in 0..DISK_BYTES / 8 {
        let mut hasher = state.build_hasher();
        hasher.write_usize(number);
        bytes.extend(hasher.finish().to_le_bytes());
    }
    put_sector(&mut bytes, NONCE_SECTOR, nonce);
    bytes
}

/// A disk as it has to be afterwards.
fn after(before: &[u8], nonce: &str) -> Vec<u8> {
    let mut bytes = before.to_vec();
    bytes.copy_within(..DISK_BYTES / 2, DISK_BYTES / 2);
    put_sector(&mut bytes, OWN_SECTOR, nonce);
    bytes
}

fn put_sector(disk: &mut [u8], sector: usize, text: &str) {
    let sector = &mut disk[sector * SECTOR_BYTES..][..SECTOR_BYTES];
    sector.fill(0);
    sector[..text.len()].copy_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disks() -> Disks {
        let nonces = ["0123456789abcdef", "fedcba9876543210"].map(str::to_owned);
        let contents = [disk(&nonces[0]), disk(&nonces[1])];
        Disks { files: [PathBuf::new(), PathBuf::new()], contents, nonces }
    }

    #[test]
    fn a_guest_that_does_its_work_has_no_faults_and_every_other_has() {
        let disks = disks();
        let console = format!(
            "{FOUND_MARK}0123456789abcdef\r\n{FOUND_MARK}fedcba9876543210\r\n{REFUSED}\r\n"
        );
        let good = [after(&disks.contents[0], "own"), disks.contents[1].clone()].concat();
        let faults = |console: &str, returned: &[u8]| {
            disks.faults(console.as_bytes(), returned, "own").len()
        };
        assert_eq!(faults(&console, &good), 0);
        for line in console.lines() {
            assert_eq!(faults(&console.replace(line, ""), &good), 1, "without {line:?}");
        }
        for at in [0, NONCE_SECTOR * 512, DISK_BYTES / 2, OWN_SECTOR * 512, 2 * DISK_BYTES - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(faults(&console, &bad), 1, "changed at {at}");
        }
        assert_eq!(faults(&console, &good[1..]), 1);
        assert_eq!(faults(&console, &disks.contents.concat()), 1, "nothing was written");
    }
}
