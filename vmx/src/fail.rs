//! How VMX instructions fail.

use core::fmt;

/// How a VMX instruction failed.
///
/// # Source
/// Intel SDM Vol. 3C, "Conventions" of "VMX Instruction Reference": VMfailInvalid, VMfailValid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum VmFail {
    /// It failed without a current VMCS that could say why (CF was set).
    #[error("VMfailInvalid: there is no current VMCS")]
    Invalid,
    /// It failed, and the current VMCS says why (ZF was set).
    #[error("VMfailValid: {0}")]
    Valid(InstructionError),
}

/// The number in the VM-instruction error field. Any number is one, known or not.
///
/// # Source
/// Intel SDM Vol. 3C, "VM Instruction Error Numbers".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct InstructionError(pub u32);

macro_rules! instruction_errors {
    ($($number:literal $constant:ident: $name:literal, $explanation:literal;)+) => {
        impl InstructionError {
            $(
                #[doc = concat!($name, ".")]
                pub const $constant: Self = Self($number);
            )+

            /// Returns the SDM's words for the error, or `None` for a number that it does not list.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)+
                    _ => None,
                }
            }

            /// Returns what to look at, or `None` for a number that the SDM does not list.
            #[must_use]
            pub const fn explanation(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($explanation),)+
                    _ => None,
                }
            }

            /// Every error that the SDM lists.
            pub const ALL: &'static [Self] = &[$(Self($number)),+];
        }
    };
}

instruction_errors! {
    1 VMCALL_IN_ROOT: "VMCALL executed in VMX root operation",
        "VMCALL calls a hypervisor; the hypervisor itself has none to call, but in SMM.";
    2 VMCLEAR_ADDRESS: "VMCLEAR with invalid physical address",
        "The address must be 4 KiB-aligned and within the processor's physical addresses.";
    3 VMCLEAR_VMXON_POINTER: "VMCLEAR with VMXON pointer",
        "The VMXON region is no VMCS: give the VMCS a page of its own.";
    4 LAUNCH_NOT_CLEAR: "VMLAUNCH with non-clear VMCS",
        "The VMCS was launched already: use VMRESUME, or VMCLEAR it first.";
    5 RESUME_NOT_LAUNCHED: "VMRESUME with non-launched VMCS",
        "The VMCS was not launched since its last VMCLEAR: use VMLAUNCH.";
    6 RESUME_AFTER_VMXOFF: "VMRESUME after VMXOFF",
        "VMXOFF and VMXON came between VMLAUNCH and VMRESUME: VMCLEAR every VMCS before VMXOFF.";
    7 ENTRY_CONTROLS: "VM entry with invalid control field(s)",
        "A rule on execution, exit or entry controls or on the event to inject is broken.";
    8 ENTRY_HOST_STATE: "VM entry with invalid host-state field(s)",
        "A rule on the host state or on the address-space size is broken.";
    9 VMPTRLD_ADDRESS: "VMPTRLD with invalid physical address",
        "The address must be 4 KiB-aligned and within the processor's physical addresses.";
    10 VMPTRLD_VMXON_POINTER: "VMPTRLD with VMXON pointer",
        "The VMXON region is no VMCS: give the VMCS a page of its own.";
    11 VMPTRLD_REVISION: "VMPTRLD with incorrect VMCS revision identifier",
        "The region must begin with the identifier of IA32_VMX_BASIC, bits 30:0; bit 31 only for a shadow VMCS.";
    12 UNSUPPORTED_FIELD: "VMREAD/VMWRITE from/to unsupported VMCS component",
        "The field does not exist on this processor: ask the capabilities first.";
    13 READ_ONLY_FIELD: "VMWRITE to read-only VMCS component",
        "Exit-information fields can be written only where IA32_VMX_MISC bit 29 says so.";
    15 VMXON_IN_ROOT: "VMXON executed in VMX root operation",
        "This logical processor is in VMX operation already.";
    16 EXECUTIVE_POINTER: "VM entry with invalid executive-VMCS pointer",
        "Only for returns from SMM under the dual-monitor treatment.";
    17 EXECUTIVE_NOT_LAUNCHED: "VM entry with non-launched executive VMCS",
        "Only for returns from SMM under the dual-monitor treatment.";
    18 EXECUTIVE_NOT_VMXON_POINTER: "VM entry with executive-VMCS pointer not VMXON pointer",
        "Only when the dual-monitor treatment is deactivated.";
    19 VMCALL_NOT_CLEAR: "VMCALL with non-clear VMCS",
        "Only when the dual-monitor treatment is activated.";
    20 VMCALL_EXIT_CONTROLS: "VMCALL with invalid VM-exit control fields",
        "Only when the dual-monitor treatment is activated.";
    22 VMCALL_MSEG_REVISION: "VMCALL with incorrect MSEG revision identifier",
        "Only when the dual-monitor treatment is activated.";
    23 VMXOFF_DUAL_MONITOR: "VMXOFF under dual-monitor treatment of SMIs and SMM",
        "The SMM monitor must be deactivated first.";
    24 VMCALL_SMM_FEATURES: "VMCALL with invalid SMM-monitor features",
        "Only when the dual-monitor treatment is activated.";
    25 EXECUTIVE_CONTROLS: "VM entry with invalid VM-execution control fields in executive VMCS",
        "Only for returns from SMM under the dual-monitor treatment.";
    26 BLOCKED_BY_MOV_SS: "VM entry with events blocked by MOV SS",
        "VMLAUNCH or VMRESUME came directly after MOV SS or POP SS: put an instruction between.";
    28 INVALIDATION_OPERAND: "Invalid operand to INVEPT/INVVPID",
        "The type is not supported, or the descriptor has reserved bits, a bad EPTP or VPID 0.";
}

impl fmt::Debug for InstructionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstructionError({})", self.0)
    }
}

impl fmt::Display for InstructionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "error {}, {name}", self.0),
            None => write!(f, "error {}, which the SDM does not list", self.0),
        }
    }
}
