//! The rules of SRAT and SLIT, and where tables say that registers are.
//!
//! # Source
//! ACPI 6.5, "System Resource Affinity Table (SRAT)", "System Locality Information Table (SLIT)"; PCI
//! Firmware Specification 3.3, "MCFG Table Description".

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use super::fields::Fields;
use super::madt::{processors, repeated};
use super::{Found, Report, Rule, entries};
use crate::{EcamRegion, Signature};

/// Registers: the table that says so, where in it, and the registers.
pub(super) type Registers<'a> = (Found<'a>, usize, GpaRange);

/// Returns where local APICs, I/O APICs, event timers and configuration spaces are.
pub(super) fn registers<'a>(tables: &[Found<'a>], report: &mut Report) -> Vec<Registers<'a>> {
    const PAGE: u64 = 0x1000;
    const EVENT_TIMER: u64 = 0x400;
    let mut registers = Vec::new();
    for &table in tables {
        let mut add = |offset, gpa: Option<u64>, size_bytes| {
            let range = gpa.and_then(|gpa| GpaRange::new(Gpa::new(gpa), size_bytes));
            registers.extend(range.map(|range| (table, offset, range)));
        };
        match table.signature {
            Signature::APIC => {
                let overriding = entries(&table).find_map(|(offset, entry)| match entry {
                    Some((5, entry)) => Some((offset, entry.qword(4))),
                    _ => None,
                });
                match overriding {
                    Some((offset, gpa)) => add(offset, gpa, PAGE),
                    None => add(36, table.bytes.dword(36).map(u64::from), PAGE),
                }
                for (offset, entry) in entries(&table) {
                    if let Some((1, entry)) = entry {
                        add(offset, entry.dword(4).map(u64::from), PAGE);
                    }
                }
            }
            Signature::HPET => add(44, table.bytes.qword(44), EVENT_TIMER),
            Signature::MCFG => {
                for (offset, range) in configuration_spaces(&table, report) {
                    registers.push((table, offset, range));
                }
            }
            _ => {}
        }
    }
    registers
}

/// Checks the MCFG, and returns the memory that it describes.
fn configuration_spaces(mcfg: &Found<'_>, report: &mut Report) -> Vec<(usize, GpaRange)> {
    const START: usize = 44;
    const ENTRY_BYTES: usize = 16;
    let mut ranges = Vec::new();
    let mut buses = Vec::new();
    let mut offset = START;
    while let Some(entry) = mcfg.bytes.get(offset..).filter(|entry| !entry.is_empty()) {
        let whole = (entry.qword(0), entry.word(8), entry.byte(10), entry.byte(11));
        let (Some(base), Some(segment), Some(first), Some(last), Some(_)) =
            (whole.0, whole.1, whole.2, whole.3, entry.get(..ENTRY_BYTES))
        else {
            report.add(mcfg, offset, Rule::EntryLength, 0);
            break;
        };
        match (EcamRegion { base: Gpa::new(base), segment, buses: first..=last }).range() {
            Ok(range) => {
                ranges.push((offset, range));
                buses.push((segment, first, last, offset));
            }
            Err(_) => report.add(mcfg, offset, Rule::McfgBuses, base),
        }
        offset += ENTRY_BYTES;
    }
    buses.sort_unstable();
    for pair in buses.windows(2) {
        if pair[0].0 == pair[1].0 && pair[0].2 >= pair[1].1 {
            report.add(mcfg, pair[1].3, Rule::McfgBuses, pair[1].1.into());
        }
    }
    ranges
}

/// What an SRAT says, but for what is switched off.
#[derive(Default)]
struct Affinity {
    /// APIC ids and where they are.
    processors: Vec<(u32, usize)>,
    /// Where memory is said to be, and where that is said.
    memory: Vec<(Option<GpaRange>, usize)>,
    /// Domains, and the first place where each is.
    domains: BTreeMap<u32, usize>,
}

