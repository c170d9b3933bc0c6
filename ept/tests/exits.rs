//! What walks and explanations say of good and bad entries, against the reference walker.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::Ordering;

use ept::{
    Ept, EptAccess, EptAttributes, EptCaps, EptControls, EptEntry, EptFlags, EptOptions,
    EptPermissions, Explanation, Level, Misconfiguration, TableMemory, WalkEnd,
};
use guest_state::{Gpa, Hpa, MemoryType, PageSize};
use proptest::prelude::*;
use support::{ALL, ARRANDALE, Books, Found, GIB, KIB4, MIB2, Reference, range};

const READ: EptAccess = EptAccess(0b001);
const WRITE: EptAccess = EptAccess(0b010);
const FETCH: EptAccess = EptAccess(0b100);

/// Tables with a page of each size: 4 KiB at 0, 2 MiB at 2 MiB, 1 GiB at 1 GiB where there is one.
fn sample(msr: u64, controls: EptControls) -> Ept<Books> {
    let options = EptOptions { controls, ..EptOptions::default() };
    let mut ept = Ept::with_options(Books::new(64), EptCaps::new(msr, 40), options).unwrap();
    for (gpa, size) in [(0, KIB4), (MIB2, MIB2), (GIB, GIB)] {
        let debt = ept.map(range(gpa, size), Hpa::new(gpa), EptAttributes::RAM).unwrap();
        assert!(debt.is_empty());
    }
    ept
}

/// Overwrites the entry of `level` on the way to `gpa`.
fn poke(ept: &Ept<Books>, gpa: u64, level: Level, f: impl FnOnce(u64) -> u64) {
    let step = ept.walk(Gpa::new(gpa)).steps().find(|step| step.level == level).unwrap();
    let slot = &ept.memory().table(step.table).unwrap().0[step.index];
    slot.store(f(slot.load(Ordering::Relaxed)), Ordering::Relaxed);
}

#[test]
fn a_hole_is_not_mapped_and_says_at_which_level() {
    let ept = sample(ALL, EptControls::empty());
    let explain = |gpa| ept.explain(Gpa::new(gpa), READ);
    assert_eq!(explain(KIB4), Explanation::NotMapped(Some(Level::Pt)));
    assert_eq!(explain(3 * MIB2), Explanation::NotMapped(Some(Level::Pd)));
    assert_eq!(explain(3 * GIB), Explanation::NotMapped(Some(Level::Pdpt)));
    assert_eq!(explain(600 * GIB), Explanation::NotMapped(Some(Level::Pml4)));
    assert_eq!(explain(1 << 48), Explanation::NotMapped(None));
    assert_eq!(explain(u64::MAX), Explanation::NotMapped(None));
}

#[test]
fn a_denied_access_names_the_permission_that_it_lacks() {
    let mut ept = sample(ALL, EptControls::empty());
    let page = range(0, KIB4);
    let cases = [
        (EptPermissions::RX, WRITE, EptPermissions::WRITE),
        (EptPermissions::RW, FETCH, EptPermissions::EXECUTE),
        (EptPermissions::READ, EptAccess(0b011), EptPermissions::WRITE),
        (EptPermissions::X, EptAccess(0b011), EptPermissions::RW),
    ];
    for (allowed, access, missing) in cases {
        assert!(ept.protect(page, allowed).is_ok());
        let denied = Explanation::Denied { missing, allowed };
        assert_eq!(ept.explain(Gpa::new(0x10), access), denied);
    }
    assert_eq!(ept.explain(Gpa::new(0), FETCH), Explanation::Stale);
    let verified = EptAccess(FETCH.0 | 1 << 15);
    assert_eq!(ept.explain(Gpa::new(0), verified), Explanation::GuestPaging);
}

#[test]
fn user_and_supervisor_fetches_are_told_apart_under_mode_based_execute() {
    let mut ept = sample(ALL, EptControls::MODE_BASED_EXECUTE);
    let allowed = EptPermissions::READ | EptPermissions::EXECUTE;
    assert!(ept.protect(range(0, KIB4), allowed).is_ok());
    let missing = EptPermissions::EXECUTE_USER;
    let user = EptAccess(FETCH.0 | 1 << 7 | 1 << 8 | 1 << 9);
    let supervisor = EptAccess(FETCH.0 | 1 << 7 | 1 << 8);
    let denied = Explanation::Denied { missing, allowed };
    assert_eq!(ept.explain(Gpa::new(0), user), denied);
    assert_eq!(ept.explain(Gpa::new(0), supervisor), Explanation::Stale);
    assert_eq!(ept.explain(Gpa::new(0), FETCH), denied, "unsaid, it was the mode that may not");
    let only_user = EptPermissions::EXECUTE_USER;
    assert!(ept.protect(range(0, KIB4), only_user).is_ok());
    assert!(ept.translate(Gpa::new(0)).is_some());
    assert!(matches!(ept.walk(Gpa::new(0)).end(), WalkEnd::Page(_)));
}

