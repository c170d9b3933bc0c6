//! The loops over entries of one table that are no tables: all bulk work is done here.
//!
//! An entry that points to a table ends a loop. A plain store replaces only what hardware can't
//! change meanwhile, or what is of no interest; the rest is exchanged.

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

/// Writes leaves to a table that is not linked, each `step` above the one before.
pub(crate) fn fill(slots: &[AtomicU64], first: EptEntry, step: u64) {
    let mut next = first.bits();
    for slot in slots {
        slot.store(next, Ordering::Relaxed);
        next += step;
    }
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
        index += 1;
        if !old.is_present() {
            continue;
        }
        let new = EptEntry::from_bits(becomes(old.bits()));
        due |= old.change_needs_invept(new);
        if old.bits() & settled != settled {
            exchange(slot, old.bits(), &becomes);
            continue;
        }
        slot.store(new.bits(), Ordering::Release);
        // Most often the entries behind go on where this one ends, and change as it does: eight at a
        // time, while that is so.
        let step = level.span_bytes();
        let (mut old, mut new) = (old.bits() + step, new.bits() + step);
        for eight in slots[index..].as_chunks::<8>().0 {
            let on = |slot: &AtomicU64, at: u64| slot.load(Ordering::Acquire) == old + at * step;
            if !eight.iter().zip(0..).all(|(slot, at)| on(slot, at)) {
                break;
            }
            for (slot, at) in eight.iter().zip(0..) {
                slot.store(new + at * step, Ordering::Release);
            }
            (old, new) = (old + 8 * step, new + 8 * step);
            index += 8;
        }
    }
    Done { count: index, invept_due: due }
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
