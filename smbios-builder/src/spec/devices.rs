//! Slots, connectors, devices on board, power and management.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout;

layout! {
    /// "Port Connector Information", type 8.
    Type8PortConnector: 0x09, [(2, 0): 0x09] {
        internal_designator: u8,
        internal_connector: u8,
        external_designator: u8,
        external_connector: u8,
        port_type: u8,
    }

    /// "System Slots", type 9, up to the count of peer groups.
    Type9SystemSlot: 0x13, [(2, 0): 0x0C, (2, 1): 0x0D, (2, 6): 0x11, (3, 2): 0x13] {
        designation: u8,
        slot_type: u8,
        bus_width: u8,
        usage: u8,
        slot_length: u8,
        id: U16,
        characteristics_1: u8,
        characteristics_2: u8,
        segment: U16,
        bus: u8,
        device_function: u8,
        base_bus_width: u8,
        peer_count: u8,
    }

    /// "On Board Devices Information", type 10: one of its devices, the header before the first.
    Type10OnBoardDevices: 0x06, [(2, 0): 0x06] {
        device_type: u8,
        description: u8,
    }

    /// "Portable Battery", type 22.
    Type22Battery: 0x1A, [(2, 1): 0x10, (2, 2): 0x1A] {
        location: u8,
        manufacturer: u8,
        manufacture_date: u8,
        serial: u8,
        device_name: u8,
        chemistry: u8,
        design_capacity: U16,
        design_voltage_mv: U16,
        sbds_version: u8,
        maximum_error_percent: u8,
        sbds_serial: U16,
        sbds_manufacture_date: U16,
        sbds_chemistry: u8,
        capacity_multiplier: u8,
        oem_specific: U32,
    }

    /// "IPMI Device Information", type 38.
    Type38Ipmi: 0x12, [(2, 3): 0x12] {
        interface: u8,
        revision_bcd: u8,
        i2c_address: u8,
        nv_storage_address: u8,
        base_address: U64,
        modifier: u8,
        interrupt: u8,
    }

    /// "System Power Supply", type 39.
    Type39PowerSupply: 0x16, [(2, 3): 0x16] {
        power_unit_group: u8,
        location: u8,
        device_name: u8,
        manufacturer: u8,
        serial: u8,
        asset_tag: u8,
        part_number: u8,
        revision: u8,
        maximum_capacity_watts: U16,
        characteristics: U16,
        voltage_probe: U16,
        cooling_device: U16,
        current_probe: U16,
    }

    /// "Onboard Devices Extended Information", type 41.
    Type41OnboardDevice: 0x0B, [(2, 6): 0x0B] {
        designation: u8,
        device_type: u8,
        instance: u8,
        segment: U16,
        bus: u8,
        device_function: u8,
    }

    /// "TPM Device", type 43.
    Type43Tpm: 0x1F, [(3, 1): 0x1F] {
        vendor: [u8; 4],
        major_spec_version: u8,
        minor_spec_version: u8,
        firmware_version_1: U32,
        firmware_version_2: U32,
        description: u8,
        characteristics: U64,
        oem_defined: U32,
    }
}

/// "Peer groups" of type 9.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct PeerGroupLayout {
    pub(crate) segment: U16,
    pub(crate) bus: u8,
    pub(crate) device_function: u8,
    pub(crate) bus_width: u8,
}
const _: () = assert!(size_of::<PeerGroupLayout>() == 5);

/// What follows the peer groups of type 9: since 3.4, and one byte more since 3.5.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SlotTailLayout {
    pub(crate) information: u8,
    pub(crate) physical_width: u8,
    pub(crate) pitch: U16,
    pub(crate) height: u8,
}
const _: () = assert!(size_of::<SlotTailLayout>() == 5);
