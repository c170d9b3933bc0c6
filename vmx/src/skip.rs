//! Going on behind an instruction that a hypervisor executed in the guest's stead.

use guest_state::{AccessRights, rflags};

use crate::access::VmcsAccess;
use crate::{EntryControls, FieldWidth, Interruptibility, PendingDebug, VmFail, field};

/// `IA32_DEBUGCTL.BTF`: RFLAGS.TF traps on branches only.
pub(crate) const DEBUGCTL_BTF: u64 = 1 << 1;
/// What an instruction ends.
const SHADOW: Interruptibility =
    Interruptibility::BLOCKING_BY_STI.union(Interruptibility::BLOCKING_BY_MOV_SS);

/// Returns the instruction pointer behind an instruction of `length` bytes at `rip`.
///
/// Outside 64-bit mode it is 32 bits wide. `is_64bit` is asked only where that matters.
#[inline]
pub(crate) fn advance(rip: u64, length: u64, is_64bit: impl FnOnce() -> bool) -> u64 {
    let next = rip.wrapping_add(length);
    // The low half alone tells whether it ran over.
    let low = <u32 as FieldWidth>::from_raw;
    if low(next) < low(length) && !is_64bit() {
        return low(next).into();
    }
    next
}

/// Tells whether the end of an instruction changes more than the instruction pointer.
#[inline]
pub(crate) fn needs_completion(blocking: u32, flags: u64) -> bool {
    // One test for both: each branch counts on this path.
    u64::from(blocking & SHADOW.bits()) | flags & (rflags::TF | rflags::RF) != 0
}

/// Does what else the end of an instruction does: blocking by STI and MOV SS ends, RF is cleared,
/// and with TF a single-step trap is pending.
#[cold]
pub(crate) fn complete(vmcs: &mut impl VmcsAccess) -> Result<(), VmFail> {
    // Read anew, so that the path on which there is nothing to do need not keep them.
    let blocking = vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE)?;
    let flags = vmcs.read(field::GUEST_RFLAGS)?;
    let blocking = Interruptibility::from_bits_retain(blocking).difference(SHADOW);
    vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, blocking.bits())?;
    vmcs.write(field::GUEST_RFLAGS, flags & !rflags::RF)?;
    if flags & rflags::TF != 0 && vmcs.read(field::GUEST_DEBUGCTL)? & DEBUGCTL_BTF == 0 {
        let pending = vmcs.read(field::GUEST_PENDING_DEBUG_EXCEPTIONS)?;
        let pending = PendingDebug::from_bits_retain(pending) | PendingDebug::SINGLE_STEP;
        vmcs.write(field::GUEST_PENDING_DEBUG_EXCEPTIONS, pending.bits())?;
    }
    Ok(())
}

/// Lets the guest go on behind an instruction of `length` bytes that was executed in its stead.
///
/// RIP moves on (within 32 bits outside 64-bit mode), blocking by STI and by MOV SS ends, RF is
/// cleared, and where the guest single-steps its trap is made pending.
///
/// # Errors
/// As [`VmcsAccess::read`] and [`VmcsAccess::write`].
///
/// # Source
/// Intel SDM Vol. 3A, "Single-Step Exception Condition"; Vol. 3C, "Guest Non-Register State".
pub fn skip_instruction(vmcs: &mut impl VmcsAccess, length: u8) -> Result<(), VmFail> {
    let access = AccessRights(vmcs.read(field::GUEST_CS_ACCESS_RIGHTS)?);
    let entry = EntryControls::from_bits_retain(vmcs.read(field::ENTRY_CONTROLS)?);
    let is_64bit = access.is_64bit() && entry.contains(EntryControls::IA32E_MODE_GUEST);
    let rip = vmcs.read(field::GUEST_RIP)?;
    vmcs.write(field::GUEST_RIP, advance(rip, length.into(), || is_64bit))?;
    let blocking = vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE)?;
    let flags = vmcs.read(field::GUEST_RFLAGS)?;
    match needs_completion(blocking, flags) {
        true => complete(vmcs),
        false => Ok(()),
    }
}
