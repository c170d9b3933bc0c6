//! Data that a UEFI firmware leaves for a guest.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use crate::check::word;
use crate::spec::SdtHeader;
use crate::spec::platform::UefiPrefix;
use crate::{Error, Signature, Table};

/// Describes a UEFI data table. A machine may have several.
///
/// # Source
/// UEFI Specification 2.10, "UEFI ACPI Data Table".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UefiData {
    /// The GUID that says what the data is, as it lies in memory.
    pub identifier: [u8; 16],
    /// The data.
    pub data: Vec<u8>,
}

impl Table for UefiData {
    const SIGNATURE: Signature = Signature::UEFI;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let data_offset = size_of::<SdtHeader>() + size_of::<UefiPrefix>();
        let prefix = UefiPrefix {
            identifier: self.identifier,
            data_offset: word("offset of the data", data_offset)?.into(),
        };
        body.extend_from_slice(prefix.as_bytes());
        body.extend_from_slice(&self.data);
        Ok(())
    }
}
