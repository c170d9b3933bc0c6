//! Which format a file has.

use crate::elf::Elf;
use crate::linux::BzImage;
use crate::{Error, FirstBytes};

/// A file whose format is known and whose headers were checked.
#[derive(Debug)]
pub(crate) enum Kernel<'a> {
    Elf(Elf<'a>),
    BzImage(BzImage<'a>),
}

/// What files that are compressed as a whole begin with.
const COMPRESSED: &[(&[u8], &str)] = &[
    (b"\x1F\x8B", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xFD7zXZ\0", "xz"),
    (b"\x28\xB5\x2F\xFD", "zstd"),
    (b"\x02\x21\x4C\x18", "lz4"),
    (b"\x04\x22\x4D\x18", "lz4"),
    (b"\x89LZO\0", "lzop"),
    (b"\x5D\0\0", "lzma"),
];

impl<'a> Kernel<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        if bytes.starts_with(Elf::MAGIC) {
            return Elf::parse(bytes).map(Self::Elf);
        }
        if BzImage::is_one(bytes) {
            return BzImage::parse(bytes).map(Self::BzImage);
        }
        if let Some(&(_, by)) = COMPRESSED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Err(Error::Compressed { by });
        }
        Err(Error::UnknownFormat { first: FirstBytes::new(bytes) })
    }
}
