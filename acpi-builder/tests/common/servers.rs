//! One description of each kind of table that servers have.

use acpi_builder::{
    AerSource, AmdIommu, AtsPorts, Bert, CacheKind, Cedt, ControlRegion, CxlHostBridge,
    CxlRegisters, CxlWindow, CxlWindowKinds, DeviceScope, Dmar, DmarFlags, ErrorNotification,
    ErrorSource, ErrorSourceFlags, Erst, ErstAction, ErstInstruction, ErstStep, FlushHint,
    GenericErrorSource, Hest, Hmat, IvhdDevices, IvhdFlags, Ivrs, Locality, LocalityData,
    MachineCheckBank, MachineCheckFormat, MachineCheckSource, MemoryDomain, MemoryHierarchy,
    MemorySideCache, Nfit, NmiErrorSource, NodeKind, NvdimmCapabilities, PciAddress,
    PersistentRange, Pptt, ProcessorCache, ProcessorNode, QuietMachineCheckSource, RangeType,
    ReadAcknowledge, RegionMapping, Register, RegisterWidth, RemappingUnit, ReservedRegion,
    SecondaryErrors, SideCacheAssociativity, SideCachePolicy, UnityRegion, Viot, ViotMmioDevice,
    ViotPciDevices, VirtioIommu,
};
use guest_state::Gpa;

use super::machine::range;

pub(crate) fn hmat() -> Hmat {
    Hmat {
        domains: vec![
            MemoryDomain { memory: 0, initiator: Some(1) },
            MemoryDomain { memory: 3, initiator: None },
        ],
        localities: vec![Locality {
            hierarchy: MemoryHierarchy::CACHE_LEVEL_1,
            data: LocalityData::READ_BANDWIDTH,
            base_unit: 1000,
            initiators: vec![0, 1],
            targets: vec![0, 1, 3],
            entries: vec![0x10, 0x20, 0xFFFF, 0x30, 0x40, 0x50],
        }],
        caches: vec![MemorySideCache {
            memory: 3,
            size_bytes: 0x4000_0000,
            levels: 3,
            level: 2,
            associativity: SideCacheAssociativity::DIRECT,
            policy: SideCachePolicy::WRITE_THROUGH,
            line_bytes: 64,
            smbios_handles: vec![0x1100, 0x1101],
        }],
    }
}

/// A package of two cores with a common second level, the second of two threads.
pub(crate) fn pptt() -> Pptt {
    let mut pptt = Pptt::new();
    let cache = |id, kind, size_bytes, next| ProcessorCache {
        id,
        kind,
        size_bytes,
        ways: 8,
        line_bytes: 64,
        next,
    };
    let l2 = pptt.add_cache(&cache(1, CacheKind::Unified, 0x10_0000, None)).unwrap();
    let data = pptt.add_cache(&cache(2, CacheKind::Data, 0x8000, Some(l2))).unwrap();
    let code = pptt.add_cache(&cache(3, CacheKind::Instruction, 0x4000, Some(l2))).unwrap();
    let mut node =
        |kind, parent, caches| pptt.add_node(&ProcessorNode { kind, parent, caches }).unwrap();
    let package = node(NodeKind::Package, None, vec![l2]);
    node(NodeKind::Core { uid: 0 }, Some(package), vec![data, code]);
    let group = node(NodeKind::Group, Some(package), vec![]);
    node(NodeKind::Thread { uid: 1 }, Some(group), vec![]);
    node(NodeKind::Thread { uid: 2 }, Some(group), vec![]);
    pptt
}

