//! The keys of KVM's and Xen's dumps, which are mostly the same, and the fields that they mean.

use vmx::{FieldEncoding, field};

use super::words::hex;

/// The parts of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Guest,
    Host,
    Control,
}

impl Area {
    pub(crate) fn of_heading(line: &str) -> Option<Self> {
        Some(match line.trim().trim_matches('*').trim() {
            "Guest State" => Self::Guest,
            "Host State" => Self::Host,
            "Control State" => Self::Control,
            _ => return None,
        })
    }
}

/// The numbers of a value; most have one.
pub(crate) struct Value;

impl Value {
    /// Reads `10:ffffffff` and `00|30` as the values of the fields that their keys mean, anything
    /// else as one number.
    pub(crate) fn of(key: &str, value: &str) -> Vec<u64> {
        let numbers = match key {
            "CS:RIP" => value.split_once(':').map(|(cs, rip)| vec![hex(cs), hex(rip)]),
            "SVI|RVI" => value.split_once('|').map(|(svi, rvi)| {
                vec![hex(svi).zip(hex(rvi)).map(|(svi, rvi)| (svi & 0xFF) << 8 | rvi & 0xFF)]
            }),
            _ => Some(vec![hex(value)]),
        };
        numbers.and_then(|numbers| numbers.into_iter().collect()).unwrap_or_default()
    }
}

/// Finds the fields that a key means after a label and a word.
pub(crate) fn find(area: Area, label: &str, before: &str, key: &str) -> Vec<FieldEncoding> {
    let labelled = format!("{label} {key}");
    let spoken = format!("{before} {key}");
    let table = match area {
        Area::Guest => GUEST,
        Area::Host => HOST,
        Area::Control => CONTROL,
    };
    let look_up = |wanted: &str| table.iter().find(|(known, _)| *known == wanted);
    let found = look_up(&labelled).or_else(|| look_up(&spoken)).or_else(|| look_up(key));
    found.map(|(_, fields)| fields.to_vec()).unwrap_or_default()
}

/// Finds the field of a column of Xen's table of segments: selector, attributes, limit and base;
/// limit and base alone for GDTR and IDTR.
pub(crate) fn column(area: Area, label: &str, column: usize) -> Option<FieldEncoding> {
    if area != Area::Guest {
        return None;
    }
    let names: &[&str] = match label {
        "GDTR:" | "IDTR:" => &["limit", "base"],
        _ => &["sel", "attr", "limit", "base"],
    };
    let wanted = format!("{label} {}", names.get(column)?);
    let (_, fields) = GUEST.iter().find(|(known, _)| *known == wanted)?;
    fields.first().copied()
}

type Keys = &'static [(&'static str, &'static [FieldEncoding])];

macro_rules! keys {
    ($($key:literal: $($field:ident)+;)+) => {
        &[$(($key, &[$(field::$field.encoding()),+])),+]
    };
}

const GUEST: Keys = keys! {
    "CR0: actual": GUEST_CR0;
    "CR0: shadow": CR0_READ_SHADOW;
    "CR0: gh_mask": CR0_GUEST_HOST_MASK;
    "CR4: actual": GUEST_CR4;
    "CR4: shadow": CR4_READ_SHADOW;
    "CR4: gh_mask": CR4_GUEST_HOST_MASK;
    "CR3": GUEST_CR3;
    "PDPTR0": GUEST_PDPTE0;
    "PDPTR1": GUEST_PDPTE1;
    "PDPTR2": GUEST_PDPTE2;
    "PDPTR3": GUEST_PDPTE3;
    "PDPTE0": GUEST_PDPTE0;
    "PDPTE1": GUEST_PDPTE1;
    "PDPTE2": GUEST_PDPTE2;
    "PDPTE3": GUEST_PDPTE3;
    "Sysenter RSP": GUEST_SYSENTER_ESP;
    "CS:RIP": GUEST_SYSENTER_CS GUEST_SYSENTER_EIP;
    "RSP": GUEST_RSP;
    "RIP": GUEST_RIP;
    "RFLAGS": GUEST_RFLAGS;
    "DR7": GUEST_DR7;
    "CS: sel": GUEST_CS_SELECTOR;
    "CS: attr": GUEST_CS_ACCESS_RIGHTS;
    "CS: limit": GUEST_CS_LIMIT;
    "CS: base": GUEST_CS_BASE;
    "DS: sel": GUEST_DS_SELECTOR;
    "DS: attr": GUEST_DS_ACCESS_RIGHTS;
    "DS: limit": GUEST_DS_LIMIT;
    "DS: base": GUEST_DS_BASE;
    "SS: sel": GUEST_SS_SELECTOR;
    "SS: attr": GUEST_SS_ACCESS_RIGHTS;
    "SS: limit": GUEST_SS_LIMIT;
    "SS: base": GUEST_SS_BASE;
    "ES: sel": GUEST_ES_SELECTOR;
    "ES: attr": GUEST_ES_ACCESS_RIGHTS;
    "ES: limit": GUEST_ES_LIMIT;
    "ES: base": GUEST_ES_BASE;
    "FS: sel": GUEST_FS_SELECTOR;
    "FS: attr": GUEST_FS_ACCESS_RIGHTS;
    "FS: limit": GUEST_FS_LIMIT;
    "FS: base": GUEST_FS_BASE;
    "GS: sel": GUEST_GS_SELECTOR;
    "GS: attr": GUEST_GS_ACCESS_RIGHTS;
    "GS: limit": GUEST_GS_LIMIT;
    "GS: base": GUEST_GS_BASE;
    "LDTR: sel": GUEST_LDTR_SELECTOR;
    "LDTR: attr": GUEST_LDTR_ACCESS_RIGHTS;
    "LDTR: limit": GUEST_LDTR_LIMIT;
    "LDTR: base": GUEST_LDTR_BASE;
    "TR: sel": GUEST_TR_SELECTOR;
    "TR: attr": GUEST_TR_ACCESS_RIGHTS;
    "TR: limit": GUEST_TR_LIMIT;
    "TR: base": GUEST_TR_BASE;
    "GDTR: limit": GUEST_GDTR_LIMIT;
    "GDTR: base": GUEST_GDTR_BASE;
    "IDTR: limit": GUEST_IDTR_LIMIT;
    "IDTR: base": GUEST_IDTR_BASE;
    "EFER": GUEST_EFER;
    "EFER(VMCS)": GUEST_EFER;
    "PAT": GUEST_PAT;
    "DebugCtl": GUEST_DEBUGCTL;
    "DebugExceptions": GUEST_PENDING_DEBUG_EXCEPTIONS;
    "PerfGlobCtl": GUEST_PERF_GLOBAL_CTRL;
    "BndCfgS": GUEST_BNDCFGS;
    "Interruptibility": GUEST_INTERRUPTIBILITY_STATE;
    "ActivityState": GUEST_ACTIVITY_STATE;
    "InterruptStatus": GUEST_INTERRUPT_STATUS;
    "PreemptionTimer": PREEMPTION_TIMER_VALUE;
    "SM Base": GUEST_SMBASE;
    "S_CET": GUEST_S_CET;
    "SSP TABLE": GUEST_INTERRUPT_SSP_TABLE;
    "SSP": GUEST_SSP;
};

