//! A hypervisor that is nothing but memory.

use core::sync::atomic::AtomicU64;

use guest_state::{Gpa, GpaRange, WordMemory};
use machine::{Backend, Backing, InterruptMessage, IoApic, Request};

/// A backend of memory alone.
pub(crate) struct Ram<'a>(pub(crate) WordMemory<'a>);

impl Ram<'static> {
    /// Returns one without a byte of it.
    #[allow(dead_code, reason = "not every test goes without")]
    pub(crate) fn none() -> Self {
        static NO_WORDS: [AtomicU64; 0] = [];
        Self(WordMemory::new(Gpa::ZERO, &NO_WORDS))
    }
}

impl<'a> Backend for Ram<'a> {
    type Memory = WordMemory<'a>;

    fn memory(&self) -> &WordMemory<'a> {
        &self.0
    }
    fn console(&mut self, _: u8) {}
    fn debug(&mut self, _: u8) {}
    fn interrupt(&mut self, _: InterruptMessage) {}
    fn rerouted(&mut self, _: &IoApic) {}
    fn remap(&mut self, _: GpaRange, _: Backing) {}
    fn request(&mut self, _: Request) {}
}
