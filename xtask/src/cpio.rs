//! Initial RAM file systems: a writer of the "newc" cpio format that Linux unpacks.
//!
//! # Source
//!
//! Linux, Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An archive in the making. Names are relative to the root and use `/`; the folders that a name
/// goes through are made on the way.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

impl Archive {
    /// Adds an empty folder.
    pub(crate) fn folder(&mut self, name: &str) -> Result<()> {
        if !self.folders.contains(name) {
            self.add(name, DIRECTORY | 0o755, &[])?;
            self.folders.insert(name.to_owned());
        }
        Ok(())
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, name: &str, data: &[u8]) -> Result<()> {
        self.add(name, REGULAR | 0o644, data)
    }

    /// Adds a file that may be run.
    pub(crate) fn program(&mut self, name: &str, data: &[u8]) -> Result<()> {
        self.add(name, REGULAR | 0o755, data)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.add(name, SYMLINK | 0o777, target.as_bytes())
    }

    /// Ends the archive and returns its bytes.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.bytes)
    }

    fn add(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder(parent)?;
        }
        self.entry(name, mode, data)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        let size = u32::try_from(data.len())
            .with_context(|| format!("{name} is too large for an initramfs"))?;
        let name_size = u32::try_from(name.len() + 1)?;
        self.entries += 1;
        self.bytes.extend(b"070701");
        // inode, mode, uid, gid, links, mtime, size, device and its own device number (major and
        // minor each), size of the name with its zero, checksum (not in this format)
        for field in [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(data);
        self.align();
        Ok(())
    }

    /// Names and data start and end on multiples of four bytes.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive by the format's own words, knowing nothing of the writer.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let whole = bytes.len();
        let mut entries = Vec::new();
        loop {
            let (header, rest) = bytes.split_at(110);
            assert_eq!(&header[..6], b"070701");
            let field = |n: usize| {
                let digits = std::str::from_utf8(&header[6 + 8 * n..14 + 8 * n]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = &rest[..usize::try_from(name_size).unwrap() - 1];
            let name = String::from_utf8(name.to_vec()).unwrap();
            if name == "TRAILER!!!" {
                return entries;
            }
            let at = |offset: usize| offset + (4 - (whole - bytes.len() + offset) % 4) % 4;
            let start = at(110 + usize::try_from(name_size).unwrap());
            let end = start + usize::try_from(size).unwrap();
            entries.push((name, mode, bytes[start..end].to_vec()));
            bytes = &bytes[at(end)..];
        }
    }

    #[test]
    fn what_is_written_is_read_back_with_folders_before_their_contents() {
        let mut archive = Archive::default();
        archive.program("init", b"#!/bin/sh\n").unwrap();
        archive.link("bin/sh", "busybox").unwrap();
        archive.file("lib/modules/a.ko", &[1, 2, 3, 4, 5]).unwrap();
        archive.folder("proc").unwrap();
        archive.folder("proc").unwrap();
        let expected: [(&str, u32, &[u8]); 7] = [
            ("init", 0o100_755, b"#!/bin/sh\n"),
            ("bin", 0o040_755, b""),
            ("bin/sh", 0o120_777, b"busybox"),
            ("lib", 0o040_755, b""),
            ("lib/modules", 0o040_755, b""),
            ("lib/modules/a.ko", 0o100_644, &[1, 2, 3, 4, 5]),
            ("proc", 0o040_755, b""),
        ];
        let found = read(&archive.finish().unwrap());
        assert_eq!(found, expected.map(|(n, mode, data)| (n.to_owned(), mode, data.to_vec())));
    }

    #[test]
    fn every_length_of_name_and_data_keeps_the_alignment() {
        for name_length in 1..9 {
            for data_length in 0..9 {
                let (name, data) = ("n".repeat(name_length), vec![7; data_length]);
                let mut archive = Archive::default();
                archive.file(&name, &data).unwrap();
                let bytes = archive.finish().unwrap();
                assert_eq!(bytes.len() % 4, 0);
                assert_eq!(read(&bytes), [(name, 0o100_644, data)]);
            }
        }
    }
}
