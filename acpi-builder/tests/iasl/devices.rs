//! Ready devices: as source, and as the interpreter evaluates them.

use acpi_builder::{Processors, Ssdt, Table};

use crate::common::devices;
use crate::tool::{disassembled, finished, folder, recompiled, run};

/// The DSDT of a machine with all devices.
fn dsdt() -> Vec<u8> {
    let processors = Processors::sequential(2).unwrap();
    let table = devices::dsdt(&processors).unwrap().build().unwrap();
    // Its header as in a set; as an SSDT, since a set has its own DSDT.
    let ssdt = Ssdt { aml: table.body().to_vec() }.build().unwrap();
    let (_, mut bytes) = finished(&ssdt);
    bytes[..4].copy_from_slice(b"DSDT");
    let sum = crate::common::sum(&bytes);
    bytes[9] = bytes[9].wrapping_sub(sum);
    bytes
}

/// The disassembly without the comment before it, which has names and times of files in it.
fn block(text: &str) -> &str {
    &text[text.find("DefinitionBlock").unwrap()..]
}

#[test]
fn the_disassembly_is_the_one_that_was_reviewed() {
    let text = recompiled("devices-golden", "dsdt", &dsdt());
    let reviewed = include_str!("../data/devices.dsl");
    assert_eq!(block(&text).trim_end(), block(reviewed).trim_end());
    assert_eq!(dsdt(), include_bytes!("../data/devices.aml"));
}

/// Gives the interpreter that DSDT and a command.
fn interpret(test: &str, command: &str) -> String {
    let folder = folder(&format!("acpiexec-devices-{test}"));
    std::fs::write(folder.join("dsdt.aml"), dsdt()).unwrap();
    run("HVKIT_ACPIEXEC", &["-b", command, "dsdt.aml"], &folder)
}

