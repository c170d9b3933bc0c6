#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod bios;

pub use bios::{Bios, Error};
