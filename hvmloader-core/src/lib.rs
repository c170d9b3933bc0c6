#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod bios;
mod cmos;

pub use bios::{Bios, Error};
pub use cmos::cmos_registers;
