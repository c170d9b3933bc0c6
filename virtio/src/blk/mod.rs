//! A disk.

mod request;

use bitflags::bitflags;
use guest_state::GuestMemory;

pub use request::{BlkOperation, BlkRequest, BlkStatus, BlockBackend, BlockError};

use crate::{Chain, Device, DeviceId, Error, Features, InFlight, VirtioPci};

/// The unit of a disk's size and of places on it, in bytes.
pub const SECTOR_BYTES: u64 = 512;

/// What a driver can read of a disk.
///
/// ```
/// use virtio::{Blk, BlkConfig, VirtioPci};
/// let disk = BlkConfig { sectors: 2048, readonly: false, id: *b"boot\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" };
/// let function = VirtioPci::new(Blk::new(disk));
/// assert_eq!(function.bar(), None); // nobody has given it an address
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlkConfig {
    /// Its size in sectors.
    pub sectors: u64,
    /// Whether writes fail.
    pub readonly: bool,
    /// Its serial number: ASCII, padded with zeros.
    pub id: [u8; 20],
}

/// A block device.
///
/// # Source
/// VIRTIO 1.2 §5.2, "Block Device".
#[derive(Clone, Debug)]
pub struct Blk {
    config: BlkConfig,
}

bitflags! {
    struct BlkFeatures: u64 {
        /// Buffers have a largest size.
        const SIZE_MAX = 1 << 1;
        /// Requests have a largest number of buffers.
        const SEG_MAX = 1 << 2;
        const RO = 1 << 5;
        const BLK_SIZE = 1 << 6;
        const FLUSH = 1 << 9;
        const DISCARD = 1 << 13;
        const WRITE_ZEROES = 1 << 14;
    }
}

impl Blk {
    const QUEUE_SIZE: u16 = 128;
    /// A request takes two buffers besides its data.
    const MOST_SEGMENTS: u32 = Self::QUEUE_SIZE as u32 - 2;
    const MOST_SEGMENT_BYTES: u32 = 512 << 10;
    /// The most data that one request moves.
    const MOST_DATA_BYTES: u64 = Self::MOST_SEGMENTS as u64 * Self::MOST_SEGMENT_BYTES as u64;
    /// The most sectors that one request discards, or fills with zeros.
    const MOST_CLEARED_SECTORS: u32 = 64 << 11;

    /// Makes a disk.
    #[must_use]
    pub const fn new(config: BlkConfig) -> Self {
        Self { config }
    }

    /// Returns what a driver can read of it.
    #[must_use]
    pub const fn config(&self) -> BlkConfig {
        self.config
    }

    const fn is_writable(&self) -> bool {
        !self.config.readonly
    }
}

impl Device for Blk {
    const ID: DeviceId = DeviceId::BLOCK;
    /// A mass storage controller of no other kind.
    const PCI_CLASS: [u8; 3] = [0x01, 0x80, 0x00];
    const QUEUE_SIZES: &'static [u16] = &[Self::QUEUE_SIZE];
    type Request = BlkRequest;

    fn features(&self) -> Features {
        let mut features = BlkFeatures::SIZE_MAX
            | BlkFeatures::SEG_MAX
            | BlkFeatures::BLK_SIZE
            | BlkFeatures::FLUSH;
        features |= match self.is_writable() {
            true => BlkFeatures::DISCARD | BlkFeatures::WRITE_ZEROES,
            false => BlkFeatures::RO,
        };
        Features::from_bits_retain(features.bits())
    }

    /// # Source
    /// VIRTIO 1.2 §5.2.4, "Device configuration layout".
    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let mut image = [0; 60];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.config.sectors.to_le_bytes());
        put(8, &Self::MOST_SEGMENT_BYTES.to_le_bytes());
        put(12, &Self::MOST_SEGMENTS.to_le_bytes());
        put(20, &512_u32.to_le_bytes());
        put(34, &1_u16.to_le_bytes()); // queues
        if self.is_writable() {
            let (sectors, segments) =
                (Self::MOST_CLEARED_SECTORS.to_le_bytes(), 1_u32.to_le_bytes());
            put(36, &sectors);
            put(40, &segments);
            put(44, &8_u32.to_le_bytes()); // sectors to which discards are best aligned
            put(48, &sectors);
            put(52, &segments);
            put(56, &[1]); // zeros may be holes
        }
        for (byte, value) in data.iter_mut().zip(image.iter().skip(offset)) {
            *byte = *value;
        }
    }

    fn request(
        &self,
        features: Features,
        chain: Chain,
        in_flight: InFlight,
        memory: &impl GuestMemory,
    ) -> Result<BlkRequest, Error> {
        BlkRequest::read(self, features, chain, in_flight, memory)
    }
}

impl VirtioPci<Blk> {
    /// Completes a request with what [`BlkRequest::carry_out`] came to.
    pub fn complete(
        &mut self,
        request: BlkRequest,
        ended: Result<BlkStatus, Error>,
        memory: &impl GuestMemory,
    ) {
        let (in_flight, answer) = request.into_answer();
        self.finish(in_flight, memory, |memory| answer.write(ended?, memory));
    }
}
