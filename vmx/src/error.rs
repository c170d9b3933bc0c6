//! Everything that can go wrong but a VMX instruction.

use crate::VmFail;
use crate::caps::msr_name;

/// Why something could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The capabilities say that this MSR exists, but its value is not given.
    #[error("no value for {} (MSR {msr:#x})", msr_name(*msr))]
    MissingMsr {
        /// The number of the MSR.
        msr: u32,
    },
    /// A line of the text form of capabilities is not understood.
    #[error("line {line} of the capabilities is not \"NAME = 0xVALUE\"")]
    CapsLine {
        /// The line, from 1.
        line: usize,
    },
    /// A line of the text form of a VMCS is not understood.
    #[error("line {line} of the VMCS is not \"FIELD = 0xVALUE\"")]
    SnapshotLine {
        /// The line, from 1.
        line: usize,
    },
    /// A control that is required can't be 1 on this processor.
    #[error("the processor can't set {control}: {} (MSR {msr:#x}) does not allow it", msr_name(*msr))]
    ControlUnavailable {
        /// The name of the control.
        control: &'static str,
        /// The MSR that says so.
        msr: u32,
    },
    /// A control that is forbidden can't be 0 on this processor.
    #[error("the processor can't clear {control}: {} (MSR {msr:#x}) demands it", msr_name(*msr))]
    ControlForced {
        /// The name of the control.
        control: &'static str,
        /// The MSR that says so.
        msr: u32,
    },
    /// A control is both required and forbidden.
    #[error("{control} is both required and forbidden")]
    ControlContradicted {
        /// The name of the control.
        control: &'static str,
    },
    /// CPUID says that the processor has no VMX.
    #[error("the processor has no VMX (CPUID leaf 1, ECX bit 5)")]
    NoVmx,
    /// The firmware locked VMX off.
    #[error("the firmware locked VMX off: IA32_FEATURE_CONTROL (MSR 0x3a) is {feature_control:#x}")]
    LockedOff {
        /// The value of `IA32_FEATURE_CONTROL`.
        feature_control: u64,
    },
    /// A page for a VMX structure is not 4 KiB-aligned or lies beyond the physical addresses.
    #[error("{address:#x} is no address for a VMX structure")]
    BadAddress {
        /// The physical address.
        address: u64,
    },
    /// More than fits.
    #[error("an MSR list holds at most {limit} entries")]
    ListFull {
        /// How many fit.
        limit: usize,
    },
    /// The processor lacks state components, or the area for them is too small.
    #[error("no room or no support for the state components {xcr0:#x}")]
    ExtendedState {
        /// The components, as bits of XCR0.
        xcr0: u64,
    },
    /// A VMX instruction failed.
    #[error("{instruction} failed")]
    Instruction {
        /// The mnemonic.
        instruction: &'static str,
        /// What the processor said.
        #[source]
        failure: VmFail,
    },
}
