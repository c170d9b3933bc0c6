//! Devices at fixed ISA ports.

use crate::Error;
use crate::aml::{Resources, Terms};

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
        terms.crs(&Resources::new().ports(self.port, 8)?.isa_irq(self.irq)?)?;
        scope.device([b'C', b'O', b'M', b'0' + number], &terms)
    }
}

/// The CMOS clock at ports 0x70 and 0x71, interrupt 8.
pub(crate) fn append_rtc(scope: &mut Terms) -> Result<(), Error> {
    let mut terms = Terms::default();
    terms.hid("PNP0B00")?;
    terms.crs(&Resources::new().ports(0x70, 2)?.isa_irq(8)?)?;
    scope.device(*b"RTC_", &terms)
}

/// The keyboard behind the 8042 at ports 0x60 and 0x64, interrupt 1.
pub(crate) fn append_keyboard(scope: &mut Terms) -> Result<(), Error> {
    let mut terms = Terms::default();
    terms.hid("PNP0303")?;
    terms.crs(&Resources::new().ports(0x60, 1)?.ports(0x64, 1)?.isa_irq(1)?)?;
    scope.device(*b"KBD_", &terms)
}

/// A mouse behind the 8042, interrupt 12.
pub(crate) fn append_mouse(scope: &mut Terms) -> Result<(), Error> {
    let mut terms = Terms::default();
    terms.hid("PNP0F13")?;
    terms.crs(&Resources::new().isa_irq(12)?)?;
    scope.device(*b"MOU_", &terms)
}
