//! The table of the sources of hardware errors: HEST.

use alloc::vec::Vec;

use bitflags::bitflags;
use zerocopy::IntoBytes;

use super::machine_check::{MachineCheckSource, QuietMachineCheckSource};
use crate::check::{dword, unique};
use crate::register::{Access, Register};
use crate::spec::errors as spec;
use crate::{Error, PciAddress, Signature, Table};

/// How a guest learns of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorNotification {
    /// It looks, after so many milliseconds each.
    Polled {
        /// How many.
        interval_ms: u32,
    },
    /// By a global system interrupt.
    Interrupt {
        /// Which.
        gsi: u32,
    },
    /// By the SCI, through an event and the device `PNP0C33`.
    Sci,
    /// By an NMI.
    Nmi,
    /// By the interrupt of corrected machine checks.
    CorrectedMachineCheck,
    /// By the exception of machine checks.
    MachineCheck,
    /// As an interrupt of general-purpose I/O, through the device `PNP0C33`.
    Gpio,
}

/// A register that says a status block was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadAcknowledge {
    /// Where it is; it has 64 bits.
    pub register: Register,
    /// Which bits stay.
    pub preserve: u64,
    /// Which bits are set.
    pub write: u64,
}

/// A place where the firmware, or the hypervisor, leaves errors: "Generic Hardware Error Source".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GenericErrorSource {
    /// A number that no other source has.
    pub id: u16,
    /// Where the address of the status block stands, in 64 bits.
    pub status_address: Register,
    /// How long the status block is.
    pub status_bytes: u32,
    /// How the guest learns of an error.
    pub notification: ErrorNotification,
    /// How the guest says that it has read; with it the source is of version 2.
    pub acknowledge: Option<ReadAcknowledge>,
}

bitflags! {
    /// Who sees an error first, and for whom a source stands.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ErrorSourceFlags: u8 {
        /// The firmware handles such errors before the guest.
        const FIRMWARE_FIRST = 1 << 0;
        /// Of PCI Express: it stands for all devices of its kind.
        const GLOBAL = 1 << 1;
        /// Of machine checks: a generic source has more to say of an error.
        const GHES_ASSIST = 1 << 2;
    }
}

/// Errors that raise an NMI: "IA-32 Architecture Non-Maskable Interrupt".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NmiErrorSource {
    /// A number that no other source has.
    pub id: u16,
    /// How many bytes of raw data an error has.
    pub raw_bytes: u32,
}

/// Advanced error reporting of PCI Express devices, as the guest is to set it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AerSource {
    /// A number that no other source has.
    pub id: u16,
    /// Who sees an error first, and whether it stands for all devices of its kind.
    pub flags: ErrorSourceFlags,
    /// The segment of the device, if it stands for one alone.
    pub segment: u16,
    /// Its place there.
    pub address: PciAddress,
    /// What the guest writes to the device control register.
    pub device_control: u16,
    /// To the mask of uncorrectable errors.
    pub uncorrectable_mask: u32,
    /// To their severity.
    pub uncorrectable_severity: u32,
    /// To the mask of correctable errors.
    pub correctable_mask: u32,
    /// To the register of advanced error capabilities and control.
    pub capabilities: u32,
}

/// What a PCI Express bridge has beside [`AerSource`], for the bus behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SecondaryErrors {
    /// What the guest writes to the mask of uncorrectable errors.
    pub uncorrectable_mask: u32,
    /// To their severity.
    pub uncorrectable_severity: u32,
    /// To the register of advanced error capabilities and control.
    pub capabilities: u32,
}

/// Something that errors come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorSource {
    /// Machine checks that raise an exception.
    MachineCheck(MachineCheckSource),
    /// Machine checks that were corrected.
    CorrectedMachineCheck(QuietMachineCheckSource),
    /// Machine checks of data that nobody has used yet.
    DeferredMachineCheck(QuietMachineCheckSource),
    /// NMIs.
    Nmi(NmiErrorSource),
    /// A root port of PCI Express, and what is written to its root error command register.
    PcieRoot(AerSource, u32),
    /// A device of PCI Express.
    PcieDevice(AerSource),
    /// A bridge from PCI Express to PCI.
    PcieBridge(AerSource, SecondaryErrors),
    /// A place where errors are left.
    Generic(GenericErrorSource),
}

/// Describes the hardware error source table.
///
/// # Source
/// ACPI 6.5, "ACPI Error Source".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hest {
    /// The sources.
    pub sources: Vec<ErrorSource>,
}

impl Table for Hest {
    const SIGNATURE: Signature = Signature::HEST;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        unique("id of an error source", self.sources.iter().map(|source| source.id().into()))?;
        body.extend_from_slice(&dword("number of sources", self.sources.len())?.to_le_bytes());
        self.sources.iter().try_for_each(|source| source.append(body))
    }
}

/// "Type" of the sources.
pub(super) mod kind {
    pub(in crate::tables) const MACHINE_CHECK: u16 = 0;
    pub(in crate::tables) const CORRECTED_MACHINE_CHECK: u16 = 1;
    pub(in crate::tables) const NMI: u16 = 2;
    pub(in crate::tables) const PCIE_ROOT: u16 = 6;
    pub(in crate::tables) const PCIE_DEVICE: u16 = 7;
    pub(in crate::tables) const PCIE_BRIDGE: u16 = 8;
    pub(in crate::tables) const GENERIC: u16 = 9;
    pub(in crate::tables) const GENERIC_2: u16 = 10;
    pub(in crate::tables) const DEFERRED_MACHINE_CHECK: u16 = 11;
}

