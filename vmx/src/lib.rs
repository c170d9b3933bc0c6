//! The VMX side of a hypervisor.
#![no_std]

mod access;
mod caps;
mod controls;
mod encoding;
mod error;
mod fail;
pub mod field;
mod snapshot;
mod solve;

pub use access::VmcsAccess;
pub use caps::{
    AddressWidths, Allowed, ControlSet, EptVpidCaps, Existence, RevisionId, VmxCaps, msr,
};
pub use controls::{
    EntryControls, ExitControls, PinBasedControls, PrimaryControls, SecondaryControls,
    SecondaryExitControls, TertiaryControls,
};
pub use encoding::{
    FieldAccess, FieldEncoding, FieldGroup, FieldInfo, FieldWidth, Natural, ReadOnly, ReadWrite,
    VmcsField, Width,
};
pub use error::Error;
pub use fail::{InstructionError, VmFail};
pub use field::FIELDS;
pub use snapshot::VmcsSnapshot;
pub use solve::{ControlWishes, Controls, Wish};
