//! A test of edits beside running CPUs, with every interleaving within reach.
//!
//! Simulated CPUs walk the tables, set flags and remember paths as hardware does, in steps of one
//! memory access each. In this test build they run some steps before each atomic operation of the
//! crate, so an edit may be overtaken between any two of its accesses. The order of accesses is that
//! of the program, as x86 keeps it for stores and for loads.

extern crate std;

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use guest_state::{Gpa, GpaRange, Hpa, MemoryType, PageSize};

use crate::{
    DirtyBitmap, Ept, EptAttributes, EptCaps, EptControls, EptOptions, EptPermissions, Error,
    FramePool, InvalidationDebt, Table, TableMemory, Use,
};

const ROUNDS: usize = 2000;
const KIB4: u64 = 1 << 12;
const MIB2: u64 = 1 << 21;
const BASE: u64 = 0x77_0000;
/// Two regions that are always mapped to themselves plus `NEAR`: no dirty flag may be lost.
const LOGGED: u64 = 0x4000_0000;
/// Two regions that are mapped to themselves plus `NEAR` or plus `FAR`, or not at all.
const CHURNED: u64 = LOGGED + 2 * MIB2;
const END: u64 = CHURNED + 2 * MIB2;
const NEAR: u64 = MIB2;
const FAR: u64 = 0x10_0000_0000;

std::thread_local! {
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
}

/// Runs some steps of some CPUs before an operation on `slot`, if this thread has a machine whose
/// CPUs are not running already.
pub(crate) fn let_cpus_run(slot: &AtomicU64) {
    MACHINE.with(|machine| {
        if let Ok(mut machine) = machine.try_borrow_mut()
            && let Some(machine) = machine.as_mut()
        {
            machine.run(slot);
        }
    });
}

fn with_machine<T>(f: impl FnOnce(&mut Machine) -> T) -> T {
    MACHINE.with(|machine| f(machine.borrow_mut().as_mut().unwrap()))
}

/// The CPUs and what they share.
struct Machine {
    tables: &'static [Table],
    cpus: [Cpu; 3],
    /// Pages of `LOGGED` that were written.
    written: BTreeSet<u64>,
    /// How idle the guest is: they run before one in so many operations.
    idle: u64,
    /// How seldom it writes: one in so many accesses.
    reads: u64,
    /// How seldom they strike between two operations on one entry.
    strikes: u64,
    /// The entry of the last operation.
    last: usize,
    random: u64,
}

#[derive(Default)]
struct Cpu {
    /// Page tables by 2 MiB region, remembered until INVEPT or a violation.
    paths: BTreeMap<u64, u64>,
    access: Option<Access>,
}

/// An access whose walk has come to an entry.
#[derive(Clone, Copy)]
struct Access {
    gpa: u64,
    write: bool,
    level: u64,
    table: u64,
    /// The entry, once it was read.
    entry: Option<u64>,
}

fn next_random(random: &mut u64, below: u64) -> u64 {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*random >> 33) % below
}

impl Machine {
    fn run(&mut self, slot: &AtomicU64) {
        let again = core::mem::replace(&mut self.last, core::ptr::from_ref(slot).addr());
        if again == self.last && next_random(&mut self.random, self.strikes) == 0 {
            self.strike(slot);
        }
        // Mostly none; now and then one, or enough for whole accesses.
        if next_random(&mut self.random, self.idle) == 0 {
            let steps = next_random(&mut self.random, 4) * next_random(&mut self.random, 4) * 16;
            for _ in 0..=steps {
                self.step();
            }
        }
    }

    /// Writes to the page of this very entry, between two operations on it: what a CPU would do that
    /// had walked so far.
    fn strike(&mut self, slot: &AtomicU64) {
        let entry = slot.load(SeqCst);
        let gpa = (entry & 0x000F_FFFF_FFFF_F000).wrapping_sub(NEAR);
        if entry & 3 == 3 && (LOGGED..CHURNED).contains(&gpa) {
            slot.store(entry | 0x300, SeqCst);
            self.written.insert(gpa);
        }
    }

