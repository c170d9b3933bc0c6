//! One description of each kind of table.

use acpi_builder::{
    Bgrt, Dbg2, DebugPort, DeviceHandle, EcamRegion, GenericInitiator, Hpet, Mcfg, MemoryAffinity,
    MemoryAffinityFlags, PciAddress, Processors, Sdt, SerialPort, Slit, Spcr, Srat, StartMethod,
    Table, Tcpa, Tpm2, UefiData, Waet,
};
use guest_state::{Gpa, GpaRange};

use super::servers;

/// What the machine has besides its devices, as ASL:
///
/// ```text
/// Name (AAAA, 7)
/// Device (DEVA) {
///     Name (_HID, "TEST0001")
///     Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFED40000, 0x1000) })
/// }
/// OperationRegion (REGA, SystemIO, 0x510, 2)
/// Field (REGA, ByteAcc, NoLock, Preserve) { FLDA, 8 }
/// Method (METH) { OperationRegion (REGM, SystemMemory, 0xFEB00000, 0x10)  Noop... }
/// ```
pub(crate) const SSDT: &[u8] = b"\x08AAAA\x0A\x07\
    \x5B\x82\x2BDEVA\x08_HID\x0DTEST0001\0\x08_CRS\x11\x11\x0A\x0E\
    \x86\x09\0\x01\0\0\xD4\xFE\0\x10\0\0\x79\0\
    \x5B\x80REGA\x01\x0B\x10\x05\x0A\x02\x5B\x81\x0BREGA\x01FLDA\x08\
    \x14\x1CMETH\0\x5B\x80REGM\0\x0C\0\0\xB0\xFE\x0A\x10\xA3\xA3\xA3\xA3\xA3\xA3\xA3\xA3";

pub(crate) fn range(start: u64, size_bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size_bytes).unwrap()
}

pub(crate) fn mcfg() -> Mcfg {
    Mcfg {
        regions: vec![
            EcamRegion { base: Gpa::new(0xB000_0000), segment: 0, buses: 0..=0xBF },
            EcamRegion { base: Gpa::new(0x80_0000_0000), segment: 0x102, buses: 3..=7 },
        ],
    }
}

pub(crate) fn bgrt() -> Bgrt {
    Bgrt { image: Gpa::new(0x7FE0_1000), x: 320, y: 240, displayed: true }
}

pub(crate) fn dbg2() -> Dbg2 {
    Dbg2 {
        ports: vec![
            DebugPort::new(SerialPort::COM2, "\\_SB.PCI0.COM2"),
            DebugPort::new(SerialPort::COM1, "."),
        ],
    }
}

pub(crate) fn srat(processors: &Processors) -> Srat {
    let mut srat = Srat::new(processors, |processor| processor.uid % 2);
    srat.memory = vec![
        MemoryAffinity::new(range(0, 0xA_0000), 0),
        MemoryAffinity::new(range(0x10_0000, 0xAFF0_0000), 0),
        MemoryAffinity {
            range: range(0x1_0000_0000, 0x4000_0000),
            domain: 1,
            flags: MemoryAffinityFlags::all(),
        },
    ];
    srat.initiators = vec![
        GenericInitiator {
            device: DeviceHandle::Pci { segment: 0x102, address: PciAddress::new(3, 31, 7) },
            domain: 1,
            architectural_transactions: true,
        },
        GenericInitiator {
            device: DeviceHandle::Acpi { hid: *b"ACPI0007", uid: *b"1\0\0\0" },
            domain: 0,
            architectural_transactions: false,
        },
    ];
    srat
}

pub(crate) fn tpm2() -> Tpm2 {
    Tpm2 {
        start_method: StartMethod::CRB,
        control_area: Gpa::new(0xFED4_0040),
        log: Some(range(0x7FE1_0000, 0x1_0000)),
    }
}

/// All of them, built.
pub(crate) fn tables(processors: &Processors) -> Vec<Sdt> {
    let built = [
        mcfg().build(),
        Hpet::PC.build(),
        Waet { rtc_good: true, pm_timer_good: true }.build(),
        Spcr::new(SerialPort::COM1).build(),
        dbg2().build(),
        srat(processors).build(),
        Slit::uniform(2, 21).unwrap().build(),
        bgrt().build(),
        tpm2().build(),
        Tcpa { log: range(0x7FE2_0000, 0x8000) }.build(),
        UefiData { identifier: *b"0123456789abcdef", data: vec![] }.build(),
        servers::hmat().build(),
        servers::pptt().build(),
        servers::dmar().build(),
        servers::ivrs().build(),
        servers::viot().build(),
        servers::nfit().build(),
        servers::cedt().build(),
        servers::erst().build(),
        servers::hest().build(),
        servers::bert().build(),
    ];
    built.into_iter().map(Result::unwrap).collect()
}
