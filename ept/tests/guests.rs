//! What a hypervisor does with tables: dirty logs, memory types, a guest's F-segment, VPIDs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::Ordering;

use ept::{
    DirtyBitmap, Ept, EptAccess, EptAttributes, EptCaps, EptControls, EptOptions, EptPermissions,
    Error, Explanation, FSegment, InvalidationDebt, Invvpid, Requirement, Table, TableMemory, Use,
    Vpid, WalkEnd, memory_types,
};
use guest_state::{Gpa, GpaRange, Gva, Hpa, MemoryType, Mtrrs, PageSize, VariableMtrr};
use proptest::prelude::*;
use support::{ALL, ARRANDALE, Books, GIB, KIB4, MIB2, caps, range};

fn logging() -> Ept<Books> {
    let controls = EptControls::ACCESSED_DIRTY;
    let options = EptOptions { controls, ..EptOptions::default() };
    Ept::with_options(Books::new(64), caps(), options).unwrap()
}

fn map(ept: &mut Ept<Books>, start: u64, size: u64, attributes: EptAttributes) {
    let debt = ept.map(range(start, size), Hpa::new(start), attributes).unwrap();
    pay(ept, debt);
}

fn pay(ept: &mut Ept<Books>, debt: InvalidationDebt) {
    ept.settle(debt, |_| Ok::<(), ()>(())).unwrap();
}

/// Sets flags in the leaf for `gpa`, as hardware does.
fn touch(ept: &Ept<Books>, gpa: u64, flags: u64) {
    let step = ept.walk(Gpa::new(gpa)).last().unwrap();
    let table = ept.memory().table(step.table).unwrap();
    table.0[step.index].fetch_or(flags, Ordering::Relaxed);
}

fn harvested(ept: &mut Ept<Books>, within: GpaRange, flags: Use) -> (Vec<u64>, bool) {
    let mut found = vec![];
    let debt = ept.harvest(within, flags, |page| found.push(page.gpa.as_u64())).unwrap();
    (found, !debt.is_empty())
}

#[test]
fn a_harvest_returns_each_page_once_and_owes_an_invalidation_for_it() {
    let mut ept = logging();
    map(&mut ept, 0, 6 * KIB4, EptAttributes::RAM);
    map(&mut ept, MIB2, MIB2, EptAttributes::RAM);
    map(&mut ept, GIB, GIB, EptAttributes::RAM);
    let all = range(0, 4 * GIB);
    assert_eq!(harvested(&mut ept, all, Use::DIRTY), (vec![], false));
    for (gpa, flags) in [(KIB4, 0x100), (2 * KIB4, 0x300), (MIB2 + 5, 0x300), (GIB + 7, 0x200)] {
        touch(&ept, gpa, flags);
    }
    let outside = range(0, KIB4);
    assert_eq!(harvested(&mut ept, outside, Use::all()), (vec![], false));
    let within = range(2 * KIB4, GIB);
    assert_eq!(harvested(&mut ept, within, Use::DIRTY), (vec![2 * KIB4, MIB2, GIB], true));
    assert_eq!(harvested(&mut ept, all, Use::DIRTY), (vec![], false));
    assert_eq!(harvested(&mut ept, all, Use::ACCESSED), (vec![KIB4, 2 * KIB4, MIB2], true));
    assert!(ept.leaves(all).unwrap().all(|page| !page.entry.is_accessed()));
    assert_eq!(harvested(&mut ept, range(0, 0), Use::all()), (vec![], false));
}

#[test]
fn a_cpu_without_flags_has_nothing_to_harvest() {
    let mut ept = Ept::new(Books::new(4), caps()).unwrap();
    let refused = ept.harvest(range(0, KIB4), Use::DIRTY, |_| {});
    assert_eq!(refused, Err(Error::Unsupported(Requirement::AccessedDirty)));
    let options = EptOptions { controls: EptControls::ACCESSED_DIRTY, ..EptOptions::default() };
    let old = Ept::with_options(Books::new(4), EptCaps::new(ARRANDALE, 36), options);
    assert_eq!(old.err(), Some(Error::Unsupported(Requirement::AccessedDirty)));
}

