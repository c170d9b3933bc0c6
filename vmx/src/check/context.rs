//! What an entry depends on besides the VMCS.

use crate::MsrEntry;

/// The instruction that enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryInstruction {
    /// VMLAUNCH.
    Launch,
    /// VMRESUME.
    Resume,
}

/// Which bits of MSRs a WRMSR on the processor takes; `None` where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsrMasks {
    /// `IA32_PERF_GLOBAL_CTRL`.
    pub perf_global_ctrl: Option<u64>,
    /// `IA32_DEBUGCTL`.
    pub debugctl: Option<u64>,
    /// `IA32_RTIT_CTL`.
    pub rtit_ctl: Option<u64>,
    /// `IA32_LBR_CTL`.
    pub lbr_ctl: Option<u64>,
    /// `IA32_SPEC_CTRL`.
    pub spec_ctrl: Option<u64>,
}

/// What an entry depends on besides the VMCS and the capabilities. `None` makes the rules that need
/// it not checkable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryContext<'a> {
    /// Whether the processor is in protected mode outside virtual-8086 mode, or in 64-bit mode.
    pub is_protected: Option<bool>,
    /// The current privilege level.
    pub cpl: Option<u8>,
    /// Whether there is a current VMCS.
    pub has_current_vmcs: Option<bool>,
    /// Whether the current VMCS is a shadow VMCS.
    pub is_shadow_vmcs: Option<bool>,
    /// Whether the entry comes directly after MOV SS.
    pub blocked_by_mov_ss: Option<bool>,
    /// The instruction.
    pub instruction: Option<EntryInstruction>,
    /// Whether the VMCS is launched.
    pub is_launched: Option<bool>,
    /// Whether the processor is in SMM.
    pub in_smm: Option<bool>,
    /// `IA32_EFER.LMA` of the host.
    pub host_lma: Option<bool>,
    /// Byte 80h of the virtual-APIC page: the virtual TPR.
    pub virtual_tpr: Option<u8>,
    /// The physical address of the current VMCS.
    pub current_vmcs: Option<u64>,
    /// The physical address of the VMXON region, or in SMM the executive-VMCS pointer.
    pub vmxon_pointer: Option<u64>,
    /// The first four bytes of what the VMCS link pointer points to.
    pub link_revision: Option<u32>,
    /// The four PDPTEs in memory at the guest's CR3, for a guest with PAE paging and without EPT.
    pub pdptes: Option<[u64; 4]>,
    /// The entry's MSR-load list.
    pub entry_msrs: Option<&'a [MsrEntry]>,
    /// Whether the processor has SGX.
    pub has_sgx: Option<bool>,
    /// Whether the processor has RTM.
    pub has_rtm: Option<bool>,
    /// Whether the processor can raise #DB for bus locks.
    pub has_bus_lock_detect: Option<bool>,
    /// Which bits of MSRs the processor takes.
    pub masks: MsrMasks,
}

impl EntryContext<'_> {
    /// Nothing is known but that the processor is not in SMM, where no hypervisor runs.
    pub const OUTSIDE_SMM: EntryContext<'static> = EntryContext {
        in_smm: Some(false),
        is_protected: None,
        cpl: None,
        has_current_vmcs: None,
        is_shadow_vmcs: None,
        blocked_by_mov_ss: None,
        instruction: None,
        is_launched: None,
        host_lma: None,
        virtual_tpr: None,
        current_vmcs: None,
        vmxon_pointer: None,
        link_revision: None,
        pdptes: None,
        entry_msrs: None,
        has_sgx: None,
        has_rtm: None,
        has_bus_lock_detect: None,
        masks: MsrMasks {
            perf_global_ctrl: None,
            debugctl: None,
            rtit_ctl: None,
            lbr_ctl: None,
            spec_ctrl: None,
        },
    };
}