pub(crate) fn dmar() -> Dmar {
    Dmar {
        address_bits: 39,
        flags: DmarFlags::INTERRUPT_REMAPPING | DmarFlags::DMA_CONTROL_OPT_IN,
        units: vec![
            RemappingUnit {
                segment: 0,
                registers: Gpa::new(0xFED9_0000),
                include_all: false,
                scopes: vec![DeviceScope::Endpoint(PciAddress::new(0, 2, 1))],
                domain: Some(1),
            },
            RemappingUnit {
                segment: 0,
                registers: Gpa::new(0xFED9_1000),
                include_all: true,
                scopes: vec![
                    DeviceScope::IoApic { id: 1, address: PciAddress::new(0xFF, 0, 0) },
                    DeviceScope::Hpet { number: 0, address: PciAddress::new(0xFE, 31, 7) },
                ],
                domain: None,
            },
        ],
        reserved: vec![ReservedRegion {
            segment: 0,
            range: range(0x7C00_0000, 0x20_0000),
            scopes: vec![DeviceScope::Endpoint(PciAddress::new(0, 20, 0))],
        }],
        ats: vec![AtsPorts {
            segment: 0,
            all: false,
            scopes: vec![DeviceScope::Bridge(PciAddress::new(0, 28, 4))],
        }],
    }
}

pub(crate) fn ivrs() -> Ivrs {
    Ivrs {
        physical_address_bits: 40,
        virtual_address_bits: 64,
        iommus: vec![AmdIommu {
            address: PciAddress::new(0, 2, 0),
            capability_offset: 0x40,
            registers: Gpa::new(0xFED8_0000),
            segment: 0,
            flags: IvhdFlags::IOTLB_SUPPORT | IvhdFlags::COHERENT,
            features: 0x30,
            extended_features: Some(0x2_94FD_D31D_D8F7),
            devices: vec![
                IvhdDevices::Range {
                    first: PciAddress::new(0, 1, 0),
                    last: PciAddress::new(0, 31, 7),
                },
                IvhdDevices::One(PciAddress::new(1, 0, 3)),
                IvhdDevices::IoApic { id: 1, address: PciAddress::new(0, 20, 0) },
                IvhdDevices::Hpet { number: 0, address: PciAddress::new(0, 20, 1) },
            ],
        }],
        unity: vec![UnityRegion {
            device: Some(PciAddress::new(0, 4, 0)),
            range: range(0x7D00_0000, 0x1000),
        }],
    }
}

pub(crate) fn viot() -> Viot {
    Viot {
        iommus: vec![
            VirtioIommu::Pci { segment: 1, address: PciAddress::new(0, 3, 2) },
            VirtioIommu::Mmio(Gpa::new(0xFEB0_1000)),
        ],
        pci_devices: vec![ViotPciDevices {
            first_endpoint: 0x1_0000,
            segments: 1..=2,
            first: PciAddress::new(0, 4, 0),
            last: PciAddress::new(0xFF, 31, 7),
            iommu: 0,
        }],
        mmio_devices: vec![ViotMmioDevice { endpoint: 7, base: Gpa::new(0xFEB0_2000), iommu: 1 }],
    }
}

pub(crate) fn nfit() -> Nfit {
    Nfit {
        ranges: vec![PersistentRange {
            index: 1,
            kind: RangeType::PERSISTENT,
            range: range(0x2_0000_0000, 0x1000_0000),
            domain: Some(1),
            attribute: 0x8008,
        }],
        mappings: vec![RegionMapping {
            device: 0x12,
            physical_id: 0x1102,
            region: 0,
            range_index: 1,
            control_index: 2,
            size_bytes: 0x800_0000,
            offset: 0x800_0000,
            device_address: 0x1000,
        }],
        controls: vec![ControlRegion {
            index: 2,
            vendor: 0x8086,
            device: 1,
            revision: 3,
            serial: 0x12_3456,
            format: 0x301,
        }],
        flush_hints: vec![FlushHint {
            device: 0x12,
            addresses: vec![Gpa::new(0xFEB0_3000), Gpa::new(0xFEB0_3040)],
        }],
        capabilities: Some(NvdimmCapabilities::CACHE_FLUSH),
    }
}

