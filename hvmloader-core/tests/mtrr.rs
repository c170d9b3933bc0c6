//! The MTRR plan, read back through the model of the registers.

#![allow(clippy::unwrap_used)]

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, MemoryKind, MemoryType, Mtrrs};
use hvmloader_core::{Error, mtrr_writes, plan_mtrrs};
use proptest::prelude::*;

fn range(start: u64, size: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size).unwrap()
}

/// The first address in `range` that does not have the type `wanted`.
fn other_type(mtrrs: &Mtrrs, range: GpaRange, wanted: MemoryType) -> Option<Gpa> {
    let mut at = range.start();
    while at < range.end() {
        let (found, edge) = mtrrs.type_at(at);
        if found != wanted {
            return Some(at);
        }
        assert!(edge > at);
        at = edge;
    }
    None
}

#[test]
fn a_small_machine_takes_one_register() {
    let hole = range(0xF000_0000, 0x1000_0000);
    let mtrrs = plan_mtrrs(&MemoryMap::pc(2 << 30).unwrap(), &[hole], 40, 8).unwrap();
    assert_eq!(mtrrs.default_type, 0xC06);
    let write_back = 0x0606_0606_0606_0606;
    let mut fixed = [write_back; 11];
    fixed[2] = 0x0101_0101_0101_0101;
    assert_eq!(mtrrs.fixed, fixed);
    // Nothing is at 3 GiB, where RAM could be: one register for 2 to 4 GiB would do, and does.
    assert_eq!((mtrrs.variable[0].base, mtrrs.variable[0].mask), (0x8000_0000, 0xFF_8000_0800));
    assert!(mtrrs.variable[1..].iter().all(|range| !range.is_valid()));
}

#[test]
fn a_hole_that_is_no_power_of_two_takes_a_register_a_part() {
    let mut memory = MemoryMap::new();
    memory.insert(range(0, 0xB000_0000), MemoryKind::RAM).unwrap();
    memory.insert(range(1 << 32, 0x5000_0000), MemoryKind::RAM).unwrap();
    let devices = [range(0xB000_0000, 0x5000_0000), range(0x1_8000_0000, 0x8000_0000)];
    let mtrrs = plan_mtrrs(&memory, &devices, 36, 8).unwrap();
    let pairs: Vec<_> = mtrrs.variable.iter().map(|range| (range.base, range.mask)).collect();
    let expected = [
        (0xB000_0000, 0xF_F000_0800),
        (0xC000_0000, 0xF_C000_0800),
        (0x1_8000_0000, 0xF_8000_0800),
    ];
    assert_eq!(pairs[..3], expected);
    assert_eq!(pairs[3], (0, 0));
    assert_eq!(
        plan_mtrrs(&memory, &devices, 36, 2),
        Err(Error::MtrrsExhausted { needed: 3, have: 2 })
    );
}

#[test]
fn a_device_below_1_mib_takes_whole_parts_of_a_fixed_range() {
    let memory = MemoryMap::pc(64 << 20).unwrap();
    let mtrrs = plan_mtrrs(&memory, &[range(0xD_0000, 0x2000)], 36, 8).unwrap();
    // IA32_MTRR_FIX4K_D0000 is the sixth.
    assert_eq!(mtrrs.fixed[5], 0x0606_0606_0606_0000);
    for (start, size) in [(0xD_0000, 0x800), (0x9_C000, 0x4000), (0x10_0000, 0x1000)] {
        let device = range(start, size);
        let refused = plan_mtrrs(&memory, &[device], 36, 8);
        assert_eq!(refused, Err(Error::MtrrConflict { range: device }), "{device}");
    }
}

#[test]
fn addresses_beyond_the_width_are_refused() {
    let memory = MemoryMap::pc(64 << 20).unwrap();
    for (bits, device) in [(36, range(1 << 36, 0x1000)), (35, range(0, 0)), (64, range(0, 0))] {
        let refused = plan_mtrrs(&memory, &[device], bits, 8);
        assert!(matches!(refused, Err(Error::PhysicalBits { .. })), "{bits}");
    }
    let mtrrs = plan_mtrrs(&memory, &[range((1 << 52) - 0x1000, 0x1000)], 52, 8).unwrap();
    let last = Gpa::new((1 << 52) - 1);
    assert_eq!(mtrrs.type_at(last).0, MemoryType::UNCACHEABLE);
}

proptest! {
    /// Memory and devices by pages, in an order of turns: each takes what follows the last.
    #[test]
    fn every_byte_has_the_type_that_was_wanted(
        turns in prop::collection::vec((0_u64..4, 0_u32..20, 0_u64..4, 0_u32..20, 0_u64..8), 1..8),
        bits in 36_u32..=52,
        variable_count in 0_usize..10,
    ) {
        let (mut memory, mut devices) = (MemoryMap::new(), Vec::new());
        let mut at = 0x10_0000;
        for (gap, gap_order, length, order, what) in turns {
            at += (gap << gap_order) * 0x1000;
            let span = range(at, ((length + 1) * 0x1000) << order);
            at = span.end().as_u64();
            match what {
                0..=3 => memory.insert(span, MemoryKind::RAM).unwrap(),
                4 => memory.insert(span, MemoryKind::NVS).unwrap(),
                5 => memory.insert(span, MemoryKind::RESERVED).unwrap(),
                _ => devices.push(span),
            }
        }
        memory.insert(range(0, 0x9_FC00), MemoryKind::RAM).unwrap();
        match plan_mtrrs(&memory, &devices, bits, variable_count) {
            Ok(mtrrs) => {
                for device in devices {
                    prop_assert_eq!(other_type(&mtrrs, device, MemoryType::UNCACHEABLE), None);
                }
                for region in memory.regions().iter().filter(|at| at.kind != MemoryKind::RESERVED) {
                    let wrong = other_type(&mtrrs, region.range, MemoryType::WRITE_BACK);
                    prop_assert_eq!(wrong, None, "{:?}", region);
                }
                let used = mtrrs.variable.iter().filter(|range| range.is_valid());
                prop_assert!(used.clone().count() <= variable_count);
                for register in used {
                    prop_assert_eq!(register.mask >> bits, 0);
                    prop_assert_eq!(register.base & !register.mask & !0xFFF, 0);
                }
            }
            Err(Error::MtrrsExhausted { needed, have }) => {
                prop_assert!(needed > have && have == variable_count.min(8));
            }
            Err(Error::PhysicalBits { .. }) => prop_assert!(at > 1 << bits),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn registers_are_written_while_all_are_off() {
    let hole = GpaRange::new(Gpa::new(0xC000_0000), 1 << 30).unwrap();
    let mtrrs = plan_mtrrs(&MemoryMap::pc(8 << 30).unwrap(), &[hole], 36, 8).unwrap();
    let writes = mtrr_writes(&mtrrs, 3);
    let (&(first, off), &(last, on)) = (writes.first().unwrap(), writes.last().unwrap());
    assert_eq!((first, last), (0x2FF, 0x2FF));
    assert_eq!((off & Mtrrs::ENABLE, on), (0, mtrrs.default_type));
    // Eleven fixed, three variable pairs.
    assert_eq!(writes.len(), 2 + 11 + 6);
    assert!(writes.contains(&(0x250, 0x0606_0606_0606_0606)));
    assert!(writes.contains(&(0x200, 0xC000_0000)) && writes.contains(&(0x201, 0xF_C000_0800)));
    assert!(writes.contains(&(0x205, 0)) && !writes.iter().any(|(msr, _)| *msr == 0x206));
}
