//! What EPT and VPID can do.

use bitflags::bitflags;

bitflags! {
    /// `IA32_VMX_EPT_VPID_CAP`: what EPT and VPID can do.
    ///
    /// # Source
    /// Intel SDM Vol. 3D, "VPID and EPT Capabilities".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EptVpidCaps: u64 {
        /// EPT pages may be executable only.
        const EXECUTE_ONLY = 1 << 0;
        /// The page walk may have 4 levels.
        const WALK_4_LEVELS = 1 << 6;
        /// The page walk may have 5 levels.
        const WALK_5_LEVELS = 1 << 7;
        /// EPT paging structures may be uncacheable.
        const STRUCTURES_UNCACHEABLE = 1 << 8;
        /// EPT paging structures may be write-back.
        const STRUCTURES_WRITE_BACK = 1 << 14;
        /// Pages of 2 MiB.
        const PAGES_2M = 1 << 16;
        /// Pages of 1 GiB.
        const PAGES_1G = 1 << 17;
        /// INVEPT exists.
        const INVEPT = 1 << 20;
        /// Accessed and dirty flags.
        const ACCESSED_DIRTY = 1 << 21;
        /// EPT violations come with information on the guest's own translation.
        const ADVANCED_EXIT_INFORMATION = 1 << 22;
        /// Pages for supervisor shadow stacks.
        const SUPERVISOR_SHADOW_STACK = 1 << 23;
        /// INVEPT of one context.
        const INVEPT_SINGLE_CONTEXT = 1 << 25;
        /// INVEPT of all contexts.
        const INVEPT_ALL_CONTEXTS = 1 << 26;
        /// INVVPID exists.
        const INVVPID = 1 << 32;
        /// INVVPID of one address.
        const INVVPID_ADDRESS = 1 << 40;
        /// INVVPID of one VPID.
        const INVVPID_SINGLE_CONTEXT = 1 << 41;
        /// INVVPID of all VPIDs.
        const INVVPID_ALL_CONTEXTS = 1 << 42;
        /// INVVPID of one VPID, global translations kept.
        const INVVPID_RETAINING_GLOBALS = 1 << 43;
        const _ = !0;
    }
}

impl EptVpidCaps {
    /// Returns the greatest HLAT prefix size.
    #[must_use]
    pub const fn hlat_prefix_limit(self) -> u64 {
        self.bits() >> 48 & 0x3F
    }
}
