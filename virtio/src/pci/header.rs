//! The configuration space of a function with one BAR and virtio's capabilities.

use guest_state::{Gpa, GpaRange};

use super::layout::{self, Region};
use crate::DeviceId;

const VENDOR: u16 = 0x1AF4;
/// Device numbers of PCI are virtio's above this.
const FIRST_DEVICE: u16 = 0x1040;
const REVISION: u8 = 1;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const BAR_0: usize = 0x10;
const INTERRUPT_LINE: usize = 0x3C;
const INTERRUPT_PIN: usize = 0x3D;
const INTA: u8 = 1;

const MEMORY_SPACE: u8 = 1 << 1;
const BUS_MASTER: u8 = 1 << 2;
/// In the command register's high byte.
const INTERRUPT_DISABLE: u8 = 1 << 2;
/// In the status register's low byte.
const INTERRUPT_STATUS: u8 = 1 << 3;
const CAPABILITIES: u8 = 1 << 4;

/// The capability of vendors.
const VENDOR_SPECIFIC: u8 = 0x09;

/// What [`Header::window`] is of: BAR and offset in it, and how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) bar: u8,
    pub(super) offset: u32,
    pub(super) size_bytes: u32,
}

/// The 256 bytes of a function's configuration space.
///
/// # Source
/// PCI Local Bus 3.0 §6.1, "Configuration Space Organization"; VIRTIO 1.2 §4.1.4, "Virtio Structure
/// PCI Capabilities".
#[derive(Clone, Debug)]
pub(super) struct Header {
    bytes: [u8; 256],
    writable: [u8; 256],
}

impl Header {
    pub(super) fn new(id: DeviceId, [class, subclass, interface]: [u8; 3], queues: u32) -> Self {
        let mut header = Self { bytes: [0; 256], writable: [0; 256] };
        let device = FIRST_DEVICE.wrapping_add(id.0);
        header.put(0x00, &VENDOR.to_le_bytes());
        header.put(0x02, &device.to_le_bytes());
        header.put(0x08, &[REVISION, interface, subclass, class]);
        // A subsystem that is not below 40h: no transitional device.
        header.put(0x2C, &VENDOR.to_le_bytes());
        header.put(0x2E, &device.to_le_bytes());
        header.writable[COMMAND] = MEMORY_SPACE | BUS_MASTER;
        header.writable[COMMAND + 1] = INTERRUPT_DISABLE;
        header.bytes[STATUS] = CAPABILITIES;
        let address_bits = !(layout::BAR_BYTES - 1);
        header.writable[BAR_0..BAR_0 + 4].copy_from_slice(&address_bits.to_le_bytes());
        header.writable[INTERRUPT_LINE] = 0xFF;
        header.bytes[INTERRUPT_PIN] = INTA;
        header.add_capabilities(queues);
        header
    }

    fn add_capabilities(&mut self, queues: u32) {
        let mut pointer = 0x34;
        let mut at = layout::FIRST_CAPABILITY;
        for (kind, region, extra) in [
            (layout::COMMON_CAPABILITY, layout::COMMON, None),
            (layout::ISR_CAPABILITY, layout::ISR, None),
            (layout::DEVICE_CAPABILITY, layout::DEVICE, None),
            (layout::NOTIFY_CAPABILITY, layout::notify(queues), Some(layout::NOTIFY_MULTIPLIER)),
            (layout::PCI_CAPABILITY, Region { offset: 0, size_bytes: 0 }, Some(0)),
        ] {
            let size: u8 = if extra.is_some() { 20 } else { 16 };
            self.bytes[pointer] = at;
            pointer = usize::from(at) + 1;
            let base = usize::from(at);
            self.put(base, &[VENDOR_SPECIFIC, 0, size, kind]);
            self.put(base + 8, &region.offset.to_le_bytes());
            self.put(base + 12, &region.size_bytes.to_le_bytes());
            if let Some(extra) = extra {
                self.put(base + 16, &extra.to_le_bytes());
            }
            at += size;
        }
        // The window: BAR, offset, length. What it shows is not kept here.
        let window = usize::from(layout::WINDOW);
        self.writable[window + 4] = 0xFF;
        self.writable[window + 8..window + 16].fill(0xFF);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Reads a register; `interrupt` is what the function would like to signal.
    pub(super) fn read(&self, register: u8, interrupt: bool) -> u8 {
        let at = usize::from(register);
        let status = if at == STATUS && interrupt { INTERRUPT_STATUS } else { 0 };
        self.bytes[at] | status
    }

    pub(super) fn write(&mut self, register: u8, value: u8) {
        let at = usize::from(register);
        self.bytes[at] = self.bytes[at] & !self.writable[at] | value & self.writable[at];
    }

    /// Returns where the BAR is, if the function answers there.
    pub(super) fn bar(&self) -> Option<GpaRange> {
        if self.bytes[COMMAND] & MEMORY_SPACE == 0 {
            return None;
        }
        GpaRange::new(Gpa::new(self.u32_at(BAR_0).into()), layout::BAR_BYTES.into())
    }

    /// Does what firmware would do: an address, an interrupt, and memory accesses switched on.
    pub(super) fn assign(&mut self, bar: u32, interrupt_line: u8) {
        for (register, byte) in (0x10..).zip(bar.to_le_bytes()) {
            self.write(register, byte);
        }
        self.bytes[INTERRUPT_LINE] = interrupt_line;
        self.bytes[COMMAND] |= MEMORY_SPACE;
    }

    pub(super) const fn is_bus_master(&self) -> bool {
        self.bytes[COMMAND] & BUS_MASTER != 0
    }

    pub(super) const fn may_interrupt(&self) -> bool {
        self.bytes[COMMAND + 1] & INTERRUPT_DISABLE == 0
    }

    /// Returns what the window in the configuration space is of.
    pub(super) fn window(&self) -> Window {
        let at = usize::from(layout::WINDOW);
        Window {
            bar: self.bytes[at + 4],
            offset: self.u32_at(at + 8),
            size_bytes: self.u32_at(at + 12),
        }
    }

    fn u32_at(&self, at: usize) -> u32 {
        let [a, b, c, d] = core::array::from_fn(|index| self.bytes[at + index]);
        u32::from_le_bytes([a, b, c, d])
    }
}
