//! The validator over any tables, and over sound ones that the bytes change.

use std::sync::LazyLock;

use acpi_builder::{
    AllowedRegion, Dsdt, EcamRegion, Fadt, Finding, FixedHardware, Hpet, Madt, Mcfg,
    MemoryAffinity, PciRoot, PlacedTables, Processors, RegionSpace, RootTables, SerialPort, Slit,
    Srat, Ssdt, TableSet, Validator,
};
use guest_state::{Gpa, GpaRange};

const RSDP: Gpa = Gpa::new(0xF_0000);
const BASE: Gpa = Gpa::new(0xE_1000);

/// Where each table starts, and how long it is.
type Entries = Vec<(usize, usize)>;

static SOUND: LazyLock<(PlacedTables, Entries)> =
    LazyLock::new(|| sound().expect("the machine can be described"));

fn sound() -> Result<(PlacedTables, Entries), acpi_builder::Error> {
    let processors = Processors::sequential(3)?;
    let mut dsdt = Dsdt::new(&processors);
    dsdt.pci_root = Some(PciRoot::new(0xC000_0000..=0xFEBF_FFFF));
    dsdt.serial_ports.push(SerialPort::COM1);
    let fadt = Fadt::fixed_hardware(FixedHardware::ich9(0x600), dsdt.boot_arch());
    let mut srat = Srat::new(&processors, |processor| processor.uid % 2);
    srat.memory = vec![MemoryAffinity::new(range(0, 1 << 30), 0)];
    let region = EcamRegion { base: Gpa::new(0xB000_0000), segment: 0, buses: 0..=0xFF };
    // OperationRegion (REGA, SystemIO, 0x510, 2), Field (REGA) { FLDA, 8 }
    let aml = b"\x5B\x80REGA\x01\x0B\x10\x05\x0A\x02\x5B\x81\x0BREGA\x01FLDA\x08".to_vec();
    let set = TableSet::builder(fadt, dsdt.build()?)
        .with(&Madt::pc(&processors))
        .with(&srat)
        .with(&Slit::uniform(2, 20)?)
        .with(&Mcfg { regions: vec![region] })
        .with(&Hpet::PC)
        .with(&Ssdt { aml })
        .roots(RootTables::Both)
        .build()?;
    let entries = set.entries().iter();
    let entries = entries.map(|entry| (entry.offset as usize, entry.size_bytes as usize)).collect();
    Ok((set.at(BASE)?, entries))
}

fn range(start: u64, size_bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size_bytes).unwrap_or_default()
}

/// What all are held against.
fn validator<'a>() -> Validator<'a> {
    Validator::new()
        .ram(range(0, 0xA_0000))
        .ram(range(0x10_0000, 0x3FF0_0000))
        .allow([AllowedRegion::new(RegionSpace::SYSTEM_IO, 0x510..=0x511)])
}

/// Checks tables that `data` describes.
///
/// The first byte says how: sound tables with changes of four bytes each, with right checksums or
/// wrong ones; a memory with a root pointer somewhere; or tables one after the other.
pub fn acpi_validate(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 4 {
        0 | 1 => changed(rest, mode % 4 == 0),
        2 => {
            let (offset, memory) = rest.split_first().unwrap_or((&0, &[]));
            let validator = validator().memory(Gpa::new(0x1000), memory);
            let findings = validator.validate(Gpa::new(0x1000 + u64::from(*offset)));
            check(&findings, memory.len());
        }
        _ => {
            let mut tables = Vec::new();
            let mut left = rest;
            while !left.is_empty() {
                // By the length in the header, where there is one.
                let length = left.get(4..6).map_or(left.len(), |length| {
                    usize::from(u16::from_le_bytes([length[0], length[1]]))
                });
                let (table, after) = left.split_at(length.clamp(1, left.len()));
                tables.push(table);
                left = after;
            }
            check(&validator().validate_tables(&tables), rest.len());
        }
    }
}

/// Changes sound tables.
fn changed(edits: &[u8], repair: bool) {
    let (placed, entries) = &*SOUND;
    let (mut rsdp, mut tables) = (placed.rsdp.clone(), placed.tables.clone());
    for edit in edits.chunks_exact(4) {
        let offset = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        match offset.checked_sub(tables.len()) {
            None => tables[offset] = edit[2],
            Some(offset) => {
                let length = rsdp.len();
                rsdp[offset % length] = edit[2];
            }
        }
    }
    if repair {
        for &(start, length) in entries.iter().filter(|(start, _)| *start > 0) {
            tables[start + 9] = 0;
            tables[start + 9] = sum(&tables[start..start + length]).wrapping_neg();
        }
        for (at, length) in [(8, 20), (32, 36)] {
            rsdp[at] = 0;
            rsdp[at] = sum(&rsdp[..length]).wrapping_neg();
        }
    }
    let validator = validator().memory(RSDP, &rsdp).memory(BASE, &tables);
    let findings = validator.validate(RSDP);
    check(&findings, rsdp.len() + tables.len());
    if (&rsdp, &tables) == (&placed.rsdp, &placed.tables) {
        assert_eq!(findings, [], "sound tables have findings");
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// No rule is about a field behind this: the end of the longest FADT. A table that is too short has a
/// finding where the field would be.
const LAST_FIELD_END: usize = 276;

/// Checks what holds of all findings.
fn check(findings: &[Finding], length: usize) {
    assert!(findings.len() <= length + 8, "{} findings in {length} bytes", findings.len());
    for finding in findings {
        assert!(finding.offset <= length.max(LAST_FIELD_END), "{finding}");
        assert!(!finding.to_string().is_empty());
    }
}
