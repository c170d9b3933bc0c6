//! What stands in the tables, read by offsets from the specification.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use acpi_builder::{
    BootArch, Dsdt, Error, Fadt, FixedHardware, InterruptPin, InterruptSourceOverride, IntiFlags,
    IoApic, Madt, PciRoot, PciRoute, PmTimerWidth, Processor, ProcessorState, Processors,
    ResetRegister, Rule, SerialPort, TableSet, Validator,
};
use common::{Fields, full_pc, madt_entries, walk};
use guest_state::Gpa;
use proptest::prelude::*;

fn fadt_bytes(fadt: Fadt) -> Result<Vec<u8>, Error> {
    let cpus = Processors::sequential(1)?;
    let set = TableSet::builder(fadt, Dsdt::new(&cpus).build()?).build()?;
    let placed = set.at(Gpa::new(0x1000))?;
    Ok(walk(&placed.rsdp, &placed.tables, 0x1000).fadt)
}

/// A register as a GAS in I/O space: its port, width in bits and access size code.
fn io_register(table: &[u8], offset: usize) -> (u64, u8, u8) {
    assert_eq!(table.u8(offset), 1, "not in I/O space");
    assert_eq!(table.u8(offset + 2), 0);
    (table.u64(offset + 4), table.u8(offset + 1), table.u8(offset + 3))
}

#[test]
fn fadt_gives_the_same_registers_in_both_forms() {
    let registers = FixedHardware::piix4(0x600);
    let fadt = fadt_bytes(Fadt::fixed_hardware(registers, BootArch::empty())).unwrap();
    assert_eq!(fadt.len(), 276);
    assert_eq!((fadt.u8(8), fadt.u8(131)), (6, 5));
    assert_eq!(fadt.u16(46), 9);
    // No SMI command port: always in ACPI mode.
    assert_eq!(fadt[48..56], [0; 8]);
    // PM1a event, PM1a control, PM timer: port, length, then the same as GAS.
    assert_eq!((fadt.u32(56), fadt.u8(88)), (0x600, 4));
    assert_eq!(io_register(&fadt, 148), (0x600, 32, 2));
    assert_eq!((fadt.u32(64), fadt.u8(89)), (0x604, 2));
    assert_eq!(io_register(&fadt, 172), (0x604, 16, 2));
    assert_eq!((fadt.u32(76), fadt.u8(91)), (0x608, 4));
    assert_eq!(io_register(&fadt, 208), (0x608, 32, 3));
    // PM1b, PM2, GPE0, GPE1 are absent in both forms.
    for (block, length, gas) in
        [(60, 88, 160), (68, 89, 184), (72, 90, 196), (80, 92, 220), (84, 93, 232)]
    {
        assert_eq!(fadt.u32(block), 0);
        assert!(block < 72 || fadt.u8(length) == 0);
        assert_eq!(fadt[gas..gas + 12], [0; 12]);
    }
    // No C2, no C3.
    assert!(fadt.u16(96) > 100 && fadt.u16(98) > 1000);
    assert_eq!(io_register(&fadt, 116), (0xCF9, 8, 1));
    assert_eq!(fadt.u8(128), 6);
    assert_eq!(fadt.u8(108), 0x32);
}

#[test]
fn fadt_flags_follow_the_description() {
    const WBINVD: u32 = 1 << 0;
    const NO_POWER_BUTTON: u32 = 1 << 4;
    const TIMER_32: u32 = 1 << 8;
    const RESET: u32 = 1 << 10;
    const HW_REDUCED: u32 = 1 << 20;
    let mut registers = FixedHardware::piix4(0x600);
    let with = |registers: &FixedHardware, reset| {
        let mut fadt = Fadt::fixed_hardware(registers.clone(), BootArch::empty());
        fadt.reset = reset;
        fadt_bytes(fadt).unwrap().u32(112)
    };
    let plain = with(&registers, Some(ResetRegister::CF9));
    let asked = WBINVD | NO_POWER_BUTTON | TIMER_32 | RESET | HW_REDUCED;
    assert_eq!(plain & asked, WBINVD | RESET);
    assert_eq!(plain ^ with(&registers, None), RESET);
    registers.power_button = false;
    registers.pm_timer_width = PmTimerWidth::Bits32;
    let changed = with(&registers, Some(ResetRegister::CF9));
    assert_eq!(plain ^ changed, NO_POWER_BUTTON | TIMER_32);
}

