//! A table with one structure of each type, every field with a value of its own.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

use guest_state::{Gpa, GpaRange};
use smbios_builder::*;

pub(crate) fn range(start: u64, size_bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size_bytes).unwrap()
}

/// One description of each type, as far as the version has them.
pub(crate) struct Everything {
    pub(crate) firmware: Firmware,
    pub(crate) system: System,
    pub(crate) baseboard: Baseboard,
    pub(crate) chassis: Chassis,
    pub(crate) processor: Processor,
    pub(crate) cache: Cache,
    pub(crate) port: PortConnector,
    pub(crate) slot: SystemSlot,
    pub(crate) old_devices: OnBoardDevices,
    pub(crate) strings: OemStrings,
    pub(crate) language: Language,
    pub(crate) array: MemoryArray,
    pub(crate) device: MemoryDevice,
    pub(crate) array_mapping: ArrayMapping,
    pub(crate) device_mapping: DeviceMapping,
    pub(crate) battery: Battery,
    pub(crate) boot: BootInformation,
    pub(crate) ipmi: Ipmi,
    pub(crate) power_supply: PowerSupply,
    pub(crate) onboard: Option<OnboardDevice>,
    pub(crate) tpm: Option<Tpm>,
    pub(crate) inventory: Option<FirmwareInventory>,
    pub(crate) property: Option<StringProperty>,
    pub(crate) tables: SmbiosTables,
}

