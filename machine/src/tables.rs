//! The ACPI tables that say what [`Devices`](crate::Devices) has.

use acpi_builder::{Dsdt, Fadt, FixedHardware, Madt, PciRoot, Processors, SerialPort, TableSet};

use crate::ports::{PM_BASE, POWER_OFF_TYPE};

/// Where PCI devices may be put: from the end of low RAM to below the I/O APIC.
const PCI_WINDOW: core::ops::RangeInclusive<u32> = 0xC000_0000..=0xFEBF_FFFF;

/// Builds the tables for a machine of `cpus` CPUs.
pub(crate) fn build_tables(cpus: u32) -> Result<TableSet, acpi_builder::Error> {
    let processors = Processors::sequential(cpus)?;
    let mut dsdt = Dsdt::new(&processors);
    dsdt.s5_sleep_type = Some(POWER_OFF_TYPE);
    dsdt.pci_root = Some(PciRoot::new(PCI_WINDOW));
    dsdt.serial_ports.push(SerialPort::COM1);
    dsdt.rtc = true;
    dsdt.keyboard = true;
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(PM_BASE), dsdt.boot_arch());
    TableSet::builder(fadt, dsdt.build()?).table(Madt::pc(&processors).build()?).build()
}
