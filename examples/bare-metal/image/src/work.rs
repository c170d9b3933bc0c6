//! Guests for the other processors: handed out once, and what became of them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use bare_metal_image::{Config, MOST_GUESTS};
use spin::Mutex;

use crate::clock::Clock;
use crate::guest::Guest;
use crate::processor::Processor;
use crate::{say, status};

/// A guest that a processor is to run.
pub(crate) struct Work {
    pub(crate) guest: Box<Guest>,
    pub(crate) config: Config<'static>,
    pub(crate) clock: Clock,
}

/// What nobody has taken yet.
static WORK: Mutex<Vec<Work>> = Mutex::new(Vec::new());
/// Whether all work is in [`WORK`], or was.
static IS_HANDED_OUT: AtomicBool = AtomicBool::new(false);
/// How each guest ended; no status while it runs. No lock: who waits for it never lets go of one.
static ENDED: [AtomicU16; MOST_GUESTS as usize] =
    [const { AtomicU16::new(RUNS) }; MOST_GUESTS as usize];
const RUNS: u16 = 0x100;

/// Hands out guests to the processors that wait in [`wait_and_run`].
pub(crate) fn hand_out(work: Vec<Work>) {
    *WORK.lock() = work;
    IS_HANDED_OUT.store(true, Ordering::Release);
}

/// Waits for work, and does one piece of it if there is one left.
pub(crate) fn wait_and_run(processor: &Processor) {
    while !IS_HANDED_OUT.load(Ordering::Acquire) {
        spin_loop();
    }
    let Some(work) = WORK.lock().pop() else { return };
    run(processor, work);
}

/// Runs a guest on this processor, and notes how it ended.
pub(crate) fn run(processor: &Processor, work: Work) {
    let Work { mut guest, config, clock } = work;
    let ended = processor
        .enter_vmx()
        .and_then(|mut vmx| processor.run(&mut vmx, &mut guest, &clock, &config));
    let status = ended.unwrap_or_else(|error| {
        say!("{}", crate::crash::InFull(&error));
        status::NO_VMX
    });
    if let Some(number) = guest.label {
        say!("guest {number} ended with status {status}");
    }
    ENDED[usize::from(guest.board.guest())].store(status.into(), Ordering::Release);
}

/// Waits for the ends of so many guests; returns the first status that is not zero, if any is not.
pub(crate) fn wait_for_all(count: usize) -> u8 {
    ENDED.iter().take(count).fold(0, |first, ended| {
        loop {
            match u8::try_from(ended.load(Ordering::Acquire)) {
                Ok(status) if first == 0 => break status,
                Ok(_) => break first,
                Err(_) => spin_loop(),
            }
        }
    })
}
