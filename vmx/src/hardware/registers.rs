//! MSRs and control registers of this processor.

use core::arch::asm;

use crate::FieldWidth;

/// Reads an MSR.
///
/// # Safety
/// CPL is 0 and the MSR exists.
#[inline]
pub(super) unsafe fn rdmsr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller promises that RDMSR can't fault; it writes two registers.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high, options(nostack, nomem));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes an MSR.
///
/// # Safety
/// CPL is 0, the MSR exists and takes the value, and the change breaks nothing that runs.
#[inline]
pub(super) unsafe fn wrmsr(number: u32, value: u64) {
    let low = <u32 as FieldWidth>::from_raw(value);
    let high = <u32 as FieldWidth>::from_raw(value >> 32);
    // SAFETY: the caller promises that WRMSR can't fault and does no harm.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("eax") low, in("edx") high, options(nostack));
    }
}

macro_rules! readable {
    ($read:ident, $name:literal) => {
        /// Reads the control register.
        ///
        /// # Safety
        /// CPL is 0.
        #[inline]
        pub(super) unsafe fn $read() -> u64 {
            let value: u64;
            // SAFETY: the caller promises CPL 0; the instruction writes one register.
            unsafe {
                asm!(concat!("mov {}, ", $name), out(reg) value, options(nostack, nomem));
            }
            value
        }
    };
}

macro_rules! writable {
    ($write:ident, $name:literal) => {
        /// Writes the control register.
        ///
        /// # Safety
        /// CPL is 0, and the value is one that the processor takes and that breaks nothing that
        /// runs.
        #[inline]
        pub(super) unsafe fn $write(value: u64) {
            // SAFETY: the caller promises that the write can't fault and does no harm.
            unsafe {
                asm!(concat!("mov ", $name, ", {}"), in(reg) value, options(nostack));
            }
        }
    };
}

readable!(read_cr0, "cr0");
readable!(read_cr3, "cr3");
readable!(read_cr4, "cr4");
writable!(write_cr0, "cr0");
writable!(write_cr4, "cr4");
