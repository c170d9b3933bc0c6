//! What the processor can do: the VMX capability MSRs as one value.

mod allowed;
mod ept_vpid;
mod models;
mod text;

pub use allowed::{Allowed, ControlSet};
pub use ept_vpid::EptVpidCaps;
pub(crate) use text::msr_name;

use guest_state::Gva;

use crate::{
    EntryControls, Error, ExitControls, FieldEncoding, PinBasedControls, PrimaryControls,
    SecondaryControls, SecondaryExitControls, TertiaryControls,
};

/// Numbers of the VMX capability MSRs, and of `IA32_FEATURE_CONTROL`.
///
/// # Source
/// Intel SDM Vol. 3D, "VMX Capability Reporting Facility".
pub mod msr {
    /// `IA32_FEATURE_CONTROL`.
    pub const FEATURE_CONTROL: u32 = 0x3A;
    /// `IA32_VMX_BASIC`.
    pub const BASIC: u32 = 0x480;
    /// `IA32_VMX_PINBASED_CTLS`.
    pub const PIN_BASED: u32 = 0x481;
    /// `IA32_VMX_PROCBASED_CTLS`.
    pub const PRIMARY: u32 = 0x482;
    /// `IA32_VMX_EXIT_CTLS`.
    pub const EXIT: u32 = 0x483;
    /// `IA32_VMX_ENTRY_CTLS`.
    pub const ENTRY: u32 = 0x484;
    /// `IA32_VMX_MISC`.
    pub const MISC: u32 = 0x485;
    /// `IA32_VMX_CR0_FIXED0`: the bits that must be 1.
    pub const CR0_FIXED0: u32 = 0x486;
    /// `IA32_VMX_CR0_FIXED1`: the bits that may be 1.
    pub const CR0_FIXED1: u32 = 0x487;
    /// `IA32_VMX_CR4_FIXED0`: the bits that must be 1.
    pub const CR4_FIXED0: u32 = 0x488;
    /// `IA32_VMX_CR4_FIXED1`: the bits that may be 1.
    pub const CR4_FIXED1: u32 = 0x489;
    /// `IA32_VMX_VMCS_ENUM`.
    pub const VMCS_ENUM: u32 = 0x48A;
    /// `IA32_VMX_PROCBASED_CTLS2`.
    pub const SECONDARY: u32 = 0x48B;
    /// `IA32_VMX_EPT_VPID_CAP`.
    pub const EPT_VPID_CAP: u32 = 0x48C;
    /// `IA32_VMX_TRUE_PINBASED_CTLS`.
    pub const TRUE_PIN_BASED: u32 = 0x48D;
    /// `IA32_VMX_TRUE_PROCBASED_CTLS`.
    pub const TRUE_PRIMARY: u32 = 0x48E;
    /// `IA32_VMX_TRUE_EXIT_CTLS`.
    pub const TRUE_EXIT: u32 = 0x48F;
    /// `IA32_VMX_TRUE_ENTRY_CTLS`.
    pub const TRUE_ENTRY: u32 = 0x490;
    /// `IA32_VMX_VMFUNC`.
    pub const VMFUNC: u32 = 0x491;
    /// `IA32_VMX_PROCBASED_CTLS3`.
    pub const TERTIARY: u32 = 0x492;
    /// `IA32_VMX_EXIT_CTLS2`.
    pub const SECONDARY_EXIT: u32 = 0x493;
}

/// How many bits the processor's addresses have.
///
/// # Source
/// Intel SDM Vol. 2A, "CPUID", leaf 80000008H.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressWidths {
    /// Bits of a physical address: MAXPHYADDR.
    pub physical: u8,
    /// Bits of a linear address: 48, or 57 where 5-level paging exists.
    pub linear: u8,
}

impl AddressWidths {
    /// Takes the widths from EAX of CPUID leaf 8000_0008h.
    #[must_use]
    pub const fn from_cpuid(eax: u32) -> Self {
        let [physical, linear, ..] = eax.to_le_bytes();
        Self { physical, linear }
    }

