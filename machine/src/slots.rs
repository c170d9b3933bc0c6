//! Where disks are: their place on the PCI bus, their registers, their interrupts.
//!
//! INTA# of each device is wired to one of the lines PIRQA to PIRQD, as on any 440FX. A line goes to
//! a pin of its own of the I/O APIC, which is what the ACPI tables say, and through the ISA bridge to
//! an input of the 8259s.

use acpi_builder::{InterruptPin, PciRoute};
use chipset::{PciFunction, PirqLine};
use virtio::{Blk, VirtioPci};

/// The most disks that a machine can have.
pub(crate) const MOST: u8 = 16;

/// The first device behind the bridges.
const FIRST_DEVICE: u8 = 2;
/// Where the registers of the first disk are if no firmware says otherwise: near the end of what the
/// tables leave to PCI.
const FIRST_BAR: u32 = 0xFEB0_0000;
/// The pin of the I/O APIC that PIRQA is wired to.
pub(crate) const FIRST_PIN: u8 = 16;
/// The IRQs of PIRQA to PIRQD if no firmware says otherwise: those that it would take.
pub(crate) const ROUTES: [u8; 4] = [10, 10, 11, 11];
/// These are level-triggered, in the 8259s' second register.
pub(crate) const LEVEL_TRIGGERED: u8 = 1 << (10 - 8) | 1 << (11 - 8);

/// A disk's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u8);

impl Slot {
    /// All places, the first disk's first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..MOST).map(Self)
    }

    pub(crate) const fn function(self) -> PciFunction {
        PciFunction::new(0, self.device(), 0)
    }

    const fn device(self) -> u8 {
        FIRST_DEVICE + self.0
    }

    pub(crate) const fn bar(self) -> u32 {
        FIRST_BAR + self.0 as u32 * VirtioPci::<Blk>::BAR_BYTES
    }

    /// The line of INTA#: that of device 1 is PIRQA.
    pub(crate) const fn link(self) -> PirqLine {
        PirqLine::ALL[(self.device() as usize + 3) % 4]
    }

    pub(crate) const fn irq(self) -> u8 {
        ROUTES[self.link() as usize]
    }

    /// What ACPI says of it.
    pub(crate) const fn route(self) -> PciRoute {
        let gsi = FIRST_PIN as u32 + self.link() as u32;
        PciRoute { device: self.device(), pin: InterruptPin::A, gsi }
    }
}
