//! The fixed ACPI description table: where the power-management registers are and what they can.

use bitflags::bitflags;
use zerocopy::IntoBytes;

use crate::register::Access;
use crate::spec::SdtHeader;
use crate::{Error, FixedHardware, Hardware, ReducedHardware, ResetRegister, Sdt, Signature};

/// Which layout the table has.
///
/// # Source
/// "Fixed ACPI Description Table" in ACPI 1.0b, 2.0c, 3.0b, 5.0a, 5.1 and 6.0 to 6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FadtRevision {
    major: u8,
    minor: u8,
}

impl FadtRevision {
    /// ACPI 1.0: no reset register, no address above 4 GiB.
    pub const V1: Self = Self { major: 1, minor: 0 };
    /// ACPI 2.0.
    pub const V3: Self = Self { major: 3, minor: 0 };
    /// ACPI 3.0 and 4.0.
    pub const V4: Self = Self { major: 4, minor: 0 };
    /// ACPI 5.0: the first with hardware-reduced machines.
    pub const V5_0: Self = Self { major: 5, minor: 0 };
    /// ACPI 5.1.
    pub const V5_1: Self = Self { major: 5, minor: 1 };
    /// ACPI 6.0.
    pub const V6_0: Self = Self { major: 6, minor: 0 };
    /// ACPI 6.3.
    pub const V6_3: Self = Self { major: 6, minor: 3 };
    /// ACPI 6.4.
    pub const V6_4: Self = Self { major: 6, minor: 4 };
    /// ACPI 6.5.
    pub const V6_5: Self = Self { major: 6, minor: 5 };

    /// Returns the revision that the header says.
    #[must_use]
    pub const fn major(self) -> u8 {
        self.major
    }

    /// Returns how long the table is, header included.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        match self.major {
            ..=2 => 116,
            3 | 4 => 244,
            5 => 268,
            _ => 276,
        }
    }

    /// Returns the boot architecture flags that the revision defines.
    const fn boot_arch(self) -> BootArch {
        match self.major {
            ..=2 => BootArch::empty(),
            3 => BootArch::LEGACY_DEVICES.union(BootArch::KEYBOARD_8042),
            4 => BootArch::all().difference(BootArch::CMOS_RTC_NOT_PRESENT),
            _ => BootArch::all(),
        }
    }
}

/// "Preferred PM Profile System Types": what the machine is used as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct PmProfile(pub u8);

impl PmProfile {
    /// Not said.
    pub const UNSPECIFIED: Self = Self(0);
    /// Desktop.
    pub const DESKTOP: Self = Self(1);
    /// Mobile.
    pub const MOBILE: Self = Self(2);
    /// Workstation.
    pub const WORKSTATION: Self = Self(3);
    /// Enterprise server.
    pub const ENTERPRISE_SERVER: Self = Self(4);
}

bitflags! {
    /// "IA-PC Boot Architecture Flags": what a guest finds without looking for it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BootArch: u16 {
        /// There are user-visible devices on the LPC or ISA bus.
        const LEGACY_DEVICES = 1 << 0;
        /// There is an 8042 keyboard controller at ports 0x60 and 0x64.
        const KEYBOARD_8042 = 1 << 1;
        /// There is no VGA: don't touch its registers and memory.
        const VGA_NOT_PRESENT = 1 << 2;
        /// Don't use message-signalled interrupts.
        const MSI_NOT_SUPPORTED = 1 << 3;
        /// Don't use PCI Express active-state power management.
        const PCIE_ASPM_NOT_SUPPORTED = 1 << 4;
        /// There is no CMOS clock at ports 0x70 and 0x71.
        const CMOS_RTC_NOT_PRESENT = 1 << 5;
    }
}

bitflags! {
    /// "Fixed Feature Flags".
    #[derive(Clone, Copy)]
    pub(crate) struct Features: u32 {
        /// WBINVD works; without it guests refuse ACPI.
        const WBINVD = 1 << 0;
        /// All processors have the C1 state.
        const PROC_C1 = 1 << 2;
        /// The power button is not a fixed feature: a device in the DSDT, or none.
        const PWR_BUTTON = 1 << 4;
        /// The sleep button is not a fixed feature.
        const SLP_BUTTON = 1 << 5;
        /// The PM timer has 32 bits.
        const TMR_VAL_EXT = 1 << 8;
        /// RESET_REG works.
        const RESET_REG_SUP = 1 << 10;
        /// There is no fixed hardware but the sleep registers.
        const HW_REDUCED_ACPI = 1 << 20;
    }
}

