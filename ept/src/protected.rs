//! Pages that are write-protected for our own sake: to log writes, or to copy them when written.

use guest_state::{Gpa, GpaRange, Hpa, MemoryType, Mtrrs, PageSize};

use crate::edit::{Change, Edit};
use crate::{
    Ept, EptAttributes, EptEntry, EptPermissions, EptRules, Error, InvalidationDebt, TableMemory,
};

const WRITE: u64 = EptPermissions::WRITE.bits();

/// What the guest finds in its F-segment, where a BIOS lies: 64 KiB from F0000H on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FSegment {
    /// Its own copy, 64 KiB from this host address on, which the caller has filled. It may write
    /// to it.
    OwnCopy(Hpa),
    /// The host's, until it writes: then, page by page, a copy of its own.
    CopyOnWrite,
    /// The host's, at the same address. Without write permission the host's stays as it is.
    Identity(EptPermissions),
}

impl<M: TableMemory> Ept<M> {
    /// Write-protects the pages in `range` that can be written, to log who writes.
    ///
    /// This is for CPUs without accessed and dirty flags. A write then is an EPT violation that
    /// [`explain`](Self::explain) calls logged, and [`log_write`](Self::log_write) answers. The log
    /// is by the pages that there are: to have it by 4 KiB, limit them by
    /// [`set_largest_page`](Self::set_largest_page) and [`resize`](Self::resize) first.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    pub fn log_writes(&mut self, range: GpaRange) -> Result<InvalidationDebt, Error> {
        self.edit(range, Edit::Change(Change::Swap { from: WRITE, to: EptEntry::LOGGED }))
    }

    /// Lets the guest write the pages in `range` that are logged.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    pub fn stop_logging(&mut self, range: GpaRange) -> Result<InvalidationDebt, Error> {
        self.edit(range, Edit::Change(Change::Swap { from: EptEntry::LOGGED, to: WRITE }))
    }

    /// Lets the guest write the page at `gpa`, and returns it, to be logged as dirty.
    ///
    /// The debt is empty but for a merge, if the page was the last of those that differed.
    ///
    /// # Errors
    /// [`Error::NotProtected`] if no page there is logged.
    pub fn log_write(&mut self, gpa: Gpa) -> Result<(GpaRange, InvalidationDebt), Error> {
        let page = self.translate(gpa).filter(|page| page.entry.is_logged());
        let page = page.ok_or(Error::NotProtected(gpa))?;
        let base = gpa.page_base(page.page_size);
        let range = GpaRange::new(base, page.page_size.bytes()).ok_or(Error::NotProtected(gpa))?;
        Ok((range, self.stop_logging(range)?))
    }

    /// Maps `range` to host memory from `to` on that the guest must not change: without write
    /// permission, but a write is no error. It is an EPT violation that [`explain`](Self::explain)
    /// calls copy-on-write, and [`copy_page`](Self::copy_page) answers.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_copy_on_write(
        &mut self,
        range: GpaRange,
        to: Hpa,
        attributes: EptAttributes,
    ) -> Result<InvalidationDebt, Error> {
        let edit = copy_on_write(&self.rules, range, to, attributes)?;
        self.edit(range, edit)
    }

    /// Gives the guest `copy` for the 4 KiB page at `gpa`, which is to be copied when written; the
    /// caller has copied it. It may write to the copy, which is write-back memory.
    ///
    /// # Errors
    /// [`Error::NotProtected`] if no page there is to be copied; the rest as [`map`](Self::map).
    pub fn copy_page(&mut self, gpa: Gpa, copy: Hpa) -> Result<InvalidationDebt, Error> {
        let page = self.translate(gpa).filter(|page| page.entry.is_copy_on_write());
        let old = page.ok_or(Error::NotProtected(gpa))?.entry.attributes();
        let permissions = old.permissions | EptPermissions::RW;
        let memory_type = MemoryType::WRITE_BACK;
        let range = GpaRange::new(gpa.page_base(PageSize::Size4K), 4096);
        let range = range.ok_or(Error::NotProtected(gpa))?;
        self.map(range, copy, EptAttributes { permissions, memory_type, ..old })
    }

    /// Maps the F-segment, 64 KiB from F0000H on. Where it is the host's, it has the memory type
    /// that the host's MTRRs give it.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_f_segment(
        &mut self,
        variant: FSegment,
        host_mtrrs: &Mtrrs,
    ) -> Result<InvalidationDebt, Error> {
        let range = GpaRange::new(Gpa::new(0xF_0000), 0x1_0000).unwrap_or_default();
        let host = Hpa::new(0xF_0000);
        let shared = |permissions| EptAttributes::new(permissions, MemoryType::WRITE_BACK);
        match variant {
            FSegment::OwnCopy(copy) => self.map(range, copy, EptAttributes::RAM),
            FSegment::Identity(permissions) => {
                self.map_by_mtrrs(range, host, shared(permissions), host_mtrrs)
            }
            FSegment::CopyOnWrite => {
                let attributes = shared(EptPermissions::RX);
                let rules = self.rules;
                self.map_parts(range, host, host_mtrrs, |part, to, memory_type| {
                    let attributes = EptAttributes { memory_type, ..attributes };
                    copy_on_write(&rules, part, to, attributes)
                })
            }
        }
    }
}

fn copy_on_write(
    rules: &EptRules,
    range: GpaRange,
    to: Hpa,
    attributes: EptAttributes,
) -> Result<Edit, Error> {
    let permissions = attributes.permissions - EptPermissions::WRITE;
    let mut mapper = rules.mapper(range, to, EptAttributes { permissions, ..attributes })?;
    mapper.bits |= EptEntry::COPY_ON_WRITE;
    Ok(Edit::Map(mapper))
}
