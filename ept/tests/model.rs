//! Random sequences of edits, against a model of every page and a walker of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use ept::{
    DirtyBitmap, Ept, EptAttributes, EptCaps, EptControls, EptEntry, EptFlags, EptOptions,
    EptPermissions, Error, InvalidationDebt, Mapping, TableMemory, Use, WalkEnd,
};
use guest_state::{Gpa, GpaRange, Hpa, MemoryType, Mtrrs, PageSize, VariableMtrr};
use proptest::prelude::*;
use support::{ALL, ARRANDALE, Books, Flat, Found, GIB, KIB4, MIB2, Reference, TIGERLAKE, range};

const KINDS: [EptAttributes; 6] = [
    EptAttributes::RAM,
    EptAttributes::ROM,
    EptAttributes::DEVICE,
    EptAttributes::new(EptPermissions::READ, MemoryType::WRITE_THROUGH),
    EptAttributes::RAM.with_flags(EptFlags::IGNORE_PAT.union(EptFlags::SUPPRESS_VE)),
    EptAttributes::RAM.with_flags(EptFlags::SUB_PAGE_WRITE),
];
const PERMISSIONS: [EptPermissions; 4] =
    [EptPermissions::RWX, EptPermissions::RW, EptPermissions::RX, EptPermissions::READ];
const TYPES: [MemoryType; 3] =
    [MemoryType::WRITE_BACK, MemoryType::UNCACHEABLE, MemoryType::WRITE_COMBINING];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Map {
        host: u64,
        kind: usize,
    },
    Unmap,
    Protect(usize),
    MemoryType(usize),
    /// Types by a guest's MTRRs that give every other run of so many pages another type.
    Mtrrs(u32),
    /// A limit to the page size, and pages resized to it.
    Resize(PageSize),
    /// Write logging begun or ended.
    Log(bool),
    /// Accessed and dirty flags harvested.
    Harvest,
    /// The same into a log of so many words, from so many pages before or after the range.
    HarvestInto {
        words: usize,
        shift: u64,
    },
    /// Hardware sets flags on whatever is mapped at the start of the range.
    Touch {
        write: bool,
    },
    Settle,
    Drop,
}

fn operation() -> impl Strategy<Value = (Operation, u64, u64)> {
    let operation = prop_oneof![
        6 => (0_u64..4, 0..KINDS.len()).prop_map(|(host, kind)| Operation::Map { host, kind }),
        3 => Just(Operation::Unmap),
        4 => (0..PERMISSIONS.len()).prop_map(Operation::Protect),
        2 => (0..TYPES.len()).prop_map(Operation::MemoryType),
        1 => (0_u32..10).prop_map(Operation::Mtrrs),
        1 => (0_usize..3).prop_map(|size| Operation::Resize(PageSize::ALL[size])),
        1 => any::<bool>().prop_map(Operation::Log),
        1 => Just(Operation::Harvest),
        1 => (0_usize..20, 0_u64..200)
            .prop_map(|(words, shift)| Operation::HarvestInto { words, shift }),
        2 => any::<bool>().prop_map(|write| Operation::Touch { write }),
        2 => Just(Operation::Settle),
        1 => Just(Operation::Drop),
    ];
    // Around a border of the top two levels, by 4 KiB pages that often make whole 2 MiB pages.
    let start = prop_oneof![0_u64..1536, (0_u64..3).prop_map(|n| n * 512)];
    let pages = prop_oneof![0_u64..6, Just(1), Just(512), Just(1024), 0_u64..700];
    (operation, start, pages)
}

/// The start of the window of 1536 pages that operations work on.
const WINDOW: u64 = 512 * GIB - MIB2;
const WINDOW_PAGES: u64 = 1536;

struct Run {
    ept: Ept<Books>,
    flat: Flat,
    /// Which pages hardware has touched: the flags must be there, and elsewhere may be.
    touched: BTreeMap<u64, u64>,
    /// Pages that are write-protected for the log.
    logged: BTreeSet<u64>,
    debts: Vec<InvalidationDebt>,
    reference: Reference,
    operations: u32,
}

impl Run {
    fn new(msr: u64, options: EptOptions, frames: usize) -> Self {
        let caps = EptCaps::new(msr, 40);
        let ept = Ept::with_options(Books::new(frames), caps, options).unwrap();
        let reference = Reference {
            eptp: ept.pointer().bits(),
            maxphyaddr: 40,
            execute_only: caps.execute_only(),
            huge: caps.page_size(PageSize::Size1G),
            user: false,
        };
        Self {
            logged: BTreeSet::new(),
            ept,
            flat: Flat::default(),
            touched: BTreeMap::new(),
            debts: vec![],
            reference,
            operations: 0,
        }
    }

