//! Edits of extended page tables, from bytes, against a model of every page.

use std::collections::{BTreeMap, BTreeSet};

use ept::{
    DirtyBitmap, Ept, EptAccess, EptAttributes, EptCaps, EptControls, EptFlags, EptOptions,
    EptPermissions, Error, InvalidationDebt, Table, TableMemory, Use, WalkEnd,
};
use guest_state::{Gpa, GpaRange, Hpa, MemoryType, PageSize};

/// A model of pages is kept for these; ranges may lie anywhere.
const WINDOW: u64 = 0x7F_FFC0_0000;
const WINDOW_PAGES: u64 = 2048;
/// Where each page leads, and how.
type Model = BTreeMap<u64, (u64, EptAttributes)>;

/// Frames that are counted.
#[derive(Debug)]
struct Frames {
    tables: Vec<Table>,
    free: Vec<usize>,
    used: BTreeSet<usize>,
}

impl Frames {
    fn index(&self, frame: Hpa) -> Option<usize> {
        let index = usize::try_from(frame.as_u64() / 4096).ok()?;
        (index < self.tables.len()).then_some(index)
    }
}

impl TableMemory for Frames {
    fn allocate(&mut self) -> Option<Hpa> {
        let index = self.free.pop()?;
        assert!(self.used.insert(index));
        Some(Hpa::new(index as u64 * 4096))
    }

    fn free(&mut self, frame: Hpa) {
        let index = self.index(frame).expect("a frame that was never allocated was freed");
        assert!(self.used.remove(&index), "a frame was freed twice");
        self.free.insert(0, index);
    }

    fn table(&self, frame: Hpa) -> Option<&Table> {
        let index = self.index(frame)?;
        assert!(self.used.contains(&index), "a free frame was used");
        self.tables.get(index)
    }
}

/// The bytes, read from the front; what is missing is zero.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    fn word(&mut self) -> u64 {
        u64::from(self.byte()) << 8 | u64::from(self.byte())
    }

    fn wild(&mut self) -> u64 {
        (0..4).fold(0, |value, _| value << 16 | self.word())
    }

    /// Mostly pages of the window; now and then anything.
    fn range(&mut self) -> GpaRange {
        let kind = self.byte();
        let (start, size) = match kind {
            0 => (self.wild(), self.wild()),
            1 => (0, 1 << (self.byte() % 64)),
            _ => {
                let start = self.word() % WINDOW_PAGES;
                let pages = self.word() % (WINDOW_PAGES - start + 1);
                (WINDOW + start * 4096, pages * 4096)
            }
        };
        GpaRange::new(Gpa::new(start), size).unwrap_or_default()
    }

    fn attributes(&mut self) -> EptAttributes {
        let bits = self.word();
        EptAttributes {
            permissions: self.permissions(),
            memory_type: MemoryType(self.byte() % 9),
            flags: EptFlags::from_bits_truncate((bits & 0x7F) | bits << 52),
        }
    }

    fn permissions(&mut self) -> EptPermissions {
        match self.byte() {
            bits @ 0..16 => {
                let bits = u64::from(bits);
                EptPermissions::from_bits_truncate(bits & 7 | (bits >> 3) << 10)
            }
            bits if bits % 2 == 0 => EptPermissions::RWX,
            _ => EptPermissions::RX,
        }
    }
}

