#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bochs;
mod bundle;
mod consoles;
pub mod ept_lab;
mod failure;
mod guest_options;
mod image;
mod iso;
pub mod lab;
mod model;
mod options;
mod program;
mod rom;
mod tool;

pub use program::main;
