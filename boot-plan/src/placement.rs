//! What is to stand where in guest memory.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

/// Names a file among those that a caller opened; what the number means is the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(pub u32);

/// Where the bytes of a placement come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents<'a> {
    /// They were made for this plan.
    Owned(Vec<u8>),
    /// They stand in the caller's memory.
    Borrowed(&'a [u8]),
    /// They are part of a file, whose bytes are at hand too: a backend may map them.
    File {
        /// Which file.
        file: FileId,
        /// Where in it they begin.
        offset: u64,
        /// The bytes themselves.
        bytes: &'a [u8],
    },
    /// So many zero bytes. Memory that is fresh need not be written.
    Zeros(u64),
}

impl Contents<'_> {
    /// Returns the bytes, or `None` for zeros.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Owned(bytes) => Some(bytes),
            Self::Borrowed(bytes) | Self::File { bytes, .. } => Some(bytes),
            Self::Zeros(_) => None,
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Zeros(size_bytes) => *size_bytes,
            other => other.bytes().map_or(0, |bytes| bytes.len() as u64),
        }
    }
}

/// What the guest may do to a placement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Read and write it: RAM.
    #[default]
    ReadWrite,
    /// Read it; writes change nothing: ROM. It need not lie in RAM.
    ReadOnly,
    /// Read it now; the chipset may later put RAM of its own in its place, as PAM does. It need
    /// not lie in RAM.
    Shadowed,
}

/// Bytes for one place in guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement<'a> {
    /// What it is, for reports and errors.
    pub tag: &'static str,
    /// Where it begins.
    pub gpa: Gpa,
    /// What stands there.
    pub contents: Contents<'a>,
    /// What the guest may do to it.
    pub protection: Protection,
}

impl<'a> Placement<'a> {
    /// Places bytes that were made for this plan, as RAM.
    #[must_use]
    pub const fn bytes(tag: &'static str, gpa: Gpa, bytes: Vec<u8>) -> Self {
        Self::new(tag, gpa, Contents::Owned(bytes))
    }

    /// Places bytes of the caller's, as RAM.
    #[must_use]
    pub const fn borrowed(tag: &'static str, gpa: Gpa, bytes: &'a [u8]) -> Self {
        Self::new(tag, gpa, Contents::Borrowed(bytes))
    }

    /// Places `size_bytes` zeros, as RAM.
    #[must_use]
    pub const fn zeros(tag: &'static str, gpa: Gpa, size_bytes: u64) -> Self {
        Self::new(tag, gpa, Contents::Zeros(size_bytes))
    }

    /// Places `contents`, as RAM.
    #[must_use]
    pub const fn new(tag: &'static str, gpa: Gpa, contents: Contents<'a>) -> Self {
        Self { tag, gpa, contents, protection: Protection::ReadWrite }
    }

    /// The same, protected.
    #[must_use]
    pub fn protected(self, protection: Protection) -> Self {
        Self { protection, ..self }
    }

    /// Returns the addresses it takes, or `None` where they pass the end of the address space.
    #[must_use]
    pub fn range(&self) -> Option<GpaRange> {
        GpaRange::new(self.gpa, self.contents.size_bytes())
    }
}
