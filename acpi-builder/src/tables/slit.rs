//! The table of distances between proximity domains.

use alloc::vec::Vec;

use crate::{Error, Signature, Table};

/// Describes the distances between proximity domains, which are numbered from 0.
///
/// # Source
/// ACPI 6.5, "System Locality Information Table (SLIT)".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slit {
    rows: Vec<Vec<u8>>,
}

impl Slit {
    /// The distance of a domain to itself.
    pub const LOCAL: u8 = 10;

    /// The distance of domains that can't reach each other.
    pub const UNREACHABLE: u8 = 255;

    /// Describes distances: `rows[i][j]` is that from domain `i` to domain `j`.
    ///
    /// # Errors
    /// - [`Error::Length`]: a row is not as long as there are rows.
    /// - [`Error::Invalid`]: a domain is not [`LOCAL`](Self::LOCAL) to itself, or another distance
    ///   is less.
    pub fn new(rows: Vec<Vec<u8>>) -> Result<Self, Error> {
        let expected = rows.len();
        for (from, row) in rows.iter().enumerate() {
            if row.len() != expected {
                return Err(Error::Length {
                    field: "row of distances",
                    length: row.len(),
                    expected,
                });
            }
            for (to, &distance) in row.iter().enumerate() {
                let is_sound =
                    if from == to { distance == Self::LOCAL } else { distance >= Self::LOCAL };
                if !is_sound {
                    let field = "distance of proximity domains";
                    return Err(Error::Invalid { field, value: distance.into() });
                }
            }
        }
        Ok(Self { rows })
    }

    /// Describes so many domains that are all equally far from each other.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the distance is less than [`LOCAL`](Self::LOCAL).
    pub fn uniform(domains: usize, distance: u8) -> Result<Self, Error> {
        let row =
            |from| (0..domains).map(|to| if from == to { Self::LOCAL } else { distance }).collect();
        Self::new((0..domains).map(row).collect())
    }
}

impl Table for Slit {
    const SIGNATURE: Signature = Signature::SLIT;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let count = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        body.extend_from_slice(&count.to_le_bytes());
        self.rows.iter().for_each(|row| body.extend_from_slice(row));
        Ok(())
    }
}