#[test]
fn boot_architecture_follows_the_devices() {
    let cpus = Processors::sequential(1).unwrap();
    let mut dsdt = Dsdt::new(&cpus);
    let flags = |dsdt: &Dsdt<'_>| {
        let fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), dsdt.boot_arch());
        let bytes = fadt_bytes(fadt).unwrap();
        (bytes.u16(109), bytes.u8(108))
    };
    assert_eq!(flags(&dsdt), (0b10_0100, 0));
    dsdt.serial_ports.push(SerialPort::COM1);
    assert_eq!(flags(&dsdt), (0b10_0101, 0));
    dsdt.keyboard = true;
    dsdt.rtc = true;
    assert_eq!(flags(&dsdt), (0b00_0111, 0x32));
}

#[test]
fn register_blocks_stay_within_the_ports() {
    for base in [0, 0xFFF5, 0xFFF9, 0xFFFC, 0xFFFF] {
        let fadt = Fadt::fixed_hardware(FixedHardware::piix4(base), BootArch::empty());
        assert!(matches!(fadt_bytes(fadt), Err(Error::IoPorts { .. })), "{base:#x}");
    }
    let top = Fadt::fixed_hardware(FixedHardware::piix4(0xFFF4), BootArch::empty());
    assert!(fadt_bytes(top).is_ok());
}

fn madt_bytes(madt: &Madt<'_>) -> Vec<u8> {
    let table = madt.build().unwrap();
    // As if behind a header, so that the specification's offsets hold.
    [&[0; 36], table.body()].concat()
}

#[test]
fn madt_of_a_small_pc_is_what_the_specification_says() {
    let cpus = Processors::new([Processor::new(0, 0), Processor::new(7, 4)]).unwrap();
    let madt = madt_bytes(&Madt::pc(&cpus));
    assert_eq!(madt.u32(36), 0xFEE0_0000);
    assert_eq!(madt.u32(40), 1);
    let expected: [&[u8]; 6] = [
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[0, 8, 7, 4, 1, 0, 0, 0],
        &[1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0],
        &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        &[2, 10, 0, 9, 9, 0, 0, 0, 0b1101, 0],
        &[4, 6, 0xFF, 0, 0, 1],
    ];
    assert_eq!(madt_entries(&madt), expected);
}

