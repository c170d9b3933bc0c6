//! What errors print with more than a format string.

use core::fmt;

use crate::Refusal;

/// How a file begins: at most its first eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBytes {
    bytes: [u8; 8],
    length: usize,
}

impl FirstBytes {
    pub(crate) fn new(file: &[u8]) -> Self {
        let mut bytes = [0; 8];
        let length = file.len().min(bytes.len());
        bytes[..length].copy_from_slice(&file[..length]);
        Self { bytes, length }
    }
}

impl fmt::Display for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes[..self.length].iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Prints each protocol with its reason.
pub(crate) struct Reasons<'a>(pub(crate) &'a [Refusal]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.0.iter().enumerate() {
            let Refusal { protocol, reason } = refusal;
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{protocol}: {reason}")?;
        }
        Ok(())
    }
}
