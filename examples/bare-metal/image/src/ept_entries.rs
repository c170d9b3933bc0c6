//! Cases with an entry that is not as `ept` made it.

use ept::{EptAttributes, Invept, Level, TableMemory};
use guest_state::Hpa;

use crate::ept_bench::{Bench, LabError, load, store};
use crate::ept_cases::{Class, Lab, Page};

/// An entry of a table.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) table: Hpa,
    pub(crate) index: usize,
}

impl Lab<'_, '_> {
    /// Every combination of read, write and execute in the entry of each level.
    pub(crate) fn permissions_of_each_level(&mut self) -> Result<Class, LabError> {
        let mut class = Class::new("permissions");
        self.with_each_entry(|lab, page, level, slot, good| {
            for permissions in 0..8 {
                let bits = good & !7 | permissions;
                lab.with_entry(&mut class, page, slot, bits, (level, "permissions", permissions))?;
            }
            Ok(())
        })?;
        Ok(class)
    }

    /// Every memory type, reserved ones among them.
    pub(crate) fn memory_types(&mut self) -> Result<Class, LabError> {
        let mut class = Class::new("memory types");
        self.with_each_entry(|lab, page, level, slot, good| {
            for memory_type in 0..8 {
                let bits = good & !(7 << 3) | memory_type << 3;
                lab.with_entry(&mut class, page, slot, bits, (level, "memory type", memory_type))?;
            }
            Ok(())
        })?;
        Ok(class)
    }

    /// Every bit of every entry turned over.
    pub(crate) fn flipped_bits(&mut self) -> Result<Class, LabError> {
        let mut class = Class::new("flipped bits");
        self.with_each_entry(|lab, page, level, slot, good| {
            for bit in 0..64 {
                lab.with_entry(&mut class, page, slot, good ^ 1 << bit, (level, "bit", bit))?;
            }
            Ok(())
        })?;
        Ok(class)
    }

    /// Calls `each` with every entry on the way to every page.
    fn with_each_entry(
        &mut self,
        mut each: impl FnMut(&mut Self, Page, Level, Slot, u64) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        for page in self.pages() {
            self.map(page, EptAttributes::RAM)?;
            self.clear_flags(page);
            for step in self.ept.walk(page.gpa).steps() {
                let slot = Slot { table: step.table, index: step.index };
                let good = self.load(slot);
                each(self, page, step.level, slot, good)?;
                self.store(slot, good);
            }
        }
        Ok(())
    }

    /// Makes all accesses with an entry in place of a good one.
    fn with_entry(
        &mut self,
        class: &mut Class,
        page: Page,
        slot: Slot,
        bits: u64,
        (level, what, value): (Level, &str, u64),
    ) -> Result<(), LabError> {
        self.store(slot, bits);
        Bench::invalidate(Invept::SingleContext(self.ept.pointer()))?;
        self.try_all(class, page, format_args!("{level:?} {what} {value}: {bits:#x}"))
    }

    pub(crate) fn load(&self, slot: Slot) -> u64 {
        self.ept.memory().table(slot.table).map_or(0, |table| load(&table.0[slot.index]))
    }

    pub(crate) fn store(&self, slot: Slot, bits: u64) {
        if let Some(table) = self.ept.memory().table(slot.table) {
            store(&table.0[slot.index], bits);
        }
    }
}
