//! Reading the tables.

use guest_state::{Gpa, GpaRange, Hpa, PageSize};

use crate::level::Span;
use crate::{Ept, EptEntry, EptPermissions, Error, Level, Misconfiguration, TableMemory};

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
        if gpa.as_u64() >= self.guest_end {
            return None;
        }
        // Written out, so that the levels are constants.
        let mut table = self.root;
        if self.rules.options().five_levels {
            table = self.load(table, Level::Pml5.index(gpa)).next_table()?;
        }
        let table = self.load(table, Level::Pml4.index(gpa)).next_table()?;
        let entry = self.load(table, Level::Pdpt.index(gpa));
        let Some(table) = entry.next_table() else {
            return Translation::new(gpa, PageSize::Size1G, entry);
        };
        let entry = self.load(table, Level::Pd.index(gpa));
        let Some(table) = entry.next_table() else {
            return Translation::new(gpa, PageSize::Size2M, entry);
        };
        Translation::new(gpa, PageSize::Size4K, self.load(table, Level::Pt.index(gpa)))
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
            let entry = crate::leaves::load(&table.0[index]);
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