#[test]
fn a_page_modification_log_is_drained_oldest_first() {
    let mut ept = logging();
    map(&mut ept, 0, 16 * KIB4, EptAttributes::RAM);
    let log = Table::new();
    for (slot, gpa) in [(511, 3 * KIB4), (510, 9 * KIB4), (509, 4 * KIB4), (508, 7 * KIB4)] {
        log.0[slot].store(gpa, Ordering::Relaxed);
        touch(&ept, gpa, 0x300);
    }
    let mut pages = vec![];
    let debt = ept.drain_log(&log, 508, |gpa| pages.push(gpa.as_u64() / KIB4)).unwrap();
    assert!(!debt.is_empty());
    assert_eq!(pages, [3, 9, 4]);
    assert_eq!(harvested(&mut ept, range(0, GIB), Use::DIRTY).0, [7 * KIB4], "not yet logged");
    for (index, count) in [(511, 0), (510, 1), (0, 511), (0xFFFF, 512), (512, 512)] {
        let mut drained = 0;
        assert!(ept.drain_log(&log, index, |_| drained += 1).is_ok());
        assert_eq!(drained, count, "index {index}");
    }
    log.0[511].store(u64::MAX, Ordering::Relaxed);
    assert!(ept.drain_log(&log, 510, |_| {}).unwrap().is_empty(), "an address beyond the tables");
}

#[test]
fn writes_are_logged_by_write_protection() {
    let mut ept = Ept::new(Books::new(64), EptCaps::new(ARRANDALE, 36)).unwrap();
    map(&mut ept, 0, 2 * MIB2, EptAttributes::RAM);
    map(&mut ept, 2 * MIB2, MIB2, EptAttributes::ROM);
    let all = range(0, 3 * MIB2);
    ept.set_largest_page(PageSize::Size4K);
    let debt = ept.resize(range(0, MIB2)).unwrap() + ept.log_writes(all).unwrap();
    assert!(!debt.is_empty());
    pay(&mut ept, debt);
    let write = EptAccess(2);
    for (gpa, page) in [(5 * KIB4 + 8, range(5 * KIB4, KIB4)), (MIB2 + KIB4, range(MIB2, MIB2))] {
        assert_eq!(ept.explain(Gpa::new(gpa), write), Explanation::Logged);
        let (dirty, debt) = ept.log_write(Gpa::new(gpa)).unwrap();
        assert_eq!((dirty, debt.is_empty()), (page, true));
        assert_eq!(ept.explain(Gpa::new(gpa), write), Explanation::Stale);
        assert_eq!(ept.log_write(Gpa::new(gpa)), Err(Error::NotProtected(Gpa::new(gpa))));
    }
    let rom = Gpa::new(2 * MIB2);
    assert!(matches!(ept.explain(rom, write), Explanation::Denied { .. }));
    assert_eq!(ept.log_write(rom), Err(Error::NotProtected(rom)));
    ept.set_largest_page(PageSize::Size1G);
    let debt = ept.stop_logging(all).unwrap() + ept.resize(all).unwrap();
    pay(&mut ept, debt);
    let entries: Vec<_> = ept.leaves(all).unwrap().map(|page| page.entry.attributes()).collect();
    assert_eq!(entries, [EptAttributes::RAM, EptAttributes::RAM, EptAttributes::ROM]);
    assert!(ept.leaves(all).unwrap().all(|page| !page.entry.is_logged()));
}

#[test]
fn pages_are_resized_to_the_limit_both_ways() {
    let mut ept = logging();
    map(&mut ept, 0, GIB, EptAttributes::RAM);
    touch(&ept, 0, 0x300);
    ept.set_largest_page(PageSize::Size2M);
    let part = range(3 * MIB2, 5 * MIB2);
    let debt = ept.resize(part).unwrap();
    assert!(!debt.is_empty());
    assert_eq!(ept.leaves(range(0, GIB)).unwrap().count(), 512);
    ept.set_largest_page(PageSize::Size4K);
    let debt = debt + ept.resize(part).unwrap();
    assert_eq!(ept.leaves(range(0, GIB)).unwrap().count(), 507 + 5 * 512);
    assert!(ept.leaves(range(0, GIB)).unwrap().all(|page| page.entry.is_dirty()));
    assert!(ept.resize(part).unwrap().is_empty());
    ept.set_largest_page(PageSize::Size1G);
    let debt = debt + ept.resize(range(0, GIB)).unwrap();
    pay(&mut ept, debt);
    let leaves: Vec<_> = ept.leaves(range(0, GIB)).unwrap().collect();
    assert_eq!(leaves.len(), 1);
    assert!(leaves[0].entry.is_dirty());
    assert_eq!(ept.memory().in_use(), 2);
}

