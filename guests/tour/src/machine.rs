//! What the tour asks of the machine that it runs on.

use core::fmt;

/// The machine: the real one in the image, a made-up one in tests.
pub trait Machine: fmt::Write {
    /// Returns physical memory, or `None` outside what the tour can reach.
    fn memory(&self, address: u64, size_bytes: usize) -> Option<&[u8]>;
    /// Reads a byte from a port.
    fn in8(&mut self, port: u16) -> u8;
    /// Reads four bytes from a port.
    fn in32(&mut self, port: u16) -> u32;
    /// Writes a byte to a port.
    fn out8(&mut self, port: u16, value: u8);
    /// Writes two bytes to a port.
    fn out16(&mut self, port: u16, value: u16);
    /// Writes four bytes to a port.
    fn out32(&mut self, port: u16, value: u32);
    /// Executes CPUID with ECX zero.
    fn cpuid(&self, leaf: u32) -> Cpuid;
}

/// What CPUID returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register of its name")]
pub struct Cpuid {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}
