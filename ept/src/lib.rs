#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod apply;
mod atomic;
#[cfg(test)]
mod beside_cpus;
mod caps;
mod debt;
mod dirty;
mod edit;
mod entry;
mod error;
mod frames;
mod harvest;
mod leaves;
mod level;
mod memory;
mod mtrr;
mod pointer;
mod protected;
mod rules;
mod table;
mod violation;
mod vpid;
mod walk;

pub use caps::{EptCaps, EptControls, EptOptions};
pub use debt::{InvalidationDebt, Invept};
pub use dirty::DirtyBitmap;
pub use entry::{EptAttributes, EptEntry, EptFlags, EptPermissions};
pub use error::{Error, Requirement};
pub use harvest::Use;
pub use level::Level;
pub use memory::{FramePool, Table, TableMemory};
pub use mtrr::{MemoryTypes, memory_types};
pub use pointer::EptPointer;
pub use protected::FSegment;
pub use rules::{EptRules, Misconfiguration};
pub use table::Ept;
pub use violation::{EptAccess, Explanation};
pub use vpid::{Invvpid, Vpid};
pub use walk::{Leaves, Mapping, Step, Translation, Walk, WalkEnd};
