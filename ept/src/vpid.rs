//! Virtual-processor identifiers and what INVVPID forgets.

use core::num::NonZeroU16;

use guest_state::Gva;

use crate::{EptCaps, Error, Requirement};

/// A virtual-processor identifier: never 0, which is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Vpid(NonZeroU16);

impl Vpid {
    /// Makes the identifier, or `None` for 0.
    #[must_use]
    pub const fn new(vpid: u16) -> Option<Self> {
        match NonZeroU16::new(vpid) {
            Some(vpid) => Some(Self(vpid)),
            None => None,
        }
    }

    /// Returns the value for the VMCS field.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// An execution of INVVPID. It never replaces INVEPT: it forgets what was derived from the guest's
/// own page tables, alone or together with EPT, but not what was derived from EPT alone.
///
/// # Source
/// Intel SDM Vol. 3C, "INVVPID—Invalidate Translations Based on VPID" and "Guidelines for Use of
/// the INVVPID Instruction".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invvpid {
    /// Forget one linear address of one VPID.
    Address(Vpid, Gva),
    /// Forget one VPID.
    SingleContext(Vpid),
    /// Forget all VPIDs but the host's.
    AllContexts,
    /// Forget one VPID but its global translations.
    SingleContextRetainingGlobals(Vpid),
}

impl Invvpid {
    /// Returns the type, which goes into INVVPID's register operand.
    #[must_use]
    pub const fn kind(self) -> u64 {
        match self {
            Self::Address(..) => 0,
            Self::SingleContext(_) => 1,
            Self::AllContexts => 2,
            Self::SingleContextRetainingGlobals(_) => 3,
        }
    }

    /// Returns the descriptor, to which INVVPID's memory operand points.
    #[must_use]
    pub const fn descriptor(self) -> [u64; 2] {
        match self {
            Self::Address(vpid, address) => [vpid.get() as u64, address.as_u64()],
            Self::SingleContext(vpid) | Self::SingleContextRetainingGlobals(vpid) => {
                [vpid.get() as u64, 0]
            }
            Self::AllContexts => [0, 0],
        }
    }

    /// Returns the same, or the narrowest that a CPU has and that forgets at least as much.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is none; [`Error::NonCanonical`] for an address that is
    /// not, by as many bits as `linear_bits` (48, or 57 on a CPU with 5-level paging).
    pub fn on(self, caps: EptCaps, linear_bits: u32) -> Result<Self, Error> {
        if let Self::Address(_, address) = self
            && !address.is_canonical(linear_bits)
        {
            return Err(Error::NonCanonical(address));
        }
        let wider = match self {
            Self::Address(vpid, _) | Self::SingleContextRetainingGlobals(vpid) => {
                [self, Self::SingleContext(vpid), Self::AllContexts]
            }
            Self::SingleContext(_) | Self::AllContexts => [self, self, Self::AllContexts],
        };
        let exists = |wanted: &Self| caps.invvpid(*wanted);
        wider.into_iter().find(exists).ok_or(Error::Unsupported(Requirement::Invvpid))
    }
}
