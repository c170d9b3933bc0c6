//! Tables that stand for themselves, byte by byte as their specifications have them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use acpi_builder::{
    BaudRate, Bgrt, Dbg2, DebugPort, DeviceHandle, EcamRegion, Error, GenericInitiator, Hpet, Mcfg,
    MemoryAffinity, PciAddress, Processor, ProcessorAffinity, Processors, Register, SerialPort,
    Slit, Spcr, Srat, Ssdt, Table, Tcpa, UefiData, Waet,
};
use common::machine;
use guest_state::{Gpa, GpaRange};

/// Checks signature, revision and what follows the header.
fn is(table: &impl Table, revision: u8, signature: &[u8; 4], expected: &[&[u8]]) {
    let set = acpi_builder::TableSet::builder(
        acpi_builder::Fadt::fixed_hardware(
            acpi_builder::FixedHardware::piix4(0x600),
            acpi_builder::BootArch::empty(),
        ),
        acpi_builder::Dsdt::new(&Processors::sequential(1).unwrap()).build().unwrap(),
    );
    let set = set.with(table).build().unwrap();
    let entry = set.entries()[3];
    let bytes = &set.tables().bytes()[entry.offset as usize..][..entry.size_bytes as usize];
    assert_eq!((&bytes[..4], bytes[8]), (&signature[..], revision));
    assert_eq!(bytes[36..], expected.concat());
}

#[test]
fn configuration_spaces_are_listed() {
    is(
        &machine::mcfg(),
        1,
        b"MCFG",
        &[
            &[0; 8],
            &[0, 0, 0, 0xB0, 0, 0, 0, 0, 0, 0, 0, 0xBF, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0x80, 0, 0, 0, 2, 1, 3, 7, 0, 0, 0, 0],
        ],
    );
}

#[test]
fn configuration_spaces_that_cannot_be_are_refused() {
    let region = |base, segment, buses| EcamRegion { base: Gpa::new(base), segment, buses };
    let error = |regions: &[EcamRegion]| Mcfg { regions: regions.to_vec() }.build().err();
    let low = region(0xB000_0000, 0, 0..=15);
    let (first, last) = (4, 3);
    #[allow(clippy::reversed_empty_ranges, reason = "that is the point")]
    let empty = region(0xB000_0000, 0, 4..=3);
    assert_eq!(error(&[empty]), Some(Error::PciBuses { first, last }));
    let field = "address of a PCI configuration space";
    for base in [0xB008_0000, u64::MAX << 20] {
        let value = base;
        assert_eq!(error(&[region(base, 0, 0..=1)]), Some(Error::Invalid { field, value }));
    }
    let (field, gpa) = ("PCI configuration spaces", Gpa::new(0xB0F0_0000));
    let next = region(0xB0F0_0000, 1, 0..=1);
    assert_eq!(error(&[next, low.clone()]), Some(Error::Overlap { field, gpa }));
    let again = region(0xC000_0000, 0, 15..=20);
    let twice = Error::Duplicate { field: "PCI bus", value: 15 };
    assert_eq!(error(&[low.clone(), again.clone()]), Some(twice));
    assert_eq!(error(&[low, EcamRegion { segment: 1, ..again }]), None);
}

#[test]
fn an_event_timer_says_what_its_capability_register_says() {
    // QEMU's HPET has the same: 8086A201h.
    is(
        &Hpet::PC,
        1,
        b"HPET",
        &[&[1, 0xA2, 0x86, 0x80, 0, 64, 0, 0, 0, 0, 0xD0, 0xFE, 0, 0, 0, 0, 0, 0x80, 0, 0]],
    );
    let mut timer = Hpet::PC;
    for (comparators, is_ok) in [(0, false), (1, true), (32, true), (33, false)] {
        timer.comparators = comparators;
        assert_eq!(timer.build().is_ok(), is_ok, "{comparators}");
    }
    timer = Hpet::PC;
    timer.address = Gpa::new(0xFED0_0200);
    assert!(timer.build().is_err());
    timer = Hpet::PC;
    timer.revision = 0;
    assert!(timer.build().is_err());
}

#[test]
fn windows_is_told_what_is_good() {
    for (rtc_good, pm_timer_good, flags) in [(true, false, 1), (false, true, 2), (true, true, 3)] {
        is(&Waet { rtc_good, pm_timer_good }, 1, b"WAET", &[&[flags, 0, 0, 0]]);
    }
}

