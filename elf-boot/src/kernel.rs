//! Which format a file has.

use crate::elf::Elf;
use crate::linux::BzImage;
use crate::unpack::Compression;
use crate::{Error, FirstBytes};

/// A file, and what its format was found to be.
#[derive(Debug)]
pub(crate) struct Kernel<'a> {
    pub(crate) bytes: &'a [u8],
    parsed: Result<Parsed<'a>, Error>,
}

/// A format whose headers were checked.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Elf(Elf<'a>),
    BzImage(BzImage<'a>),
}

impl<'a> Kernel<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        Self { bytes, parsed: parse(bytes) }
    }

    /// Returns the format. What has none that is known may still have a Multiboot header.
    pub(crate) fn parsed<'k>(&'k self) -> Result<&'k Parsed<'a>, Error> {
        self.parsed.as_ref().map_err(Clone::clone)
    }
}

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if bytes.starts_with(Elf::MAGIC) {
        return Elf::parse(bytes).map(Parsed::Elf);
    }
    if BzImage::is_one(bytes) {
        return BzImage::parse(bytes).map(Parsed::BzImage);
    }
    if let Some(by) = Compression::of(bytes) {
        return Err(Error::Compressed { by });
    }
    Err(Error::UnknownFormat { first: FirstBytes::new(bytes) })
}
