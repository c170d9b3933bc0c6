//! The boot sector: 512 bytes that a BIOS loads, which load the tour.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(include_str!("sector.s"));

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
