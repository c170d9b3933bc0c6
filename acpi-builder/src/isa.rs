//! Devices at fixed ISA ports.

use acpi_tables::aml::IO;

use crate::Error;
use crate::aml::{IrqNoFlags, Terms, bytes_of, io_ports};

/// A 16550 serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SerialPort {
    /// 1 for COM1, up to 9.
    pub number: u8,
    /// The first of its eight I/O ports.
    pub port: u16,
    /// Its ISA interrupt, 0 to 15.
    pub irq: u8,
}

impl SerialPort {
    /// Port 0x3f8, interrupt 4.
    pub const COM1: Self = Self { number: 1, port: 0x3F8, irq: 4 };
    /// Port 0x2f8, interrupt 3.
    pub const COM2: Self = Self { number: 2, port: 0x2F8, irq: 3 };

    pub(crate) fn append(self, scope: &mut Terms) -> Result<(), Error> {
        let number = self.number;
        if !(1..=9).contains(&number) {
            return Err(Error::SerialPortNumber { number });
        }
        let mut terms = Terms::default();
        terms.hid("PNP0501")?;
        terms.name(*b"_UID", &number)?;
        terms.crs(&resources(&[io_ports(self.port, 8)?], self.irq)?)?;
        scope.device([b'C', b'O', b'M', b'0' + number], &terms)
    }
}

/// The CMOS clock at ports 0x70 and 0x71, interrupt 8.
pub(crate) fn append_rtc(scope: &mut Terms) -> Result<(), Error> {
    let mut terms = Terms::default();
    terms.hid("PNP0B00")?;
    terms.crs(&resources(&[io_ports(0x70, 2)?], 8)?)?;
    scope.device(*b"RTC_", &terms)
}

/// The keyboard behind the 8042 at ports 0x60 and 0x64, interrupt 1.
pub(crate) fn append_keyboard(scope: &mut Terms) -> Result<(), Error> {
    let mut terms = Terms::default();
    terms.hid("PNP0303")?;
    terms.crs(&resources(&[io_ports(0x60, 1)?, io_ports(0x64, 1)?], 1)?)?;
    scope.device(*b"KBD_", &terms)
}

fn resources(ports: &[IO], irq: u8) -> Result<alloc::vec::Vec<u8>, Error> {
    let mut resources = alloc::vec::Vec::new();
    for block in ports {
        resources.extend_from_slice(&bytes_of(block));
    }
    resources.extend_from_slice(&bytes_of(&IrqNoFlags::new(irq)?));
    Ok(resources)
}
