//! The PIIX4's power management, function 00:01.3.

use super::{ConfigSpace, INTEL, PciIdentity, QEMU_SUBSYSTEM, header};

/// The PIIX4's power management function, 8086:7113 at 00:01.3: it says where
/// [`AcpiPm`](crate::AcpiPm) is.
///
/// It has no SMBus and no system management interrupt; firmware is told that the latter was set up
/// before.
///
/// # Source
/// Intel 82371AB (290562), "Power Management PCI Configuration Registers".
#[derive(Clone, Debug)]
pub struct Piix4Pm {
    config: ConfigSpace,
}

impl Default for Piix4Pm {
    fn default() -> Self {
        Self::new()
    }
}

impl Piix4Pm {
    const PM_BASE: u8 = 0x40;
    /// The last byte of DEVACTB. Its bit 1, APMC_EN, sends a system management interrupt on a write
    /// to port B2h; firmware that finds it set does not set up system management mode.
    const DEVICE_ACTIVITY_B: u8 = 0x5B;
    const APMC_ENABLED: u8 = 1 << 1;
    const PM_MISCELLANEOUS: u8 = 0x80;
    const PM_IO_ENABLE: u8 = 1 << 0;
    /// The system control interrupt is wired to IRQ 9.
    const SCI: u8 = 9;

    /// The function at power-on, its registers not yet placed.
    #[must_use]
    pub const fn new() -> Self {
        let identity = PciIdentity {
            vendor: INTEL,
            device: 0x7113,
            revision: 3,
            class: [0x06, 0x80, 0x00],
            subsystem: QEMU_SUBSYSTEM,
            multifunction: false,
        };
        let config = ConfigSpace::new(identity)
            .with_register(header::COMMAND, 0x00, 0x01)
            .with_u16(header::STATUS, 0x0280)
            .with_register(header::INTERRUPT_LINE, Self::SCI, 0xFF)
            .with_register(header::INTERRUPT_PIN, 1, 0)
            // Bit 0 says that the address is a port's.
            .with_register(Self::PM_BASE, 0x01, 0xC0)
            .with_register(Self::PM_BASE + 1, 0x00, 0xFF)
            .with_register(Self::DEVICE_ACTIVITY_B, Self::APMC_ENABLED, 0)
            .with_register(Self::PM_MISCELLANEOUS, 0x00, Self::PM_IO_ENABLE);
        Self { config }
    }

    /// The function as firmware leaves it: its registers placed at the port `pm_base`, a multiple of
    /// 64. It is so after a reset, too.
    #[must_use]
    pub const fn placed(pm_base: u16) -> Self {
        let [low, high] = (pm_base & 0xFFC0).to_le_bytes();
        let mut function = Self::new();
        function.config.set(Self::PM_BASE, low | 1);
        function.config.set(Self::PM_BASE + 1, high);
        function.config.set(Self::PM_MISCELLANEOUS, Self::PM_IO_ENABLE);
        function
    }

    /// Tells whether a configuration register says where the ports are, or that they are there.
    #[must_use]
    pub const fn places(register: u8) -> bool {
        matches!(register, Self::PM_BASE | 0x41 | Self::PM_MISCELLANEOUS)
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads a configuration register.
    #[must_use]
    pub const fn read(&self, register: u8) -> u8 {
        self.config.read(register)
    }

    /// Writes a configuration register. Ask [`pm_base`](Self::pm_base) afterwards.
    pub const fn write(&mut self, register: u8, value: u8) {
        self.config.write(register, value);
    }

    /// The first of the 64 ports at which [`AcpiPm`](crate::AcpiPm) answers; `None` while it does
    /// not.
    #[must_use]
    pub const fn pm_base(&self) -> Option<u16> {
        if self.config.read(Self::PM_MISCELLANEOUS) & Self::PM_IO_ENABLE == 0 {
            return None;
        }
        Some(self.config.read_u16(Self::PM_BASE) & 0xFFC0)
    }
}
