//! From the root pointer to the tables.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use guest_state::Gpa;

use super::fields::{Fields, sum};
use super::{Found, HEADER_BYTES, Report, Rule, Validator};
use crate::Signature;

/// "Root System Description Pointer (RSDP)": the bytes of ACPI 1.0, and of later ones.
const RSDP_BYTES_1: usize = 20;
const RSDP_BYTES_2: usize = 36;

const FACS_BYTES: u32 = 64;

/// A way through the memory.
pub(super) struct Walk<'a, 'b> {
    validator: &'b Validator<'a>,
    report: &'b mut Report,
    tables: Vec<Found<'a>>,
    /// First and last address of what is taken.
    taken: BTreeMap<u64, u64>,
    /// What was read at an address.
    seen: BTreeMap<u64, Signature>,
    counts: BTreeMap<Signature, usize>,
}

impl<'a, 'b> Walk<'a, 'b> {
    pub(super) fn new(validator: &'b Validator<'a>, report: &'b mut Report) -> Self {
        Self {
            validator,
            report,
            tables: Vec::new(),
            taken: BTreeMap::new(),
            seen: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Returns the memory from an address on.
    fn bytes_at(&self, gpa: u64) -> Option<&'a [u8]> {
        self.validator.memory.iter().find_map(|&(start, bytes)| {
            let offset = usize::try_from(gpa.checked_sub(start.as_u64())?).ok()?;
            bytes.get(offset..).filter(|rest| !rest.is_empty())
        })
    }

    /// Follows a root pointer, and returns the tables that are whole.
    pub(super) fn root(mut self, gpa: Gpa) -> Vec<Found<'a>> {
        let Some(rsdp) = self.bytes_at(gpa.as_u64()) else {
            self.report.add(&Found::ROOT, 0, Rule::RsdpAbsent, gpa.as_u64());
            return self.tables;
        };
        let Some(first) = rsdp.get(..RSDP_BYTES_1) else {
            let length = u64::try_from(rsdp.len()).unwrap_or(u64::MAX);
            self.report.add(&Found::ROOT, 0, Rule::RsdpLength, length);
            return self.tables;
        };
        if !first.starts_with(b"RSD PTR ") {
            let value = first.qword(0).unwrap_or_default();
            self.report.add(&Found::ROOT, 0, Rule::RsdpSignature, value);
            return self.tables;
        }
        if sum(first) != 0 {
            self.report.add(&Found::ROOT, 8, Rule::RsdpChecksum, sum(first).into());
        }
        let rsdt = first.dword(16).unwrap_or_default().into();
        let xsdt = if first.byte(15) >= Some(2) { self.extended(rsdp) } else { 0 };
        if rsdt == 0 && xsdt == 0 {
            self.report.add(&Found::ROOT, 16, Rule::RsdpRoots, 0);
        }
        let old = (rsdt != 0).then(|| self.root_table(rsdt, 16, Signature::RSDT, 4)).flatten();
        let new = (xsdt != 0).then(|| self.root_table(xsdt, 24, Signature::XSDT, 8)).flatten();
        if let (Some(old), Some(new)) = (old, new)
            && old != new
        {
            let value = u64::try_from(new.len()).unwrap_or(u64::MAX);
            self.report.add(&Found::ROOT, 24, Rule::RootsDiffer, value);
        }
        self.tables
    }

    /// Checks the later part of the root pointer and returns where the XSDT is.
    fn extended(&mut self, rsdp: &[u8]) -> u64 {
        let length = rsdp.dword(20).unwrap_or_default();
        let whole = usize::try_from(length).ok().and_then(|length| rsdp.get(..length));
        match whole {
            Some(whole) if whole.len() >= RSDP_BYTES_2 => {
                if sum(whole) != 0 {
                    let value = sum(whole).into();
                    self.report.add(&Found::ROOT, 32, Rule::RsdpExtendedChecksum, value);
                }
                whole.qword(24).unwrap_or_default()
            }
            _ => {
                self.report.add(&Found::ROOT, 20, Rule::RsdpLength, length.into());
                0
            }
        }
    }