#[test]
fn the_apic_id_chooses_the_structure() {
    let mut hotplug = Processor::new(300, 0x1_0000);
    hotplug.state = ProcessorState::OnlineCapable;
    let cpus = [Processor::new(254, 254), Processor::new(1, 255), hotplug];
    let cpus = Processors::new(cpus).unwrap();
    let mut description = Madt::pc(&cpus);
    description.dual_8259 = false;
    description.io_apics.clear();
    description.overrides.clear();
    let madt = madt_bytes(&description);
    assert_eq!(madt.u32(40), 0);
    let expected: [&[u8]; 4] = [
        &[0, 8, 254, 254, 1, 0, 0, 0],
        &[9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
        &[9, 16, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 44, 1, 0, 0],
        // One processor beyond 254 makes this the structure for all.
        &[10, 12, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0],
    ];
    assert_eq!(madt_entries(&madt), expected);
}

#[test]
fn impossible_processors_are_refused() {
    let new = |list: &[(u32, u32)]| {
        let list: Vec<_> = list.iter().map(|&(uid, id)| Processor::new(uid, id)).collect();
        Processors::new(list).err()
    };
    assert_eq!(new(&[]), Some(Error::NoProcessor));
    assert_eq!(Processors::sequential(0).err(), Some(Error::NoProcessor));
    assert_eq!(new(&[(1, 1), (2, 2), (1, 3)]), Some(Error::DuplicateUid { uid: 1 }));
    assert_eq!(new(&[(1, 9), (2, 8), (3, 9)]), Some(Error::DuplicateApicId { apic_id: 9 }));
    let (uid, apic_id) = (255, 254);
    assert_eq!(new(&[(uid, apic_id)]), Some(Error::LocalApicUid { uid, apic_id }));
    for (uid, apic_id) in [(u32::MAX, 300), (300, u32::MAX)] {
        assert_eq!(new(&[(uid, apic_id)]), Some(Error::BroadcastProcessor { uid, apic_id }));
    }
    assert!(Processors::sequential(4096).is_ok());
    let (count, max) = (4097, 4096);
    assert_eq!(Processors::sequential(4097).err(), Some(Error::TooManyProcessors { count, max }));
    assert!(Processors::sequential(u32::MAX).is_err());
}

#[test]
fn interrupt_wiring_that_contradicts_itself_is_refused() {
    let cpus = Processors::sequential(1).unwrap();
    let mut madt = Madt::pc(&cpus);
    madt.io_apics.push(IoApic { id: 1, ..IoApic::PC });
    assert!(madt.build().is_ok());
    madt.io_apics.push(IoApic { id: 1, ..IoApic::PC });
    assert_eq!(madt.build(), Err(Error::DuplicateIoApic { id: 1 }));

    let mut madt = Madt::pc(&cpus);
    let source =
        |isa_irq| InterruptSourceOverride { isa_irq, gsi: 20, flags: IntiFlags::LEVEL_LOW };
    madt.overrides.push(source(9));
    assert_eq!(madt.build(), Err(Error::DuplicateOverride { irq: 9 }));
    madt.overrides[2] = source(16);
    assert_eq!(madt.build(), Err(Error::IsaIrq { irq: 16 }));
}

#[test]
fn devices_that_make_no_sense_are_refused() {
    let cpus = Processors::sequential(1).unwrap();
    let build = |change: &dyn Fn(&mut Dsdt<'_>)| {
        let mut dsdt = Dsdt::new(&cpus);
        dsdt.pci_root = Some(PciRoot::new(0xE000_0000..=0xE000_0FFF));
        change(&mut dsdt);
        dsdt.build().err()
    };
    let with_root =
        |change: &dyn Fn(&mut PciRoot)| build(&|dsdt| change(dsdt.pci_root.as_mut().unwrap()));
    assert_eq!(build(&|_| ()), None);
    let sleep_type = 8;
    assert_eq!(build(&|dsdt| dsdt.s5_sleep_type = Some(8)), Some(Error::SleepType { sleep_type }));
    for number in [0, 10, 255] {
        let port = SerialPort { number, ..SerialPort::COM1 };
        assert_eq!(
            build(&|dsdt| dsdt.serial_ports.push(port)),
            Some(Error::SerialPortNumber { number })
        );
    }
    assert_eq!(
        build(&|dsdt| dsdt.serial_ports = vec![SerialPort::COM2; 2]),
        Some(Error::DuplicateSerialPort { number: 2 })
    );
    let wild = SerialPort { irq: 16, ..SerialPort::COM1 };
    assert_eq!(build(&|dsdt| dsdt.serial_ports.push(wild)), Some(Error::IsaIrq { irq: 16 }));
    let last = SerialPort { port: 0xFFF9, ..SerialPort::COM1 };
    let (port, size_bytes) = (0xFFF9, 8);
    assert_eq!(
        build(&|dsdt| dsdt.serial_ports.push(last)),
        Some(Error::IoPorts { port, size_bytes })
    );
    for (first, last) in [(0, 0xCF8), (0xCFF, 0xFFFF), (0, 0xFFFF), (0xCFA, 0xCFB), (2, 1)] {
        assert_eq!(
            with_root(&|root| root.io_windows = vec![first..=last]),
            Some(Error::PciIoWindow { first, last })
        );
    }
    for (first, last) in [(0, u32::MAX), (1, 0)] {
        assert_eq!(
            with_root(&|root| root.memory32_windows = vec![first..=last]),
            Some(Error::PciMemoryWindow { first: first.into(), last: last.into() })
        );
    }
    for (first, last) in [(0, u64::MAX), (1, 0)] {
        assert_eq!(
            with_root(&|root| root.memory64_windows = vec![first..=last]),
            Some(Error::PciMemoryWindow { first, last })
        );
    }
    let (first, last) = (2, 1);
    assert_eq!(with_root(&|root| root.buses = first..=last), Some(Error::PciBuses { first, last }));
    let route = |device| PciRoute { device, pin: InterruptPin::B, gsi: 5 };
    assert_eq!(
        with_root(&|root| root.routes = vec![route(32)]),
        Some(Error::PciDevice { device: 32 })
    );
    assert_eq!(
        with_root(&|root| root.routes = vec![route(3), route(3)]),
        Some(Error::DuplicatePciRoute { device: 3 })
    );
}

#[test]
fn a_small_dsdt_is_the_aml_that_the_specification_gives() {
    let cpus = Processors::new([Processor::new(7, 0)]).unwrap();
    let mut dsdt = Dsdt::new(&cpus);
    dsdt.s5_sleep_type = Some(5);
    dsdt.rtc = true;
    let expected: [&[u8]; 10] = [
        b"\x08_S5_\x12\x08\x04\x0A\x05\x0A\x05\0\0", // Name (_S5, Package (4) {5, 5, 0, 0})
        b"\x10\x4B\x04\\_SB_",                       // Scope (\_SB), 75 bytes
        b"\x5B\x82\x1BC000",                         // Device (C000), 27 bytes
        b"\x08_HID\x0DACPI0007\0",                   // Name (_HID, "ACPI0007")
        b"\x08_UID\x0A\x07",                         // Name (_UID, 7)
        b"\x5B\x82\x25RTC_",                         // Device (RTC), 37 bytes
        b"\x08_HID\x0C\x41\xD0\x0B\0",               // Name (_HID, EisaId ("PNP0B00"))
        b"\x08_CRS\x11\x10\x0A\x0D",                 // Name (_CRS, Buffer (13) {
        b"\x47\x01\x70\0\x70\0\x01\x02",             // IO (Decode16, 0x70, 0x70, 1, 2)
        b"\x22\0\x01\x79\0",                         // IRQNoFlags () {8}, end tag })
    ];
    assert_eq!(dsdt.build().unwrap().body(), expected.concat());
}

#[test]
fn four_thousand_processors_each_have_an_entry_and_a_device() {
    let set = full_pc(&Processors::sequential(4096).unwrap());
    let placed = set.at(Gpa::new(0x10_0000)).unwrap();
    let found = walk(&placed.rsdp, &placed.tables, 0x10_0000);
    let entries = madt_entries(&found.others[0]);
    let of_type = |wanted| entries.iter().filter(|entry| entry[0] == wanted).count();
    assert_eq!((of_type(0), of_type(9)), (255, 4096 - 255));
    let devices = found.dsdt.windows(8).filter(|bytes| bytes == b"ACPI0007").count();
    assert_eq!(devices, 4096);
}

type Ranges<T> = Vec<(T, T)>;

/// A machine of the numbers given, sensible or not.
#[allow(clippy::too_many_arguments, reason = "one for each thing to vary")]
fn machine(
    ids: &[(u32, u32)],
    ports: &[(u8, u16, u8)],
    io: Ranges<u16>,
    memory32: Ranges<u32>,
    memory64: Ranges<u64>,
    routes: &[(u8, u32)],
    sleep_type: u8,
    base: u16,
) -> Result<TableSet, Error> {
    let list: Vec<_> = ids.iter().map(|&(uid, id)| Processor::new(uid, id)).collect();
    let cpus = Processors::new(list)?;
    let mut dsdt = Dsdt::new(&cpus);
    dsdt.s5_sleep_type = Some(sleep_type);
    dsdt.serial_ports =
        ports.iter().map(|&(number, port, irq)| SerialPort { number, port, irq }).collect();
    let mut root = PciRoot::new(0xC000_0000..=0xFEBF_FFFF);
    root.io_windows = io.into_iter().map(|(a, b)| a..=b).collect();
    root.memory32_windows = memory32.into_iter().map(|(a, b)| a..=b).collect();
    root.memory64_windows = memory64.into_iter().map(|(a, b)| a..=b).collect();
    root.routes = routes
        .iter()
        .map(|&(device, gsi)| PciRoute { device, pin: InterruptPin::C, gsi })
        .collect();
    dsdt.pci_root = Some(root);
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(base), dsdt.boot_arch());
    TableSet::builder(fadt, dsdt.build()?).table(Madt::pc(&cpus).build()?).build()
}

