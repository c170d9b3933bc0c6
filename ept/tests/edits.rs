//! What edits do, one behaviour at a time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use ept::{
    Ept, EptAttributes, EptCaps, EptControls, EptEntry, EptFlags, EptOptions, EptPermissions,
    Error, FramePool, InvalidationDebt, Invept, Level, Requirement, Table,
};
use guest_state::{Gpa, Hpa, MemoryType, PageSize};
use support::{ALL, ARRANDALE, Books, Found, GIB, KIB4, MIB2, Reference, caps, range};

fn new(limit: usize) -> Ept<Books> {
    Ept::new(Books::new(limit), caps()).unwrap()
}

fn pay(ept: &mut Ept<Books>, debt: InvalidationDebt) {
    ept.settle(debt, |_| Ok::<(), ()>(())).unwrap();
}

/// The pages as (address, size) pairs.
fn pages(ept: &Ept<Books>) -> Vec<(u64, PageSize)> {
    let all = range(0, 1 << 48);
    ept.leaves(all).unwrap().map(|page| (page.gpa.as_u64(), page.page_size)).collect()
}

#[test]
fn the_largest_page_that_both_addresses_allow_is_chosen() {
    let mut ept = new(64);
    let debt = ept.map(
        range(GIB - MIB2 - KIB4, GIB + MIB2 + 2 * KIB4),
        Hpa::new(GIB * 4 - MIB2 - KIB4),
        EptAttributes::RAM,
    );
    assert!(debt.unwrap().is_empty());
    assert_eq!(
        pages(&ept),
        [
            (GIB - MIB2 - KIB4, PageSize::Size4K),
            (GIB - MIB2, PageSize::Size2M),
            (GIB, PageSize::Size1G),
            (2 * GIB, PageSize::Size4K),
        ]
    );
    let mut ept = new(64);
    assert!(ept.map(range(GIB, GIB), Hpa::new(MIB2), EptAttributes::RAM).unwrap().is_empty());
    assert!(pages(&ept).iter().all(|&(_, size)| size == PageSize::Size2M));
}

