//! Structures against bytes written by hand, round trips, errors, and a second reader.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{everything, range};
use guest_state::Gpa;
use proptest::prelude::*;
use smbios_builder::*;
use smbioslib::{SMBiosData, SMBiosMemoryDevice, SMBiosProcessorInformation, SMBiosStringProperty};

fn read<T: Describe>(table: &[u8]) -> T {
    let mut structures = structures_in(table).flatten();
    T::decode(&structures.find(|structure| structure.kind() == T::TYPE).unwrap()).unwrap()
}

#[test]
fn bytes_are_those_of_the_specification() {
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    let array =
        MemoryArray { maximum_capacity_bytes: 1 << 30, device_count: 1, ..Default::default() };
    let array = table.add(&array).unwrap();
    table.add(&ArrayMapping::new(array, range(1 << 20, 1 << 30), 1)).unwrap();
    table.add(&OemStrings { strings: vec!["a".into(), "bc".into()] }).unwrap();
    let tables = table.finish(EntryPoints::Both).unwrap();
    #[rustfmt::skip]
    let expected = [
        16, 0x17, 0, 0, 1, 3, 6, 0, 0, 0x10, 0, 0xFE, 0xFF, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        19, 0x1F, 1, 0, 0, 4, 0, 0, 0xFF, 3, 0x10, 0, 0, 0, 1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        11, 5, 2, 0, 2, b'a', 0, b'b', b'c', 0, 0,
        127, 4, 3, 0, 0, 0,
    ];
    assert_eq!(tables.table(), expected);
    let placed = tables.at(0x000F_0040.into()).unwrap();
    #[rustfmt::skip]
    let entry = [
        b'_', b'S', b'M', b'_', 0x7C, 0x1F, 3, 7, 0x21, 0, 0, 0, 0, 0, 0, 0,
        b'_', b'D', b'M', b'I', b'_', 0, 75, 0, 0x40, 0, 0x0F, 0, 4, 0, 0x37,
    ];
    let mut found = placed.entry_point_32.unwrap();
    assert_eq!(found[16..].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    assert_eq!(found.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    (found[4], found[0x15]) = (entry[4], 0);
    assert_eq!(found, entry);
    let mut found = placed.entry_point_64.unwrap();
    assert_eq!(found.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    found[5] = 0;
    #[rustfmt::skip]
    let entry = [
        b'_', b'S', b'M', b'3', b'_', 0, 0x18, 3, 7, 0, 1, 0, 75, 0, 0, 0,
        0x40, 0, 0x0F, 0, 0, 0, 0, 0,
    ];
    assert_eq!(found, entry);
}

#[test]
fn each_description_comes_back() {
    let all = everything(Version::NEWEST, EntryPoints::Both);
    let table = all.tables.table();
    assert_eq!(read::<Firmware>(table), all.firmware);
    assert_eq!(read::<System>(table), all.system);
    assert_eq!(read::<Baseboard>(table), all.baseboard);
    assert_eq!(read::<Chassis>(table), all.chassis);
    assert_eq!(read::<Processor>(table), all.processor);
    assert_eq!(read::<Cache>(table), all.cache);
    assert_eq!(read::<PortConnector>(table), all.port);
    assert_eq!(read::<SystemSlot>(table), all.slot);
    assert_eq!(read::<OnBoardDevices>(table), all.old_devices);
    assert_eq!(read::<OemStrings>(table), all.strings);
    assert_eq!(read::<Language>(table), all.language);
    assert_eq!(read::<MemoryArray>(table), all.array);
    assert_eq!(read::<MemoryDevice>(table), all.device);
    assert_eq!(read::<ArrayMapping>(table), all.array_mapping);
    assert_eq!(read::<DeviceMapping>(table), all.device_mapping);
    assert_eq!(read::<Battery>(table), all.battery);
    assert_eq!(read::<BootInformation>(table), all.boot);
    assert_eq!(read::<Ipmi>(table), all.ipmi);
    assert_eq!(read::<PowerSupply>(table), all.power_supply);
    assert_eq!(Some(read::<OnboardDevice>(table)), all.onboard);
    assert_eq!(Some(read::<Tpm>(table)), all.tpm);
    assert_eq!(Some(read::<FirmwareInventory>(table)), all.inventory);
    assert_eq!(Some(read::<StringProperty>(table)), all.property);
}

#[test]
fn raw_structures_pass_through_with_their_handles() {
    let all = everything(Version::NEWEST, EntryPoints::Both);
    let mut copy = TableBuilder::new(Version::NEWEST).unwrap();
    for structure in structures_in(all.tables.table()).flatten() {
        if structure.kind() != StructureType::END_OF_TABLE {
            copy.add_raw(&RawStructure::from_structure(&structure)).unwrap();
        }
    }
    assert_eq!(copy.finish(EntryPoints::Both).unwrap(), all.tables);
}

#[test]
fn handles_avoid_those_that_raw_structures_keep() {
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    let raw = |handle| RawStructure {
        kind: StructureType(130),
        handle: Some(Handle(handle)),
        body: vec![],
        strings: vec![],
    };
    table.add_raw(&raw(1)).unwrap();
    assert_eq!(table.add(&System::default()).unwrap().handle(), Handle(0));
    assert_eq!(table.add(&Chassis::default()).unwrap().handle(), Handle(2));
    assert_eq!(table.add_raw(&raw(2)), Err(Error::DuplicateHandle { handle: Handle(2) }));
    // A structure may come with an empty first string; without it the second would be the first.
    let empty_first = RawStructure::from_bytes(b"\xDD\x05\x07\0\x02\0bc\0\0").unwrap();
    let (kind, index) = (StructureType(0xDD), 0);
    assert_eq!(table.add_raw(&empty_first), Err(Error::EmptyString { kind, index }));
    let reserved = Handle(0xFF00);
    assert_eq!(table.add_raw(&raw(0xFF00)), Err(Error::ReservedHandle { handle: reserved }));
}

#[test]
fn what_can_not_be_expressed_is_an_error() {
    let v2 = || TableBuilder::new(Version::V2_8).unwrap();
    let (since, version) = (Version::V3_0, Version::V2_8);
    let many = Processor { core_count: 255, ..Processor::default() };
    let kind = StructureType::PROCESSOR;
    assert_eq!(v2().add(&many), Err(Error::ValueTooNew { kind, value: 255, since, version }));
    let (kind, since) = (StructureType::TPM, Version::new(3, 1));
    assert_eq!(v2().add(&Tpm::default()), Err(Error::StructureTooNew { kind, since, version }));
    let mut old = TableBuilder::new(Version::new(2, 6)).unwrap();
    let array = old.add(&MemoryArray::default()).unwrap();
    assert!(old.add(&MemoryDevice::new(array, 32767 << 20)).is_err());
    assert!(old.add(&MemoryDevice::new(array, 32766 << 20)).is_ok());
    let kind = StructureType::MEMORY_DEVICE;
    let foreign = MemoryDevice::new(Ref::to_raw(Handle(77)), 0);
    let handle = Handle(77);
    assert_eq!(old.add(&foreign), Err(Error::DanglingHandle { kind, handle }));
    let nul = System { serial: "a\0b".into(), ..System::default() };
    let kind = StructureType::SYSTEM;
    assert_eq!(old.add(&nul), Err(Error::StringNul { kind, offset: 1 }));
    let strings = OemStrings { strings: vec!["x".into(); 256] };
    let kind = StructureType::OEM_STRINGS;
    assert_eq!(old.add(&strings), Err(Error::TooManyStrings { kind }));
}

#[test]
fn a_reference_to_another_type_is_an_error() {
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    let handle = table.add(&System::default()).unwrap().handle();
    let device = MemoryDevice::new(Ref::to_raw(handle), 0);
    let (kind, found) = (StructureType::MEMORY_DEVICE, StructureType::SYSTEM);
    let expected = StructureType::MEMORY_ARRAY;
    let error = Error::WrongReference { kind, handle, expected, found };
    assert_eq!(table.add(&device), Err(error));
    // What failed left nothing behind.
    assert_eq!(table.add(&Chassis::default()).unwrap().handle(), Handle(1));
    let tables = table.finish(EntryPoints::Bits64).unwrap();
    assert_eq!(structures_in(tables.table()).count(), 3);
}

#[test]
fn handles_run_out_as_an_error() {
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    for _ in 0..=Handle::LAST.0 {
        table.add(&BootInformation::default()).unwrap();
    }
    let error = Error::TooManyStructures { max: 0xFF00 };
    assert_eq!(table.add(&BootInformation::default()), Err(error));
    assert_eq!(table.finish(EntryPoints::Bits64), Err(error));
}

#[test]
fn processors_that_can_not_be_spread_are_an_error() {
    let (cpus, sockets, threads) = (6, 4, 1);
    let error = Error::Topology { cpus, sockets, threads };
    assert_eq!(Platform::new(cpus).topology(sockets, threads).build(), Err(error));
    for (cpus, sockets, threads) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1 << 20, 1, 1)] {
        let error = Error::Topology { cpus, sockets, threads };
        assert_eq!(Platform::new(cpus).topology(sockets, threads).build(), Err(error));
    }
}

#[test]
fn an_image_leads_from_its_entry_points_to_its_table() {
    let tables = Platform::new(1).build().unwrap();
    let image = tables.image(0xF_0000.into()).unwrap();
    let EntryPoint::Bits64(first) = EntryPoint::decode(&image).unwrap() else { unreachable!() };
    let EntryPoint::Bits32(second) = EntryPoint::decode(&image[32..]).unwrap() else {
        unreachable!()
    };
    assert_eq!((first.table, second.table), (0xF_0040.into(), 0xF_0040.into()));
    assert_eq!(&image[0x40..], tables.table());
    assert_eq!(tables.image(8.into()), Err(Error::Misaligned { gpa: 8.into() }));
    let high = tables.at((1 << 32).into());
    let gpa = (1u64 << 32).into();
    assert_eq!(high, Err(Error::Unreachable { gpa, width_bytes: 4 }));
}

#[test]
fn a_table_over_64_kib_has_no_32_bit_entry_point() {
    let long = Platform::new(1).oem_string(&"x".repeat(70_000));
    let both = long.clone().entry_points(EntryPoints::Both).build();
    assert!(matches!(both, Err(Error::TableTooLong { max: 0xFFFF, anchor: "_SM_", .. })));
    let fitting = long.build().unwrap().at(Gpa::ZERO).unwrap();
    assert!(fitting.entry_point_32.is_none() && fitting.entry_point_64.is_some());
}

#[test]
fn firmware_gets_the_anchor_that_goes_with_the_version() {
    for (version, length) in [(Version::V2_8, 31), (Version::NEWEST, 24)] {
        let tables = Platform::new(1).version(version).build().unwrap();
        let files = tables.fw_cfg_files().unwrap();
        assert_eq!(files.anchor.len(), length);
        let declared = match EntryPoint::decode(&files.anchor).unwrap() {
            EntryPoint::Bits32(said) => said.table_bytes.into(),
            EntryPoint::Bits64(said) => said.max_table_bytes as usize,
        };
        assert_eq!(declared, files.tables.len());
    }
    let wrong = Platform::new(1).version(Version::V2_8).entry_points(EntryPoints::Bits64);
    assert!(matches!(wrong.build().unwrap().fw_cfg_files(), Err(Error::FwCfgAnchor { .. })));
}

#[test]
fn a_second_reader_agrees() {
    let all = everything(Version::NEWEST, EntryPoints::Bits64);
    let data = SMBiosData::from_vec_and_version(all.tables.table().to_vec(), None);
    assert_eq!(data.iter().count(), structures_in(all.tables.table()).count());
    let device: SMBiosMemoryDevice<'_> = data.first().unwrap();
    assert_eq!(*device.physical_memory_array_handle().unwrap(), all.device.array.handle().0);
    assert_eq!(device.total_width(), Some(72));
    assert_eq!(device.serial_number().to_string(), all.device.serial);
    assert_eq!(device.firmware_version().to_string(), all.device.firmware_version);
    assert_eq!(device.pmic0_manufacturer_id(), Some(all.device.pmic0_manufacturer_id));
    assert_eq!(device.rcd_revision_number(), Some(all.device.rcd_revision));
    let processor: SMBiosProcessorInformation<'_> = data.first().unwrap();
    assert_eq!(
        processor.core_count_2().map(|count| format!("{count:?}")),
        Some("Count(300)".into())
    );
    assert_eq!(processor.part_number().to_string(), all.processor.part_number);
    let property: SMBiosStringProperty<'_> = data.first().unwrap();
    assert_eq!(property.string_property_value().to_string(), "PciRoot(0x0)");
    assert_eq!(*property.parent_handle().unwrap(), 1);
}

proptest! {
    #[test]
    fn memory_devices_of_any_size_come_back(mib in 0u64..0x8000_0000, speed in 0u32..0x8000_0000) {
        let mut table = TableBuilder::new(Version::NEWEST).unwrap();
        let array = table.add(&MemoryArray::default()).unwrap();
        let mut device = MemoryDevice::new(array, mib << 20);
        device.speed_mts = speed;
        table.add(&device).unwrap();
        let tables = table.finish(EntryPoints::Bits64).unwrap();
        prop_assert_eq!(read::<MemoryDevice>(tables.table()), device);
    }

    #[test]
    fn mappings_come_back(start in 0u64..1 << 44, size in 1u64..1 << 44) {
        let mut table = TableBuilder::new(Version::NEWEST).unwrap();
        let array = table.add(&MemoryArray::default()).unwrap();
        let mapping = ArrayMapping::new(array, range(start << 10, size << 10), 1);
        table.add(&mapping).unwrap();
        let tables = table.finish(EntryPoints::Bits64).unwrap();
        prop_assert_eq!(read::<ArrayMapping>(tables.table()), mapping);
    }

    #[test]
    fn strings_and_counts_come_back(
        texts in proptest::collection::vec("[^\0]{0,20}", 6), cores: u16, family: u16, uuid: [u8; 16],
    ) {
        let mut table = TableBuilder::new(Version::NEWEST).unwrap();
        let system = System {
            manufacturer: texts[0].clone(), product: texts[1].clone(), version: texts[2].clone(),
            serial: texts[3].clone(), sku: texts[4].clone(), family: texts[5].clone(),
            uuid: Uuid(uuid), ..System::default()
        };
        table.add(&system).unwrap();
        let processor = Processor {
            core_count: cores, family: ProcessorFamily(family), version: texts[0].clone(),
            ..Processor::default()
        };
        table.add(&processor).unwrap();
        let tables = table.finish(EntryPoints::Bits64).unwrap();
        prop_assert_eq!(read::<System>(tables.table()), system);
        prop_assert_eq!(read::<Processor>(tables.table()), processor);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..8),
    ) {
        read_all(&bytes);
        bytes.splice(0..0, *b"_SM3_");
        read_all(&bytes);
        let mut table = everything(Version::NEWEST, EntryPoints::Bits64).tables.dump().unwrap();
        for (place, byte) in changes {
            let place = usize::from(place) % table.len();
            table[place] = byte;
        }
        read_all(&table);
        read_all(&table[32..]);
    }
}

