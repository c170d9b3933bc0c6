#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod acpi;
mod bios;
mod dump;
mod machine;
mod smbios;
mod started;
mod story;

pub use bios::BiosInfo;
pub use machine::{Cpuid, Machine};
pub use started::Handover;
pub use story::tour;
