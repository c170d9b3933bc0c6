//! The configuration address register at port CF8h.

use core::fmt;

/// A PCI function's place: bus, device and function number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciFunction(u16);

impl PciFunction {
    /// A function; device and function number are cut to their five and three bits.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        let device_function = (device & 0x1F) << 3 | function & 7;
        Self(u16::from_be_bytes([bus, device_function]))
    }

    /// The bus number.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// The device number, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.0.to_be_bytes()[1] >> 3
    }

    /// The function number, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0.to_be_bytes()[1] & 7
    }
}

impl fmt::Display for PciFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.device(), self.function())
    }
}

impl fmt::Debug for PciFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The byte of configuration space that an access goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigTarget {
    /// The function.
    pub function: PciFunction,
    /// The byte in its configuration space.
    pub register: u8,
}

/// The configuration address register, port CF8h, of PCI's configuration mechanism 1.
///
/// Only accesses of four bytes reach it; smaller ones at the same ports are for others
/// ([`ResetControl`](crate::ResetControl) is at CF9h). Accesses to CFCh to CFFh go where
/// [`target`](Self::target) says, or read as all ones.
///
/// # Examples
/// ```
/// # use chipset::{ConfigAddress, PciFunction};
/// let mut address = ConfigAddress::new();
/// address.write(0x8000_0B40); // bus 0, device 1, function 3, register 40h
/// let target = address.target(2).unwrap(); // an access to CFEh
/// assert_eq!(target.function, PciFunction::new(0, 1, 3));
/// assert_eq!(target.register, 0x42);
/// ```
///
/// # Source
/// PCI Local Bus 3.0 §3.2.2.3.2, "Software Generation of Configuration Transactions".
#[derive(Clone, Debug, Default)]
pub struct ConfigAddress {
    value: u32,
}

impl ConfigAddress {
    const ENABLE: u32 = 1 << 31;
    const WRITABLE: u32 = 0x80FF_FFFC;

    /// The register at power-on.
    #[must_use]
    pub const fn new() -> Self {
        Self { value: 0 }
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads the register.
    #[must_use]
    pub const fn read(&self) -> u32 {
        self.value
    }

    /// Writes the register.
    pub const fn write(&mut self, value: u32) {
        self.value = value & Self::WRITABLE;
    }

    /// Where an access to port CFCh + `offset` goes, `offset` being 0 to 3; `None` while
    /// configuration accesses are off.
    #[must_use]
    pub const fn target(&self, offset: u8) -> Option<ConfigTarget> {
        if self.value & Self::ENABLE == 0 {
            return None;
        }
        let [register, device_function, bus, _] = self.value.to_le_bytes();
        Some(ConfigTarget {
            function: PciFunction(u16::from_be_bytes([bus, device_function])),
            register: register | offset & 3,
        })
    }
}
