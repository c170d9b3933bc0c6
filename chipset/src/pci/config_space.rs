//! A function's configuration space.

use super::header;

/// Who a PCI function is: the read-only part of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PciIdentity {
    /// The vendor.
    pub vendor: u16,
    /// The vendor's number for the device.
    pub device: u16,
    /// The revision.
    pub revision: u8,
    /// Base class, subclass and programming interface.
    pub class: [u8; 3],
    /// Subsystem vendor and subsystem, zero where there is none.
    pub subsystem: (u16, u16),
    /// Whether this device has more functions.
    pub multifunction: bool,
}

/// The 256 bytes of a PCI function's configuration space.
///
/// What can be written is told per bit: at first nothing, and registers that were never defined
/// read as zero and stay so. The values at power-on are those given before the first
/// [`write`](Self::write); keep a copy to return to them.
///
/// # Examples
/// ```
/// # use chipset::{ConfigSpace, PciIdentity};
/// let identity = PciIdentity {
///     vendor: 0x8086,
///     device: 0x7000,
///     revision: 0,
///     class: [0x06, 0x01, 0x00],
///     subsystem: (0, 0),
///     multifunction: true,
/// };
/// let mut space = ConfigSpace::new(identity).with_register(0x60, 0x80, 0x8F);
/// space.write(0x60, 0x7B);
/// assert_eq!(space.read(0x60), 0x0B);
/// space.write(0x00, 0xFF); // the vendor
/// assert_eq!(space.read(0x00), 0x86);
/// ```
///
/// # Source
/// PCI Local Bus 3.0 §6.1, "Configuration Space Organization".
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
    clearable: [u8; 256],
}

impl ConfigSpace {
    /// A configuration space that cannot be written.
    #[must_use]
    pub const fn new(identity: PciIdentity) -> Self {
        let [class, subclass, programming_interface] = identity.class;
        let (subsystem_vendor, subsystem) = identity.subsystem;
        let header_type = if identity.multifunction { 0x80 } else { 0x00 };
        Self { bytes: [0; 256], writable: [0; 256], clearable: [0; 256] }
            .with_u16(header::VENDOR, identity.vendor)
            .with_u16(header::DEVICE, identity.device)
            .with_register(header::REVISION, identity.revision, 0)
            .with_register(header::PROGRAMMING_INTERFACE, programming_interface, 0)
            .with_register(header::SUBCLASS, subclass, 0)
            .with_register(header::CLASS, class, 0)
            .with_register(header::HEADER_TYPE, header_type, 0)
            .with_u16(header::SUBSYSTEM_VENDOR, subsystem_vendor)
            .with_u16(header::SUBSYSTEM, subsystem)
    }

    /// Defines a register: its value at power-on and the bits that can be written.
    #[must_use]
    pub const fn with_register(mut self, register: u8, value: u8, writable: u8) -> Self {
        self.bytes[register as usize] = value;
        self.writable[register as usize] = writable;
        self
    }

    /// Defines bits of a register that are cleared by writing ones to them.
    #[must_use]
    pub const fn with_clearable(mut self, register: u8, bits: u8) -> Self {
        self.clearable[register as usize] = bits;
        self
    }

    /// Defines two registers that can only be read; the second of register FFh is register 00h.
    #[must_use]
    pub const fn with_u16(self, register: u8, value: u16) -> Self {
        let [low, high] = value.to_le_bytes();
        self.with_register(register, low, 0).with_register(register.wrapping_add(1), high, 0)
    }

    /// Reads a register.
    #[must_use]
    pub const fn read(&self, register: u8) -> u8 {
        self.bytes[register as usize]
    }

    /// Reads two registers; the second of register FFh is register 00h.
    #[must_use]
    pub const fn read_u16(&self, register: u8) -> u16 {
        u16::from_le_bytes([self.read(register), self.read(register.wrapping_add(1))])
    }

    /// Writes a register, as a guest does.
    pub const fn write(&mut self, register: u8, value: u8) {
        let index = register as usize;
        let kept = self.bytes[index] & !self.writable[index] & !(value & self.clearable[index]);
        self.bytes[index] = kept | value & self.writable[index];
    }

    /// Sets a register, whatever a guest could write.
    pub const fn set(&mut self, register: u8, value: u8) {
        self.bytes[register as usize] = value;
    }
}