/// Makes edits that `data` describes, and checks each against a model.
pub fn ept_edits(data: &[u8]) {
    let mut input = Input(data);
    let count = usize::from(input.byte() % 64);
    let controls = EptControls::from_bits_truncate(input.byte());
    let options = EptOptions {
        five_levels: input.byte() % 4 == 0,
        controls,
        largest_page: PageSize::ALL[usize::from(input.byte() % 3)],
    };
    // All that there is, or what the bytes say.
    let msr = if input.byte() % 4 == 0 { input.wild() } else { 0x0F01_06F3_41C1 };
    let caps = EptCaps::new(msr, 36 + u32::from(input.byte() % 17));
    let frames = Frames {
        tables: (0..count).map(|_| Table::new()).collect(),
        free: (0..count).collect(),
        used: BTreeSet::new(),
    };
    let Ok(mut ept) = Ept::with_options(frames, caps, options) else { return };
    let mut model = Model::new();
    let mut debt = InvalidationDebt::NONE;
    while !input.0.is_empty() {
        let range = input.range();
        let used = ept.memory().used.len();
        let result = match input.byte() % 12 {
            0..3 => {
                let attributes = input.attributes();
                let to = if input.byte() == 0 { input.wild() } else { input.word() << 12 };
                let result = ept.map(range, Hpa::new(to), attributes);
                if result.is_ok() {
                    for page in pages(range) {
                        let hpa = to + (page - range.start().as_u64());
                        model.insert(page, (hpa, attributes));
                    }
                }
                result
            }
            3 => {
                let result = ept.unmap(range);
                if result.is_ok() {
                    pages(range).for_each(|page| _ = model.remove(&page));
                }
                result
            }
            4 | 5 => {
                let permissions = input.permissions();
                let result = ept.protect(range, permissions);
                if result.is_ok() {
                    let unreadable = !permissions.contains(EptPermissions::READ);
                    let drops = unreadable && controls.contains(EptControls::PAGING_WRITE);
                    change(&mut model, range, |page| {
                        page.permissions = permissions;
                        page.flags.set(
                            EptFlags::PAGING_WRITE,
                            page.flags.contains(EptFlags::PAGING_WRITE) && !drops,
                        );
                    });
                }
                result
            }
            6 => {
                let memory_type = MemoryType(input.byte() % 9);
                let result = ept.set_memory_type(range, memory_type);
                if result.is_ok() {
                    change(&mut model, range, |page| page.memory_type = memory_type);
                }
                result
            }
            7 => {
                ept.set_largest_page(PageSize::ALL[usize::from(input.byte() % 3)]);
                ept.resize(range)
            }
            8 => {
                let (mut words, mut others) = ([0; 32], [0; 32]);
                let from = Gpa::new(WINDOW + input.word() % WINDOW_PAGES * 4096);
                let mut log = DirtyBitmap::new(from, &mut words);
                let first = ept.harvest_into(range, Use::all(), &mut log);
                let mut rest = DirtyBitmap::new(from, &mut others);
                let second = ept.harvest(range, Use::all(), |page| rest.mark(page.range()));
                first.and_then(|debt| Ok(debt + second?))
            }
            9 => {
                let log = Table::new();
                let gpa = input.wild();
                let other = WINDOW + input.word() % WINDOW_PAGES * 4096;
                log.0[511].store(gpa, std::sync::atomic::Ordering::Relaxed);
                log.0[510].store(other, std::sync::atomic::Ordering::Relaxed);
                ept.drain_log(&log, u16::from(input.byte()) | 0x100, |_| {})
            }
            10 => {
                let access = EptAccess(input.wild());
                let _ = ept.explain(range.start(), access);
                let _ = ept.walk(Gpa::new(input.wild())).permissions();
                Ok(InvalidationDebt::NONE)
            }
            _ => {
                let settled = core::mem::take(&mut debt);
                let fails = input.byte() == 0;
                _ = ept.settle(settled, |_| if fails { Err(()) } else { Ok(()) });
                Ok(InvalidationDebt::NONE)
            }
        };
        match result {
            Ok(more) => debt += more,
            Err(Error::OutOfFrames { .. }) => assert_eq!(ept.memory().used.len(), used),
            Err(_) => {}
        }
        check(&ept, &model, range);
    }
    check_all(&ept, &model);
    let memory = ept.dismantle(|_| Ok::<(), ()>(())).expect("the closure does not fail");
    assert!(memory.used.is_empty(), "{} frames are lost", memory.used.len());
}

/// The pages of a range that lie in the window.
fn pages(range: GpaRange) -> impl Iterator<Item = u64> {
    let window = GpaRange::new(Gpa::new(WINDOW), WINDOW_PAGES * 4096).unwrap_or_default();
    let common = window.intersection(range).unwrap_or_default();
    (common.start().as_u64()..common.end().as_u64()).step_by(4096)
}

fn change(model: &mut Model, range: GpaRange, f: impl Fn(&mut EptAttributes)) {
    for page in pages(range) {
        if let Some((_, attributes)) = model.get_mut(&page) {
            f(attributes);
        }
    }
}

/// Checks the pages around both ends of a range.
fn check(ept: &Ept<Frames>, model: &Model, range: GpaRange) {
    for end in [range.start(), range.end()] {
        for page in [end.as_u64().wrapping_sub(4096), end.as_u64()] {
            let page = page & !0xFFF;
            if (WINDOW..WINDOW + WINDOW_PAGES * 4096).contains(&page) {
                check_page(ept, model, page);
            }
        }
    }
}

fn check_all(ept: &Ept<Frames>, model: &Model) {
    let pages_of_window = (0..WINDOW_PAGES).map(|page| Gpa::new(WINDOW + page * 4096));
    ept.translate_each(pages_of_window, |gpa, found| assert_eq!(found, ept.translate(gpa)));
    (0..WINDOW_PAGES).for_each(|page| check_page(ept, model, WINDOW + page * 4096));
    // The pages, one mapping after the other, are those of the model.
    let window = GpaRange::new(Gpa::new(WINDOW), WINDOW_PAGES * 4096).unwrap_or_default();
    let Ok(leaves) = ept.leaves(window) else {
        assert!(model.is_empty(), "the window has pages that can't be listed");
        return;
    };
    let listed = leaves.flat_map(|leaf| {
        let start = leaf.gpa.as_u64();
        pages(leaf.range()).map(move |page| (page, leaf.hpa.as_u64() + (page - start)))
    });
    assert!(
        listed.eq(model.iter().map(|(page, (hpa, _))| (*page, *hpa))),
        "other pages are listed"
    );
}

fn check_page(ept: &Ept<Frames>, model: &Model, page: u64) {
    let found = ept.translate(Gpa::new(page));
    let expected = model.get(&page).copied();
    assert_eq!(
        found.map(|found| (found.hpa.as_u64(), found.entry.attributes())),
        expected,
        "at {page:#x}"
    );
    let end = ept.walk(Gpa::new(page)).end();
    match found {
        Some(found) => assert_eq!(end, WalkEnd::Page(found.hpa)),
        None => assert_eq!(end, WalkEnd::NotPresent),
    }
}
