//! A source of random numbers.

use guest_state::GuestMemory;

use crate::{Buffers, Chain, Device, DeviceId, Error, Features, InFlight, VirtioPci};

/// An entropy device: drivers hand it buffers, which it fills.
///
/// # Source
/// VIRTIO 1.2 §5.4, "Entropy Device".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rng;

/// Buffers that want to be filled with random bytes.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the driver waits for it"]
pub struct RngRequest {
    in_flight: InFlight,
    buffers: Buffers,
}

impl RngRequest {
    /// The most bytes that one request gets: drivers ask for more if they want more.
    pub const MOST_BYTES: usize = 4096;

    /// Returns how many random bytes it takes at most.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        usize::try_from(self.buffers.size_bytes()).unwrap_or(Self::MOST_BYTES).min(Self::MOST_BYTES)
    }
}

impl Device for Rng {
    const ID: DeviceId = DeviceId::ENTROPY;
    /// A device that belongs to no class.
    const PCI_CLASS: [u8; 3] = [0xFF, 0x00, 0x00];
    const QUEUE_SIZES: &'static [u16] = &[64];
    type Request = RngRequest;

    fn features(&self) -> Features {
        Features::empty()
    }

    fn read_config(&self, _: usize, _: &mut [u8]) {}

    fn request(
        &self,
        _: Features,
        chain: Chain,
        in_flight: InFlight,
        _: &impl GuestMemory,
    ) -> Result<RngRequest, Error> {
        if chain.writable.size_bytes() == 0 {
            return Err(Error::TooShort { size_bytes: 0, least: 1 });
        }
        Ok(RngRequest { in_flight, buffers: chain.writable })
    }
}

impl VirtioPci<Rng> {
    /// Completes a request with random bytes, of which no more are used than it takes.
    pub fn complete(&mut self, request: RngRequest, random: &[u8], memory: &impl GuestMemory) {
        let random = &random[..random.len().min(request.most_bytes())];
        let RngRequest { in_flight, buffers } = request;
        self.finish(in_flight, memory, |memory| {
            buffers.write(0, random, memory)?;
            Ok(u32::try_from(random.len()).unwrap_or(0))
        });
    }
}
