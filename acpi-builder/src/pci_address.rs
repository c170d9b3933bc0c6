//! Places on a PCI bus.

use core::fmt;

use crate::Error;

/// Where in its segment a PCI function is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// The bus.
    pub bus: u8,
    /// The device, 0 to 31.
    pub device: u8,
    /// The function, 0 to 7.
    pub function: u8,
}

impl PciAddress {
    /// Describes a place.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        Self { bus, device, function }
    }

    /// Returns device (bits 7:3) and function (bits 2:0), after checking both.
    pub(crate) fn device_function(self) -> Result<u8, Error> {
        let Self { device, function, .. } = self;
        if device > 31 {
            return Err(Error::PciDevice { device });
        }
        if function > 7 {
            let field = "PCI function";
            return Err(Error::OutOfRange { field, value: function.into(), max: 7 });
        }
        Ok(device << 3 | function)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{:x}", self.bus, self.device, self.function)
    }
}

impl fmt::Debug for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PciAddress({self})")
    }
}
