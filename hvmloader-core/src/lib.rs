#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod apic_id;
mod bios;
mod checksum;
mod cmos;
mod error;
mod flash;
mod generation_id;
mod interrupts;
mod mp;
mod mtrr;
mod needs;
mod pci;
mod pir;
mod start_info;
mod wake;
mod xen;

pub use apic_id::CpuTopology;
pub use bios::Bios;
pub use cmos::cmos_registers;
pub use error::Error;
pub use flash::OvmfFlash;
pub use generation_id::GenerationId;
pub use interrupts::{InterruptPin, PirqRouting};
pub use mp::{MpBusKind, MpInterrupt, MpInterruptKind, MpIoApic, MpLine, MpProcessor, MpTable};
pub use mtrr::{mtrr_writes, plan_mtrrs};
pub use needs::{FirmwareKind, Needs};
pub use pci::{
    Bar, BarKind, BridgeWindow, MmioHole, PciAssignment, PciBridge, PciConfig, PciDevice,
    PciFunction, PciPart, PciPlace, PciPlan, PciResources, PrefetchableWindow, open_shadow,
    plan_pci, scan_pci,
};
pub use pir::{PirSlot, PirTable};
pub use start_info::{LoadedInfo, LoadedModule};
pub use wake::WakePage;
pub use xen::{XenBios, XenInfo, XenInfoReader, XenLeaves, XenMap};
