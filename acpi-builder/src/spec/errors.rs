//! The layouts of the tables that say how hardware errors are reported.
//!
//! # Source
//! ACPI 6.5, "ACPI Platform Error Interfaces (APEI)".

use zerocopy::little_endian::{U16, U32, U64};

use super::GenericAddress;

/// One record to be kept, of one section.
pub(crate) const ONE_RECORD: HestRecords =
    HestRecords { records_to_preallocate: U32::new(1), max_sections_per_record: U32::new(1) };

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

    /// What all sources have: how many records a guest keeps room for.
    HestRecords, 8 bytes {
        records_to_preallocate: U32,
        max_sections_per_record: U32,
    }

    /// "IA-32 Architecture Machine Check Exception", type 0.
    HestMachineCheck, 40 bytes {
        source_type: U16,
        source_id: U16,
        reserved: U16,
        flags: u8,
        enabled: u8,
        records: HestRecords,
        global_capability: U64,
        global_control: U64,
        bank_count: u8,
        reserved_2: [u8; 7],
    }

    /// "IA-32 Architecture Corrected Machine Check", type 1; the deferred one, type 11, too.
    HestQuietMachineCheck, 48 bytes {
        source_type: U16,
        source_id: U16,
        reserved: U16,
        flags: u8,
        enabled: u8,
        records: HestRecords,
        notification: HestNotification,
        bank_count: u8,
        reserved_2: [u8; 3],
    }

    /// "IA-32 Architecture Machine Check Error Bank Structure".
    HestBank, 28 bytes {
        number: u8,
        keep_status: u8,
        status_format: u8,
        reserved: u8,
        control_msr: U32,
        control_data: U64,
        status_msr: U32,
        address_msr: U32,
        misc_msr: U32,
    }

    /// "IA-32 Architecture Non-Maskable Interrupt", type 2.
    HestNmi, 20 bytes {
        source_type: U16,
        source_id: U16,
        reserved: U32,
        records: HestRecords,
        max_raw_data_length: U32,
    }

    /// What "PCI Express Root Port AER Structure" and those of devices and bridges begin with.
    HestAer, 44 bytes {
        source_type: U16,
        source_id: U16,
        reserved: U16,
        flags: u8,
        enabled: u8,
        records: HestRecords,
        bus: U32,
        device: U16,
        function: U16,
        device_control: U16,
        reserved_2: U16,
        uncorrectable_mask: U32,
        uncorrectable_severity: U32,
        correctable_mask: U32,
        capabilities: U32,
    }

    /// "Generic Hardware Error Source", type 9.
    HestGeneric, 64 bytes {
        source_type: U16,
        source_id: U16,
        related_source_id: U16,
        flags: u8,
        enabled: u8,
        records: HestRecords,
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
