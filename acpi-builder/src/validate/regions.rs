//! Which operation regions AML has.
//!
//! # Source
//! ACPI 6.5, "OperationRegion (Declare Operation Region)", "Load", "LoadTable", "DataTableRegion".

use core::ops::RangeInclusive;

use super::encoding::is_segment;
use super::fields::Fields;
use super::{Found, HEADER_BYTES, Report, Rule};

/// "RegionSpace": what an operation region is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RegionSpace(pub u8);

impl RegionSpace {
    /// Guest-physical memory.
    pub const SYSTEM_MEMORY: Self = Self(0);
    /// I/O ports.
    pub const SYSTEM_IO: Self = Self(1);
    /// The configuration space of a PCI device.
    pub const PCI_CONFIG: Self = Self(2);
    /// An embedded controller.
    pub const EMBEDDED_CONTROL: Self = Self(3);
    /// A system management bus.
    pub const SMBUS: Self = Self(4);
    /// The CMOS memory of the clock.
    pub const SYSTEM_CMOS: Self = Self(5);
    /// The memory or ports behind a base address register of a PCI device.
    pub const PCI_BAR_TARGET: Self = Self(6);
}

/// An operation region that AML may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRegion {
    /// The space.
    pub space: RegionSpace,
    /// What AML may reach in it; none stands for all of it, even where AML computes the place.
    pub range: Option<RangeInclusive<u64>>,
}

impl AllowedRegion {
    /// Allows a part of a space.
    #[must_use]
    pub const fn new(space: RegionSpace, range: RangeInclusive<u64>) -> Self {
        Self { space, range: Some(range) }
    }

    /// Allows all of a space.
    #[must_use]
    pub const fn all_of(space: RegionSpace) -> Self {
        Self { space, range: None }
    }
}

/// Looks for operation regions, and for what loads more AML.
///
/// Each place in the table is looked at, whatever it is part of: AML that is hidden in a method or
/// below a condition is found like any other. So is, rarely, a piece of data that looks like it.
pub(super) fn check(table: &Found<'_>, allowed: &[AllowedRegion], report: &mut Report) {
    const EXTENDED: u8 = 0x5B;
    if !table.is_aml() {
        return;
    }
    for (offset, pair) in table.bytes.windows(2).enumerate().skip(HEADER_BYTES) {
        let [EXTENDED, opcode] = *pair else { continue };
        let rest = table.bytes.get(offset + 2..).unwrap_or_default();
        match opcode {
            // OperationRegion
            0x80 => {
                let Some(length) = name_length(rest) else { continue };
                let Some(space) = rest.byte(length) else { continue };
                let range = region(rest.get(length + 1..).unwrap_or_default());
                let space = RegionSpace(space);
                if !allowed.iter().any(|allowed| allows(allowed, space, range)) {
                    let value = range.map_or(0, |(first, _)| first);
                    report.add(table, offset, Rule::AmlRegion, value);
                }
            }
            // DataTableRegion: the memory of a table that AML chooses.
            0x88 if name_length(rest).is_some() => {
                let space = RegionSpace::SYSTEM_MEMORY;
                if !allowed.iter().any(|allowed| allows(allowed, space, None)) {
                    report.add(table, offset, Rule::AmlRegion, opcode.into());
                }
            }
            // Load, and LoadTable, which starts with a string or with what holds one.
            0x20 if name_length(rest).is_some() => {
                report.add(table, offset, Rule::AmlLoad, opcode.into());
            }
            0x1F if matches!(rest.byte(0), Some(0x0D | 0x60..=0x6E))
                || name_length(rest).is_some() =>
            {
                report.add(table, offset, Rule::AmlLoad, opcode.into());
            }
            _ => {}
        }
    }
}

fn allows(allowed: &AllowedRegion, space: RegionSpace, range: Option<(u64, u64)>) -> bool {
    let reaches = |reach: &RangeInclusive<u64>| {
        range.is_some_and(|(first, last)| reach.contains(&first) && reach.contains(&last))
    };
    allowed.space == space && allowed.range.as_ref().is_none_or(reaches)
}

/// Returns how long a name is, if there is one.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.iter().take_while(|byte| matches!(byte, b'\\' | b'^')).count();
    let (start, count) = match bytes.byte(prefix)? {
        0x2E => (prefix + 1, 2),
        0x2F => (prefix + 2, usize::from(bytes.byte(prefix + 1)?)),
        _ => (prefix, 1),
    };
    let end = start + count * 4;
    let segments = bytes.get(start..end)?.as_chunks().0;
    (count > 0 && segments.iter().copied().all(is_segment)).then_some(end)
}

/// Returns first and last address of a region whose place and length stand there as they are.
fn region(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, size) = integer(bytes)?;
    let (length, _) = integer(bytes.get(size..)?)?;
    Some((first, first.checked_add(length.checked_sub(1)?)?))
}

/// Reads an integer, and returns how long it is.
fn integer(bytes: &[u8]) -> Option<(u64, usize)> {
    let size = match bytes.byte(0)? {
        opcode @ (0x00 | 0x01) => return Some((opcode.into(), 1)),
        0xFF => return Some((u64::MAX, 1)),
        0x0A => 1,
        0x0B => 2,
        0x0C => 4,
        0x0E => 8,
        _ => return None,
    };
    Some((bytes.number(1, size)?, 1 + size))
}
