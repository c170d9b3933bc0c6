//! Tables that stand for themselves, as the disassembler reads them.

use acpi_builder::{
    Hpet, Processor, Processors, SerialPort, Slit, Spcr, Ssdt, Table, Tcpa, UefiData, Waet,
};

use crate::common::machine::{self, range};
use crate::tool::{disassemble, disassembled, finished, folder, says};

/// Disassembles, recompiles, compares, and looks for values.
pub(crate) fn reads(table: &impl Table, expected: &[(&str, &str)]) {
    let table = table.build().unwrap();
    let text = disassembled("data", &table);
    says(&text, expected);
}

#[test]
fn mcfg() {
    reads(
        &machine::mcfg(),
        &[
            ("Base Address", "00000000B0000000"),
            ("Segment Group Number", "0000"),
            ("Start Bus Number", "00"),
            ("End Bus Number", "BF"),
            ("Base Address", "0000008000000000"),
            ("Segment Group Number", "0102"),
            ("Start Bus Number", "03"),
            ("End Bus Number", "07"),
        ],
    );
}

#[test]
fn hpet() {
    reads(
        &Hpet::PC,
        &[
            ("Hardware Block ID", "8086A201"),
            ("Space ID", "00"),
            ("Bit Width", "40"),
            ("Address", "00000000FED00000"),
            ("Sequence Number", "00"),
            ("Minimum Clock Ticks", "0080"),
        ],
    );
}

#[test]
fn waet() {
    reads(
        &Waet { rtc_good: false, pm_timer_good: true },
        &[("RTC needs no INT ack", "0"), ("PM timer, one read only", "1")],
    );
}

#[test]
fn spcr() {
    reads(
        &Spcr::new(SerialPort::COM2),
        &[
            ("Table Length", "0000005A"),
            ("Interface Type", "00"),
            ("Space ID", "01"),
            ("Bit Width", "08"),
            ("Encoded Access Width", "01"),
            ("Address", "00000000000002F8"),
            ("Interrupt Type", "03"),
            ("PCAT-compatible IRQ", "03"),
            ("Interrupt", "00000003"),
            ("Baud Rate", "07"),
            ("Parity", "00"),
            ("Stop Bits", "01"),
            ("Flow Control", "00"),
            ("Terminal Type", "02"),
            ("PCI Device ID", "FFFF"),
            ("PCI Vendor ID", "FFFF"),
            ("Precise Baud rate", "00000000"),
            ("NameSpaceStringLength", "0002"),
            ("NameSpaceStringOffset", "0058"),
            ("NamespaceString", "."),
        ],
    );
}

#[test]
fn dbg2() {
    reads(
        &machine::dbg2(),
        &[
            ("Info Offset", "0000002C"),
            ("Info Count", "00000002"),
            ("Register Count", "01"),
            ("Port Type", "8000"),
            ("Port Subtype", "0000"),
            ("Space ID", "01"),
            ("Address", "00000000000002F8"),
            ("Address Size", "00000008"),
            ("Namepath", "\\_SB.PCI0.COM2"),
            ("Address", "00000000000003F8"),
            ("Namepath", "."),
        ],
    );
}

#[test]
fn srat() {
    let cpus = Processors::new([Processor::new(0, 8), Processor::new(1, 0x1234)]).unwrap();
    reads(
        &machine::srat(&cpus),
        &[
            ("Table Revision", "00000001"),
            ("Subtable Type", "00"),
            ("Proximity Domain Low(8)", "00"),
            ("Apic ID", "08"),
            ("Enabled", "1"),
            ("Subtable Type", "02"),
            ("Proximity Domain", "00000001"),
            ("Apic ID", "00001234"),
            ("Enabled", "1"),
            ("Subtable Type", "01"),
            ("Proximity Domain", "00000000"),
            ("Base Address", "0000000000000000"),
            ("Address Length", "00000000000A0000"),
            ("Enabled", "1"),
            ("Hot Pluggable", "0"),
            ("Base Address", "0000000000100000"),
            ("Proximity Domain", "00000001"),
            ("Base Address", "0000000100000000"),
            ("Address Length", "0000000040000000"),
            ("Hot Pluggable", "1"),
            ("Non-Volatile", "1"),
            ("Subtable Type", "05"),
            ("Device Handle Type", "01"),
            ("Proximity Domain", "00000001"),
            ("Device Handle", "02 01 03 FF 00 00 00 00 00 00 00 00 00 00 00 00"),
            ("Enabled", "1"),
            ("Architectural Transactions", "1"),
            ("Device Handle Type", "00"),
            ("Device Handle", "41 43 50 49 30 30 30 37 31 00 00 00 00 00 00 00"),
            ("Architectural Transactions", "0"),
        ],
    );
}

#[test]
fn slit() {
    reads(
        &Slit::new(vec![vec![10, 20], vec![30, 10]]).unwrap(),
        &[("Localities", "0000000000000002"), ("Locality   0", "0A 14"), ("Locality   1", "1E 0A")],
    );
}

#[test]
fn bgrt() {
    reads(
        &machine::bgrt(),
        &[
            ("Version", "0001"),
            ("Displayed", "1"),
            ("Image Type", "00"),
            ("Image Address", "000000007FE01000"),
            ("Image OffsetX", "00000140"),
            ("Image OffsetY", "000000F0"),
        ],
    );
}

#[test]
fn tpm2() {
    reads(
        &machine::tpm2(),
        &[
            ("Platform Class", "0000"),
            ("Control Address", "00000000FED40040"),
            ("Start Method", "07"),
            ("Minimum Log Length", "00010000"),
            ("Log Address", "000000007FE10000"),
        ],
    );
}

#[test]
fn tcpa() {
    reads(
        &Tcpa { log: range(0x7FE2_0000, 0x8000) },
        &[
            ("Platform Class", "0000"),
            ("Min Event Log Length", "00008000"),
            ("Event Log Address", "000000007FE20000"),
        ],
    );
}

#[test]
fn uefi() {
    let table = UefiData { identifier: *b"0123456789abcdef", data: vec![] };
    reads(
        &table,
        &[("UUID Identifier", "33323130-3534-3736-3839-616263646566"), ("Data Offset", "0036")],
    );
}

#[test]
fn ssdt() {
    let text = disassembled("data", &Ssdt { aml: b"\x08ABCD\x0A\x07".to_vec() }.build().unwrap());
    assert!(text.contains("Name (ABCD, 0x07)"), "{text}");
}

#[test]
fn the_validators_machine_has_the_devices_that_it_is_said_to_have() {
    let table = Ssdt { aml: machine::SSDT.to_vec() }.build().unwrap();
    // A region in a method, which is what BadAML is like, the compiler warns of.
    let (name, bytes) = finished(&table);
    let text = disassemble(&folder("iasl-validator"), &name, &bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    for part in [
        "Name (AAAA, 0x07)",
        "Device (DEVA) { Name (_HID, \"TEST0001\")",
        "Memory32Fixed (ReadWrite, 0xFED40000, // Address Base 0x00001000, // Address Length )",
        "OperationRegion (REGA, SystemIO, 0x0510, 0x02)",
        "Field (REGA, ByteAcc, NoLock, Preserve) { FLDA, 8 }",
        "Method (METH, 0, NotSerialized) {",
        "OperationRegion (REGM, SystemMemory, 0xFEB00000, 0x10)",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}
