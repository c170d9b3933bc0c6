//! The tables of trusted platform modules.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::spec::platform::{TcpaBody, Tpm2Body};
use crate::{Error, Signature, Table};

/// "Platform Class": clients, all others being servers.
const CLIENT: u16 = 0;

/// How a TPM 2.0 is made to work on a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct StartMethod(pub u32);

impl StartMethod {
    /// By an ACPI method.
    pub const ACPI: Self = Self(2);
    /// The FIFO registers of the TPM interface specification (TIS), at 0xfed4_0000.
    pub const TIS: Self = Self(6);
    /// A command response buffer.
    pub const CRB: Self = Self(7);
    /// A command response buffer and an ACPI method.
    pub const CRB_WITH_ACPI: Self = Self(8);
}

/// Describes the TPM 2.0 of a client.
///
/// # Source
/// TCG ACPI Specification, "ACPI Table for TPM 2.0".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tpm2 {
    /// How it is made to work.
    pub start_method: StartMethod,
    /// Where the control area is: that of a command response buffer. Zero for [`StartMethod::TIS`].
    pub control_area: Gpa,
    /// Where the firmware's log of measurements is.
    pub log: Option<GpaRange>,
}

impl Table for Tpm2 {
    const SIGNATURE: Signature = Signature::TPM2;
    const REVISION: u8 = 4;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let log = self.log.unwrap_or_default();
        let table = Tpm2Body {
            platform_class: CLIENT.into(),
            reserved: 0.into(),
            control_area_address: self.control_area.as_u64().into(),
            start_method: self.start_method.0.into(),
            start_method_parameters: [0; 12],
            log_area_minimum_length: log_bytes(log)?.into(),
            log_area_start_address: log.start().as_u64().into(),
        };
        body.extend_from_slice(table.as_bytes());
        Ok(())
    }
}

/// Describes the TPM 1.2 of a client.
///
/// # Source
/// TCG ACPI Specification, "ACPI Table for TPM 1.2".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcpa {
    /// Where the firmware's log of measurements is.
    pub log: GpaRange,
}

impl Table for Tcpa {
    const SIGNATURE: Signature = Signature::TCPA;
    const REVISION: u8 = 2;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let table = TcpaBody {
            platform_class: CLIENT.into(),
            log_area_minimum_length: log_bytes(self.log)?.into(),
            log_area_start_address: self.log.start().as_u64().into(),
        };
        body.extend_from_slice(table.as_bytes());
        Ok(())
    }
}

fn log_bytes(log: GpaRange) -> Result<u32, Error> {
    let value = log.size_bytes();
    let max = u32::MAX.into();
    u32::try_from(value).map_err(|_| Error::OutOfRange { field: "length of the log", value, max })
}
