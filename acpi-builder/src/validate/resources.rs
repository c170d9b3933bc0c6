//! The rules of resources, and what they may not overlap.
//!
//! # Source
//! ACPI 6.5, "Resource Data Types for ACPI".

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use super::aml::{Namespace, Resources};
use super::fields::Fields;
use super::ranges::Ranges;
use super::{Report, Rule};

/// The small resource that ends a template, its checksum behind it.
const END_TAG: u8 = 0x0F;

/// Memory that a resource takes.
struct Memory {
    offset: usize,
    range: GpaRange,
    /// Whether it is passed on to devices behind this one.
    is_window: bool,
}

pub(super) fn check(
    namespace: &Namespace<'_>,
    registers: &Ranges,
    ram: &Ranges,
    report: &mut Report,
) {
    for resources in &namespace.resources {
        // A system board lists RAM because it is there, a memory device is RAM.
        let is_ram = resources.hid.is_some_and(|hid| hid.is_pnp(0x0C01) || hid.is_pnp(0x0C80));
        let is_root = resources.hid.is_some_and(|hid| hid.is_pnp(0x0A03) || hid.is_pnp(0x0A08));
        for Memory { offset, range, is_window } in read(resources, report) {
            if let Some(gpa) = ram.first_in(range).filter(|_| !is_ram) {
                report.add(&resources.table, offset, Rule::CrsInRam, gpa.as_u64());
            }
            let covered = registers.first_in(range);
            if let Some(gpa) = covered.filter(|_| is_root && is_window) {
                report.add(&resources.table, offset, Rule::CrsOverRegisters, gpa.as_u64());
            }
        }
    }
}

/// Goes through a device's resources and returns the memory among them.
fn read(resources: &Resources<'_>, report: &mut Report) -> Vec<Memory> {
    let mut memory = Vec::new();
    let mut at = 0;
    loop {
        let offset = resources.offset + at;
        let Some((kind, contents, next)) = descriptor(resources.bytes, at) else {
            let value = resources.bytes.byte(at).unwrap_or_default();
            report.add(&resources.table, offset, Rule::CrsDescriptor, value.into());
            return memory;
        };
        if kind == END_TAG {
            return memory;
        }
        match range(kind, contents) {
            Some(Range { is_sound: false, first, .. }) => {
                report.add(&resources.table, offset, Rule::CrsRange, first);
            }
            Some(Range { first, length, is_memory: true, is_window, .. }) if length != 0 => {
                let range = GpaRange::new(Gpa::new(first), length);
                memory.extend(range.map(|range| Memory { offset, range, is_window }));
            }
            _ => {}
        }
        at = next;
    }
}

/// Reads a resource: its kind (large ones have bit 7 set), its contents, and where the next one is.
fn descriptor(bytes: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let tag = bytes.byte(at)?;
    let (kind, start, length) = if tag & 0x80 == 0 {
        (tag >> 3, at + 1, usize::from(tag & 7))
    } else {
        (tag, at + 3, usize::from(bytes.word(at + 1)?))
    };
    let end = start + length;
    bytes.get(start..end).map(|contents| (kind, contents, end))
}

/// What a resource says of numbers.
struct Range {
    first: u64,
    length: u64,
    is_memory: bool,
    is_window: bool,
    /// Whether first, last and length agree.
    is_sound: bool,
}

fn range(kind: u8, contents: &[u8]) -> Option<Range> {
    const FIXED: u8 = 0b1100;
    const CONSUMER: u8 = 0b0001;
    let fixed = |first: u64, length: u64, is_memory, limit: u64| {
        let last = first.checked_add(length.saturating_sub(1));
        let is_sound = last.is_some_and(|last| last <= limit);
        Range { first, length, is_memory, is_window: false, is_sound }
    };
    let movable = |first: u64, last: u64, length: u64, is_memory| {
        let is_sound = first <= last;
        // It lies somewhere between; only if that is one place, it takes it.
        let length = if first == last { length } else { 0 };
        Range { first, length, is_memory, is_window: false, is_sound }
    };
    let number = |offset, size| contents.number(offset, size);
    let size = match kind {
        // I/O port, fixed I/O port.
        0x08 => {
            return Some(movable(number(1, 2)?, number(3, 2)?, number(6, 1)?, false));
        }
        0x09 => return Some(fixed(number(0, 2)?, number(2, 1)?, false, 0xFFFF)),
        // Memory of 24 bits in pages of 256 bytes, of 32 bits, fixed.
        0x81 => {
            let (first, last) = (number(1, 2)? << 8, number(3, 2)? << 8);
            return Some(movable(first, last, number(7, 2)? << 8, true));
        }
        0x85 => return Some(movable(number(1, 4)?, number(5, 4)?, number(13, 4)?, true)),
        0x86 => return Some(fixed(number(1, 4)?, number(5, 4)?, true, u32::MAX.into())),
        // Address spaces: type, flags, flags of the type, then five numbers.
        0x87 => 4,
        0x88 => 2,
        0x8A => 8,
        _ => return None,
    };
    let (space, flags) = (contents.byte(0)?, contents.byte(1)?);
    let value = |index: usize| number(3 + index * size, size);
    let (first, last, length) = (value(1)?, value(2)?, value(4)?);
    let whole = last.checked_sub(first).map(|more| more.checked_add(1).unwrap_or(0));
    let is_fixed = flags & FIXED == FIXED;
    let is_sound = whole.is_some_and(|whole| {
        length == 0 || if is_fixed { length == whole } else { whole == 0 || length <= whole }
    });
    let is_window = flags & CONSUMER == 0;
    Some(Range { first, length, is_memory: space == 0, is_window, is_sound })
}
