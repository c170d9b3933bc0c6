//! Editions of the specification that tables can follow.

use core::fmt;

use crate::Error;

/// A version of the specification: what decides how long each structure is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The part before the dot.
    pub major: u8,
    /// The part after the dot.
    pub minor: u8,
}

impl Version {
    /// The oldest that tables can be built for: the first with memory devices.
    pub const OLDEST: Self = Self::new(2, 1);
    /// The last without the 64-bit entry point.
    pub const V2_8: Self = Self::new(2, 8);
    /// The first with the 64-bit entry point.
    pub const V3_0: Self = Self::new(3, 0);
    /// The newest that tables can be built for.
    pub const NEWEST: Self = Self::new(3, 7);

    /// Makes a version of its two parts.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Refuses what this crate doesn't know.
    pub(crate) fn check(self) -> Result<(), Error> {
        if (Self::OLDEST..=Self::NEWEST).contains(&self) && self.minor <= 9 {
            Ok(())
        } else {
            Err(Error::UnsupportedVersion { version: self })
        }
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}
