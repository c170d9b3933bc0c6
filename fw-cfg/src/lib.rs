#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod builder;
mod device;
mod dma;
mod error;
mod file_name;
mod key;
mod loader_run;
mod spec;
mod table_loader;

pub use builder::Builder;
pub use device::FwCfg;
pub use dma::DmaTransfer;
pub use error::Error;
pub use file_name::FileName;
pub use key::Key;
pub use loader_run::{LoadedFile, LoadedFiles, PointerWrite};
pub use table_loader::{
    Allocation, ChecksumField, Command, LoaderFile, PointerField, PointerWidth, Script, Zone,
};
