//! Which controls must and may be 1, by the capability MSRs.

use bitflags::Flags;

use super::{VmxCaps, msr};
use crate::{
    EntryControls, ExitControls, FieldWidth, PinBasedControls, PrimaryControls, SecondaryControls,
    SecondaryExitControls, TertiaryControls,
};

/// Which bits of a set of controls must be 1, and which may.
///
/// # Source
/// Intel SDM Vol. 3D, "Reserved Controls and Default Settings".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Allowed {
    /// The bits that can't be 0.
    pub must_be_one: u64,
    /// The bits that can be 1.
    pub may_be_one: u64,
}

impl Allowed {
    /// Takes apart an MSR whose lower half says what must be 1 and whose upper half what may.
    const fn from_halves(msr: u64) -> Self {
        Self { must_be_one: msr & 0xFFFF_FFFF, may_be_one: msr >> 32 }
    }

    /// Returns the bits of `controls` that break the rule, of either kind.
    #[must_use]
    pub const fn violations(self, controls: u64) -> u64 {
        (self.must_be_one & !controls) | (controls & !self.may_be_one)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A set of controls that one capability MSR governs.
pub trait ControlSet: Flags + Copy + sealed::Sealed {
    /// Returns which bits must and may be 1.
    fn allowed(caps: &VmxCaps) -> Allowed;

    /// Returns the number of the MSR that says so.
    fn msr(caps: &VmxCaps) -> u32;

    /// Returns the bits as a number.
    fn as_u64(self) -> u64;

    /// Makes the set of a number; bits that the set does not have are dropped.
    fn from_u64(bits: u64) -> Self;
}

macro_rules! control_set_32 {
    ($name:ident, $plain:ident $plain_msr:ident, $true_one:ident $true_msr:ident) => {
        impl sealed::Sealed for $name {}

        impl ControlSet for $name {
            fn allowed(caps: &VmxCaps) -> Allowed {
                Allowed::from_halves(if caps.has_true_controls() {
                    caps.$true_one
                } else {
                    caps.$plain
                })
            }

            fn msr(caps: &VmxCaps) -> u32 {
                if caps.has_true_controls() { msr::$true_msr } else { msr::$plain_msr }
            }

            fn as_u64(self) -> u64 {
                self.bits().into()
            }

            fn from_u64(bits: u64) -> Self {
                Self::from_bits_retain(<u32 as FieldWidth>::from_raw(bits))
            }
        }
    };
}

control_set_32!(PinBasedControls, pin_based PIN_BASED, true_pin_based TRUE_PIN_BASED);
control_set_32!(PrimaryControls, primary PRIMARY, true_primary TRUE_PRIMARY);
control_set_32!(SecondaryControls, secondary SECONDARY, secondary SECONDARY);
control_set_32!(ExitControls, exit EXIT, true_exit TRUE_EXIT);
control_set_32!(EntryControls, entry ENTRY, true_entry TRUE_ENTRY);

/// The sets of 64 bits have no bits that must be 1: their MSRs say which may.
macro_rules! control_set_64 {
    ($name:ident, $field:ident $msr:ident) => {
        impl sealed::Sealed for $name {}

        impl ControlSet for $name {
            fn allowed(caps: &VmxCaps) -> Allowed {
                Allowed { must_be_one: 0, may_be_one: caps.$field }
            }

            fn msr(_: &VmxCaps) -> u32 {
                msr::$msr
            }

            fn as_u64(self) -> u64 {
                self.bits()
            }

            fn from_u64(bits: u64) -> Self {
                Self::from_bits_retain(bits)
            }
        }
    };
}

control_set_64!(TertiaryControls, tertiary TERTIARY);
control_set_64!(SecondaryExitControls, secondary_exit SECONDARY_EXIT);
