//! The other processors: started, checked, and given work.

use alloc::boxed::Box;
use core::hint::spin_loop;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use machine::Nanos;

use crate::clock::Clock;
use crate::hardware::stop;
use crate::host::Tables;
use crate::processor::Processor;
use crate::{say, work};

// SAFETY: `boot.s` defines all three. The first two stand at the ends of code that nothing writes
// to; the third is eight bytes, aligned, that the trampoline reads and Rust writes as a whole.
unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    /// Where the next processor finds its stack.
    static application_processor_stack: AtomicU64;
}

/// Where `boot.s` expects its trampoline.
const TRAMPOLINE: u64 = 0x8000;
const STACK_BYTES: usize = 64 << 10;
const LOCAL_APIC: u64 = 0xFEE0_0000;
const COMMAND_LOW: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
const ID: u64 = 0x20;
const INIT: u32 = 0x0000_4500;
const STARTUP: u32 = 0x0000_4600;
const DELIVERY_PENDING: u32 = 1 << 12;

/// How many processors have come up, and how many of them can run VMX.
static STARTED: AtomicU32 = AtomicU32::new(0);
static USABLE: AtomicU32 = AtomicU32::new(0);

#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

/// Starts the processors with these local APIC ids, but for this one, and waits for each. Returns
/// how many can run VMX.
///
/// # Source
/// Intel SDM Vol. 3A, "MP Initialization Protocol Algorithm for MP Systems".
pub(crate) fn start_others(ids: &[u32], clock: &Clock) -> u32 {
    let own = read_apic(ID) >> 24;
    copy_trampoline();
    for id in ids.iter().copied().filter(|id| *id != own) {
        let stack = Box::leak(Box::new(Stack([0; STACK_BYTES])));
        let top = ptr::from_ref(stack) as u64 + STACK_BYTES as u64;
        // SAFETY: the static is 8 bytes of data in `boot.s`, which only starting processors read.
        unsafe { &application_processor_stack }.store(top, Ordering::SeqCst);
        let before = STARTED.load(Ordering::SeqCst);
        send(id, INIT);
        wait(clock, Nanos::from_millis(10));
        for _ in 0..2 {
            send(id, STARTUP | 8);
            if comes_up(clock, before) {
                break;
            }
        }
        if STARTED.load(Ordering::SeqCst) == before {
            say!("processor {id} does not start");
        }
    }
    USABLE.load(Ordering::SeqCst)
}

fn comes_up(clock: &Clock, before: u32) -> bool {
    let start = clock.now();
    while clock.now().saturating_sub(start) < Nanos::from_millis(100) {
        if STARTED.load(Ordering::SeqCst) != before {
            return true;
        }
        spin_loop();
    }
    false
}

fn copy_trampoline() {
    let start = &raw const trampoline_start;
    let size = &raw const trampoline_end as usize - start as usize;
    // SAFETY: the page at 8000h is RAM that `HostMemory` gives to nobody, and the trampoline is
    // shorter than a page.
    unsafe { ptr::copy_nonoverlapping(start, TRAMPOLINE as *mut u8, size) };
}

fn send(id: u32, command: u32) {
    write_apic(COMMAND_HIGH, id << 24);
    write_apic(COMMAND_LOW, command);
    while read_apic(COMMAND_LOW) & DELIVERY_PENDING != 0 {
        spin_loop();
    }
}

fn wait(clock: &Clock, time: Nanos) {
    let start = clock.now();
    while clock.now().saturating_sub(start) < time {
        spin_loop();
    }
}

fn read_apic(offset: u64) -> u32 {
    // SAFETY: the local APIC's page is mapped one to one; its registers are 32 bits wide.
    unsafe { ptr::read_volatile((LOCAL_APIC + offset) as *const u32) }
}

fn write_apic(offset: u64, value: u32) {
    // SAFETY: as for `read_apic`; the commands written here start other processors, which run code
    // of this image alone.
    unsafe { ptr::write_volatile((LOCAL_APIC + offset) as *mut u32, value) };
}

/// What `boot.s` calls on each of them.
#[unsafe(no_mangle)]
extern "C" fn application_processor_main() -> ! {
    let processor = Processor::new(Tables::load());
    // Whether it can enter VMX operation shows when it does so.
    let processor = processor.and_then(|processor| processor.enter_vmx().map(|_| processor)).ok();
    if processor.is_some() {
        USABLE.fetch_add(1, Ordering::SeqCst);
    }
    STARTED.fetch_add(1, Ordering::SeqCst);
    if let Some(processor) = processor {
        work::wait_and_run(&processor);
    }
    stop()
}
