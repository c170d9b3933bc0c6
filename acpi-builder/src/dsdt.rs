//! The differentiated system description table: the devices that a guest can't find by itself.

use alloc::vec::Vec;

use crate::aml::Terms;
use crate::devices::AmlDevice;
use crate::isa::{append_keyboard, append_mouse, append_rtc};
use crate::{BootArch, Error, PciRoot, Processors, Sdt, SerialPort, Signature, Table};

/// Describes the differentiated system description table.
///
/// Devices with fixed I/O ports stand below the PCI root, if there is one: the ports are among
/// those that it forwards. What is not foreseen here goes into an SSDT beside it.
///
/// # Source
/// ACPI 6.5, "Differentiated System Description Table (DSDT)".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dsdt<'a> {
    /// The processors, `\_SB.C000` and on.
    pub processors: &'a Processors,
    /// The sleep type, 0 to 7, that suspends the machine to memory when written to PM1 control.
    pub s3_sleep_type: Option<u8>,
    /// The one that suspends it to disk.
    pub s4_sleep_type: Option<u8>,
    /// The one that switches it off.
    pub s5_sleep_type: Option<u8>,
    /// The PCI host bridge, `\_SB.PCI0`.
    pub pci_root: Option<PciRoot>,
    /// Serial ports, `COM1` to `COM9`.
    pub serial_ports: Vec<SerialPort>,
    /// Whether there is a CMOS clock, `RTC_`, at ports 0x70 and 0x71.
    pub rtc: bool,
    /// Whether there is a keyboard, `KBD_`, behind an 8042 at ports 0x60 and 0x64.
    pub keyboard: bool,
    /// Whether there is a mouse, `MOU_`, behind it too.
    pub mouse: bool,
    /// More devices, beside the processors.
    pub system_bus: Terms,
    /// More devices, beside those with fixed ports.
    pub fixed_devices: Terms,
}

impl<'a> Dsdt<'a> {
    /// Describes a machine that has processors and nothing else.
    #[must_use]
    pub fn new(processors: &'a Processors) -> Self {
        Self {
            processors,
            s3_sleep_type: None,
            s4_sleep_type: None,
            s5_sleep_type: None,
            pci_root: None,
            serial_ports: Vec::new(),
            rtc: false,
            keyboard: false,
            mouse: false,
            system_bus: Terms::new(),
            fixed_devices: Terms::new(),
        }
    }

    /// Adds a device below `\_SB`.
    ///
    /// # Errors
    /// What the description can't be expressed for.
    pub fn add(&mut self, device: &impl AmlDevice) -> Result<(), Error> {
        device.append_to(&mut self.system_bus)
    }

    /// Adds a device beside those with fixed ports: below the PCI root, if there is one.
    ///
    /// # Errors
    /// What the description can't be expressed for.
    pub fn add_fixed(&mut self, device: &impl AmlDevice) -> Result<(), Error> {
        device.append_to(&mut self.fixed_devices)
    }

    /// Returns the FADT's boot architecture flags that say the same, on a machine without VGA.
    #[must_use]
    pub fn boot_arch(&self) -> BootArch {
        let controller = self.keyboard || self.mouse;
        let legacy = self.rtc || controller || !self.serial_ports.is_empty();
        let mut flags = BootArch::VGA_NOT_PRESENT;
        flags.set(BootArch::LEGACY_DEVICES, legacy);
        flags.set(BootArch::KEYBOARD_8042, controller);
        flags.set(BootArch::CMOS_RTC_NOT_PRESENT, !self.rtc);
        flags
    }

    /// Builds the table.
    ///
    /// # Errors
    /// - [`Error::SleepType`]: the sleep type is above 7.
    /// - [`Error::PciBuses`], [`Error::PciIoWindow`], [`Error::PciMemoryWindow`],
    ///   [`Error::PciDevice`], [`Error::DuplicatePciRoute`]: the PCI root makes no sense.
    /// - [`Error::SerialPortNumber`], [`Error::DuplicateSerialPort`], [`Error::IoPorts`],
    ///   [`Error::IsaIrq`]: a serial port makes no sense.
    /// - [`Error::AmlLength`]: so many windows that AML can't say it.
    pub fn build(&self) -> Result<Sdt, Error> {
        Table::build(self)
    }

    fn append_isa(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut seen = [false; 256];
        for port in &self.serial_ports {
            let number = port.number;
            if core::mem::replace(&mut seen[usize::from(number)], true) {
                return Err(Error::DuplicateSerialPort { number });
            }
            port.append(scope)?;
        }
        if self.rtc {
            append_rtc(scope)?;
        }
        if self.keyboard {
            append_keyboard(scope)?;
        }
        if self.mouse {
            append_mouse(scope)?;
        }
        scope.term(&self.fixed_devices);
        Ok(())
    }
}

impl Table for Dsdt<'_> {
    const SIGNATURE: Signature = Signature::DSDT;
    /// Makes integers in AML 64 bits wide.
    const REVISION: u8 = 2;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let mut table = Terms::default();
        for (name, sleep_type) in [
            (*b"_S3_", self.s3_sleep_type),
            (*b"_S4_", self.s4_sleep_type),
            (*b"_S5_", self.s5_sleep_type),
        ] {
            if let Some(sleep_type) = sleep_type {
                append_sleep_state(&mut table, name, sleep_type)?;
            }
        }
        let mut system_bus = Terms::default();
        append_processors(&mut system_bus, self.processors)?;
        match &self.pci_root {
            Some(root) => {
                let mut terms = Terms::default();
                root.append_objects(&mut terms)?;
                self.append_isa(&mut terms)?;
                system_bus.device(*b"PCI0", &terms)?;
            }
            None => self.append_isa(&mut system_bus)?,
        }
        system_bus.term(&self.system_bus);
        table.scope("\\_SB_", &system_bus)?;
        body.extend_from_slice(&table.into_bytes());
        Ok(())
    }
}

/// Appends a sleep state: the sleep types for PM1a and PM1b, and two reserved elements.
///
/// # Source
/// ACPI 6.5, "\_Sx (System States)".
fn append_sleep_state(table: &mut Terms, name: [u8; 4], sleep_type: u8) -> Result<(), Error> {
    if sleep_type > 7 {
        return Err(Error::SleepType { sleep_type });
    }
    table.package(name, &[&sleep_type, &sleep_type, &0_u8, &0_u8])
}

/// Appends a processor device for each, with the UID that ties it to the MADT.
///
/// # Source
/// ACPI 6.5, "Declaring Processors".
fn append_processors(scope: &mut Terms, processors: &Processors) -> Result<(), Error> {
    // There may be thousands: encode once what all have in common.
    let mut terms = Terms::default();
    terms.name(*b"_HID", &"ACPI0007")?;
    let common = terms.len();
    for (index, processor) in processors.as_slice().iter().enumerate() {
        terms.truncate(common);
        terms.name(*b"_UID", &processor.uid)?;
        scope.device(processor_name(index), &terms)?;
    }
    Ok(())
}

/// Names the processors `C000` to `CFFF`.
fn processor_name(index: usize) -> [u8; 4] {
    let digit = |shift: u32| b"0123456789ABCDEF"[index >> shift & 0xF];
    [b'C', digit(8), digit(4), digit(0)]
}
