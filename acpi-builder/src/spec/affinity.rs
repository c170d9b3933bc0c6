//! The layouts of the tables that say how near things are to each other.
//!
//! # Source
//! ACPI 6.5, "System Resource Affinity Table (SRAT)" and "System Locality Information Table (SLIT)".

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
}
