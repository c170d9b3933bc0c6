//! Sources of machine checks in HEST.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use super::hest::{ErrorNotification, ErrorSourceFlags, flags, kind};
use crate::Error;
use crate::check::unique;
use crate::spec::errors as spec;

/// How the status of a bank of machine checks is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MachineCheckFormat {
    /// As IA-32 has it.
    Ia32 = 0,
    /// As Intel 64 has it.
    Intel64 = 1,
    /// As AMD64 has it.
    Amd64 = 2,
}

/// A bank of machine-check registers, by the numbers of its MSRs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MachineCheckBank {
    /// Its number.
    pub number: u8,
    /// Whether the guest leaves its status as it finds it, and does not clear it first.
    pub keep_status: bool,
    /// How its status is read.
    pub format: MachineCheckFormat,
    /// IA32_MCi_CTL.
    pub control_msr: u32,
    /// What the guest writes there.
    pub control: u64,
    /// IA32_MCi_STATUS.
    pub status_msr: u32,
    /// IA32_MCi_ADDR; 0 if there is none.
    pub address_msr: u32,
    /// IA32_MCi_MISC; 0 if there is none.
    pub misc_msr: u32,
}

impl MachineCheckBank {
    /// Bank `number`, from 0 to 31, where the architecture has it, with all its errors enabled.
    ///
    /// # Source
    /// Intel SDM Vol. 3B, "Error-Reporting Register Banks".
    #[must_use]
    pub const fn architectural(number: u8, format: MachineCheckFormat) -> Self {
        let first = 0x400 + 4 * number as u32;
        Self {
            number,
            keep_status: false,
            format,
            control_msr: first,
            control: u64::MAX,
            status_msr: first + 1,
            address_msr: first + 2,
            misc_msr: first + 3,
        }
    }
}

/// Machine checks that raise an exception: "IA-32 Architecture Machine Check Exception".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MachineCheckSource {
    /// A number that no other source has.
    pub id: u16,
    /// Who sees an error first.
    pub flags: ErrorSourceFlags,
    /// What is written to IA32_MCG_CAP.
    pub capability: u64,
    /// What is written to IA32_MCG_CTL.
    pub control: u64,
    /// The banks.
    pub banks: Vec<MachineCheckBank>,
}

/// Machine checks that the guest looks for or is told of: "IA-32 Architecture Corrected Machine
/// Check" and "IA-32 Architecture Deferred Machine Check".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuietMachineCheckSource {
    /// A number that no other source has.
    pub id: u16,
    /// Who sees an error first.
    pub flags: ErrorSourceFlags,
    /// How the guest learns of an error.
    pub notification: ErrorNotification,
    /// The banks.
    pub banks: Vec<MachineCheckBank>,
}

/// Flags that sources of machine checks can have.
const OF_MACHINE_CHECKS: ErrorSourceFlags =
    ErrorSourceFlags::FIRMWARE_FIRST.union(ErrorSourceFlags::GHES_ASSIST);
/// Checks the banks and returns how many there are.
fn count(banks: &[MachineCheckBank]) -> Result<u8, Error> {
    unique("machine-check bank", banks.iter().map(|bank| bank.number.into()))?;
    u8::try_from(banks.len()).map_err(|_| Error::OutOfRange {
        field: "number of machine-check banks",
        value: banks.len() as u64,
        max: u8::MAX.into(),
    })
}

fn append_banks(banks: &[MachineCheckBank], body: &mut Vec<u8>) {
    for bank in banks {
        let entry = spec::HestBank {
            number: bank.number,
            keep_status: u8::from(bank.keep_status),
            status_format: bank.format as u8,
            reserved: 0,
            control_msr: bank.control_msr.into(),
            control_data: bank.control.into(),
            status_msr: bank.status_msr.into(),
            address_msr: bank.address_msr.into(),
            misc_msr: bank.misc_msr.into(),
        };
        body.extend_from_slice(entry.as_bytes());
    }
}

impl MachineCheckSource {
    pub(super) fn append(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let source = spec::HestMachineCheck {
            source_type: kind::MACHINE_CHECK.into(),
            source_id: self.id.into(),
            reserved: 0.into(),
            flags: flags(self.flags, OF_MACHINE_CHECKS)?,
            enabled: 1,
            records: spec::ONE_RECORD,
            global_capability: self.capability.into(),
            global_control: self.control.into(),
            bank_count: count(&self.banks)?,
            reserved_2: [0; 7],
        };
        body.extend_from_slice(source.as_bytes());
        append_banks(&self.banks, body);
        Ok(())
    }
}

impl QuietMachineCheckSource {
    pub(super) fn append(&self, kind: u16, body: &mut Vec<u8>) -> Result<(), Error> {
        let source = spec::HestQuietMachineCheck {
            source_type: kind.into(),
            source_id: self.id.into(),
            reserved: 0.into(),
            flags: flags(self.flags, OF_MACHINE_CHECKS)?,
            enabled: 1,
            records: spec::ONE_RECORD,
            notification: self.notification.layout(),
            bank_count: count(&self.banks)?,
            reserved_2: [0; 3],
        };
        body.extend_from_slice(source.as_bytes());
        append_banks(&self.banks, body);
        Ok(())
    }
}
