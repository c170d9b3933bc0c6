//! One description of each kind of table.

use acpi_builder::{
    Bgrt, Dbg2, DebugPort, DeviceHandle, EcamRegion, GenericInitiator, Hpet, Mcfg, MemoryAffinity,
    MemoryAffinityFlags, PciAddress, Processors, Sdt, SerialPort, Slit, Spcr, Srat, StartMethod,
    Table, Tcpa, Tpm2, UefiData, Waet,
};
use guest_state::{Gpa, GpaRange};

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
    ];
    built.into_iter().map(Result::unwrap).collect()
}
