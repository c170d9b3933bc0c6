#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod inventory;
mod pc;
mod processor;
mod story;
mod tables;

pub use error::Error;
pub use pc::{Cpuid, Pc};
pub use story::load;
