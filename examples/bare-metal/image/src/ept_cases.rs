//! The cases: what the tables say, what an access should give by them, and what it gave.

use ept::{
    Ept, EptAccess, EptAttributes, EptCaps, EptControls, EptEntry, EptOptions, EptPermissions,
    Explanation, FramePool, InvalidationDebt, Invept, Level, TableMemory, WalkEnd,
};
use guest_state::{Gpa, GpaRange, Hpa, MemoryType, PageSize};

use crate::ept_bench::{
    Access, Bench, DATA_OFFSET, LabError, Seen, WINDOW_BYTES, WINDOW_PD, store,
};
use crate::memory::HostMemory;
use crate::say;

type Tables = Ept<FramePool<'static>>;

/// Where the windows are: in the second entry of the PML4 table, the first being the guest's code
/// and tables, which no case disturbs.
const BASE: u64 = 1 << 39;
const SMALL: u64 = BASE + DATA_OFFSET;
const MEDIUM: u64 = BASE + 0x8000_0000;
const LARGE: u64 = BASE + 0x1_4000_0000;
const FRAMES: usize = 64;
/// Differences that are printed one by one.
const MOST_LINES: usize = 20;

/// What came of the cases of a class.
pub(crate) struct Class {
    name: &'static str,
    pub(crate) cases: usize,
    pub(crate) differences: usize,
    /// Cases whose access would go where it must not.
    pub(crate) left_out: usize,
}

impl Class {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, cases: 0, differences: 0, left_out: 0 }
    }

    pub(crate) fn judge(&mut self, what: core::fmt::Arguments<'_>, predicted: Seen, seen: Seen) {
        self.cases += 1;
        if predicted != seen {
            self.differences += 1;
            if self.differences <= MOST_LINES {
                say!("difference: {}: {what}: predicted {predicted:x?}, seen {seen:x?}", self.name);
            }
        }
    }

    fn tell(&self) {
        let Self { name, cases, differences, left_out } = self;
        say!("class {name}: {cases} cases, {differences} differences, {left_out} left out");
    }
}

/// A page of a size, through a window of its own.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) size: PageSize,
    /// All of it.
    pub(crate) range: GpaRange,
    /// Where it lies.
    pub(crate) hpa: Hpa,
    /// Where the data is in it.
    pub(crate) gpa: Gpa,
    pub(crate) linear: u64,
}

/// The tables under test, and the guest that uses them.
pub(crate) struct Lab<'b, 'v> {
    pub(crate) bench: &'b mut Bench<'v>,
    pub(crate) ept: Tables,
    pages: [Option<Page>; 3],
}

/// Runs all cases.
pub(crate) fn run_all(bench: &mut Bench<'_>, host: &mut HostMemory) -> Result<(), LabError> {
    let vmx_caps = bench.caps();
    let caps = EptCaps::new(vmx_caps.ept_vpid.bits(), vmx_caps.widths.physical.into());
    for controls in [EptControls::empty(), EptControls::ACCESSED_DIRTY] {
        if controls.contains(EptControls::ACCESSED_DIRTY) && !caps.accessed_dirty() {
            say!("no accessed and dirty flags on this processor");
            continue;
        }
        say!("controls {controls:?}");
        let (base, tables) = host.tables(FRAMES)?;
        let options = EptOptions { controls, ..EptOptions::default() };
        let ept = Ept::with_options(FramePool::new(base, tables), caps, options)?;
        let mut lab = Lab::new(bench, ept)?;
        lab.holes()?.tell();
        lab.attributes()?.tell();
        lab.permissions_of_each_level()?.tell();
        lab.memory_types()?.tell();
        lab.flipped_bits()?.tell();
        lab.guest_paging_structures()?.tell();
        lab.protected_pages()?.tell();
        lab.stale(false)?.tell();
        lab.stale(true)?.tell();
    }
    Ok(())
}

