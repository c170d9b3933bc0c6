#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod anchor;
mod encoder;
mod entry_point;
mod error;
mod handle;
mod parse;
mod platform;
mod print;
mod spec;
mod structures;
mod table;
mod uuid;
mod validate;
mod values;
mod version;

pub use encoder::{Describe, Encoder};
pub use entry_point::{EntryPoint, EntryPoint32, EntryPoint64};
pub use error::Error;
pub use handle::{Handle, Ref};
pub use parse::{Structure, Structures, structures_in};
pub use platform::Platform;
pub use print::{Printout, print};
pub use structures::*;
pub use table::{EntryPoints, FwCfgFiles, PlacedSmbios, SmbiosTables, TableBuilder};
pub use uuid::Uuid;
pub use validate::{Finding, Rule, validate, validate_table};
pub use values::*;
pub use version::Version;
