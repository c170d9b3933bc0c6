//! The PIIX3's ISA bridge, function 00:01.0.

use super::{ConfigSpace, INTEL, PciIdentity, QEMU_SUBSYSTEM, header};

/// One of the four PCI interrupt lines that reach the ISA bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PirqLine {
    /// PIRQA#, register 60h.
    A,
    /// PIRQB#, register 61h.
    B,
    /// PIRQC#, register 62h.
    C,
    /// PIRQD#, register 63h.
    D,
}

impl PirqLine {
    /// All lines.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    const fn register(self) -> u8 {
        0x60 + self as u8
    }
}

/// The PIIX3's PCI-to-ISA bridge, 8086:7000 at 00:01.0: it routes PCI's interrupt lines to IRQs.
///
/// The edge/level registers of the same chip are with the interrupt controllers,
/// [`Pic`](crate::Pic).
///
/// # Source
/// Intel 82371SB (290550), "PIRQx Route Control Registers".
#[derive(Clone, Debug)]
pub struct Piix3 {
    config: ConfigSpace,
}

impl Default for Piix3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Piix3 {
    const ROUTE_DISABLED: u8 = 1 << 7;
    const ROUTE_WRITABLE: u8 = 0x8F;

    /// The bridge at power-on, no line routed.
    #[must_use]
    pub const fn new() -> Self {
        let identity = PciIdentity {
            vendor: INTEL,
            device: 0x7000,
            revision: 0,
            class: [0x06, 0x01, 0x00],
            subsystem: QEMU_SUBSYSTEM,
            multifunction: true,
        };
        let config = ConfigSpace::new(identity)
            .with_u16(header::COMMAND, 0x0007)
            .with_u16(header::STATUS, 0x0200)
            .with_register(PirqLine::A.register(), Self::ROUTE_DISABLED, Self::ROUTE_WRITABLE)
            .with_register(PirqLine::B.register(), Self::ROUTE_DISABLED, Self::ROUTE_WRITABLE)
            .with_register(PirqLine::C.register(), Self::ROUTE_DISABLED, Self::ROUTE_WRITABLE)
            .with_register(PirqLine::D.register(), Self::ROUTE_DISABLED, Self::ROUTE_WRITABLE);
        Self { config }
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

    /// Writes a configuration register; the line whose [`route`](Self::route) changed, if one did.
    #[must_use = "a line that is asserted moves to its new IRQ"]
    pub fn write(&mut self, register: u8, value: u8) -> Option<PirqLine> {
        let line = PirqLine::ALL.into_iter().find(|line| line.register() == register);
        let before = line.and_then(|line| self.route(line));
        self.config.write(register, value);
        line.filter(|&line| self.route(line) != before)
    }

    /// The IRQ that a line makes; `None` while it makes none or one that is not for PCI.
    #[must_use]
    pub const fn route(&self, line: PirqLine) -> Option<u8> {
        let route = self.config.read(line.register());
        if route & Self::ROUTE_DISABLED != 0 {
            return None;
        }
        match route & 0x0F {
            irq @ (3..=7 | 9..=12 | 14 | 15) => Some(irq),
            _ => None,
        }
    }
}
