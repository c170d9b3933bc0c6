//! What the tests share: table memory that keeps books, a reference walker, and a flat model.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ept::{EptAttributes, EptCaps, Table, TableMemory};
use guest_state::{Gpa, GpaRange, Hpa};

/// Everything that a CPU can have, five levels included.
pub const ALL: u64 = 0x0000_0F01_06F3_41C1;
/// What Bochs has as Tiger Lake: no five levels.
pub const TIGERLAKE: u64 = 0x0000_0F01_0633_4141;
/// An early CPU: four levels, 2 MiB, no flags, no execute-only.
pub const ARRANDALE: u64 = 0x0000_0F01_0611_4140;

pub const KIB4: u64 = 1 << 12;
pub const MIB2: u64 = 1 << 21;
pub const GIB: u64 = 1 << 30;

pub fn caps() -> EptCaps {
    EptCaps::new(ALL, 46)
}

pub fn range(start: u64, size: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size).unwrap()
}

/// Table memory that panics when a frame is freed twice, or used after it was.
///
/// Frames are scattered and full of garbage. `tables` can be shared with "hardware".
#[derive(Debug, Default)]
pub struct Books {
    pub tables: Vec<Arc<Table>>,
    used: Vec<bool>,
    /// Frames that were freed, to be used again, oldest first.
    freed: VecDeque<usize>,
    limit: usize,
}

impl Books {
    const FIRST: u64 = 0x3000;
    const STEP: u64 = 0x7000;

    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub fn in_use(&self) -> usize {
        self.used.iter().filter(|&&used| used).count()
    }

    fn index(&self, frame: Hpa) -> Option<usize> {
        let offset = frame.as_u64().checked_sub(Self::FIRST)?;
        let index = usize::try_from(offset / Self::STEP).unwrap();
        (offset % Self::STEP == 0 && index < self.tables.len()).then_some(index)
    }

    /// Reads an entry as hardware would; no memory reads as zero.
    pub fn read(&self, address: u64) -> u64 {
        let index = usize::try_from(address >> 3 & 511).unwrap();
        let table = self.table(Hpa::new(address & !0xFFF));
        table.map_or(0, |table| table.0[index].load(Ordering::Relaxed))
    }
}

impl TableMemory for Books {
    fn allocate(&mut self) -> Option<Hpa> {
        let index = if self.tables.len() < self.limit {
            self.tables.push(Arc::default());
            self.used.push(false);
            self.tables.len() - 1
        } else {
            self.freed.pop_front()?
        };
        let garbage = |entry: &AtomicU64| entry.store(0xDEAD_BEEF_DEAD_BEEF, Ordering::Relaxed);
        self.tables[index].0.iter().for_each(garbage);
        self.used[index] = true;
        Some(Hpa::new(Self::FIRST + index as u64 * Self::STEP))
    }

    fn free(&mut self, frame: Hpa) {
        let index = self.index(frame).unwrap();
        assert!(self.used[index], "{frame} freed twice");
        self.used[index] = false;
        self.freed.push_back(index);
    }

    fn table(&self, frame: Hpa) -> Option<&Table> {
        let index = self.index(frame)?;
        assert!(self.used[index], "{frame} used while free");
        Some(&self.tables[index])
    }
}

/// What a walk finds: nothing, a page (its leaf with the address made that of the byte), or an
/// entry that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Hole,
    Page { hpa: u64, leaf: u64, page_bytes: u64 },
    Refused { level: u32, entry: u64 },
}

/// The reference: a walk written from the SDM's text alone, sharing nothing with the crate.
///
/// `execute_only`, `huge` and `user` say whether execute-only and 1 GiB pages exist and whether
/// mode-based execute control is on.
pub struct Reference {
    pub eptp: u64,
    pub maxphyaddr: u32,
    pub execute_only: bool,
    pub huge: bool,
    pub user: bool,
}

impl Reference {
    pub fn walk(&self, read: impl Fn(u64) -> u64, gpa: u64) -> Found {
        let levels = (self.eptp >> 3 & 7) + 1;
        if gpa >> (12 + 9 * levels) != 0 {
            return Found::Hole;
        }
        let address_bits = ((1u64 << self.maxphyaddr) - 1) & !0xFFF;
        let mut table = self.eptp & address_bits;
        for level in (1..=levels).rev() {
            let shift = 12 + 9 * (level - 1);
            let entry = read(table + (gpa >> shift & 511) * 8);
            let (r, w, x) = (entry & 1 != 0, entry & 2 != 0, entry & 4 != 0);
            let u = self.user && entry & 1 << 10 != 0;
            if !(r || w || x || u) {
                return Found::Hole;
            }
            let large = level == 1
                || (level == 2 && entry & 0x80 != 0)
                || (level == 3 && entry & 0x80 != 0 && self.huge);
            let must_be_zero = match (large, level) {
                (false, _) => 0xF8,
                (true, 3) => 0x3FFF_F000,
                (true, 2) => 0x1F_F000,
                (true, _) => 0,
            } | 0x000F_FFFF_FFFF_F000 & !address_bits;
            if (w && !r)
                || ((x || u) && !r && !self.execute_only)
                || entry & must_be_zero != 0
                || (large && matches!(entry >> 3 & 7, 2 | 3 | 7))
            {
                return Found::Refused { level: u32::try_from(level).unwrap(), entry };
            }
            if large {
                let page_bytes = 1 << shift;
                let hpa = (entry & address_bits) + (gpa & (page_bytes - 1));
                return Found::Page { hpa, leaf: entry, page_bytes };
            }
            table = entry & address_bits;
        }
        unreachable!("level 1 is always large");
    }
}

/// The model: what each 4 KiB page leads to, page by page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flat(pub BTreeMap<u64, (u64, EptAttributes)>);

impl Flat {
    pub fn map(&mut self, start: u64, pages: u64, hpa: u64, attributes: EptAttributes) {
        for page in 0..pages {
            self.0.insert(start + page * KIB4, (hpa + page * KIB4, attributes));
        }
    }

    pub fn unmap(&mut self, start: u64, pages: u64) {
        for page in 0..pages {
            self.0.remove(&(start + page * KIB4));
        }
    }

    pub fn change(&mut self, start: u64, pages: u64, f: impl Fn(&mut EptAttributes)) {
        for (_, (_, attributes)) in self.0.range_mut(start..start + pages * KIB4) {
            f(attributes);
        }
    }
}
