//! The layouts of the tables that say how near things are to each other.
//!
//! # Source
//! ACPI 6.5, "System Resource Affinity Table (SRAT)", "Heterogeneous Memory Attribute Table (HMAT)",
//! "Processor Properties Topology Table (PPTT)".

use zerocopy::little_endian::{U16, U32, U64};

wire! {
    /// What stands between the SRAT's header and its entries.
    SratPrefix, 12 bytes {
        table_revision: U32,
        reserved: U64,
    }

    /// "Processor Local APIC/SAPIC Affinity Structure", type 0.
    SratLocalApic, 16 bytes {
        entry_type: u8,
        length: u8,
        proximity_domain_7_0: u8,
        apic_id: u8,
        flags: U32,
        local_sapic_eid: u8,
        proximity_domain_31_8: [u8; 3],
        clock_domain: U32,
    }

    /// "Memory Affinity Structure", type 1.
    SratMemory, 40 bytes {
        entry_type: u8,
        length: u8,
        proximity_domain: U32,
        reserved_6: U16,
        base_address: U64,
        region_length: U64,
        reserved_24: U32,
        flags: U32,
        reserved_32: U64,
    }

    /// "Processor Local x2APIC Affinity Structure", type 2.
    SratLocalX2Apic, 24 bytes {
        entry_type: u8,
        length: u8,
        reserved_2: U16,
        proximity_domain: U32,
        x2apic_id: U32,
        flags: U32,
        clock_domain: U32,
        reserved_20: U32,
    }

    /// "Generic Initiator Affinity Structure", type 5.
    SratGenericInitiator, 32 bytes {
        entry_type: u8,
        length: u8,
        reserved_2: u8,
        device_handle_type: u8,
        proximity_domain: U32,
        device_handle: [u8; 16],
        flags: U32,
        reserved_28: U32,
    }

    /// "Memory Proximity Domain Attributes Structure", type 0 of the HMAT.
    HmatDomain, 40 bytes {
        structure_type: U16,
        reserved_2: U16,
        length: U32,
        flags: U16,
        reserved_10: U16,
        attached_initiator: U32,
        memory_domain: U32,
        reserved_20: [u8; 20],
    }

    /// "System Locality Latency and Bandwidth Information Structure", type 1, without its lists.
    HmatLocality, 32 bytes {
        structure_type: U16,
        reserved_2: U16,
        length: U32,
        flags: u8,
        data_type: u8,
        minimum_transfer_size: u8,
        reserved_11: u8,
        initiator_count: U32,
        target_count: U32,
        reserved_20: U32,
        entry_base_unit: U64,
    }

    /// "Memory Side Cache Information Structure", type 2, without its list.
    HmatCache, 32 bytes {
        structure_type: U16,
        reserved_2: U16,
        length: U32,
        memory_domain: U32,
        reserved_12: U32,
        cache_size: U64,
        cache_attributes: U32,
        address_mode: U16,
        smbios_handle_count: U16,
    }

    /// "Processor hierarchy node structure", type 0 of the PPTT, without its list.
    PpttNode, 20 bytes {
        entry_type: u8,
        length: u8,
        reserved: U16,
        flags: U32,
        parent: U32,
        acpi_processor_id: U32,
        private_resource_count: U32,
    }

    /// "Cache Type Structure", type 1 of the PPTT.
    PpttCache, 28 bytes {
        entry_type: u8,
        length: u8,
        reserved: U16,
        flags: U32,
        next_level: U32,
        size: U32,
        sets: U32,
        associativity: u8,
        attributes: u8,
        line_size: U16,
        cache_id: U32,
    }
}
