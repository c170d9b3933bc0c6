//! The `$PIR` table: to which IRQs each slot's pins can be routed.

use alloc::vec::Vec;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

use crate::checksum::checksum;
use crate::{Error, InterruptPin, PciFunction, PirqRouting};

const HEADER_CHECKSUM: usize = 31;

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    signature: [u8; 4],
    version: U16,
    size_bytes: U16,
    router_bus: u8,
    router_function: u8,
    exclusive_irqs: U16,
    compatible_vendor: U16,
    compatible_device: U16,
    miniport_data: U32,
    reserved: [u8; 11],
    checksum: u8,
}
const _: () = assert!(size_of::<Header>() == 32);

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Pin {
    link: u8,
    irqs: U16,
}
const _: () = assert!(size_of::<Pin>() == 3);

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Slot {
    bus: u8,
    device: u8,
    pins: [Pin; 4],
    number: u8,
    reserved: u8,
}
const _: () = assert!(size_of::<Slot>() == 16);

/// A slot, or a device on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PirSlot {
    /// Its bus.
    pub bus: u8,
    /// Its device number.
    pub device: u8,
    /// For each pin the number of its link, which a router gives a meaning, and the IRQs that are
    /// possible, as bits; link 0 is a pin that is not connected.
    pub pins: [(u8, u16); 4],
    /// The number of the slot, or 0 for a device on the board.
    pub number: u8,
}

impl PirSlot {
    /// A device on bus 0 wired as `routing` says, whose links are the registers 60h to 63h.
    #[must_use]
    pub fn piix(routing: &PirqRouting, device: u8, number: u8, irqs: u16) -> Self {
        let pins = InterruptPin::ALL.map(|pin| (0x60 + routing.link(device, pin), irqs));
        Self { bus: 0, device: device & 0x1F, pins, number }
    }
}

/// A PCI interrupt routing table.
///
/// It goes to a multiple of 16 between F_0000h and F_FFFFh.
///
/// # Source
/// Microsoft, "PCI IRQ Routing Table Specification", version 1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PirTable {
    /// The interrupt router.
    pub router: PciFunction,
    /// Vendor and device of a router that this one is compatible with.
    pub compatible_router: (u16, u16),
    /// IRQs that only PCI devices have, as bits.
    pub exclusive_irqs: u16,
    /// The slots.
    pub slots: Vec<PirSlot>,
}

impl PirTable {
    /// The alignment of the table.
    pub const ALIGNMENT: u64 = 16;

    /// Returns the table's bytes.
    ///
    /// # Errors
    /// [`Error::TableSize`] for more slots than its length can tell.
    pub fn build(&self) -> Result<Vec<u8>, Error> {
        let size_bytes = size_of::<Header>() + self.slots.len() * size_of::<Slot>();
        let size = u16::try_from(size_bytes).map_err(|_| Error::TableSize { size_bytes })?;
        let header = Header {
            signature: *b"$PIR",
            version: 0x0100.into(),
            size_bytes: size.into(),
            router_bus: self.router.bus(),
            router_function: self.router.device() << 3 | self.router.function(),
            exclusive_irqs: self.exclusive_irqs.into(),
            compatible_vendor: self.compatible_router.0.into(),
            compatible_device: self.compatible_router.1.into(),
            miniport_data: 0.into(),
            reserved: [0; 11],
            checksum: 0,
        };
        let mut bytes = Vec::with_capacity(size_bytes);
        bytes.extend_from_slice(header.as_bytes());
        for slot in &self.slots {
            let pins = slot.pins.map(|(link, irqs)| Pin { link, irqs: irqs.into() });
            let (device, number) = ((slot.device & 0x1F) << 3, slot.number);
            let slot = Slot { bus: slot.bus, device, pins, number, reserved: 0 };
            bytes.extend_from_slice(slot.as_bytes());
        }
        let sum = checksum(&bytes);
        if let Some(byte) = bytes.get_mut(HEADER_CHECKSUM) {
            *byte = sum;
        }
        Ok(bytes)
    }
}
