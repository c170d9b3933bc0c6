//! A virtio device as a PCI function.

mod common;
mod header;
mod layout;

use alloc::vec::Vec;

use bitflags::bitflags;
use guest_state::{GpaRange, GuestMemory};

use crate::{Device, Error, Features, InFlight, Queue};
use header::Header;

bitflags! {
    /// How far a driver has come with a device.
    ///
    /// # Source
    /// VIRTIO 1.2 §2.1, "Device Status Field".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u8 {
        /// The guest's system has seen it.
        const ACKNOWLEDGE = 1 << 0;
        /// There is a driver for it.
        const DRIVER = 1 << 1;
        /// The driver is ready.
        const DRIVER_OK = 1 << 2;
        /// Driver and device agree on the features.
        const FEATURES_OK = 1 << 3;
        /// The driver broke a rule, and the device waits for a reset.
        const NEEDS_RESET = 1 << 6;
        /// The driver has given up.
        const FAILED = 1 << 7;
    }
}

/// What has to happen after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the driver waits for its requests"]
pub enum Effect {
    /// Nothing.
    None,
    /// Requests may be waiting: take them, until there are none.
    Requests,
}

bitflags! {
    /// What the device interrupts for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Isr: u8 {
        /// A queue has used buffers.
        const QUEUE = 1 << 0;
        /// The configuration has changed, or the device needs a reset.
        const CONFIGURATION = 1 << 1;
    }
}

/// A virtio device as a PCI function: configuration space, registers in BAR 0, queues, INTA#.
///
/// It is a device of VIRTIO 1, without a legacy interface. The crate's front page says how to
/// connect it.
///
/// # Source
/// VIRTIO 1.2 §4.1, "Virtio Over PCI Bus".
#[derive(Clone, Debug)]
pub struct VirtioPci<D> {
    device: D,
    header: Header,
    queues: Vec<Queue>,
    status: Status,
    isr: Isr,
    device_feature_select: u32,
    driver_feature_select: u32,
    /// What the driver has accepted, or is about to.
    features: Features,
    queue_select: u16,
    /// The first queue to look at: each gets its turn.
    turn: u16,
    error: Option<Error>,
    /// How many resets there have been: what was taken before one is not given back after it.
    generation: u64,
    /// What was taken and not given back, whatever its generation.
    in_flight: u32,
}

impl<D: Device> VirtioPci<D> {
    /// The size of BAR 0 in bytes, of which its address has to be a multiple.
    pub const BAR_BYTES: u32 = layout::BAR_BYTES;

    /// Puts a device on the PCI bus.
    #[must_use]
    pub fn new(device: D) -> Self {
        let queues: Vec<_> = D::QUEUE_SIZES.iter().copied().map(Queue::new).collect();
        let count = u32::try_from(queues.len()).unwrap_or(0);
        Self {
            device,
            header: Header::new(D::ID, D::PCI_CLASS, count),
            queues,
            status: Status::empty(),
            isr: Isr::empty(),
            device_feature_select: 0,
            driver_feature_select: 0,
            features: Features::empty(),
            queue_select: 0,
            turn: 0,
            error: None,
            generation: 0,
            in_flight: 0,
        }
    }

    /// Returns to the state at power-on, as a reset of the bus does.
    ///
    /// Requests that are being carried out are still to be completed; the driver will not see it.
    pub fn reset(&mut self) {
        let count = u32::try_from(self.queues.len()).unwrap_or(0);
        self.header = Header::new(D::ID, D::PCI_CLASS, count);
        self.reset_device();
    }

    /// What a driver's reset does.
    fn reset_device(&mut self) {
        self.queues.iter_mut().for_each(Queue::reset);
        self.status = Status::empty();
        self.isr = Isr::empty();
        self.device_feature_select = 0;
        self.driver_feature_select = 0;
        self.features = Features::empty();
        self.queue_select = 0;
        self.turn = 0;
        self.error = None;
        self.generation += 1;
    }

    /// Returns the device.
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// Returns how far the driver has come.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Returns what the driver did wrong, if the device needs a reset.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// Reads from the configuration space; `data` is as long as the access is wide.
    ///
    /// Reading can change the device: the configuration space has a window to the registers.
    pub fn config_read(&mut self, register: u8, data: &mut [u8]) {
        if register == layout::WINDOW_DATA
            && let Some((offset, size)) = self.window(data.len())
        {
            data.fill(0);
            return self.bar_read(offset, &mut data[..size]);
        }
        let interrupt = self.has_interrupt();
        for (byte, at) in data.iter_mut().zip(register..=u8::MAX) {
            *byte = self.header.read(at, interrupt);
        }
    }

    /// Writes to the configuration space; `data` is as long as the access is wide.
    pub fn config_write(&mut self, register: u8, data: &[u8]) -> Effect {
        if register == layout::WINDOW_DATA
            && let Some((offset, size)) = self.window(data.len())
        {
            return self.bar_write(offset, &data[..size]);
        }
        let was_master = self.header.is_bus_master();
        for (byte, at) in data.iter().zip(register..=u8::MAX) {
            self.header.write(at, *byte);
        }
        // What it was notified of in between it can do only now.
        if self.header.is_bus_master() && !was_master { Effect::Requests } else { Effect::None }
    }

