//! The controls of execution, exits and entries.

use bitflags::bitflags;

bitflags! {
    /// Pin-based VM-execution controls: how the guest meets asynchronous events.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Pin-Based VM-Execution Controls".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PinBasedControls: u32 {
        /// External interrupts exit.
        const EXTERNAL_INTERRUPT_EXITING = 1 << 0;
        /// NMIs exit.
        const NMI_EXITING = 1 << 3;
        /// Blocking by NMI is the guest's own, virtual one.
        const VIRTUAL_NMIS = 1 << 5;
        /// The VMX-preemption timer counts down.
        const ACTIVATE_PREEMPTION_TIMER = 1 << 6;
        /// Interrupts of the notification vector are posted to the virtual APIC.
        const PROCESS_POSTED_INTERRUPTS = 1 << 7;
        const _ = !0;
    }

    /// Primary processor-based VM-execution controls.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Processor-Based VM-Execution Controls".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PrimaryControls: u32 {
        /// Exit as soon as interrupts are possible.
        const INTERRUPT_WINDOW_EXITING = 1 << 2;
        /// The guest's TSC has an offset.
        const USE_TSC_OFFSETTING = 1 << 3;
        /// HLT exits.
        const HLT_EXITING = 1 << 7;
        /// INVLPG exits.
        const INVLPG_EXITING = 1 << 9;
        /// MWAIT exits.
        const MWAIT_EXITING = 1 << 10;
        /// RDPMC exits.
        const RDPMC_EXITING = 1 << 11;
        /// RDTSC and RDTSCP exit.
        const RDTSC_EXITING = 1 << 12;
        /// MOV to CR3 exits.
        const CR3_LOAD_EXITING = 1 << 15;
        /// MOV from CR3 exits.
        const CR3_STORE_EXITING = 1 << 16;
        /// The tertiary controls count.
        const ACTIVATE_TERTIARY_CONTROLS = 1 << 17;
        /// MOV to CR8 exits.
        const CR8_LOAD_EXITING = 1 << 19;
        /// MOV from CR8 exits.
        const CR8_STORE_EXITING = 1 << 20;
        /// The task priority is that of the virtual-APIC page.
        const USE_TPR_SHADOW = 1 << 21;
        /// Exit as soon as an NMI is possible.
        const NMI_WINDOW_EXITING = 1 << 22;
        /// MOV to and from debug registers exits.
        const MOV_DR_EXITING = 1 << 23;
        /// I/O instructions exit, unless the bitmaps are used.
        const UNCONDITIONAL_IO_EXITING = 1 << 24;
        /// The I/O bitmaps say which ports exit.
        const USE_IO_BITMAPS = 1 << 25;
        /// Exit after every instruction.
        const MONITOR_TRAP_FLAG = 1 << 27;
        /// The MSR bitmap says which MSRs exit.
        const USE_MSR_BITMAPS = 1 << 28;
        /// MONITOR exits.
        const MONITOR_EXITING = 1 << 29;
        /// PAUSE exits.
        const PAUSE_EXITING = 1 << 30;
        /// The secondary controls count.
        const ACTIVATE_SECONDARY_CONTROLS = 1 << 31;
        const _ = !0;
    }

    /// Secondary processor-based VM-execution controls.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Processor-Based VM-Execution Controls".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SecondaryControls: u32 {
        /// Accesses to the APIC-access page are virtualized.
        const VIRTUALIZE_APIC_ACCESSES = 1 << 0;
        /// Guest-physical addresses go through EPT.
        const ENABLE_EPT = 1 << 1;
        /// LGDT, SIDT and their kin exit.
        const DESCRIPTOR_TABLE_EXITING = 1 << 2;
        /// RDTSCP and RDPID do not fault.
        const ENABLE_RDTSCP = 1 << 3;
        /// MSR accesses to the x2APIC are virtualized.
        const VIRTUALIZE_X2APIC_MODE = 1 << 4;
        /// Cached translations are tagged with a VPID.
        const ENABLE_VPID = 1 << 5;
        /// WBINVD and WBNOINVD exit.
        const WBINVD_EXITING = 1 << 6;
        /// The guest may run without protection or paging.
        const UNRESTRICTED_GUEST = 1 << 7;
        /// Most APIC registers are virtualized.
        const APIC_REGISTER_VIRTUALIZATION = 1 << 8;
        /// Virtual interrupts are evaluated and delivered.
        const VIRTUAL_INTERRUPT_DELIVERY = 1 << 9;
        /// A loop of PAUSE exits.
        const PAUSE_LOOP_EXITING = 1 << 10;
        /// RDRAND exits.
        const RDRAND_EXITING = 1 << 11;
        /// INVPCID does not fault.
        const ENABLE_INVPCID = 1 << 12;
        /// VMFUNC does not fault.
        const ENABLE_VM_FUNCTIONS = 1 << 13;
        /// VMREAD and VMWRITE go to a shadow VMCS.
        const VMCS_SHADOWING = 1 << 14;
        /// The ENCLS-exiting bitmap counts.
        const ENABLE_ENCLS_EXITING = 1 << 15;
        /// RDSEED exits.
        const RDSEED_EXITING = 1 << 16;
        /// Writes to guest-physical pages are logged.
        const ENABLE_PML = 1 << 17;
        /// EPT violations can become #VE.
        const EPT_VIOLATION_VE = 1 << 18;
        /// Processor Trace does not show VMX.
        const CONCEAL_VMX_FROM_PT = 1 << 19;
        /// XSAVES and XRSTORS do not fault.
        const ENABLE_XSAVES = 1 << 20;
        /// ENQCMD's PASIDs are translated.
        const PASID_TRANSLATION = 1 << 21;
        /// EPT tells user from supervisor execution.
        const MODE_BASED_EXECUTE_CONTROL = 1 << 22;
        /// EPT can protect parts of pages from writes.
        const SUB_PAGE_WRITE_PERMISSIONS = 1 << 23;
        /// Processor Trace writes to guest-physical addresses.
        const PT_USES_GUEST_PHYSICAL = 1 << 24;
        /// The guest's TSC has a multiplier.
        const USE_TSC_SCALING = 1 << 25;
        /// TPAUSE, UMONITOR and UMWAIT do not fault.
        const ENABLE_USER_WAIT = 1 << 26;
        /// PCONFIG does not fault.
        const ENABLE_PCONFIG = 1 << 27;
        /// The ENCLV-exiting bitmap counts.
        const ENABLE_ENCLV_EXITING = 1 << 28;
        /// Bus locks exit.
        const BUS_LOCK_DETECTION = 1 << 30;
        /// A guest without instruction boundaries exits.
        const INSTRUCTION_TIMEOUT = 1 << 31;
        const _ = !0;
    }

    /// Tertiary processor-based VM-execution controls.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Processor-Based VM-Execution Controls"; APIC-timer virtualization:
    /// Intel Architecture Instruction Set Extensions Programming Reference.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TertiaryControls: u64 {
        /// LOADIWKEY exits.
        const LOADIWKEY_EXITING = 1 << 0;
        /// Linear addresses of a range go through HLAT paging.
        const ENABLE_HLAT = 1 << 1;
        /// EPT can let the page walker alone write.
        const EPT_PAGING_WRITE = 1 << 2;
        /// EPT can demand that translations came through its pages.
        const GUEST_PAGING_VERIFICATION = 1 << 3;
        /// Inter-processor interrupts are virtualized.
        const IPI_VIRTUALIZATION = 1 << 4;
        /// The width of guest-physical addresses of a SEAM guest.
        const SEAM_GPA_WIDTH = 1 << 5;
        /// RDMSRLIST, WRMSRLIST and WRMSRNS do not fault.
        const ENABLE_MSR_LIST = 1 << 6;
        /// `IA32_SPEC_CTRL` has a mask and a shadow.
        const VIRTUALIZE_SPEC_CTRL = 1 << 7;
        /// The APIC timer is virtualized.
        const APIC_TIMER_VIRTUALIZATION = 1 << 8;
        const _ = !0;
    }

    /// Primary VM-exit controls.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VM-Exit Controls".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ExitControls: u32 {
        /// DR7 and `IA32_DEBUGCTL` are saved.
        const SAVE_DEBUG_CONTROLS = 1 << 2;
        /// The host runs in 64-bit mode.
        const HOST_ADDRESS_SPACE_SIZE = 1 << 9;
        /// `IA32_PERF_GLOBAL_CTRL` is loaded.
        const LOAD_PERF_GLOBAL_CTRL = 1 << 12;
        /// An exit for an interrupt takes it from the interrupt controller.
        const ACKNOWLEDGE_INTERRUPT = 1 << 15;
        /// `IA32_PAT` is saved.
        const SAVE_PAT = 1 << 18;
        /// `IA32_PAT` is loaded.
        const LOAD_PAT = 1 << 19;
        /// `IA32_EFER` is saved.
        const SAVE_EFER = 1 << 20;
        /// `IA32_EFER` is loaded.
        const LOAD_EFER = 1 << 21;
        /// The VMX-preemption timer is saved.
        const SAVE_PREEMPTION_TIMER = 1 << 22;
        /// `IA32_BNDCFGS` is cleared.
        const CLEAR_BNDCFGS = 1 << 23;
        /// Processor Trace does not show exits.
        const CONCEAL_VMX_FROM_PT = 1 << 24;
        /// `IA32_RTIT_CTL` is cleared.
        const CLEAR_RTIT_CTL = 1 << 25;
        /// `IA32_LBR_CTL` is cleared.
        const CLEAR_LBR_CTL = 1 << 26;
        /// UINV is cleared.
        const CLEAR_UINV = 1 << 27;
        /// `IA32_S_CET`, SSP and the table of interrupt SSPs are loaded.
        const LOAD_CET_STATE = 1 << 28;
        /// `IA32_PKRS` is loaded.
        const LOAD_PKRS = 1 << 29;
        /// `IA32_PERF_GLOBAL_CTRL` is saved.
        const SAVE_PERF_GLOBAL_CTRL = 1 << 30;
        /// The secondary exit controls count.
        const ACTIVATE_SECONDARY_CONTROLS = 1 << 31;
        const _ = !0;
    }

    /// Secondary VM-exit controls.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VM-Exit Controls".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SecondaryExitControls: u64 {
        /// The FRED MSRs are saved.
        const SAVE_FRED = 1 << 0;
        /// The FRED MSRs are loaded.
        const LOAD_FRED = 1 << 1;
        /// `IA32_SPEC_CTRL` is loaded.
        const LOAD_SPEC_CTRL = 1 << 2;
        /// An exit says whether it left a shadow stack busy too early.
        const PREMATURELY_BUSY_SHADOW_STACK = 1 << 3;
        const _ = !0;
    }

    /// VM-entry controls.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VM-Entry Controls".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EntryControls: u32 {
        /// DR7 and `IA32_DEBUGCTL` are loaded.
        const LOAD_DEBUG_CONTROLS = 1 << 2;
        /// The guest is in IA-32e mode.
        const IA32E_MODE_GUEST = 1 << 9;
        /// The guest is in SMM.
        const ENTRY_TO_SMM = 1 << 10;
        /// The default treatment of SMIs comes back.
        const DEACTIVATE_DUAL_MONITOR = 1 << 11;
        /// `IA32_PERF_GLOBAL_CTRL` is loaded.
        const LOAD_PERF_GLOBAL_CTRL = 1 << 13;
        /// `IA32_PAT` is loaded.
        const LOAD_PAT = 1 << 14;
        /// `IA32_EFER` is loaded.
        const LOAD_EFER = 1 << 15;
        /// `IA32_BNDCFGS` is loaded.
        const LOAD_BNDCFGS = 1 << 16;
        /// Processor Trace does not show entries.
        const CONCEAL_VMX_FROM_PT = 1 << 17;
        /// `IA32_RTIT_CTL` is loaded.
        const LOAD_RTIT_CTL = 1 << 18;
        /// UINV is loaded.
        const LOAD_UINV = 1 << 19;
        /// `IA32_S_CET`, SSP and the table of interrupt SSPs are loaded.
        const LOAD_CET_STATE = 1 << 20;
        /// `IA32_LBR_CTL` is loaded.
        const LOAD_LBR_CTL = 1 << 21;
        /// `IA32_PKRS` is loaded.
        const LOAD_PKRS = 1 << 22;
        /// The FRED MSRs are loaded.
        const LOAD_FRED = 1 << 23;
        /// `IA32_SPEC_CTRL` is loaded.
        const LOAD_SPEC_CTRL = 1 << 24;
        const _ = !0;
    }
}
