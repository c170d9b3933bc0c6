//! The processors, as the host's ACPI tables list them.

use alloc::vec::Vec;

use crate::Physical;

const HEADER_BYTES: usize = 36;
/// The longest table that is looked at.
const MOST_TABLE_BYTES: u32 = 1 << 20;

/// Returns the local APIC ids of the processors that can be used, from the MADT that the RSDP at
/// `rsdp` leads to; `None` if there is none.
///
/// # Source
/// ACPI 6.5 §5.2.5.3, "Root System Description Pointer (RSDP) Structure", §5.2.12, "Multiple APIC
/// Description Table (MADT)".
pub fn enabled_processors(physical: &impl Physical, rsdp: u64) -> Option<Vec<u32>> {
    let madt = find(physical, rsdp, b"APIC")?;
    let mut ids = Vec::new();
    // Local APIC address and flags come before the entries.
    let mut rest = madt.get(HEADER_BYTES + 8..)?;
    while let [kind, length, ..] = *rest {
        let Some(entry) = rest.get(..usize::from(length)).filter(|entry| entry.len() >= 2) else {
            break;
        };
        rest = &rest[entry.len()..];
        let (id, flags) = match kind {
            0 => (entry.get(3).copied().map(u32::from), u32_at(entry, 4)),
            9 => (u32_at(entry, 4), u32_at(entry, 8)),
            _ => continue,
        };
        if let (Some(id), Some(flags)) = (id, flags)
            && flags & 1 != 0
        {
            ids.push(id);
        }
    }
    Some(ids)
}

fn find(physical: &impl Physical, rsdp: u64, signature: &[u8; 4]) -> Option<&'static [u8]> {
    let root = physical.bytes(rsdp, 36)?;
    if !root.starts_with(b"RSD PTR ") {
        return None;
    }
    let xsdt = if root[15] >= 2 { u64_at(root, 24)? } else { 0 };
    let (root_table, entry_bytes) = match xsdt {
        0 => (table(physical, u32_at(root, 16)?.into())?, 4),
        xsdt => (table(physical, xsdt)?, 8),
    };
    let entries = root_table.get(HEADER_BYTES..)?.chunks_exact(entry_bytes);
    let address = |entry: &[u8]| u64_at(entry, 0).or_else(|| u32_at(entry, 0).map(u64::from));
    entries
        .filter_map(address)
        .filter_map(|address| table(physical, address))
        .find(|table| table.starts_with(signature))
}

/// Returns a table whose checksum is right.
fn table(physical: &impl Physical, address: u64) -> Option<&'static [u8]> {
    let length = u32_at(physical.bytes(address, HEADER_BYTES)?, 4)?;
    let length = usize::try_from(length.min(MOST_TABLE_BYTES)).ok()?;
    let bytes = physical.bytes(address, length.max(HEADER_BYTES))?;
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    (sum == 0).then_some(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