#[test]
fn the_console_is_a_serial_port() {
    let rest: &[u8] = &[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // The path, behind 88 bytes.
    let path: &[u8] = &[2, 0, 88, 0, b'.', 0];
    let com1: &[u8] = &[0, 0, 0, 0, 1, 8, 0, 1, 0xF8, 3, 0, 0, 0, 0, 0, 0];
    // Both kinds of interrupt; 115,200 baud, 1 stop bit, VT-UTF8.
    let console = Spcr::new(SerialPort::COM1);
    is(&console, 4, b"SPCR", &[com1, &[3, 4, 4, 0, 0, 0, 7, 0, 1, 0, 2, 0], rest, path]);
    let mut console = console;
    console.registers = Register::Memory(Gpa::new(0xFEB0_1000));
    console.isa_irq = None;
    console.gsi = Some(0x123);
    console.baud_rate = BaudRate::B9600;
    let memory: &[u8] = &[0, 0, 0, 0, 0, 8, 0, 1, 0, 0x10, 0xB0, 0xFE, 0, 0, 0, 0];
    is(&console, 4, b"SPCR", &[memory, &[2, 0, 0x23, 1, 0, 0, 3, 0, 1, 0, 2, 0], rest, path]);
    console.isa_irq = Some(16);
    assert_eq!(console.build(), Err(Error::IsaIrq { irq: 16 }));
    console = Spcr::new(SerialPort { port: 0xFFF9, ..SerialPort::COM1 });
    assert_eq!(console.build(), Err(Error::IoPorts { port: 0xFFF9, size_bytes: 8 }));
}

#[test]
fn debug_ports_have_their_path() {
    let path = b"\\_SB.PCI0.COM2\0";
    is(
        &machine::dbg2(),
        0,
        b"DBG2",
        &[
            &[44, 0, 0, 0, 2, 0, 0, 0],
            &[0, 53, 0, 1, 15, 0, 38, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 22, 0, 34, 0],
            &[1, 8, 0, 1, 0xF8, 2, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0],
            path,
            &[0, 40, 0, 1, 2, 0, 38, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 22, 0, 34, 0],
            &[1, 8, 0, 1, 0xF8, 3, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0],
            b".\0",
        ],
    );
    let field = "path of a serial port";
    let error =
        |path: &str| Dbg2 { ports: vec![DebugPort::new(SerialPort::COM1, path)] }.build().err();
    assert_eq!(error("A\0B"), Some(Error::Invalid { field, value: 0 }));
    let (field, value, max) = ("length of a debug port", 0x1_0000, 0xFFFF);
    assert_eq!(error(&"A".repeat(0xFFFF - 38)), Some(Error::OutOfRange { field, value, max }));
    assert_eq!(error(&"A".repeat(0xFFFF - 39)), None);
}

#[test]
fn affinity_is_by_apic_id() {
    let cpus = Processors::new([Processor::new(1, 254), Processor::new(2, 255)]).unwrap();
    let mut srat = Srat::new(&cpus, |processor| 0x0102_0304 + processor.uid);
    srat.processors[1].clock_domain = 9;
    srat.memory = machine::srat(&cpus).memory.split_off(2);
    srat.initiators = machine::srat(&cpus).initiators;
    is(
        &srat,
        3,
        b"SRAT",
        &[
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 16, 5, 254, 1, 0, 0, 0, 0, 3, 2, 1, 0, 0, 0, 0],
            &[2, 24, 0, 0, 6, 3, 2, 1, 255, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
            &[1, 40, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0],
            &[0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[5, 32, 0, 1, 1, 0, 0, 0, 2, 1, 3, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[5, 32, 0, 0, 0, 0, 0, 0],
            b"ACPI00071\0\0\0\0\0\0\0",
            &[1, 0, 0, 0, 0, 0, 0, 0],
        ],
    );
}

#[test]
fn affinity_that_contradicts_itself_is_refused() {
    let processor = ProcessorAffinity { apic_id: 7, domain: 0, clock_domain: 0 };
    let srat = Srat { processors: vec![processor; 2], ..Srat::default() };
    assert_eq!(srat.build(), Err(Error::Duplicate { field: "APIC id", value: 7 }));
    let memory = |ranges: &[GpaRange]| {
        let memory = ranges.iter().map(|&range| MemoryAffinity::new(range, 0)).collect();
        Srat { memory, ..Srat::default() }.build().err()
    };
    let (field, start) = ("memory", Gpa::new(0x5000));
    let range = machine::range;
    assert_eq!(memory(&[range(0x5000, 0)]), Some(Error::EmptyRange { field, start }));
    assert_eq!(memory(&[range(0x4000, 0x1000), range(0x5000, 1)]), None);
    let overlap = Some(Error::Overlap { field, gpa: start });
    assert_eq!(memory(&[range(0x5000, 1), range(0x4000, 0x1001)]), overlap);
    let with_initiator = |device, function| {
        let address = PciAddress::new(0, device, function);
        let device = DeviceHandle::Pci { segment: 0, address };
        let (domain, architectural_transactions) = (0, false);
        let initiators = vec![GenericInitiator { device, domain, architectural_transactions }];
        Srat { initiators, ..Srat::default() }.build().err()
    };
    assert_eq!(with_initiator(32, 0), Some(Error::PciDevice { device: 32 }));
    let (field, value, max) = ("PCI function", 8, 7);
    assert_eq!(with_initiator(0, 8), Some(Error::OutOfRange { field, value, max }));
}

#[test]
fn distances_are_a_square() {
    let rows = vec![vec![10, 20, 255], vec![21, 10, 30], vec![254, 10, 10]];
    let bytes: Vec<u8> = rows.concat();
    is(&Slit::new(rows).unwrap(), 1, b"SLIT", &[&[3, 0, 0, 0, 0, 0, 0, 0], &bytes]);
    is(&Slit::uniform(2, 21).unwrap(), 1, b"SLIT", &[&[2, 0, 0, 0, 0, 0, 0, 0, 10, 21, 21, 10]]);
    let field = "distance of proximity domains";
    let invalid = |value| Err(Error::Invalid { field, value });
    assert_eq!(Slit::uniform(2, 9), invalid(9));
    assert_eq!(Slit::new(vec![vec![11]]), invalid(11));
    let (field, length, expected) = ("row of distances", 1, 2);
    let uneven = Slit::new(vec![vec![10, 20], vec![10]]);
    assert_eq!(uneven, Err(Error::Length { field, length, expected }));
}

#[test]
fn the_boot_image_has_a_place() {
    is(
        &machine::bgrt(),
        1,
        b"BGRT",
        &[&[1, 0, 1, 0, 0, 0x10, 0xE0, 0x7F, 0, 0, 0, 0, 0x40, 1, 0, 0, 240, 0, 0, 0]],
    );
    let error = Bgrt { image: Gpa::ZERO, ..machine::bgrt() }.build();
    assert_eq!(error, Err(Error::Invalid { field: "address of the boot image", value: 0 }));
}

#[test]
fn trusted_platform_modules_have_their_log() {
    is(
        &machine::tpm2(),
        4,
        b"TPM2",
        &[
            &[0, 0, 0, 0, 0x40, 0, 0xD4, 0xFE, 0, 0, 0, 0, 7, 0, 0, 0],
            &[0; 12],
            &[0, 0, 1, 0, 0, 0, 0xE1, 0x7F, 0, 0, 0, 0],
        ],
    );
    let log = machine::range(0x7FE2_0000, 0x8000);
    is(&Tcpa { log }, 2, b"TCPA", &[&[0, 0, 0, 0x80, 0, 0, 0, 0, 0xE2, 0x7F, 0, 0, 0, 0]]);
    let (field, value, max) = ("length of the log", 1 << 32, u64::from(u32::MAX));
    let long = Tcpa { log: machine::range(0, value) };
    assert_eq!(long.build(), Err(Error::OutOfRange { field, value, max }));
}

#[test]
fn data_follows_its_identifier() {
    let table = UefiData { identifier: *b"0123456789abcdef", data: vec![7, 8, 9] };
    is(&table, 1, b"UEFI", &[b"0123456789abcdef", &[54, 0], &[7, 8, 9]]);
    is(&Ssdt { aml: vec![0xA3] }, 2, b"SSDT", &[&[0xA3]]);
}

#[test]
fn what_is_wrong_with_a_description_is_said_when_the_set_is_built() {
    let cpus = Processors::sequential(1).unwrap();
    let registers = acpi_builder::FixedHardware::piix4(0x600);
    let fadt = acpi_builder::Fadt::fixed_hardware(registers, acpi_builder::BootArch::empty());
    let dsdt = acpi_builder::Dsdt::new(&cpus).build().unwrap();
    let broken = Bgrt { image: Gpa::ZERO, ..machine::bgrt() };
    let set = acpi_builder::TableSet::builder(fadt, dsdt).with(&broken).with(&Hpet::PC).build();
    assert!(matches!(set, Err(Error::Invalid { .. })));
}
