//! The device's registers.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use guest_state::Gpa;

use crate::{Builder, DmaTransfer, FileName, Key, spec};

const SELECTOR_PORT: u16 = 0x510;
const DATA_PORT: u16 = 0x511;
const DMA_HIGH_PORT: u16 = 0x514;
const DMA_LOW_PORT: u16 = 0x518;

/// What reads of nothing give.
const FLOATING: u8 = 0xFF;

/// What one key selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    bytes: Cow<'a, [u8]>,
    writable: bool,
}

impl<'a> Item<'a> {
    pub(crate) fn read_only(bytes: Cow<'a, [u8]>) -> Self {
        Self { bytes, writable: false }
    }

    pub(crate) fn writable(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), writable: true }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The firmware configuration device, at I/O ports 0x510 to 0x51b.
///
/// # Source
/// QEMU `docs/specs/fw_cfg.rst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FwCfg<'a> {
    items: BTreeMap<Key, Item<'a>>,
    names: BTreeMap<FileName, Key>,
    selected: Key,
    /// Never past the end of the selected item.
    offset: usize,
    dma_address_high: u32,
}

impl<'a> FwCfg<'a> {
    /// The first I/O port of the device.
    pub const PORT: u16 = SELECTOR_PORT;

    /// How many ports it has.
    pub const PORT_COUNT: u16 = 12;

    /// Starts with an empty device.
    pub fn builder() -> Builder<'a> {
        Builder::default()
    }

    pub(crate) fn new(items: BTreeMap<Key, Item<'a>>, names: BTreeMap<FileName, Key>) -> Self {
        Self { items, names, selected: Key::SIGNATURE, offset: 0, dma_address_high: 0 }
    }

    /// Resets the registers. Files that the guest has written stay as they are.
    pub fn reset(&mut self) {
        self.select(Key::SIGNATURE);
        self.dma_address_high = 0;
    }

    /// Returns a file's contents, as the guest last wrote them if it may.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let name = FileName::new(name).ok()?;
        let item = self.items.get(self.names.get(&name)?)?;
        Some(item.bytes())
    }

    /// Returns the names of all files, in ascending order.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(FileName::as_str)
    }

    /// Selects an item, as a write to the selector does: the next read starts at its first byte.
    pub fn select(&mut self, key: Key) {
        self.selected = key.of_item();
        self.offset = 0;
    }

    /// Reads one access to `port` that is as wide as `buffer` is long.
    ///
    /// Ports 0x510 and 0x511 give the next data byte, ports from 0x514 on "QEMU CFG". Accesses of
    /// any other width, or to other ports, give ones.
    pub fn read(&mut self, port: u16, buffer: &mut [u8]) {
        buffer.fill(FLOATING);
        match port {
            SELECTOR_PORT | DATA_PORT if buffer.len() == 1 => self.read_data(buffer),
            DMA_HIGH_PORT.. => {
                let first = usize::from(port - DMA_HIGH_PORT);
                let signature = spec::DMA_SIGNATURE.get(first..).unwrap_or_default();
                if let Some(bytes) = signature.get(..buffer.len()) {
                    buffer.copy_from_slice(bytes);
                }
            }
            _ => {}
        }
    }

    /// Reads the next `buffer.len()` bytes of the selected item: zeros where it has ended.
    ///
    /// This is a string instruction on the data port, whatever its count.
    pub fn read_data(&mut self, buffer: &mut [u8]) {
        let rest = self.rest();
        let count = rest.len().min(buffer.len());
        let (data, zeros) = buffer.split_at_mut(count);
        data.copy_from_slice(&rest[..count]);
        zeros.fill(0);
        self.advance(count);
    }

    /// Writes one access to `port` that is as wide as `bytes` is long.
    ///
    /// Two bytes to 0x510 select an item. Four bytes to 0x518, after four to 0x514 if the address
    /// has more than 32 bits, start the transfer that is returned. Other writes do nothing.
    #[must_use = "the guest waits for the transfer"]
    pub fn write(&mut self, port: u16, bytes: &[u8]) -> Option<DmaTransfer> {
        match (port, bytes) {
            (SELECTOR_PORT, &[low, high]) => {
                self.select(Key(u16::from_le_bytes([low, high])));
                None
            }
            (DMA_HIGH_PORT, &[a, b, c, d]) => {
                self.dma_address_high = u32::from_be_bytes([a, b, c, d]);
                None
            }
            (DMA_LOW_PORT, &[a, b, c, d]) => {
                let high = core::mem::take(&mut self.dma_address_high);
                let low = u32::from_be_bytes([a, b, c, d]);
                let descriptor = Gpa::new(u64::from(high) << 32 | u64::from(low));
                Some(DmaTransfer { descriptor })
            }
            _ => None,
        }
    }

    /// Returns what is left of the selected item.
    pub(crate) fn rest(&self) -> &[u8] {
        let item = self.items.get(&self.selected);
        item.and_then(|item| item.bytes().get(self.offset..)).unwrap_or_default()
    }

    /// Returns the next `length` bytes of the selected item, if the guest may write them all.
    pub(crate) fn writable_rest(&mut self, length: usize) -> Option<&mut [u8]> {
        let item = self.items.get_mut(&self.selected)?;
        let end = self.offset.checked_add(length)?;
        if !item.writable || end > item.bytes.len() {
            return None;
        }
        item.bytes.to_mut().get_mut(self.offset..end)
    }

    /// Moves on by `count` bytes, but not past the end.
    pub(crate) fn advance(&mut self, count: usize) {
        self.offset += count.min(self.rest().len());
    }
}