pub(crate) fn cedt() -> Cedt {
    Cedt {
        bridges: vec![
            CxlHostBridge { uid: 12, registers: CxlRegisters::Component(Gpa::new(0xFE01_0000)) },
            CxlHostBridge { uid: 13, registers: CxlRegisters::Rcrb(Gpa::new(0xFE00_2000)) },
        ],
        windows: vec![CxlWindow {
            range: range(0x10_0000_0000, 0x4000_0000),
            granularity_bytes: 1024,
            kinds: CxlWindowKinds::TYPE_3 | CxlWindowKinds::VOLATILE,
            qos_group: 5,
            targets: vec![13, 12],
        }],
    }
}

pub(crate) fn erst() -> Erst {
    let register = Register::Memory(Gpa::new(0xFEB0_4000));
    let value = Register::Memory(Gpa::new(0xFEB0_4008));
    Erst {
        steps: vec![
            ErstStep {
                action: ErstAction::BEGIN_CLEAR,
                instruction: ErstInstruction::WRITE_REGISTER_VALUE,
                register,
                width: RegisterWidth::Bits32,
                value: 2,
                mask: 0xFF,
            },
            ErstStep {
                action: ErstAction::GET_LOG_LENGTH,
                instruction: ErstInstruction::READ_REGISTER,
                register: value,
                width: RegisterWidth::Bits64,
                value: 0,
                mask: u64::MAX,
            },
        ],
    }
}

pub(crate) fn hest() -> Hest {
    let source = GenericErrorSource {
        id: 4,
        status_address: Register::Memory(Gpa::new(0x7FE4_0000)),
        status_bytes: 0x1000,
        notification: ErrorNotification::Polled { interval_ms: 1000 },
        acknowledge: None,
    };
    let acknowledge = ReadAcknowledge {
        register: Register::Memory(Gpa::new(0x7FE4_0010)),
        preserve: !1,
        write: 1,
    };
    let notification = ErrorNotification::Gpio;
    let acknowledged =
        GenericErrorSource { id: 5, notification, acknowledge: Some(acknowledge), ..source };
    let bank = |number| MachineCheckBank::architectural(number, MachineCheckFormat::Intel64);
    let quiet = |id, notification| QuietMachineCheckSource {
        id,
        flags: ErrorSourceFlags::empty(),
        notification,
        banks: vec![MachineCheckBank { keep_status: true, control: 3, ..bank(9) }],
    };
    let aer = |id, flags, bus| AerSource {
        id,
        flags,
        segment: 1,
        address: PciAddress::new(bus, 0x1C, 3),
        device_control: 0xF,
        uncorrectable_mask: 0x10_0000,
        uncorrectable_severity: 0x6_2030,
        correctable_mask: 0x2000,
        capabilities: 0xA0,
    };
    let secondary = SecondaryErrors {
        uncorrectable_mask: 0x17A8,
        uncorrectable_severity: 0x1340,
        capabilities: 0x1F,
    };
    Hest {
        sources: vec![
            ErrorSource::MachineCheck(MachineCheckSource {
                id: 0,
                flags: ErrorSourceFlags::GHES_ASSIST,
                capability: 0x1000,
                control: 0x7F,
                banks: vec![bank(0), bank(1)],
            }),
            ErrorSource::CorrectedMachineCheck(quiet(
                1,
                ErrorNotification::Polled { interval_ms: 500 },
            )),
            ErrorSource::Nmi(NmiErrorSource { id: 2, raw_bytes: 0x200 }),
            ErrorSource::PcieRoot(aer(6, ErrorSourceFlags::FIRMWARE_FIRST, 0x20), 7),
            // Without GLOBAL, which iasl 20250404 loses: it reads the flag from another bit.
            ErrorSource::PcieDevice(aer(7, ErrorSourceFlags::empty(), 0)),
            ErrorSource::PcieBridge(aer(8, ErrorSourceFlags::empty(), 0x21), secondary),
            ErrorSource::Generic(source),
            ErrorSource::Generic(acknowledged),
            ErrorSource::DeferredMachineCheck(quiet(9, ErrorNotification::CorrectedMachineCheck)),
        ],
    }
}

pub(crate) fn bert() -> Bert {
    Bert { region: range(0x7FE5_0000, 0x4000) }
}
