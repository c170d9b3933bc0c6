//! The state components that the run stub leaves in the processor: AVX, AVX-512 and all else beyond
//! x87 and SSE.
//!
//! Code that is compiled without AVX does not disturb them, so that nothing need be done at an exit.
//! Where the processor goes on to something else, another guest or a program of the host's, they are
//! stored, and loaded when the guest comes back. That is what [`CurrentVmcs::run_extended`] does.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;

use super::context::GuestContext;
use super::operation::CurrentVmcs;
use super::run::ExitHandler;
use crate::{Error, FieldWidth};

/// CPUID leaf 0Dh: the size and the place of each state component.
const LEAF: u32 = 0xD;
/// The area for x87 and SSE, and the header behind it.
const LEGACY_AND_HEADER_BYTES: u32 = 576;
/// The components that the run stub keeps: x87 and SSE.
const BY_STUB: u64 = 0b11;
const X87: u64 = 1;

/// 64 bytes of an XSAVE area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct XsaveBlock(pub [u8; 64]);

impl XsaveBlock {
    /// A block of zeros.
    pub const ZERO: Self = Self([0; 64]);
}

/// A guest's state components beyond x87 and SSE, and its XCR0, while it does not run.
#[derive(Debug)]
pub struct ExtendedState<'a> {
    /// In the standard format, with the state that a reset gives at first.
    area: &'a mut [XsaveBlock],
    /// What the guest may enable.
    allowed: u64,
    xcr0: u64,
}

impl<'a> ExtendedState<'a> {
    /// Returns how many blocks an area takes for the components in `allowed`, which has the bits of
    /// XCR0; `None` if this processor lacks one of them, or has no XSAVE.
    ///
    /// # Source
    /// Intel SDM Vol. 1, "Standard Format of XSAVE Area"; Vol. 2A, "CPUID—CPU Identification", leaf
    /// 0Dh.
    #[must_use]
    pub fn blocks(allowed: u64) -> Option<usize> {
        let supported = __cpuid_count(LEAF, 0);
        let supported = u64::from(supported.edx) << 32 | u64::from(supported.eax);
        if allowed & X87 == 0 || allowed & !supported != 0 {
            return None;
        }
        let components = (2..63).filter(|bit| allowed >> bit & 1 != 0);
        let ends = components.map(|component| {
            let found = __cpuid_count(LEAF, component);
            found.ebx.saturating_add(found.eax)
        });
        let size_bytes = ends.fold(LEGACY_AND_HEADER_BYTES, u32::max);
        usize::try_from(size_bytes.div_ceil(64)).ok()
    }

    /// Takes an area for a guest that may enable the components in `allowed`, and has enabled x87
    /// alone, as after a reset. What stands in the area is overwritten.
    ///
    /// # Errors
    /// [`Error::ExtendedState`] if the processor lacks a component, or the area is too small.
    pub fn new(area: &'a mut [XsaveBlock], allowed: u64) -> Result<Self, Error> {
        if Self::blocks(allowed).is_none_or(|needed| area.len() < needed) {
            return Err(Error::ExtendedState { xcr0: allowed });
        }
        // With no bit of XSTATE_BV set, XRSTOR gives each component its initial state.
        area.fill(XsaveBlock::ZERO);
        Ok(Self { area, allowed, xcr0: X87 })
    }

    /// Returns the guest's XCR0.
    #[must_use]
    pub const fn xcr0(&self) -> u64 {
        self.xcr0
    }

    /// Makes the guest's components the processor's; returns the host's XCR0.
    ///
    /// # Safety
    /// CPL is 0 and CR4.OSXSAVE is set.
    unsafe fn load(&mut self) -> u64 {
        // SAFETY: the caller promises CR4.OSXSAVE.
        let host = unsafe { xgetbv() };
        // SAFETY: as above, and CPL 0. All that is allowed is supported, and a component that needs
        // another is the caller's who allowed it: what the guest enabled, the processor took.
        unsafe { xsetbv(self.allowed) };
        // SAFETY: the area has room for all that is allowed, which is enabled now.
        unsafe { xrstor(self.area, self.allowed & !BY_STUB) };
        // SAFETY: the guest's value was the processor's before, or is x87 alone.
        unsafe { xsetbv(self.xcr0) };
        host
    }

