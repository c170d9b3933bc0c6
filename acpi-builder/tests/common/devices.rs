//! A machine with every device that there is a description of.

use acpi_builder::aml::{FieldAccess, Terms};
use acpi_builder::devices::{
    FwCfgDevice, GedEvent, GenericEventDevice, PciFunction, PowerButton, PvPanic, SleepButton,
    SystemResources, TpmDevice, VirtioMmio, VmClock, VmGenerationId,
};
use acpi_builder::{
    Dsdt, Error, FixedHardware, Hpet, IntiFlags, PciExpressControl, PciRoot, Processors,
    RegionSpace, SerialPort, SmiCommand,
};
use guest_state::Gpa;

use super::machine::{mcfg, range};

pub(crate) fn dsdt(processors: &Processors) -> Result<Dsdt<'_>, Error> {
    let mut dsdt = Dsdt::new(processors);
    dsdt.s3_sleep_type = Some(1);
    dsdt.s4_sleep_type = Some(2);
    dsdt.s5_sleep_type = Some(7);
    let mut root = PciRoot::new(0xC000_0000..=0xFEAF_FFFF);
    root.express = Some(PciExpressControl::CAPABILITY | PciExpressControl::AER);
    dsdt.pci_root = Some(root);
    dsdt.serial_ports = vec![SerialPort::COM1];
    dsdt.rtc = true;
    dsdt.keyboard = true;
    dsdt.mouse = true;
    let mut registers = FixedHardware::ich9(0x600);
    registers.smi = Some(SmiCommand::APM);
    let resources = SystemResources::fixed_hardware(&registers).configuration_spaces(&mcfg())?;
    dsdt.add_fixed(&resources)?;
    dsdt.add_fixed(&PciFunction::PIIX4_PM)?;
    dsdt.add_fixed(&PciFunction::ICH9_LPC)?;
    dsdt.add_fixed(&FwCfgDevice::PC)?;
    dsdt.add_fixed(&PvPanic::PC)?;
    dsdt.add(&Hpet::PC)?;
    dsdt.add(&TpmDevice { registers: range(0xFED4_0000, 0x5000) })?;
    dsdt.add(&PowerButton)?;
    dsdt.add(&SleepButton)?;
    dsdt.add(&VmGenerationId { address: Gpa::new(0x12_7FE6_0028) })?;
    dsdt.add(&VmClock { page: range(0x12_7FE7_0000, 0x1000) })?;
    let (registers, gsi) = (range(0xFEB0_5000, 0x200), 42);
    dsdt.add(&VirtioMmio { number: 0x1F, registers, gsi, flags: IntiFlags::EDGE_HIGH })?;
    let event =
        |gsi, flags, device: &str| GedEvent { gsi, flags, device: device.into(), value: 0x80 };
    let events = vec![
        event(16, IntiFlags::EDGE_HIGH, "\\_SB_.PWRB"),
        event(17, IntiFlags::LEVEL_LOW, "\\_SB_.VGEN"),
    ];
    dsdt.add(&GenericEventDevice { events })?;
    Ok(dsdt)
}

/// What no description is made of, for the constructors.
pub(crate) fn terms() -> Result<Terms, Error> {
    let mut on = Terms::new();
    on.name(*b"ABCD", &0x1234_5678_9ABC_u64)?;
    let mut power = Terms::new();
    power.name(*b"_STA", &1_u8)?;
    power.method(*b"_ON_", 0, &on)?;
    power.method(*b"_OFF", 0, &Terms::new())?;
    let mut bus = Terms::new();
    bus.power_resource(*b"PWRS", 3, 0x1234, &power)?;
    bus.region(*b"REGA", RegionSpace::SYSTEM_IO, 0x510, 2)?;
    bus.fields(*b"REGA", FieldAccess::Byte, &[(*b"FLDA", 4), (*b"FLDB", 12)])?;
    let mut table = Terms::new();
    table.scope("\\_SB_", &bus)?;
    Ok(table)
}