pub(crate) fn everything(version: Version, entry_points: EntryPoints) -> Everything {
    let new = version >= Version::V3_0;
    let mut table = TableBuilder::new(version).unwrap();
    let firmware = Firmware {
        vendor: "A Vendor".into(),
        version: "1.2.3".into(),
        starting_segment: 0xE800,
        release_date: "02/03/2026".into(),
        characteristics: FirmwareCharacteristics::PCI | FirmwareCharacteristics::CD_BOOT,
        characteristics_extension: FirmwareCharacteristicsExtension::ACPI
            | FirmwareCharacteristicsExtension::UEFI
            | FirmwareCharacteristicsExtension::VIRTUAL_MACHINE,
        major_release: 7,
        minor_release: 8,
        controller_major_release: 9,
        controller_minor_release: 10,
        rom_bytes: if version >= Version::new(3, 1) { 32 << 20 } else { 4 << 20 },
    };
    table.add(&firmware).unwrap();
    let system = System {
        manufacturer: "System Maker".into(),
        product: "System Product".into(),
        version: "System Version".into(),
        serial: "System Serial".into(),
        wake_up: WakeUp::LAN_REMOTE,
        sku: "System SKU".into(),
        family: "System Family".into(),
        uuid: "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap(),
    };
    let system_ref = table.add(&system).unwrap();
    let chassis = Chassis {
        manufacturer: "Chassis Maker".into(),
        chassis_type: ChassisType::RACK_MOUNT,
        version: "Chassis Version".into(),
        serial: "Chassis Serial".into(),
        asset_tag: "Chassis Asset".into(),
        boot_up_state: ChassisState::SAFE,
        power_supply_state: ChassisState::WARNING,
        thermal_state: ChassisState::CRITICAL,
        security_status: SecurityStatus::INTERFACE_LOCKED_OUT,
        oem_defined: 0x1234_5678,
        height_units: 2,
        power_cords: 3,
        sku: "Chassis SKU".into(),
    };
    let chassis_ref = table.add(&chassis).unwrap();
    let baseboard = Baseboard {
        manufacturer: "Board Maker".into(),
        product: "Board Product".into(),
        version: "Board Version".into(),
        serial: "Board Serial".into(),
        asset_tag: "Board Asset".into(),
        features: BoardFeatures::HOSTING | BoardFeatures::REPLACEABLE,
        location: "Board Location".into(),
        chassis: chassis_ref,
        board_type: BoardType::SYSTEM_MANAGEMENT,
        contained: vec![system_ref.handle(), chassis_ref.handle()],
    };
    table.add(&baseboard).unwrap();
    let cache = Cache {
        speed_ns: 3,
        error_correction: CacheErrorCorrection::MULTI_BIT,
        associativity: Associativity::WAYS_12,
        ..Cache::new(2, if new { 3 << 30 } else { 24 << 20 })
    };
    let cache_ref = table.add(&cache).unwrap();
    let processor = Processor {
        socket: "Socket".into(),
        processor_type: ProcessorType::CENTRAL,
        manufacturer: "Processor Maker".into(),
        id: 0x0F8B_FBFF_0006_06A6,
        version: "Processor Version".into(),
        voltage: 0x8C,
        external_clock_mhz: 100,
        max_speed_mhz: 4000,
        current_speed_mhz: 2100,
        status: ProcessorStatus::ENABLED,
        upgrade: ProcessorUpgrade::ZIF,
        l1_cache: None,
        l2_cache: Some(cache_ref),
        l3_cache: None,
        serial: "Processor Serial".into(),
        asset_tag: "Processor Asset".into(),
        part_number: "Processor Part".into(),
        characteristics: ProcessorCharacteristics::BITS_64 | ProcessorCharacteristics::MULTI_CORE,
        thread_enabled: if new { 601 } else { 7 },
        family: if new { ProcessorFamily::ARMV8 } else { ProcessorFamily::XEON },
        core_count: if new { 300 } else { 6 },
        core_enabled: if new { 299 } else { 5 },
        thread_count: if new { 600 } else { 8 },
    };
    table.add(&processor).unwrap();
    let port = PortConnector {
        internal_designator: "J1".into(),
        internal_connector: ConnectorType::NONE,
        external_designator: "COM1".into(),
        external_connector: ConnectorType::DB9_MALE,
        port_type: PortType::SERIAL_16550A,
    };
    table.add(&port).unwrap();
    let slot = SystemSlot {
        designation: "PCIE1".into(),
        slot_type: SlotType::PCI_EXPRESS,
        bus_width: SlotWidth::X8,
        usage: SlotUsage::IN_USE,
        slot_length: SlotLength::LONG,
        id: 5,
        characteristics_1: SlotCharacteristics1::VOLTS_3_3,
        characteristics_2: SlotCharacteristics2::PME | SlotCharacteristics2::HOT_PLUG,
        segment: 1,
        bus: 2,
        device_function: 3 << 3 | 4,
        base_bus_width: 8,
        peers: if new {
            vec![SlotPeer { segment: 1, bus: 5, device_function: 6 << 3 | 1, bus_width: 4 }]
        } else {
            vec![]
        },
        information: 4,
        physical_width: SlotWidth::X16,
        pitch: 2032,
        height: SlotHeight::FULL,
    };
    table.add(&slot).unwrap();
    let old_devices = OnBoardDevices {
        devices: vec![
            OnBoardDevice {
                device_type: BoardDeviceType::VIDEO,
                enabled: true,
                description: "Old Video".into(),
            },
            OnBoardDevice {
                device_type: BoardDeviceType::SOUND,
                enabled: false,
                description: "Old Sound".into(),
            },
        ],
    };
    table.add(&old_devices).unwrap();
    let strings = OemStrings { strings: vec!["first".into(), "io.systemd.x=y".into()] };
    table.add(&strings).unwrap();
    let language = Language {
        flags: LanguageFlags::empty(),
        installable: vec!["en|US|iso8859-1".into(), "de|DE|iso8859-1".into()],
        current: 1,
    };
    table.add(&language).unwrap();
    let large = version >= Version::new(2, 7);
    let array = MemoryArray {
        location: ArrayLocation::MOTHERBOARD,
        array_use: ArrayUse::SYSTEM,
        error_correction: ArrayErrorCorrection::SINGLE_BIT,
        device_count: 2,
        maximum_capacity_bytes: if large { 8 << 40 } else { 8 << 30 },
    };
    let array_ref = table.add(&array).unwrap();
    let mut device = MemoryDevice::new(array_ref, if large { 6 << 40 } else { 4 << 30 });
    device.total_width_bits = 72;
    device.data_width_bits = 64;
    device.device_set = 1;
    device.locator = "DIMM A1".into();
    device.bank_locator = "Bank 3".into();
    device.memory_type = MemoryDeviceType::DDR5;
    device.type_detail = MemoryTypeDetail::SYNCHRONOUS | MemoryTypeDetail::REGISTERED;
    device.manufacturer = "Memory Maker".into();
    device.serial = "Memory Serial".into();
    device.asset_tag = "Memory Asset".into();
    device.part_number = "Memory Part".into();
    device.attributes = 2;
    device.minimum_voltage_mv = 1100;
    device.maximum_voltage_mv = 1250;
    device.configured_voltage_mv = 1200;
    device.technology = MemoryTechnology::NVDIMM_N;
    device.operating_modes = OperatingModes::VOLATILE | OperatingModes::BYTE_PERSISTENT;
    device.firmware_version = "Memory Firmware".into();
    device.module_manufacturer_id = 0xCE80;
    device.module_product_id = 0x1234;
    device.controller_manufacturer_id = 0x2C81;
    device.controller_product_id = 0x5678;
    device.non_volatile_bytes = 1 << 30;
    device.volatile_bytes = 2 << 30;
    device.cache_bytes = 3 << 30;
    device.logical_bytes = 5 << 30;
    device.speed_mts = if version >= Version::new(3, 3) { 70_000 } else { 4800 };
    device.configured_speed_mts = 4400;
    device.pmic0_manufacturer_id = 0x8A0B;
    device.pmic0_revision = 0x8112;
    device.rcd_manufacturer_id = 0x9B0C;
    device.rcd_revision = 0x8234;
    let device_ref = table.add(&device).unwrap();
    let array_mapping = ArrayMapping::new(
        array_ref,
        if large { range(1 << 32, 5 << 40) } else { range(1 << 30, 1 << 30) },
        2,
    );
    let mapping_ref = table.add(&array_mapping).unwrap();
    let device_mapping = DeviceMapping {
        row_position: 1,
        interleave_position: 2,
        interleave_depth: 3,
        ..DeviceMapping::new(device_ref, mapping_ref, range(1 << 30, 512 << 20))
    };
    table.add(&device_mapping).unwrap();
    let battery = Battery {
        location: "Rear".into(),
        manufacturer: "Battery Maker".into(),
        manufacture_date: "Battery Date".into(),
        serial: "Battery Serial".into(),
        device_name: "Battery Name".into(),
        chemistry: BatteryChemistry::LITHIUM_ION,
        design_capacity: 5000,
        design_voltage_mv: 11_100,
        sbds_version: "SBDS 1.1".into(),
        maximum_error_percent: 4,
        sbds_serial: 0,
        sbds_manufacture_date: 0,
        sbds_chemistry: String::new(),
        capacity_multiplier: 10,
        oem_specific: 0xABCD_0123,
    };
    table.add(&battery).unwrap();
    let boot = BootInformation { status: BootStatus::NO_MEDIA };
    table.add(&boot).unwrap();
    let ipmi = Ipmi {
        interface: IpmiInterface::KCS,
        revision_bcd: 0x20,
        i2c_address: 0x20,
        nv_storage_address: 0xFF,
        base_address: 0xCA3,
        modifier: IpmiModifier::spaced(4).interrupt(false, false),
        interrupt: 9,
    };
    table.add(&ipmi).unwrap();
    let power_supply = PowerSupply {
        power_unit_group: 1,
        location: "Supply Location".into(),
        device_name: "Supply Name".into(),
        manufacturer: "Supply Maker".into(),
        serial: "Supply Serial".into(),
        asset_tag: "Supply Asset".into(),
        part_number: "Supply Part".into(),
        revision: "Supply Revision".into(),
        maximum_capacity_watts: 750,
        characteristics: PowerSupplyCharacteristics::new(
            PowerSupplyFlags::HOT_REPLACEABLE | PowerSupplyFlags::PRESENT,
            InputRange::AUTO_SWITCH,
            PowerSupplyStatus::OK,
            PowerSupplyType::SWITCHING,
        ),
    };
    table.add(&power_supply).unwrap();
    let onboard = OnboardDevice {
        designation: "Onboard LAN".into(),
        instance: 2,
        segment: 0,
        bus: 1,
        device_function: 2 << 3 | 1,
        device_type: BoardDeviceType::ETHERNET,
        enabled: true,
    };
    let onboard = (version >= OnboardDevice::SINCE).then_some(onboard);
    if let Some(structure) = &onboard {
        table.add(structure).unwrap();
    }
    let tpm = Tpm {
        vendor: *b"HVK\0",
        major_spec_version: 2,
        minor_spec_version: 0,
        firmware_version_1: 0x0001_0002,
        firmware_version_2: 0x0003_0004,
        description: "TPM Description".into(),
        characteristics: TpmCharacteristics::FAMILY_BY_SOFTWARE,
        oem_defined: 0x1122_3344,
    };
    let tpm = (version >= Tpm::SINCE).then_some(tpm);
    if let Some(structure) = &tpm {
        table.add(structure).unwrap();
    }
    let inventory = FirmwareInventory {
        component: "Component".into(),
        version: "Component Version".into(),
        version_format: FirmwareVersionFormat::MAJOR_MINOR,
        id: "Component Id".into(),
        id_format: FirmwareIdFormat::FREE_FORM,
        release_date: "2026-01-31T00:00:00Z".into(),
        manufacturer: "Component Maker".into(),
        lowest_version: "Component Lowest".into(),
        image_bytes: 8 << 20,
        characteristics: ComponentCharacteristics::UPDATABLE,
        state: FirmwareState::ENABLED,
        components: vec![system_ref.handle()],
    };
    let inventory = (version >= FirmwareInventory::SINCE).then_some(inventory);
    if let Some(structure) = &inventory {
        table.add(structure).unwrap();
    }
    let property = StringProperty {
        property: StringPropertyId::UEFI_DEVICE_PATH,
        value: "PciRoot(0x0)".into(),
        parent: system_ref.handle(),
    };
    let property = (version >= StringProperty::SINCE).then_some(property);
    if let Some(structure) = &property {
        table.add(structure).unwrap();
    }
    let oem = OemStructure {
        kind: StructureType(200),
        body: vec![0xDE, 0xAD, 1],
        strings: vec!["Oem Text".into()],
    };
    table.add_raw(&oem.to_raw().unwrap()).unwrap();
    let tables = table.finish(entry_points).unwrap();
    Everything {
        firmware,
        system,
        baseboard,
        chassis,
        processor,
        cache,
        port,
        slot,
        old_devices,
        strings,
        language,
        array,
        device,
        array_mapping,
        device_mapping,
        battery,
        boot,
        ipmi,
        power_supply,
        onboard,
        tpm,
        inventory,
        property,
        tables,
    }
}
