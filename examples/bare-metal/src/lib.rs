#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bochs;
mod bundle;
mod failure;
mod image;
mod options;
mod program;
mod rom;

pub use program::main;
