//! VMX on the processor that runs this code.
//!
//! 1. [`capabilities`] reads what the processor can do.
//! 2. [`enable`] lets VMXON pass: feature control, CR0 and CR4.
//! 3. [`VmxOperation::enter`] is VMXON, its end VMXOFF.
//! 4. [`VmxOperation::load`] makes a [`Vmcs`] the current one; [`CurrentVmcs`] reads and writes it.
//! 5. [`host_state`] gives what an exit comes back to.
//! 6. [`CurrentVmcs::run`] enters the guest.

mod context;
mod fx;
mod host;
mod instructions;
mod operation;
mod registers;
mod run;
mod xsave;

pub use context::{FxState, GuestContext, ScratchRegisters};
pub use host::host_state;
pub use instructions::{
    InvEpt, InvVpid, invept, invvpid, read_existing, vmclear, vmptrld, vmread, vmwrite, vmxoff,
    vmxon, write_existing,
};
pub use operation::{CurrentVmcs, Vmcs, VmxOperation, VmxPage, capabilities, enable};
pub use run::{ExitHandler, OnExit};
pub use xsave::{ExtendedState, XsaveBlock};
