//! A machine to describe, and a reader of ACPI tables that knows only the specification.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod devices;
pub(crate) mod machine;
pub(crate) mod servers;

use acpi_builder::{
    Dsdt, Fadt, FixedHardware, InterruptPin, Madt, PciRoot, PciRoute, Processors, SerialPort,
    TableSet, TableSetBuilder,
};

/// A PC with all devices that can be described.
pub(crate) fn full_pc(processors: &Processors) -> TableSet {
    full_pc_builder(processors).with(&Madt::pc(processors)).build().unwrap()
}

/// The same without its MADT.
pub(crate) fn full_pc_builder(processors: &Processors) -> TableSetBuilder {
    let mut root = PciRoot::new(0xE000_0000..=0xFEBF_FFFF);
    root.memory64_windows = vec![0x1_0000_0000..=0x7F_FFFF_FFFF];
    root.routes = (0..32)
        .flat_map(|device| {
            [InterruptPin::A, InterruptPin::D].map(|pin| PciRoute {
                device,
                pin,
                gsi: 16 + u32::from(device) % 8,
            })
        })
        .collect();
    let mut dsdt = Dsdt::new(processors);
    dsdt.s5_sleep_type = Some(5);
    dsdt.pci_root = Some(root);
    dsdt.serial_ports = vec![SerialPort::COM1, SerialPort::COM2];
    dsdt.rtc = true;
    dsdt.keyboard = true;
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), dsdt.boot_arch());
    TableSet::builder(fadt, dsdt.build().unwrap())
}

/// Little-endian reads at a byte offset.
pub(crate) trait Fields {
    fn u8(&self, offset: usize) -> u8;
    fn u16(&self, offset: usize) -> u16;
    fn u32(&self, offset: usize) -> u32;
    fn u64(&self, offset: usize) -> u64;
}

impl Fields for [u8] {
    fn u8(&self, offset: usize) -> u8 {
        self[offset]
    }
    fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self[offset..offset + 2].try_into().unwrap())
    }
    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self[offset..offset + 4].try_into().unwrap())
    }
    fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self[offset..offset + 8].try_into().unwrap())
    }
}

pub(crate) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// What a guest finds when it follows the RSDP.
pub(crate) struct Found {
    pub(crate) xsdt: Vec<u8>,
    pub(crate) fadt: Vec<u8>,
    pub(crate) dsdt: Vec<u8>,
    pub(crate) facs: Vec<u8>,
    /// What the XSDT lists besides the FADT.
    pub(crate) others: Vec<Vec<u8>>,
}

/// Follows the RSDP as ACPI 6.5 chapter 5.2 says, with every check that it asks for.
///
/// `tables` lie at `base`. Every byte that no table claims must be zero.
pub(crate) fn walk(rsdp: &[u8], tables: &[u8], base: u64) -> Found {
    // 5.2.5.3: signature, revision 2, a checksum over 20 bytes, another over all 36.
    assert_eq!(&rsdp[..8], b"RSD PTR ");
    assert_eq!(rsdp.u8(15), 2);
    assert_eq!(rsdp.u32(20), 36);
    assert_eq!(rsdp.len(), 36);
    assert_eq!(sum(&rsdp[..20]), 0);
    assert_eq!(sum(rsdp), 0);
    assert_eq!(&rsdp[33..], [0; 3]);

    let mut claimed = vec![false; tables.len()];
    let mut take = |address: u64, checked: bool| -> Vec<u8> {
        let offset = usize::try_from(address.checked_sub(base).unwrap()).unwrap();
        let length = tables.u32(offset + 4) as usize;
        let table = &tables[offset..offset + length];
        if checked {
            assert!(length >= 36);
            assert_eq!(sum(table), 0, "{}", table[..4].escape_ascii());
        }
        for byte in &mut claimed[offset..offset + length] {
            assert!(!*byte, "two tables overlap");
            *byte = true;
        }
        table.to_vec()
    };
    // 5.2.8: entries of 8 bytes follow a header of 36.
    let xsdt = take(rsdp.u64(24), true);
    assert_eq!(&xsdt[..4], b"XSDT");
    assert_eq!((xsdt.len() - 36) % 8, 0);
    let mut listed: Vec<Vec<u8>> =
        (36..xsdt.len()).step_by(8).map(|offset| take(xsdt.u64(offset), true)).collect();
    // 5.2.9: the FADT points to the DSDT at 40 and 140, to the FACS at 36 or 132, not both.
    let fadt = listed.remove(0);
    assert_eq!(&fadt[..4], b"FACP");
    assert_eq!(u64::from(fadt.u32(40)), fadt.u64(140));
    let dsdt = take(fadt.u64(140), true);
    assert_eq!(&dsdt[..4], b"DSDT");
    assert_eq!(fadt.u64(132), 0);
    // 5.2.10: the FACS is aligned to 64 bytes and has no checksum.
    assert_eq!(fadt.u32(36) % 64, 0);
    let facs = take(fadt.u32(36).into(), false);
    assert_eq!(&facs[..4], b"FACS");
    assert_eq!(facs.len(), 64);
    for (offset, byte) in tables.iter().enumerate() {
        assert!(claimed[offset] || *byte == 0, "gap at {offset:#x}");
    }
    Found { xsdt, fadt, dsdt, facs, others: listed }
}

/// Splits what follows the MADT's fixed part into its entries.
pub(crate) fn madt_entries(madt: &[u8]) -> Vec<&[u8]> {
    let mut entries = Vec::new();
    let mut rest = &madt[44..];
    while !rest.is_empty() {
        let (entry, later) = rest.split_at(usize::from(rest[1]));
        assert!(entry.len() >= 2);
        entries.push(entry);
        rest = later;
    }
    entries
}