/// A host whose firmware has made C0000H to FFFFFH write-protected, and 3 to 4 GiB uncacheable.
fn host() -> Mtrrs {
    let mut mtrrs = Mtrrs { default_type: 0xC06, ..Mtrrs::RESET };
    mtrrs.fixed = [0x0606_0606_0606_0606; 11];
    mtrrs.fixed[2] = 0;
    mtrrs.fixed[9..].fill(0x0505_0505_0505_0505);
    let hole = VariableMtrr::new(Gpa::new(3 * GIB), GIB, MemoryType::UNCACHEABLE, 46);
    mtrrs.variable[0] = hole.unwrap();
    mtrrs
}

fn kind(ept: &Ept<Books>, gpa: u64) -> MemoryType {
    ept.translate(Gpa::new(gpa)).unwrap().entry.memory_type()
}

#[test]
fn memory_types_follow_the_mtrrs_of_the_host_exactly() {
    let mut ept = Ept::new(Books::new(64), caps()).unwrap();
    let all = range(0, 8 * GIB);
    let debt = ept.map_by_mtrrs(all, Hpa::ZERO, EptAttributes::RAM, &host()).unwrap();
    assert!(debt.is_empty());
    for page in (0..GIB).step_by(0x1000).chain((0..8 * GIB).step_by(0x20_0000)) {
        assert_eq!(kind(&ept, page), host().type_at(Gpa::new(page)).0, "{page:#x}");
    }
    // 4 KiB pages below 2 MiB, 2 MiB pages below 1 GiB, and 1 GiB pages.
    assert_eq!(ept.leaves(all).unwrap().count(), 512 + 511 + 7);
    assert_eq!(ept.memory().in_use(), 4, "just the tables that these take");
    // Elsewhere in the guest, the host's address counts.
    let shifted = range(64 * GIB, GIB);
    let debt = ept.map_by_mtrrs(shifted, Hpa::new(3 * GIB), EptAttributes::RAM, &host());
    assert!(debt.unwrap().is_empty());
    assert_eq!(kind(&ept, 64 * GIB), MemoryType::UNCACHEABLE);
}

#[test]
fn memory_types_follow_the_mtrrs_of_the_guest() {
    let mut ept = Ept::new(Books::new(64), caps()).unwrap();
    map(&mut ept, 0, 8 * GIB, EptAttributes::RAM);
    let debt = ept.follow_mtrrs(range(0, 8 * GIB), &host()).unwrap();
    assert!(!debt.is_empty());
    for page in (0..GIB).step_by(0x1000).chain((0..8 * GIB).step_by(0x20_0000)) {
        assert_eq!(kind(&ept, page), host().type_at(Gpa::new(page)).0, "{page:#x}");
    }
    let back = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
    let debt = debt + ept.follow_mtrrs(range(0, 8 * GIB), &back).unwrap();
    pay(&mut ept, debt);
    assert_eq!(ept.leaves(range(0, 8 * GIB)).unwrap().count(), 8, "merged again");
    let broken = Mtrrs { default_type: 0x802, ..Mtrrs::RESET };
    let refused = ept.follow_mtrrs(range(0, KIB4), &broken);
    assert_eq!(refused, Err(Error::MemoryType(MemoryType(2))));
}

#[test]
fn parts_that_follow_one_another_share_the_tables_that_they_take() {
    let mut ept = Ept::new(Books::new(4), caps()).unwrap();
    map(&mut ept, 0, MIB2, EptAttributes::RAM);
    let uncacheable = |start, size| {
        let mut mtrrs = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
        let range = VariableMtrr::new(Gpa::new(start), size, MemoryType::UNCACHEABLE, 46);
        mtrrs.variable[0] = range.unwrap();
        mtrrs
    };
    // One table is split, and its halves change places: in between all of it is of one type, but
    // it may not be merged, as there is no frame to split it once more.
    for first_half in [true, false, true] {
        let start = if first_half { 0 } else { MIB2 / 2 };
        let wanted = uncacheable(start, MIB2 / 2);
        let debt = ept.follow_mtrrs(range(0, MIB2), &wanted).unwrap();
        for page in (0..MIB2).step_by(0x1000) {
            assert_eq!(kind(&ept, page), wanted.type_at(Gpa::new(page)).0, "{page:#x}");
        }
        drop(debt);
    }
    // At the end, what can be merged is.
    let other = uncacheable(MIB2, MIB2);
    map(&mut ept, MIB2, MIB2, EptAttributes::RAM);
    assert_eq!(ept.leaves(range(0, 2 * MIB2)).unwrap().count(), 513);
    let debt = ept.follow_mtrrs(range(0, 2 * MIB2), &other).unwrap();
    pay(&mut ept, debt);
    let kinds: Vec<_> =
        ept.leaves(range(0, 2 * MIB2)).unwrap().map(|page| page.entry.memory_type()).collect();
    assert_eq!(kinds, [MemoryType::WRITE_BACK, MemoryType::UNCACHEABLE]);
}