    /// Returns the bits that a physical address can have.
    #[must_use]
    pub const fn physical_mask(self) -> u64 {
        match 1_u64.checked_shl(self.physical as u32) {
            Some(end) => end - 1,
            None => u64::MAX,
        }
    }

    /// Tells whether `address` is canonical.
    #[must_use]
    pub const fn is_canonical(self, address: u64) -> bool {
        Gva::new(address).is_canonical(self.linear as u32)
    }
}

/// What the processor can do: every VMX capability MSR, plain.
///
/// An MSR that a processor does not have is 0 here, which says the same: no control of it can be 1.
///
/// # Source
/// Intel SDM Vol. 3D, "VMX Capability Reporting Facility".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VmxCaps {
    /// `IA32_VMX_BASIC` (480h).
    pub basic: u64,
    /// `IA32_VMX_PINBASED_CTLS` (481h).
    pub pin_based: u64,
    /// `IA32_VMX_PROCBASED_CTLS` (482h).
    pub primary: u64,
    /// `IA32_VMX_EXIT_CTLS` (483h).
    pub exit: u64,
    /// `IA32_VMX_ENTRY_CTLS` (484h).
    pub entry: u64,
    /// `IA32_VMX_MISC` (485h).
    pub misc: u64,
    /// `IA32_VMX_CR0_FIXED0` (486h).
    pub cr0_fixed0: u64,
    /// `IA32_VMX_CR0_FIXED1` (487h).
    pub cr0_fixed1: u64,
    /// `IA32_VMX_CR4_FIXED0` (488h).
    pub cr4_fixed0: u64,
    /// `IA32_VMX_CR4_FIXED1` (489h).
    pub cr4_fixed1: u64,
    /// `IA32_VMX_VMCS_ENUM` (48Ah).
    pub vmcs_enum: u64,
    /// `IA32_VMX_PROCBASED_CTLS2` (48Bh).
    pub secondary: u64,
    /// `IA32_VMX_EPT_VPID_CAP` (48Ch).
    pub ept_vpid: EptVpidCaps,
    /// `IA32_VMX_TRUE_PINBASED_CTLS` (48Dh).
    pub true_pin_based: u64,
    /// `IA32_VMX_TRUE_PROCBASED_CTLS` (48Eh).
    pub true_primary: u64,
    /// `IA32_VMX_TRUE_EXIT_CTLS` (48Fh).
    pub true_exit: u64,
    /// `IA32_VMX_TRUE_ENTRY_CTLS` (490h).
    pub true_entry: u64,
    /// `IA32_VMX_VMFUNC` (491h).
    pub vmfunc: u64,
    /// `IA32_VMX_PROCBASED_CTLS3` (492h).
    pub tertiary: u64,
    /// `IA32_VMX_EXIT_CTLS2` (493h).
    pub secondary_exit: u64,
    /// The widths of addresses, which come from CPUID.
    pub widths: AddressWidths,
}

