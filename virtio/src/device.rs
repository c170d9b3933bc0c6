//! What the transport has to know of a device.

use bitflags::bitflags;
use guest_state::GuestMemory;

use crate::{Chain, Error};

/// Which kind of device.
///
/// # Source
/// VIRTIO 1.2 §5, "Device Types".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct DeviceId(pub u16);

impl DeviceId {
    /// A block device.
    pub const BLOCK: Self = Self(2);
    /// A source of entropy.
    pub const ENTROPY: Self = Self(4);
}

bitflags! {
    /// Features that are not of one kind of device.
    ///
    /// # Source
    /// VIRTIO 1.2 §6, "Reserved Feature Bits".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u64 {
        /// A descriptor can refer to a table of descriptors.
        const INDIRECT_DESC = 1 << 28;
        /// Each side says at which index it wants to hear of the other.
        const EVENT_IDX = 1 << 29;
        /// The device is none from before VIRTIO 1.0.
        const VERSION_1 = 1 << 32;
        const _ = !0;
    }
}

/// A chain that a device has taken and not given back: which, of which queue, since which reset.
///
/// Whoever has one has to give it back once, by [`VirtioPci::finish`](crate::VirtioPci::finish).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the driver waits for it"]
pub struct InFlight {
    pub(crate) queue: u16,
    pub(crate) head: u16,
    pub(crate) generation: u64,
}

/// A kind of device, for [`VirtioPci`](crate::VirtioPci) to put on the PCI bus.
pub trait Device {
    /// Its number.
    const ID: DeviceId;
    /// Base class, subclass and programming interface of its PCI function.
    const PCI_CLASS: [u8; 3];
    /// The most entries of each of its queues, powers of two up to 32,768.
    const QUEUE_SIZES: &'static [u16];
    /// What a driver asks of it.
    type Request;

    /// Returns the features that it has by itself: bits 0 to 23 and from 50.
    fn features(&self) -> Features;

    /// Reads its configuration from `offset`; what lies behind its end is zero.
    fn read_config(&self, offset: usize, data: &mut [u8]);

    /// Writes to its configuration. Most have nothing there to write.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    /// Says what the buffers of a chain ask for, under the features that the driver has accepted.
    ///
    /// # Errors
    /// Any, if it makes no sense to an extent that leaves the device no way to answer.
    fn request(
        &self,
        features: Features,
        chain: Chain,
        in_flight: InFlight,
        memory: &impl GuestMemory,
    ) -> Result<Self::Request, Error>;
}
