//! The rules of the MADT, and of what it has in common with AML.
//!
//! # Source
//! ACPI 6.5, "Multiple APIC Description Table (MADT)".

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::aml::Namespace;
use super::fields::Fields;
use super::{Found, Report, Rule, entries};
use crate::Signature;

/// "Local APIC flags": enabled, or able to be.
const USABLE: u32 = 0b11;
const ENABLED: u32 = 0b01;

const ALL_PROCESSORS_APIC: u32 = 0xFF;
const ALL_PROCESSORS_X2APIC: u32 = u32::MAX;

/// A processor that a guest may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct MadtProcessor {
    pub(super) offset: usize,
    pub(super) uid: u32,
    pub(super) apic_id: u32,
    is_enabled: bool,
}

/// Returns the processors that a guest may use.
pub(super) fn processors<'a>(madt: &Found<'a>) -> impl Iterator<Item = MadtProcessor> + use<'a> {
    entries(madt).filter_map(|(offset, entry)| {
        let (uid, apic_id, flags) = match entry? {
            (0, entry) => (entry.byte(2)?.into(), entry.byte(3)?.into(), entry.dword(4)?),
            (9, entry) => (entry.dword(12)?, entry.dword(4)?, entry.dword(8)?),
            _ => return None,
        };
        let is_enabled = flags & ENABLED != 0;
        (flags & USABLE != 0).then_some(MadtProcessor { offset, uid, apic_id, is_enabled })
    })
}

pub(super) fn check(tables: &[Found<'_>], namespace: &Namespace<'_>, report: &mut Report) {
    let Some(madt) = tables.iter().find(|table| table.signature == Signature::APIC) else { return };
    let processors: Vec<_> = processors(madt).collect();
    if !processors.iter().any(|processor| processor.is_enabled) {
        report.add(madt, 44, Rule::MadtNoProcessor, 0);
    }
    let uids = processors.iter().map(|processor| (processor.uid, processor.offset));
    for (uid, offset) in repeated(uids.clone()) {
        report.add(madt, offset, Rule::MadtRepeatedUid, uid.into());
    }
    let ids = processors.iter().map(|processor| (processor.apic_id, processor.offset));
    for (id, offset) in repeated(ids) {
        report.add(madt, offset, Rule::MadtRepeatedApicId, id.into());
    }
    let uids: BTreeSet<u32> = uids.map(|(uid, _)| uid).collect();
    check_wiring(madt, &uids, report);
    if tables.iter().any(Found::is_aml) {
        compare(madt, &processors, &uids, namespace, report);
    }
}

/// Returns numbers that are there again, with the place where they are.
pub(super) fn repeated<T: Ord + Copy>(
    numbers: impl Iterator<Item = (T, usize)>,
) -> Vec<(T, usize)> {
    let mut sorted: Vec<_> = numbers.collect();
    sorted.sort_unstable();
    sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1]).collect()
}

/// Checks I/O APICs, overrides and NMIs.
fn check_wiring(madt: &Found<'_>, uids: &BTreeSet<u32>, report: &mut Report) {
    let mut ids = Vec::new();
    let mut bases = Vec::new();
    let mut irqs = Vec::new();
    for (offset, entry) in entries(madt) {
        let Some((kind, entry)) = entry else { return };
        let uid = match kind {
            1 => {
                ids.extend(entry.byte(2).map(|id| (id, offset)));
                bases.extend(entry.dword(8).map(|base| (base, offset)));
                continue;
            }
            2 => {
                let irq = entry.byte(3).unwrap_or_default();
                irqs.push((irq, offset));
                if irq > 15 {
                    report.add(madt, offset, Rule::MadtOverride, irq.into());
                }
                continue;
            }
            4 => entry.byte(2).map(u32::from).filter(|uid| *uid != ALL_PROCESSORS_APIC),
            10 => entry.dword(4).filter(|uid| *uid != ALL_PROCESSORS_X2APIC),
            _ => continue,
        };
        if let Some(uid) = uid.filter(|uid| !uids.contains(uid)) {
            report.add(madt, offset, Rule::MadtNmi, uid.into());
        }
    }
    for (id, offset) in repeated(ids.into_iter()) {
        report.add(madt, offset, Rule::MadtRepeatedIoApic, id.into());
    }
    for (base, offset) in repeated(bases.into_iter()) {
        report.add(madt, offset, Rule::MadtRepeatedIoApic, base.into());
    }
    for (irq, offset) in repeated(irqs.into_iter()) {
        report.add(madt, offset, Rule::MadtOverride, irq.into());
    }
}

/// Compares the MADT's processors with those of the DSDT and the SSDTs.
fn compare(
    madt: &Found<'_>,
    processors: &[MadtProcessor],
    uids: &BTreeSet<u32>,
    namespace: &Namespace<'_>,
    report: &mut Report,
) {
    let mut declared = BTreeSet::new();
    for processor in &namespace.processors {
        let Some(uid) = processor.uid else { continue };
        declared.insert(uid);
        if !u32::try_from(uid).is_ok_and(|uid| uids.contains(&uid)) {
            report.add(&processor.table, processor.offset, Rule::DsdtNotInMadt, uid);
        }
    }
    // What AML computes may be any processor.
    if namespace.is_complete {
        for processor in processors.iter().filter(|it| !declared.contains(&it.uid.into())) {
            report.add(madt, processor.offset, Rule::MadtNotInDsdt, processor.uid.into());
        }
    }
}
