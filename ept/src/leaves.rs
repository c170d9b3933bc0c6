//! The loops over entries of one table that are no tables: all bulk work is done here.
//!
//! An entry that points to a table ends a loop. A plain store replaces only what hardware can't
//! change meanwhile, or what is of no interest; the rest is exchanged.

use core::array::from_fn;
use core::sync::atomic::Ordering;

use crate::atomic::AtomicU64;
use crate::{EptEntry, Level};

const FLAGS: u64 = EptEntry::SET_BY_HARDWARE;

/// How far a loop came, and what it leaves to be done.
pub(crate) struct Done {
    /// How many entries it did.
    pub(crate) count: usize,
    /// Whether INVEPT is due.
    pub(crate) invept_due: bool,
}

impl Done {
    fn new(slots: &[AtomicU64], stopped: Option<usize>, invept_due: bool) -> Self {
        Self { count: stopped.unwrap_or(slots.len()), invept_due }
    }
}

/// Writes leaves, each `step` above the one before, over entries in which hardware changes nothing.
pub(crate) fn fill(slots: &[AtomicU64], first: EptEntry, step: u64) {
    let store = |slot: &AtomicU64, entry: &mut u64, step| {
        slot.store(*entry, Ordering::Relaxed);
        *entry = entry.wrapping_add(step);
    };
    // Four entries that do not wait for one another, so that more than one is written in a cycle.
    let mut next: [u64; 4] = from_fn(|at| first.bits().wrapping_add(at as u64 * step));
    let (fours, rest) = slots.as_chunks::<4>();
    for four in fours {
        four.iter().zip(&mut next).for_each(|(slot, entry)| store(slot, entry, 4 * step));
    }
    rest.iter().zip(&mut next).for_each(|(slot, entry)| store(slot, entry, 0));
}

/// Writes leaves over leaves and holes of a table of `level`.
pub(crate) fn map(slots: &[AtomicU64], level: Level, first: EptEntry, flags_change: bool) -> Done {
    let mut next = first.bits();
    let mut due = false;
    let stopped = slots.iter().position(|slot| {
        let (old, new) = (load(slot), EptEntry::from_bits(next));
        if old.is_table(level) {
            return true;
        }
        next += level.span_bytes();
        if old.is_leaf(level) && old.address() == new.address() {
            let slot = core::slice::from_ref(slot);
            let becomes = |old| old & FLAGS | new.bits();
            let keep_flags = change(slot, level, becomes, flags_change);
            due |= keep_flags.invept_due;
        } else {
            slot.store(new.bits(), Ordering::Release);
            due |= old.is_present();
        }
        false
    });
    Done::new(slots, stopped, due)
}

/// Makes leaves of a table of `level` holes.
pub(crate) fn unmap(slots: &[AtomicU64], level: Level) -> Done {
    let mut due = false;
    let stopped = slots.iter().position(|slot| {
        let old = load(slot);
        if old.is_leaf(level) {
            slot.store(EptEntry::EMPTY.bits(), Ordering::Release);
            due = true;
        }
        old.is_table(level)
    });
    Done::new(slots, stopped, due)
}

/// Changes leaves of a table of `level` and keeps the flags that hardware sets, which it may do
/// meanwhile if `flags_change`. `becomes` must depend on attributes alone and change nothing else.
pub(crate) fn change(
    slots: &[AtomicU64],
    level: Level,
    becomes: impl Fn(u64) -> u64,
    flags_change: bool,
) -> Done {
    // With these hardware has nothing left to set: then nobody else writes an entry.
    let settled = if flags_change { FLAGS } else { 0 };
    let mut due = false;
    let mut index = 0;
    while let Some(slot) = slots.get(index) {
        let old = load(slot);
        if old.is_table(level) {
            break;
        }
        if !old.is_present() {
            index += 1;
            continue;
        }
        let new = EptEntry::from_bits(becomes(old.bits()));
        due |= old.change_needs_invept(new);
        if old.bits() & settled != settled {
            exchange(slot, old.bits(), &becomes);
            index += 1;
            continue;
        }
        slot.store(new.bits(), Ordering::Release);
        index += 1;
        // Most often the entries behind go on where this one ends, and change as it does.
        let (step, delta) = (level.span_bytes(), new.bits().wrapping_sub(old.bits()));
        index += shift_run(&slots[index..], old.bits() + step, step, delta);
    }
    Done { count: index, invept_due: due }
}

/// Adds `delta` to entries that are `first`, `first + step` and so on, as far as that goes; returns
/// to how many.
#[inline(never)] // within a larger function it runs out of registers
fn shift_run(slots: &[AtomicU64], first: u64, step: u64, delta: u64) -> usize {
    let change =
        |slot: &AtomicU64, old: u64| slot.store(old.wrapping_add(delta), Ordering::Release);
    let mut expected: [u64; 8] = from_fn(|at| first.wrapping_add(at as u64 * step));
    let eights = slots.as_chunks::<8>().0;
    let run = eights.iter().position(|eight| {
        if !eight.iter().zip(expected).all(|(slot, old)| slot.load(Ordering::Acquire) == old) {
            return true;
        }
        for (slot, old) in eight.iter().zip(&mut expected) {
            change(slot, *old);
            *old = old.wrapping_add(8 * step);
        }
        false
    });
    let mut done = 8 * run.unwrap_or(eights.len());
    let mut next = first.wrapping_add(done as u64 * step);
    while let Some(slot) = slots.get(done).filter(|slot| slot.load(Ordering::Acquire) == next) {
        change(slot, next);
        next = next.wrapping_add(step);
        done += 1;
    }
    done
}

/// Returns the first entry of a table above the PT that points to a table.
pub(crate) fn find_table(slots: &[AtomicU64]) -> Option<usize> {
    // Eight large pages at a time have bit 7 in common.
    let large = |eight: &[AtomicU64; 8]| {
        eight.iter().fold(EptEntry::LARGE, |all, slot| all & slot.load(Ordering::Acquire)) != 0
    };
    let skipped = 8 * slots.as_chunks().0.iter().take_while(|eight| large(eight)).count();
    let rest = slots.get(skipped..)?;
    Some(skipped + rest.iter().position(|slot| load(slot).next_table().is_some())?)
}

/// Changes an entry in which hardware may set flags meanwhile.
fn exchange(slot: &AtomicU64, mut old: u64, becomes: impl Fn(u64) -> u64) {
    loop {
        let new = becomes(old);
        if new == old {
            return;
        }
        match slot.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(seen) => old = seen,
        }
    }
}

pub(crate) fn load(slot: &AtomicU64) -> EptEntry {
    EptEntry::from_bits(slot.load(Ordering::Acquire))
}