    fn apply(&mut self, operation: Operation, start: u64, pages: u64) {
        let pages = pages.min(WINDOW_PAGES - start);
        let start = WINDOW + start * KIB4;
        let span = range(start, pages * KIB4);
        if let Operation::HarvestInto { .. } = operation {
            for page in (start..start + pages * KIB4).step_by(37 * 0x1000) {
                self.touch(page, 0x300);
            }
        }
        let before = self.leaves();
        let in_use = self.ept.memory().in_use();
        let result = match operation {
            Operation::Map { host, kind } => {
                // Hosts 0 and 1 are aligned like the guest, 2 and 3 off by a few pages.
                let base = host * GIB + MIB2 + (host / 2) * 3 * KIB4;
                let hpa = base + (start - WINDOW);
                let result = self.ept.map(span, Hpa::new(hpa), KINDS[kind]);
                if result.is_ok() {
                    for page in (start..start + pages * KIB4).step_by(0x1000) {
                        let target = hpa + (page - start);
                        self.logged.remove(&page);
                        if self.flat.0.get(&page).is_none_or(|&(old, _)| old != target) {
                            self.touched.remove(&page);
                        }
                    }
                    self.flat.map(start, pages, hpa, KINDS[kind]);
                }
                result
            }
            Operation::Unmap => {
                let result = self.ept.unmap(span);
                if result.is_ok() {
                    self.flat.unmap(start, pages);
                    self.touched.retain(|&page, _| !span.contains(Gpa::new(page)));
                    self.logged.retain(|&page| !span.contains(Gpa::new(page)));
                }
                result
            }
            Operation::Protect(permissions) => {
                let permissions = PERMISSIONS[permissions];
                let result = self.ept.protect(span, permissions);
                if result.is_ok() {
                    self.flat.change(start, pages, |page| page.permissions = permissions);
                    self.logged.retain(|&page| !span.contains(Gpa::new(page)));
                }
                result
            }
            Operation::MemoryType(memory_type) => {
                let memory_type = TYPES[memory_type];
                let result = self.ept.set_memory_type(span, memory_type);
                if result.is_ok() {
                    self.flat.change(start, pages, |page| page.memory_type = memory_type);
                }
                result
            }
            Operation::Mtrrs(order) => {
                let mut mtrrs = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
                mtrrs.variable[0] = VariableMtrr { base: 0, mask: (KIB4 << order) | 0x800 };
                let result = self.ept.follow_mtrrs(span, &mtrrs);
                if result.is_ok() {
                    for (page, (_, attributes)) in
                        self.flat.0.range_mut(start..start + pages * KIB4)
                    {
                        attributes.memory_type = mtrrs.type_at(Gpa::new(*page)).0;
                    }
                }
                result
            }
            Operation::Resize(size) => {
                self.ept.set_largest_page(size);
                self.ept.resize(span)
            }
            Operation::Log(on) => {
                let result =
                    if on { self.ept.log_writes(span) } else { self.ept.stop_logging(span) };
                if result.is_ok() {
                    for page in (start..start + pages * KIB4).step_by(0x1000) {
                        let Some((_, attributes)) = self.flat.0.get_mut(&page) else { continue };
                        let write = EptPermissions::WRITE;
                        if on && attributes.permissions.contains(write) {
                            attributes.permissions -= write;
                            self.logged.insert(page);
                        } else if !on && self.logged.remove(&page) {
                            attributes.permissions |= write;
                        }
                    }
                }
                result
            }
            Operation::Harvest => {
                if !self.ept.rules().options().controls.contains(EptControls::ACCESSED_DIRTY) {
                    return;
                }
                let mut harvested = BTreeMap::new();
                let result = self.ept.harvest(span, Use::all(), |page| {
                    harvested.insert(page.gpa.as_u64(), page);
                });
                // Exactly the pages that had flags are found; those that were touched had them.
                let last = start + (pages * KIB4).max(1) - 1;
                let inside = |page: &&Mapping| {
                    let gpa = page.gpa.as_u64();
                    gpa <= last && gpa + page.page_size.bytes() > start && pages > 0
                };
                let flagged = |page: &&Mapping| page.entry.is_accessed() || page.entry.is_dirty();
                let expected = before.values().filter(inside).filter(flagged);
                assert!(expected.eq(harvested.values()));
                for page in harvested.values() {
                    let gpa = page.gpa.as_u64();
                    for (_, flags) in self.touched.range(gpa..gpa + page.page_size.bytes()) {
                        assert_eq!(page.entry.bits() & flags, *flags);
                    }
                    self.touched.retain(|&at, _| at < gpa || at >= gpa + page.page_size.bytes());
                }
                result
            }
            Operation::HarvestInto { words, shift } => {
                if !self.ept.rules().options().controls.contains(EptControls::ACCESSED_DIRTY) {
                    return;
                }
                self.harvest_into(span, words, shift)
            }
            Operation::Touch { write } => {
                self.touch(start, if write { 0x300 } else { 0x100 });
                return;
            }
            Operation::Settle => {
                if let Some(debt) = self.debts.pop() {
                    self.ept.settle(debt, |_| Ok::<(), ()>(())).unwrap();
                }
                return;
            }
            Operation::Drop => {
                self.debts.pop();
                return;
            }
        };
        match result {
            Ok(debt) => {
                // Only what was present and is another now, or is of another size, may be owed.
                let after = self.leaves();
                let same = |old: &&Mapping| {
                    after.get(&old.gpa.as_u64()).is_some_and(|new| {
                        new.page_size == old.page_size && !old.entry.change_needs_invept(new.entry)
                    })
                };
                assert_eq!(
                    debt.is_empty(),
                    before.values().all(|old| same(&old)),
                    "{operation:?} {span}"
                );
                self.debts.push(debt);
            }
            Err(Error::OutOfFrames { .. }) => {
                assert_eq!(self.leaves(), before);
                assert_eq!(self.ept.memory().in_use(), in_use);
            }
            Err(error) => panic!("{error}"),
        }
        self.operations += 1;
        if self.operations.is_multiple_of(16) {
            self.check();
        }
    }

