//! Older layouts, and machines without fixed hardware: by offsets from the specification.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use acpi_builder::{
    BootArch, Dsdt, Error, Fadt, FadtRevision, FixedHardware, GpeBlock, IntiFlags, LocalInput,
    Madt, ProcessorNmi, Processors, ReducedHardware, Register, RootTables, TableSet,
};
use common::{Fields, sum};
use guest_state::Gpa;

const BASE: u64 = 0xE_1000;

fn set(fadt: Fadt, roots: RootTables) -> Result<TableSet, Error> {
    let cpus = Processors::sequential(2)?;
    let dsdt = Dsdt::new(&cpus).build()?;
    TableSet::builder(fadt, dsdt).with(&Madt::pc(&cpus)).roots(roots).build()
}

fn pc(revision: FadtRevision) -> Fadt {
    let mut fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), BootArch::all());
    fadt.revision = revision;
    fadt
}

/// The table at an address, after a look at its checksum.
fn at(tables: &[u8], address: u64) -> &[u8] {
    let table = &tables[usize::try_from(address - BASE).unwrap()..];
    let table = &table[..table.u32(4) as usize];
    assert_eq!(sum(table), 0);
    table
}

#[test]
fn root_tables_list_the_same_tables_with_pointers_of_their_own_width() {
    let placed = set(pc(FadtRevision::V6_5), RootTables::Both).unwrap().at(Gpa::new(BASE)).unwrap();
    let (rsdp, tables) = (&placed.rsdp, &placed.tables);
    assert_eq!((rsdp.len(), rsdp.u8(15), sum(&rsdp[..20]), sum(rsdp)), (36, 2, 0, 0));
    let (rsdt, xsdt) = (at(tables, rsdp.u32(16).into()), at(tables, rsdp.u64(24)));
    assert_eq!((&rsdt[..4], &xsdt[..4]), (&b"RSDT"[..], &b"XSDT"[..]));
    assert_eq!((rsdt.len(), xsdt.len()), (36 + 2 * 4, 36 + 2 * 8));
    for (index, name) in [b"FACP", b"APIC"].into_iter().enumerate() {
        let address = xsdt.u64(36 + index * 8);
        assert_eq!(u64::from(rsdt.u32(36 + index * 4)), address);
        assert_eq!(&at(tables, address)[..4], name);
    }
}

#[test]
fn a_machine_of_acpi_1_has_a_short_rsdp_and_an_rsdt_alone() {
    let mut fadt = pc(FadtRevision::V1);
    fadt.reset = None;
    let placed = set(fadt, RootTables::Rsdt).unwrap().at(Gpa::new(BASE)).unwrap();
    let (rsdp, tables) = (&placed.rsdp, &placed.tables);
    assert_eq!((rsdp.len(), rsdp.u8(15), sum(rsdp)), (20, 0, 0));
    let rsdt = at(tables, rsdp.u32(16).into());
    let fadt = at(tables, rsdt.u32(36).into());
    assert_eq!((fadt.len(), fadt.u8(8)), (116, 1));
    assert_eq!(&at(tables, fadt.u32(40).into())[..4], b"DSDT");
    assert_eq!(tables[usize::try_from(u64::from(fadt.u32(36)) - BASE).unwrap()..][..4], *b"FACS");
    // Nothing that came later: boot architecture flags, the reset register.
    assert_eq!((fadt.u16(109), fadt.u32(112) & 1 << 10), (0, 0));
    assert!(tables.windows(4).all(|bytes| bytes != b"XSDT"));
}

#[test]
fn boot_architecture_flags_are_those_of_the_revision() {
    for (revision, flags, length) in [
        (FadtRevision::V3, 0b00_0011, 244),
        (FadtRevision::V4, 0b01_1111, 244),
        (FadtRevision::V5_0, 0b11_1111, 268),
        (FadtRevision::V6_0, 0b11_1111, 276),
    ] {
        let placed = set(pc(revision), RootTables::Xsdt).unwrap().at(Gpa::new(BASE)).unwrap();
        let fadt = at(&placed.tables, at(&placed.tables, placed.rsdp.u64(24)).u64(36));
        assert_eq!((fadt.u16(109), fadt.len()), (flags, length), "{revision:?}");
    }
}

