//! Devices that only a virtual machine has.

use guest_state::{Gpa, GpaRange};

use super::{AmlDevice, STATUS_HIDDEN, STATUS_SHOWN};
use crate::aml::{Resources, Terms, text};
use crate::{Error, IntiFlags};

/// The virtual machine's generation, `VGEN`: 16 bytes in memory that change when the machine starts
/// from a snapshot again. The device is then notified with 80h.
///
/// # Source
/// Microsoft, "Virtual Machine Generation ID"; QEMU `docs/specs/vmgenid.rst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmGenerationId {
    /// Where the generation is, a multiple of 8.
    pub address: Gpa,
}

impl AmlDevice for VmGenerationId {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        crate::check::aligned("address of the generation", self.address, 8)?;
        let address = self.address.as_u64();
        let low = address & u64::from(u32::MAX);
        let high = address >> 32;
        let mut terms = Terms::new();
        // Drivers look for the others; this one must have four hexadecimal digits at its end.
        terms.text(*b"_HID", "HVKT0001")?;
        terms.package(*b"_CID", &[&text("VM_Gen_Counter")?, &text("VMGENCTR")?])?;
        terms.text(*b"_DDN", "VM_Gen_Counter")?;
        terms.package(*b"ADDR", &[&low, &high])?;
        scope.device(*b"VGEN", &terms)
    }
}

/// The virtual machine's clock, `VCLK`: a page that says how the processor's counter makes time.
///
/// # Source
/// UAPI `vmclock-abi.h` of Linux; its device is QEMU's `hw/acpi/vmclock.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmClock {
    /// Where it is.
    pub page: GpaRange,
}

impl AmlDevice for VmClock {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut terms = Terms::new();
        terms.text(*b"_HID", "AMZNC10C")?;
        terms.text(*b"_CID", "VMCLOCK")?;
        terms.text(*b"_DDN", "VMCLOCK")?;
        terms.crs(&Resources::new().shared_memory64(self.page)?)?;
        scope.device(*b"VCLK", &terms)
    }
}

/// The configuration device of QEMU, `FWCF`, at twelve ports: selector, data, DMA.
///
/// # Source
/// QEMU `docs/specs/fw_cfg.rst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FwCfgDevice {
    /// The first port.
    pub port: u16,
}

impl FwCfgDevice {
    /// Port 0x510.
    pub const PC: Self = Self { port: 0x510 };
}

impl AmlDevice for FwCfgDevice {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut terms = Terms::new();
        terms.text(*b"_HID", "QEMU0002")?;
        terms.name(*b"_STA", &STATUS_HIDDEN)?;
        terms.crs(&Resources::new().ports(self.port, 12)?)?;
        scope.device(*b"FWCF", &terms)
    }
}

/// The port, `PEVT`, by which a guest says that it has crashed.
///
/// # Source
/// QEMU `docs/specs/pvpanic.rst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvPanic {
    /// The port.
    pub port: u16,
}

impl PvPanic {
    /// Port 0x505.
    pub const PC: Self = Self { port: 0x505 };
}

impl AmlDevice for PvPanic {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut terms = Terms::new();
        terms.text(*b"_HID", "QEMU0001")?;
        terms.name(*b"_STA", &STATUS_SHOWN)?;
        terms.crs(&Resources::new().ports(self.port, 1)?)?;
        scope.device(*b"PEVT", &terms)
    }
}

/// A virtio device in memory, `VR00` to `VRFF`.
///
/// # Source
/// Virtual I/O Device (VIRTIO) 1.2, "Virtio Over MMIO"; the id is that of Linux' `virtio_mmio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioMmio {
    /// Its number.
    pub number: u8,
    /// Its registers.
    pub registers: GpaRange,
    /// Its global system interrupt.
    pub gsi: u32,
    /// Edge or level, high or low.
    pub flags: IntiFlags,
}

impl AmlDevice for VirtioMmio {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let digit = |shift: u32| b"0123456789ABCDEF"[usize::from(self.number >> shift & 0xF)];
        let mut terms = Terms::new();
        terms.text(*b"_HID", "LNRO0005")?;
        terms.name(*b"_UID", &self.number)?;
        // Its DMA sees what caches hold.
        terms.name(*b"_CCA", &1_u8)?;
        let resources = Resources::new().memory32(self.registers)?;
        terms.crs(&resources.interrupt(self.gsi, self.flags, false)?)?;
        scope.device([b'V', b'R', digit(4), digit(0)], &terms)
    }
}
