//! Secondary system description tables.

use alloc::vec::Vec;

use crate::aml::Terms;
use crate::{Error, Signature, Table};

/// Describes a secondary system description table: AML that adds to the DSDT's.
///
/// # Source
/// ACPI 6.5, "Secondary System Description Table (SSDT)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssdt {
    /// The definition block, without its header.
    pub aml: Vec<u8>,
}

impl From<Terms> for Ssdt {
    fn from(terms: Terms) -> Self {
        Self { aml: terms.into_bytes() }
    }
}

impl Table for Ssdt {
    const SIGNATURE: Signature = Signature::SSDT;
    const REVISION: u8 = 2;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        body.extend_from_slice(&self.aml);
        Ok(())
    }
}
