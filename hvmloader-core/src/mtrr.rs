//! A plan for the MTRRs: what is cached, and what is not.

use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{FIXED_MTRRS, Gpa, GpaRange, MemoryKind, MemoryType, Mtrrs, VariableMtrr};

use crate::Error;

const PAGE: u64 = 0x1000;
const ONE_MIB: u64 = 1 << 20;
/// VGA memory.
const VGA: (u64, u64) = (0xA_0000, 0xC_0000);

/// Plans MTRRs that make the memory of `memory` write-back and `uncacheable` uncacheable.
///
/// Memory is RAM, ACPI tables, NVS and persistent memory. Of addresses that are in neither nothing
/// is said: they are what needs the fewest registers. Below 1 MiB the fixed ranges decide: VGA
/// memory is write-combining, all else write-back. `physical_bits` is MAXPHYADDR, and
/// `variable_count` the number of variable ranges in `IA32_MTRRCAP`; the model holds
/// [`Mtrrs::VARIABLE_COUNT`].
///
/// The default is write-back, and each variable range makes something uncacheable, so that no two
/// overlap. No plan with that default takes fewer, where masks have no holes.
///
/// ```
/// # use boot_plan::MemoryMap;
/// # use guest_state::{Gpa, GpaRange};
/// # use hvmloader_core::plan_mtrrs;
/// let hole = GpaRange::new(Gpa::new(0xC000_0000), 1 << 30).unwrap();
/// let mtrrs = plan_mtrrs(&MemoryMap::pc(8 << 30)?, &[hole], 36, 8)?;
/// assert_eq!((mtrrs.variable[0].base, mtrrs.variable[0].mask), (0xC000_0000, 0xF_C000_0800));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::MtrrConflict`] where a page, or what one byte of a fixed range stands for, would have
/// to be both; [`Error::MtrrsExhausted`]; [`Error::PhysicalBits`].
///
/// # Source
/// Intel SDM Vol. 3A, "Memory Type Range Registers (MTRRs)". What is cached is as in Xen's
/// hvmloader.
pub fn plan_mtrrs(
    memory: &MemoryMap,
    uncacheable: &[GpaRange],
    physical_bits: u32,
    variable_count: usize,
) -> Result<Mtrrs, Error> {
    let mut wanted: Vec<_> =
        uncacheable.iter().copied().filter(|range| !range.is_empty()).collect();
    wanted.sort_by_key(|range| range.start());
    let cached: Vec<_> = memory
        .regions()
        .iter()
        .filter(|region| is_cached(region.kind))
        .map(|region| (region.range.start().as_u64(), region.range.end().as_u64()))
        .collect();
    let ends = wanted.iter().map(|range| range.end().as_u64()).chain(cached.iter().map(|at| at.1));
    let end = ends.max().unwrap_or_default();
    if !(36..=52).contains(&physical_bits) || end > 1 << physical_bits {
        return Err(Error::PhysicalBits { bits: physical_bits, end });
    }

    let mut mtrrs = Mtrrs::RESET;
    mtrrs.default_type = u64::from(MemoryType::WRITE_BACK.0) | Mtrrs::ENABLE | Mtrrs::FIXED_ENABLE;
    mtrrs.fixed = fixed(&wanted, &cached)?;

    let gaps = gaps(&cached, 1 << physical_bits);
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    for range in wanted {
        let (start, end) = (range.start().as_u64().max(ONE_MIB), range.end().as_u64());
        if end <= start {
            continue;
        }
        let gap = gaps.iter().find(|gap| gap.0 <= start && end <= gap.1);
        let gap = *gap.ok_or(Error::MtrrConflict { range })?;
        let covered = blocks.last().map_or(0, |(base, size)| base + size);
        let mut at = start.max(covered);
        while at < end {
            let (base, size) = largest_block(at, gap);
            blocks.push((base, size));
            at = base + size;
        }
    }
    let have = variable_count.min(Mtrrs::VARIABLE_COUNT);
    let exhausted = Error::MtrrsExhausted { needed: blocks.len(), have };
    if blocks.len() > have {
        return Err(exhausted);
    }
    for (register, (base, size)) in mtrrs.variable.iter_mut().zip(blocks) {
        let uncacheable = MemoryType::UNCACHEABLE;
        *register =
            VariableMtrr::new(Gpa::new(base), size, uncacheable, physical_bits).ok_or(exhausted)?;
    }
    Ok(mtrrs)
}

