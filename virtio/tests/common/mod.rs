//! A driver's side of virtio, written from the specification's text: it knows registers and bytes in
//! memory, and nothing of the crate but the accesses that a guest can make.
#![allow(dead_code, clippy::unwrap_used, reason = "tests: each uses a part of it")]

use std::sync::atomic::{AtomicU64, Ordering};

use guest_state::{Gpa, GuestMemory, WordMemory};
use virtio::{Device, Effect, VirtioPci};

/// Where the guest's memory begins: not at 0, so that an address of 0 is none.
pub(crate) const BASE: u64 = 0x1_0000;
pub(crate) const MEMORY_BYTES: usize = 0x4_0000;

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

pub(crate) fn words() -> Vec<AtomicU64> {
    (0..MEMORY_BYTES / 8).map(|_| AtomicU64::new(0)).collect()
}

pub(crate) fn memory(words: &[AtomicU64]) -> WordMemory<'_> {
    WordMemory::new(Gpa::new(BASE), words)
}

/// A queue as its driver sees it (VIRTIO 1.2 §2.7): desc, avail and used, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'m> {
    pub(crate) memory: WordMemory<'m>,
    pub(crate) size: u16,
    pub(crate) desc: u64,
    pub(crate) avail: u64,
    pub(crate) used: u64,
}

impl<'m> Ring<'m> {
    pub(crate) fn at(memory: WordMemory<'m>, start: u64, size: u16) -> Self {
        let avail = start + 16 * u64::from(size);
        // flags, idx, ring, used_event
        let used = (avail + 6 + 2 * u64::from(size)).next_multiple_of(4);
        Self { memory, size, desc: start, avail, used }
    }

    pub(crate) fn put_u16(&self, at: u64, value: u16) {
        self.memory.store_u16(Gpa::new(at), value, Ordering::SeqCst).unwrap();
    }

    pub(crate) fn get_u16(&self, at: u64) -> u16 {
        self.memory.load_u16(Gpa::new(at), Ordering::SeqCst).unwrap()
    }

    /// Writes descriptor `index` of the table at `table`: le64 addr, le32 len, le16 flags, le16 next.
    pub(crate) fn descriptor_at(&self, table: u64, index: u16, fields: (u64, u32, u16, u16)) {
        let (addr, len, flags, next) = fields;
        let mut bytes = addr.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.memory.write(Gpa::new(table + 16 * u64::from(index)), &bytes).unwrap();
    }

    pub(crate) fn descriptor(&self, index: u16, fields: (u64, u32, u16, u16)) {
        self.descriptor_at(self.desc, index, fields);
    }

    /// Writes a chain of buffers (address, length, whether the device writes it) to descriptors from
    /// `first` on.
    pub(crate) fn chain(&self, first: u16, buffers: &[(u64, u32, bool)]) {
        self.chain_at(self.desc, first, buffers);
    }

    pub(crate) fn chain_at(&self, table: u64, first: u16, buffers: &[(u64, u32, bool)]) {
        for (index, &(addr, len, writable)) in (first..).zip(buffers) {
            let last = usize::from(index - first) + 1 == buffers.len();
            let flags = if writable { WRITE } else { 0 } | if last { 0 } else { NEXT };
            self.descriptor_at(table, index, (addr, len, flags, if last { 0 } else { index + 1 }));
        }
    }

    /// Makes the chain that begins with `head` available.
    pub(crate) fn offer(&self, head: u16) {
        let index = self.get_u16(self.avail + 2);
        self.put_u16(self.avail + 4 + 2 * u64::from(index % self.size), head);
        self.put_u16(self.avail + 2, index.wrapping_add(1));
    }

    pub(crate) fn used_index(&self) -> u16 {
        self.get_u16(self.used + 2)
    }

    /// Reads what was used at `index`: the head, and how much was written.
    pub(crate) fn used_at(&self, index: u16) -> (u32, u32) {
        let mut bytes = [0; 8];
        let at = self.used + 4 + 8 * u64::from(index % self.size);
        self.memory.read(Gpa::new(at), &mut bytes).unwrap();
        let [a, b, c, d, e, f, g, h] = bytes;
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }

    /// Says at which used index the driver wants an interrupt.
    pub(crate) fn set_used_event(&self, index: u16) {
        self.put_u16(self.avail + 4 + 2 * u64::from(self.size), index);
    }

    /// At which available index the device wants a notification.
    pub(crate) fn avail_event(&self) -> u16 {
        self.get_u16(self.used + 4 + 8 * u64::from(self.size))
    }

    pub(crate) fn fill(&self, at: u64, bytes: &[u8]) {
        self.memory.write(Gpa::new(at), bytes).unwrap();
    }

    pub(crate) fn bytes(&self, at: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory.read(Gpa::new(at), &mut bytes).unwrap();
        bytes
    }
}

/// A device's function, driven through configuration space and BAR alone.
#[derive(Debug)]
pub(crate) struct Driver<D> {
    pub(crate) function: VirtioPci<D>,
    common: u32,
    isr: u32,
    device: u32,
    notify: u32,
    multiplier: u32,
    pub(crate) window: u8,
}

