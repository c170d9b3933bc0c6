//! What the tests share: table memory that keeps books, a reference walker, and a flat model.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
    pub tables: HashMap<u64, Arc<Table>>,
    pub in_use: BTreeSet<u64>,
    next: u64,
    pub limit: usize,
}

impl Books {
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}

impl TableMemory for Books {
    fn allocate(&mut self) -> Option<Hpa> {
        if self.in_use.len() >= self.limit {
            return None;
        }
        self.next = (self.next + 0x1_0000) % 0x10_0000_0000;
        let mut frame = self.next;
        while self.in_use.contains(&frame) {
            frame += 0x1000;
        }
        let table = self.tables.entry(frame).or_default();
        table.0.iter().for_each(|entry| entry.store(0xDEAD_BEEF_DEAD_BEEF, Ordering::Relaxed));
        assert!(self.in_use.insert(frame));
        Some(Hpa::new(frame))
    }

    fn free(&mut self, frame: Hpa) {
        assert!(self.in_use.remove(&frame.as_u64()), "{frame} freed twice");
    }

    fn table(&self, frame: Hpa) -> Option<&Table> {
        assert!(self.in_use.contains(&frame.as_u64()), "{frame} used while free");
        self.tables.get(&frame.as_u64()).map(|table| &**table)
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