impl VmxCaps {
    /// Reads the capabilities with `read_msr`, which returns `None` for an MSR that it has not.
    ///
    /// An MSR whose existence depends on others is read only where those say that it exists: a
    /// RDMSR of any other would fault.
    ///
    /// # Errors
    /// [`Error::MissingMsr`] for the first MSR that should exist but that `read_msr` has not.
    pub fn read(
        widths: AddressWidths,
        mut read_msr: impl FnMut(u32) -> Option<u64>,
    ) -> Result<Self, Error> {
        let mut read = |exists: bool, number: u32| match exists {
            true => read_msr(number).ok_or(Error::MissingMsr { msr: number }),
            false => Ok(0),
        };
        let mut caps = Self {
            basic: read(true, msr::BASIC)?,
            pin_based: read(true, msr::PIN_BASED)?,
            primary: read(true, msr::PRIMARY)?,
            exit: read(true, msr::EXIT)?,
            entry: read(true, msr::ENTRY)?,
            misc: read(true, msr::MISC)?,
            cr0_fixed0: read(true, msr::CR0_FIXED0)?,
            cr0_fixed1: read(true, msr::CR0_FIXED1)?,
            cr4_fixed0: read(true, msr::CR4_FIXED0)?,
            cr4_fixed1: read(true, msr::CR4_FIXED1)?,
            vmcs_enum: read(true, msr::VMCS_ENUM)?,
            widths,
            ..Self::NONE
        };
        let has_true = caps.has_true_controls();
        caps.true_pin_based = read(has_true, msr::TRUE_PIN_BASED)?;
        caps.true_primary = read(has_true, msr::TRUE_PRIMARY)?;
        caps.true_exit = read(has_true, msr::TRUE_EXIT)?;
        caps.true_entry = read(has_true, msr::TRUE_ENTRY)?;

        let secondary = caps.allows(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS);
        caps.secondary = read(secondary, msr::SECONDARY)?;
        let tertiary = caps.allows(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS);
        caps.tertiary = read(tertiary, msr::TERTIARY)?;
        let secondary_exit = caps.allows(ExitControls::ACTIVATE_SECONDARY_CONTROLS);
        caps.secondary_exit = read(secondary_exit, msr::SECONDARY_EXIT)?;
        let ept_vpid = caps.allows(SecondaryControls::ENABLE_EPT)
            || caps.allows(SecondaryControls::ENABLE_VPID);
        caps.ept_vpid = EptVpidCaps::from_bits_retain(read(ept_vpid, msr::EPT_VPID_CAP)?);
        let vmfunc = caps.allows(SecondaryControls::ENABLE_VM_FUNCTIONS);
        caps.vmfunc = read(vmfunc, msr::VMFUNC)?;
        Ok(caps)
    }

    /// A processor that can do nothing, to start from.
    pub(crate) const NONE: Self = Self {
        basic: 0,
        pin_based: 0,
        primary: 0,
        exit: 0,
        entry: 0,
        misc: 0,
        cr0_fixed0: 0,
        cr0_fixed1: 0,
        cr4_fixed0: 0,
        cr4_fixed1: 0,
        vmcs_enum: 0,
        secondary: 0,
        ept_vpid: EptVpidCaps::empty(),
        true_pin_based: 0,
        true_primary: 0,
        true_exit: 0,
        true_entry: 0,
        vmfunc: 0,
        tertiary: 0,
        secondary_exit: 0,
        widths: AddressWidths { physical: 36, linear: 48 },
    };

    /// Returns the identifier that a VMCS or VMXON region must begin with.
    #[must_use]
    pub const fn revision_id(&self) -> RevisionId {
        let [b0, b1, b2, b3, ..] = self.basic.to_le_bytes();
        RevisionId(u32::from_le_bytes([b0, b1, b2, b3 & 0x7F]))
    }

    /// Returns how many bytes a VMCS or VMXON region has, at most 4,096.
    #[must_use]
    pub const fn vmcs_region_bytes(&self) -> u64 {
        self.basic >> 32 & 0x1FFF
    }

    /// Tells whether the addresses of VMX structures are limited to 32 bits.
    #[must_use]
    pub const fn has_32bit_addresses(&self) -> bool {
        self.basic & 1 << 48 != 0
    }

    /// Tells whether exits for INS and OUTS come with instruction information.
    #[must_use]
    pub const fn reports_string_io(&self) -> bool {
        self.basic & 1 << 54 != 0
    }

    /// Tells whether the TRUE MSRs exist, so that some controls of the default-1 class may be 0.
    #[must_use]
    pub const fn has_true_controls(&self) -> bool {
        self.basic & 1 << 55 != 0
    }

    /// Tells whether any hardware exception may be injected with or without an error code.
    #[must_use]
    pub const fn error_codes_are_free(&self) -> bool {
        self.basic & 1 << 56 != 0
    }

    /// Returns which bit of the TSC, when it changes, makes the VMX-preemption timer count down.
    #[must_use]
    pub const fn preemption_timer_shift(&self) -> u32 {
        let [low, ..] = self.misc.to_le_bytes();
        low as u32 & 0x1F
    }

    /// Tells whether exits store EFER.LMA into the IA-32e-mode-guest control.
    #[must_use]
    pub const fn exits_store_lma(&self) -> bool {
        self.misc & 1 << 5 != 0
    }

