#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod aml;
mod blob;
mod dsdt;
mod error;
mod fadt;
mod isa;
mod madt;
mod pci_root;
mod processors;
mod sdt;
mod spec;
mod table_set;

pub use blob::{Blob, Checksum, Pointer, PointerWidth};
pub use dsdt::Dsdt;
pub use error::Error;
pub use fadt::{BootArch, Fadt, FixedHardware, Hardware, PmProfile, PmTimerWidth, ResetRegister};
pub use isa::SerialPort;
pub use madt::{InterruptSourceOverride, IntiFlags, IoApic, LocalInput, Madt};
pub use pci_root::{InterruptPin, PciRoot, PciRoute};
pub use processors::{Processor, ProcessorState, Processors};
pub use sdt::{Sdt, Signature, TableIds};
pub use table_set::{PlacedTables, TableEntry, TableSet, TableSetBuilder};
