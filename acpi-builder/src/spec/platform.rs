//! The layouts of small tables, most of which other specifications than ACPI define.

use zerocopy::little_endian::{U16, U32, U64};

use super::GenericAddress;

wire! {
    /// What stands between the MCFG's header and its entries.
    McfgPrefix, 8 bytes {
        reserved: U64,
    }

    /// PCI Firmware Specification 3.3, "MCFG Table Description": an allocation structure.
    McfgAllocation, 16 bytes {
        base_address: U64,
        pci_segment_group: U16,
        start_bus: u8,
        end_bus: u8,
        reserved: U32,
    }

    /// IA-PC HPET Specification 1.0a, "The ACPI 2.0 HPET Description Table (HPET)".
    HpetBody, 20 bytes {
        event_timer_block_id: U32,
        base_address: GenericAddress,
        hpet_number: u8,
        main_counter_minimum_clock_tick: U16,
        page_protection: u8,
    }

    /// Microsoft, "Windows ACPI Emulated Devices Table".
    WaetBody, 4 bytes {
        emulated_device_flags: U32,
    }

    /// Microsoft, "Serial Port Console Redirection Table (SPCR)", revision 4, without the path.
    SpcrBody, 52 bytes {
        interface_type: u8,
        reserved_37: [u8; 3],
        base_address: GenericAddress,
        interrupt_type: u8,
        irq: u8,
        global_system_interrupt: U32,
        configured_baud_rate: u8,
        parity: u8,
        stop_bits: u8,
        flow_control: u8,
        terminal_type: u8,
        language: u8,
        pci_device_id: U16,
        pci_vendor_id: U16,
        pci_bus: u8,
        pci_device: u8,
        pci_function: u8,
        pci_flags: U32,
        pci_segment: u8,
        uart_clock_frequency: U32,
        precise_baud_rate: U32,
        namespace_string_length: U16,
        namespace_string_offset: U16,
    }

    /// Microsoft, "Debug Port Table 2 (DBG2)": what stands between header and devices.
    Dbg2Prefix, 8 bytes {
        offset_debug_device_info: U32,
        number_debug_device_info: U32,
    }

    /// Microsoft, "Debug Port Table 2 (DBG2)": the debug device information structure.
    Dbg2Device, 22 bytes {
        revision: u8,
        length: U16,
        number_of_registers: u8,
        namespace_string_length: U16,
        namespace_string_offset: U16,
        oem_data_length: U16,
        oem_data_offset: U16,
        port_type: U16,
        port_subtype: U16,
        reserved: U16,
        base_address_offset: U16,
        address_size_offset: U16,
    }

    /// ACPI 6.5, "Boot Graphics Resource Table (BGRT)".
    BgrtBody, 20 bytes {
        version: U16,
        status: u8,
        image_type: u8,
        image_address: U64,
        image_offset_x: U32,
        image_offset_y: U32,
    }

    /// TCG ACPI Specification, "ACPI Table for TPM 2.0", revision 4.
    Tpm2Body, 40 bytes {
        platform_class: U16,
        reserved: U16,
        control_area_address: U64,
        start_method: U32,
        start_method_parameters: [u8; 12],
        log_area_minimum_length: U32,
        log_area_start_address: U64,
    }

    /// TCG ACPI Specification, "ACPI Table for TPM 1.2": the table of a client.
    TcpaBody, 14 bytes {
        platform_class: U16,
        log_area_minimum_length: U32,
        log_area_start_address: U64,
    }

    /// UEFI Specification, "UEFI ACPI Data Table".
    UefiPrefix, 18 bytes {
        identifier: [u8; 16],
        data_offset: U16,
    }
}
