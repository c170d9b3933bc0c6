//! Cases in which the tables change under the guest: write protection that is met, and edits with their
//! INVEPT and without.

use ept::{EptAttributes, EptPermissions, Invept};
use guest_state::{Gpa, GpaRange, MemoryType, PageSize};

use crate::ept_bench::{Access, Bench, DATA_OFFSET, LabError, Seen};
use crate::ept_cases::{Class, Lab, Page};
use crate::ept_entries::Slot;
use crate::say;

/// An edit that takes something away.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Unmap,
    Protect(EptPermissions),
}

/// Where the guest finds the table that it edits, and by which window.
const TABLE: u64 = 0x40_0000;
const TABLE_WINDOW: u64 = 16;

impl Lab<'_, '_> {
    /// Write protection that is taken away when it is met.
    pub(crate) fn protected_pages(&mut self) -> Result<Class, LabError> {
        const COPY_OFFSET: u64 = 0x10_0000 + DATA_OFFSET;
        let mut class = Class::new("protected pages");
        for page in self.pages() {
            self.map(page, EptAttributes::RAM)?;
            let debt = self.ept.log_writes(page.range)?;
            self.settle(debt)?;
            self.try_all(&mut class, page, format_args!("logged"))?;
            let (_, debt) = self.ept.log_write(page.gpa)?;
            self.settle(debt)?;
            self.try_all(&mut class, page, format_args!("after the log"))?;
            self.unmap(page)?;
        }
        // The copy is of 4 KiB, whatever the size of the page was.
        let copied = self.pages().filter(|page| page.size != PageSize::Size1G);
        for page in copied {
            let debt = self.ept.map_copy_on_write(page.range, page.hpa, EptAttributes::RAM)?;
            self.settle(debt)?;
            self.try_all(&mut class, page, format_args!("copy on write"))?;
            self.bench.put_data(COPY_OFFSET)?;
            let copy = self.bench.data_at.checked_add(COPY_OFFSET).unwrap_or_default();
            let debt = self.ept.copy_page(page.gpa, copy)?;
            self.settle(debt)?;
            for access in Access::ALL {
                let Some(predicted) = self.predict(page.gpa, access, COPY_OFFSET) else {
                    class.left_out += 1;
                    continue;
                };
                let seen = self.bench.access(access, page.linear, COPY_OFFSET)?;
                class.judge(format_args!("the copy, {access:?}"), predicted, seen);
            }
            self.unmap(page)?;
        }
        Ok(class)
    }

    /// Edits that take something away while the guest runs, as another CPU makes them: it has made
    /// the access before, and makes it again. Where INVEPT comes between, it finds what the tables
    /// say; where none does, it goes on by what it remembers, and each case is a difference.
    pub(crate) fn stale(&mut self, pays: bool) -> Result<Class, LabError> {
        let mut class = Class::new(if pays { "edits, paid" } else { "edits, not paid" });
        for page in self.pages() {
            let mut edits = alloc::vec![
                (Access::Read, Loss::Unmap),
                (Access::Write, Loss::Unmap),
                (Access::Write, Loss::Protect(EptPermissions::RX)),
            ];
            if self.ept.rules().caps().execute_only() {
                edits.push((Access::Read, Loss::Protect(EptPermissions::X)));
            }
            for (access, loss) in edits {
                self.lose(&mut class, page, (access, loss), pays)?;
            }
        }
        if pays {
            self.gains(&mut class)?;
        }
        Ok(class)
    }

    /// One such edit.
    fn lose(
        &mut self,
        class: &mut Class,
        page: Page,
        (access, loss): (Access, Loss),
        pays: bool,
    ) -> Result<(), LabError> {
        // A neighbour keeps the table there when the page is unmapped.
        let next = GpaRange::new(page.range.end(), page.size.bytes()).unwrap_or_default();
        let debt = self.ept.map(next, page.hpa, EptAttributes::RAM)?;
        self.settle(debt)?;
        self.map(page, EptAttributes::RAM)?;
        let Some(step) = self.ept.walk(page.gpa).last() else { return Ok(()) };
        let slot = Slot { table: step.table, index: step.index };
        // What the edit makes of the entry, which is then as before, for the guest to change.
        let before = self.load(slot);
        let debt = match loss {
            Loss::Unmap => self.ept.unmap(page.range)?,
            Loss::Protect(permissions) => self.ept.protect(page.range, permissions)?,
        };
        let after = self.load(slot);
        let predicted = self.predict(page.gpa, access, DATA_OFFSET);
        self.store(slot, before);
        Bench::invalidate(Invept::SingleContext(self.ept.pointer()))?;
        if debt.is_empty() || before == after {
            say!("difference: no debt of {loss:?}");
            class.differences += 1;
        }
        let Some(predicted) = predicted else {
            class.left_out += 1;
            return self.settle(debt);
        };
        // The guest gets at the table by a window of its own.
        let table = GpaRange::new(Gpa::new(TABLE), 0x1000).unwrap_or_default();
        let window_debt = self.ept.map(table, slot.table, EptAttributes::RAM)?;
        self.settle(window_debt)?;
        let linear = self.bench.open_window(TABLE_WINDOW, Gpa::new(TABLE))?;
        let entry = (linear + 8 * slot.index as u64, after);
        let mut seen = self.bench.access_and_edit(access, page.linear, entry, !pays)?;
        if pays {
            if seen != Seen::Done {
                say!("difference: {access:?} before an edit gives {seen:?}");
                class.differences += 1;
            }
            self.settle(debt)?;
            seen = self.bench.access(access, page.linear, DATA_OFFSET)?;
        } else {
            self.settle(debt)?;
        }
        let size = page.size.bytes();
        // Without INVEPT differences are what is to be seen: they are counted, not printed.
        match pays {
            true => class.judge(format_args!("{size:#x}, {loss:?}, {access:?}"), predicted, seen),
            false => {
                class.cases += 1;
                class.differences += usize::from(seen == Seen::Done && predicted != seen);
            }
        }
        Ok(())
    }

    /// What needs no INVEPT: more permissions, and pages where there were none.
    fn gains(&mut self, class: &mut Class) -> Result<(), LabError> {
        for page in self.pages() {
            self.unmap(page)?;
            for (attributes, access) in [
                (EptAttributes::new(EptPermissions::READ, MemoryType::WRITE_BACK), Access::Read),
                (EptAttributes::new(EptPermissions::RW, MemoryType::WRITE_BACK), Access::Write),
                (EptAttributes::RAM, Access::Fetch),
            ] {
                // The processor meets what is not there yet.
                let before = self.bench.access(access, page.linear, DATA_OFFSET)?;
                let debt = self.ept.map(page.range, page.hpa, attributes)?;
                if !debt.is_empty() || !matches!(before, Seen::Violation(..)) {
                    say!("difference: {before:?} before a gain, whose debt is {debt:?}");
                    class.differences += 1;
                }
                self.settle(debt)?;
                let Some(predicted) = self.predict(page.gpa, access, DATA_OFFSET) else {
                    class.left_out += 1;
                    continue;
                };
                let seen = self.bench.access(access, page.linear, DATA_OFFSET)?;
                class.judge(format_args!("gain, {access:?}"), predicted, seen);
            }
        }
        Ok(())
    }
}