/// Describes the fixed ACPI description table.
///
/// Its pointers to the DSDT and the FACS are filled in by the table set that it goes into.
///
/// # Source
/// ACPI 6.5, "Fixed ACPI Description Table (FADT)".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fadt {
    /// The layout.
    pub revision: FadtRevision,
    /// The register model.
    pub hardware: Hardware,
    /// What the machine is used as.
    pub profile: PmProfile,
    /// How to reset it.
    pub reset: Option<ResetRegister>,
    /// What legacy devices there are: see [`Dsdt::boot_arch`](crate::Dsdt::boot_arch). Flags that
    /// the revision doesn't define are left out.
    pub boot_arch: BootArch,
    /// The CMOS register that holds the century, if there is one.
    pub rtc_century: Option<u8>,
}

impl Fadt {
    /// Describes a machine with the given registers, reset by [`ResetRegister::CF9`], with the
    /// century in CMOS register 0x32.
    #[must_use]
    pub fn fixed_hardware(registers: FixedHardware, boot_arch: BootArch) -> Self {
        Self {
            revision: FadtRevision::V6_5,
            hardware: Hardware::Fixed(registers),
            profile: PmProfile::UNSPECIFIED,
            reset: Some(ResetRegister::CF9),
            boot_arch,
            rtc_century: (!boot_arch.contains(BootArch::CMOS_RTC_NOT_PRESENT)).then_some(0x32),
        }
    }

    /// Describes a hardware-reduced machine, reset as said.
    #[must_use]
    pub fn hardware_reduced(
        registers: ReducedHardware,
        reset: Option<ResetRegister>,
        boot_arch: BootArch,
    ) -> Self {
        let fixed = Self::fixed_hardware(FixedHardware::piix4(0), boot_arch);
        Self { hardware: Hardware::Reduced(registers), reset, ..fixed }
    }

    /// Tells whether there is a FACS beside this table.
    pub(crate) const fn has_facs(&self) -> bool {
        matches!(self.hardware, Hardware::Fixed(_))
    }

    /// Builds the table with its pointers zero: they are the table set's to fill in.
    ///
    /// # Errors
    /// [`Error::IoPorts`], [`Error::Invalid`]: a register block doesn't fit where it is.
    /// [`Error::FadtRevision`]: the revision is too old.
    pub(crate) fn build(&self) -> Result<Sdt, Error> {
        let FadtRevision { major: revision, minor } = self.revision;
        if self.reset.is_some() && revision < 3 {
            return Err(Error::FadtRevision { revision, what: "how to reset the machine" });
        }
        let mut features = Features::WBINVD | Features::PROC_C1;
        features.set(Features::RESET_REG_SUP, self.reset.is_some());
        let mut body = match &self.hardware {
            Hardware::Fixed(registers) => registers.body(&mut features)?,
            Hardware::Reduced(_) if revision < 5 => {
                let what = "that hardware is reduced";
                return Err(Error::FadtRevision { revision, what });
            }
            Hardware::Reduced(registers) => registers.body(&mut features)?,
        };
        body.preferred_pm_profile = self.profile.0;
        body.century = self.rtc_century.unwrap_or(0);
        let boot_arch = self.boot_arch.intersection(self.revision.boot_arch());
        body.iapc_boot_arch = boot_arch.bits().into();
        body.flags = features.bits().into();
        if let Some(ResetRegister { register, value }) = self.reset {
            body.reset_reg = register.block(1, Access::Byte)?;
            body.reset_value = value;
        }
        body.fadt_minor_version = minor;
        let mut body = body.as_bytes().to_vec();
        body.truncate(self.revision.size_bytes() - size_of::<SdtHeader>());
        Ok(Sdt::new(Signature::FACP, revision, body))
    }
}