    /// Tells whether the activity state of this number can be entered; 0 always can.
    #[must_use]
    pub const fn allows_activity(&self, state: u32) -> bool {
        match state {
            0 => true,
            1..=3 => self.misc >> (5 + state) & 1 != 0,
            _ => false,
        }
    }

    /// Returns how many CR3-target values there are.
    #[must_use]
    pub const fn cr3_targets(&self) -> u64 {
        self.misc >> 16 & 0x1FF
    }

    /// Returns how many entries an MSR list should have at most.
    #[must_use]
    pub const fn most_list_entries(&self) -> u64 {
        512 * ((self.misc >> 25 & 7) + 1)
    }

    /// Tells whether VMWRITE may write to exit-information fields.
    #[must_use]
    pub const fn exit_information_is_writable(&self) -> bool {
        self.misc & 1 << 29 != 0
    }

    /// Tells whether software events may be injected with instruction length 0.
    #[must_use]
    pub const fn allows_zero_length_injection(&self) -> bool {
        self.misc & 1 << 30 != 0
    }

    /// Returns which bits of a set of controls must and may be 1.
    #[must_use]
    pub fn allowed<C: ControlSet>(&self) -> Allowed {
        C::allowed(self)
    }

    /// Tells whether all of these controls may be 1.
    #[must_use]
    pub fn allows<C: ControlSet>(&self, controls: C) -> bool {
        controls.as_u64() & !C::allowed(self).may_be_one == 0
    }

    /// Tells whether the field of this encoding exists.
    ///
    /// A field that no public list has counts as absent.
    #[must_use]
    pub fn has_field(&self, encoding: FieldEncoding) -> bool {
        let full = FieldEncoding::new(encoding.as_u32() & !1);
        if encoding.is_high() && encoding.width() != crate::Width::Bits64 {
            return false;
        }
        full.info().is_some_and(|info| info.existence.holds(self))
    }

    /// Returns `cr0` with the bits that VMX operation demands, and without those it forbids.
    #[must_use]
    pub const fn fixed_cr0(&self, cr0: u64) -> u64 {
        (cr0 | self.cr0_fixed0) & self.cr0_fixed1
    }

    /// Returns `cr4` with the bits that VMX operation demands, and without those it forbids.
    #[must_use]
    pub const fn fixed_cr4(&self, cr4: u64) -> u64 {
        (cr4 | self.cr4_fixed0) & self.cr4_fixed1
    }
}

/// The identifier that the first four bytes of a VMCS or VMXON region must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RevisionId(pub u32);

/// What a processor must have for a field to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the set of controls whose 1-setting it asks for")]
pub enum Existence {
    Always,
    PinBased(PinBasedControls),
    Primary(PrimaryControls),
    Secondary(SecondaryControls),
    Tertiary(TertiaryControls),
    Exit(ExitControls),
    SecondaryExit(SecondaryExitControls),
    Entry(EntryControls),
    EntryOrExit(EntryControls, ExitControls),
    EntryOrSecondaryExit(EntryControls, SecondaryExitControls),
    /// The VM function of this name.
    EptpSwitching,
}

impl Existence {
    /// Tells whether a processor of these capabilities has what is asked for.
    #[must_use]
    pub fn holds(self, caps: &VmxCaps) -> bool {
        match self {
            Self::Always => true,
            Self::PinBased(controls) => caps.allows(controls),
            Self::Primary(controls) => caps.allows(controls),
            Self::Secondary(controls) => caps.allows(controls),
            Self::Tertiary(controls) => caps.allows(controls),
            Self::Exit(controls) => caps.allows(controls),
            Self::SecondaryExit(controls) => caps.allows(controls),
            Self::Entry(controls) => caps.allows(controls),
            Self::EntryOrExit(entry, exit) => caps.allows(entry) || caps.allows(exit),
            Self::EntryOrSecondaryExit(entry, exit) => caps.allows(entry) || caps.allows(exit),
            Self::EptpSwitching => caps.vmfunc & 1 != 0,
        }
    }
}
