//! hvmloader as an image: the entry, the heap, and what ends it if something goes wrong.
//!
//! Ring 0 is `entry.s` and `ring0.s`; everything here runs at CPL 3, where an I/O bitmap allows every
//! port.
#![no_std]
#![no_main]

extern crate alloc;

use core::arch::global_asm;
use core::error::Error;
use core::fmt::Write;
use core::panic::PanicInfo;

use guest_state::Gpa;
use hvkit_hvmloader::load;

mod hardware;
mod heap;

use hardware::{DebugPort, Hardware, debug_exit};

global_asm!(include_str!("entry.s"), include_str!("../../ring0.s"));

/// What `entry.s` found.
#[repr(C)]
struct Handover {
    /// EBX.
    start_info: u64,
}

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
    pub(crate) const REFUSED: u8 = 3;
}

#[unsafe(no_mangle)]
extern "C" fn guest_main(handover: &Handover) -> ! {
    let mut hardware = Hardware::new();
    match load(Gpa::new(handover.start_info), Hardware::own(), &mut hardware) {
        Ok(()) => hardware::go_to_the_bios(),
        Err(error) => {
            let _ = writeln!(hardware, "hvmloader: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                let _ = writeln!(hardware, "hvmloader: because {error}");
                cause = error.source();
            }
            debug_exit(failure::REFUSED)
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn guest_exception(fault: &Fault) -> ! {
    let Fault { vector, error_code, rip, cr2 } = fault;
    let _ = writeln!(
        DebugPort,
        "hvmloader: exception {vector}, error code {error_code:#x}, at {rip:#x}, cr2 {cr2:#x}"
    );
    debug_exit(failure::EXCEPTION)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(DebugPort, "hvmloader: {info}");
    debug_exit(failure::PANIC)
}
