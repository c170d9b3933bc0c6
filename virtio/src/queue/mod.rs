//! Split virtqueues.

mod buffers;
mod chain;

use core::sync::atomic::{Ordering, fence};

use guest_state::{AccessError, Gpa, GpaRange, GuestMemory};

pub use buffers::{Buffers, Segment};
pub use chain::Chain;

use crate::{Error, Features, RingPart};

/// Where a driver has put a queue, and how many entries it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSetup {
    /// The number of entries, a power of two.
    pub size: u16,
    /// The descriptor table, on a multiple of 16.
    pub descriptors: Gpa,
    /// The available ring, on a multiple of 2.
    pub available: Gpa,
    /// The used ring, on a multiple of 4.
    pub used: Gpa,
}

/// The device's end of a split virtqueue.
///
/// ```
/// # use guest_state::GuestMemory;
/// use virtio::{Error, Queue};
///
/// /// Answers each chain with zeros; whether to interrupt the driver.
/// fn serve(queue: &mut Queue, memory: &impl GuestMemory) -> Result<bool, Error> {
///     let mut interrupt = false;
///     while let Some(chain) = queue.pop(memory)? {
///         for segment in chain.writable.segments() {
///             memory.fill(segment.gpa, segment.size_bytes.into(), 0)?;
///         }
///         let written = u32::try_from(chain.writable.size_bytes()).unwrap_or(u32::MAX);
///         interrupt |= queue.push(chain.head, written, memory)?;
///     }
///     Ok(interrupt)
/// }
/// ```
///
/// # Source
/// VIRTIO 1.2 §2.7, "Split Virtqueues".
#[derive(Clone, Debug)]
pub struct Queue {
    most: u16,
    setup: QueueSetup,
    features: Features,
    is_enabled: bool,
    /// The index of the next chain to take.
    next_available: u16,
    /// The index of the next chain to give back.
    next_used: u16,
    /// Chains that were taken and not given back.
    in_flight: u16,
}

/// The available ring and the used ring begin with flags and index, of two bytes each.
const INDEX: u64 = 2;
const RING: u64 = 4;
const AVAILABLE_ENTRY_BYTES: u64 = 2;
const USED_ENTRY_BYTES: u64 = 8;
const DESCRIPTOR_BYTES: u64 = 16;
/// The driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;

impl Queue {
    /// Makes a queue that is off, of at most `most` entries; it is cut to a power of two.
    #[must_use]
    pub const fn new(most: u16) -> Self {
        let most = if most == 0 { 1 } else { 1 << most.ilog2() };
        Self {
            most,
            setup: QueueSetup {
                size: most,
                descriptors: Gpa::ZERO,
                available: Gpa::ZERO,
                used: Gpa::ZERO,
            },
            features: Features::empty(),
            is_enabled: false,
            next_available: 0,
            next_used: 0,
            in_flight: 0,
        }
    }

    /// Returns to the state in which it was made.
    pub const fn reset(&mut self) {
        *self = Self::new(self.most);
    }

    /// Returns where it is.
    #[must_use]
    pub const fn setup(&self) -> QueueSetup {
        self.setup
    }

    /// Says where it is, unless it is on.
    pub const fn set_up(&mut self, setup: QueueSetup) {
        if !self.is_enabled {
            self.setup = setup;
        }
    }

    /// Tells whether it is on.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Switches it on, under the features that the driver has accepted.
    ///
    /// # Errors
    /// [`Error::QueueSize`] and [`Error::RingAddress`] for a setup that is none.
    pub fn enable(&mut self, features: Features) -> Result<(), Error> {
        let QueueSetup { size, descriptors, available, used } = self.setup;
        if !size.is_power_of_two() || size > self.most {
            return Err(Error::QueueSize { size, most: self.most });
        }
        let entries = u64::from(size);
        // Behind each ring is an index for EVENT_IDX.
        for (part, gpa, alignment, size_bytes) in [
            (RingPart::Descriptors, descriptors, 16, entries * DESCRIPTOR_BYTES),
            (RingPart::Available, available, 2, RING + entries * AVAILABLE_ENTRY_BYTES + 2),
            (RingPart::Used, used, 4, RING + entries * USED_ENTRY_BYTES + 2),
        ] {
            if !gpa.is_aligned(alignment) || GpaRange::new(gpa, size_bytes).is_none() {
                return Err(Error::RingAddress { part, gpa });
            }
        }
        self.features = features;
        self.is_enabled = true;
        Ok(())
    }

