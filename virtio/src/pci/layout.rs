//! Where everything is in BAR 0 and among the capabilities.
//!
//! ```text
//!   0000h  common configuration   capability at 40h
//!   1000h  ISR status                        at 50h
//!   2000h  the device's own                  at 60h
//!   3000h  notifications                     at 70h
//!   4000h  end of the BAR         (a window to it, at 84h)
//! ```

/// A part of the BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u32,
    pub(super) size_bytes: u32,
}

/// The size of BAR 0, a power of two.
pub(super) const BAR_BYTES: u32 = 0x4000;

pub(super) const COMMON: Region = Region { offset: 0, size_bytes: 0x38 };
pub(super) const ISR: Region = Region { offset: 0x1000, size_bytes: 1 };
pub(super) const DEVICE: Region = Region { offset: 0x2000, size_bytes: 0x1000 };
const NOTIFY: u32 = 0x3000;

/// The size of the common configuration, up to the address of the used ring.
pub(super) const COMMON_BYTES: usize = COMMON.size_bytes as usize;

/// Each queue has its own address to be notified at, so many bytes from the next.
pub(super) const NOTIFY_MULTIPLIER: u32 = 4;

pub(super) const fn notify(queues: u32) -> Region {
    Region { offset: NOTIFY, size_bytes: queues * NOTIFY_MULTIPLIER }
}

pub(super) const FIRST_CAPABILITY: u8 = 0x40;
/// The capability with the window, and its data.
pub(super) const WINDOW: u8 = 0x84;
pub(super) const WINDOW_DATA: u8 = WINDOW + 16;

/// Kinds of capabilities.
///
/// # Source
/// VIRTIO 1.2 §4.1.4, "Virtio Structure PCI Capabilities".
pub(super) const COMMON_CAPABILITY: u8 = 1;
pub(super) const NOTIFY_CAPABILITY: u8 = 2;
pub(super) const ISR_CAPABILITY: u8 = 3;
pub(super) const DEVICE_CAPABILITY: u8 = 4;
pub(super) const PCI_CAPABILITY: u8 = 5;

/// Offsets in the common configuration.
///
/// # Source
/// VIRTIO 1.2 §4.1.4.3, "Common configuration structure layout".
pub(super) mod common {
    pub(in super::super) const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub(in super::super) const DEVICE_FEATURE: usize = 0x04;
    pub(in super::super) const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub(in super::super) const DRIVER_FEATURE: usize = 0x0C;
    pub(in super::super) const CONFIG_MSIX_VECTOR: usize = 0x10;
    pub(in super::super) const NUM_QUEUES: usize = 0x12;
    pub(in super::super) const DEVICE_STATUS: usize = 0x14;
    pub(in super::super) const CONFIG_GENERATION: usize = 0x15;
    pub(in super::super) const QUEUE_SELECT: usize = 0x16;
    pub(in super::super) const QUEUE_SIZE: usize = 0x18;
    pub(in super::super) const QUEUE_MSIX_VECTOR: usize = 0x1A;
    pub(in super::super) const QUEUE_ENABLE: usize = 0x1C;
    pub(in super::super) const QUEUE_NOTIFY_OFF: usize = 0x1E;
    pub(in super::super) const QUEUE_DESC: usize = 0x20;
    pub(in super::super) const QUEUE_DRIVER: usize = 0x28;
    pub(in super::super) const QUEUE_DEVICE: usize = 0x30;
}
