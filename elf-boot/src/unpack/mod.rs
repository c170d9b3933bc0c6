//! Kernels that are compressed: a file as a whole, or what a bzImage has inside.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use alloc::vec::Vec;
use core::fmt;

use crate::Error;

/// A way to compress a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the format of its name")]
pub enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Lz4,
    Lzo,
    Lzma,
}

/// How LZ4's legacy frame begins.
const LZ4_LEGACY: &[u8] = b"\x02\x21\x4C\x18";

/// How each begins.
const MAGIC: &[(&[u8], Compression)] = &[
    (b"\x1F\x8B", Compression::Gzip),
    (b"BZh", Compression::Bzip2),
    (b"\xFD7zXZ\0", Compression::Xz),
    (b"\x28\xB5\x2F\xFD", Compression::Zstd),
    (LZ4_LEGACY, Compression::Lz4),
    (b"\x04\x22\x4D\x18", Compression::Lz4),
    (b"\x89LZO\0", Compression::Lzo),
    (b"\x5D\0\0", Compression::Lzma),
];

impl Compression {
    /// Tells how `bytes` are compressed, by how they begin.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        MAGIC
            .iter()
            .find(|(magic, _)| bytes.starts_with(magic))
            .map(|&(_, compression)| compression)
    }

    /// Returns the name, such as `zstd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Lzo => "lzo",
            Self::Lzma => "lzma",
        }
    }

    /// Tells whether this build of the crate can unpack it: a feature has the same name.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        match self {
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Xz => cfg!(feature = "xz"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Bzip2 | Self::Lzo | Self::Lzma => false,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A kernel that is compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packed<'a> {
    pub(crate) compression: Compression,
    pub(crate) size_bytes: Option<u32>,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Packed<'a> {
    /// Takes a file that is compressed as a whole; `None` if it does not begin so.
    #[must_use]
    pub fn file(bytes: &'a [u8]) -> Option<Self> {
        let compression = Compression::of(bytes)?;
        Some(Self { compression, size_bytes: None, bytes })
    }

    /// Returns how it is compressed.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns how long it says it is unpacked, where it says so.
    #[must_use]
    pub const fn size_bytes(&self) -> Option<u32> {
        self.size_bytes
    }

    /// Unpacks it, as long as that takes no more than `most_bytes`.
    ///
    /// No more memory is asked for than that, whatever the data says of itself, and what the
    /// decompressor takes for its window: 128 MiB at most with zstd and xz.
    ///
    /// # Errors
    /// [`Error::CantUnpack`] where the compression is not known or its feature not built in;
    /// [`Error::UnpackedTooLarge`]; [`Error::BrokenPacking`] where the data is damaged;
    /// [`Error::UnpackedSize`] where it comes to another length than it said.
    pub fn unpack(&self, most_bytes: usize) -> Result<Vec<u8>, Error> {
        let by = self.compression;
        let declared = self.size_bytes.map(u64::from);
        // Of LZ4's two frames, the one that Linux does not have is not read.
        let is_other_lz4 = by == Compression::Lz4 && !self.bytes.starts_with(LZ4_LEGACY);
        if !by.is_supported() || is_other_lz4 {
            return Err(Error::CantUnpack { by });
        }
        if let Some(size_bytes) = declared.filter(|&size| size > most_bytes as u64) {
            return Err(Error::UnpackedTooLarge { size_bytes, most_bytes: most_bytes as u64 });
        }
        let mut out = Bounded { bytes: Vec::new(), most_bytes, is_full: false };
        let done = unpack(by, self.bytes, &mut out);
        if out.is_full {
            let most_bytes = most_bytes as u64;
            return Err(Error::UnpackedTooLarge { size_bytes: most_bytes + 1, most_bytes });
        }
        done.ok_or(Error::BrokenPacking { by })?;
        let size_bytes = out.bytes.len() as u64;
        match declared {
            Some(declared) if declared != size_bytes => {
                Err(Error::UnpackedSize { size_bytes, declared })
            }
            _ => Ok(out.bytes),
        }
    }
}

impl fmt::Debug for Packed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed")
            .field("compression", &self.compression)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

/// Unpacks `bytes`; `None` where they are damaged, or `out` took no more.
#[allow(clippy::missing_const_for_fn, unused_variables, reason = "without features")]
fn unpack(by: Compression, bytes: &[u8], out: &mut Bounded) -> Option<()> {
    match by {
        #[cfg(feature = "gzip")]
        Compression::Gzip => gzip::unpack(bytes, out),
        #[cfg(feature = "xz")]
        Compression::Xz => xz::unpack(bytes, out),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::unpack(bytes, out),
        #[cfg(feature = "lz4")]
        Compression::Lz4 => lz4::unpack(bytes, out),
        _ => None,
    }
}

/// What was unpacked, up to a bound.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    most_bytes: usize,
    /// More was to come than there is room for.
    is_full: bool,
}

#[allow(dead_code, reason = "without features")]
impl Bounded {
    /// Returns how many bytes there is room for.
    fn room(&self) -> usize {
        self.most_bytes.saturating_sub(self.bytes.len())
    }

    /// Appends; `None` if that is too much, or there is no memory.
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() > self.room() {
            self.is_full = true;
            return None;
        }
        self.bytes.try_reserve(bytes.len()).ok()?;
        self.bytes.extend_from_slice(bytes);
        Some(())
    }
}
