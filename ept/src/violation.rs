//! Why a guest exited.

use guest_state::Gpa;

use crate::{Ept, EptControls, EptPermissions, Level, Misconfiguration, TableMemory, WalkEnd};

/// The exit qualification of an EPT violation.
///
/// | bit | |
/// |---|---|
/// | 0, 1, 2 | the access was a data read, a data write, an instruction fetch |
/// | 3, 4, 5, 6 | the entries together allowed reads, writes, fetches, fetches as user |
/// | 7 | the guest-linear address is valid |
/// | 8 | the access was to the page itself, not to a guest paging structure (if bit 7) |
/// | 9, 10, 11 | with advanced information: user address, writable, not executable for the guest |
/// | 12 | NMIs were unblocked by IRET |
/// | 13, 14 | shadow-stack access; to a page that allows supervisor shadow stacks |
/// | 15 | guest-paging verification |
/// | 16 | not caused by the instruction itself |
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for EPT Violations".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EptAccess(pub u64);

impl EptAccess {
    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 != 0
    }

    /// Tells whether it was a data read; both read and write for a read-modify-write, and for
    /// guest paging structures where accessed and dirty flags are on.
    #[must_use]
    pub const fn is_read(self) -> bool {
        self.bit(0)
    }

    /// Tells whether it was a data write.
    #[must_use]
    pub const fn is_write(self) -> bool {
        self.bit(1)
    }

    /// Tells whether it was an instruction fetch.
    #[must_use]
    pub const fn is_fetch(self) -> bool {
        self.bit(2)
    }

    /// Tells whether the VMCS field for the guest-linear address is valid.
    #[must_use]
    pub const fn has_linear_address(self) -> bool {
        self.bit(7)
    }

    /// Tells whether the guest was translating a linear address: the access was to one of its
    /// paging structures.
    #[must_use]
    pub const fn is_page_walk(self) -> bool {
        self.bit(7) && !self.bit(8)
    }

    /// Tells whether NMIs were unblocked by the IRET that this exit interrupts.
    #[must_use]
    pub const fn unblocked_nmi(self) -> bool {
        self.bit(12)
    }

    /// Tells whether it was a shadow-stack access.
    #[must_use]
    pub const fn is_shadow_stack(self) -> bool {
        self.bit(13)
    }

    /// Tells whether guest-paging verification refused the access.
    #[must_use]
    pub const fn is_guest_paging_verification(self) -> bool {
        self.bit(15)
    }
}

/// Why an access caused an EPT violation or an EPT misconfiguration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explanation {
    /// Nothing is mapped there: the entry of this level is not present. `None` if the address is
    /// above the guest-physical width.
    NotMapped(Option<Level>),
    /// A page is mapped there, but the access needs a permission that it does not give.
    Denied {
        /// What the access needs and does not have.
        missing: EptPermissions,
        /// What the entries allow.
        allowed: EptPermissions,
    },
    /// A write to a page that is write-protected only for the log: [`Ept::log_write`].
    Logged,
    /// A write to a page that is to be copied first: [`Ept::copy_page`].
    CopyOnWrite,
    /// An entry is misconfigured.
    Misconfigured {
        /// The level of its table.
        level: Level,
        /// What is wrong with it.
        reason: Misconfiguration,
    },
    /// Permissions suffice, but guest-paging verification refused the guest's translation.
    GuestPaging,
    /// Permissions suffice, but the page does not allow supervisor shadow stacks.
    ShadowStack,
    /// The tables allow the access now: the CPU used what it remembered from before an edit. The
    /// exit has made it forget; let the guest try again.
    Stale,
    /// An entry points to a table that the table memory does not know.
    LostTable(Level),
}

impl<M: TableMemory> Ept<M> {
    /// Explains an EPT violation at `gpa` with the exit qualification `access`.
    ///
    /// For an EPT misconfiguration, whose exit qualification is undefined, pass `EptAccess(0)`.
    #[must_use]
    pub fn explain(&self, gpa: Gpa, access: EptAccess) -> Explanation {
        let walk = self.walk(gpa);
        let level = walk.last().map(|step| step.level);
        match (walk.end(), level) {
            (WalkEnd::Misconfigured(reason), Some(level)) => {
                return Explanation::Misconfigured { level, reason };
            }
            (WalkEnd::Page(_), Some(_)) => {}
            (WalkEnd::LostTable(_), Some(level)) => return Explanation::LostTable(level),
            _ => return Explanation::NotMapped(level),
        }
        let allowed = walk.permissions();
        let missing = self.needed(access) - allowed;
        let leaf = walk.last().map(|step| step.entry).unwrap_or_default();
        if missing == EptPermissions::WRITE && leaf.is_logged() {
            Explanation::Logged
        } else if missing == EptPermissions::WRITE && leaf.is_copy_on_write() {
            Explanation::CopyOnWrite
        } else if !missing.is_empty() {
            Explanation::Denied { missing, allowed }
        } else if access.is_guest_paging_verification() {
            Explanation::GuestPaging
        } else if access.is_shadow_stack() {
            Explanation::ShadowStack
        } else {
            Explanation::Stale
        }
    }

    /// Returns the permissions that an access needs.
    fn needed(&self, access: EptAccess) -> EptPermissions {
        let mut needed = EptPermissions::empty();
        needed.set(EptPermissions::READ, access.is_read());
        needed.set(EptPermissions::WRITE, access.is_write());
        if access.is_fetch() {
            let by_mode = self.rules.options().controls.contains(EptControls::MODE_BASED_EXECUTE);
            let told = self.rules.caps().advanced_exit_information()
                && access.has_linear_address()
                && !access.is_page_walk();
            needed |= match (by_mode, told) {
                (false, _) => EptPermissions::EXECUTE,
                (true, true) if access.bit(9) => EptPermissions::EXECUTE_USER,
                (true, true) => EptPermissions::EXECUTE,
                // Nobody says who fetched: if one mode may and the other not, it was the other,
                // which alone will be missing.
                (true, false) => EptPermissions::X,
            };
        }
        needed
    }
}
