//! The entries of the tables.

use core::fmt;

use bitflags::bitflags;
use guest_state::{Hpa, MemoryType};

use crate::Level;

bitflags! {
    /// What a guest may do with a page, as the bits stand in an entry.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EptPermissions: u64 {
        /// Read data.
        const READ = 1 << 0;
        /// Write data.
        const WRITE = 1 << 1;
        /// Execute; with mode-based execute control, as supervisor.
        const EXECUTE = 1 << 2;
        /// Execute as user; ignored without mode-based execute control.
        const EXECUTE_USER = 1 << 10;
    }
}

impl EptPermissions {
    /// Everything.
    pub const RWX: Self = Self::all();
    /// Read and write.
    pub const RW: Self = Self::READ.union(Self::WRITE);
    /// Read and execute.
    pub const RX: Self = Self::READ.union(Self::EXECUTE).union(Self::EXECUTE_USER);
    /// Execute, no more: where the CPU has execute-only pages.
    pub const X: Self = Self::EXECUTE.union(Self::EXECUTE_USER);
}

/// Prints `rwxu`, with `-` for what is not allowed.
impl fmt::Display for EptPermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, letter) in
            [(Self::READ, "r"), (Self::WRITE, "w"), (Self::EXECUTE, "x"), (Self::EXECUTE_USER, "u")]
        {
            f.write_str(if self.contains(flag) { letter } else { "-" })?;
        }
        Ok(())
    }
}

bitflags! {
    /// The bits of a leaf that few need, as they stand in the entry.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EptFlags: u64 {
        /// The memory type is the entry's alone: the guest's PAT is ignored.
        const IGNORE_PAT = 1 << 6;
        /// Limits the guest paging structures that may lead here ("guest-paging verification").
        const VERIFY_GUEST_PAGING = 1 << 57;
        /// Guest paging may write here even where the guest may not ("EPT paging-write control").
        const PAGING_WRITE = 1 << 58;
        /// Supervisor shadow-stack accesses are allowed (bit 7 of the EPT pointer).
        const SUPERVISOR_SHADOW_STACK = 1 << 60;
        /// Write permission by 128 bytes ("sub-page write permissions"): such pages are of 4 KiB.
        const SUB_PAGE_WRITE = 1 << 61;
        /// A violation is an exit, never a virtualization exception ("EPT-violation #VE").
        const SUPPRESS_VE = 1 << 63;
    }
}

/// What a page is like: everything about it but where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EptAttributes {
    /// What the guest may do.
    pub permissions: EptPermissions,
    /// The memory type.
    pub memory_type: MemoryType,
    /// The bits that few need.
    pub flags: EptFlags,
}

impl EptAttributes {
    /// RAM: all permissions, write-back.
    pub const RAM: Self = Self::new(EptPermissions::RWX, MemoryType::WRITE_BACK);
    /// ROM: read and execute, write-back; a write is an EPT violation.
    pub const ROM: Self = Self::new(EptPermissions::RX, MemoryType::WRITE_BACK);
    /// A device of the host: read and write, uncacheable.
    pub const DEVICE: Self = Self::new(EptPermissions::RW, MemoryType::UNCACHEABLE);

    /// Makes attributes without flags.
    #[must_use]
    pub const fn new(permissions: EptPermissions, memory_type: MemoryType) -> Self {
        Self { permissions, memory_type, flags: EptFlags::empty() }
    }

    /// Returns the same with `flags` added.
    #[must_use]
    pub const fn with_flags(self, flags: EptFlags) -> Self {
        Self { flags: self.flags.union(flags), ..self }
    }

    /// Returns the bits as they stand in a leaf.
    pub(crate) const fn bits(self) -> u64 {
        self.permissions.bits() | (self.memory_type.0 as u64) << 3 | self.flags.bits()
    }
}

/// One entry of a table of any level.
///
/// | bits | in an entry that points to a table | in one that maps a page |
/// |---|---|---|
/// | 2:0 | read, write, execute | the same |
/// | 5:3 | reserved | memory type |
/// | 6 | reserved | ignore PAT |
/// | 7 | 0 | 1; ignored in a PT |
/// | 8 | accessed | accessed |
/// | 9 | ignored | dirty |
/// | 10 | execute as user | the same |
/// | 11 | ignored; ours: the table is uniform | ignored |
/// | 51:12 | the table | the page; low bits of a large page are reserved |
/// | 52, 53 | ignored | ours: writes are logged, the page is copied on write |
/// | 57, 58 | ignored | verify guest paging, paging-write access |
/// | 60, 61 | ignored | supervisor shadow stack; sub-page write permissions, in a PT |
/// | 63 | ignored | suppress #VE |
///
/// # Source
/// Intel SDM Vol. 3C, "EPT Translation Mechanism", the tables of entry formats.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EptEntry(u64);

impl EptEntry {
    /// The entry that maps nothing.
    pub const EMPTY: Self = Self(0);

    /// Maps a page, in a table above the PT.
    pub(crate) const LARGE: u64 = 1 << 7;
    pub(crate) const ACCESSED: u64 = 1 << 8;
    pub(crate) const DIRTY: u64 = 1 << 9;
    /// The bits that hardware sets on its own.
    pub(crate) const SET_BY_HARDWARE: u64 = Self::ACCESSED | Self::DIRTY;
    /// Bits 51:12.
    pub(crate) const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
    /// All bits but those that hardware sets.
    pub(crate) const BY_SOFTWARE: u64 = !Self::SET_BY_HARDWARE;
    /// The page is write-protected to see who writes it; without that it could be written.
    pub(crate) const LOGGED: u64 = 1 << 52;
    /// The page is write-protected until it has been copied.
    pub(crate) const COPY_ON_WRITE: u64 = 1 << 53;
    /// All entries of the table that this one points to are leaves that differ in their address
    /// alone, and that goes on from the first. Set only where hardware sets no flags.
    const UNIFORM: u64 = 1 << 11;
    /// The bits that hardware ignores and we use.
    pub(crate) const BY_US: u64 = Self::LOGGED | Self::COPY_ON_WRITE | Self::UNIFORM;
    pub(crate) const MEMORY_TYPE: u64 = 7 << 3;
    pub(crate) const PERMISSIONS: u64 = EptPermissions::all().bits();