#[test]
fn types_that_change_leave_the_tables_alone_when_frames_run_out() {
    let mut ept = Ept::new(Books::new(3), caps()).unwrap();
    map(&mut ept, 0, 8 * GIB, EptAttributes::RAM);
    let refused = ept.follow_mtrrs(range(0, 8 * GIB), &host());
    assert_eq!(refused, Err(Error::OutOfFrames { needed: 2 }));
    assert_eq!(ept.leaves(range(0, 8 * GIB)).unwrap().count(), 8);
    assert_eq!(ept.memory().in_use(), 2);
}

#[test]
fn the_f_segment_is_the_guests_own_or_the_hosts_or_copied_when_written() {
    let bios = range(0xF_0000, 0x1_0000);
    let write = EptAccess(2);
    let hpa = |ept: &Ept<Books>, gpa| ept.translate(Gpa::new(gpa)).unwrap().hpa.as_u64();
    let mut ept = Ept::new(Books::new(64), caps()).unwrap();
    map(&mut ept, 0, 16 * MIB2, EptAttributes::RAM);

    let debt = ept.map_f_segment(FSegment::OwnCopy(Hpa::new(GIB)), &host()).unwrap();
    pay(&mut ept, debt);
    assert_eq!((hpa(&ept, 0xF_0000), hpa(&ept, 0xF_FFF0)), (GIB, GIB + 0xFFF0));
    assert_eq!(hpa(&ept, 0x10_0000), 0x10_0000, "and nothing else");
    assert_eq!(ept.explain(bios.start(), write), Explanation::Stale, "it may be written");

    let identity = FSegment::Identity(EptPermissions::RX);
    let debt = ept.map_f_segment(identity, &host()).unwrap();
    pay(&mut ept, debt);
    assert_eq!(hpa(&ept, 0xF_FFF0), 0xF_FFF0);
    assert_eq!(kind(&ept, 0xF_FFF0), MemoryType::WRITE_PROTECTED);
    assert!(matches!(ept.explain(bios.start(), write), Explanation::Denied { .. }));

    let debt = ept.map_f_segment(FSegment::CopyOnWrite, &host()).unwrap();
    pay(&mut ept, debt);
    let written = Gpa::new(0xF_3008);
    assert_eq!(ept.explain(written, write), Explanation::CopyOnWrite);
    assert!(!matches!(ept.explain(Gpa::new(0xE_F000), write), Explanation::CopyOnWrite));
    let debt = ept.copy_page(written, Hpa::new(GIB + 0x5000)).unwrap();
    assert!(!debt.is_empty());
    pay(&mut ept, debt);
    assert_eq!(hpa(&ept, 0xF_3008), GIB + 0x5008);
    assert_eq!(hpa(&ept, 0xF_4008), 0xF_4008);
    assert_eq!(ept.explain(written, write), Explanation::Stale, "the copy may be written");
    assert_eq!(kind(&ept, 0xF_3000), MemoryType::WRITE_BACK);
    assert_eq!(ept.copy_page(written, Hpa::new(GIB)), Err(Error::NotProtected(written)));
    assert!(ept.protect(bios, EptPermissions::RX).is_ok());
    assert!(ept.leaves(bios).unwrap().all(|page| !page.entry.is_copy_on_write()));
}