pub(crate) const ACKNOWLEDGE: u8 = 1;
pub(crate) const DRIVER: u8 = 2;
pub(crate) const DRIVER_OK: u8 = 4;
pub(crate) const FEATURES_OK: u8 = 8;
pub(crate) const NEEDS_RESET: u8 = 64;

pub(crate) const VERSION_1: u64 = 1 << 32;
pub(crate) const EVENT_IDX: u64 = 1 << 29;
pub(crate) const INDIRECT_DESC: u64 = 1 << 28;

impl<D: Device> Driver<D> {
    /// Finds the structures by the list of capabilities (VIRTIO 1.2 §4.1.4).
    pub(crate) fn find(mut function: VirtioPci<D>) -> Self {
        let mut read = |register: u8, size: usize| {
            let mut bytes = [0; 4];
            function.config_read(register, &mut bytes[..size]);
            u32::from_le_bytes(bytes)
        };
        assert_eq!(read(0x00, 2), 0x1AF4);
        assert_ne!(read(0x06, 2) & 0x10, 0, "no list of capabilities");
        let (mut at, mut found, mut window, mut multiplier) = (read(0x34, 1), [0; 6], 0, 0);
        while at != 0 {
            let here = u8::try_from(at).unwrap();
            assert!(here >= 0x40 && here % 4 == 0);
            if read(here, 1) == 9 {
                let kind = read(here + 3, 1) as usize;
                assert_eq!(read(here + 4, 1), 0, "all is in BAR 0");
                found[kind] = read(here + 8, 4);
                match kind {
                    2 => multiplier = read(here + 16, 4),
                    5 => window = here,
                    _ => {}
                }
            }
            at = read(here + 1, 1);
        }
        // Memory space and bus master.
        let _ = function.config_write(0x04, &[6, 0]);
        let [_, common, notify, isr, device, _] = found;
        Self { function, common, isr, device, notify, multiplier, window }
    }

    pub(crate) fn read(&mut self, at: u32, size: usize) -> u64 {
        let mut bytes = [0; 8];
        self.function.bar_read(self.common + at, &mut bytes[..size]);
        u64::from_le_bytes(bytes)
    }

    pub(crate) fn write(&mut self, at: u32, size: usize, value: u64) -> Effect {
        self.function.bar_write(self.common + at, &value.to_le_bytes()[..size])
    }

    fn set(&mut self, at: u32, size: usize, value: u64) {
        assert_eq!(self.write(at, size, value), Effect::None);
    }

    pub(crate) fn status(&mut self) -> u8 {
        u8::try_from(self.read(0x14, 1)).unwrap()
    }

    pub(crate) fn offered(&mut self) -> u64 {
        self.set(0x00, 4, 0);
        let low = self.read(0x04, 4);
        self.set(0x00, 4, 1);
        low | self.read(0x04, 4) << 32
    }

    pub(crate) fn accept(&mut self, features: u64) {
        for half in 0..2 {
            self.set(0x08, 4, half);
            self.set(0x0C, 4, features >> (32 * half) & 0xFFFF_FFFF);
        }
    }

    /// VIRTIO 1.2 §3.1.1, "Driver Requirements: Device Initialization", up to the features.
    pub(crate) fn negotiate(&mut self, features: u64) -> bool {
        self.set(0x14, 1, 0);
        assert_eq!(self.status(), 0);
        let mut status = ACKNOWLEDGE;
        self.set(0x14, 1, status.into());
        status |= DRIVER;
        self.set(0x14, 1, status.into());
        self.accept(features);
        status |= FEATURES_OK;
        self.set(0x14, 1, status.into());
        self.status() & FEATURES_OK != 0
    }

    pub(crate) fn set_queue(&mut self, index: u16, size: u16, desc: u64, avail: u64, used: u64) {
        self.set(0x16, 2, index.into());
        self.set(0x18, 2, size.into());
        for (at, address) in [(0x20, desc), (0x28, avail), (0x30, used)] {
            self.set(at, 4, address & 0xFFFF_FFFF);
            self.set(at + 4, 4, address >> 32);
        }
        self.set(0x1C, 2, 1);
    }

    /// The whole way, with one queue.
    pub(crate) fn start<'m>(
        &mut self,
        features: u64,
        memory: WordMemory<'m>,
        start: u64,
        size: u16,
    ) -> Ring<'m> {
        assert!(self.negotiate(features));
        let ring = Ring::at(memory, start, size);
        self.set_queue(0, size, ring.desc, ring.avail, ring.used);
        let ready = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
        assert_eq!(self.write(0x14, 1, ready.into()), Effect::Requests);
        ring
    }

    pub(crate) fn notify(&mut self, queue: u16) -> Effect {
        self.set(0x16, 2, queue.into());
        let offset = u32::try_from(self.read(0x1E, 2)).unwrap();
        let at = self.notify + offset * self.multiplier;
        self.function.bar_write(at, &queue.to_le_bytes())
    }

    pub(crate) fn read_isr(&mut self) -> u8 {
        let mut byte = [0];
        self.function.bar_read(self.isr, &mut byte);
        byte[0]
    }

    pub(crate) fn read_device(&mut self, at: u32, size: usize) -> u64 {
        let mut bytes = [0; 8];
        self.function.bar_read(self.device + at, &mut bytes[..size]);
        u64::from_le_bytes(bytes)
    }
}