#[test]
fn what_a_revision_cannot_say_is_refused() {
    let error = |fadt| set(fadt, RootTables::Xsdt).err();
    let what = "how to reset the machine";
    let refused = Some(Error::FadtRevision { revision: 1, what });
    assert_eq!(error(pc(FadtRevision::V1)), refused);
    let port = Register::Port(0x600);
    let registers = ReducedHardware { sleep_control: port, sleep_status: port };
    let mut fadt = Fadt::hardware_reduced(registers, None, BootArch::empty());
    assert_eq!(error(fadt.clone()), None);
    fadt.revision = FadtRevision::V4;
    let what = "that hardware is reduced";
    assert_eq!(error(fadt), Some(Error::FadtRevision { revision: 4, what }));
}

#[test]
fn registers_that_do_not_fit_are_refused() {
    let error = |fadt| set(fadt, RootTables::Xsdt).err();
    let mut registers = FixedHardware::piix4(0x600);
    for size_bytes in [0, 1, 15, 32, 254] {
        registers.gpe0 = Some(GpeBlock { port: 0x620, size_bytes });
        let fadt = Fadt::fixed_hardware(registers.clone(), BootArch::empty());
        let field = "length of the GPE block";
        assert_eq!(error(fadt), Some(Error::Invalid { field, value: size_bytes.into() }));
    }
    for gpa in [0, u64::MAX] {
        let sleep_control = Register::Memory(Gpa::new(gpa));
        let registers = ReducedHardware { sleep_control, sleep_status: Register::Port(0x600) };
        let fadt = Fadt::hardware_reduced(registers, None, BootArch::empty());
        let field = "register address";
        let expected = (gpa == 0).then_some(Error::Invalid { field, value: gpa });
        assert_eq!(error(fadt), expected);
    }
}

#[test]
fn a_hardware_reduced_machine_has_no_facs_and_no_fixed_registers() {
    let registers = ReducedHardware {
        sleep_control: Register::Port(0x600),
        sleep_status: Register::Memory(Gpa::new(0xFEB0_0000)),
    };
    let fadt = Fadt::hardware_reduced(registers, None, BootArch::empty());
    let set = set(fadt, RootTables::Xsdt).unwrap();
    let names: Vec<_> = set.entries().iter().map(|entry| entry.signature.0).collect();
    assert_eq!(names, [*b"DSDT", *b"FACP", *b"APIC", *b"XSDT"]);
    let placed = set.at(Gpa::new(BASE)).unwrap();
    let fadt = at(&placed.tables, at(&placed.tables, placed.rsdp.u64(24)).u64(36));
    assert_eq!((fadt.u32(36), fadt.u64(132)), (0, 0));
    assert_ne!(fadt.u32(112) & 1 << 20, 0);
    assert_eq!((&fadt[46..96], &fadt[148..244]), (&[0; 50][..], &[0; 96][..]));
    // Address space, width, offset, access size, address.
    assert_eq!(fadt[244..256], [1, 8, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fadt[256..268], [0, 8, 0, 1, 0, 0, 0xB0, 0xFE, 0, 0, 0, 0]);
}

#[test]
fn entries_of_the_madt_that_lead_nowhere_are_refused() {
    let cpus = Processors::sequential(2).unwrap();
    let mut madt = Madt::pc(&cpus);
    madt.wakeup_mailbox = Some(Gpa::new(0x1800));
    let field = "address of the wakeup mailbox";
    assert_eq!(madt.build(), Err(Error::Invalid { field, value: 0x1800 }));
    let mut madt = Madt::pc(&cpus);
    let (input, flags) = (LocalInput::Lint1, IntiFlags::CONFORMING);
    madt.processor_nmis = vec![ProcessorNmi { uid: 2, input, flags }];
    assert_eq!(madt.build(), Err(Error::Invalid { field: "UID of an NMI", value: 2 }));
}
