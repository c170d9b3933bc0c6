//! What is wrong with any tables: ours, or a dump of another machine.

mod aml;
mod encoding;
mod fields;
mod fixed;
mod layout;
mod madt;
mod ranges;
mod regions;
mod resources;
mod rules;
mod topology;
mod walk;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use guest_state::{Gpa, GpaRange};

pub use regions::{AllowedRegion, RegionSpace};
pub use rules::Rule;

use crate::Signature;
use fields::{Fields, sum};
use layout::{ENTRIES, EntryHeader, SIZES};
use ranges::Ranges;

/// A broken rule, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table; `RSD ` is the root pointer.
    pub table: Signature,
    /// Which of those with this signature, from 0.
    pub index: usize,
    /// Where in the table, in bytes. A table that is too short for a field does not reach to there.
    pub offset: usize,
    /// What is broken.
    pub rule: Rule,
    /// The number that breaks it: a pointer, a length, an id.
    pub value: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, index, offset, rule, value } = self;
        write!(f, "{table}")?;
        if *index > 0 {
            write!(f, " #{index}")?;
        }
        write!(f, " at {offset:#x}: {rule} ({}: {value:#x})", rule.id())
    }
}

/// What tables are held against.
///
/// Without more it knows the specification. It also compares tables with a memory map and with a
/// list of operation regions, if it is given those.
///
/// No bytes make it panic. It takes time in proportion to them, but for the sorting of names and
/// ids, and there are at most as many findings as bytes.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Validator<'a> {
    memory: Vec<(Gpa, &'a [u8])>,
    ram: Vec<GpaRange>,
    allowed: Option<Vec<AllowedRegion>>,
}

impl<'a> Validator<'a> {
    /// Makes one that knows the specification.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds memory that pointers may lead to.
    pub fn memory(mut self, gpa: Gpa, bytes: &'a [u8]) -> Self {
        self.memory.push((gpa, bytes));
        self
    }

    /// Adds RAM of the memory map, where nothing else may be.
    pub fn ram(mut self, range: GpaRange) -> Self {
        self.ram.push(range);
        self
    }

    /// Sets what operation regions AML may have; all others are findings, and so is AML that loads
    /// AML. Without a list any region is fine.
    ///
    /// An operation region in system memory is how a malicious table reads and writes all of a
    /// guest.
    pub fn allow(mut self, regions: impl IntoIterator<Item = AllowedRegion>) -> Self {
        self.allowed = Some(regions.into_iter().collect());
        self
    }

    /// Follows the root pointer at an address and checks all that it leads to.
    #[must_use]
    pub fn validate(&self, rsdp: Gpa) -> Vec<Finding> {
        let mut report = Report::default();
        let found = walk::Walk::new(self, &mut report).root(rsdp);
        self.check(&found, &mut report);
        if !found.iter().any(|table| table.signature == Signature::FACP) {
            report.add(&Found::ROOT, 0, Rule::FadtMissing, 0);
        }
        report.findings
    }

    /// Checks tables that were found without their addresses, such as files.
    ///
    /// No pointer is followed. A FACS among them is left alone, since nothing says that it is one.
    #[must_use]
    pub fn validate_tables(&self, tables: &[&'a [u8]]) -> Vec<Finding> {
        let mut report = Report::default();
        let mut found = Vec::new();
        let mut counts = BTreeMap::new();
        for &bytes in tables {
            let signature = bytes.first_chunk().map_or(Signature::NONE, |name| Signature(*name));
            let count = counts.entry(signature).or_default();
            let table = Found { signature, index: *count, bytes };
            *count += 1;
            let length = bytes.dword(4).unwrap_or_default();
            if usize::try_from(length) != Ok(bytes.len()) || bytes.len() < HEADER_BYTES {
                report.add(&table, 4, Rule::TableLength, length.into());
            } else {
                found.push(table);
            }
        }
        self.check(&found, &mut report);
        report.findings
    }

    /// Checks tables that are whole: each for itself, then what they say of each other.
    fn check(&self, tables: &[Found<'a>], report: &mut Report) {
        for table in tables {
            check_header(table, report);
            check_size(table, report);
            check_entries(table, report);
            match table.signature {
                Signature::FACP => fixed::check_fadt(table, report),
                Signature::SLIT => topology::check_slit(table, report),
                _ => {}
            }
        }
        let namespace = aml::read(tables, report);
        let registers = topology::registers(tables, report);
        madt::check(tables, &namespace, report);
        topology::check_srat(tables, report);
        let ram = Ranges::new(self.ram.iter().copied());
        let taken = Ranges::new(registers.iter().map(|(_, _, range)| *range));
        resources::check(&namespace, &taken, &ram, report);
        for (table, offset, range) in &registers {
            if let Some(gpa) = ram.first_in(*range) {
                report.add(table, *offset, Rule::RegistersInRam, gpa.as_u64());
            }
        }
        if let Some(allowed) = &self.allowed {
            tables.iter().for_each(|table| regions::check(table, allowed, report));
        }
    }
}

/// The size of the header that tables have in common.
const HEADER_BYTES: usize = 36;

/// A table as it was found.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    signature: Signature,
    index: usize,
    bytes: &'a [u8],
}

impl Found<'_> {
    /// Stands for the root pointer, and for all that is missing.
    const ROOT: Self = Self { signature: Signature::RSDP, index: 0, bytes: &[] };