/// Returns the writes, MSR and value, that load `mtrrs` into a CPU with `variable_count` variable
/// ranges: all off, the ranges, then the default type, which puts them on again.
///
/// Caches are to be off and flushed meanwhile, and all CPUs are to do it at one time, unless nothing
/// else runs.
///
/// # Source
/// Intel SDM Vol. 3A, "MTRR Considerations in MP Systems", and Vol. 4 for the numbers.
#[must_use]
pub fn mtrr_writes(mtrrs: &Mtrrs, variable_count: usize) -> Vec<(u32, u64)> {
    const DEFAULT_TYPE: u32 = 0x2FF;
    const FIRST_VARIABLE: u32 = 0x200;
    let mut writes = Vec::from([(DEFAULT_TYPE, mtrrs.default_type & !Mtrrs::ENABLE)]);
    writes.extend(FIXED_MTRRS.iter().zip(mtrrs.fixed).map(|((_, msr, ..), value)| (*msr, value)));
    for (base, range) in (FIRST_VARIABLE..).step_by(2).zip(mtrrs.variable).take(variable_count) {
        // The mask has the bit that makes the range valid.
        writes.extend([(base, range.base), (base + 1, range.mask)]);
    }
    writes.push((DEFAULT_TYPE, mtrrs.default_type));
    writes
}

const fn is_cached(kind: MemoryKind) -> bool {
    matches!(kind, MemoryKind::RAM | MemoryKind::ACPI | MemoryKind::NVS | MemoryKind::PERSISTENT)
}

/// Returns what lies above 1 MiB and is not cached, in whole pages.
fn gaps(cached: &[(u64, u64)], top: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::with_capacity(cached.len() + 1);
    let mut from = ONE_MIB;
    for &(start, end) in cached.iter().chain(&[(top, top)]) {
        let to = start & !(PAGE - 1);
        if from < to {
            gaps.push((from, to));
        }
        // No overflow: `end` is at most 2^52.
        from = from.max((end + PAGE - 1) & !(PAGE - 1));
    }
    gaps
}

/// Returns base and size of the largest block that holds `at`, has a power of two as its size, is
/// aligned to it and lies within `gap`. Such blocks part a gap without overlap.
const fn largest_block(at: u64, gap: (u64, u64)) -> (u64, u64) {
    let mut size = PAGE;
    loop {
        let doubled = size * 2;
        let base = at & !(doubled - 1);
        // No overflow: a gap ends at 2^52 or below.
        if base < gap.0 || base + doubled > gap.1 {
            return (at & !(size - 1), size);
        }
        size = doubled;
    }
}

/// Returns the fixed-range registers.
fn fixed(uncacheable: &[GpaRange], cached: &[(u64, u64)]) -> Result<[u64; 11], Error> {
    let mut registers = [0; 11];
    for (register, (_, _, first, step)) in registers.iter_mut().zip(FIXED_MTRRS) {
        let mut types = [0; 8];
        for (slot, memory_type) in (0..).zip(&mut types) {
            let (start, end) = (first + slot * step, first + (slot + 1) * step);
            let is_ram = cached.iter().any(|(from, to)| *from < end && start < *to);
            let touches =
                |range: &&GpaRange| range.start().as_u64() < end && start < range.end().as_u64();
            let device = uncacheable.iter().find(touches);
            let whole =
                |range: &GpaRange| range.start().as_u64() <= start && end <= range.end().as_u64();
            *memory_type = match device {
                Some(&range) if is_ram || !whole(&range) => {
                    return Err(Error::MtrrConflict { range });
                }
                Some(_) => MemoryType::UNCACHEABLE.0,
                None if !is_ram && start >= VGA.0 && end <= VGA.1 => MemoryType::WRITE_COMBINING.0,
                None => MemoryType::WRITE_BACK.0,
            };
        }
        *register = u64::from_le_bytes(types);
    }
    Ok(registers)
}
