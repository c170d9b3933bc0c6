//! PCI configuration space as the 440FX and PIIX chips have it.

mod address;
mod config_space;
mod i440fx;
mod pam;
mod piix3;
mod piix4_pm;

pub use address::{ConfigAddress, ConfigTarget, PciFunction};
pub use config_space::{ConfigSpace, PciIdentity};
pub use i440fx::{I440fx, Smram};
pub use pam::{PamAccess, PamRange, PamRanges};
pub use piix3::{Piix3, PirqLine};
pub use piix4_pm::Piix4Pm;

/// The vendor of every chip here.
const INTEL: u16 = 0x8086;
/// The subsystem vendor and device by which firmware knows QEMU's machine, and with it that
/// firmware configuration is to be had.
const QEMU_SUBSYSTEM: (u16, u16) = (0x1AF4, 0x1100);

/// Offsets in the header of every function.
mod header {
    pub(super) const VENDOR: u8 = 0x00;
    pub(super) const DEVICE: u8 = 0x02;
    pub(super) const COMMAND: u8 = 0x04;
    pub(super) const STATUS: u8 = 0x06;
    pub(super) const REVISION: u8 = 0x08;
    pub(super) const PROGRAMMING_INTERFACE: u8 = 0x09;
    pub(super) const SUBCLASS: u8 = 0x0A;
    pub(super) const CLASS: u8 = 0x0B;
    pub(super) const LATENCY_TIMER: u8 = 0x0D;
    pub(super) const HEADER_TYPE: u8 = 0x0E;
    pub(super) const SUBSYSTEM_VENDOR: u8 = 0x2C;
    pub(super) const SUBSYSTEM: u8 = 0x2E;
    pub(super) const INTERRUPT_LINE: u8 = 0x3C;
    pub(super) const INTERRUPT_PIN: u8 = 0x3D;
}
