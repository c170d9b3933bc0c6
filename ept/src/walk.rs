//! Reading the tables.

use guest_state::{Gpa, GpaRange, Hpa, PageSize};

use crate::atomic::AtomicU64;
use crate::leaves::load;
use crate::level::Span;
use crate::{Ept, EptEntry, EptPermissions, Error, Level, Misconfiguration, TableMemory};

/// How many entries `translate_each` reads at a time: the more, the less it waits. Their places take
/// 2 KiB of the stack.
const GROUP: usize = 64;

/// An entry that maps nothing.
static HOLE: AtomicU64 = AtomicU64::new(0);

/// Where a guest-physical address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The host-physical address.
    pub hpa: Hpa,
    /// The size of the page that it lies in.
    pub page_size: PageSize,
    /// The leaf: permissions, memory type, flags.
    pub entry: EptEntry,
}

impl Translation {
    #[inline]
    fn new(gpa: Gpa, page_size: PageSize, entry: EptEntry) -> Option<Self> {
        let base = entry.address().page_base(page_size);
        let hpa = Hpa::new(base.as_u64() | gpa.page_offset(page_size));
        entry.is_present().then_some(Self { hpa, page_size, entry })
    }
}

/// One page that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The guest-physical address of its first byte.
    pub gpa: Gpa,
    /// The host-physical address of its first byte.
    pub hpa: Hpa,
    /// Its size.
    pub page_size: PageSize,
    /// The leaf: permissions, memory type, flags.
    pub entry: EptEntry,
}

impl Mapping {
    /// Returns the guest-physical addresses of the page.
    #[must_use]
    pub fn range(&self) -> GpaRange {
        GpaRange::new(self.gpa, self.page_size.bytes()).unwrap_or_default()
    }
}

/// One entry on the way of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The level of the table.
    pub level: Level,
    /// The table.
    pub table: Hpa,
    /// Which of its entries.
    pub index: usize,
    /// The entry.
    pub entry: EptEntry,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalkEnd {
    /// At a leaf; the guest-physical address leads here.
    Page(Hpa),
    /// At an entry that is not present, or before the first one, above the guest-physical width.
    NotPresent,
    /// At an entry that hardware refuses.
    Misconfigured(Misconfiguration),
    /// At an entry that points to a table which the table memory does not know.
    LostTable(Hpa),
}

/// A walk as hardware does it: the entries that it met, from the root on, and why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    steps: [Option<Step>; 5],
    end: WalkEnd,
}

impl Walk {
    /// Returns the entries, from the root on.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps.into_iter().flatten()
    }

    /// Returns the entry at which the walk ended, if it met any.
    #[must_use]
    pub fn last(&self) -> Option<Step> {
        self.steps().last()
    }

    /// Returns why the walk ended.
    #[must_use]
    pub const fn end(&self) -> WalkEnd {
        self.end
    }

    /// Returns what all entries together allow; nothing if none was met.
    #[must_use]
    pub fn permissions(&self) -> EptPermissions {
        let all = self.steps().map(|step| step.entry.permissions());
        all.reduce(|a, b| a & b).unwrap_or_default()
    }
}

impl<M: TableMemory> Ept<M> {
    /// Returns where `gpa` leads, or `None` if it is not mapped.
    #[inline]
    #[must_use]
    pub fn translate(&self, gpa: Gpa) -> Option<Translation> {
        self.last_slot(gpa, |slot, page_size| Translation::new(gpa, page_size, load(slot)))?
    }

    /// Calls `visit` with each of `gpas`, in order, and where it leads: `None` if it is not mapped.
    ///
    /// Where the tables are not cached that is faster than as many calls of
    /// [`translate`](Self::translate): entries are read in groups, so that the CPU waits for many
    /// at a time. It takes 2 KiB of the stack.
    pub fn translate_each(
        &self,
        gpas: impl IntoIterator<Item = Gpa>,
        mut visit: impl FnMut(Gpa, Option<Translation>),
    ) {
        let mut gpas = gpas.into_iter();
        let mut group = [(Gpa::ZERO, PageSize::Size4K); GROUP];
        let mut slots = [&HOLE; GROUP];
        let mut entries = [EptEntry::EMPTY; GROUP];
        loop {
            let mut count = 0;
            for ((place, slot), gpa) in group.iter_mut().zip(&mut slots).zip(&mut gpas) {
                let page_size;
                (*slot, page_size) = self
                    .last_slot(gpa, |slot, size| (slot, size))
                    .unwrap_or((&HOLE, PageSize::Size4K));
                *place = (gpa, page_size);
                count += 1;
            }
            // The loop is so short that the CPU has all of these reads under way.
            for (entry, slot) in entries.iter_mut().zip(&slots) {
                *entry = load(slot);
            }
            for (&(gpa, page_size), &entry) in group[..count].iter().zip(&entries) {
                visit(gpa, Translation::new(gpa, page_size, entry));
            }
            if count < GROUP {
                break;
            }
        }
    }

