#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub use boot_plan;
pub use elf_boot;
pub use guest_state;