    fn step(&mut self) {
        let random = |random: &mut u64, below| next_random(random, below);
        let number = usize::try_from(random(&mut self.random, 3)).unwrap();
        let cpu = &mut self.cpus[number];
        let Some(access) = &mut cpu.access else {
            // The first page of a table is the one whose entry links freed frames.
            let page = match random(&mut self.random, 4) {
                0 => random(&mut self.random, 4) * 512,
                _ => random(&mut self.random, (END - LOGGED) / KIB4),
            };
            let gpa = LOGGED + page * KIB4;
            let write = random(&mut self.random, self.reads) == 0;
            let path = cpu.paths.get(&(gpa / MIB2)).copied();
            let (level, table) = match path.filter(|_| random(&mut self.random, 4) != 0) {
                Some(table) => (1, table),
                None => (4, BASE),
            };
            cpu.access = Some(Access { gpa, write, level, table, entry: None });
            return;
        };
        let shift = 12 + 9 * (access.level - 1);
        let frame = usize::try_from((access.table - BASE) / KIB4).unwrap();
        let index = usize::try_from(access.gpa >> shift & 511).unwrap();
        let slot = &self.tables[frame].0[index].0;
        let Some(entry) = access.entry else {
            access.entry = Some(slot.load(SeqCst));
            return;
        };
        let Access { gpa, write, level, .. } = *access;
        cpu.access = None;
        if entry & 0x407 == 0 || (write && entry & 2 == 0) {
            // A violation forgets the path. Where all is mapped, a table that is no longer linked
            // may cause one, but the tables may not.
            cpu.paths.remove(&(gpa / MIB2));
            assert!(gpa >= CHURNED || self.is_mapped(gpa), "{gpa:#x} is not mapped");
            return;
        }
        let leaf = level == 1 || entry & 0x80 != 0;
        assert!(entry & 1 != 0, "write or execute without read: {entry:#x}");
        let right = if leaf { matches!(entry >> 3 & 7, 0 | 6) } else { entry & 0xF8 == 0 };
        assert!(right, "misconfigured: {entry:#x}");
        let flags = if leaf && write { 0x300 } else { 0x100 };
        let set = entry | flags;
        if slot.compare_exchange(entry, set, SeqCst, SeqCst).is_err() {
            // The entry has changed: walk again. An access whose flags are set already has no need
            // to look, but then it came before the change.
            let again = Access { gpa, write, level: 4, table: BASE, entry: None };
            cpu.access = Some(again);
            return;
        }
        let address = entry & 0x000F_FFFF_FFFF_F000;
        if !leaf {
            if level == 2 {
                cpu.paths.insert(gpa / MIB2, address);
            }
            let below = Access { gpa, write, level: level - 1, table: address, entry: None };
            cpu.access = Some(below);
            return;
        }
        let hpa = address + (gpa & ((1 << shift) - 1));
        let allowed = hpa == gpa + NEAR || (gpa >= CHURNED && hpa == gpa + FAR);
        assert!(allowed, "{gpa:#x} led to {hpa:#x}");
        if write && gpa < CHURNED {
            self.written.insert(gpa);
        }
    }

    /// Walks for `gpa` at one instant.
    fn is_mapped(&self, gpa: u64) -> bool {
        let mut table = BASE;
        (1..=4).rev().all(|level| {
            let frame = usize::try_from((table.max(BASE) - BASE) / KIB4).unwrap();
            let index = usize::try_from(gpa >> (12 + 9 * (level - 1)) & 511).unwrap();
            let Some(slot) = self.tables.get(frame).map(|table| &table.0[index].0) else {
                // Below a leaf.
                return true;
            };
            let entry = slot.load(SeqCst);
            table = if entry & 0x80 != 0 { u64::MAX } else { entry & 0x000F_FFFF_FFFF_F000 };
            entry & 0x407 != 0
        })
    }

    /// INVEPT on all CPUs, which interrupts walks, and comes after a while.
    fn invept(&mut self) {
        for _ in 0..next_random(&mut self.random, 400) {
            self.step();
        }
        self.cpus = Default::default();
    }
}