fn ordered<T: Ord + Copy>(ranges: Ranges<T>) -> Ranges<T> {
    ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect()
}

proptest! {
    #[test]
    fn any_sensible_machine_can_be_walked(
        apic_ids in prop::collection::btree_set(0_u32..600, 1..40),
        ports in prop::collection::btree_map(1_u8..10, (1_u16..0xFFF0, 0_u8..16), 0..4),
        io in prop::collection::vec((0xD00_u16.., any::<u16>()), 0..3),
        memory32 in prop::collection::vec((1_u32.., 1_u32..), 0..3),
        memory64 in prop::collection::vec((1_u64.., 1_u64..), 0..3),
        routes in prop::collection::btree_map(0_u8..32, any::<u32>(), 0..32),
        sleep_type in 0_u8..8,
        base in 1_u16..0xFFF0,
        place in 1_u64..0xFFF0_0000 / 64,
    ) {
        let ids: Vec<_> = (0..).zip(apic_ids).collect();
        let ports: Vec<_> = ports.into_iter().map(|(n, (port, irq))| (n, port, irq)).collect();
        let io = io.into_iter().map(|(a, b)| (a, b.max(a))).collect();
        let routes: Vec<_> = routes.into_iter().collect();
        let (memory32, memory64) = (ordered(memory32), ordered(memory64));
        let set = machine(&ids, &ports, io, memory32, memory64, &routes, sleep_type, base).unwrap();
        let placed = set.at(Gpa::new(place * 64)).unwrap();
        let found = walk(&placed.rsdp, &placed.tables, place * 64);
        // A root pointer far from any tables; windows may be anywhere, even over interrupt controllers.
        let rsdp = Gpa::new(1 << 40);
        let validator = Validator::new()
            .memory(rsdp, &placed.rsdp)
            .memory(Gpa::new(place * 64), &placed.tables);
        let findings = validator.validate(rsdp);
        prop_assert!(
            findings.iter().all(|finding| finding.rule == Rule::CrsOverRegisters),
            "{findings:?}"
        );
        let processors = madt_entries(&found.others[0])
            .into_iter()
            .filter_map(|entry| match entry[0] {
                0 => Some((u32::from(entry[2]), u32::from(entry[3]))),
                9 => Some((entry.u32(12), entry.u32(4))),
                _ => None,
            });
        prop_assert_eq!(processors.collect::<Vec<_>>(), ids);
    }

    #[test]
    fn no_description_panics(
        ids in prop::collection::vec(any::<(u32, u32)>(), 0..3),
        ports in prop::collection::vec(any::<(u8, u16, u8)>(), 0..3),
        io in prop::collection::vec(any::<(u16, u16)>(), 0..3),
        memory32 in prop::collection::vec(any::<(u32, u32)>(), 0..3),
        memory64 in prop::collection::vec(any::<(u64, u64)>(), 0..3),
        routes in prop::collection::vec(any::<(u8, u32)>(), 0..3),
        sleep_type in any::<u8>(),
        base in any::<u16>(),
        place in any::<u64>(),
    ) {
        if let Ok(set) = machine(&ids, &ports, io, memory32, memory64, &routes, sleep_type, base) {
            let _ = set.at(Gpa::new(place));
        }
    }

    #[test]
    fn no_bytes_panic_as_a_finished_table(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = acpi_builder::Sdt::from_bytes(&bytes);
    }
}
