//! Every field of the VMCS: one table, from which all else comes.
//!
//! Each constant names one field; its type says its width and whether it can be written. Names are
//! the SDM's. The four fields that describe events keep the names they had before the newest
//! edition: interruption information (now: injected-event, exiting-event identification) and
//! IDT-vectoring information (now: original-event identification).
//!
//! # Source
//! Intel SDM Vol. 3D, "Field Encoding in VMCS"; the fields of APIC-timer virtualization, ENCLV
//! exiting and the load of `IA32_SPEC_CTRL`: Intel Architecture Instruction Set Extensions
//! Programming Reference.

use crate::encoding::{Natural, ReadOnly, ReadWrite};
use crate::{
    EntryControls, Existence, ExitControls, FieldEncoding, FieldInfo, PinBasedControls,
    PrimaryControls, SecondaryControls, SecondaryExitControls, TertiaryControls, VmcsField,
};

macro_rules! access {
    (ro) => {
        ReadOnly
    };
    (rw) => {
        ReadWrite
    };
}

macro_rules! existence {
    (always) => {
        Existence::Always
    };
    (eptp_switching) => {
        Existence::EptpSwitching
    };
    (pin $bit:ident) => {
        Existence::PinBased(PinBasedControls::$bit)
    };
    (primary $bit:ident) => {
        Existence::Primary(PrimaryControls::$bit)
    };
    (secondary $bit:ident) => {
        Existence::Secondary(SecondaryControls::$bit)
    };
    (tertiary $bit:ident) => {
        Existence::Tertiary(TertiaryControls::$bit)
    };
    (exit $bit:ident) => {
        Existence::Exit(ExitControls::$bit)
    };
    (exit2 $bit:ident) => {
        Existence::SecondaryExit(SecondaryExitControls::$bit)
    };
    (entry $bit:ident) => {
        Existence::Entry(EntryControls::$bit)
    };
    (entry $entry:ident or exit $exit:ident) => {
        Existence::EntryOrExit(EntryControls::$entry, ExitControls::$exit)
    };
    (entry $entry:ident or exit2 $exit:ident) => {
        Existence::EntryOrSecondaryExit(EntryControls::$entry, SecondaryExitControls::$exit)
    };
}

macro_rules! fields {
    ($($encoding:literal $constant:ident: $access:ident $width:ty, $($existence:ident)+, $name:literal;)+) => {
        $(
            #[doc = concat!($name, ", ", stringify!($encoding), ".")]
            pub const $constant: VmcsField<$width, access!($access)> = VmcsField::new($encoding);
        )+

        /// Every field of the public lists, by ascending encoding.
        pub const FIELDS: &[FieldInfo] = &[$(
            FieldInfo {
                encoding: FieldEncoding::new($encoding),
                name: $name,
                constant: stringify!($constant),
                existence: existence!($($existence)+),
            },
        )+];

        #[cfg(test)]
        const TYPES: &[(u32, crate::Width, bool)] = &[$(
            (
                $encoding,
                <$width as crate::FieldWidth>::WIDTH,
                <access!($access) as crate::FieldAccess>::WRITABLE,
            ),
        )+];
    };
}