/// A pool that fills freed frames with what no walk may meet.
struct Poisoned(FramePool<'static>);

impl TableMemory for Poisoned {
    fn allocate(&mut self) -> Option<Hpa> {
        self.0.allocate()
    }

    fn free(&mut self, frame: Hpa) {
        if let Some(table) = self.0.table(frame) {
            table.0.iter().for_each(|entry| entry.0.store(0xBAD_0000_0002, SeqCst));
        }
        self.0.free(frame);
    }

    fn table(&self, frame: Hpa) -> Option<&Table> {
        self.0.table(frame)
    }
}

/// Returns a range within the two regions from `base` on, often of a whole one.
fn some_range(random: &mut u64, base: u64) -> GpaRange {
    let (start, size) = match next_random(random, 3) {
        0 => (base + next_random(random, 2) * MIB2, MIB2),
        1 => (base, 2 * MIB2),
        _ => (base + next_random(random, 1000) * KIB4, (1 + next_random(random, 24)) * KIB4),
    };
    GpaRange::new(Gpa::new(start), size).unwrap()
}

/// Makes a random edit; pages found dirty are added to `dirty`.
fn some_edit(
    ept: &mut Ept<Poisoned>,
    random: &mut u64,
    dirty: &mut BTreeSet<u64>,
) -> InvalidationDebt {
    let logged = some_range(random, LOGGED);
    let churned = some_range(random, CHURNED);
    let to = |offset| Hpa::new(churned.start().as_u64() + offset);
    let all = GpaRange::from_bounds(Gpa::new(LOGGED), Gpa::new(END)).unwrap();
    let result = match next_random(random, 12) {
        0 => ept.map(churned, to(NEAR), EptAttributes::RAM),
        1 => ept.map(churned, to(FAR), EptAttributes::RAM),
        2 => ept.unmap(churned),
        3 => ept.protect(churned, EptPermissions::RX),
        4 => ept.set_memory_type(churned, MemoryType::UNCACHEABLE),
        5 | 6 => ept.protect(logged, EptPermissions::RX),
        7 | 8 => ept.protect(logged, EptPermissions::RWX),
        9 if next_random(random, 2) == 0 => harvest_into(ept, logged, Use::DIRTY, dirty),
        9 => return harvest(ept, logged, dirty),
        10 if next_random(random, 2) == 0 => {
            if next_random(random, 2) == 0 {
                ept.harvest(logged, Use::ACCESSED, |_| {})
            } else {
                // A page that is found accessed is not found dirty by that.
                harvest_into(ept, logged, Use::ACCESSED, &mut BTreeSet::new())
            }
        }
        10 => {
            ept.set_largest_page(PageSize::Size4K);
            ept.resize(logged)
        }
        _ => {
            ept.set_largest_page(PageSize::Size2M);
            ept.resize(all)
        }
    };
    result.unwrap()
}

fn harvest(
    ept: &mut Ept<Poisoned>,
    range: GpaRange,
    dirty: &mut BTreeSet<u64>,
) -> InvalidationDebt {
    ept.harvest(range, Use::DIRTY, |page| {
        let start = page.gpa.as_u64();
        dirty.extend((start..start + page.page_size.bytes()).step_by(0x1000));
    })
    .unwrap()
}

/// The same into a bitmap, whose base is not that of a word of entries.
fn harvest_into(
    ept: &mut Ept<Poisoned>,
    range: GpaRange,
    flags: Use,
    dirty: &mut BTreeSet<u64>,
) -> Result<InvalidationDebt, Error> {
    let mut words = [0; 17];
    let mut log = DirtyBitmap::new(Gpa::new(LOGGED - 5 * KIB4), &mut words);
    let debt = ept.harvest_into(range, flags, &mut log)?;
    for range in log.ranges() {
        dirty.extend(
            (range.start().as_u64()..)
                .step_by(0x1000)
                .take_while(|&at| range.contains(Gpa::new(at))),
        );
    }
    Ok(debt)
}

#[test]
fn walks_meet_only_what_was_mapped_and_no_dirty_flag_is_lost() {
    let tables: Vec<Table> = (0..40).map(|_| Table::new()).collect();
    let tables: &'static [Table] = Box::leak(tables.into_boxed_slice());
    let caps = EptCaps::new(0x0633_4141, 40);
    let options = EptOptions { controls: EptControls::ACCESSED_DIRTY, ..EptOptions::default() };
    let pool = Poisoned(FramePool::new(Hpa::new(BASE), tables));
    let mut ept = Ept::with_options(pool, caps, options).unwrap();
    assert_eq!(ept.pointer().root(), Hpa::new(BASE));
    let all = GpaRange::from_bounds(Gpa::new(LOGGED), Gpa::new(END)).unwrap();
    let mut debt = ept.map(all, Hpa::new(LOGGED + NEAR), EptAttributes::RAM).unwrap();
    let machine = Machine {
        tables,
        cpus: Default::default(),
        written: BTreeSet::new(),
        idle: 1,
        reads: 2,
        strikes: 2,
        last: 0,
        random: 7,
    };
    MACHINE.set(Some(machine));
    let mut random = 1;
    let mut writes = 0;
    for round in 0..ROUNDS {
        with_machine(|machine| {
            machine.idle = [2, 20, 200, 1000, 5000][round % 5];
            machine.reads = [2, 100, 3000][round % 3];
            machine.strikes = [2, 50, 1000, 20_000][round % 4];
        });
        let mut dirty = BTreeSet::new();
        for _ in 0..5 {
            debt += some_edit(&mut ept, &mut random, &mut dirty);
            // Now and then several edits share one INVEPT.
            if next_random(&mut random, 3) != 0 {
                let invept = |_| {
                    with_machine(Machine::invept);
                    Ok::<(), ()>(())
                };
                ept.settle(core::mem::take(&mut debt), invept).unwrap();
            }
        }
        let logged = GpaRange::from_bounds(Gpa::new(LOGGED), Gpa::new(CHURNED)).unwrap();
        // What is written from here on may or may not be found.
        let written = with_machine(|machine| core::mem::take(&mut machine.written));
        debt += if round % 2 == 0 {
            harvest(&mut ept, logged, &mut dirty)
        } else {
            harvest_into(&mut ept, logged, Use::DIRTY, &mut dirty).unwrap()
        };
        let lost: Vec<_> = written.difference(&dirty).collect();
        assert!(lost.is_empty(), "written, but not found dirty: {lost:#x?}");
        with_machine(|machine| machine.written.retain(|page| !dirty.contains(page)));
        writes += written.len();
    }
    MACHINE.set(None);
    assert!(writes > 10_000, "the CPUs hardly ran: {writes} pages written");
}
