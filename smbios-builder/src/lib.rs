#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod blob;
mod encoder;
mod error;
mod handle;
mod parse;
mod platform;
mod spec;
mod structures;
mod table;
mod uuid;
mod values;
mod version;

pub use blob::{Blob, Checksum, Pointer, PointerWidth};
pub use encoder::{Describe, Encoder};
pub use error::Error;
pub use handle::{Handle, Ref};
pub use parse::{Structure, Structures, structures_in};
pub use platform::Platform;
pub use structures::*;
pub use table::{EntryPoints, FwCfgFiles, PlacedSmbios, SmbiosTables, TableBuilder};
pub use uuid::Uuid;
pub use values::*;
pub use version::Version;
