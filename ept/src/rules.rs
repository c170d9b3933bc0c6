//! What may stand in an entry.

use guest_state::{Hpa, MemoryType, PageSize};

use crate::{
    EptAttributes, EptCaps, EptControls, EptEntry, EptFlags, EptOptions, EptPermissions,
    EptPointer, Error, Level, Requirement,
};

/// The rules for entries on one CPU under given options: builds those that are right, and names
/// what is wrong with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EptRules {
    caps: EptCaps,
    options: EptOptions,
}

/// Why an entry is misconfigured: a walk that meets it exits with an EPT misconfiguration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misconfiguration {
    /// Write is allowed but read is not.
    WriteWithoutRead,
    /// Execute is allowed but read is not, on a CPU without execute-only pages.
    ExecuteOnly,
    /// Guest paging may write but nobody may read.
    PagingWriteWithoutRead,
    /// These reserved bits are set.
    ReservedBits(u64),
    /// The leaf has a memory type that does not exist.
    MemoryType(MemoryType),
}

impl EptRules {
    /// Makes the rules.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the CPU lacks what the options need.
    pub const fn new(caps: EptCaps, options: EptOptions) -> Result<Self, Error> {
        match options.check(caps) {
            Ok(()) => Ok(Self { caps, options }),
            Err(error) => Err(error),
        }
    }

    /// Returns what the CPU can do.
    #[must_use]
    pub const fn caps(&self) -> EptCaps {
        self.caps
    }

    /// Returns how the tables are used.
    #[must_use]
    pub const fn options(&self) -> EptOptions {
        self.options
    }

    pub(crate) const fn set_largest_page(&mut self, size: PageSize) {
        self.options.largest_page = size;
    }

    const fn control(&self, control: EptControls) -> bool {
        self.options.controls.contains(control)
    }

    /// Tells whether hardware sets accessed and dirty flags.
    pub(crate) const fn accessed_dirty(&self) -> bool {
        self.control(EptControls::ACCESSED_DIRTY)
    }

    /// Returns how many bits of a guest-physical address the tables translate: 48 or 57.
    #[must_use]
    pub const fn guest_bits(&self) -> u32 {
        self.options.top_level().shift() + 9
    }

    /// Tells whether entries of `level` may map pages: the CPU can, and the options allow it.
    #[must_use]
    pub const fn maps_pages(&self, level: Level) -> bool {
        match level.page_size() {
            Some(size) => {
                self.caps.page_size(size)
                    && level as u8 <= Level::of_page(self.options.largest_page) as u8
            }
            None => false,
        }
    }

    /// Makes the entry of `level` that maps the page at `hpa`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if entries of `level` can't map pages, or not with
    /// [`EptFlags::SUB_PAGE_WRITE`]; [`Error::MisalignedPage`],
    /// [`Error::PastHostWidth`], [`Error::Permissions`], [`Error::MemoryType`].
    pub fn leaf(
        &self,
        level: Level,
        hpa: Hpa,
        attributes: EptAttributes,
    ) -> Result<EptEntry, Error> {
        let bits = self.attribute_bits(attributes)?;
        let sub_page = attributes.flags.contains(EptFlags::SUB_PAGE_WRITE);
        if !self.maps_pages(level) || (sub_page && level != Level::Pt) {
            return Err(Error::Unsupported(Requirement::PageSize));
        }
        if !hpa.is_aligned(level.span_bytes()) {
            return Err(Error::MisalignedPage(hpa));
        }
        self.check_host(hpa, level.span_bytes())?;
        Ok(EptEntry::from_bits(hpa.as_u64() | level.large_bit() | bits))
    }

    /// Makes the entry that points to the table at `frame`, with all permissions.
    ///
    /// # Errors
    /// [`Error::BadFrame`] if it is not aligned to 4 KiB or lies beyond the physical width.
    pub const fn table(&self, frame: Hpa) -> Result<EptEntry, Error> {
        if frame.as_u64() & (0xFFF | self.beyond_physical()) != 0 {
            return Err(Error::BadFrame(frame));
        }
        Ok(EptEntry::table(frame))
    }

    /// Makes the pointer to the root table at `frame`.
    ///
    /// # Errors
    /// [`Error::BadFrame`] if it is not aligned to 4 KiB or lies beyond the physical width.
    pub const fn pointer(&self, frame: Hpa) -> Result<EptPointer, Error> {
        match self.table(frame) {
            Ok(_) => Ok(EptPointer::new(frame, self)),
            Err(error) => Err(error),
        }
    }

