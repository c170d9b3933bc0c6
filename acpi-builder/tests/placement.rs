//! The tables of a machine, read back as a guest would.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use acpi_builder::{
    Dsdt, Error, Fadt, FixedHardware, PointerWidth, Processors, Sdt, Signature, TableIds, TableSet,
};
use common::{Fields, full_pc, sum, walk};
use guest_state::Gpa;

const BASE: u64 = 0xE_1000;

#[test]
fn every_pointer_and_checksum_is_right_wherever_the_tables_lie() {
    let set = full_pc(&Processors::sequential(300).unwrap());
    for base in [0x40, BASE, 0x7FF0_0000, 0xFFF0_0000] {
        let placed = set.at(Gpa::new(base)).unwrap();
        let found = walk(&placed.rsdp, &placed.tables, base);
        assert_eq!(found.others.len(), 1);
        assert_eq!(&found.others[0][..4], b"APIC");
    }
}

#[test]
fn lists_of_pointers_and_checksums_are_all_that_placing_takes() {
    let set = full_pc(&Processors::sequential(2).unwrap());
    let placed = set.at(Gpa::new(BASE)).unwrap();
    for (blob, expected) in [(set.tables(), &placed.tables), (set.rsdp(), &placed.rsdp)] {
        let mut bytes = blob.bytes().to_vec();
        for pointer in blob.pointers() {
            let offset = pointer.offset as usize;
            let width = match pointer.width {
                PointerWidth::Bytes4 => 4,
                PointerWidth::Bytes8 => 8,
            };
            let mut field = [0; 8];
            field[..width].copy_from_slice(&bytes[offset..offset + width]);
            let target = u64::from_le_bytes(field);
            assert_eq!(target, u64::from(pointer.target));
            bytes[offset..offset + width].copy_from_slice(&(target + BASE).to_le_bytes()[..width]);
        }
        for checksum in blob.checksums() {
            assert_eq!(bytes[checksum.offset as usize], 0);
            let start = checksum.start as usize;
            let range = start..start + checksum.size_bytes as usize;
            assert!(range.contains(&(checksum.offset as usize)));
            bytes[checksum.offset as usize] = sum(&bytes[range]).wrapping_neg();
        }
        assert_eq!(&bytes, expected);
    }
}

#[test]
fn entries_say_what_lies_where() {
    let set = full_pc(&Processors::sequential(2).unwrap());
    let placed = set.at(Gpa::new(BASE)).unwrap();
    let names: Vec<_> = set.entries().iter().map(|entry| entry.signature.0).collect();
    assert_eq!(names, [*b"FACS", *b"DSDT", *b"FACP", *b"APIC", *b"XSDT"]);
    for entry in set.entries() {
        let table = &placed.tables[entry.offset as usize..][..entry.size_bytes as usize];
        assert_eq!(table[..4], entry.signature.0);
        assert_eq!(table.u32(4), entry.size_bytes);
    }
}

#[test]
fn the_same_description_gives_the_same_bytes() {
    let cpus = Processors::sequential(64).unwrap();
    assert_eq!(full_pc(&cpus), full_pc(&cpus));
}

#[test]
fn an_address_that_a_pointer_cannot_hold_is_refused() {
    let set = full_pc(&Processors::sequential(1).unwrap());
    assert_eq!(
        set.at(Gpa::new(BASE + 32)),
        Err(Error::Misaligned { gpa: Gpa::new(BASE + 32), alignment: 64 })
    );
    for (base, width_bytes) in [(0xFFFF_FFC0, 4), (1 << 32, 4), (u64::MAX - 63, 8)] {
        let gpa = Gpa::new(base);
        assert_eq!(set.at(gpa), Err(Error::Unreachable { gpa, width_bytes }));
    }
}

/// A set of a processor, an empty machine and the tables given.
fn set_with(tables: &[Sdt], ids: TableIds) -> Result<TableSet, Error> {
    let cpus = Processors::sequential(1)?;
    let dsdt = Dsdt::new(&cpus);
    let registers = FixedHardware::piix4(0x600);
    let fadt = Fadt::fixed_hardware(registers, dsdt.boot_arch());
    let mut builder = TableSet::builder(fadt, dsdt.build()?).ids(ids);
    for table in tables {
        builder = builder.table(table.clone());
    }
    builder.build()
}

