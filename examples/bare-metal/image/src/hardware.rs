//! Ports, registers and instructions of the processor that this code runs on.

use core::arch::asm;

use bare_metal_image::{Cpuid, Physical};

/// The first 4 GiB, which `boot.s` maps one to one.
pub(crate) struct IdentityMap;

/// Where the identity map ends.
pub(crate) const MAPPED_END: u64 = 1 << 32;

impl Physical for IdentityMap {
    fn bytes(&self, address: u64, size_bytes: usize) -> Option<&'static [u8]> {
        let end = address.checked_add(size_bytes as u64)?;
        if address == 0 || end > MAPPED_END {
            return None;
        }
        // SAFETY:
        // 1. Valid for reads: the range is mapped one to one. Where no memory is, reads give
        //    whatever the machine answers, but don't fault.
        // 2. Aligned: bytes have no alignment; not null: address 0 was refused.
        // 3. Not mutated: it is asked for boot information, modules and tables of the firmware
        //    alone, which nothing writes to; `memory::reserve` keeps them out of what is given out.
        // 4. Not larger than isize::MAX: `end` is at most 4 GiB.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, size_bytes) })
    }
}

/// Reads a byte from a port.
pub(crate) fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: CPL is 0 in all of this image, and reading a port touches no memory. Which ports are
    // read here has no effect on anything that Rust knows of.
    unsafe { asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack)) };
    value
}

/// Writes a byte to a port.
pub(crate) fn outb(port: u16, value: u8) {
    // SAFETY: CPL is 0; the ports written here (debug output, PIC masks, PIT, exit) make no device
    // write to memory.
    unsafe { asm!("out dx, al", in("al") value, in("dx") port, options(nomem, nostack)) };
}

/// Writes two bytes to a port.
pub(crate) fn outw(port: u16, value: u16) {
    // SAFETY: as for `outb`.
    unsafe { asm!("out dx, ax", in("ax") value, in("dx") port, options(nomem, nostack)) };
}

/// Reads the time-stamp counter.
#[inline]
pub(crate) fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // What it is compared with is not loaded before it: so not `nomem`.
    // SAFETY: every 64-bit CPU has the instruction; CPL is 0, so CR4.TSD does not forbid it.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Executes CPUID.
pub(crate) fn cpuid(leaf: u32, subleaf: u32) -> Cpuid {
    let found = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    Cpuid { eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx }
}

/// Stops this processor for ever.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: with interrupts off the processor waits; nothing depends on its going on.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Reads an MSR that every 64-bit CPU has.
///
/// # Safety
/// The MSR exists.
pub(crate) unsafe fn rdmsr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: CPL is 0, and the caller promises that the MSR exists.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

macro_rules! read_register {
    ($name:ident, $register:literal) => {
        #[doc = concat!("Reads ", $register, ".")]
        pub(crate) fn $name() -> u64 {
            let value;
            // SAFETY: CPL is 0, and the instruction writes one register.
            unsafe {
                asm!(concat!("mov {}, ", $register), out(reg) value, options(nomem, nostack));
            }
            value
        }
    };
}

read_register!(read_cr0, "cr0");
read_register!(read_cr3, "cr3");
read_register!(read_cr4, "cr4");

/// The state components that a guest may enable, as bits of XCR0.
pub(crate) mod xcr0 {
    pub(crate) const X87: u64 = 1 << 0;
    pub(crate) const SSE: u64 = 1 << 1;
    pub(crate) const AVX: u64 = 1 << 2;
    /// The three of AVX-512, which go together.
    pub(crate) const AVX512: u64 = 7 << 5;
}

/// CPUID leaf 1, ECX: the CPU has XSAVE.
const CPUID_XSAVE: u32 = 1 << 26;

/// Returns the state components that the guest may enable: none on a CPU without XSAVE.
pub(crate) fn allowed_components() -> u64 {
    if cpuid(1, 0).ecx & CPUID_XSAVE == 0 {
        return 0;
    }
    let listed = cpuid(0xD, 0);
    let listed = u64::from(listed.edx) << 32 | u64::from(listed.eax);
    listed & (xcr0::X87 | xcr0::SSE | xcr0::AVX | xcr0::AVX512)
}

/// Sets CR4.OSXSAVE, so that XSETBV can be executed for the guest.
///
/// Does nothing on a CPU without XSAVE.
pub(crate) fn enable_xsave() {
    const OSXSAVE: u64 = 1 << 18;
    if cpuid(1, 0).ecx & CPUID_XSAVE == 0 {
        return;
    }
    let cr4 = read_cr4() | OSXSAVE;
    // SAFETY: CPUID says that the bit exists; it allows instructions and changes no others.
    unsafe { asm!("mov cr4, {}", in(reg) cr4, options(nomem, nostack)) };
    // As the guest finds it: whoever started this image may have left another value.
    reset_xcr0();
}

/// Writes XCR0.
///
/// # Safety
/// CR4.OSXSAVE is set, and the CPU takes the value: x87 is in it, and only what CPUID leaf 0Dh
/// lists, with what each component needs.
pub(crate) unsafe fn xsetbv(value: u64) {
    let [low, high] = halves(value);
    // SAFETY: by the caller's promise it can't fault. Code of this image uses x87 and SSE state
    // alone, by FXSAVE, which XCR0 does not concern.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") low, in("edx") high, options(nomem, nostack));
    }
}

/// Gives XCR0 the value that it has after a reset. Does nothing on a CPU without XSAVE.
pub(crate) fn reset_xcr0() {
    if allowed_components() != 0 {
        // SAFETY: `enable_xsave` set CR4.OSXSAVE; every CPU with XSAVE takes x87 alone.
        unsafe { xsetbv(xcr0::X87) };
    }
}

/// Splits into the low and the high 32 bits.
pub(crate) fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}