    /// Returns the bits of a leaf that give its page these attributes.
    pub(crate) fn attribute_bits(&self, attributes: EptAttributes) -> Result<u64, Error> {
        if !attributes.memory_type.is_valid_in_mtrr() {
            return Err(Error::MemoryType(attributes.memory_type));
        }
        let entry = EptEntry::from_bits(attributes.bits());
        if !self.is_present(entry) || self.misconfiguration(entry, Level::Pt).is_some() {
            return Err(Error::Permissions(attributes.permissions));
        }
        Ok(entry.bits())
    }

    /// Checks that `size_bytes` from `hpa` on exist.
    pub(crate) fn check_host(&self, hpa: Hpa, size_bytes: u64) -> Result<(), Error> {
        let bits = self.caps.physical_bits();
        match hpa.checked_add(size_bytes) {
            Some(end) if end.as_u64() <= 1 << bits => Ok(()),
            _ => Err(Error::PastHostWidth { hpa, size_bytes, bits }),
        }
    }

    const fn beyond_physical(&self) -> u64 {
        !((1 << self.caps.physical_bits()) - 1)
    }

    /// Tells whether hardware takes the entry for present.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "EPT Translation Mechanism".
    #[must_use]
    pub const fn is_present(&self, entry: EptEntry) -> bool {
        let counted = if self.control(EptControls::MODE_BASED_EXECUTE) {
            EptPermissions::all().bits()
        } else {
            0b111
        };
        entry.bits() & counted != 0
    }

    /// Tells whether hardware takes the entry, present in a table of `level`, for a leaf: its bit
    /// 7 says so, if pages of that size exist.
    #[must_use]
    pub const fn is_leaf(&self, entry: EptEntry, level: Level) -> bool {
        match level.page_size() {
            Some(PageSize::Size4K) => true,
            Some(size) => entry.bits() & EptEntry::LARGE != 0 && self.caps.page_size(size),
            None => false,
        }
    }

    /// Returns the bits that must be zero in a present entry of `level`.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "EPT Translation Mechanism", the tables of entry formats; bit 7 is
    /// reserved where pages of that size don't exist.
    #[must_use]
    pub const fn reserved_bits(&self, entry: EptEntry, level: Level) -> u64 {
        let beyond = EptEntry::ADDRESS & self.beyond_physical();
        let by_level = match (level, self.is_leaf(entry, level)) {
            (Level::Pt, _) => 0,
            (_, true) => (level.span_bytes() - 1) & EptEntry::ADDRESS,
            (_, false) => EptEntry::MEMORY_TYPE | EptFlags::IGNORE_PAT.bits() | EptEntry::LARGE,
        };
        beyond | by_level
    }

    /// Names what is wrong with an entry of a table of `level`; an entry that is not present is
    /// never wrong.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "EPT Misconfigurations".
    #[must_use]
    pub const fn misconfiguration(
        &self,
        entry: EptEntry,
        level: Level,
    ) -> Option<Misconfiguration> {
        if !self.is_present(entry) {
            return None;
        }
        let permissions = entry.permissions();
        let leaf = self.is_leaf(entry, level);
        if !permissions.contains(EptPermissions::READ) {
            let executable = permissions.contains(EptPermissions::EXECUTE)
                || (permissions.contains(EptPermissions::EXECUTE_USER)
                    && self.control(EptControls::MODE_BASED_EXECUTE));
            if permissions.contains(EptPermissions::WRITE) {
                return Some(Misconfiguration::WriteWithoutRead);
            }
            if executable && !self.caps.execute_only() {
                return Some(Misconfiguration::ExecuteOnly);
            }
            let paging_write = entry.flags().contains(EptFlags::PAGING_WRITE);
            if leaf && paging_write && self.control(EptControls::PAGING_WRITE) {
                return Some(Misconfiguration::PagingWriteWithoutRead);
            }
        }
        let reserved = entry.bits() & self.reserved_bits(entry, level);
        if reserved != 0 {
            return Some(Misconfiguration::ReservedBits(reserved));
        }
        if leaf && !entry.memory_type().is_valid_in_mtrr() {
            return Some(Misconfiguration::MemoryType(entry.memory_type()));
        }
        None
    }
}