    /// Follows an RSDT or XSDT, and returns what kinds of tables it lists, in order.
    fn root_table(
        &mut self,
        gpa: u64,
        offset: usize,
        signature: Signature,
        width: usize,
    ) -> Option<Vec<Signature>> {
        let table = self.table(&Found::ROOT, offset, gpa)?;
        if table.signature != signature {
            let value = u32::from_le_bytes(table.signature.0);
            self.report.add(&Found::ROOT, offset, Rule::RootSignature, value.into());
            return None;
        }
        let length = table.bytes.len();
        if !(length - HEADER_BYTES).is_multiple_of(width) {
            let value = u64::try_from(length).unwrap_or(u64::MAX);
            self.report.add(&table, 4, Rule::RootLength, value);
        }
        let mut kinds = Vec::new();
        let mut listed = BTreeSet::new();
        for offset in (HEADER_BYTES..length).step_by(width) {
            let Some(gpa) = table.bytes.number(offset, width) else { break };
            if !listed.insert(gpa) {
                self.report.add(&table, offset, Rule::RootRepeats, gpa);
                continue;
            }
            match self.seen.get(&gpa).copied() {
                // By the other root table.
                Some(signature) => kinds.push(signature),
                None => {
                    let Some(found) = self.table(&table, offset, gpa) else { continue };
                    kinds.push(found.signature);
                    if found.signature == Signature::FACP {
                        self.fadt(&found);
                    }
                }
            }
        }
        kinds.sort_unstable();
        Some(kinds)
    }

    /// Takes what a pointer leads to, if it is a whole table.
    fn table(&mut self, from: &Found<'_>, offset: usize, gpa: u64) -> Option<Found<'a>> {
        let Some(bytes) = self.bytes_at(gpa) else {
            self.report.add(from, offset, Rule::PointerDangling, gpa);
            return None;
        };
        let signature = bytes.first_chunk().map_or(Signature::NONE, |name| Signature(*name));
        let index = self.counts.get(&signature).copied().unwrap_or_default();
        let length = bytes.dword(4).unwrap_or_default();
        let whole = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
        let Some(bytes) = whole.filter(|bytes| bytes.len() >= HEADER_BYTES) else {
            let table = Found { signature, index, bytes };
            self.report.add(&table, 4, Rule::TableLength, length.into());
            return None;
        };
        if !self.take(gpa, length) {
            self.report.add(from, offset, Rule::PointerOverlap, gpa);
            return None;
        }
        self.seen.insert(gpa, signature);
        self.counts.insert(signature, index + 1);
        let table = Found { signature, index, bytes };
        self.tables.push(table);
        Some(table)
    }

    /// Takes addresses, unless one of them is taken.
    fn take(&mut self, first: u64, length: u32) -> bool {
        let Some(last) = u64::from(length).checked_sub(1).and_then(|more| first.checked_add(more))
        else {
            return false;
        };
        let before = self.taken.range(..=last).next_back();
        if before.is_some_and(|(_, taken)| *taken >= first) {
            return false;
        }
        self.taken.insert(first, last);
        true
    }

    /// Follows the FADT's pointers.
    fn fadt(&mut self, fadt: &Found<'a>) {
        let pointer = |old: usize, new: usize| {
            let new_gpa = fadt.bytes.qword(new).unwrap_or_default();
            let old_gpa = fadt.bytes.dword(old).unwrap_or_default().into();
            if new_gpa == 0 { (old, old_gpa) } else { (new, new_gpa) }
        };
        let (offset, gpa) = pointer(40, 140);
        if gpa == 0 {
            self.report.add(fadt, 40, Rule::FadtDsdt, 0);
        } else if !self.seen.contains_key(&gpa)
            && let Some(dsdt) = self.table(fadt, offset, gpa)
            && dsdt.signature != Signature::DSDT
        {
            let value = u32::from_le_bytes(dsdt.signature.0);
            self.report.add(fadt, offset, Rule::DsdtSignature, value.into());
        }
        let (offset, gpa) = pointer(36, 132);
        if gpa != 0 && !self.seen.contains_key(&gpa) {
            self.facs(fadt, offset, gpa);
        }
    }

    /// Checks the FACS, which has another header and no checksum.
    fn facs(&mut self, fadt: &Found<'a>, offset: usize, gpa: u64) {
        let Some(bytes) = self.bytes_at(gpa) else {
            self.report.add(fadt, offset, Rule::PointerDangling, gpa);
            return;
        };
        if !bytes.starts_with(&Signature::FACS.0) {
            let value = bytes.dword(0).unwrap_or_default();
            self.report.add(fadt, offset, Rule::FacsSignature, value.into());
            return;
        }
        let table = Found { signature: Signature::FACS, index: 0, bytes };
        let length = bytes.dword(4).unwrap_or_default();
        let is_whole = usize::try_from(length).is_ok_and(|length| length <= bytes.len());
        if length < FACS_BYTES || !is_whole {
            self.report.add(&table, 4, Rule::FacsLength, length.into());
        } else if !self.take(gpa, length) {
            self.report.add(fadt, offset, Rule::PointerOverlap, gpa);
        }
        if !gpa.is_multiple_of(64) {
            self.report.add(fadt, offset, Rule::FacsAlignment, gpa);
        }
        self.seen.insert(gpa, Signature::FACS);
    }
}
