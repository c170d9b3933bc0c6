//! What the CPU can do, and how the tables will be used.

use bitflags::bitflags;
use guest_state::PageSize;

use crate::{Error, Invvpid, Level, Requirement};

/// The capabilities of a CPU's EPT and VPID.
///
/// | bits | of `IA32_VMX_EPT_VPID_CAP` |
/// |---|---|
/// | 0 | execute-only pages |
/// | 6, 7 | page-walk length 4, 5 |
/// | 8, 14 | tables in uncacheable, write-back memory |
/// | 16, 17 | pages of 2 MiB, 1 GiB |
/// | 20, 25, 26 | INVEPT, its single-context and all-context types |
/// | 21 | accessed and dirty flags |
/// | 22 | advanced information in the exit qualification |
/// | 23 | supervisor shadow-stack control |
/// | 32, 40 to 43 | INVVPID, its types 0 to 3 |
///
/// # Source
/// Intel SDM Vol. 3D, "VPID and EPT Capabilities".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EptCaps {
    msr: u64,
    physical_bits: u32,
}

impl EptCaps {
    /// Takes the value of the MSR `IA32_VMX_EPT_VPID_CAP` (48CH), and MAXPHYADDR as CPUID
    /// 8000_0008H gives it in EAX\[7:0\]; what passes 52 counts as 52.
    #[must_use]
    pub const fn new(ept_vpid_cap: u64, physical_bits: u32) -> Self {
        let physical_bits = if physical_bits > 52 { 52 } else { physical_bits };
        Self { msr: ept_vpid_cap, physical_bits }
    }

    /// Returns the value of the MSR.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.msr
    }

    /// Returns MAXPHYADDR, 52 at most.
    #[must_use]
    pub const fn physical_bits(self) -> u32 {
        self.physical_bits
    }

    const fn has(self, bit: u32) -> bool {
        self.msr >> bit & 1 != 0
    }

    /// Tells whether a page may be executable but not readable.
    #[must_use]
    pub const fn execute_only(self) -> bool {
        self.has(0)
    }

    /// Tells whether tables of four levels work.
    #[must_use]
    pub const fn four_levels(self) -> bool {
        self.has(6)
    }

    /// Tells whether tables of five levels work.
    #[must_use]
    pub const fn five_levels(self) -> bool {
        self.has(7)
    }

    /// Tells whether the tables may be accessed as uncacheable memory.
    #[must_use]
    pub const fn uncacheable_tables(self) -> bool {
        self.has(8)
    }

    /// Tells whether the tables may be accessed as write-back memory.
    #[must_use]
    pub const fn write_back_tables(self) -> bool {
        self.has(14)
    }

    /// Tells whether entries can map pages of `size`.
    #[must_use]
    pub const fn page_size(self, size: PageSize) -> bool {
        match size {
            PageSize::Size4K => true,
            PageSize::Size2M => self.has(16),
            PageSize::Size1G => self.has(17),
        }
    }

    /// Tells whether accessed and dirty flags work.
    #[must_use]
    pub const fn accessed_dirty(self) -> bool {
        self.has(21)
    }

    /// Tells whether exit qualifications of EPT violations describe the guest's own translation.
    #[must_use]
    pub const fn advanced_exit_information(self) -> bool {
        self.has(22)
    }

    /// Tells whether the supervisor shadow-stack control works.
    #[must_use]
    pub const fn shadow_stack_control(self) -> bool {
        self.has(23)
    }

    /// Tells whether INVEPT works for a single context.
    #[must_use]
    pub const fn invept_single_context(self) -> bool {
        self.has(20) && self.has(25)
    }

    /// Tells whether INVEPT works for all contexts.
    #[must_use]
    pub const fn invept_all_contexts(self) -> bool {
        self.has(20) && self.has(26)
    }

    /// Tells whether INVVPID of this type works.
    #[must_use]
    pub const fn invvpid(self, wanted: Invvpid) -> bool {
        let bit = match wanted {
            Invvpid::Address(..) => 40,
            Invvpid::SingleContext(_) => 41,
            Invvpid::AllContexts => 42,
            Invvpid::SingleContextRetainingGlobals(_) => 43,
        };
        self.has(32) && self.has(bit)
    }
}

bitflags! {
    /// Settings outside the tables that change what entries mean.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EptControls: u8 {
        /// The CPU sets accessed and dirty flags: bit 6 of the EPT pointer.
        ///
        /// The guest's own page tables then count as written whenever they are walked, so they
        /// must not lie in read-only memory.
        const ACCESSED_DIRTY = 1 << 0;
        /// User and supervisor code have execute permissions of their own: the VM-execution
        /// control "mode-based execute control for EPT".
        const MODE_BASED_EXECUTE = 1 << 1;
        /// Bit 58 of an entry counts: the VM-execution control "EPT paging-write control".
        const PAGING_WRITE = 1 << 2;
        /// Bit 60 of an entry counts: bit 7 of the EPT pointer.
        const SHADOW_STACK = 1 << 3;
    }
}

/// How the tables will be used.
///
/// The default is what every CPU with EPT can do: four levels, no controls, and the largest pages
/// that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EptOptions {
    /// Five levels instead of four.
    pub five_levels: bool,
    /// The settings that change what entries mean.
    pub controls: EptControls,
    /// The largest pages to map and to merge to, where the CPU has them.
    pub largest_page: PageSize,
}

impl Default for EptOptions {
    fn default() -> Self {
        Self { five_levels: false, controls: EptControls::empty(), largest_page: PageSize::Size1G }
    }
}

impl EptOptions {
    /// Returns the level of the root table.
    #[must_use]
    pub const fn top_level(&self) -> Level {
        if self.five_levels { Level::Pml5 } else { Level::Pml4 }
    }

    /// Checks that a CPU can do all this.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the first thing that it lacks.
    pub const fn check(&self, caps: EptCaps) -> Result<(), Error> {
        let missing = if !self.five_levels && !caps.four_levels() {
            Requirement::FourLevels
        } else if self.five_levels && !caps.five_levels() {
            Requirement::FiveLevels
        } else if !caps.write_back_tables() && !caps.uncacheable_tables() {
            Requirement::TableMemoryType
        } else if !caps.invept_single_context() && !caps.invept_all_contexts() {
            Requirement::Invept
        } else if self.controls.contains(EptControls::ACCESSED_DIRTY) && !caps.accessed_dirty() {
            Requirement::AccessedDirty
        } else if self.controls.contains(EptControls::SHADOW_STACK) && !caps.shadow_stack_control()
        {
            Requirement::ShadowStack
        } else {
            return Ok(());
        };
        Err(Error::Unsupported(missing))
    }
}