    /// Returns what `found` makes of the entry at which a walk for `gpa` ends, present or not, and of
    /// the size of the page that it is for; `None` if there is no entry for a page.
    #[inline]
    pub(crate) fn last_slot<'a, T>(
        &'a self,
        gpa: Gpa,
        found: impl FnOnce(&'a AtomicU64, PageSize) -> T,
    ) -> Option<T> {
        if gpa.as_u64() >= self.guest_end {
            return None;
        }
        // Written out, so that the levels are constants.
        let slot = |frame, level: Level| Some(&self.memory.table(frame)?.0[level.index(gpa)]);
        let mut table = self.root;
        if self.rules.options().five_levels {
            table = load(slot(table, Level::Pml5)?).next_table()?;
        }
        let table = load(slot(table, Level::Pml4)?).next_table()?;
        let large = slot(table, Level::Pdpt)?;
        let Some(table) = load(large).next_table() else {
            return Some(found(large, PageSize::Size1G));
        };
        let large = slot(table, Level::Pd)?;
        let Some(table) = load(large).next_table() else {
            return Some(found(large, PageSize::Size2M));
        };
        Some(found(slot(table, Level::Pt)?, PageSize::Size4K))
    }

    /// Walks the tables for `gpa` as hardware does, misconfigured entries included.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "EPT Translation Mechanism" and "EPT-Induced VM Exits".
    #[must_use]
    pub fn walk(&self, gpa: Gpa) -> Walk {
        let mut walk = Walk { steps: [None; 5], end: WalkEnd::NotPresent };
        if gpa.as_u64() >> self.rules.guest_bits() != 0 {
            return walk;
        }
        let (mut level, mut frame) = (self.rules.options().top_level(), self.root);
        for step in &mut walk.steps {
            let index = level.index(gpa);
            let Some(table) = self.memory.table(frame) else {
                walk.end = WalkEnd::LostTable(frame);
                break;
            };
            let entry = load(&table.0[index]);
            *step = Some(Step { level, table: frame, index, entry });
            if !self.rules.is_present(entry) {
                break;
            }
            if let Some(reason) = self.rules.misconfiguration(entry, level) {
                walk.end = WalkEnd::Misconfigured(reason);
                break;
            }
            match (self.rules.is_leaf(entry, level), level.below()) {
                (false, Some(below)) => (frame, level) = (entry.address(), below),
                _ => {
                    let offset = gpa.as_u64() & (level.span_bytes() - 1);
                    walk.end = WalkEnd::Page(Hpa::new(entry.address().as_u64() | offset));
                    break;
                }
            }
        }
        walk
    }

    /// Iterates over the pages that are mapped in `range`, in order; a page that lies in it in
    /// part is returned whole.
    ///
    /// # Errors
    /// [`Error::Misaligned`], [`Error::PastGuestWidth`].
    pub fn leaves(&self, range: GpaRange) -> Result<Leaves<'_, M>, Error> {
        Ok(Leaves { ept: self, left: self.rules.span(range)? })
    }
}

/// The pages that are mapped in a range; [`Ept::leaves`] makes it.
#[derive(Debug)]
pub struct Leaves<'a, M> {
    ept: &'a Ept<M>,
    left: Span,
}

impl<M: TableMemory> Iterator for Leaves<'_, M> {
    type Item = Mapping;

    fn next(&mut self) -> Option<Mapping> {
        while self.left.start < self.left.end {
            let at = self.left.start;
            let (mut level, mut frame) = (self.ept.rules.options().top_level(), self.ept.root);
            let entry = loop {
                let entry = self.ept.load(frame, level.index_u64(at));
                match level.below() {
                    Some(below) if entry.is_table(level) => {
                        (frame, level) = (entry.address(), below);
                    }
                    _ => break entry,
                }
            };
            let base = at & !(level.span_bytes() - 1);
            self.left.start = base + level.span_bytes();
            if let (true, Some(page_size)) = (entry.is_leaf(level), level.page_size()) {
                let hpa = entry.address().page_base(page_size);
                return Some(Mapping { gpa: Gpa::new(base), hpa, page_size, entry });
            }
        }
        None
    }
}