    /// Stores the processor's components as the guest's, and sets the host's XCR0.
    ///
    /// # Safety
    /// As for [`load`](Self::load), which returned `host`.
    unsafe fn save(&mut self, host: u64) {
        // SAFETY: the caller promises CR4.OSXSAVE.
        self.xcr0 = unsafe { xgetbv() } & self.allowed;
        // A guest may disable a component and find it as it was when it enables it again.
        // SAFETY: as in `load`.
        unsafe { xsetbv(self.allowed) };
        // SAFETY: as in `load`.
        unsafe { xsave(self.area, self.allowed & !BY_STUB) };
        // SAFETY: it was the processor's before.
        unsafe { xsetbv(host) };
    }
}

impl CurrentVmcs<'_> {
    /// As [`run`](Self::run), for a guest that is not the only one to use AVX and what came after
    /// it: its state components and its XCR0 are loaded before and stored afterwards. The host's
    /// components are not kept: to a caller they are registers that a function may change.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    ///
    /// # Safety
    /// 1. As for [`run`](Self::run).
    /// 2. CR4.OSXSAVE is set, and `extended` was made for a set of components that XSETBV takes.
    /// 3. The handler lets the guest's XSETBV enable no more than `extended` allows.
    pub unsafe fn run_extended<H: ExitHandler>(
        &mut self,
        guest: &mut GuestContext,
        extended: &mut ExtendedState<'_>,
        handler: &mut H,
    ) -> Result<(), Error> {
        // SAFETY: a current VMCS proves CPL 0; the caller promises CR4.OSXSAVE.
        let host = unsafe { extended.load() };
        // SAFETY: the caller's promises.
        let ended = unsafe { self.run(guest, handler) };
        // SAFETY: as above.
        unsafe { extended.save(host) };
        ended
    }
}

/// # Safety
/// CR4.OSXSAVE is set.
unsafe fn xgetbv() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise; the instruction writes two registers.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// # Safety
/// CPL is 0, CR4.OSXSAVE is set, and the processor takes the value.
unsafe fn xsetbv(value: u64) {
    let [low, high] = halves(value);
    // SAFETY: the caller's promise. What it disables, no code of the host's uses.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") low, in("edx") high, options(nomem, nostack));
    }
}

/// Stores the components in `mask`.
///
/// # Safety
/// CR4.OSXSAVE is set, and `area` has room for each component in `mask` that XCR0 has enabled.
unsafe fn xsave(area: &mut [XsaveBlock], mask: u64) {
    let [low, high] = halves(mask);
    // SAFETY: the caller's promise; the area is aligned by its type.
    unsafe {
        asm!(
            "xsave64 [{area}]",
            area = in(reg) area.as_mut_ptr(),
            in("eax") low,
            in("edx") high,
            options(nostack),
        );
    }
}

/// Loads the components in `mask`, and leaves MXCSR as it is: with AVX, XRSTOR takes it from the area
/// even if SSE is not asked for.
///
/// # Safety
/// CR4.OSXSAVE is set, `area` has room as for [`xsave`], and its header is zero or XSAVE's.
unsafe fn xrstor(area: &[XsaveBlock], mask: u64) {
    let [low, high] = halves(mask);
    let mut mxcsr = 0_u32;
    // SAFETY: the caller's promise; the area is aligned by its type. The registers that it changes
    // are no operands of code that is compiled without AVX, which alone is within the stub's rules.
    unsafe {
        asm!(
            "stmxcsr [{mxcsr}]",
            "xrstor64 [{area}]",
            "ldmxcsr [{mxcsr}]",
            mxcsr = in(reg) &raw mut mxcsr,
            area = in(reg) area.as_ptr(),
            in("eax") low,
            in("edx") high,
            options(nostack),
        );
    }
}

