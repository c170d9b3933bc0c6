//! The ACPI tables that say what [`Devices`](crate::Devices) has, and the SMBIOS tables that say what
//! the machine is.

use alloc::vec::Vec;

use acpi_builder::{Dsdt, Fadt, FixedHardware, Madt, PciRoot, Processors, SerialPort, TableSet};

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, MemoryKind};
use smbios_builder::SmbiosTables;

use crate::ports::{PM_BASE, POWER_OFF_TYPE};
use crate::slots::Slot;
use crate::{Error, firmware};

/// Where PCI devices may be put: from the end of low RAM to below the I/O APIC.
const PCI_WINDOW: core::ops::RangeInclusive<u32> = 0xC000_0000..=0xFEBF_FFFF;

/// The tables that tell a guest of its machine, complete but for their address.
#[derive(Clone, Debug)]
pub struct Tables {
    /// ACPI: which devices there are, and where.
    pub acpi: TableSet,
    /// SMBIOS: what the machine is, and its memory.
    pub smbios: SmbiosTables,
}

impl Tables {
    /// Builds the tables for a machine of `cpus` CPUs and this memory.
    ///
    /// # Errors
    /// [`Error::Tables`] or [`Error::Smbios`] if they can't express so many CPUs or so much memory.
    pub fn new(cpus: u32, memory: &MemoryMap) -> Result<Self, Error> {
        Self::with_disks(cpus, memory, 0)
    }

    /// The same with the interrupts of so many disks.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_disks(cpus: u32, memory: &MemoryMap, disks: usize) -> Result<Self, Error> {
        Ok(Self { acpi: build_acpi(cpus, disks)?, smbios: build_smbios(cpus, memory)? })
    }

    /// Returns the files of the configuration device, by name, from which firmware installs the
    /// tables: those of ACPI with the script that places them, and those of SMBIOS.
    ///
    /// # Errors
    /// [`Error::Smbios`] if the SMBIOS tables are more than these files can hold; [`Error::FwCfg`]
    /// for what a script can't say.
    pub fn fw_cfg_files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        firmware::table_files(self)
    }
}

fn build_acpi(cpus: u32, disks: usize) -> Result<TableSet, acpi_builder::Error> {
    let processors = Processors::sequential(cpus)?;
    let mut dsdt = Dsdt::new(&processors);
    dsdt.s5_sleep_type = Some(POWER_OFF_TYPE);
    let mut pci_root = PciRoot::new(PCI_WINDOW);
    pci_root.routes = Slot::all().take(disks).map(Slot::route).collect();
    dsdt.pci_root = Some(pci_root);
    dsdt.serial_ports.push(SerialPort::COM1);
    dsdt.rtc = true;
    dsdt.keyboard = true;
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(PM_BASE), dsdt.boot_arch());
    TableSet::builder(fadt, dsdt.build()?).table(Madt::pc(&processors).build()?).build()
}

fn build_smbios(cpus: u32, memory: &MemoryMap) -> Result<SmbiosTables, smbios_builder::Error> {
    const FIRST_MIB: Gpa = Gpa::new(1 << 20);
    let mut description = smbios_builder::Platform::new(cpus);
    for range in memory.ranges(MemoryKind::RAM) {
        // What is reserved below 1 MiB is memory all the same, though not for the guest's system.
        let start = if range.start() <= FIRST_MIB { Gpa::ZERO } else { range.start() };
        if range.end() > FIRST_MIB {
            let whole = GpaRange::from_bounds(start, range.end());
            description = description.memory(whole.unwrap_or(range));
        }
    }
    description.build()
}
