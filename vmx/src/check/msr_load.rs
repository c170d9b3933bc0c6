//! Rules on the entry's MSR-load list.

use guest_state::{cr0, efer};

use super::host::EFER_BITS;
use super::view::{Stop, Verdict, View, each};
use super::{Fault, Outcome, rule_table};
use crate::{MsrEntry, field};

const FS_BASE: u32 = 0xC000_0100;
const GS_BASE: u32 = 0xC000_0101;
const SMM_MONITOR_CTL: u32 = 0x9B;
const MICROCODE: [u32; 2] = [0x79, 0x8B];
const EFER: u32 = 0xC000_0080;
const PAT: u32 = 0x277;
const TSC_AUX: u32 = 0xC000_0103;
/// MSRs that take canonical addresses only: SYSENTER_ESP, SYSENTER_EIP, LSTAR, CSTAR and
/// KERNEL_GS_BASE.
const ADDRESSES: [u32; 5] = [0x175, 0x176, 0xC000_0082, 0xC000_0083, 0xC000_0102];

rule_table! {
    MSR_LOAD: MsrLoad, "Loading MSRs", Outcome::MsrLoading;

    1 "no entry is for IA32_FS_BASE or IA32_GS_BASE",
    |v| entries(v, |_, entry| !matches!(entry.index, FS_BASE | GS_BASE));

    2 "no entry is for an x2APIC register (8xxh)",
    |v| entries(v, |_, entry| entry.index >> 8 != 8);

    3 "outside of SMM no entry is for IA32_SMM_MONITOR_CTL",
    |v| list(v, |v, entry| {
        if entry.index != SMM_MONITOR_CTL {
            return Ok(true);
        }
        v.in_smm()
    });

    4 "no entry is for a microcode MSR, where the model forbids that",
    |v| list(v, |_, entry| {
        if !MICROCODE.contains(&entry.index) {
            return Ok(true);
        }
        Err(Stop::Undecidable("whether microcode MSRs can be loaded depends on the model"))
    });

    5 "bits 63:32 of each entry are 0", |v| entries(v, |_, entry| entry.reserved == 0);

    6 "WRMSR takes the value of each entry", |v| list(v, is_written);

    7 "there are at most as many entries as IA32_VMX_MISC recommends",
    |v| {
        let count = v.get(field::ENTRY_MSR_LOAD_COUNT)?;
        if count <= 512 || count <= v.caps()?.most_list_entries() {
            return Ok(());
        }
        Err(Stop::Undecidable("a list beyond the recommended length does something undefined"))
    };
}

/// Applies a rule to each entry; one for which it is false breaks it.
fn list(v: &View<'_>, rule: impl Fn(&View<'_>, &MsrEntry) -> Result<bool, Stop>) -> Verdict {
    let count = v.get(field::ENTRY_MSR_LOAD_COUNT)?;
    if count == 0 {
        return Ok(());
    }
    let all = v.known(v.context.entry_msrs, "the entry's MSR-load list in memory")?;
    let used = usize::try_from(count).unwrap_or(usize::MAX).min(all.len());
    let verdicts = all.iter().take(used).zip(1_u32..).map(|(entry, number)| {
        if rule(v, entry)? {
            return Ok(());
        }
        Err(Stop::Broken(Fault {
            field: Some(field::ENTRY_MSR_LOAD_ADDRESS.encoding()),
            value: entry.value,
            bits: 0,
            other: None,
            entry: Some((number, entry.index)),
        }))
    });
    each(verdicts)
}

fn entries(v: &View<'_>, rule: impl Fn(&View<'_>, &MsrEntry) -> bool) -> Verdict {
    list(v, |v, entry| Ok(rule(v, entry)))
}

/// Tells whether WRMSR takes the value, as far as that is known of the MSR.
fn is_written(v: &View<'_>, entry: &MsrEntry) -> Result<bool, Stop> {
    match entry.index {
        EFER => {
            let paging = v.get(field::GUEST_CR0)? & cr0::PG != 0;
            let long = v.is_ia32e_guest()?;
            let same_lme = (entry.value & efer::LME != 0) == long;
            Ok(entry.value & !EFER_BITS == 0 && (!paging || same_lme))
        }
        PAT => Ok(entry.value.to_le_bytes().into_iter().all(|byte| matches!(byte, 0 | 1 | 4..=7))),
        TSC_AUX => Ok(entry.value >> 32 == 0),
        index if ADDRESSES.contains(&index) => Ok(v.caps()?.widths.is_canonical(entry.value)),
        // Rules of their own.
        FS_BASE | GS_BASE | SMM_MONITOR_CTL => Ok(true),
        _ => Err(Stop::Undecidable("what WRMSR takes depends on the MSR and the model")),
    }
}