type Poke = Box<dyn Fn(u64) -> u64>;

#[test]
fn each_misconfiguration_is_named_by_level_and_bit() {
    use Misconfiguration::{ExecuteOnly, MemoryType as Type, ReservedBits, WriteWithoutRead};
    let set = |bits: u64| move |old: u64| old | bits;
    let clear = |bits: u64| move |old: u64| old & !bits;
    let mut cases: Vec<(u64, u64, Level, Poke, Misconfiguration)> = vec![
        (ALL, 0, Level::Pt, Box::new(clear(1)), WriteWithoutRead),
        (ALL, 0, Level::Pml4, Box::new(clear(5)), WriteWithoutRead),
        (ALL & !1, MIB2, Level::Pd, Box::new(clear(3)), ExecuteOnly),
        (ALL, 0, Level::Pd, Box::new(set(1 << 6)), ReservedBits(1 << 6)),
        (ALL, 0, Level::Pml4, Box::new(set(1 << 7)), ReservedBits(1 << 7)),
        (ALL, MIB2, Level::Pd, Box::new(set(1 << 12)), ReservedBits(1 << 12)),
        (ALL, GIB, Level::Pdpt, Box::new(set(1 << 29)), ReservedBits(1 << 29)),
        (ALL, 0, Level::Pt, Box::new(set(1 << 40 | 1 << 51)), ReservedBits(1 << 40 | 1 << 51)),
        (ARRANDALE, 0, Level::Pdpt, Box::new(set(1 << 7)), ReservedBits(1 << 7)),
    ];
    for bad in [2, 3, 7] {
        let poke = move |old: u64| old & !0x38 | bad << 3;
        let bad = MemoryType(u8::try_from(bad).unwrap());
        cases.push((ALL, 0, Level::Pt, Box::new(poke), Type(bad)));
        cases.push((ALL, GIB, Level::Pdpt, Box::new(poke), Type(bad)));
    }
    for (msr, gpa, level, change, reason) in cases {
        let ept = sample(msr, EptControls::empty());
        poke(&ept, gpa, level, change);
        let explanation = ept.explain(Gpa::new(gpa), EptAccess(0));
        assert_eq!(explanation, Explanation::Misconfigured { level, reason });
    }
}

#[test]
fn paging_write_without_read_is_refused_where_the_control_is_on() {
    for (controls, wrong) in [(EptControls::PAGING_WRITE, true), (EptControls::empty(), false)] {
        let ept = sample(ALL, controls);
        poke(&ept, 0, Level::Pt, |old| old & !3 | 1 << 58);
        let found = matches!(ept.walk(Gpa::ZERO).end(), WalkEnd::Misconfigured(_));
        assert_eq!(found, wrong);
    }
}

#[test]
fn a_page_that_loses_read_loses_paging_write_with_it() {
    for (controls, kept) in [(EptControls::PAGING_WRITE, false), (EptControls::empty(), true)] {
        let mut ept = sample(ALL, controls);
        let attributes = EptAttributes::RAM.with_flags(EptFlags::PAGING_WRITE);
        assert!(ept.map(range(0, KIB4), Hpa::ZERO, attributes).is_ok());
        assert!(ept.protect(range(0, KIB4), EptPermissions::RX).is_ok());
        let entry = |ept: &Ept<Books>| ept.translate(Gpa::ZERO).unwrap().entry;
        assert!(entry(&ept).flags().contains(EptFlags::PAGING_WRITE));
        let debt = ept.protect(range(0, KIB4), EptPermissions::X).unwrap();
        assert!(!debt.is_empty());
        assert!(matches!(ept.walk(Gpa::ZERO).end(), WalkEnd::Page(_)));
        assert_eq!(entry(&ept).flags().contains(EptFlags::PAGING_WRITE), kept);
    }
}

