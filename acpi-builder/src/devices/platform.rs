//! Devices that a real machine has too.

use alloc::vec::Vec;

use guest_state::GpaRange;

use super::{AmlDevice, STATUS_SHOWN};
use crate::aml::{Resources, Terms};
use crate::{Error, FixedHardware, Hpet, Mcfg, PciAddress};

/// The event timer, `HPET`, as the table of that name has it.
///
/// # Source
/// IA-PC HPET Specification 1.0a, "The ACPI 2.0 HPET Device".
impl AmlDevice for Hpet {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        const SIZE_BYTES: u64 = 0x400;
        let field = "address of the event timer block";
        let value = self.address.as_u64();
        let range =
            GpaRange::new(self.address, SIZE_BYTES).ok_or(Error::Invalid { field, value })?;
        let mut terms = Terms::new();
        terms.hid("PNP0103")?;
        terms.name(*b"_UID", &self.number)?;
        terms.crs(&Resources::new().memory32(range)?)?;
        scope.device(*b"HPET", &terms)
    }
}

/// A TPM 2.0, `TPM_`, beside the [`Tpm2`](crate::Tpm2) table.
///
/// # Source
/// TCG ACPI Specification, "ACPI Device Object for TPM 2.0".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TpmDevice {
    /// Its registers, at 0xfed4_0000.
    pub registers: GpaRange,
}

impl AmlDevice for TpmDevice {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut terms = Terms::new();
        terms.text(*b"_HID", "MSFT0101")?;
        terms.name(*b"_STA", &STATUS_SHOWN)?;
        terms.crs(&Resources::new().memory32(self.registers)?)?;
        scope.device(*b"TPM_", &terms)
    }
}

/// A function on the root bus that AML has a name for, so that other AML can refer to it.
///
/// # Source
/// ACPI 6.5, "_ADR (Address)".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciFunction {
    /// Its name.
    pub name: [u8; 4],
    /// Its place; the bus is the one of the bridge that it is put behind.
    pub address: PciAddress,
}

impl PciFunction {
    /// The PIIX4's power management, `PM__`, where a PIIX4 is device 1.
    pub const PIIX4_PM: Self = Self { name: *b"PM__", address: PciAddress::new(0, 1, 3) };
    /// The ICH9's bridge to LPC, `LPC_`, which has its power management.
    pub const ICH9_LPC: Self = Self { name: *b"LPC_", address: PciAddress::new(0, 31, 0) };
}

impl AmlDevice for PciFunction {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let PciAddress { device, function, .. } = self.address;
        self.address.device_function()?;
        let mut terms = Terms::new();
        terms.name(*b"_ADR", &(u32::from(device) << 16 | u32::from(function)))?;
        scope.device(self.name, &terms)
    }
}

/// What the platform takes without a driver, so that the guest puts nothing else there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemResources {
    /// Blocks of I/O ports: the first, and how many.
    pub ports: Vec<(u16, u8)>,
    /// Memory below 4 GiB.
    pub memory: Vec<GpaRange>,
}

impl SystemResources {
    /// Lists the ports of fixed hardware: those of the PIIX4's or the ICH9's power management.
    #[must_use]
    pub fn fixed_hardware(registers: &FixedHardware) -> Self {
        let mut ports: Vec<(u16, u8)> =
            [(registers.pm1a_event, 4), (registers.pm1a_control, 2), (registers.pm_timer, 4)]
                .into();
        ports.extend(registers.gpe0.map(|gpe0| (gpe0.port, gpe0.size_bytes)));
        ports.extend(registers.smi.map(|smi| (smi.port, 1)));
        Self { ports, memory: Vec::new() }
    }

    /// Adds the configuration spaces that lie below 4 GiB, as the PCI Firmware Specification asks
    /// for in "MCFG Table Description".
    ///
    /// # Errors
    /// Those of [`EcamRegion::range`](crate::EcamRegion::range).
    pub fn configuration_spaces(mut self, mcfg: &Mcfg) -> Result<Self, Error> {
        for region in &mcfg.regions {
            let range = region.range()?;
            if range.end().as_u64() <= 1 << 32 {
                self.memory.push(range);
            }
        }
        Ok(self)
    }
}

/// The device `SYSR`.
impl AmlDevice for SystemResources {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut resources = Resources::new();
        for &(port, size_bytes) in &self.ports {
            resources = resources.ports(port, size_bytes)?;
        }
        for &range in &self.memory {
            resources = resources.memory32(range)?;
        }
        let mut terms = Terms::new();
        terms.hid("PNP0C02")?;
        terms.crs(&resources)?;
        scope.device(*b"SYSR", &terms)
    }
}
