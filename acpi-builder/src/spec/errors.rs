//! The layouts of the tables that say how hardware errors are reported.
//!
//! # Source
//! ACPI 6.5, "ACPI Platform Error Interfaces (APEI)".

use zerocopy::little_endian::{U16, U32, U64};

use super::GenericAddress;

wire! {
    /// "Error Record Serialization Table (ERST)", what stands between header and instructions.
    ErstPrefix, 12 bytes {
        serialization_header_size: U32,
        reserved: U32,
        instruction_entry_count: U32,
    }

    /// "Serialization Instruction Entries".
    ErstInstructionEntry, 32 bytes {
        action: u8,
        instruction: u8,
        flags: u8,
        reserved: u8,
        register_region: GenericAddress,
        value: U64,
        mask: U64,
    }

    /// "Generic Hardware Error Source", type 9.
    HestGeneric, 64 bytes {
        source_type: U16,
        source_id: U16,
        related_source_id: U16,
        flags: u8,
        enabled: u8,
        records_to_preallocate: U32,
        max_sections_per_record: U32,
        max_raw_data_length: U32,
        error_status_address: GenericAddress,
        notification: HestNotification,
        error_status_block_length: U32,
    }

    /// What "Generic Hardware Error Source version 2", type 10, has behind that.
    HestAcknowledge, 28 bytes {
        read_ack_register: GenericAddress,
        read_ack_preserve: U64,
        read_ack_write: U64,
    }

    /// "Hardware Error Notification".
    HestNotification, 28 bytes {
        notification_type: u8,
        length: u8,
        configuration_write_enable: U16,
        poll_interval: U32,
        vector: U32,
        thresholds: [U32; 4],
    }

    /// "Boot Error Record Table (BERT)".
    BertBody, 12 bytes {
        region_length: U32,
        region: U64,
    }
}
