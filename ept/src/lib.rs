#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod caps;
mod debt;
mod edit;
mod entry;
mod error;
mod frames;
mod leaves;
mod level;
mod memory;
mod pointer;
mod rules;
mod table;
mod violation;
mod walk;

pub use caps::{EptCaps, EptControls, EptOptions};
pub use debt::{InvalidationDebt, Invept};
pub use entry::{EptAttributes, EptEntry, EptFlags, EptPermissions};
pub use error::{Error, Requirement};
pub use level::Level;
pub use memory::{FramePool, Table, TableMemory};
pub use pointer::EptPointer;
pub use rules::{EptRules, Misconfiguration};
pub use table::Ept;
pub use violation::{EptAccess, Explanation};
pub use walk::{Leaves, Mapping, Step, Translation, Walk, WalkEnd};
