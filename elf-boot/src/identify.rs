//! Every way to start an image.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use crate::elf::ElfImage;
use crate::kernel::{Kernel, Parsed};
use crate::linux::{self, LinuxImage};
use crate::unpack::Packed;
use crate::{Error, Protocol, Relocation, multiboot, pvh};

/// What can be done with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identified<'a> {
    /// What it is. What is no format that is known may have a Multiboot header nevertheless.
    pub format: Result<Format<'a>, Error>,
    /// Every way to start it, best first.
    pub ways: Vec<Way>,
    /// Every other way, and why it won't do.
    pub refused: Vec<Refusal>,
}

/// A format, and what its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format<'a> {
    /// ELF of 32 or 64 bits.
    Elf(ElfImage<'a>),
    /// Linux' bzImage.
    BzImage(LinuxImage<'a>),
}

/// A way to start an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Way {
    /// By which protocol.
    pub protocol: Protocol,
    /// The address of the first instruction.
    pub entry: Gpa,
    /// The memory that the kernel takes, lowest first.
    pub ranges: Vec<GpaRange>,
    /// Where it may be placed instead; then the entry moves with it.
    pub relocation: Option<Relocation>,
}

/// A protocol by which an image can't be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol.
    pub protocol: Protocol,
    /// Why not.
    pub reason: Error,
}

impl<'a> Identified<'a> {
    /// Returns the kernel inside, if this is a bzImage that has one, or a file that is compressed.
    #[must_use]
    pub fn packed(&self, bytes: &'a [u8]) -> Option<Packed<'a>> {
        match &self.format {
            Ok(Format::BzImage(image)) => image.packed,
            Ok(Format::Elf(_)) => None,
            Err(_) => Packed::file(bytes),
        }
    }
}

/// Tells every way to start this image, best first, and for each other way the reason why not.
///
/// Only headers and notes are read. That a way is listed means that the image is sound; whether it
/// fits a guest's memory is for [`plan_boot`](crate::plan_boot) to tell.
#[must_use]
pub fn identify(bytes: &[u8]) -> Identified<'_> {
    let kernel = Kernel::parse(bytes);
    let format = kernel.parsed().map(|parsed| match parsed {
        Parsed::Elf(elf) => Format::Elf(elf.describe()),
        Parsed::BzImage(image) => Format::BzImage(image.describe()),
    });
    let (mut ways, mut refused) = (Vec::new(), Vec::new());
    for &protocol in Protocol::ALL {
        match way(&kernel, protocol) {
            Ok(way) => ways.push(way),
            Err(reason) => refused.push(Refusal { protocol, reason }),
        }
    }
    Identified { format, ways, refused }
}

/// Returns how `kernel` starts by `protocol`.
pub(crate) fn way(kernel: &Kernel<'_>, protocol: Protocol) -> Result<Way, Error> {
    match protocol {
        Protocol::Pvh => pvh::way(kernel),
        Protocol::Multiboot2 => multiboot::way(kernel, multiboot::Version::Two),
        Protocol::Multiboot => multiboot::way(kernel, multiboot::Version::One),
        Protocol::Linux64 => linux::way(kernel, linux::Entry::Bits64),
        Protocol::Linux32 => linux::way(kernel, linux::Entry::Bits32),
    }
}