fn read_all(bytes: &[u8]) {
    let _ = validate(bytes, bytes);
    let _ = print(bytes).to_string();
    for structure in structures_in(bytes).flatten() {
        let _ = Firmware::decode(&structure);
        let _ = System::decode(&structure);
        let _ = Baseboard::decode(&structure);
        let _ = Chassis::decode(&structure);
        let _ = Processor::decode(&structure);
        let _ = Cache::decode(&structure);
        let _ = SystemSlot::decode(&structure);
        let _ = OnBoardDevices::decode(&structure);
        let _ = OemStrings::decode(&structure);
        let _ = Language::decode(&structure);
        let _ = MemoryArray::decode(&structure);
        let _ = MemoryDevice::decode(&structure);
        let _ = ArrayMapping::decode(&structure);
        let _ = DeviceMapping::decode(&structure);
        let _ = FirmwareInventory::decode(&structure);
        let _ = RawStructure::from_structure(&structure);
    }
}

#[test]
fn devices_are_mapped_one_behind_the_other_and_in_full() {
    let ranges = [range(0, 3 << 30), range(4 << 30, 45 << 30)];
    let platform = ranges.iter().fold(Platform::new(1), |platform, &range| platform.memory(range));
    let tables = platform.build().unwrap();
    let structures: Vec<_> = structures_in(tables.table()).flatten().collect();
    let maps = structures.iter().filter_map(|structure| DeviceMapping::decode(structure).ok());
    let maps: Vec<_> = maps.collect();
    // 3 and 13 GiB of the first device, two whole ones behind it.
    let expected = [
        range(0, 3 << 30),
        range(4 << 30, 13 << 30),
        range(17 << 30, 16 << 30),
        range(33 << 30, 16 << 30),
    ];
    assert_eq!(maps.iter().map(|map| map.range).collect::<Vec<_>>(), expected);
    for structure in &structures {
        if let Ok(device) = MemoryDevice::decode(structure) {
            let own = maps.iter().filter(|map| map.device.handle() == structure.handle());
            let mapped: u64 = own.map(|map| map.range.size_bytes()).sum();
            assert_eq!(mapped, device.size_bytes);
        }
    }
}