    /// Takes the next chain that the driver has made available, if there is one.
    ///
    /// Under EVENT_IDX a queue that is found empty asks for a notification of the next chain.
    ///
    /// # Errors
    /// What is wrong with the ring or the chain. It is not taken, and it will not get better.
    pub fn pop(&mut self, memory: &impl GuestMemory) -> Result<Option<Chain>, Error> {
        if !self.is_enabled || !self.has_available(memory)? {
            return Ok(None);
        }
        if self.in_flight >= self.setup.size {
            return Err(Error::TooManyInFlight { size: self.setup.size });
        }
        let at = self.available_entry(self.next_available)?;
        let head = memory.load_u16(at, Ordering::Relaxed)?;
        let chain = chain::walk(head, self.setup, self.features, memory)?;
        self.next_available = self.next_available.wrapping_add(1);
        self.in_flight += 1;
        Ok(Some(chain))
    }

    /// Gives back the chain that begins with descriptor `head`, to whose writable buffers `written`
    /// bytes were written from their beginning. Tells whether the driver wants an interrupt.
    ///
    /// # Errors
    /// [`Error::Memory`] if the rings are not in memory.
    #[must_use = "the driver may wait for an interrupt"]
    pub fn push(
        &mut self,
        head: u16,
        written: u32,
        memory: &impl GuestMemory,
    ) -> Result<bool, Error> {
        if !self.is_enabled {
            return Ok(false);
        }
        let slot = u64::from(self.next_used % self.setup.size);
        let at = above(self.setup.used, RING + slot * USED_ENTRY_BYTES)?;
        let mut entry = [0; 8];
        entry[..4].copy_from_slice(&u32::from(head).to_le_bytes());
        entry[4..].copy_from_slice(&written.to_le_bytes());
        memory.write(at, &entry)?;
        let pushed = self.next_used;
        self.next_used = pushed.wrapping_add(1);
        self.in_flight = self.in_flight.saturating_sub(1);
        // The driver that sees the index sees the entry.
        memory.store_u16(above(self.setup.used, INDEX)?, self.next_used, Ordering::Release)?;
        // The driver says what it wants, then looks at the index: in this order it is heard.
        fence(Ordering::SeqCst);
        if self.features.contains(Features::EVENT_IDX) {
            let wanted = self.available_entry_or_end(self.setup.size)?;
            return Ok(memory.load_u16(wanted, Ordering::Relaxed)? == pushed);
        }
        let flags = memory.load_u16(self.setup.available, Ordering::Relaxed)?;
        Ok(flags & NO_INTERRUPT == 0)
    }

    /// Tells whether there is a chain to take. If not, asks to be told of the next.
    fn has_available(&self, memory: &impl GuestMemory) -> Result<bool, Error> {
        if self.available_count(memory)? > 0 {
            return Ok(true);
        }
        if !self.features.contains(Features::EVENT_IDX) {
            return Ok(false);
        }
        let end = RING + u64::from(self.setup.size) * USED_ENTRY_BYTES;
        let event = above(self.setup.used, end)?;
        memory.store_u16(event, self.next_available, Ordering::Relaxed)?;
        // A driver that did not see this has made its chain available before: look again.
        fence(Ordering::SeqCst);
        Ok(self.available_count(memory)? > 0)
    }

    fn available_count(&self, memory: &impl GuestMemory) -> Result<u16, Error> {
        let at = above(self.setup.available, INDEX)?;
        let found = memory.load_u16(at, Ordering::Acquire)?;
        let (next, size) = (self.next_available, self.setup.size);
        let count = found.wrapping_sub(next);
        if count > size { Err(Error::AvailableIndex { next, found, size }) } else { Ok(count) }
    }

    fn available_entry(&self, index: u16) -> Result<Gpa, Error> {
        self.available_entry_or_end(index % self.setup.size)
    }

    /// The end of the ring is where the driver says at which index it wants an interrupt.
    fn available_entry_or_end(&self, slot: u16) -> Result<Gpa, Error> {
        above(self.setup.available, RING + u64::from(slot) * AVAILABLE_ENTRY_BYTES)
    }
}

/// Adds to an address what was checked not to leave the address space when the queue was enabled.
fn above(gpa: Gpa, bytes: u64) -> Result<Gpa, Error> {
    let error = AccessError::NotMapped { gpa, size_bytes: bytes };
    gpa.checked_add(bytes).ok_or(Error::Memory(error))
}
