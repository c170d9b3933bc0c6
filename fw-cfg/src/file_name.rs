//! Names of files.

use core::fmt;

use crate::Error;

/// A file's name: 1 to 55 bytes of printable ASCII, such as `etc/e820`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName([u8; Self::FIELD_BYTES]);

impl FileName {
    /// The ACPI tables, by QEMU's name for them.
    pub const ACPI_TABLES: Self = Self::literal(b"etc/acpi/tables");
    /// The ACPI RSDP, by QEMU's name for it.
    pub const ACPI_RSDP: Self = Self::literal(b"etc/acpi/rsdp");
    /// The memory map.
    pub const E820: Self = Self::literal(b"etc/e820");
    /// The script that places tables.
    pub const TABLE_LOADER: Self = Self::literal(b"etc/table-loader");

    /// How many bytes a name has in the directory and in scripts, the zero behind it included.
    pub(crate) const FIELD_BYTES: usize = 56;

    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::FileNameLength`], [`Error::FileNameByte`].
    pub fn new(name: &str) -> Result<Self, Error> {
        Self::from_bytes(name.as_bytes())
    }

    /// Makes a name of a constant, which must be one.
    const fn literal(name: &[u8]) -> Self {
        assert!(!name.is_empty() && name.len() < Self::FIELD_BYTES);
        let mut field = [0; Self::FIELD_BYTES];
        field.split_at_mut(name.len()).0.copy_from_slice(name);
        Self(field)
    }

    fn from_bytes(name: &[u8]) -> Result<Self, Error> {
        let length = name.len();
        if length == 0 || length >= Self::FIELD_BYTES {
            return Err(Error::FileNameLength { length });
        }
        let printable = |byte: &&u8| (b' '..=b'~').contains(*byte);
        if let Some(&byte) = name.iter().find(|byte| !printable(byte)) {
            return Err(Error::FileNameByte { byte });
        }
        let mut field = [0; Self::FIELD_BYTES];
        field[..length].copy_from_slice(name);
        Ok(Self(field))
    }

    /// Reads a name that ends with its first zero byte.
    pub(crate) fn from_field(field: &[u8; Self::FIELD_BYTES]) -> Result<Self, Error> {
        let length = field.iter().position(|&byte| byte == 0);
        Self::from_bytes(&field[..length.unwrap_or(Self::FIELD_BYTES)])
    }

    /// Returns the name with zeros behind it.
    pub(crate) fn as_field(&self) -> [u8; Self::FIELD_BYTES] {
        self.0
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0);
        core::str::from_utf8(&self.0[..length.unwrap_or(Self::FIELD_BYTES)]).unwrap_or_default()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileName({:?})", self.as_str())
    }
}