    /// Harvests `span` into a log, and checks each page of it and each leaf that is left.
    fn harvest_into(
        &mut self,
        span: GpaRange,
        words: usize,
        shift: u64,
    ) -> Result<InvalidationDebt, Error> {
        let before = self.leaves();
        let base = span.start().as_u64() + shift * KIB4 - 100 * KIB4;
        let log_end = base + words as u64 * 64 * KIB4;
        let mut words = vec![0; words];
        let mut log = DirtyBitmap::new(Gpa::new(base), &mut words);
        let debt = self.ept.harvest_into(span, Use::all(), &mut log)?;
        let found: BTreeSet<u64> = log
            .ranges()
            .flat_map(|range| {
                (range.start().as_u64()..=range.last().unwrap().as_u64()).step_by(0x1000)
            })
            .collect();
        let (mut expected, mut left) = (BTreeSet::new(), before);
        for (gpa, page) in &mut left {
            let end = gpa + page.page_size.bytes();
            let logged = (*gpa..end).step_by(0x1000).filter(|at| (base..log_end).contains(at));
            let asked = logged.clone().any(|at| span.contains(Gpa::new(at)));
            if asked && page.entry.bits() & 0x300 != 0 {
                expected.extend(logged);
                if base <= *gpa && end <= log_end {
                    page.entry = EptEntry::from_bits(page.entry.bits() & !0x300);
                    self.touched.retain(|at, _| !(*gpa..end).contains(at));
                }
            }
        }
        assert_eq!(found, expected);
        assert_eq!(self.leaves(), left);
        Ok(debt)
    }

    fn leaves(&self) -> BTreeMap<u64, Mapping> {
        let all = range(0, 1 << 48);
        self.ept.leaves(all).unwrap().map(|page| (page.gpa.as_u64(), page)).collect()
    }

    /// Sets flags as hardware does: none, if the tables are used without them.
    fn touch(&mut self, gpa: u64, flags: u64) {
        if !self.ept.rules().options().controls.contains(EptControls::ACCESSED_DIRTY) {
            return;
        }
        let walk = self.ept.walk(Gpa::new(gpa));
        if let (WalkEnd::Page(_), Some(step)) = (walk.end(), walk.last()) {
            let table = self.ept.memory().table(step.table).unwrap();
            table.0[step.index].fetch_or(flags, Ordering::Relaxed);
            *self.touched.entry(gpa).or_default() |= flags;
        }
    }

