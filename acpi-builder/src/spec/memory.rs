//! The layouts of the tables that describe memory other than RAM.
//!
//! # Source
//! ACPI 6.5, "NVDIMM Firmware Interface Table (NFIT)"; Compute Express Link Specification, "CXL Early
//! Discovery Table (CEDT)".

use zerocopy::little_endian::{U16, U32, U64};

wire! {
    /// "System Physical Address (SPA) Range Structure", type 0.
    NfitRange, 64 bytes {
        structure_type: U16,
        length: U16,
        range_index: U16,
        flags: U16,
        reserved: U32,
        proximity_domain: U32,
        range_type: [u8; 16],
        base: U64,
        size: U64,
        mapping_attribute: U64,
        location_cookie: U64,
    }

    /// "NVDIMM Region Mapping Structure", type 1.
    NfitMapping, 48 bytes {
        structure_type: U16,
        length: U16,
        device_handle: U32,
        physical_id: U16,
        region_id: U16,
        range_index: U16,
        control_region_index: U16,
        region_size: U64,
        region_offset: U64,
        physical_address_base: U64,
        interleave_index: U16,
        interleave_ways: U16,
        state_flags: U16,
        reserved: U16,
    }

    /// "NVDIMM Control Region Structure", type 4.
    NfitControl, 80 bytes {
        structure_type: U16,
        length: U16,
        control_region_index: U16,
        vendor_id: U16,
        device_id: U16,
        revision_id: U16,
        subsystem_vendor_id: U16,
        subsystem_device_id: U16,
        subsystem_revision_id: U16,
        valid_fields: u8,
        manufacturing_location: u8,
        manufacturing_date: U16,
        reserved: U16,
        serial_number: U32,
        format_interface_code: U16,
        window_count: U16,
        windows: [u8; 48],
    }

    /// "Flush Hint Address Structure", type 6, without its list.
    NfitFlushHint, 16 bytes {
        structure_type: U16,
        length: U16,
        device_handle: U32,
        hint_count: U16,
        reserved: [u8; 6],
    }

    /// "Platform Capabilities Structure", type 7.
    NfitCapabilities, 16 bytes {
        structure_type: U16,
        length: U16,
        highest_capability: u8,
        reserved_5: [u8; 3],
        capabilities: U32,
        reserved_12: U32,
    }

    /// "CXL Host Bridge Structure (CHBS)", type 0.
    CedtHostBridge, 32 bytes {
        structure_type: u8,
        reserved_1: u8,
        length: U16,
        uid: U32,
        cxl_version: U32,
        reserved_12: U32,
        base: U64,
        size: U64,
    }

    /// "CXL Fixed Memory Window Structure (CFMWS)", type 1, without its list.
    CedtWindow, 36 bytes {
        structure_type: u8,
        reserved_1: u8,
        length: U16,
        reserved_4: U32,
        base: U64,
        size: U64,
        interleave_ways: u8,
        interleave_arithmetic: u8,
        reserved_26: U16,
        granularity: U32,
        restrictions: U16,
        qtg_id: U16,
    }
}