/// Source text with one space where there are several, and without comments.
fn squeezed(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn all_devices_are_compiled_to_the_same_bytes_from_the_source_that_is_expected() {
    let text = squeezed(&recompiled("devices", "dsdt", &dsdt()));
    for expected in [
        "Name (_S3, Package (0x04) { One, One, Zero, Zero })",
        "Name (_S4, Package (0x04) { 0x02, 0x02, Zero, Zero })",
        "Name (_S5, Package (0x04) { 0x07, 0x07, Zero, Zero })",
        "Device (PCI0) { Name (_HID, EisaId (\"PNP0A08\") /* PCI Express Bus */) \
         Name (_CID, EisaId (\"PNP0A03\") /* PCI Bus */)",
        "Method (_OSC, 4, Serialized) { CreateDWordField (Arg3, Zero, CDW1) \
         If ((Arg0 != ToUUID (\"33db4d5b-1ff7-401c-9657-7441c03dd766\") /* PCI Host Bridge Device */)) \
         { CDW1 |= 0x04 Return (Arg3) }",
        "CreateDWordField (Arg3, 0x08, CDW3) Local0 = (CDW3 & 0x18)",
        "Device (MOU) { Name (_HID, EisaId (\"PNP0F13\") /* PS/2 Mouse */)",
        "IRQNoFlags () {12}",
        "Device (SYSR) { Name (_HID, EisaId (\"PNP0C02\") /* PNP Motherboard Resources */)",
        "IO (Decode16, 0x0620, 0x0620, 0x01, 0x10, )",
        "IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x01, )",
        "Memory32Fixed (ReadWrite, 0xB0000000, 0x0C000000, )",
        "Device (PM) { Name (_ADR, 0x00010003)",
        "Device (LPC) { Name (_ADR, 0x001F0000)",
        "Device (FWCF) { Name (_HID, \"QEMU0002\") Name (_STA, 0x0B)",
        "IO (Decode16, 0x0510, 0x0510, 0x01, 0x0C, )",
        "Device (PEVT) { Name (_HID, \"QEMU0001\") Name (_STA, 0x0F)",
        "IO (Decode16, 0x0505, 0x0505, 0x01, 0x01, )",
        "Device (HPET) { Name (_HID, EisaId (\"PNP0103\") /* HPET System Timer */) Name (_UID, Zero)",
        "Memory32Fixed (ReadWrite, 0xFED00000, 0x00000400, )",
        "Device (TPM) { Name (_HID, \"MSFT0101\" /* TPM 2.0 Security Device */)",
        "Memory32Fixed (ReadWrite, 0xFED40000, 0x00005000, )",
        "Device (PWRB) { Name (_HID, EisaId (\"PNP0C0C\") /* Power Button Device */)",
        "Device (SLPB) { Name (_HID, EisaId (\"PNP0C0E\") /* Sleep Button Device */)",
        "Device (VGEN) { Name (_HID, \"HVKT0001\") Name (_CID, Package (0x02) { \
         \"VM_Gen_Counter\", \"VMGENCTR\" }) Name (_DDN, \"VM_Gen_Counter\")",
        "Name (ADDR, Package (0x02) { 0x7FE60028, 0x12 })",
        "Device (VCLK) { Name (_HID, \"AMZNC10C\") Name (_CID, \"VMCLOCK\")",
        "QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadOnly, \
         0x0000000000000000, 0x000000127FE70000, 0x000000127FE70FFF, 0x0000000000000000, \
         0x0000000000001000, ,, , AddressRangeMemory, TypeStatic)",
        "Device (VR1F) { Name (_HID, \"LNRO0005\") Name (_UID, 0x1F) Name (_CCA, One)",
        "Memory32Fixed (ReadWrite, 0xFEB05000, 0x00000200, )",
        "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, ) { 0x0000002A, }",
        "Device (GED) { Name (_HID, \"ACPI0013\" /* Generic Event Device */) Name (_UID, Zero)",
        "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, ) { 0x00000010, }",
        "Interrupt (ResourceConsumer, Level, ActiveLow, Exclusive, ,, ) { 0x00000011, }",
        "Method (_EVT, 1, Serialized) { If ((Arg0 == 0x10)) { Notify (\\_SB.PWRB, 0x80)",
        "If ((Arg0 == 0x11)) { Notify (\\_SB.VGEN, 0x80)",
    ] {
        let found = text.contains(expected);
        assert!(found, "no {expected} in {text}");
    }
}

#[test]
fn the_interpreter_reports_the_event_of_an_interrupt() {
    for (gsi, device, other) in [("16", "PWRB", "VGEN"), ("17", "VGEN", "PWRB")] {
        let text = interpret(&format!("ged-{gsi}"), &format!("execute \\_SB.GED._EVT {gsi}"));
        let notified = format!("Received a Device Notify on [{device}]");
        assert!(text.contains(&notified) && text.contains("Value 0x80"), "{text}");
        assert!(!text.contains(&format!("[{other}]")), "{text}");
    }
    let text = interpret("ged-18", "execute \\_SB.GED._EVT 18");
    assert!(!text.contains("Notify"), "{text}");
}

/// What a guest reads from `_OSC`: the first and the third doubleword.
fn osc(test: &str, uuid: &str, revision: u8, count: u8, dwords: &str) -> (String, String) {
    let command = format!("evaluate \\_SB.PCI0._OSC ({uuid}) {revision} {count} ({dwords})");
    let text = interpret(&format!("osc-{test}"), &command);
    // The second buffer is the answer, sixteen bytes a line.
    let (_, answer) = text.split_once("[Buffer] Length").unwrap_or_else(|| panic!("{text}"));
    let (_, bytes) = answer.split_once("0000: ").unwrap_or_else(|| panic!("{text}"));
    let bytes: Vec<_> = bytes.split_whitespace().take(12).collect();
    (bytes[..4].join(" "), bytes[8..].join(" "))
}

#[test]
fn the_interpreter_is_told_what_it_may_control() {
    const UUID: &str = "5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66";
    let asked = |control: &str| format!("00 00 00 00 1F 00 00 00 {control} 00 00 00");
    let ask = |test, uuid, revision, count, control: &str| {
        osc(test, uuid, revision, count, &asked(control))
    };
    let answer =
        |status: &str, control: &str| (format!("{status} 00 00 00"), format!("{control} 00 00 00"));
    assert_eq!(ask("granted", UUID, 1, 3, "18"), answer("00", "18"));
    assert_eq!(ask("less", UUID, 1, 3, "10"), answer("00", "10"));
    assert_eq!(ask("masked", UUID, 1, 3, "1F"), answer("10", "18"));
    assert_eq!(ask("revision", UUID, 2, 3, "1F"), answer("08", "1F"));
    assert_eq!(ask("short", UUID, 1, 2, "1F"), answer("02", "1F"));
    assert_eq!(ask("uuid", &UUID.replace("66", "67"), 1, 3, "1F"), answer("04", "1F"));
}

#[test]
fn the_interpreter_finds_the_generation() {
    let text = interpret("vgen", "evaluate \\_SB.VGEN.ADDR");
    assert!(text.contains("Contains 2 Elements"), "{text}");
    assert!(text.contains("000000007FE60028") && text.contains("0000000000000012"), "{text}");
}

#[test]
fn the_interpreter_finds_the_status_and_the_resources_of_a_device() {
    let text = interpret("sta", "evaluate \\_SB.PCI0.FWCF._STA");
    assert!(text.contains("[Integer] = 000000000000000B"), "{text}");
    let text = interpret("crs", "resources \\_SB.TPM");
    assert!(text.contains("FED40000") && text.contains("00005000"), "{text}");
}

#[test]
fn constructors_encode_what_the_compiler_does() {
    let ssdt = Ssdt::from(devices::terms().unwrap()).build().unwrap();
    let text = squeezed(&disassembled("terms", &ssdt));
    for expected in [
        "PowerResource (PWRS, 0x03, 0x1234) { Name (_STA, One)",
        "Method (_ON, 0, Serialized) { Name (ABCD, 0x0000123456789ABC) }",
        "Method (_OFF, 0, Serialized)",
        "OperationRegion (REGA, SystemIO, 0x0510, 0x02)",
        "Field (REGA, ByteAcc, NoLock, Preserve) { FLDA, 4, FLDB, 12 }",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
}
