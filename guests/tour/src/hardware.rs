//! Port I/O, the serial console and physical memory: all the unsafe code of the tour.

use core::arch::asm;
use core::fmt;
use core::slice;

use hvkit_tour::{Cpuid, Machine};

const COM1: u16 = 0x3F8;
const COM1_LINE_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u8 = 0x20;
/// A 16550 takes this many bytes at once when its transmitter is empty.
const FIFO_BYTES: usize = 16;
const DEBUG_EXIT: u16 = 0xF4;

/// The machine that the tour runs on.
pub(crate) struct Hardware;

impl Machine for Hardware {
    fn memory(&self, address: u64, size_bytes: usize) -> Option<&[u8]> {
        let end = address.checked_add(size_bytes as u64)?;
        if address == 0 || end > 1 << 32 {
            return None;
        }
        // SAFETY:
        // 1. Valid for reads: `ring0.s` maps the first 4 GiB one to one. Where no memory is, reads
        //    give whatever the machine answers, but don't fault.
        // 2. Aligned: bytes have no alignment; not null: address 0 was refused above.
        // 3. Not mutated: no other CPU runs, no device was told to write to memory, and the tour
        //    writes only to its own stack and statics, which nobody asks to be shown.
        // 4. Not larger than isize::MAX: `end` is at most 4 GiB.
        Some(unsafe { slice::from_raw_parts(address as *const u8, size_bytes) })
    }

    fn in8(&mut self, port: u16) -> u8 {
        inb(port)
    }

    fn in32(&mut self, port: u16) -> u32 {
        let value;
        // SAFETY: the I/O bitmap allows every port, and reading a port touches no memory.
        unsafe {
            asm!("in eax, dx", out("eax") value, in("dx") port, options(nomem, nostack));
        }
        value
    }

    fn out8(&mut self, port: u16, value: u8) {
        outb(port, value);
    }

    fn out16(&mut self, port: u16, value: u16) {
        // SAFETY: the I/O bitmap allows every port; no device was given memory to write to.
        unsafe {
            asm!("out dx, ax", in("ax") value, in("dx") port, options(nomem, nostack));
        }
    }

    fn out32(&mut self, port: u16, value: u32) {
        // SAFETY: the I/O bitmap allows every port; no device was given memory to write to.
        unsafe {
            asm!("out dx, eax", in("eax") value, in("dx") port, options(nomem, nostack));
        }
    }

    fn cpuid(&self, leaf: u32) -> Cpuid {
        let found = core::arch::x86_64::__cpuid_count(leaf, 0);
        Cpuid { eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx }
    }
}

impl fmt::Write for Hardware {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for chunk in text.as_bytes().chunks(FIFO_BYTES) {
            while inb(COM1_LINE_STATUS) & TRANSMITTER_EMPTY == 0 {}
            // SAFETY: the I/O bitmap allows every port, and `rep outsb` reads exactly the bytes of `chunk`.
            unsafe {
                asm!(
                    "rep outsb",
                    inout("rsi") chunk.as_ptr() => _,
                    inout("rcx") chunk.len() => _,
                    in("dx") COM1,
                    options(readonly, nostack),
                );
            }
        }
        Ok(())
    }
}

/// Ends the virtual machine with a failure: its status is `(value << 1) | 1`.
pub(crate) fn debug_exit(value: u8) -> ! {
    outb(DEBUG_EXIT, value);
    loop {
        core::hint::spin_loop();
    }
}

fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: the I/O bitmap allows every port, and reading a port touches no memory.
    unsafe {
        asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack));
    }
    value
}

fn outb(port: u16, value: u8) {
    // SAFETY: the I/O bitmap allows every port; no device was given memory to write to.
    unsafe {
        asm!("out dx, al", in("al") value, in("dx") port, options(nomem, nostack));
    }
}