fn affinity(srat: &Found<'_>) -> Affinity {
    const ENABLED: u32 = 1;
    let mut affinity = Affinity::default();
    for (offset, entry) in entries(srat) {
        let Some((kind, entry)) = entry else { break };
        let (flags, domain) = match kind {
            0 => {
                let high = entry.number(9, 3).unwrap_or_default() << 8;
                let low = u64::from(entry.byte(2).unwrap_or_default());
                (entry.dword(4), u32::try_from(high | low).ok())
            }
            1 => (entry.dword(28), entry.dword(2)),
            2 => (entry.dword(12), entry.dword(4)),
            5 => (entry.dword(24), entry.dword(4)),
            _ => continue,
        };
        if flags.unwrap_or_default() & ENABLED == 0 {
            continue;
        }
        if let Some(domain) = domain {
            affinity.domains.entry(domain).or_insert(offset);
        }
        match kind {
            0 => affinity.processors.extend(entry.byte(3).map(|id| (id.into(), offset))),
            2 => affinity.processors.extend(entry.dword(8).map(|id| (id, offset))),
            1 => {
                let start = Gpa::new(entry.qword(8).unwrap_or_default());
                let range = GpaRange::new(start, entry.qword(16).unwrap_or_default());
                affinity.memory.push((range.filter(|range| !range.is_empty()), offset));
            }
            _ => {}
        }
    }
    affinity
}

pub(super) fn check_srat(tables: &[Found<'_>], report: &mut Report) {
    let find = |signature| tables.iter().find(|table| table.signature == signature);
    let Some(srat) = find(Signature::SRAT) else { return };
    if let Some(value) = srat.bytes.dword(36).filter(|value| *value != 1) {
        report.add(srat, 36, Rule::SratReserved, value.into());
    }
    let affinity = affinity(srat);
    for (id, offset) in repeated(affinity.processors.iter().copied()) {
        report.add(srat, offset, Rule::SratRepeatedApicId, id.into());
    }
    check_memory(srat, &affinity.memory, report);
    if let Some(madt) = find(Signature::APIC) {
        let listed: BTreeSet<u32> = affinity.processors.iter().map(|(id, _)| *id).collect();
        let known: BTreeSet<u32> = processors(madt).map(|processor| processor.apic_id).collect();
        for &(id, offset) in affinity.processors.iter().filter(|(id, _)| !known.contains(id)) {
            report.add(srat, offset, Rule::SratNotInMadt, id.into());
        }
        for processor in processors(madt).filter(|it| !listed.contains(&it.apic_id)) {
            report.add(madt, processor.offset, Rule::MadtNotInSrat, processor.apic_id.into());
        }
    }
    let count = find(Signature::SLIT).and_then(|slit| slit.bytes.qword(36));
    if let Some(count) = count {
        for (&domain, &offset) in affinity.domains.iter().filter(|it| u64::from(*it.0) >= count) {
            report.add(srat, offset, Rule::SlitDomains, domain.into());
        }
    }
}

fn check_memory(srat: &Found<'_>, memory: &[(Option<GpaRange>, usize)], report: &mut Report) {
    let mut ranges = Vec::with_capacity(memory.len());
    for &(range, offset) in memory {
        match range {
            Some(range) => ranges.push((range.start(), range, offset)),
            None => {
                let value = srat.bytes.qword(offset + 8).unwrap_or_default();
                report.add(srat, offset, Rule::SratMemory, value);
            }
        }
    }
    ranges.sort_unstable_by_key(|&(start, _, offset)| (start, offset));
    for pair in ranges.windows(2) {
        if pair[0].1.overlaps(pair[1].1) {
            report.add(srat, pair[1].2, Rule::SratMemory, pair[1].0.as_u64());
        }
    }
}

pub(super) fn check_slit(slit: &Found<'_>, report: &mut Report) {
    const START: usize = 44;
    const LOCAL: u8 = 10;
    let count = slit.bytes.qword(36).unwrap_or_default();
    let distances = slit.bytes.get(START..).unwrap_or_default();
    let square = count.checked_mul(count).and_then(|square| usize::try_from(square).ok());
    let Some(side) = usize::try_from(count).ok().filter(|_| square == Some(distances.len())) else {
        report.add(slit, 36, Rule::SlitSize, count);
        return;
    };
    for (index, &distance) in distances.iter().enumerate() {
        let is_local = index / side == index % side;
        if distance < LOCAL || (is_local && distance != LOCAL) {
            report.add(slit, START + index, Rule::SlitDistance, distance.into());
        }
    }
}
