//! The rules of the FADT.
//!
//! # Source
//! ACPI 6.5, "Fixed ACPI Description Table (FADT)".

use super::fields::Fields;
use super::{Found, Report, Rule};

const RESET_REG_SUP: u32 = 1 << 10;
const HW_REDUCED_ACPI: u32 = 1 << 20;

/// The offset of the first field that ACPI 1.0 doesn't have.
const ACPI_1_END: usize = 116;

/// One block of registers, as the FADT describes it twice.
struct Block {
    /// Where its address of 32 bits is.
    address: usize,
    /// Where its length in bytes is.
    length: usize,
    /// Where its generic address structure is.
    gas: usize,
    /// Whether fixed hardware has to have it.
    required: bool,
    /// How short it may be.
    least: u8,
}

const BLOCKS: &[Block] = &[
    Block { address: 56, length: 88, gas: 148, required: true, least: 4 },
    Block { address: 60, length: 88, gas: 160, required: false, least: 4 },
    Block { address: 64, length: 89, gas: 172, required: true, least: 2 },
    Block { address: 68, length: 89, gas: 184, required: false, least: 2 },
    Block { address: 72, length: 90, gas: 196, required: false, least: 1 },
    Block { address: 76, length: 91, gas: 208, required: false, least: 4 },
    Block { address: 80, length: 92, gas: 220, required: false, least: 2 },
    Block { address: 84, length: 93, gas: 232, required: false, least: 2 },
];

pub(super) fn check_fadt(table: &Found<'_>, report: &mut Report) {
    let bytes = table.bytes;
    let flags = bytes.dword(112).unwrap_or_default();
    let is_reduced = flags & HW_REDUCED_ACPI != 0;
    if is_reduced && bytes.byte(8) < Some(5) {
        report.add(table, 112, Rule::FadtReduced, flags.into());
    }
    // Address of the reset register; the bits of one that has none say nothing.
    if flags & RESET_REG_SUP != 0 && bytes.qword(120).unwrap_or_default() == 0 {
        report.add(table, 116, Rule::FadtReset, flags.into());
    }
    let differ = |old: usize, new: usize| {
        let (old, new) = (bytes.dword(old).map(u64::from), bytes.qword(new));
        new.filter(|new| old != Some(0) && *new != 0 && old != Some(*new))
    };
    if let Some(value) = differ(40, 140) {
        report.add(table, 140, Rule::FadtDsdtDiffers, value);
    }
    if let Some(value) = differ(36, 132) {
        report.add(table, 132, Rule::FadtFacsDiffers, value);
    }
    let facs =
        bytes.dword(36).unwrap_or_default() != 0 || bytes.qword(132).is_some_and(|at| at != 0);
    if !is_reduced && !facs {
        report.add(table, 36, Rule::FadtFacs, 0);
    }
    if !is_reduced {
        BLOCKS.iter().for_each(|block| check_block(table, block, report));
    }
}

fn check_block(table: &Found<'_>, block: &Block, report: &mut Report) {
    let bytes = table.bytes;
    let old = bytes.dword(block.address).unwrap_or_default();
    let length = bytes.byte(block.length).unwrap_or_default();
    let gas = if bytes.len() > ACPI_1_END { bytes.get(block.gas..block.gas + 12) } else { None };
    let new = gas.and_then(|gas| gas.qword(4)).unwrap_or_default();
    if old == 0 && new == 0 {
        if block.required {
            report.add(table, block.address, Rule::FadtBlock, 0);
        }
        return;
    }
    if length < block.least {
        report.add(table, block.length, Rule::FadtBlock, length.into());
    }
    if old == 0 || new == 0 {
        return;
    }
    // The new one has a width in bits, which may be larger than its field can say.
    let width = gas.and_then(|gas| gas.byte(1)).unwrap_or_default();
    let width_differs = width != 0 && length < 32 && u16::from(width) != u16::from(length) * 8;
    if new != u64::from(old) || width_differs {
        report.add(table, block.gas, Rule::FadtBlockDiffers, new);
    }
}
