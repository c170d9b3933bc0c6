//! Placement of OVMF: code and variables in flash.

use alloc::vec::Vec;

use boot_plan::{Placement, Protection};
use guest_state::{Gpa, GpaRange, VcpuState};

use crate::Error;

const SECTOR: usize = 0x1000;
const LARGEST: usize = 0x80_0000;
const FOUR_GIB: u64 = 1 << 32;

/// OVMF's two images: code, whose last byte is the last one below 4 GiB, and variables below it.
///
/// Both are read-only in memory. A write to the variables has to come to a flash device, which
/// answers it, as that of the crate `machine` does; without one OVMF keeps variables in RAM until the
/// guest ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OvmfFlash<'a> {
    code: &'a [u8],
    variables: &'a [u8],
}

impl<'a> OvmfFlash<'a> {
    /// Takes the code, and the variables or nothing; together at most 8 MiB.
    ///
    /// # Errors
    /// [`Error::FlashSize`] unless each is a multiple of 4 KiB and there is code.
    ///
    /// # Source
    /// EDK II, `OvmfPkg/Include/Fdf/OvmfPkgDefines.fdf.inc`; the limit is that of QEMU.
    pub const fn new(code: &'a [u8], variables: &'a [u8]) -> Result<Self, Error> {
        let (code_bytes, variables_bytes) = (code.len(), variables.len());
        let whole = code_bytes.is_multiple_of(SECTOR) && variables_bytes.is_multiple_of(SECTOR);
        if !whole || code_bytes == 0 || code_bytes.saturating_add(variables_bytes) > LARGEST {
            return Err(Error::FlashSize { code_bytes, variables_bytes });
        }
        Ok(Self { code, variables })
    }

    /// Takes one image of both, of which the first `variables_bytes` are the variables.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn combined(image: &'a [u8], variables_bytes: usize) -> Result<Self, Error> {
        let refused = Error::FlashSize { code_bytes: image.len(), variables_bytes };
        let (variables, code) = image.split_at_checked(variables_bytes).ok_or(refused)?;
        Self::new(code, variables)
    }

    /// Returns code and variables, where there are some.
    #[must_use]
    pub fn placements(&self) -> Vec<Placement<'a>> {
        let code_at = FOUR_GIB - self.code.len() as u64;
        let variables_at = code_at - self.variables.len() as u64;
        [("ovmf code", code_at, self.code), ("ovmf variables", variables_at, self.variables)]
            .into_iter()
            .filter(|(_, _, bytes)| !bytes.is_empty())
            .map(|(tag, at, bytes)| {
                Placement::borrowed(tag, Gpa::new(at), bytes).protected(Protection::ReadOnly)
            })
            .collect()
    }

    /// Returns where the variables are, if there are some: the part of the flash that takes writes.
    #[must_use]
    pub const fn variables(&self) -> Option<GpaRange> {
        if self.variables.is_empty() {
            return None;
        }
        let code_at = FOUR_GIB - self.code.len() as u64;
        let size_bytes = self.variables.len() as u64;
        GpaRange::new(Gpa::new(code_at - size_bytes), size_bytes)
    }

    /// Returns the state of the CPU that boots, as [`Bios::reset_state`](crate::Bios::reset_state).
    #[must_use]
    pub const fn reset_state(&self, signature: u32) -> VcpuState {
        VcpuState::reset(signature)
    }
}
