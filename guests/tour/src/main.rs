//! The tour guest: started by PVH, Multiboot or a BIOS, it says what it found and powers off.
//!
//! Ring 0 is `entry.s` and `ring0.s`; everything here runs at CPL 3, where an I/O bitmap allows every
//! port.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::fmt::Write;
use core::panic::PanicInfo;

use hvkit_tour::{Handover, tour};

mod hardware;

use hardware::{Hardware, debug_exit};

global_asm!(include_str!("entry.s"), include_str!("../../ring0.s"));

/// What `ring0.s` keeps of an exception.
#[repr(C)]
struct Fault {
    vector: u64,
    error_code: u64,
    rip: u64,
    cr2: u64,
}

/// The exit values of failures, as written to the debug exit port.
mod failure {
    pub(crate) const PANIC: u8 = 1;
    pub(crate) const EXCEPTION: u8 = 2;
    pub(crate) const NO_POWER_OFF: u8 = 3;
}

#[unsafe(no_mangle)]
extern "C" fn guest_main(handover: &Handover) -> ! {
    let mut hardware = Hardware;
    if let Err(why) = tour(handover, &mut hardware) {
        let _ = writeln!(hardware, "no power-off: {why}");
    }
    debug_exit(failure::NO_POWER_OFF)
}

#[unsafe(no_mangle)]
extern "C" fn guest_exception(fault: &Fault) -> ! {
    let Fault { vector, error_code, rip, cr2 } = fault;
    let _ = writeln!(
        Hardware,
        "tour: exception {vector}, error code {error_code:#x}, at {rip:#x}, cr2 {cr2:#x}"
    );
    debug_exit(failure::EXCEPTION)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Hardware, "tour: {info}");
    debug_exit(failure::PANIC)
}
