//! The VMX instructions, each with its status taken from the flags by the same `asm!`.

use core::arch::asm;

use guest_state::Hpa;

use crate::{FieldEncoding, FieldWidth, InstructionError, VmFail, field};

/// Makes a result of the flags that a VMX instruction leaves: CF for VMfailInvalid, ZF for
/// VMfailValid.
#[inline]
fn status(carry: u8, zero: u8) -> Result<(), VmFail> {
    if carry | zero == 0 {
        return Ok(());
    }
    Err(failure(carry != 0))
}

#[cold]
fn failure(carry: bool) -> VmFail {
    if carry {
        return VmFail::Invalid;
    }
    // SAFETY:
    // 1. ZF after a VMX instruction means VMX operation with a current VMCS, so that VMREAD can't
    //    fault.
    // 2. VMREAD of the VM-instruction error changes nothing but the register.
    let number = unsafe { read_existing(field::INSTRUCTION_ERROR.encoding()) };
    VmFail::Valid(InstructionError(<u32 as FieldWidth>::from_raw(number)))
}

macro_rules! with_pointer {
    ($(#[$doc:meta])* $name:ident, $mnemonic:literal) => {
        $(#[$doc])*
        #[inline]
        pub unsafe fn $name(region: Hpa) -> Result<(), VmFail> {
            let pointer = region.as_u64();
            let (carry, zero): (u8, u8);
            // SAFETY:
            // 1. The caller promises that the instruction can't fault and may touch the region.
            // 2. The operand is the address of a live `u64`, which is only read.
            // 3. The flags are declared clobbered, as they are without `preserves_flags`; memory
            //    is too, as it is without `nomem`.
            unsafe {
                asm!(
                    concat!($mnemonic, " qword ptr [{pointer}]"),
                    "setc {carry}",
                    "setz {zero}",
                    pointer = in(reg) &raw const pointer,
                    carry = lateout(reg_byte) carry,
                    zero = lateout(reg_byte) zero,
                    options(nostack),
                );
            }
            status(carry, zero)
        }
    };
}

with_pointer! {
    /// Enters VMX operation with the VMXON region at `region`.
    ///
    /// # Errors
    /// [`VmFail::Invalid`] for a bad region, [`VmFail::Valid`] in VMX operation.
    ///
    /// # Safety
    /// CPL is 0, CR4.VMXE is set, CR0 and CR4 are as the fixed-bit MSRs demand and
    /// `IA32_FEATURE_CONTROL` allows VMXON. The region begins with the revision identifier and
    /// belongs to this processor alone until VMXOFF.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VMXON—Enter VMX Operation".
    vmxon, "vmxon"
}

with_pointer! {
    /// Writes the VMCS at `region` back to memory and makes it inactive and clear.
    ///
    /// # Errors
    /// [`VmFail::Valid`] for an address that is bad or that of the VMXON region.
    ///
    /// # Safety
    /// The processor is in VMX root operation at CPL 0; the region is memory that may be written
    /// and no other processor has it active.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VMCLEAR—Clear Virtual-Machine Control Structure".
    vmclear, "vmclear"
}

with_pointer! {
    /// Makes the VMCS at `region` the current one.
    ///
    /// # Errors
    /// [`VmFail::Valid`] or, without a current VMCS, [`VmFail::Invalid`] for an address that is
    /// bad or that of the VMXON region, and for a wrong revision identifier.
    ///
    /// # Safety
    /// The processor is in VMX root operation at CPL 0; the region is cleared or active here, and
    /// belongs to this processor alone until VMCLEAR.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VMPTRLD—Load Pointer to Virtual-Machine Control Structure".
    vmptrld, "vmptrld"
}

/// Leaves VMX operation.
///
/// # Errors
/// [`VmFail::Valid`] under the dual-monitor treatment of SMIs.
///
/// # Safety
/// The processor is in VMX root operation at CPL 0, and every VMCS that was active on it is clear.
///
/// # Source
/// Intel SDM Vol. 3C, "VMXOFF—Leave VMX Operation".
#[inline]
pub unsafe fn vmxoff() -> Result<(), VmFail> {
    let (carry, zero): (u8, u8);
    // SAFETY: the caller promises root operation; the flags and memory count as clobbered.
    unsafe {
        asm!(
            "vmxoff",
            "setc {carry}",
            "setz {zero}",
            carry = lateout(reg_byte) carry,
            zero = lateout(reg_byte) zero,
            options(nostack),
        );
    }
    status(carry, zero)
}

/// Reads a field of the current VMCS.
///
/// # Errors
/// [`VmFail::Invalid`] without a current VMCS, [`VmFail::Valid`] for a field that does not exist.
///
/// # Safety
/// The processor is in VMX root operation at CPL 0.
///
/// # Source
/// Intel SDM Vol. 3C, "VMREAD—Read Field from Virtual-Machine Control Structure".
#[inline]
pub unsafe fn vmread(encoding: FieldEncoding) -> Result<u64, VmFail> {
    let value: u64;
    let (carry, zero): (u8, u8);
    // SAFETY: the caller promises root operation; VMREAD writes one register and the flags.
    unsafe {
        asm!(
            "vmread {value}, {value}",
            "setc {carry}",
            "setz {zero}",
            value = inlateout(reg) u64::from(encoding.as_u32()) => value,
            carry = out(reg_byte) carry,
            zero = out(reg_byte) zero,
            options(nostack, nomem),
        );
    }
    status(carry, zero).map(|()| value)
}

/// Reads a field of the current VMCS that every processor has, without a test for failure.
///
/// Were there no current VMCS or no such field, the result would be the encoding.
///
/// # Safety
/// The processor is in VMX root operation at CPL 0.
#[must_use]
#[inline]
pub unsafe fn read_existing(encoding: FieldEncoding) -> u64 {
    let value: u64;
    // SAFETY: the caller promises root operation; VMREAD writes one register and the flags.
    unsafe {
        asm!(
            "vmread {value}, {value}",
            value = inlateout(reg) u64::from(encoding.as_u32()) => value,
            options(nostack, nomem),
        );
    }
    value
}

/// Writes a field of the current VMCS.
///
/// # Errors
/// [`VmFail::Invalid`] without a current VMCS, [`VmFail::Valid`] for a field that does not exist or
/// that only the processor writes.
///
/// # Safety
/// The processor is in VMX root operation at CPL 0, and whatever the next VM entry does with the
/// field is sound: a field can make the processor use any physical page.
///
/// # Source
/// Intel SDM Vol. 3C, "VMWRITE—Write Field to Virtual-Machine Control Structure".
#[inline]
pub unsafe fn vmwrite(encoding: FieldEncoding, value: u64) -> Result<(), VmFail> {
    let (carry, zero): (u8, u8);
    // SAFETY: the caller promises root operation and answers for the field; VMWRITE touches the
    // VMCS, which no Rust object overlaps, and the flags.
    unsafe {
        asm!(
            "vmwrite {encoding}, {value}",
            "setc {carry}",
            "setz {zero}",
            encoding = in(reg) u64::from(encoding.as_u32()),
            value = in(reg) value,
            carry = out(reg_byte) carry,
            zero = out(reg_byte) zero,
            options(nostack, nomem),
        );
    }
    status(carry, zero)
}

/// Writes a field of the current VMCS that every processor has, without a test for failure.
///
/// # Safety
/// As for [`vmwrite`].
#[inline]
pub unsafe fn write_existing(encoding: FieldEncoding, value: u64) {
    // SAFETY: as for `vmwrite`.
    unsafe {
        asm!(
            "vmwrite {encoding}, {value}",
            encoding = in(reg) u64::from(encoding.as_u32()),
            value = in(reg) value,
            options(nostack, nomem),
        );
    }
}

/// Changes a field of the current VMCS that every processor has: reads it, and writes what `change`
/// makes of it.
///
/// # Safety
/// As for [`vmwrite`].
#[inline]
pub(super) unsafe fn update_existing(encoding: FieldEncoding, change: impl FnOnce(u64) -> u64) {
    let mut encoding = u64::from(encoding.as_u32());
    let value: u64;
    // The encoding comes out as it went in: so the compiler keeps it for the second instruction.
    // SAFETY: the caller promises root operation; VMREAD writes one register and the flags.
    unsafe {
        asm!(
            "vmread {value}, {encoding}",
            encoding = inout(reg) encoding,
            value = out(reg) value,
            options(nostack, nomem),
        );
    }
    let value = change(value);
    // SAFETY: as for `vmwrite`.
    unsafe {
        asm!(
            "vmwrite {encoding}, {value}",
            encoding = in(reg) encoding,
            value = in(reg) value,
            options(nostack, nomem),
        );
    }
}

/// Which translations INVEPT drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvEpt {
    /// Those of one EPTP.
    SingleContext {
        /// The EPTP, whole.
        eptp: u64,
    },
    /// Those of all EPTPs.
    AllContexts,
}

/// Drops cached guest-physical translations of this processor.
///
/// # Errors
/// [`VmFail::Valid`] (or [`VmFail::Invalid`] without a current VMCS) for a type that the processor
/// does not have or a bad EPTP.
///
/// # Safety
/// The processor is in VMX root operation at CPL 0 and has INVEPT.
///
/// # Source
/// Intel SDM Vol. 3C, "INVEPT—Invalidate Translations Derived from EPT".
#[inline]
pub unsafe fn invept(scope: InvEpt) -> Result<(), VmFail> {
    let (kind, eptp): (u64, u64) = match scope {
        InvEpt::SingleContext { eptp } => (1, eptp),
        InvEpt::AllContexts => (2, 0),
    };
    let descriptor = [eptp, 0];
    let (carry, zero): (u8, u8);
    // SAFETY: the caller promises root operation; the operand is the address of a live 16-byte
    // descriptor, which is only read.
    unsafe {
        asm!(
            "invept {kind}, xmmword ptr [{descriptor}]",
            "setc {carry}",
            "setz {zero}",
            kind = in(reg) kind,
            descriptor = in(reg) &raw const descriptor,
            carry = out(reg_byte) carry,
            zero = out(reg_byte) zero,
            options(nostack),
        );
    }
    status(carry, zero)
}

/// Which translations INVVPID drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are the VPID and the guest's linear address")]
pub enum InvVpid {
    /// Those of one linear address of one VPID.
    Address { vpid: u16, linear: u64 },
    /// Those of one VPID.
    SingleContext { vpid: u16 },
    /// Those of all VPIDs but 0.
    AllContexts,
    /// Those of one VPID, but for global ones.
    RetainingGlobals { vpid: u16 },
}

/// Drops cached linear and combined translations of this processor.
///
/// # Errors
/// [`VmFail::Valid`] (or [`VmFail::Invalid`] without a current VMCS) for a type that the processor
/// does not have, VPID 0 or an address that is not canonical.
///
/// # Safety
/// The processor is in VMX root operation at CPL 0 and has INVVPID.
///
/// # Source
/// Intel SDM Vol. 3C, "INVVPID—Invalidate Translations Based on VPID".
#[inline]
pub unsafe fn invvpid(scope: InvVpid) -> Result<(), VmFail> {
    let (kind, vpid, linear): (u64, u16, u64) = match scope {
        InvVpid::Address { vpid, linear } => (0, vpid, linear),
        InvVpid::SingleContext { vpid } => (1, vpid, 0),
        InvVpid::AllContexts => (2, 0, 0),
        InvVpid::RetainingGlobals { vpid } => (3, vpid, 0),
    };
    let descriptor = [u64::from(vpid), linear];
    let (carry, zero): (u8, u8);
    // SAFETY: the caller promises root operation; the operand is the address of a live 16-byte
    // descriptor, which is only read.
    unsafe {
        asm!(
            "invvpid {kind}, xmmword ptr [{descriptor}]",
            "setc {carry}",
            "setz {zero}",
            kind = in(reg) kind,
            descriptor = in(reg) &raw const descriptor,
            carry = out(reg_byte) carry,
            zero = out(reg_byte) zero,
            options(nostack),
        );
    }
    status(carry, zero)
}
