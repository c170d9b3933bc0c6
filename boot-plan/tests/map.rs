//! `MemoryMap` and `Layout` against a flat model, one entry a page.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use boot_plan::{Error, Layout, MemoryMap, Request, Side};
use guest_state::{Gpa, GpaRange, MemoryKind};
use proptest::prelude::*;

const PAGES: u64 = 64;

fn pages(first: u64, count: u64) -> GpaRange {
    GpaRange::new(Gpa::new(first * 0x1000), count * 0x1000).unwrap()
}

/// The kind of each page, read back from the map.
fn flat(map: &MemoryMap) -> Vec<Option<MemoryKind>> {
    let kind = |page| map.find(Gpa::new(page * 0x1000 + 5)).map(|region| region.kind);
    (0..PAGES).map(kind).collect()
}

#[derive(Clone, Debug)]
enum Edit {
    Insert,
    Set,
    Remove,
}

proptest! {
    #[test]
    fn a_map_equals_its_flat_model_after_any_edits(
        edits in prop::collection::vec(
            (prop_oneof![Just(Edit::Insert), Just(Edit::Set), Just(Edit::Remove)],
             0..PAGES, 1..PAGES, 1_u32..4),
            0..40,
        ),
    ) {
        let mut map = MemoryMap::new();
        let mut model = vec![None; 2 * PAGES as usize];
        for (edit, first, count, kind) in edits {
            let range = pages(first, count);
            let kind = MemoryKind(kind);
            let slots = first as usize..(first + count) as usize;
            match edit {
                Edit::Insert => {
                    let free = model[slots.clone()].iter().all(Option::is_none);
                    let result = map.insert(range, kind);
                    prop_assert_eq!(result.is_ok(), free);
                    if free {
                        model[slots].fill(Some(kind));
                    }
                }
                Edit::Set => {
                    map.set(range, kind).unwrap();
                    model[slots].fill(Some(kind));
                }
                Edit::Remove => {
                    map.remove(range);
                    model[slots].fill(None);
                }
            }
            prop_assert_eq!(flat(&map), &model[..PAGES as usize]);
            for pair in map.regions().windows(2) {
                prop_assert!(pair[0].range.end() <= pair[1].range.start());
                let touch = pair[0].range.end() == pair[1].range.start();
                prop_assert!(!touch || pair[0].kind != pair[1].kind, "not merged");
            }
        }
    }

    #[test]
    fn no_two_owners_get_the_same_byte(
        holes in prop::collection::vec((0..PAGES, 1_u64..4), 0..6),
        requests in prop::collection::vec(
            (1_u64..0x8000, 9_u32..16, any::<bool>(), 0..PAGES, 1..PAGES), 1..24),
        claims in prop::collection::vec((0..PAGES, 1_u64..4), 0..8),
    ) {
        let mut map = MemoryMap::new();
        map.insert(pages(0, PAGES), MemoryKind::RAM).unwrap();
        for (first, count) in holes {
            map.set(pages(first, count), MemoryKind::RESERVED).unwrap();
        }
        let mut layout = Layout::new(&map);
        for (first, count) in claims {
            let range = pages(first, count);
            let before = layout.owners().to_vec();
            match layout.claim("claim", range) {
                Ok(()) => prop_assert!(before.iter().all(|(_, other)| !other.overlaps(range))),
                Err(Error::Overlap { other_range, .. }) => {
                    prop_assert!(other_range.overlaps(range));
                    prop_assert!(before.contains(&("claim", other_range)));
                }
                Err(Error::NotInMemory { .. }) => {
                    prop_assert!(map.ranges(MemoryKind::RAM).all(|ram| !ram.contains_range(range)));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
        for (size_bytes, order, high, first, count) in requests {
            let alignment = 1_u64 << order;
            let within = pages(first, count);
            let side = if high { Side::Highest } else { Side::Lowest };
            let request = Request { size_bytes, alignment, within, side };
            let before = layout.owners().to_vec();
            let fits = |at: u64| {
                let range = GpaRange::new(Gpa::new(at), size_bytes).unwrap();
                at != 0
                    && within.contains_range(range)
                    && map.ranges(MemoryKind::RAM).any(|ram| ram.contains_range(range))
                    && before.iter().all(|(_, other)| !other.overlaps(range))
            };
            // The oracle tries every aligned address there is.
            let step = usize::try_from(alignment).unwrap();
            let mut candidates = (0..2 * PAGES * 0x1000).step_by(step).filter(|at| fits(*at));
            let expected = if high { candidates.last() } else { candidates.next() };
            match layout.place("search", request) {
                Ok(range) => prop_assert_eq!(Some(range.start().as_u64()), expected),
                Err(Error::NoRoom { .. }) => prop_assert_eq!(None, expected),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn a_pc_has_the_ram_that_was_asked_for_below_and_above_its_hole(mib in 2_u64..0x8_0000) {
        let map = MemoryMap::pc(mib << 20).unwrap();
        // What lies between 639 KiB and 1 MiB is not RAM.
        prop_assert_eq!(map.size_bytes(MemoryKind::RAM), (mib << 20) - 0x6_0400);
        prop_assert!(map.find(Gpa::new(0xFEE0_0000)).is_none());
        prop_assert!(map.find(Gpa::new(0xB_8000)).is_none());
    }
}

#[test]
fn an_overlap_names_both_owners() {
    let mut layout = Layout::new(&MemoryMap::pc(16 << 20).unwrap());
    layout.claim("kernel", pages(0x100, 4)).unwrap();
    let error = layout.claim("initrd", pages(0x103, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "initrd at 0x103000..0x104000 overlaps kernel at 0x100000..0x104000"
    );
    assert!(matches!(
        layout.claim("vga", pages(0xA0, 1)),
        Err(Error::NotInMemory { owner: "vga", .. })
    ));
    layout.reserve("vga", pages(0xA0, 1)).unwrap();
}

#[test]
fn sizes_that_no_pc_has_are_refused_in_words() {
    let error = MemoryMap::pc(1 << 20).unwrap_err();
    assert_eq!(
        error.to_string(),
        "guest memory of 0x100000 bytes: needs between 0x200000 and 0x8000000000"
    );
    assert!(MemoryMap::pc(0).is_err());
    assert!(MemoryMap::pc(1 << 40).is_err());
    assert!(MemoryMap::pc(u64::MAX).is_err());
}

#[test]
fn address_zero_is_never_found() {
    let mut layout = Layout::new(&MemoryMap::pc(16 << 20).unwrap());
    let request = Request { alignment: 1, ..Request::pages(16) };
    assert_eq!(layout.place("first", request).unwrap().start(), Gpa::new(1));
    assert!(matches!(layout.place("odd", request.aligned(3)), Err(Error::Alignment { .. })));
    assert!(matches!(layout.place("none", Request::pages(0)), Err(Error::Empty { .. })));
}
