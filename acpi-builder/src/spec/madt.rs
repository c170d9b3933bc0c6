//! The layout of the MADT.
//!
//! # Source
//! ACPI 6.5, "Multiple APIC Description Table (MADT)".

use zerocopy::little_endian::{U16, U32, U64};

wire! {
    /// What stands between header and entries.
    MadtPrefix, 8 bytes {
        local_interrupt_controller_address: U32,
        flags: U32,
    }

    /// "Processor Local APIC Structure", type 0.
    MadtLocalApic, 8 bytes {
        entry_type: u8,
        length: u8,
        acpi_processor_uid: u8,
        apic_id: u8,
        flags: U32,
    }

    /// "I/O APIC Structure", type 1.
    MadtIoApic, 12 bytes {
        entry_type: u8,
        length: u8,
        io_apic_id: u8,
        reserved: u8,
        io_apic_address: U32,
        global_system_interrupt_base: U32,
    }

    /// "Interrupt Source Override Structure", type 2.
    MadtInterruptSourceOverride, 10 bytes {
        entry_type: u8,
        length: u8,
        bus: u8,
        source: u8,
        global_system_interrupt: U32,
        flags: U16,
    }

    /// "Non-Maskable Interrupt (NMI) Source Structure", type 3.
    MadtNmiSource, 8 bytes {
        entry_type: u8,
        length: u8,
        flags: U16,
        global_system_interrupt: U32,
    }

    /// "Local APIC NMI Structure", type 4.
    MadtLocalApicNmi, 6 bytes {
        entry_type: u8,
        length: u8,
        acpi_processor_uid: u8,
        flags: U16,
        local_apic_lint: u8,
    }

    /// "Local APIC Address Override Structure", type 5.
    MadtAddressOverride, 12 bytes {
        entry_type: u8,
        length: u8,
        reserved: U16,
        local_apic_address: U64,
    }

    /// "Processor Local x2APIC Structure", type 9.
    MadtLocalX2Apic, 16 bytes {
        entry_type: u8,
        length: u8,
        reserved: U16,
        x2apic_id: U32,
        flags: U32,
        acpi_processor_uid: U32,
    }

    /// "Local x2APIC NMI Structure", type 10.
    MadtLocalX2ApicNmi, 12 bytes {
        entry_type: u8,
        length: u8,
        flags: U16,
        acpi_processor_uid: U32,
        local_x2apic_lint: u8,
        reserved: [u8; 3],
    }

    /// "Multiprocessor Wakeup Structure", type 16.
    MadtMultiprocessorWakeup, 16 bytes {
        entry_type: u8,
        length: u8,
        mailbox_version: U16,
        reserved: U32,
        mailbox_address: U64,
    }
}