impl<'b, 'v> Lab<'b, 'v> {
    fn new(bench: &'b mut Bench<'v>, mut ept: Tables) -> Result<Self, LabError> {
        let low = GpaRange::new(Gpa::ZERO, WINDOW_BYTES).unwrap_or_default();
        let debt = ept.map(low, bench.low_at, EptAttributes::RAM)?;
        ept.settle(debt, Bench::invalidate)?;
        bench.use_tables(ept.pointer())?;
        let data = bench.data_at.as_u64();
        let small = (PageSize::Size4K, SMALL, data + DATA_OFFSET, SMALL);
        let medium = (PageSize::Size2M, MEDIUM, data, MEDIUM + DATA_OFFSET);
        // All of the host's first GiB, the data among it.
        let large = (PageSize::Size1G, LARGE, 0, LARGE + data + DATA_OFFSET);
        let mut pages = [None; 3];
        for ((window, slot), page) in (0..).zip(&mut pages).zip([small, medium, large]) {
            let (size, start, hpa, gpa) = page;
            if !ept.rules().caps().page_size(size) {
                say!("no pages of {:#x} bytes on this processor", size.bytes());
                continue;
            }
            let range = GpaRange::new(Gpa::new(start), size.bytes()).unwrap_or_default();
            let gpa = Gpa::new(gpa);
            let linear = bench.open_window(window, gpa)?;
            *slot = Some(Page { size, range, hpa: Hpa::new(hpa), gpa, linear });
        }
        Ok(Self { bench, ept, pages })
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = Page> + use<> {
        self.pages.into_iter().flatten()
    }

    pub(crate) fn settle(&mut self, debt: InvalidationDebt) -> Result<(), LabError> {
        Ok(self.ept.settle(debt, Bench::invalidate)?)
    }

    /// Maps a page, and nothing else at its place.
    pub(crate) fn map(&mut self, page: Page, attributes: EptAttributes) -> Result<(), LabError> {
        let debt = self.ept.map(page.range, page.hpa, attributes)?;
        self.settle(debt)
    }

    pub(crate) fn unmap(&mut self, page: Page) -> Result<(), LabError> {
        let debt = self.ept.unmap(page.range)?;
        self.settle(debt)
    }

    /// What an access should give; `None` if it would go anywhere but to the data.
    pub(crate) fn predict(&self, gpa: Gpa, access: Access, offset: u64) -> Option<Seen> {
        let gpa = access.target(gpa);
        let walk = self.ept.walk(gpa);
        // Bits 3, 4 and 5 of the qualification: what all entries together allow.
        let allowed = (walk.permissions() & !EptPermissions::EXECUTE_USER).bits() << 3;
        let qualification = EptAccess(access.bit() | allowed | 1 << 7 | 1 << 8);
        let data = access.target(Gpa::new(self.bench.data_at.checked_add(offset)?.as_u64()));
        let data = Hpa::new(data.as_u64());
        match self.ept.explain(gpa, qualification) {
            Explanation::Stale => (walk.end() == WalkEnd::Page(data)).then_some(Seen::Done),
            Explanation::Misconfigured { .. } => Some(Seen::Misconfigured(gpa)),
            Explanation::NotMapped(_)
            | Explanation::Denied { .. }
            | Explanation::Logged
            | Explanation::CopyOnWrite => Some(Seen::Violation(gpa, qualification)),
            _ => None,
        }
    }

    /// Makes all accesses to a page, and judges each by its prediction.
    pub(crate) fn try_all(
        &mut self,
        class: &mut Class,
        page: Page,
        what: core::fmt::Arguments<'_>,
    ) -> Result<(), LabError> {
        for access in Access::ALL {
            let Some(predicted) = self.predict(page.gpa, access, DATA_OFFSET) else {
                class.left_out += 1;
                continue;
            };
            self.clear_flags(page);
            let mut seen = self.bench.access(access, page.linear, DATA_OFFSET)?;
            if seen == Seen::Done && !self.flags_are_right(page, access) {
                seen = Seen::Elsewhere;
            }
            let size = page.size.bytes();
            class.judge(format_args!("{size:#x}, {what}, {access:?}"), predicted, seen);
        }
        Ok(())
    }

    /// Clears the accessed and dirty flags on the way to a page, if there are any.
    pub(crate) fn clear_flags(&self, page: Page) {
        if !self.ept.rules().options().controls.contains(EptControls::ACCESSED_DIRTY) {
            return;
        }
        for step in self.ept.walk(page.gpa).steps() {
            if let Some(table) = self.ept.memory().table(step.table) {
                store(&table.0[step.index], step.entry.bits() & !FLAGS);
            }
        }
        let _ = Bench::invalidate(Invept::SingleContext(self.ept.pointer()));
    }

    /// Tells whether an access that was made left the flags that it should: accessed on all entries,
    /// dirty on the last if it wrote; none where there are no flags.
    fn flags_are_right(&self, page: Page, access: Access) -> bool {
        let walk = self.ept.walk(page.gpa);
        let counts = self.ept.rules().options().controls.contains(EptControls::ACCESSED_DIRTY);
        let last = walk.last().map(|step| step.level);
        walk.steps().all(|step| {
            let is_leaf = Some(step.level) == last;
            let dirty = step.entry.bits() & DIRTY != 0;
            match counts {
                true => {
                    step.entry.is_accessed() && (!is_leaf || dirty == (access == Access::Write))
                }
                // Where they don't count the bits are ignored, and stay as a case set them.
                false => true,
            }
        })
    }

    /// Nothing is mapped: entries of each level are not present.
    fn holes(&mut self) -> Result<Class, LabError> {
        let mut class = Class::new("holes");
        // None below the PML4 table's second entry.
        for page in self.pages() {
            self.try_all(&mut class, page, format_args!("empty tables"))?;
        }
        // A page of each size, and beside each a place that the same table leaves empty.
        for (window, page) in (8..).zip(self.pages()) {
            self.map(page, EptAttributes::RAM)?;
            let beside = Gpa::new(page.range.end().as_u64() + DATA_OFFSET);
            let linear = self.bench.open_window(window, beside)?;
            let hole = Page { gpa: beside, linear, ..page };
            self.try_all(&mut class, hole, format_args!("beside a page"))?;
        }
        Ok(class)
    }

    /// Pages as `map` makes them: each size, permission and memory type.
    fn attributes(&mut self) -> Result<Class, LabError> {
        let mut class = Class::new("attributes");
        let read = EptPermissions::READ;
        for page in self.pages() {
            for permissions in [
                read,
                EptPermissions::RW,
                EptPermissions::RX,
                EptPermissions::RWX,
                EptPermissions::X,
            ] {
                for memory_type in [
                    MemoryType::UNCACHEABLE,
                    MemoryType::WRITE_COMBINING,
                    MemoryType::WRITE_THROUGH,
                    MemoryType::WRITE_PROTECTED,
                    MemoryType::WRITE_BACK,
                ] {
                    let attributes = EptAttributes::new(permissions, memory_type);
                    if self
                        .ept
                        .rules()
                        .leaf(Level::of_page(page.size), page.hpa, attributes)
                        .is_err()
                    {
                        class.left_out += 1;
                        continue;
                    }
                    self.map(page, attributes)?;
                    let what = format_args!("{permissions}, {memory_type:?}");
                    self.try_all(&mut class, page, what)?;
                }
            }
        }
        Ok(class)
    }

    /// The guest's own page table, which the processor reads while it translates. With accessed and
    /// dirty flags on, such a read counts as a write too.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "EPT Violations" and "Exit Qualification for EPT Violations".
    fn guest_paging_structures(&mut self) -> Result<Class, LabError> {
        let mut class = Class::new("guest paging structures");
        let Some(page) = self.pages().next() else { return Ok(class) };
        self.map(page, EptAttributes::RAM)?;
        let table = GpaRange::new(Gpa::new(WINDOW_PD), 0x1000).unwrap_or_default();
        let at = self.bench.low_at.checked_add(WINDOW_PD).unwrap_or_default();
        let counts = self.ept.rules().options().controls.contains(EptControls::ACCESSED_DIRTY);
        let accesses = if counts { 3 } else { 1 };
        for permissions in [
            EptPermissions::empty(),
            EptPermissions::READ,
            EptPermissions::RX,
            EptPermissions::RW,
            EptPermissions::RWX,
        ] {
            let debt = match permissions.is_empty() {
                true => self.ept.unmap(table)?,
                false => {
                    let memory_type = MemoryType::WRITE_BACK;
                    self.ept.map(table, at, EptAttributes::new(permissions, memory_type))?
                }
            };
            self.settle(debt)?;
            let allowed = (permissions & !EptPermissions::EXECUTE_USER).bits();
            let qualification = EptAccess(accesses | allowed << 3 | 1 << 7);
            let is_enough = allowed & accesses == accesses;
            // The entry of the first window.
            let gpa = Gpa::new(WINDOW_PD);
            let explained = self.ept.explain(gpa, qualification);
            let predicted = match is_enough {
                true => Seen::Done,
                false => Seen::Violation(gpa, qualification),
            };
            if (explained == Explanation::Stale) != is_enough || !qualification.is_page_walk() {
                class.differences += 1;
                say!("difference: {permissions}: explained as {explained:?}");
            }
            for access in Access::ALL {
                let seen = self.bench.access(access, page.linear, DATA_OFFSET)?;
                class.judge(format_args!("{permissions}, {access:?}"), predicted, seen);
            }
        }
        Ok(class)
    }
}

const DIRTY: u64 = 1 << 9;
const FLAGS: u64 = 1 << 8 | DIRTY;
const _: () = assert!(EptEntry::from_bits(DIRTY).is_dirty());