impl ErrorSource {
    /// Returns its number.
    #[must_use]
    pub const fn id(&self) -> u16 {
        match self {
            Self::MachineCheck(source) => source.id,
            Self::CorrectedMachineCheck(source) | Self::DeferredMachineCheck(source) => source.id,
            Self::Nmi(source) => source.id,
            Self::PcieRoot(source, _) | Self::PcieDevice(source) | Self::PcieBridge(source, _) => {
                source.id
            }
            Self::Generic(source) => source.id,
        }
    }

    fn append(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::MachineCheck(source) => source.append(body)?,
            Self::CorrectedMachineCheck(source) => {
                source.append(kind::CORRECTED_MACHINE_CHECK, body)?;
            }
            Self::DeferredMachineCheck(source) => {
                source.append(kind::DEFERRED_MACHINE_CHECK, body)?;
            }
            Self::Nmi(source) => {
                let source = spec::HestNmi {
                    source_type: kind::NMI.into(),
                    source_id: source.id.into(),
                    reserved: 0.into(),
                    records: spec::ONE_RECORD,
                    max_raw_data_length: source.raw_bytes.into(),
                };
                body.extend_from_slice(source.as_bytes());
            }
            Self::PcieRoot(source, command) => {
                source.append(kind::PCIE_ROOT, body)?;
                body.extend_from_slice(&command.to_le_bytes());
            }
            Self::PcieDevice(source) => source.append(kind::PCIE_DEVICE, body)?,
            Self::PcieBridge(source, secondary) => {
                source.append(kind::PCIE_BRIDGE, body)?;
                let SecondaryErrors { uncorrectable_mask, uncorrectable_severity, capabilities } =
                    secondary;
                for word in [uncorrectable_mask, uncorrectable_severity, capabilities] {
                    body.extend_from_slice(&word.to_le_bytes());
                }
            }
            Self::Generic(source) => source.append(body)?,
        }
        Ok(())
    }
}

/// Returns the flags, if a source of this kind can have them.
pub(super) fn flags(flags: ErrorSourceFlags, allowed: ErrorSourceFlags) -> Result<u8, Error> {
    match allowed.contains(flags) {
        true => Ok(flags.bits()),
        false => {
            Err(Error::Invalid { field: "flags of an error source", value: flags.bits().into() })
        }
    }
}

/// Flags that sources of PCI Express errors can have.
const OF_PCIE: ErrorSourceFlags = ErrorSourceFlags::FIRMWARE_FIRST.union(ErrorSourceFlags::GLOBAL);

impl AerSource {
    fn append(&self, kind: u16, body: &mut Vec<u8>) -> Result<(), Error> {
        self.address.device_function()?;
        let PciAddress { bus, device, function } = self.address;
        let source = spec::HestAer {
            source_type: kind.into(),
            source_id: self.id.into(),
            reserved: 0.into(),
            flags: flags(self.flags, OF_PCIE)?,
            enabled: 1,
            records: spec::ONE_RECORD,
            bus: (u32::from(self.segment) << 8 | u32::from(bus)).into(),
            device: u16::from(device).into(),
            function: u16::from(function).into(),
            device_control: self.device_control.into(),
            reserved_2: 0.into(),
            uncorrectable_mask: self.uncorrectable_mask.into(),
            uncorrectable_severity: self.uncorrectable_severity.into(),
            correctable_mask: self.correctable_mask.into(),
            capabilities: self.capabilities.into(),
        };
        body.extend_from_slice(source.as_bytes());
        Ok(())
    }
}

impl ErrorNotification {
    pub(super) fn layout(self) -> spec::HestNotification {
        let (notification_type, poll_interval, vector) = match self {
            Self::Polled { interval_ms } => (0, interval_ms, 0),
            Self::Interrupt { gsi } => (1, 0, gsi),
            Self::Sci => (3, 0, 0),
            Self::Nmi => (4, 0, 0),
            Self::CorrectedMachineCheck => (5, 0, 0),
            Self::MachineCheck => (6, 0, 0),
            Self::Gpio => (7, 0, 0),
        };
        spec::HestNotification {
            notification_type,
            length: 28,
            configuration_write_enable: 0.into(),
            poll_interval: poll_interval.into(),
            vector: vector.into(),
            thresholds: [0.into(); 4],
        }
    }
}

impl GenericErrorSource {
    fn append(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        const NO_RELATED_SOURCE: u16 = 0xFFFF;
        let kind = if self.acknowledge.is_some() { kind::GENERIC_2 } else { kind::GENERIC };
        let source = spec::HestGeneric {
            source_type: kind.into(),
            source_id: self.id.into(),
            related_source_id: NO_RELATED_SOURCE.into(),
            flags: 0,
            enabled: 1,
            records: spec::ONE_RECORD,
            max_raw_data_length: self.status_bytes.into(),
            error_status_address: self.status_address.block(8, Access::Qword)?,
            notification: self.notification.layout(),
            error_status_block_length: self.status_bytes.into(),
        };
        body.extend_from_slice(source.as_bytes());
        if let Some(acknowledge) = self.acknowledge {
            let rest = spec::HestAcknowledge {
                read_ack_register: acknowledge.register.block(8, Access::Qword)?,
                read_ack_preserve: acknowledge.preserve.into(),
                read_ack_write: acknowledge.write.into(),
            };
            body.extend_from_slice(rest.as_bytes());
        }
        Ok(())
    }
}
