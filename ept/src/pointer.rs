//! The EPT pointer.

use guest_state::Hpa;

use crate::{EptControls, EptRules};

/// An EPT pointer (EPTP), as the VMCS and INVEPT take it.
///
/// | bits | |
/// |---|---|
/// | 2:0 | memory type of the tables: 0 uncacheable, 6 write-back |
/// | 5:3 | levels minus 1 |
/// | 6 | accessed and dirty flags |
/// | 7 | supervisor shadow-stack control |
/// | 51:12 | the root table |
///
/// # Source
/// Intel SDM Vol. 3C, "Extended-Page-Table Pointer (EPTP)".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EptPointer(u64);

impl EptPointer {
    /// Makes the pointer to `root`, whose entries follow `rules`.
    pub(crate) const fn new(root: Hpa, rules: &EptRules) -> Self {
        let memory_type = if rules.caps().write_back_tables() { 6 } else { 0 };
        let levels = rules.options().top_level() as u64;
        let controls = rules.options().controls;
        let accessed_dirty = controls.contains(EptControls::ACCESSED_DIRTY) as u64;
        let shadow_stack = controls.contains(EptControls::SHADOW_STACK) as u64;
        Self(
            root.as_u64()
                | shadow_stack << 7
                | accessed_dirty << 6
                | (levels - 1) << 3
                | memory_type,
        )
    }

    /// Returns the value for the VMCS field.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the address of the root table.
    #[must_use]
    pub const fn root(self) -> Hpa {
        Hpa::new(self.0 & 0x000F_FFFF_FFFF_F000)
    }
}

impl core::fmt::Debug for EptPointer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "EptPointer({:#x})", self.0)
    }
}
