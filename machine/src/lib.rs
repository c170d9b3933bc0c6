#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod backend;
mod devices;
mod error;
mod execute;
mod firmware;
mod flash;
mod pci;
mod platform;
mod ports;
mod slots;
mod tables;
mod xen;

pub use backend::{Backend, Backing, Request};
pub use devices::Devices;
pub use error::Error;
pub use execute::{
    Exception, ExecuteError, Executed, InstructionBytes, MemoryBus, REPEAT_LIMIT, execute,
};
pub use platform::{EfiKernel, HandOver, Machine, Platform, Start};
pub use tables::Tables;
pub use xen::Xen;

pub use virtio::{
    BlkConfig, BlkRequest, BlkStatus, BlockBackend, BlockError, Error as DiskError, SECTOR_BYTES,
};

pub use chipset::{
    CpuSignal, ExitStatus, InterruptMessage, IoApic, Lint, LocalApic, LocalApicConfig,
    LocalApicEffect, Nanos, RedirectionEntry, Reset, TriggerMode,
};