    /// Returns which part of the BAR the window shows, as offset and size, if the access covers it.
    fn window(&self, access: usize) -> Option<(u32, usize)> {
        let window = self.header.window();
        let size = match window.size_bytes {
            1 => 1,
            2 => 2,
            4 => 4,
            _ => return None,
        };
        let fits = size <= access && window.offset.is_multiple_of(window.size_bytes);
        (window.bar == 0 && fits).then_some((window.offset, size))
    }

    /// Returns where BAR 0 is; `None` while the function does not answer there.
    #[must_use]
    pub fn bar(&self) -> Option<GpaRange> {
        self.header.bar()
    }

    /// Does what firmware would have done: puts BAR 0 at `bar`, notes the interrupt for drivers to
    /// read, and switches memory accesses on.
    pub fn assign(&mut self, bar: u32, interrupt_line: u8) {
        self.header.assign(bar, interrupt_line);
    }

    /// Reads registers from `offset` in BAR 0; `data` is as long as the access is wide.
    ///
    /// What is no register reads as zero.
    pub fn bar_read(&mut self, offset: u32, data: &mut [u8]) {
        data.fill(0);
        if let Some(at) = inside(layout::COMMON, offset) {
            self.read_common(at, data);
        } else if let Some(at) = inside(layout::DEVICE, offset) {
            self.device.read_config(at, data);
        } else if let (Some(0), [first, ..]) = (inside(layout::ISR, offset), data) {
            *first = core::mem::take(&mut self.isr).bits();
        }
    }

    /// Writes registers from `offset` in BAR 0; `data` is as long as the access is wide.
    pub fn bar_write(&mut self, offset: u32, data: &[u8]) -> Effect {
        if let Some(at) = inside(layout::COMMON, offset) {
            return self.write_common(at, data);
        }
        if let Some(at) = inside(layout::DEVICE, offset) {
            self.device.write_config(at, data);
        }
        let queues = u32::try_from(self.queues.len()).unwrap_or(0);
        match inside(layout::notify(queues), offset) {
            // Which queue does not matter: all are looked at.
            Some(_) => Effect::Requests,
            None => Effect::None,
        }
    }

    /// Tells whether INTA# is asserted.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.has_interrupt() && self.header.may_interrupt()
    }

    fn has_interrupt(&self) -> bool {
        !self.isr.is_empty()
    }

    /// Takes the next request, if there is one that the driver may make now.
    ///
    /// A driver that breaks a rule has no more requests: see [`error`](Self::error).
    pub fn take_request(&mut self, memory: &impl GuestMemory) -> Option<D::Request> {
        let is_ready = self.status.contains(Status::DRIVER_OK) && self.header.is_bus_master();
        if !is_ready || self.error.is_some() {
            return None;
        }
        let count = u16::try_from(self.queues.len()).unwrap_or(0);
        for step in 0..count {
            let queue = (self.turn + step) % count;
            match self.take_from(queue, memory) {
                Ok(None) => {}
                Ok(Some(request)) => {
                    self.turn = (queue + 1) % count;
                    self.in_flight += 1;
                    return Some(request);
                }
                Err(error) => {
                    self.fail(error);
                    return None;
                }
            }
        }
        None
    }

    fn take_from(
        &mut self,
        queue: u16,
        memory: &impl GuestMemory,
    ) -> Result<Option<D::Request>, Error> {
        let Some(chain) = self.queues[usize::from(queue)].pop(memory)? else { return Ok(None) };
        let in_flight = InFlight { queue, head: chain.head, generation: self.generation };
        self.device.request(self.features, chain, in_flight, memory).map(Some)
    }

    /// Gives back the chain of a request: `write` writes what is to be written to it, and returns
    /// how many bytes that is from its beginning.
    ///
    /// If the device was reset since the request was taken, nothing is written.
    pub fn finish<M: GuestMemory>(
        &mut self,
        in_flight: InFlight,
        memory: &M,
        write: impl FnOnce(&M) -> Result<u32, Error>,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let InFlight { queue, head, generation } = in_flight;
        if generation != self.generation || self.error.is_some() {
            return;
        }
        let Some(queue) = self.queues.get_mut(usize::from(queue)) else { return };
        match write(memory).and_then(|written| queue.push(head, written, memory)) {
            Ok(true) => self.isr |= Isr::QUEUE,
            Ok(false) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Stops the device for what a driver did.
    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.status |= Status::NEEDS_RESET;
        if self.status.contains(Status::DRIVER_OK) {
            self.isr |= Isr::CONFIGURATION;
        }
    }
}

/// Returns how far into a region an offset in the BAR is.
fn inside(region: layout::Region, offset: u32) -> Option<usize> {
    let within = offset.checked_sub(region.offset).filter(|within| *within < region.size_bytes)?;
    usize::try_from(within).ok()
}
