//! Memory: arrays, devices, and where they are mapped.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout;

layout! {
    /// "Physical Memory Array", type 16.
    Type16MemoryArray: 0x17, [(2, 1): 0x0F, (2, 7): 0x17] {
        location: u8,
        array_use: u8,
        error_correction: u8,
        maximum_capacity: U32,
        error_information: U16,
        device_count: U16,
        extended_maximum_capacity: U64,
    }

    /// "Memory Device", type 17.
    Type17MemoryDevice: 0x64, [
        (2, 1): 0x15, (2, 3): 0x1B, (2, 6): 0x1C, (2, 7): 0x22, (2, 8): 0x28, (3, 2): 0x54,
        (3, 3): 0x5C, (3, 7): 0x64
    ] {
        array: U16,
        error_information: U16,
        total_width_bits: U16,
        data_width_bits: U16,
        size: U16,
        form_factor: u8,
        device_set: u8,
        locator: u8,
        bank_locator: u8,
        memory_type: u8,
        type_detail: U16,
        speed: U16,
        manufacturer: u8,
        serial: u8,
        asset_tag: u8,
        part_number: u8,
        attributes: u8,
        extended_size: U32,
        configured_speed: U16,
        minimum_voltage_mv: U16,
        maximum_voltage_mv: U16,
        configured_voltage_mv: U16,
        technology: u8,
        operating_modes: U16,
        firmware_version: u8,
        module_manufacturer_id: U16,
        module_product_id: U16,
        controller_manufacturer_id: U16,
        controller_product_id: U16,
        non_volatile_bytes: U64,
        volatile_bytes: U64,
        cache_bytes: U64,
        logical_bytes: U64,
        extended_speed: U32,
        extended_configured_speed: U32,
        pmic0_manufacturer_id: U16,
        pmic0_revision: U16,
        rcd_manufacturer_id: U16,
        rcd_revision: U16,
    }

    /// "Memory Array Mapped Address", type 19.
    Type19ArrayMapping: 0x1F, [(2, 1): 0x0F, (2, 7): 0x1F] {
        start: U32,
        end: U32,
        array: U16,
        partition_width: u8,
        extended_start: U64,
        extended_end: U64,
    }

    /// "Memory Device Mapped Address", type 20.
    Type20DeviceMapping: 0x23, [(2, 1): 0x13, (2, 7): 0x23] {
        start: U32,
        end: U32,
        device: U16,
        array_mapping: U16,
        row_position: u8,
        interleave_position: u8,
        interleave_depth: u8,
        extended_start: U64,
        extended_end: U64,
    }
}
