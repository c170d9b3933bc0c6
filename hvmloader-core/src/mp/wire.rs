//! The layout of the MP tables.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// MP specification 1.4 §4.1.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct FloatingPointer {
    pub(super) signature: [u8; 4],
    pub(super) configuration: U32,
    pub(super) length_paragraphs: u8,
    pub(super) revision: u8,
    pub(super) checksum: u8,
    /// 0: there is a configuration table.
    pub(super) default_configuration: u8,
    /// Bit 7: there is an IMCR.
    pub(super) features: u8,
    pub(super) reserved: [u8; 3],
}
const _: () = assert!(size_of::<FloatingPointer>() == 16);

/// MP specification 1.4 §4.2.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) signature: [u8; 4],
    pub(super) base_bytes: U16,
    pub(super) revision: u8,
    pub(super) checksum: u8,
    pub(super) oem_id: [u8; 8],
    pub(super) product_id: [u8; 12],
    pub(super) oem_table: U32,
    pub(super) oem_table_bytes: U16,
    pub(super) entries: U16,
    pub(super) local_apic: U32,
    pub(super) extended_bytes: U16,
    pub(super) extended_checksum: u8,
    pub(super) reserved: u8,
}
const _: () = assert!(size_of::<Header>() == 44);

/// MP specification 1.4 §4.3.1.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Processor {
    pub(super) entry_type: u8,
    pub(super) apic_id: u8,
    pub(super) apic_version: u8,
    /// Bit 0: usable; bit 1: bootstrap processor.
    pub(super) flags: u8,
    pub(super) signature: U32,
    pub(super) features: U32,
    pub(super) reserved: [u8; 8],
}
const _: () = assert!(size_of::<Processor>() == 20);

/// MP specification 1.4 §4.3.2.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Bus {
    pub(super) entry_type: u8,
    pub(super) id: u8,
    pub(super) kind: [u8; 6],
}
const _: () = assert!(size_of::<Bus>() == 8);

/// MP specification 1.4 §4.3.3.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct IoApic {
    pub(super) entry_type: u8,
    pub(super) id: u8,
    pub(super) version: u8,
    /// Bit 0: usable.
    pub(super) flags: u8,
    pub(super) address: U32,
}
const _: () = assert!(size_of::<IoApic>() == 8);

/// MP specification 1.4 §4.3.4 and §4.3.5.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Interrupt {
    pub(super) entry_type: u8,
    pub(super) kind: u8,
    pub(super) flags: U16,
    pub(super) bus: u8,
    pub(super) irq: u8,
    pub(super) apic: u8,
    pub(super) input: u8,
}
const _: () = assert!(size_of::<Interrupt>() == 8);
