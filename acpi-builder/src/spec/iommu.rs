//! The layouts of the tables that describe translation of DMA.
//!
//! # Source
//! Intel Virtualization Technology for Directed I/O, "DMA Remapping Reporting Structure"; AMD I/O
//! Virtualization Technology (IOMMU) Specification, "I/O Virtualization ACPI Table"; ACPI 6.5,
//! "Virtual I/O Translation (VIOT) Table".

use zerocopy::little_endian::{U16, U32, U64};

wire! {
    /// What stands between the DMAR's header and its structures.
    DmarPrefix, 12 bytes {
        host_address_width: u8,
        flags: u8,
        reserved: [u8; 10],
    }

    /// "DMA Remapping Hardware Unit Definition Structure", type 0, without its device scopes.
    Drhd, 16 bytes {
        structure_type: U16,
        length: U16,
        flags: u8,
        size: u8,
        segment: U16,
        register_base: U64,
    }

    /// "Reserved Memory Region Reporting Structure", type 1, without its device scopes.
    Rmrr, 24 bytes {
        structure_type: U16,
        length: U16,
        reserved: U16,
        segment: U16,
        base: U64,
        limit: U64,
    }

    /// "Root Port ATS Capability Reporting Structure", type 2, without its device scopes.
    Atsr, 8 bytes {
        structure_type: U16,
        length: U16,
        flags: u8,
        reserved: u8,
        segment: U16,
    }

    /// "Remapping Hardware Static Affinity Structure", type 3.
    Rhsa, 20 bytes {
        structure_type: U16,
        length: U16,
        reserved: U32,
        register_base: U64,
        proximity_domain: U32,
    }

    /// "Device Scope Structure", without its path.
    DeviceScopeHead, 6 bytes {
        scope_type: u8,
        length: u8,
        flags: u8,
        reserved: u8,
        enumeration_id: u8,
        start_bus: u8,
    }

    /// What stands between the IVRS' header and its blocks.
    IvrsPrefix, 12 bytes {
        iv_info: U32,
        reserved: U64,
    }

    /// "I/O Virtualization Hardware Definition (IVHD) Block", type 10h, without its entries.
    Ivhd, 24 bytes {
        block_type: u8,
        flags: u8,
        length: U16,
        device_id: U16,
        capability_offset: U16,
        base_address: U64,
        pci_segment: U16,
        iommu_info: U16,
        features: U32,
    }

    /// What type 11h has between that and its entries.
    IvhdExtension, 16 bytes {
        efr_image: U64,
        reserved: U64,
    }

    /// "I/O Virtualization Memory Definition (IVMD) Block", types 20h to 22h.
    Ivmd, 32 bytes {
        block_type: u8,
        flags: u8,
        length: U16,
        device_id: U16,
        auxiliary: U16,
        reserved: U64,
        start: U64,
        size: U64,
    }

    /// What stands between the VIOT's header and its nodes.
    ViotPrefix, 12 bytes {
        node_count: U16,
        node_offset: U16,
        reserved: U64,
    }

    /// "PCI Range Node Structure", type 1.
    ViotPciRange, 24 bytes {
        node_type: u8,
        reserved_1: u8,
        length: U16,
        endpoint_start: U32,
        segment_start: U16,
        segment_end: U16,
        bdf_start: U16,
        bdf_end: U16,
        output_node: U16,
        reserved_18: [u8; 6],
    }

    /// "Single MMIO Endpoint Node Structure", type 2.
    ViotMmioEndpoint, 24 bytes {
        node_type: u8,
        reserved_1: u8,
        length: U16,
        endpoint: U32,
        base_address: U64,
        output_node: U16,
        reserved_18: [u8; 6],
    }

    /// "virtio-iommu based on virtio-pci Node Structure", type 3.
    ViotPciIommu, 16 bytes {
        node_type: u8,
        reserved_1: u8,
        length: U16,
        segment: U16,
        bdf: U16,
        reserved_8: U64,
    }

    /// "virtio-iommu based on virtio-mmio Node Structure", type 4.
    ViotMmioIommu, 16 bytes {
        node_type: u8,
        reserved_1: u8,
        length: U16,
        reserved_4: U32,
        base_address: U64,
    }
}
