//! Chains of descriptors.

use guest_state::{Gpa, GpaRange, GuestMemory};

use super::{Buffers, DESCRIPTOR_BYTES, QueueSetup, Segment, above};
use crate::{Error, Features};

/// A chain of buffers, as it was when the device took it: first those that the device reads, then
/// those that it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the driver waits for it"]
pub struct Chain {
    /// Its first descriptor, by which it is given back.
    pub head: u16,
    /// What the device may read.
    pub readable: Buffers,
    /// What the device may write.
    pub writable: Buffers,
}

/// A descriptor, as read.
struct Descriptor {
    gpa: Gpa,
    size_bytes: u32,
    flags: u16,
    next: u16,
}

const NEXT: u16 = 1 << 0;
const WRITE: u16 = 1 << 1;
const INDIRECT: u16 = 1 << 2;

impl Descriptor {
    /// Reads it once: the driver may change it at any time.
    fn read(table: Gpa, index: u16, memory: &impl GuestMemory) -> Result<Self, Error> {
        let mut bytes = [0; 16];
        memory.read(above(table, u64::from(index) * DESCRIPTOR_BYTES)?, &mut bytes)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Ok(Self {
            gpa: Gpa::new(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            size_bytes: u32::from_le_bytes([i, j, k, l]),
            flags: u16::from_le_bytes([m, n]),
            next: u16::from_le_bytes([o, p]),
        })
    }

    const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Follows the chain that begins with descriptor `head`.
///
/// # Source
/// VIRTIO 1.2 §2.7.5, "The Virtqueue Descriptor Table".
pub(super) fn walk(
    head: u16,
    setup: QueueSetup,
    features: Features,
    memory: &impl GuestMemory,
) -> Result<Chain, Error> {
    let size = setup.size;
    let mut chain = Chain { head, readable: Buffers::default(), writable: Buffers::default() };
    let (mut table, mut entries, mut index) = (setup.descriptors, u32::from(size), head);
    let (mut is_indirect, mut buffers) = (false, 0);
    loop {
        if u32::from(index) >= entries {
            return Err(Error::DescriptorIndex { index, entries });
        }
        let descriptor = Descriptor::read(table, index, memory)?;
        if descriptor.has(INDIRECT) {
            entries = indirect_entries(&descriptor, is_indirect, features)?;
            (table, index, is_indirect) = (descriptor.gpa, 0, true);
            continue;
        }
        buffers += 1;
        if buffers > size {
            return Err(Error::ChainTooLong { size });
        }
        append(&mut chain, &descriptor)?;
        if !descriptor.has(NEXT) {
            return Ok(chain);
        }
        index = descriptor.next;
    }
}

/// Returns how many descriptors the table has that `descriptor` refers to.
fn indirect_entries(
    descriptor: &Descriptor,
    is_indirect: bool,
    features: Features,
) -> Result<u32, Error> {
    const BYTES: u32 = 16;
    let &Descriptor { gpa, size_bytes, .. } = descriptor;
    if is_indirect {
        return Err(Error::NestedIndirect);
    }
    if !features.contains(Features::INDIRECT_DESC) {
        return Err(Error::IndirectNotNegotiated);
    }
    if descriptor.has(NEXT) {
        return Err(Error::IndirectWithNext);
    }
    if size_bytes == 0 || size_bytes % BYTES != 0 {
        return Err(Error::IndirectSize { size_bytes });
    }
    if GpaRange::new(gpa, size_bytes.into()).is_none() {
        return Err(Error::BufferAddress { gpa, size_bytes });
    }
    Ok(size_bytes / BYTES)
}

fn append(chain: &mut Chain, descriptor: &Descriptor) -> Result<(), Error> {
    let &Descriptor { gpa, size_bytes, .. } = descriptor;
    if GpaRange::new(gpa, size_bytes.into()).is_none() {
        return Err(Error::BufferAddress { gpa, size_bytes });
    }
    let before = chain.readable.size_bytes() + chain.writable.size_bytes();
    if before + u64::from(size_bytes) > u64::from(u32::MAX) {
        return Err(Error::ChainBytes);
    }
    let is_writable = descriptor.has(WRITE);
    // An empty buffer counts for the order, too.
    if !is_writable && chain.writable.has_begun() {
        return Err(Error::ReadableAfterWritable);
    }
    let buffers = if is_writable { &mut chain.writable } else { &mut chain.readable };
    buffers.push(Segment { gpa, size_bytes });
    Ok(())
}
