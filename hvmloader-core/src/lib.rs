#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bios;
mod cmos;
mod error;
mod mtrr;
mod pci;

pub use bios::Bios;
pub use cmos::cmos_registers;
pub use error::Error;
pub use mtrr::plan_mtrrs;
pub use pci::{
    Bar, BarKind, BridgeWindow, MmioHole, PciAssignment, PciBridge, PciDevice, PciFunction,
    PciPart, PciPlace, PciPlan, PciResources, PrefetchableWindow, plan_pci,
};