#[test]
fn tables_of_the_users_own_are_listed_in_order_with_the_sets_ids() {
    let ids = TableIds {
        oem_id: *b"ACME  ",
        oem_table_id: *b"ROCKET 1",
        oem_revision: 7,
        creator_id: *b"WILE",
        creator_revision: 9,
    };
    let first = Sdt::new(Signature(*b"OEM1"), 3, vec![1, 2, 3]);
    let second = Sdt::new(Signature::SSDT, 2, vec![]);
    let set = set_with(&[first.clone(), second.clone(), first], ids).unwrap();
    let placed = set.at(Gpa::new(BASE)).unwrap();
    let found = walk(&placed.rsdp, &placed.tables, BASE);
    let names: Vec<_> = found.others.iter().map(|table| &table[..4]).collect();
    assert_eq!(names, [b"OEM1", b"SSDT", b"OEM1"]);
    let own = &found.others[0];
    assert_eq!(own.len(), 39);
    assert_eq!(own[8], 3);
    assert_eq!(&own[36..], [1, 2, 3]);
    for table in [own, &found.dsdt, &found.fadt, &found.xsdt] {
        assert_eq!(&table[10..24], b"ACME  ROCKET 1");
        assert_eq!(table.u32(24), 7);
        assert_eq!(&table[28..32], b"WILE");
        assert_eq!(table.u32(32), 9);
    }
    assert_eq!(&placed.rsdp[9..15], b"ACME  ");
}

#[test]
fn a_finished_table_comes_through_byte_for_byte() {
    let mut slic =
        [&b"SLIC\x2c\0\0\0\x01\0OEMABCOEMTABLE\x05\0\0\0MAKR\x06\0\0\0"[..], &[9; 8]].concat();
    slic[9] = sum(&slic).wrapping_neg();
    let table = Sdt::from_bytes(&slic).unwrap();
    assert_eq!(table.body(), [9; 8]);
    let set = set_with(&[table], TableIds::default()).unwrap();
    let placed = set.at(Gpa::new(BASE)).unwrap();
    assert_eq!(walk(&placed.rsdp, &placed.tables, BASE).others, [slic]);
}

#[test]
fn a_finished_table_that_lies_about_itself_is_refused() {
    let mut table = [&b"SLIC\x2c\0\0\0"[..], &[0; 36]].concat();
    table[9] = sum(&table).wrapping_neg();
    let signature = Signature(*b"SLIC");
    assert!(Sdt::from_bytes(&table).is_ok());
    assert_eq!(Sdt::from_bytes(&table[..35]), Err(Error::TableTruncated { length: 35 }));
    assert_eq!(
        Sdt::from_bytes(&table[..43]),
        Err(Error::TableLength { signature, declared: 44, length: 43 })
    );
    table[40] = 1;
    assert_eq!(Sdt::from_bytes(&table), Err(Error::TableChecksum { signature, sum: 1 }));
}

#[test]
fn tables_that_the_set_makes_itself_and_second_ones_are_refused() {
    let ids = TableIds::default();
    for name in [*b"FACP", *b"DSDT", *b"XSDT", *b"RSDT", *b"FACS"] {
        let signature = Signature(name);
        assert_eq!(
            set_with(&[Sdt::new(signature, 1, vec![])], ids).err(),
            Some(Error::OwnTable { signature })
        );
    }
    let madt = Sdt::new(Signature::APIC, 6, vec![0; 8]);
    assert_eq!(
        set_with(&[madt.clone(), madt.clone()], ids).err(),
        Some(Error::DuplicateTable { signature: Signature::APIC })
    );
    let cpus = Processors::sequential(1).unwrap();
    let registers = FixedHardware::piix4(0x600);
    let flags = Dsdt::new(&cpus).boot_arch();
    let fadt = Fadt::fixed_hardware(registers, flags);
    assert_eq!(
        TableSet::builder(fadt, madt).build().err(),
        Some(Error::NotDsdt { signature: Signature::APIC })
    );
}