#[test]
fn invvpid_is_replaced_by_what_the_cpu_has_and_forgets_no_less() {
    let vpid = Vpid::new(7).unwrap();
    let caps = |kinds: u64| EptCaps::new(1 << 32 | kinds << 40, 46);
    let address = Invvpid::Address(vpid, Gva::new(0x1234));
    let globals = Invvpid::SingleContextRetainingGlobals(vpid);
    let one = Invvpid::SingleContext(vpid);
    let missing = Err(Error::Unsupported(Requirement::Invvpid));
    for (wanted, kinds, expected) in [
        (address, 0b1111, Ok(address)),
        (address, 0b1110, Ok(one)),
        (address, 0b1100, Ok(Invvpid::AllContexts)),
        (address, 0b1000, missing),
        (globals, 0b1111, Ok(globals)),
        (globals, 0b0111, Ok(one)),
        (one, 0b1101, Ok(Invvpid::AllContexts)),
        (one, 0b1001, missing),
        (Invvpid::AllContexts, 0b1011, missing),
    ] {
        assert_eq!(wanted.on(caps(kinds), 48), expected);
    }
    assert_eq!(one.on(EptCaps::new(0b1111 << 40, 46), 48), missing, "no INVVPID at all");
    let far = Gva::new(1 << 50);
    assert_eq!(Invvpid::Address(vpid, far).on(caps(15), 48), Err(Error::NonCanonical(far)));
    assert!(Invvpid::Address(vpid, far).on(caps(15), 57).is_ok());
    assert_eq!((address.kind(), address.descriptor()), (0, [7, 0x1234]));
    assert_eq!((globals.kind(), one.kind(), Invvpid::AllContexts.kind()), (3, 1, 2));
    assert_eq!(Vpid::new(0), None);
}

#[test]
fn a_walk_that_was_never_mapped_ends_at_the_root() {
    let ept = Ept::new(Books::new(1), EptCaps::new(ALL, 46)).unwrap();
    assert_eq!(ept.walk(Gpa::ZERO).end(), WalkEnd::NotPresent);
    assert_eq!(ept.walk(Gpa::ZERO).steps().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a set of page numbers.
    #[test]
    fn a_bitmap_holds_what_was_marked(
        marks in prop::collection::vec((0_u64..0x40_0000, 0_u64..0x2_0000), 0..12),
        words in 0_usize..9,
        base in 0_u64..40,
    ) {
        let mut memory = vec![0; words];
        let mut log = DirtyBitmap::new(Gpa::new(base * KIB4), &mut memory);
        let mut expected = std::collections::BTreeSet::new();
        for (start, size) in marks {
            log.mark(range(start, size));
            let pages = (start / KIB4)..(start + size).div_ceil(KIB4);
            let held = base..base + words as u64 * 64;
            expected.extend(pages.filter(|page| size > 0 && held.contains(page)));
        }
        prop_assert_eq!(log.count(), expected.len() as u64);
        let ranges: Vec<_> = log.ranges().collect();
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].end() < pair[1].start(), "as long as can be");
        }
        let bytes = |range: &GpaRange| range.start().as_u64()..range.end().as_u64();
        let found: Vec<u64> =
            ranges.iter().flat_map(bytes).step_by(4096).map(|gpa| gpa / KIB4).collect();
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    /// Against `type_at` of each page; neighbours differ.
    #[test]
    fn a_range_is_cut_just_where_the_type_changes(
        ranges in prop::collection::vec((0_u64..64, 0_u32..6, 0_usize..5), 0..8),
        start in 0_u64..80,
        pages in 0_u64..80,
    ) {
        let kinds = [0, 1, 4, 5, 6].map(MemoryType);
        let mut mtrrs = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
        for (slot, (page, order, kind)) in mtrrs.variable.iter_mut().zip(ranges) {
            let base = Gpa::new(page * KIB4).align_down(KIB4 << order).unwrap();
            *slot = VariableMtrr::new(base, KIB4 << order, kinds[kind], 36).unwrap();
        }
        let whole = range(start * KIB4, pages * KIB4);
        let mut at = whole.start();
        let mut before = None;
        for (part, kind) in memory_types(&mtrrs, whole) {
            prop_assert_eq!(part.start(), at);
            prop_assert!(before != Some(kind) && !part.is_empty());
            for page in (part.start().as_u64()..part.end().as_u64()).step_by(0x1000) {
                prop_assert_eq!(mtrrs.type_at(Gpa::new(page)).0, kind);
            }
            (at, before) = (part.end(), Some(kind));
        }
        prop_assert_eq!(at, whole.end());
    }
}