/// Any 64 bits at any level: the walk ends as the reference says.
fn walks_agree(msr: u64, user: bool, level: Level, gpa: u64, bits: u64) {
    let controls = if user { EptControls::MODE_BASED_EXECUTE } else { EptControls::empty() };
    let ept = sample(msr, controls);
    poke(&ept, gpa, level, |_| bits);
    let reference = Reference {
        eptp: ept.pointer().bits(),
        maxphyaddr: 40,
        execute_only: msr & 1 != 0,
        huge: msr & 1 << 17 != 0,
        user,
    };
    // A table that nobody allocated holds nothing, here and for the crate.
    let read = |address: u64| ept.memory().read(address);
    let end = ept.walk(Gpa::new(gpa)).end();
    match reference.walk(read, gpa) {
        Found::Hole => assert!(matches!(end, WalkEnd::NotPresent | WalkEnd::LostTable(_))),
        Found::Page { hpa, .. } => assert_eq!(end, WalkEnd::Page(Hpa::new(hpa))),
        Found::Refused { level, entry } => {
            let last = ept.walk(Gpa::new(gpa)).last().unwrap();
            assert_eq!((last.level as u32, last.entry), (level, EptEntry::from_bits(entry)));
            assert!(matches!(end, WalkEnd::Misconfigured(_)), "{end:?} for {entry:#x}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_entry_is_judged_as_the_reference_does(
        old_cpu in any::<bool>(),
        user in any::<bool>(),
        which in 0_usize..9,
        noise in any::<u64>(),
        mask in any::<u64>(),
        more in any::<u64>(),
        keep in any::<bool>(),
    ) {
        let (level, gpa) = [
            (Level::Pml4, 0), (Level::Pdpt, 0), (Level::Pd, 0), (Level::Pt, 0),
            (Level::Pml4, MIB2), (Level::Pdpt, MIB2), (Level::Pd, MIB2),
            (Level::Pml4, GIB), (Level::Pdpt, GIB),
        ][which];
        // Bits that are few, on the entry that was there or on none.
        let few = noise & mask & more;
        let bits = if keep {
            let ept = sample(ALL, EptControls::empty());
            let steps = ept.walk(Gpa::new(gpa));
            let old = steps.steps().find(|step| step.level == level).unwrap();
            old.entry.bits() ^ few
        } else {
            few | noise & 0xFFF
        };
        let msr = if old_cpu { ARRANDALE } else { ALL };
        if !(old_cpu && gpa == GIB) {
            walks_agree(msr, user, level, gpa, bits);
        }
    }

    /// What the rules build is never misconfigured, and what they refuse would be.
    #[test]
    fn what_can_be_built_is_never_misconfigured(
        permissions in 0_u64..16,
        memory_type in 0_u8..8,
        flags in any::<u64>(),
        address in any::<u64>(),
        shift in 0_u32..64,
        old_cpu in any::<bool>(),
        control in any::<u8>(),
    ) {
        let msr = if old_cpu { ARRANDALE } else { ALL };
        let controls = EptControls::from_bits_truncate(if old_cpu { 2 } else { control });
        let options = EptOptions { controls, ..EptOptions::default() };
        let rules = ept::EptRules::new(EptCaps::new(msr, 40), options).unwrap();
        let permissions = permissions & 7 | (permissions >> 3) << 10;
        let attributes = EptAttributes {
            permissions: EptPermissions::from_bits_truncate(permissions),
            memory_type: MemoryType(memory_type),
            flags: EptFlags::from_bits_truncate(flags),
        };
        let hpa = Hpa::new(address >> shift << 12 & ((1 << 41) - 1));
        for level in [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4] {
            let sub_page = attributes.flags.contains(EptFlags::SUB_PAGE_WRITE);
            let size = level.page_size();
            let exists = size.is_some_and(|size| {
                rules.caps().page_size(size) && !(sub_page && size != PageSize::Size4K)
            });
            let large = if level == Level::Pt { 0 } else { 0x80 };
            let raw = EptEntry::from_bits(
                hpa.as_u64() | permissions | u64::from(memory_type) << 3
                    | attributes.flags.bits() | large,
            );
            let right = exists && rules.is_present(raw)
                && rules.misconfiguration(raw, level).is_none();
            prop_assert_eq!(rules.leaf(level, hpa, attributes).ok(), right.then_some(raw));
        }
    }
}