fn halves(value: u64) -> [u32; 2] {
    [<u32 as FieldWidth>::from_raw(value), <u32 as FieldWidth>::from_raw(value >> 32)]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec;

    const AVX: u64 = 1 << 2;

    /// Puts a value into the upper half of YMM15, which code without AVX never touches.
    fn set_upper(value: u128) {
        let both = [0_u128, value];
        // SAFETY: the caller saw that the processor has AVX. XMM15 is free to be changed.
        unsafe {
            asm!("vmovups ymm15, [{}]", in(reg) &raw const both, out("xmm15") _, options(nostack));
        }
    }

    fn upper() -> u128 {
        let mut value = 0_u128;
        // SAFETY: as above.
        unsafe {
            asm!("vextractf128 [{}], ymm15, 1", in(reg) &raw mut value, options(nostack));
        }
        value
    }

    fn mxcsr() -> u32 {
        let mut value = 0_u32;
        // SAFETY: it stores four bytes.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack)) };
        value
    }

    /// Of what an application may execute: XSETBV is not.
    #[test]
    fn components_beyond_sse_are_stored_and_loaded() {
        if !std::is_x86_feature_detected!("avx") {
            std::println!("this processor has no AVX: nothing to store");
            return;
        }
        const ONE: u128 = 0x0123_4567_89AB_CDEF_0F1E_2D3C_4B5A_6978;
        let allowed = BY_STUB | AVX;
        let mut area = vec![XsaveBlock([0xFF; 64]); ExtendedState::blocks(allowed).unwrap()];
        let state = ExtendedState::new(&mut area, allowed).unwrap();
        set_upper(ONE);
        // SAFETY: the system enabled AVX, or it would not be detected; the area has room for it.
        unsafe { xsave(state.area, allowed & !BY_STUB) };
        set_upper(!ONE);
        // SAFETY: as above; XSAVE wrote the header.
        unsafe { xrstor(state.area, allowed & !BY_STUB) };
        assert_eq!(upper(), ONE);
        // The manual's place for it: the upper halves, 16 bytes each, from the component's offset on.
        let offset = usize::try_from(__cpuid_count(LEAF, 2).ebx).unwrap() + 15 * 16;
        let bytes: vec::Vec<u8> = area.iter().flat_map(|block| block.0).collect();
        assert_eq!(bytes[offset..offset + 16], ONE.to_le_bytes());
        // What the stub keeps was left alone; with AVX, XSAVE stores MXCSR and its mask too.
        assert!(bytes[..24].iter().chain(&bytes[32..512]).all(|byte| *byte == 0));
    }

    #[test]
    fn a_new_area_gives_the_state_after_a_reset() {
        if !std::is_x86_feature_detected!("avx") {
            std::println!("this processor has no AVX: nothing to load");
            return;
        }
        let allowed = BY_STUB | AVX;
        let mut area = vec![XsaveBlock([0xFF; 64]); ExtendedState::blocks(allowed).unwrap()];
        let state = ExtendedState::new(&mut area, allowed).unwrap();
        assert_eq!(state.xcr0(), X87);
        set_upper(u128::MAX);
        let before = mxcsr();
        // SAFETY: as above; the header is zero.
        unsafe { xrstor(state.area, AVX) };
        assert_eq!(upper(), 0);
        // Zeros would unmask all exceptions.
        assert_eq!(mxcsr(), before);
    }

    #[test]
    fn an_area_too_small_and_components_that_are_not_there_are_refused() {
        let mut area = [XsaveBlock::ZERO; 8];
        let error = Error::ExtendedState { xcr0: BY_STUB };
        assert_eq!(ExtendedState::new(&mut area, BY_STUB).err(), Some(error));
        // 576 bytes at the least: the legacy region and the header.
        let mut area = [XsaveBlock::ZERO; 9];
        assert!(ExtendedState::new(&mut area, BY_STUB).is_ok());
        // Bit 62 names no component, and x87 can't be left out.
        assert_eq!(ExtendedState::blocks(BY_STUB | 1 << 62), None);
        assert_eq!(ExtendedState::blocks(AVX), None);
    }
}
