//! The machine that hvmloader sets up, seen from inside.

use core::fmt;

use guest_state::{Gpa, GuestMemory};
use hvmloader_core::{PciConfig, PciFunction};

const CONFIG_ADDRESS: u16 = 0xCF8;
const CONFIG_DATA: u16 = 0xCFC;
const CMOS_INDEX: u16 = 0x70;
const CMOS_DATA: u16 = 0x71;

/// What CPUID returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register of its name")]
pub struct Cpuid {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// The machine: the real one in the image, one made of devices in tests.
///
/// What is written to it as text goes to the debug port.
pub trait Pc: fmt::Write {
    /// Its memory.
    type Memory: GuestMemory;

    /// Returns its memory, without what hvmloader itself occupies.
    fn memory(&self) -> &Self::Memory;
    /// Reads a byte from a port.
    fn in8(&mut self, port: u16) -> u8;
    /// Writes a byte to a port.
    fn out8(&mut self, port: u16, value: u8);
    /// Reads four bytes from a port.
    fn in32(&mut self, port: u16) -> u32;
    /// Writes four bytes to a port.
    fn out32(&mut self, port: u16, value: u32);
    /// Writes a register of a device at an address.
    fn write_register(&mut self, gpa: Gpa, value: u32);
    /// Executes CPUID with ECX zero.
    fn cpuid(&self, leaf: u32) -> Cpuid;
    /// Reads an MSR that is known to be there.
    fn read_msr(&mut self, msr: u32) -> u64;
    /// Writes an MSR that is known to be there.
    fn write_msr(&mut self, msr: u32, value: u64);
}

pub(crate) fn read_cmos(pc: &mut impl Pc, index: u8) -> u8 {
    pc.out8(CMOS_INDEX, index);
    pc.in8(CMOS_DATA)
}

pub(crate) fn write_cmos(pc: &mut impl Pc, index: u8, value: u8) {
    pc.out8(CMOS_INDEX, index);
    pc.out8(CMOS_DATA, value);
}

/// Configuration space, by the ports.
pub(crate) struct ConfigPorts<'p, P>(pub(crate) &'p mut P);

impl<P: Pc> PciConfig for ConfigPorts<'_, P> {
    fn read(&mut self, function: PciFunction, register: u8) -> u32 {
        self.0.out32(CONFIG_ADDRESS, function.config_address(register));
        self.0.in32(CONFIG_DATA)
    }

    fn write(&mut self, function: PciFunction, register: u8, value: u32) {
        self.0.out32(CONFIG_ADDRESS, function.config_address(register));
        self.0.out32(CONFIG_DATA, value);
    }
}