    /// Takes an entry as it stands in memory, good or bad.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Makes the entry that points to a table and leaves all permissions to the leaves.
    pub(crate) const fn table(frame: Hpa) -> Self {
        Self(frame.as_u64() | Self::PERMISSIONS)
    }

    /// Returns an entry that points to a table, marked as to whether the table is uniform.
    pub(crate) const fn with_uniform(self, uniform: bool) -> Self {
        Self(if uniform { self.0 | Self::UNIFORM } else { self.0 & !Self::UNIFORM })
    }

    /// Tells whether an entry that points to a table is marked so that the table is uniform.
    pub(crate) const fn is_uniform(self) -> bool {
        self.0 & Self::UNIFORM != 0
    }

    /// Returns the entry as it stands in memory.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Tells whether any permission is given.
    ///
    /// An entry with [`EptPermissions::EXECUTE_USER`] alone, which this crate makes under
    /// mode-based execute control only, counts as present.
    #[must_use]
    pub const fn is_present(self) -> bool {
        self.0 & Self::PERMISSIONS != 0
    }

    /// Tells whether the entry, in a table of `level`, is present and maps a page.
    #[must_use]
    pub const fn is_leaf(self, level: Level) -> bool {
        self.is_present() && (matches!(level, Level::Pt) || self.0 & Self::LARGE != 0)
    }

    /// Tells whether the entry, in a table of `level`, points to a table.
    #[must_use]
    pub const fn is_table(self, level: Level) -> bool {
        self.is_present() && !self.is_leaf(level)
    }

    /// Returns the table that the entry, in a table above the PT, points to, if it does.
    ///
    /// Such an entry, as this crate makes it, has 07H in its low byte; that of a hole is zero, and
    /// that of a large page is negative. One comparison tells them apart. It has none of bits 63:52,
    /// so that to mask the low bits is enough.
    pub(crate) const fn next_table(self) -> Option<Hpa> {
        let [low, ..] = self.0.to_le_bytes();
        if low.cast_signed() > 0 { Some(Hpa::new(self.0 & !0xFFF)) } else { None }
    }

    /// Returns the address in bits 51:12: of a table, or of a page with its reserved bits.
    #[must_use]
    pub const fn address(self) -> Hpa {
        Hpa::new(self.0 & Self::ADDRESS)
    }

    /// Returns what the guest may do.
    #[must_use]
    pub const fn permissions(self) -> EptPermissions {
        EptPermissions::from_bits_truncate(self.0)
    }

    /// Returns the memory type of a leaf.
    #[must_use]
    pub const fn memory_type(self) -> MemoryType {
        let [low, ..] = self.0.to_le_bytes();
        MemoryType(low >> 3 & 7)
    }

    /// Returns the flags of a leaf.
    #[must_use]
    pub const fn flags(self) -> EptFlags {
        EptFlags::from_bits_truncate(self.0)
    }

    /// Tells whether writes to a leaf's page are logged, for which it is write-protected.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        self.0 & Self::LOGGED != 0
    }

    /// Tells whether a leaf's page is to be copied when it is written.
    #[must_use]
    pub const fn is_copy_on_write(self) -> bool {
        self.0 & Self::COPY_ON_WRITE != 0
    }

    /// Returns what a leaf's page is like.
    #[must_use]
    pub const fn attributes(self) -> EptAttributes {
        EptAttributes {
            permissions: self.permissions(),
            memory_type: self.memory_type(),
            flags: self.flags(),
        }
    }

    /// Tells whether the page was accessed, or the table walked.
    #[must_use]
    pub const fn is_accessed(self) -> bool {
        self.0 & Self::ACCESSED != 0
    }

    /// Tells whether the page was written.
    #[must_use]
    pub const fn is_dirty(self) -> bool {
        self.0 & Self::DIRTY != 0
    }

    /// Returns the bits that software alone writes.
    pub(crate) const fn without_accessed_dirty(self) -> u64 {
        self.0 & Self::BY_SOFTWARE
    }

    /// Returns the leaf for part `index` of this leaf's page, in a table of `below`.
    pub(crate) const fn piece(self, index: u64, below: Level) -> Self {
        Self((self.0 & !Self::LARGE | below.large_bit()) + (index << below.shift()))
    }

    /// Tells whether a CPU may use what it remembers of `self` in a way that `new` forbids, so
    /// that INVEPT is due after the entry has changed.
    ///
    /// Nothing is remembered of what is not present. More permissions are free: a violation
    /// by what was remembered forgets it. Flags set by hardware may appear, but not vanish.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Guidelines for Use of the INVEPT Instruction".
    #[must_use]
    pub const fn change_needs_invept(self, new: Self) -> bool {
        let free = Self::PERMISSIONS | Self::SET_BY_HARDWARE;
        let (old, new) = (self.0 & !Self::BY_US, new.0 & !Self::BY_US);
        self.is_present() && (old & !new & free != 0 || (old ^ new) & !free != 0)
    }
}

impl fmt::Debug for EptEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EptEntry({:#x})", self.0)
    }
}