    /// Tells whether the table is AML.
    fn is_aml(&self) -> bool {
        matches!(self.signature, Signature::DSDT | Signature::SSDT | Signature::PSDT)
    }
}

/// What was found so far.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, table: &Found<'_>, offset: usize, rule: Rule, value: u64) {
        let Found { signature, index, .. } = *table;
        self.findings.push(Finding { table: signature, index, offset, rule, value });
    }
}

fn check_header(table: &Found<'_>, report: &mut Report) {
    let Signature(name) = table.signature;
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    // "OEMx" aside, some signatures end with a character of another kind: "ASF!".
    if !name[..3].iter().copied().all(is_name) || !(is_name(name[3]) || name[3].is_ascii_graphic())
    {
        report.add(table, 0, Rule::TableSignature, u32::from_le_bytes(name).into());
    }
    let sum = sum(table.bytes);
    if sum != 0 {
        report.add(table, 9, Rule::TableChecksum, sum.into());
    }
    if table.index > 0 && !table.signature.may_repeat() {
        report.add(table, 0, Rule::TableRepeated, u32::from_le_bytes(name).into());
    }
}

fn check_size(table: &Found<'_>, report: &mut Report) {
    let revision = table.bytes.byte(8).unwrap_or_default();
    let length = table.bytes.len();
    let size = SIZES
        .iter()
        .find(|size| size.signature == table.signature && size.revisions.contains(&revision));
    if size.is_some_and(|size| !(size.least..=size.most).contains(&length)) {
        let value = u64::try_from(length).unwrap_or(u64::MAX);
        report.add(table, 4, Rule::TableSize, value);
    }
}

/// Checks the lengths of a table's entries.
fn check_entries(table: &Found<'_>, report: &mut Report) {
    let Some(list) = ENTRIES.iter().find(|list| list.signature == table.signature) else { return };
    for (offset, entry) in entries(table) {
        let Some((kind, bytes)) = entry else {
            let value = table.bytes.byte(offset).unwrap_or_default();
            report.add(table, offset, Rule::EntryLength, value.into());
            return;
        };
        let least = list.least.iter().find(|(of, _)| *of == kind).map_or(0, |(_, least)| *least);
        let is_long = bytes.len() > least && list.fixed.contains(&kind);
        if bytes.len() < least || is_long {
            report.add(table, offset, Rule::EntryLength, kind.into());
        }
    }
}

/// What is at an offset: type and bytes of an entry, or nothing that is a whole one.
type Entry<'a> = (usize, Option<(u16, &'a [u8])>);

/// Goes through a table's entries. One that can't be read is the last.
fn entries<'a>(table: &Found<'a>) -> impl Iterator<Item = Entry<'a>> + use<'a> {
    let bytes = table.bytes;
    let list = ENTRIES.iter().find(|list| list.signature == table.signature);
    let mut at = list.map_or(bytes.len(), |list| list.start);
    core::iter::from_fn(move || {
        let list = list?;
        let offset = at;
        if offset >= bytes.len() {
            return None;
        }
        let entry = entry(&bytes[offset..], list.header);
        at = entry.map_or(bytes.len(), |(_, entry)| offset + entry.len());
        Some((offset, entry))
    })
}

fn entry(bytes: &[u8], header: EntryHeader) -> Option<(u16, &[u8])> {
    let (kind, length, header_bytes) = match header {
        EntryHeader::Bytes => (bytes.byte(0)?.into(), bytes.byte(1)?.into(), 2),
        EntryHeader::Words => (bytes.word(0)?, bytes.word(2)?.into(), 4),
        EntryHeader::Wide => (bytes.word(0)?, usize::try_from(bytes.dword(4)?).ok()?, 8),
        EntryHeader::Mixed => (bytes.byte(0)?.into(), bytes.word(2)?.into(), 4),
    };
    (length >= header_bytes).then(|| bytes.get(..length)).flatten().map(|entry| (kind, entry))
}