#[test]
fn a_cpu_without_large_pages_gets_none() {
    let mut ept = Ept::new(Books::new(64), EptCaps::new(ARRANDALE, 36)).unwrap();
    assert!(ept.map(range(0, GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    assert!(pages(&ept).iter().all(|&(_, size)| size == PageSize::Size2M));
    let mut ept = Ept::new(Books::new(1024), EptCaps::new(ARRANDALE & !(1 << 16), 36)).unwrap();
    assert!(ept.map(range(0, GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    assert!(pages(&ept).iter().all(|&(_, size)| size == PageSize::Size4K));
}

#[test]
fn sub_page_write_permissions_force_4_kib_pages() {
    let mut ept = new(64);
    let attributes = EptAttributes::RAM.with_flags(EptFlags::SUB_PAGE_WRITE);
    assert!(ept.map(range(0, 2 * MIB2), Hpa::ZERO, attributes).unwrap().is_empty());
    assert_eq!(pages(&ept).len(), 1024);
    let debt = ept.protect(range(0, KIB4), EptPermissions::RX).unwrap();
    pay(&mut ept, debt);
    let debt = ept.protect(range(0, KIB4), EptPermissions::RWX).unwrap();
    pay(&mut ept, debt);
    assert_eq!(pages(&ept).len(), 1024, "and prevent a merge");
}

#[test]
fn a_split_page_maps_the_same_and_merges_when_equal_again() {
    let mut ept = new(8);
    assert!(ept.map(range(0, GIB), Hpa::new(GIB), EptAttributes::RAM).unwrap().is_empty());
    let hole = range(5 * MIB2 + 7 * KIB4, KIB4);
    let debt = ept.protect(hole, EptPermissions::RX).unwrap();
    assert!(!debt.is_empty());
    assert_eq!(pages(&ept).len(), 511 + 512);
    assert_eq!(ept.memory().in_use(), 4);
    for gpa in [0, hole.start().as_u64(), hole.end().as_u64(), GIB - 1] {
        assert_eq!(ept.translate(Gpa::new(gpa)).unwrap().hpa, Hpa::new(gpa + GIB));
    }
    let more = ept.protect(hole, EptPermissions::RWX).unwrap();
    assert_eq!(pages(&ept), [(0, PageSize::Size1G)]);
    assert_eq!(ept.retired_frames(), 2, "held until the debt is paid");
    pay(&mut ept, debt + more);
    assert_eq!(ept.memory().in_use(), 2);
}

#[test]
fn an_edit_that_changes_nothing_needs_neither_frames_nor_an_invalidation() {
    let mut ept = new(2);
    assert!(ept.map(range(0, GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let part = range(MIB2 + KIB4, KIB4);
    assert!(ept.map(part, Hpa::new(MIB2 + KIB4), EptAttributes::RAM).unwrap().is_empty());
    assert!(ept.protect(part, EptPermissions::RWX).unwrap().is_empty());
    assert!(ept.set_memory_type(part, MemoryType::WRITE_BACK).unwrap().is_empty());
    assert!(ept.unmap(range(2 * GIB, GIB)).unwrap().is_empty());
    assert!(ept.unmap(range(0, 0)).unwrap().is_empty());
    assert_eq!(pages(&ept), [(0, PageSize::Size1G)]);
}

#[test]
fn a_table_is_marked_as_uniform_until_it_is_changed_in_part() {
    for (controls, first) in [(EptControls::empty(), true), (EptControls::ACCESSED_DIRTY, false)] {
        let options =
            EptOptions { controls, largest_page: PageSize::Size4K, ..EptOptions::default() };
        let mut ept = Ept::with_options(Books::new(8), caps(), options).unwrap();
        let marked = |ept: &Ept<Books>, gpa| {
            let walk = ept.walk(Gpa::new(gpa));
            walk.steps().any(|step| step.level == Level::Pd && step.entry.bits() & 1 << 11 != 0)
        };
        let all = range(0, 2 * MIB2 - KIB4);
        assert!(ept.map(all, Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
        assert_eq!(
            [0, MIB2].map(|gpa| marked(&ept, gpa)),
            [first, false],
            "the second is not full"
        );
        let mut debt = ept.protect(range(0, MIB2), EptPermissions::RX).unwrap();
        assert!(!debt.is_empty());
        assert_eq!(marked(&ept, 0), first);
        for gpa in [0, MIB2 - KIB4] {
            let leaf = ept.translate(Gpa::new(gpa)).unwrap();
            assert_eq!((leaf.hpa.as_u64(), leaf.entry.permissions()), (gpa, EptPermissions::RX));
        }
        let again = ept.protect(range(0, MIB2), EptPermissions::RX).unwrap();
        assert!(again.is_empty(), "nothing changed");
        debt += ept.protect(range(7 * KIB4, KIB4), EptPermissions::READ).unwrap();
        assert!(!marked(&ept, 0));
        pay(&mut ept, debt);
    }
}

#[test]
fn out_of_frames_leaves_the_tables_as_they_were() {
    let mut ept = new(3);
    assert!(ept.map(range(0, GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let refused = ept.protect(range(GIB / 2, KIB4), EptPermissions::RX);
    assert_eq!(refused, Err(Error::OutOfFrames { needed: 2 }));
    let refused = ept.map(range(512 * GIB - KIB4, 2 * KIB4), Hpa::ZERO, EptAttributes::RAM);
    assert_eq!(refused, Err(Error::OutOfFrames { needed: 5 }));
    assert_eq!(pages(&ept), [(0, PageSize::Size1G)]);
    assert_eq!(ept.memory().in_use(), 2);
    assert_eq!(ept.retired_frames(), 0);
}

#[test]
fn bad_arguments_are_refused_with_their_reason() {
    let mut ept = new(8);
    let ram = EptAttributes::RAM;
    let odd = range(1, KIB4);
    assert_eq!(ept.map(odd, Hpa::ZERO, ram), Err(Error::Misaligned(odd)));
    assert_eq!(ept.unmap(range(0, 1)), Err(Error::Misaligned(range(0, 1))));
    let hpa = Hpa::new(0x800);
    assert_eq!(ept.map(range(0, KIB4), hpa, ram), Err(Error::MisalignedHost(hpa)));
    let beyond = range((1 << 48) - KIB4, 2 * KIB4);
    assert_eq!(
        ept.map(beyond, Hpa::ZERO, ram),
        Err(Error::PastGuestWidth { range: beyond, bits: 48 })
    );
    assert!(matches!(
        ept.map(range(0, 2 * KIB4), Hpa::new((1 << 46) - KIB4), ram),
        Err(Error::PastHostWidth { bits: 46, .. })
    ));
    assert!(matches!(
        ept.map(range(0, 2 * KIB4), Hpa::new(!0xFFF), ram),
        Err(Error::PastHostWidth { .. })
    ));
    for permissions in
        [EptPermissions::empty(), EptPermissions::WRITE, EptPermissions::EXECUTE_USER]
    {
        assert_eq!(ept.protect(range(0, KIB4), permissions), Err(Error::Permissions(permissions)));
    }
    for bad in [2, 3, 7, 0x16] {
        let bad = MemoryType(bad);
        assert_eq!(ept.set_memory_type(range(0, KIB4), bad), Err(Error::MemoryType(bad)));
        let attributes = EptAttributes::new(EptPermissions::RW, bad);
        assert_eq!(ept.map(range(0, KIB4), Hpa::ZERO, attributes), Err(Error::MemoryType(bad)));
    }
    assert_eq!(ept.memory().in_use(), 1);
}

#[test]
fn execute_only_needs_a_cpu_that_has_it() {
    let x = EptAttributes::new(EptPermissions::X, MemoryType::WRITE_BACK);
    assert!(new(4).map(range(0, KIB4), Hpa::ZERO, x).is_ok());
    let mut old = Ept::new(Books::new(4), EptCaps::new(ARRANDALE, 36)).unwrap();
    let refused = old.map(range(0, KIB4), Hpa::ZERO, x);
    assert_eq!(refused, Err(Error::Permissions(EptPermissions::X)));
}

#[test]
fn a_cpu_that_lacks_something_is_refused_in_words() {
    let with =
        |msr, options| Ept::with_options(Books::new(1), EptCaps::new(msr, 46), options).err();
    let plain = EptOptions::default();
    let five = EptOptions { five_levels: true, ..plain };
    for (msr, options, missing) in [
        (0, plain, Requirement::FourLevels),
        (ALL & !(1 << 7), five, Requirement::FiveLevels),
        (ALL & !(1 << 14 | 1 << 8), plain, Requirement::TableMemoryType),
        (ALL & !(1 << 20), plain, Requirement::Invept),
    ] {
        assert_eq!(with(msr, options), Some(Error::Unsupported(missing)));
    }
    assert_eq!(with(0, plain).unwrap().to_string(), "the CPU has no EPT page-walk length of 4");
}

#[test]
fn frames_come_back_only_when_a_debt_as_young_as_they_is_settled() {
    let mut ept = new(64);
    assert!(ept.map(range(0, KIB4), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let first = ept.unmap(range(0, KIB4)).unwrap();
    assert_eq!(ept.retired_frames(), 3);
    assert!(ept.map(range(GIB * 600, KIB4), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let second = ept.unmap(range(GIB * 600, KIB4)).unwrap();
    assert_eq!(ept.retired_frames(), 6);
    pay(&mut ept, first);
    assert_eq!(ept.retired_frames(), 3);
    drop(second);
    let mut other = new(64);
    assert!(other.map(range(0, GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let foreign = other.unmap(range(0, KIB4)).unwrap();
    let foreign_root = foreign.invept();
    assert!(foreign_root.is_some());
    assert!(ept.map(range(0, KIB4), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let third = ept.unmap(range(0, KIB4)).unwrap();
    pay(&mut ept, third);
    assert_eq!(ept.retired_frames(), 0, "the dropped debt is paid with a later one");
    assert_eq!(ept.memory().in_use(), 1);
}

#[test]
fn a_failed_invalidation_keeps_the_frames_and_the_debt() {
    let mut ept = new(64);
    assert!(ept.map(range(0, KIB4), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let debt = ept.unmap(range(0, KIB4)).unwrap();
    assert_eq!(ept.settle(debt, |_| Err("no")), Err("no"));
    assert_eq!(ept.retired_frames(), 3);
    let next = ept.map(range(0, KIB4), Hpa::ZERO, EptAttributes::RAM).unwrap();
    assert!(!next.is_empty(), "though this map alone would owe nothing");
    pay(&mut ept, next);
    assert_eq!(ept.retired_frames(), 0);
}

#[test]
fn debts_of_different_tables_ask_for_all_contexts_and_free_nothing() {
    // Two pools of which the second lies elsewhere, and a CPU that has all-context INVEPT only.
    for msr in [ALL, ALL & !(1 << 25)] {
        let caps = EptCaps::new(msr, 46);
        let tables: [Table; 16] = Default::default();
        let (one, two) = tables.split_at(8);
        let mut one = Ept::new(FramePool::new(Hpa::new(0x10_0000), one), caps).unwrap();
        let mut two = Ept::new(FramePool::new(Hpa::new(0x20_0000), two), caps).unwrap();
        let debts = [&mut one, &mut two].map(|ept| {
            assert!(ept.map(range(0, KIB4), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
            ept.unmap(range(0, KIB4)).unwrap()
        });
        let [mine, theirs] = debts;
        let both = mine + theirs;
        assert_eq!(both.invept(), Some(Invept::AllContexts));
        one.settle(both, |_| Ok::<(), ()>(())).unwrap();
        assert_eq!((one.retired_frames(), two.retired_frames()), (3, 3));
    }
}

#[test]
fn the_pointer_says_what_the_tables_are() {
    let tables: [Table; 1] = Default::default();
    let pool = || FramePool::new(Hpa::new(0x12_3000), &tables);
    let ept = Ept::new(pool(), caps()).unwrap();
    assert_eq!(ept.pointer().bits(), 0x12_301E);
    assert_eq!(Invept::SingleContext(ept.pointer()).descriptor(), [0x12_301E, 0]);
    let options = EptOptions {
        five_levels: true,
        controls: EptControls::ACCESSED_DIRTY | EptControls::SHADOW_STACK,
        ..EptOptions::default()
    };
    let ept = Ept::with_options(pool(), caps(), options).unwrap();
    assert_eq!(ept.pointer().bits(), 0x12_30E6);
    let uncacheable = EptCaps::new(ALL & !(1 << 14), 46);
    assert_eq!(Ept::new(pool(), uncacheable).unwrap().pointer().bits(), 0x12_3018);
}

#[test]
fn a_pool_that_can_not_be_pointed_to_gives_no_frames() {
    let tables: [Table; 2] = Default::default();
    let new = |base| Ept::new(FramePool::new(Hpa::new(base), &tables), EptCaps::new(ALL, 36)).err();
    assert_eq!(new(0x800), Some(Error::OutOfFrames { needed: 1 }));
    assert_eq!(new(!0xFFF), Some(Error::OutOfFrames { needed: 1 }));
    assert_eq!(new(1 << 36), Some(Error::BadFrame(Hpa::new(1 << 36))));
    assert_eq!(new((1 << 36) - KIB4), None);
}

#[test]
fn an_invalidation_is_due_just_where_the_guidelines_say() {
    // The list of the SDM's "Guidelines for Use of the INVEPT Instruction", one bit at a time.
    let needs = |old, new| EptEntry::from_bits(old).change_needs_invept(EptEntry::from_bits(new));
    let page = 0x1234_5000 | 6 << 3 | 0x300 | 0x407;
    assert!(!needs(page, page));
    assert!(!needs(0, page), "not present before");
    assert!(needs(page, 0));
    for bit in [0, 1, 2, 10] {
        assert!(needs(page, page & !(1 << bit)), "permission {bit} taken away");
        assert!(!needs(page & !(1 << bit), page), "permission {bit} given");
    }
    for bit in [8, 9] {
        assert!(needs(page, page & !(1 << bit)), "flag {bit} cleared");
        assert!(!needs(page & !(1 << bit), page), "flag {bit} set");
    }
    for bit in (3..8).chain(12..52).chain([57, 58, 60, 61, 63]) {
        assert!(needs(page, page ^ 1 << bit), "bit {bit}");
    }
}

#[test]
fn five_levels_reach_beyond_48_bits() {
    let options = EptOptions { five_levels: true, ..EptOptions::default() };
    let mut ept = Ept::with_options(Books::new(16), caps(), options).unwrap();
    let page = range((1 << 57) - KIB4, KIB4);
    assert!(ept.map(page, Hpa::new(MIB2), EptAttributes::RAM).unwrap().is_empty());
    assert_eq!(ept.memory().in_use(), 5);
    assert_eq!(ept.translate(page.start()).unwrap().hpa, Hpa::new(MIB2));
    let huge = range(1 << 56, GIB);
    assert!(ept.map(huge, Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    assert_eq!(ept.walk(huge.start()).steps().count(), 3);
    let reference = Reference {
        eptp: ept.pointer().bits(),
        maxphyaddr: 46,
        execute_only: true,
        huge: true,
        user: false,
    };
    for (gpa, hpa) in [((1 << 57) - 1, MIB2 + 0xFFF), ((1 << 56) + 5, 5)] {
        let found = reference.walk(|address| ept.memory().read(address), gpa);
        assert!(matches!(found, Found::Page { hpa: reached, .. } if reached == hpa));
    }
    let beyond = range(1 << 57, KIB4);
    let refused = Error::PastGuestWidth { range: beyond, bits: 57 };
    assert_eq!(ept.unmap(beyond), Err(refused));
    assert_eq!(ept.translate(beyond.start()), None);
    let debt = ept.unmap(range(0, 1 << 57)).unwrap();
    pay(&mut ept, debt);
    assert_eq!(ept.memory().in_use(), 1);
}

#[test]
fn taken_apart_tables_give_every_frame_back() {
    let mut books = Books::new(64);
    let mut ept = Ept::new(&mut books, caps()).unwrap();
    assert!(ept.map(range(GIB - KIB4, GIB), Hpa::new(GIB - KIB4), EptAttributes::RAM).is_ok());
    drop(ept.unmap(range(GIB, MIB2)).unwrap());
    let mut asked = None;
    let pointer = ept.pointer();
    let memory = ept.dismantle(|invept| {
        asked = Some(invept);
        Ok::<(), ()>(())
    });
    assert_eq!(memory.unwrap().in_use(), 0);
    assert_eq!(asked, Some(Invept::SingleContext(pointer)));
    let mut books = Books::new(1);
    let ept = Ept::new(&mut books, caps()).unwrap();
    assert_eq!(ept.dismantle(|_| Err("no")).err(), Some("no"));
    assert_eq!(books.in_use(), 1);
}
