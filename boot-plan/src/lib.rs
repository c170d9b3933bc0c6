#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod layout;
mod map;
mod placed;
mod placement;
mod plan;
mod report;

pub use error::Error;
pub use layout::{Layout, Request, Side};
pub use map::{MemoryMap, MemoryRegion};
pub use placement::{Contents, FileId, Placement, Protection};
pub use plan::BootPlan;
pub use report::Report;