    /// Compares every page by `translate`, by `walk` and by the reference with the model.
    fn check(&self) {
        let read = |address: u64| self.ept.memory().read(address);
        let pages = (WINDOW - 8 * KIB4..WINDOW + (WINDOW_PAGES + 8) * KIB4).step_by(0x1000);
        // All but one, so that the last group is not full, and past the guest-physical width.
        let many = pages.clone().skip(1).chain([1 << 48, u64::MAX]).map(Gpa::new);
        let mut one_by_one = many.clone().map(|gpa| (gpa, self.ept.translate(gpa)));
        self.ept.translate_each(many, |gpa, found| {
            assert_eq!(Some((gpa, found)), one_by_one.next());
        });
        assert_eq!(one_by_one.next(), None);
        self.check_marks();
        for page in pages {
            let gpa = page + 0x123;
            let expected = self.flat.0.get(&page);
            let translation = self.ept.translate(Gpa::new(gpa));
            let walk = self.ept.walk(Gpa::new(gpa));
            assert_eq!(
                translation.map(|found| (found.hpa, found.entry.attributes())),
                expected.map(|&(hpa, attributes)| (Hpa::new(hpa + 0x123), attributes))
            );
            match (self.reference.walk(read, gpa), translation) {
                (Found::Hole, None) => assert_eq!(walk.end(), WalkEnd::NotPresent),
                (Found::Page { hpa, leaf, page_bytes }, Some(found)) => {
                    assert_eq!((hpa, leaf), (found.hpa.as_u64(), found.entry.bits()));
                    assert_eq!(page_bytes, found.page_size.bytes());
                    // The leaf is, bit for bit, what the model's attributes say.
                    let (page_hpa, attributes) = expected.unwrap();
                    let base = page_hpa & !(page_bytes - 1);
                    let size = if page_bytes == KIB4 { 0 } else { 0x80 };
                    let kind = u64::from(attributes.memory_type.0) << 3;
                    let bits = attributes.permissions.bits() | kind | attributes.flags.bits();
                    let logged = u64::from(self.logged.contains(&page)) << 52;
                    assert_eq!(leaf & !0x300, base | size | bits | logged);
                    assert_eq!(walk.end(), WalkEnd::Page(found.hpa));
                    assert_eq!(walk.permissions(), found.entry.permissions());
                    let flags = self.touched.get(&page).copied().unwrap_or_default();
                    assert_eq!(leaf & flags, flags, "flags of {page:#x} were lost");
                }
                (reference, found) => panic!("{gpa:#x}: {reference:?} against {found:?}"),
            }
        }
    }

    /// Checks that the entries of each table that is marked as uniform go on from the first.
    fn check_marks(&self) {
        for base in (WINDOW..WINDOW + WINDOW_PAGES * KIB4).step_by(512 * 0x1000) {
            for step in self.ept.walk(Gpa::new(base)).steps() {
                let below = step.level.below().filter(|_| step.entry.is_table(step.level));
                let Some(below) = below.filter(|_| step.entry.bits() & 1 << 11 != 0) else {
                    continue;
                };
                let table = self.ept.memory().table(step.entry.address()).unwrap();
                let bits = |index: usize| table.0[index].load(Ordering::Relaxed);
                assert!(EptEntry::from_bits(bits(0)).is_leaf(below));
                for index in 0..512 {
                    assert_eq!(bits(index), bits(0) + index as u64 * below.span_bytes());
                }
            }
        }
    }

    /// Settles everything, and counts the frames that the tables that are left need.
    fn finish(mut self) {
        self.check();
        let debt = self.ept.unmap(range(0, 1 << 48)).unwrap();
        let sum = self.debts.drain(..).fold(debt, |sum, debt| sum + debt);
        self.ept.settle(sum, |_| Ok::<(), ()>(())).unwrap();
        // Debts that were dropped may have been younger.
        let rest = self.ept.outstanding();
        self.ept.settle(rest, |_| Ok::<(), ()>(())).unwrap();
        assert!(self.ept.outstanding().is_empty());
        assert_eq!(self.ept.memory().in_use(), 1, "the root alone is left");
    }
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(3))]

    #[test]
    fn every_page_translates_as_the_model_says(
        operations in prop::collection::vec(operation(), 1..2500),
        machine in 0_usize..4,
        flags in any::<bool>(),
        frames in prop_oneof![Just(1000_usize), 6_usize..14],
    ) {
        let (msr, size) = [
            (ALL, PageSize::Size1G),
            (TIGERLAKE, PageSize::Size2M),
            (ARRANDALE, PageSize::Size1G),
            (ALL, PageSize::Size4K),
        ][machine];
        let flags = flags && msr != ARRANDALE;
        let controls =
            if flags { EptControls::ACCESSED_DIRTY } else { EptControls::empty() };
        let options = EptOptions { controls, largest_page: size, ..EptOptions::default() };
        let mut run = Run::new(msr, options, frames);
        for (operation, start, pages) in operations {
            run.apply(operation, start, pages);
        }
        run.finish();
    }
}
