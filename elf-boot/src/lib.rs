#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot;
mod draft;
mod elf;
mod error;
mod file;
mod identify;
mod kernel;
mod linux;
mod long_mode;
mod plan;
mod pvh;

pub use boot::{Boot, Image, Module, Protocol, Start};
pub use error::{Error, FirstBytes};
pub use identify::{Identified, Refusal, Way, identify};
pub use plan::plan_boot;
