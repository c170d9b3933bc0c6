//! The loops over entries of one table that are no tables: all bulk work is done here.
//!
//! An entry that points to a table ends a loop. A plain store replaces only what hardware can't
//! change meanwhile, or what is of no interest; the rest is exchanged.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{EptEntry, Level};

const PERMISSIONS: u64 = EptEntry::PERMISSIONS;
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
            let keep_flags =
                change(core::slice::from_ref(slot), level, !FLAGS, new.bits(), flags_change);
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

/// Puts `bits` in the place of `mask` in leaves of a table of `level`, and keeps the flags that
/// hardware sets, which it may do meanwhile if `flags_change`.
pub(crate) fn change(
    slots: &[AtomicU64],
    level: Level,
    mask: u64,
    bits: u64,
    flags_change: bool,
) -> Done {
    if flags_change {
        change_leaves::<true>(slots, level, mask, bits)
    } else {
        change_leaves::<false>(slots, level, mask, bits)
    }
}

#[inline]
fn change_leaves<const FLAGS_CHANGE: bool>(
    slots: &[AtomicU64],
    level: Level,
    mask: u64,
    bits: u64,
) -> Done {
    let leaf = level.large_bit();
    // The bits that some entry had, and those that all had.
    let (mut some, mut all) = (0, u64::MAX);
    let stopped = slots.iter().position(|slot| {
        let old = slot.load(Ordering::Acquire);
        if old & PERMISSIONS == 0 {
            return false;
        }
        if old & leaf != leaf {
            return true;
        }
        some |= old;
        all &= old;
        // With both flags set hardware has nothing left to set, and nobody else writes here.
        if !FLAGS_CHANGE || old & FLAGS == FLAGS {
            slot.store(old & !mask | bits, Ordering::Release);
        } else {
            exchange(slot, old, mask, bits);
        }
        false
    });
    // INVEPT is due for a permission taken away, and for any other bit that changed.
    let cleared = some & mask & !bits;
    let set = !all & mask & bits & !PERMISSIONS;
    Done::new(slots, stopped, some != 0 && (cleared | set) != 0)
}

/// Changes an entry in which hardware may set flags meanwhile.
fn exchange(slot: &AtomicU64, mut old: u64, mask: u64, bits: u64) {
    while old & mask != bits {
        let new = old & !mask | bits;
        match slot.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(seen) => old = seen,
        }
    }
}

pub(crate) fn load(slot: &AtomicU64) -> EptEntry {
    EptEntry::from_bits(slot.load(Ordering::Acquire))
}