fields! {
    // 16-bit control fields
    0x0000 VPID: rw u16, secondary ENABLE_VPID, "Virtual-processor identifier (VPID)";
    0x0002 POSTED_INTERRUPT_VECTOR: rw u16, pin PROCESS_POSTED_INTERRUPTS, "Posted-interrupt notification vector";
    0x0004 EPTP_INDEX: rw u16, secondary EPT_VIOLATION_VE, "EPTP index";
    0x0006 HLAT_PREFIX_SIZE: rw u16, tertiary ENABLE_HLAT, "HLAT prefix size";
    0x0008 LAST_PID_POINTER_INDEX: rw u16, tertiary IPI_VIRTUALIZATION, "Last PID-pointer index";
    0x000a VIRTUAL_TIMER_VECTOR: rw u16, tertiary APIC_TIMER_VIRTUALIZATION, "Virtual timer vector";
    // 16-bit guest-state fields
    0x0800 GUEST_ES_SELECTOR: rw u16, always, "Guest ES selector";
    0x0802 GUEST_CS_SELECTOR: rw u16, always, "Guest CS selector";
    0x0804 GUEST_SS_SELECTOR: rw u16, always, "Guest SS selector";
    0x0806 GUEST_DS_SELECTOR: rw u16, always, "Guest DS selector";
    0x0808 GUEST_FS_SELECTOR: rw u16, always, "Guest FS selector";
    0x080a GUEST_GS_SELECTOR: rw u16, always, "Guest GS selector";
    0x080c GUEST_LDTR_SELECTOR: rw u16, always, "Guest LDTR selector";
    0x080e GUEST_TR_SELECTOR: rw u16, always, "Guest TR selector";
    0x0810 GUEST_INTERRUPT_STATUS: rw u16, secondary VIRTUAL_INTERRUPT_DELIVERY, "Guest interrupt status";
    0x0812 PML_INDEX: rw u16, secondary ENABLE_PML, "PML index";
    0x0814 GUEST_UINV: rw u16, entry LOAD_UINV or exit CLEAR_UINV, "Guest UINV";
    // 16-bit host-state fields
    0x0c00 HOST_ES_SELECTOR: rw u16, always, "Host ES selector";
    0x0c02 HOST_CS_SELECTOR: rw u16, always, "Host CS selector";
    0x0c04 HOST_SS_SELECTOR: rw u16, always, "Host SS selector";
    0x0c06 HOST_DS_SELECTOR: rw u16, always, "Host DS selector";
    0x0c08 HOST_FS_SELECTOR: rw u16, always, "Host FS selector";
    0x0c0a HOST_GS_SELECTOR: rw u16, always, "Host GS selector";
    0x0c0c HOST_TR_SELECTOR: rw u16, always, "Host TR selector";
    // 64-bit control fields
    0x2000 IO_BITMAP_A: rw u64, always, "Address of I/O bitmap A";
    0x2002 IO_BITMAP_B: rw u64, always, "Address of I/O bitmap B";
    0x2004 MSR_BITMAPS: rw u64, primary USE_MSR_BITMAPS, "Address of MSR bitmaps";
    0x2006 EXIT_MSR_STORE_ADDRESS: rw u64, always, "VM-exit MSR-store address";
    0x2008 EXIT_MSR_LOAD_ADDRESS: rw u64, always, "VM-exit MSR-load address";
    0x200a ENTRY_MSR_LOAD_ADDRESS: rw u64, always, "VM-entry MSR-load address";
    0x200c EXECUTIVE_VMCS_POINTER: rw u64, always, "Executive-VMCS pointer";
    0x200e PML_ADDRESS: rw u64, secondary ENABLE_PML, "PML address";
    0x2010 TSC_OFFSET: rw u64, always, "TSC offset";
    0x2012 VIRTUAL_APIC_ADDRESS: rw u64, primary USE_TPR_SHADOW, "Virtual-APIC address";
    0x2014 APIC_ACCESS_ADDRESS: rw u64, secondary VIRTUALIZE_APIC_ACCESSES, "APIC-access address";
    0x2016 POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: rw u64, pin PROCESS_POSTED_INTERRUPTS, "Posted-interrupt descriptor address";
    0x2018 VM_FUNCTION_CONTROLS: rw u64, secondary ENABLE_VM_FUNCTIONS, "VM-function controls";
    0x201a EPT_POINTER: rw u64, secondary ENABLE_EPT, "EPT pointer (EPTP)";
    0x201c EOI_EXIT_BITMAP_0: rw u64, secondary VIRTUAL_INTERRUPT_DELIVERY, "EOI-exit bitmap 0 (EOI_EXIT0)";
    0x201e EOI_EXIT_BITMAP_1: rw u64, secondary VIRTUAL_INTERRUPT_DELIVERY, "EOI-exit bitmap 1 (EOI_EXIT1)";
    0x2020 EOI_EXIT_BITMAP_2: rw u64, secondary VIRTUAL_INTERRUPT_DELIVERY, "EOI-exit bitmap 2 (EOI_EXIT2)";
    0x2022 EOI_EXIT_BITMAP_3: rw u64, secondary VIRTUAL_INTERRUPT_DELIVERY, "EOI-exit bitmap 3 (EOI_EXIT3)";
    0x2024 EPTP_LIST_ADDRESS: rw u64, eptp_switching, "EPTP-list address";
    0x2026 VMREAD_BITMAP_ADDRESS: rw u64, secondary VMCS_SHADOWING, "VMREAD-bitmap address";
    0x2028 VMWRITE_BITMAP_ADDRESS: rw u64, secondary VMCS_SHADOWING, "VMWRITE-bitmap address";
    0x202a VE_INFORMATION_ADDRESS: rw u64, secondary EPT_VIOLATION_VE, "Virtualization-exception information address";
    0x202c XSS_EXITING_BITMAP: rw u64, secondary ENABLE_XSAVES, "XSS-exiting bitmap";
    0x202e ENCLS_EXITING_BITMAP: rw u64, secondary ENABLE_ENCLS_EXITING, "ENCLS-exiting bitmap";
    0x2030 SPP_TABLE_POINTER: rw u64, secondary SUB_PAGE_WRITE_PERMISSIONS, "Sub-page-permission-table pointer";
    0x2032 TSC_MULTIPLIER: rw u64, secondary USE_TSC_SCALING, "TSC multiplier";
    0x2034 TERTIARY_CONTROLS: rw u64, primary ACTIVATE_TERTIARY_CONTROLS, "Tertiary processor-based VM-execution controls";
    0x2036 ENCLV_EXITING_BITMAP: rw u64, secondary ENABLE_ENCLV_EXITING, "ENCLV-exiting bitmap";
    0x2038 LOW_PASID_DIRECTORY_ADDRESS: rw u64, secondary PASID_TRANSLATION, "Low PASID directory address";
    0x203a HIGH_PASID_DIRECTORY_ADDRESS: rw u64, secondary PASID_TRANSLATION, "High PASID directory address";
    0x203c SEAM_SHARED_EPT_POINTER: rw u64, tertiary SEAM_GPA_WIDTH, "SEAM shared EPT pointer";
    0x203e PCONFIG_EXITING_BITMAP: rw u64, secondary ENABLE_PCONFIG, "PCONFIG-exiting bitmap";
    0x2040 HLAT_POINTER: rw u64, tertiary ENABLE_HLAT, "Hypervisor-managed linear-address translation pointer (HLATP)";
    0x2042 PID_POINTER_TABLE_ADDRESS: rw u64, tertiary IPI_VIRTUALIZATION, "PID-pointer table address";
    0x2044 SECONDARY_EXIT_CONTROLS: rw u64, exit ACTIVATE_SECONDARY_CONTROLS, "Secondary VM-exit controls";
    0x204a SPEC_CTRL_MASK: rw u64, tertiary VIRTUALIZE_SPEC_CTRL, "IA32_SPEC_CTRL mask";
    0x204c SPEC_CTRL_SHADOW: rw u64, tertiary VIRTUALIZE_SPEC_CTRL, "IA32_SPEC_CTRL shadow";
    0x204e GUEST_DEADLINE_SHADOW: rw u64, tertiary APIC_TIMER_VIRTUALIZATION, "Guest deadline shadow";
    0x2052 INJECTED_EVENT_DATA: rw u64, entry LOAD_FRED, "Injected-event data";
    // 64-bit exit-information fields
    0x2400 GUEST_PHYSICAL_ADDRESS: ro u64, secondary ENABLE_EPT, "Guest-physical address";
    0x2402 MSR_DATA: ro u64, tertiary ENABLE_MSR_LIST, "MSR data";
    0x2404 ORIGINAL_EVENT_DATA: ro u64, entry LOAD_FRED, "Original-event data";
    // 64-bit guest-state fields
    0x2800 VMCS_LINK_POINTER: rw u64, always, "VMCS link pointer";
    0x2802 GUEST_DEBUGCTL: rw u64, always, "Guest IA32_DEBUGCTL";
    0x2804 GUEST_PAT: rw u64, entry LOAD_PAT or exit SAVE_PAT, "Guest IA32_PAT";
    0x2806 GUEST_EFER: rw u64, entry LOAD_EFER or exit SAVE_EFER, "Guest IA32_EFER";
    0x2808 GUEST_PERF_GLOBAL_CTRL: rw u64, entry LOAD_PERF_GLOBAL_CTRL, "Guest IA32_PERF_GLOBAL_CTRL";
    0x280a GUEST_PDPTE0: rw u64, secondary ENABLE_EPT, "Guest PDPTE0";
    0x280c GUEST_PDPTE1: rw u64, secondary ENABLE_EPT, "Guest PDPTE1";
    0x280e GUEST_PDPTE2: rw u64, secondary ENABLE_EPT, "Guest PDPTE2";
    0x2810 GUEST_PDPTE3: rw u64, secondary ENABLE_EPT, "Guest PDPTE3";
    0x2812 GUEST_BNDCFGS: rw u64, entry LOAD_BNDCFGS or exit CLEAR_BNDCFGS, "Guest IA32_BNDCFGS";
    0x2814 GUEST_RTIT_CTL: rw u64, entry LOAD_RTIT_CTL or exit CLEAR_RTIT_CTL, "Guest IA32_RTIT_CTL";
    0x2816 GUEST_LBR_CTL: rw u64, entry LOAD_LBR_CTL or exit CLEAR_LBR_CTL, "Guest IA32_LBR_CTL";
    0x2818 GUEST_PKRS: rw u64, entry LOAD_PKRS, "Guest IA32_PKRS";
    0x281a GUEST_FRED_CONFIG: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_CONFIG";
    0x281c GUEST_FRED_RSP1: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_RSP1";
    0x281e GUEST_FRED_RSP2: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_RSP2";
    0x2820 GUEST_FRED_RSP3: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_RSP3";
    0x2822 GUEST_FRED_STKLVLS: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_STKLVLS";
    0x2824 GUEST_FRED_SSP1: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_SSP1";
    0x2826 GUEST_FRED_SSP2: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_SSP2";
    0x2828 GUEST_FRED_SSP3: rw u64, entry LOAD_FRED or exit2 SAVE_FRED, "Guest IA32_FRED_SSP3";
    0x282e GUEST_SPEC_CTRL: rw u64, entry LOAD_SPEC_CTRL, "Guest IA32_SPEC_CTRL";
    0x2830 GUEST_DEADLINE: rw u64, tertiary APIC_TIMER_VIRTUALIZATION, "Guest deadline";
    // 64-bit host-state fields
    0x2c00 HOST_PAT: rw u64, exit LOAD_PAT, "Host IA32_PAT";
    0x2c02 HOST_EFER: rw u64, exit LOAD_EFER, "Host IA32_EFER";
    0x2c04 HOST_PERF_GLOBAL_CTRL: rw u64, exit LOAD_PERF_GLOBAL_CTRL, "Host IA32_PERF_GLOBAL_CTRL";
    0x2c06 HOST_PKRS: rw u64, exit LOAD_PKRS, "Host IA32_PKRS";
    0x2c08 HOST_FRED_CONFIG: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_CONFIG";
    0x2c0a HOST_FRED_RSP1: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_RSP1";
    0x2c0c HOST_FRED_RSP2: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_RSP2";
    0x2c0e HOST_FRED_RSP3: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_RSP3";
    0x2c10 HOST_FRED_STKLVLS: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_STKLVLS";
    0x2c12 HOST_FRED_SSP1: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_SSP1";
    0x2c14 HOST_FRED_SSP2: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_SSP2";
    0x2c16 HOST_FRED_SSP3: rw u64, exit2 LOAD_FRED, "Host IA32_FRED_SSP3";
    0x2c1a HOST_SPEC_CTRL: rw u64, exit2 LOAD_SPEC_CTRL, "Host IA32_SPEC_CTRL";
    // 32-bit control fields
    0x4000 PIN_BASED_CONTROLS: rw u32, always, "Pin-based VM-execution controls";
    0x4002 PRIMARY_CONTROLS: rw u32, always, "Primary processor-based VM-execution controls";
    0x4004 EXCEPTION_BITMAP: rw u32, always, "Exception bitmap";
    0x4006 PAGE_FAULT_ERROR_CODE_MASK: rw u32, always, "Page-fault error-code mask";
    0x4008 PAGE_FAULT_ERROR_CODE_MATCH: rw u32, always, "Page-fault error-code match";
    0x400a CR3_TARGET_COUNT: rw u32, always, "CR3-target count";
    0x400c EXIT_CONTROLS: rw u32, always, "Primary VM-exit controls";
    0x400e EXIT_MSR_STORE_COUNT: rw u32, always, "VM-exit MSR-store count";
    0x4010 EXIT_MSR_LOAD_COUNT: rw u32, always, "VM-exit MSR-load count";
    0x4012 ENTRY_CONTROLS: rw u32, always, "VM-entry controls";
    0x4014 ENTRY_MSR_LOAD_COUNT: rw u32, always, "VM-entry MSR-load count";
    0x4016 ENTRY_INTERRUPTION_INFO: rw u32, always, "VM-entry interruption information";
    0x4018 ENTRY_EXCEPTION_ERROR_CODE: rw u32, always, "VM-entry exception error code";
    0x401a ENTRY_INSTRUCTION_LENGTH: rw u32, always, "VM-entry instruction length";
    0x401c TPR_THRESHOLD: rw u32, primary USE_TPR_SHADOW, "TPR threshold";
    0x401e SECONDARY_CONTROLS: rw u32, primary ACTIVATE_SECONDARY_CONTROLS, "Secondary processor-based VM-execution controls";
    0x4020 PLE_GAP: rw u32, secondary PAUSE_LOOP_EXITING, "PLE_Gap";
    0x4022 PLE_WINDOW: rw u32, secondary PAUSE_LOOP_EXITING, "PLE_Window";
    0x4024 INSTRUCTION_TIMEOUT: rw u32, secondary INSTRUCTION_TIMEOUT, "Instruction-timeout control";
    0x4026 SEAM_GUEST_KEY_ID: rw u32, tertiary SEAM_GPA_WIDTH, "SEAM-guest KeyID";
    // 32-bit exit-information fields
    0x4400 INSTRUCTION_ERROR: ro u32, always, "VM-instruction error";
    0x4402 EXIT_REASON: ro u32, always, "Exit reason";
    0x4404 EXIT_INTERRUPTION_INFO: ro u32, always, "VM-exit interruption information";
    0x4406 EXIT_INTERRUPTION_ERROR_CODE: ro u32, always, "VM-exit interruption error code";
    0x4408 IDT_VECTORING_INFO: ro u32, always, "IDT-vectoring information";
    0x440a IDT_VECTORING_ERROR_CODE: ro u32, always, "IDT-vectoring error code";
    0x440c EXIT_INSTRUCTION_LENGTH: ro u32, always, "VM-exit instruction length";
    0x440e EXIT_INSTRUCTION_INFO: ro u32, always, "VM-exit instruction information";
    // 32-bit guest-state fields
    0x4800 GUEST_ES_LIMIT: rw u32, always, "Guest ES limit";
    0x4802 GUEST_CS_LIMIT: rw u32, always, "Guest CS limit";
    0x4804 GUEST_SS_LIMIT: rw u32, always, "Guest SS limit";
    0x4806 GUEST_DS_LIMIT: rw u32, always, "Guest DS limit";
    0x4808 GUEST_FS_LIMIT: rw u32, always, "Guest FS limit";
    0x480a GUEST_GS_LIMIT: rw u32, always, "Guest GS limit";
    0x480c GUEST_LDTR_LIMIT: rw u32, always, "Guest LDTR limit";
    0x480e GUEST_TR_LIMIT: rw u32, always, "Guest TR limit";
    0x4810 GUEST_GDTR_LIMIT: rw u32, always, "Guest GDTR limit";
    0x4812 GUEST_IDTR_LIMIT: rw u32, always, "Guest IDTR limit";
    0x4814 GUEST_ES_ACCESS_RIGHTS: rw u32, always, "Guest ES access rights";
    0x4816 GUEST_CS_ACCESS_RIGHTS: rw u32, always, "Guest CS access rights";
    0x4818 GUEST_SS_ACCESS_RIGHTS: rw u32, always, "Guest SS access rights";
    0x481a GUEST_DS_ACCESS_RIGHTS: rw u32, always, "Guest DS access rights";
    0x481c GUEST_FS_ACCESS_RIGHTS: rw u32, always, "Guest FS access rights";
    0x481e GUEST_GS_ACCESS_RIGHTS: rw u32, always, "Guest GS access rights";
    0x4820 GUEST_LDTR_ACCESS_RIGHTS: rw u32, always, "Guest LDTR access rights";
    0x4822 GUEST_TR_ACCESS_RIGHTS: rw u32, always, "Guest TR access rights";
    0x4824 GUEST_INTERRUPTIBILITY_STATE: rw u32, always, "Guest interruptibility state";
    0x4826 GUEST_ACTIVITY_STATE: rw u32, always, "Guest activity state";
    0x4828 GUEST_SMBASE: rw u32, always, "Guest SMBASE";
    0x482a GUEST_SYSENTER_CS: rw u32, always, "Guest IA32_SYSENTER_CS";
    0x482e PREEMPTION_TIMER_VALUE: rw u32, pin ACTIVATE_PREEMPTION_TIMER, "VMX-preemption timer value";
    // 32-bit host-state fields
    0x4c00 HOST_SYSENTER_CS: rw u32, always, "Host IA32_SYSENTER_CS";
    // natural-width control fields
    0x6000 CR0_GUEST_HOST_MASK: rw Natural, always, "CR0 guest/host mask";
    0x6002 CR4_GUEST_HOST_MASK: rw Natural, always, "CR4 guest/host mask";
    0x6004 CR0_READ_SHADOW: rw Natural, always, "CR0 read shadow";
    0x6006 CR4_READ_SHADOW: rw Natural, always, "CR4 read shadow";
    0x6008 CR3_TARGET_VALUE_0: rw Natural, always, "CR3-target value 0";
    0x600a CR3_TARGET_VALUE_1: rw Natural, always, "CR3-target value 1";
    0x600c CR3_TARGET_VALUE_2: rw Natural, always, "CR3-target value 2";
    0x600e CR3_TARGET_VALUE_3: rw Natural, always, "CR3-target value 3";
    // natural-width exit-information fields
    0x6400 EXIT_QUALIFICATION: ro Natural, always, "Exit qualification";
    0x6402 IO_RCX: ro Natural, always, "I/O RCX";
    0x6404 IO_RSI: ro Natural, always, "I/O RSI";
    0x6406 IO_RDI: ro Natural, always, "I/O RDI";
    0x6408 IO_RIP: ro Natural, always, "I/O RIP";
    0x640a GUEST_LINEAR_ADDRESS: ro Natural, always, "Guest-linear address";
    // natural-width guest-state fields
    0x6800 GUEST_CR0: rw Natural, always, "Guest CR0";
    0x6802 GUEST_CR3: rw Natural, always, "Guest CR3";
    0x6804 GUEST_CR4: rw Natural, always, "Guest CR4";
    0x6806 GUEST_ES_BASE: rw Natural, always, "Guest ES base";
    0x6808 GUEST_CS_BASE: rw Natural, always, "Guest CS base";
    0x680a GUEST_SS_BASE: rw Natural, always, "Guest SS base";
    0x680c GUEST_DS_BASE: rw Natural, always, "Guest DS base";
    0x680e GUEST_FS_BASE: rw Natural, always, "Guest FS base";
    0x6810 GUEST_GS_BASE: rw Natural, always, "Guest GS base";
    0x6812 GUEST_LDTR_BASE: rw Natural, always, "Guest LDTR base";
    0x6814 GUEST_TR_BASE: rw Natural, always, "Guest TR base";
    0x6816 GUEST_GDTR_BASE: rw Natural, always, "Guest GDTR base";
    0x6818 GUEST_IDTR_BASE: rw Natural, always, "Guest IDTR base";
    0x681a GUEST_DR7: rw Natural, always, "Guest DR7";
    0x681c GUEST_RSP: rw Natural, always, "Guest RSP";
    0x681e GUEST_RIP: rw Natural, always, "Guest RIP";
    0x6820 GUEST_RFLAGS: rw Natural, always, "Guest RFLAGS";
    0x6822 GUEST_PENDING_DEBUG_EXCEPTIONS: rw Natural, always, "Guest pending debug exceptions";
    0x6824 GUEST_SYSENTER_ESP: rw Natural, always, "Guest IA32_SYSENTER_ESP";
    0x6826 GUEST_SYSENTER_EIP: rw Natural, always, "Guest IA32_SYSENTER_EIP";
    0x6828 GUEST_S_CET: rw Natural, entry LOAD_CET_STATE, "Guest IA32_S_CET";
    0x682a GUEST_SSP: rw Natural, entry LOAD_CET_STATE, "Guest SSP";
    0x682c GUEST_INTERRUPT_SSP_TABLE: rw Natural, entry LOAD_CET_STATE, "Guest IA32_INTERRUPT_SSP_TABLE_ADDR";
    // natural-width host-state fields
    0x6c00 HOST_CR0: rw Natural, always, "Host CR0";
    0x6c02 HOST_CR3: rw Natural, always, "Host CR3";
    0x6c04 HOST_CR4: rw Natural, always, "Host CR4";
    0x6c06 HOST_FS_BASE: rw Natural, always, "Host FS base";
    0x6c08 HOST_GS_BASE: rw Natural, always, "Host GS base";
    0x6c0a HOST_TR_BASE: rw Natural, always, "Host TR base";
    0x6c0c HOST_GDTR_BASE: rw Natural, always, "Host GDTR base";
    0x6c0e HOST_IDTR_BASE: rw Natural, always, "Host IDTR base";
    0x6c10 HOST_SYSENTER_ESP: rw Natural, always, "Host IA32_SYSENTER_ESP";
    0x6c12 HOST_SYSENTER_EIP: rw Natural, always, "Host IA32_SYSENTER_EIP";
    0x6c14 HOST_RSP: rw Natural, always, "Host RSP";
    0x6c16 HOST_RIP: rw Natural, always, "Host RIP";
    0x6c18 HOST_S_CET: rw Natural, exit LOAD_CET_STATE, "Host IA32_S_CET";
    0x6c1a HOST_SSP: rw Natural, exit LOAD_CET_STATE, "Host SSP";
    0x6c1c HOST_INTERRUPT_SSP_TABLE: rw Natural, exit LOAD_CET_STATE, "Host IA32_INTERRUPT_SSP_TABLE_ADDR";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FieldGroup, Width};

    #[test]
    fn the_encoding_of_a_field_says_what_its_type_says() {
        for &(number, width, writable) in TYPES {
            let encoding = FieldEncoding::new(number);
            assert_eq!(encoding.width(), width, "{encoding}");
            assert_eq!(encoding.group() != FieldGroup::ExitInformation, writable, "{encoding}");
            assert!(!encoding.is_high(), "{encoding}");
            assert_eq!(number >> 15, 0, "{encoding}: reserved bits");
            assert_eq!(number & 1 << 12, 0, "{encoding}: reserved bit");
        }
    }

    #[test]
    fn the_name_of_a_field_says_what_its_group_says() {
        for field in FIELDS {
            let group = match field.encoding.group() {
                FieldGroup::GuestState => "GUEST_",
                FieldGroup::HostState => "HOST_",
                FieldGroup::Control | FieldGroup::ExitInformation => continue,
            };
            let known = ["PML_INDEX", "VMCS_LINK_POINTER", "PREEMPTION_TIMER_VALUE"];
            assert!(
                field.constant.starts_with(group) || known.contains(&field.constant),
                "{}",
                field.constant
            );
        }
    }

    #[test]
    fn fields_ascend_so_that_they_can_be_searched() {
        assert!(FIELDS.windows(2).all(|pair| pair[0].encoding < pair[1].encoding));
        assert_eq!(FIELDS.len(), TYPES.len());
    }

    #[test]
    fn the_table_has_as_many_fields_of_each_kind_as_the_manual() {
        // The tables B-1 to B-15 of the edition of 2026, halves of 64-bit fields counted once,
        // plus those that only the extensions reference lists: one 16-bit control; three 64-bit
        // controls, of which the manual gives ENCLV exiting no row; two guest and one host field.
        let count = |width, group| {
            let same = |f: &&FieldInfo| (f.encoding.width(), f.encoding.group()) == (width, group);
            FIELDS.iter().filter(same).count()
        };
        use FieldGroup::{Control, ExitInformation, GuestState, HostState};
        assert_eq!(count(Width::Bits16, Control), 5 + 1);
        assert_eq!(count(Width::Bits16, GuestState), 11);
        assert_eq!(count(Width::Bits16, HostState), 7);
        assert_eq!(count(Width::Bits64, Control), 74 / 2 + 2);
        assert_eq!(count(Width::Bits64, ExitInformation), 6 / 2);
        assert_eq!(count(Width::Bits64, GuestState), 42 / 2 + 2);
        assert_eq!(count(Width::Bits64, HostState), 24 / 2 + 1);
        assert_eq!(count(Width::Bits32, Control), 20);
        assert_eq!(count(Width::Bits32, ExitInformation), 8);
        assert_eq!(count(Width::Bits32, GuestState), 23);
        assert_eq!(count(Width::Bits32, HostState), 1);
        assert_eq!(count(Width::Natural, Control), 8);
        assert_eq!(count(Width::Natural, ExitInformation), 6);
        assert_eq!(count(Width::Natural, GuestState), 23);
        assert_eq!(count(Width::Natural, HostState), 15);
    }
}
