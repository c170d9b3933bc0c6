#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod acpi;
mod boot_info;
mod config;
mod cpuid;
mod cpuid_table;
pub mod lab;
mod wire;

pub use acpi::enabled_processors;
pub use boot_info::{BootError, BootInfo, GuestFiles, Loader, Module, Physical, module_name};
pub use config::{Config, ConfigError, FieldValue, hand_over};
pub use cpuid::{Cpuid, GuestCpu, guest_cpuid};
pub use cpuid_table::{CpuidAnswer, CpuidTable};
pub use wire::{Channel, Decoder, Encoder, MOST_GUESTS};
