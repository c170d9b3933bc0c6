//! Disks: files that the guest reads and writes.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use machine::{BlkConfig, BlockBackend, BlockError, SECTOR_BYTES};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

use crate::failure::Failure;

/// What `--disk` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskOption {
    path: PathBuf,
    is_readonly: bool,
}

impl DiskOption {
    /// Parses `FILE[,readonly]`.
    pub(crate) fn parse(value: OsString) -> Result<Self, String> {
        let Some((path, word)) = value.to_str().and_then(|text| text.rsplit_once(',')) else {
            return Ok(Self { path: value.into(), is_readonly: false });
        };
        match word {
            "readonly" => Ok(Self { path: path.into(), is_readonly: true }),
            _ => Err(format!("--disk {path},{word}: behind the comma only readonly can stand")),
        }
    }
}

/// A disk's file, which is locked as long as it is open.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    is_readonly: bool,
    /// Whether it was said that something failed: once is enough.
    has_complained: bool,
}

impl Disk {
    /// Opens the files of all disks.
    pub(crate) fn open_all(options: &[DiskOption]) -> Result<Vec<Self>, Failure> {
        options.iter().map(|option| Self::open(&option.path, option.is_readonly)).collect()
    }

    /// Opens a file and locks it: for itself, or with other readers if it is only read.
    fn open(path: &Path, is_readonly: bool) -> Result<Self, Failure> {
        let failed = |error| Failure::File { path: path.to_owned(), error };
        let file = File::options().read(true).write(!is_readonly).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("not a regular file")));
        }
        let lock = match is_readonly {
            true => FlockOperation::NonBlockingLockShared,
            false => FlockOperation::NonBlockingLockExclusive,
        };
        flock(&file, lock).map_err(|error| match error {
            Errno::WOULDBLOCK => failed(io::Error::other(
                "another guest has this disk; several can share it if all have it readonly",
            )),
            error => failed(error.into()),
        })?;
        let size_bytes = metadata.len();
        if size_bytes == 0 || !size_bytes.is_multiple_of(SECTOR_BYTES) {
            let path = path.display();
            return Err(Failure::Image(format!(
                "{path}: {size_bytes} bytes; a disk has a multiple of {SECTOR_BYTES}: \
                 `truncate -s %{SECTOR_BYTES} {path}` adds what is missing, `truncate -s 64M {path}` \
                 makes an empty one"
            )));
        }
        let path = path.to_owned();
        Ok(Self { path, file, size_bytes, is_readonly, has_complained: false })
    }

    /// Returns what the guest can read of the disk itself.
    pub(crate) fn config(&self) -> BlkConfig {
        let mut id = [0; 20];
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let letters = name.bytes().filter(u8::is_ascii_graphic);
        id.iter_mut().zip(letters).for_each(|(byte, letter)| *byte = letter);
        BlkConfig { sectors: self.size_bytes / SECTOR_BYTES, readonly: self.is_readonly, id }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Says on standard error why the guest gets an error, and makes it one.
    fn check<T>(&mut self, what: &str, result: io::Result<T>) -> Result<T, BlockError> {
        result.map_err(|error| {
            if !std::mem::replace(&mut self.has_complained, true) {
                let path = self.path.display();
                crate::program::complain(&format!("{path}: can't {what}: {error}"));
            }
            BlockError
        })
    }

    /// Makes a hole, where the file system has such.
    fn punch(&self, offset: u64, size_bytes: u64) -> rustix::io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.file, flags, offset, size_bytes)
    }
}

impl BlockBackend for Disk {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), BlockError> {
        let read = self.file.read_exact_at(buffer, offset);
        self.check("read", read)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let written = self.file.write_all_at(bytes, offset);
        self.check("write", written)
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let flushed = if self.is_readonly { Ok(()) } else { self.file.sync_data() };
        self.check("flush", flushed)
    }

    fn discard(&mut self, offset: u64, size_bytes: u64) -> Result<(), BlockError> {
        // Where no hole can be made nothing is lost.
        let _ = self.punch(offset, size_bytes);
        Ok(())
    }

    fn write_zeroes(
        &mut self,
        offset: u64,
        size_bytes: u64,
        may_unmap: bool,
    ) -> Result<(), BlockError> {
        if may_unmap && size_bytes > 0 && self.punch(offset, size_bytes).is_ok() {
            return Ok(());
        }
        let zeros = vec![0; 64 << 10];
        let mut done = 0;
        while done < size_bytes {
            let count = usize::try_from(size_bytes - done).unwrap_or(zeros.len()).min(zeros.len());
            self.write_at(offset + done, &zeros[..count])?;
            done += count as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_comes_before_what_a_disk_is() {
        let parse = |text: &str| DiskOption::parse(text.into());
        let disk = |path: &str, is_readonly| Ok(DiskOption { path: path.into(), is_readonly });
        assert_eq!(parse("a.img"), disk("a.img", false));
        assert_eq!(parse("a.img,readonly"), disk("a.img", true));
        assert_eq!(parse("a,b.img,readonly"), disk("a,b.img", true));
        let error = parse("a.img,ro").unwrap_err();
        assert_eq!(error, "--disk a.img,ro: behind the comma only readonly can stand");
    }

    /// A disk with a file that is gone when the test ends.
    fn disk(name: &str, bytes: &[u8], is_readonly: bool) -> (Disk, PathBuf) {
        let path = std::env::temp_dir().join(format!("kvm-vmm-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let disk = Disk::open(&path, is_readonly).unwrap();
        (disk, path)
    }

    #[test]
    fn what_the_file_refuses_is_an_error_of_the_request() {
        let (mut disk, path) = disk("refuses", &[7; 1024], false);
        let mut sector = [0; 512];
        assert_eq!((disk.read_at(512, &mut sector), sector), (Ok(()), [7; 512]));
        // Somebody who does not ask for the lock cuts the file.
        File::options().write(true).open(&path).unwrap().set_len(700).unwrap();
        assert_eq!(disk.read_at(512, &mut sector), Err(BlockError));
        assert!(disk.has_complained);
        drop(disk);
        std::fs::remove_file(path).unwrap();
        let (mut disk, path) = self::disk("readonly", &[7; 512], true);
        assert_eq!((disk.write_at(0, &sector), disk.flush()), (Err(BlockError), Ok(())));
        assert_eq!(disk.write_zeroes(0, 512, false), Err(BlockError));
        assert_eq!(std::fs::read(&path).unwrap(), [7; 512]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_cleared_is_zero_and_the_rest_and_the_size_stay() {
        for may_unmap in [false, true] {
            let (mut disk, path) = disk("clears", &[7; 0x4_0000], false);
            disk.write_zeroes(0x1200, 0x2_0000, may_unmap).unwrap();
            disk.write_zeroes(0x3_0000, 0, may_unmap).unwrap();
            disk.discard(0x3_8000, 0x1000).unwrap();
            disk.discard(0x3_F000, 0x1000).unwrap();
            disk.flush().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len(), 0x4_0000);
            assert!(bytes[..0x1200].iter().all(|byte| *byte == 7));
            assert!(bytes[0x1200..0x2_1200].iter().all(|byte| *byte == 0));
            assert!(bytes[0x2_1200..0x3_8000].iter().all(|byte| *byte == 7));
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn the_serial_number_is_the_name_of_the_file() {
        let (disk, path) = disk("a name that is too long", &[0; 1024], true);
        let BlkConfig { sectors, readonly, id } = disk.config();
        assert_eq!((sectors, readonly), (2, true));
        assert!(id.starts_with(b"kvm-vmm-"), "{id:?}");
        std::fs::remove_file(path).unwrap();
    }
}