const HOST: Keys = keys! {
    "Sysenter RSP": HOST_SYSENTER_ESP;
    "CS:RIP": HOST_SYSENTER_CS HOST_SYSENTER_EIP;
    "RIP": HOST_RIP;
    "RSP": HOST_RSP;
    "CS": HOST_CS_SELECTOR;
    "SS": HOST_SS_SELECTOR;
    "DS": HOST_DS_SELECTOR;
    "ES": HOST_ES_SELECTOR;
    "FS": HOST_FS_SELECTOR;
    "GS": HOST_GS_SELECTOR;
    "TR": HOST_TR_SELECTOR;
    "FSBase": HOST_FS_BASE;
    "GSBase": HOST_GS_BASE;
    "TRBase": HOST_TR_BASE;
    "GDTBase": HOST_GDTR_BASE;
    "IDTBase": HOST_IDTR_BASE;
    "CR0": HOST_CR0;
    "CR3": HOST_CR3;
    "CR4": HOST_CR4;
    "EFER": HOST_EFER;
    "PAT": HOST_PAT;
    "PerfGlobCtl": HOST_PERF_GLOBAL_CTRL;
    "S_CET": HOST_S_CET;
    "SSP TABLE": HOST_INTERRUPT_SSP_TABLE;
    "SSP": HOST_SSP;
};

const CONTROL: Keys = keys! {
    "PinBased": PIN_BASED_CONTROLS;
    "CPUBased": PRIMARY_CONTROLS;
    "SecondaryExec": SECONDARY_CONTROLS;
    "TertiaryExec": TERTIARY_CONTROLS;
    "EntryControls": ENTRY_CONTROLS;
    "ExitControls": EXIT_CONTROLS;
    "ExceptionBitmap": EXCEPTION_BITMAP;
    "PFECmask": PAGE_FAULT_ERROR_CODE_MASK;
    "PFECmatch": PAGE_FAULT_ERROR_CODE_MATCH;
    "VMEntry: intr_info": ENTRY_INTERRUPTION_INFO;
    "VMEntry: errcode": ENTRY_EXCEPTION_ERROR_CODE;
    "VMEntry: ilen": ENTRY_INSTRUCTION_LENGTH;
    "VMEntry: event_data": INJECTED_EVENT_DATA;
    "VMExit: intr_info": EXIT_INTERRUPTION_INFO;
    "VMExit: errcode": EXIT_INTERRUPTION_ERROR_CODE;
    "VMExit: ilen": EXIT_INSTRUCTION_LENGTH;
    "reason": EXIT_REASON;
    "qualification": EXIT_QUALIFICATION;
    "IDTVectoring: info": IDT_VECTORING_INFO;
    "IDTVectoring: errcode": IDT_VECTORING_ERROR_CODE;
    "IDTVectoring: event_data": ORIGINAL_EVENT_DATA;
    "TSC Offset": TSC_OFFSET;
    "TSC Multiplier": TSC_MULTIPLIER;
    "SVI|RVI": GUEST_INTERRUPT_STATUS;
    "TPR Threshold": TPR_THRESHOLD;
    "APIC-access addr": APIC_ACCESS_ADDRESS;
    "virt-APIC addr": VIRTUAL_APIC_ADDRESS;
    "PostedIntrVec": POSTED_INTERRUPT_VECTOR;
    "EPT pointer": EPT_POINTER;
    "EPTP index": EPTP_INDEX;
    "PLE Gap": PLE_GAP;
    "Window": PLE_WINDOW;
    "processor ID": VPID;
    "VMfunc controls": VM_FUNCTION_CONTROLS;
};
