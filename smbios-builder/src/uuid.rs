//! The system's identity.

use core::fmt;
use core::str::FromStr;

use crate::{Error, Version};

/// A universally unique identifier, its bytes in the order in which it is written.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// All bytes zero: "not present, but it can be set". The default.
    pub const UNSET: Self = Self([0; 16]);

    /// Turns the order of writing into that of the table, or back.
    ///
    /// Since version 2.6 the first three fields are little-endian.
    ///
    /// # Source
    /// DSP0134 3.7, "System — UUID".
    pub(crate) const fn swapped(self, version: Version) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        if version.major == 2 && version.minor < 6 {
            return self.0;
        }
        let [i, j, k, l, m, n, o, p] = rest;
        [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
    }
}

impl FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = Error::Uuid { length: text.len() };
        if text.len() != 36 {
            return Err(error);
        }
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (place, byte) in text.bytes().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return Err(error);
                }
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return Err(error),
            };
            let half: &mut u8 = &mut bytes[digits / 2];
            *half = *half << 4 | digit;
            digits += 1;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}
