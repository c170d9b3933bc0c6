//! Firmware, system, board, chassis, processor, cache, and what belongs to the whole.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout;

layout! {
    /// "Platform Firmware Information", type 0.
    Type0FirmwareInformation: 0x1A, [(2, 0): 0x12, (2, 3): 0x13, (2, 4): 0x18, (3, 1): 0x1A] {
        vendor: u8,
        version: u8,
        starting_segment: U16,
        release_date: u8,
        rom_size: u8,
        characteristics: U64,
        characteristics_extension: U16,
        major_release: u8,
        minor_release: u8,
        controller_major_release: u8,
        controller_minor_release: u8,
        extended_rom_size: U16,
    }

    /// "System Information", type 1.
    Type1SystemInformation: 0x1B, [(2, 0): 0x08, (2, 1): 0x19, (2, 4): 0x1B] {
        manufacturer: u8,
        product: u8,
        version: u8,
        serial: u8,
        uuid: [u8; 16],
        wake_up: u8,
        sku: u8,
        family: u8,
    }

    /// "Baseboard (or Module) Information", type 2, without its contained handles.
    Type2Baseboard: 0x0F, [(2, 0): 0x0F] {
        manufacturer: u8,
        product: u8,
        version: u8,
        serial: u8,
        asset_tag: u8,
        features: u8,
        location: u8,
        chassis: U16,
        board_type: u8,
        contained_count: u8,
    }

    /// "System Enclosure or Chassis", type 3, without its elements and the SKU number behind.
    Type3Chassis: 0x15, [(2, 0): 0x09, (2, 1): 0x0D, (2, 3): 0x15] {
        manufacturer: u8,
        chassis_type: u8,
        version: u8,
        serial: u8,
        asset_tag: u8,
        boot_up_state: u8,
        power_supply_state: u8,
        thermal_state: u8,
        security_status: u8,
        oem_defined: U32,
        height_units: u8,
        power_cords: u8,
        element_count: u8,
        element_length: u8,
    }

    /// "Processor Information", type 4.
    Type4Processor: 0x32, [
        (2, 0): 0x1A, (2, 1): 0x20, (2, 3): 0x23, (2, 5): 0x28, (2, 6): 0x2A, (3, 0): 0x30,
        (3, 6): 0x32
    ] {
        socket: u8,
        processor_type: u8,
        family: u8,
        manufacturer: u8,
        id: U64,
        version: u8,
        voltage: u8,
        external_clock_mhz: U16,
        max_speed_mhz: U16,
        current_speed_mhz: U16,
        status: u8,
        upgrade: u8,
        l1_cache: U16,
        l2_cache: U16,
        l3_cache: U16,
        serial: u8,
        asset_tag: u8,
        part_number: u8,
        core_count: u8,
        core_enabled: u8,
        thread_count: u8,
        characteristics: U16,
        family_2: U16,
        core_count_2: U16,
        core_enabled_2: U16,
        thread_count_2: U16,
        thread_enabled: U16,
    }

    /// "Cache Information", type 7.
    Type7Cache: 0x1B, [(2, 0): 0x0F, (2, 1): 0x13, (3, 1): 0x1B] {
        socket: u8,
        configuration: U16,
        maximum_size: U16,
        installed_size: U16,
        supported_sram: U16,
        current_sram: U16,
        speed_ns: u8,
        error_correction: u8,
        cache_type: u8,
        associativity: u8,
        maximum_size_2: U32,
        installed_size_2: U32,
    }

    /// "OEM Strings", type 11.
    Type11OemStrings: 0x05, [(2, 0): 0x05] {
        count: u8,
    }

    /// "BIOS Language Information", type 13.
    Type13Language: 0x16, [(2, 0): 0x16] {
        installable_count: u8,
        flags: u8,
        reserved: [u8; 15],
        current: u8,
    }

    /// "System Boot Information", type 32, with one byte of status.
    Type32BootInformation: 0x0B, [(2, 3): 0x0B] {
        reserved: [u8; 6],
        status: u8,
    }

    /// "Firmware Inventory Information", type 45, without its component handles.
    Type45FirmwareInventory: 0x18, [(3, 5): 0x18] {
        component: u8,
        version: u8,
        version_format: u8,
        id: u8,
        id_format: u8,
        release_date: u8,
        manufacturer: u8,
        lowest_version: u8,
        image_bytes: U64,
        characteristics: U16,
        state: u8,
        component_count: u8,
    }

    /// "String Property", type 46.
    Type46StringProperty: 0x09, [(3, 5): 0x09] {
        property: U16,
        value: u8,
        parent: U16,
    }

    /// "End-of-Table", type 127.
    Type127EndOfTable: 0x04, [(2, 2): 0x04] {
    }
}
