//! `IA32_APIC_BASE`: where the registers are, and in which mode.

use super::errors::{GeneralProtection, check_reserved};

/// The form in which a local APIC's registers are accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApicMode {
    /// Not at all: the CPU has but its INTR and NMI pins.
    Disabled,
    /// As a page of memory.
    XApic,
    /// As MSRs 800h to 8FFh.
    X2Apic,
}

/// `IA32_APIC_BASE`.
///
/// | bits | meaning |
/// |---|---|
/// | 8 | this is the CPU that boots |
/// | 10 | x2APIC mode |
/// | 11 | enabled |
/// | MAXPHYADDR-1:12 | the page of the registers |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApicBase(u64);

impl ApicBase {
    const BSP: u64 = 1 << 8;
    const EXTENDED: u64 = 1 << 10;
    const ENABLE: u64 = 1 << 11;
    const DEFAULT_PAGE: u64 = 0xFEE0_0000;
    const PAGE: u64 = 0x000F_FFFF_FFFF_F000;

    pub(super) const fn reset(is_bsp: bool) -> Self {
        let bsp = if is_bsp { Self::BSP } else { 0 };
        Self(Self::DEFAULT_PAGE | Self::ENABLE | bsp)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn page(self) -> u64 {
        self.0 & Self::PAGE
    }

    pub(super) const fn mode(self) -> ApicMode {
        match (self.0 & Self::ENABLE != 0, self.0 & Self::EXTENDED != 0) {
            (false, _) => ApicMode::Disabled,
            (true, false) => ApicMode::XApic,
            (true, true) => ApicMode::X2Apic,
        }
    }

    /// What the register becomes by a write of `value`.
    pub(super) const fn written(
        self,
        value: u64,
        physical_bits: u32,
        has_x2apic: bool,
    ) -> Result<Self, GeneralProtection> {
        let physical = match 1_u64.checked_shl(physical_bits) {
            Some(end) => end - 1,
            None => u64::MAX,
        };
        let extended = if has_x2apic { Self::EXTENDED } else { 0 };
        let allowed = Self::BSP | Self::ENABLE | extended | Self::PAGE & physical;
        if let Err(refusal) = check_reserved(value, allowed) {
            return Err(refusal);
        }
        let new = Self(value);
        let extended_alone = value & Self::EXTENDED != 0 && value & Self::ENABLE == 0;
        let forbidden = matches!(
            (self.mode(), new.mode()),
            (ApicMode::Disabled, ApicMode::X2Apic) | (ApicMode::X2Apic, ApicMode::XApic)
        );
        if extended_alone || forbidden {
            return Err(GeneralProtection::ModeChange { current: self.0, value });
        }
        Ok(new)
    }
}
