#![doc = include_str!("../README.md")]
#![no_std]

// For the test that turns every rule of the checker round: what it needs of the tests in `tests`.
#[cfg(test)]
extern crate self as vmx;
#[cfg(test)]
extern crate std;
#[cfg(test)]
#[path = "../tests/entry_rules/case.rs"]
mod case;
#[cfg(test)]
#[path = "../tests/entry_rules/control_witnesses.rs"]
mod control_witnesses;
#[cfg(test)]
#[path = "../tests/entry_rules/guest_witnesses.rs"]
mod guest_witnesses;
#[cfg(test)]
#[path = "../tests/entry_rules/host_witnesses.rs"]
mod host_witnesses;

mod access;
mod bitmaps;
mod caps;
mod check;
mod controls;
mod encoding;
mod error;
mod event;
mod exit;
mod fail;
pub mod field;
mod guest;
#[cfg(target_arch = "x86_64")]
pub mod hardware;
mod host;
mod interruption;
mod msr_list;
mod nonregister;
mod posted;
mod skip;
mod snapshot;
mod snapshot_text;
mod solve;

pub use access::VmcsAccess;
pub use bitmaps::{IoBitmaps, MsrBitmap};
pub use caps::{
    AddressWidths, Allowed, ControlSet, EptVpidCaps, Existence, RevisionId, VmxCaps, msr,
};
pub use check::{
    EntryCheck, EntryContext, EntryInstruction, Fault, Finding, MsrMasks, Need, Outcome,
    OutcomeSet, Rule, RuleId, Section, check, check_live, rules,
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
pub use event::{
    AfterFault, Event, EventPlan, PendingEvents, after_fault, interrupted_event,
    restore_nmi_blocking,
};
pub use exit::{
    ApicAccess, ApicAccessKind, BasicReason, CrAccess, DrAccess, EptAccess, EptViolation, Exit,
    ExitReason, GuestPaging, InstructionInfo, IoExit, StringIo, TableInstruction, TaskSwitch,
    TaskSwitchSource, instruction_length,
};
pub use fail::{InstructionError, VmFail};
pub use field::FIELDS;
pub use guest::{
    read_guest_cr0, read_guest_cr4, read_guest_state, read_pdptes, uses_pae_paging,
    write_guest_cr0, write_guest_cr4, write_guest_efer, write_guest_state, write_pdptes,
};
pub use host::HostState;
pub use interruption::{EventKind, InterruptionInfo};
pub use msr_list::{MsrEntry, MsrList};
pub use nonregister::{Interruptibility, PendingDebug, activity_number, activity_of};
pub use posted::{PostedInterruptDescriptor, VirtualApicPage};
pub use skip::skip_instruction;
pub use snapshot::VmcsSnapshot;
pub use solve::{ControlWishes, Controls, Wish};
