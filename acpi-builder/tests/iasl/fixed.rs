//! The FADT in all its layouts, the root tables, and the MADT's rarer entries.

use acpi_builder::{
    BootArch, Dsdt, Fadt, FadtRevision, FixedHardware, IntiFlags, LocalInput, Madt, NmiSource,
    Processor, ProcessorNmi, Processors, ReducedHardware, Register, ResetRegister, RootTables,
    SmiCommand, Table, TableSet,
};
use guest_state::Gpa;

use crate::tool::{disassembled, files, recompiled, says};

/// The disassembly of the FADT.
fn fadt(test: &str, fadt: Fadt) -> String {
    let cpus = Processors::sequential(1).unwrap();
    let set = TableSet::builder(fadt, Dsdt::new(&cpus).build().unwrap()).build().unwrap();
    let files = files(&set);
    let (name, table) = files.iter().find(|(name, _)| name == "facp").unwrap();
    recompiled(test, name, table)
}

#[test]
fn each_revision_of_the_fadt_is_read_as_described() {
    for (revision, length, number) in [
        (FadtRevision::V1, "00000074", "01"),
        (FadtRevision::V3, "000000F4", "03"),
        (FadtRevision::V4, "000000F4", "04"),
        (FadtRevision::V5_0, "0000010C", "05"),
        (FadtRevision::V5_1, "0000010C", "05"),
        (FadtRevision::V6_0, "00000114", "06"),
        (FadtRevision::V6_3, "00000114", "06"),
        (FadtRevision::V6_4, "00000114", "06"),
        (FadtRevision::V6_5, "00000114", "06"),
    ] {
        let mut registers = FixedHardware::ich9(0x600);
        registers.smi = Some(SmiCommand::APM);
        let mut description = Fadt::fixed_hardware(registers, BootArch::all());
        description.revision = revision;
        if revision == FadtRevision::V1 {
            description.reset = None;
        }
        let text = fadt(&format!("v{number}-{length}"), description);
        says(
            &text,
            &[
                ("Table Length", length),
                ("Revision", number),
                ("SMI Command Port", "000000B2"),
                ("ACPI Enable Value", "02"),
                ("ACPI Disable Value", "03"),
                ("PM1A Event Block Address", "00000600"),
                ("PM1A Control Block Address", "00000604"),
                ("PM Timer Block Address", "00000608"),
                ("GPE0 Block Address", "00000620"),
                ("GPE0 Block Length", "10"),
                ("RTC Century Index", "00"),
            ],
        );
        if revision >= FadtRevision::V3 {
            says(
                &text,
                &[
                    ("Reset Register", ""),
                    ("Address", "0000000000000CF9"),
                    ("Value to cause reset", "06"),
                    ("GPE0 Block", ""),
                    ("Bit Width", "80"),
                    ("Address", "0000000000000620"),
                ],
            );
        }
    }
}

#[test]
fn a_hardware_reduced_machine_is_read_as_described() {
    let registers = ReducedHardware {
        sleep_control: Register::Memory(Gpa::new(0xFEB0_0000)),
        sleep_status: Register::Port(0x601),
    };
    let register = Register::Memory(Gpa::new(0xFEB0_0002));
    let reset = Some(ResetRegister { register, value: 0x42 });
    let text = fadt("reduced", Fadt::hardware_reduced(registers, reset, BootArch::empty()));
    says(
        &text,
        &[
            ("FACS Address", "00000000"),
            ("PM1A Event Block Address", "00000000"),
            ("PM1 Event Block Length", "00"),
            ("Control Method Power Button (V1)", "1"),
            ("Control Method Sleep Button (V1)", "1"),
            ("Hardware Reduced (V5)", "1"),
            ("Space ID", "00"),
            ("Address", "00000000FEB00002"),
            ("Value to cause reset", "42"),
            ("Sleep Control Register", ""),
            ("Space ID", "00"),
            ("Address", "00000000FEB00000"),
            ("Sleep Status Register", ""),
            ("Space ID", "01"),
            ("Address", "0000000000000601"),
        ],
    );
}

#[test]
fn the_rarer_entries_of_the_madt_are_read_as_described() {
    let cpus = Processors::new([Processor::new(0, 0), Processor::new(600, 300)]).unwrap();
    let mut madt = Madt::pc(&cpus);
    madt.local_apic_address_override = Some(Gpa::new(0x12_FEE0_0000));
    madt.nmi_sources = vec![NmiSource { gsi: 21, flags: IntiFlags::EDGE_LOW }];
    madt.nmi = None;
    let (input, flags) = (LocalInput::Lint0, IntiFlags::LEVEL_HIGH);
    madt.processor_nmis = vec![
        ProcessorNmi { uid: 600, input, flags },
        ProcessorNmi { uid: 0, input: LocalInput::Lint1, flags },
    ];
    madt.wakeup_mailbox = Some(Gpa::new(0x7FF0_1000));
    let text = disassembled("madt", &Table::build(&madt).unwrap());
    says(
        &text,
        &[
            ("Subtable Type", "03"),
            ("Polarity", "3"),
            ("Trigger Mode", "1"),
            ("Interrupt", "00000015"),
            ("Subtable Type", "0A"),
            ("Polarity", "1"),
            ("Trigger Mode", "3"),
            ("Processor UID", "00000258"),
            ("Interrupt Input LINT", "00"),
            ("Subtable Type", "04"),
            ("Processor ID", "00"),
            ("Interrupt Input LINT", "01"),
            ("Subtable Type", "05"),
            ("APIC Address", "00000012FEE00000"),
            ("Subtable Type", "10"),
            ("Mailbox Version", "0000"),
            ("Mailbox Address", "000000007FF01000"),
        ],
    );
}

#[test]
fn an_rsdt_is_read_as_described() {
    let cpus = Processors::sequential(1).unwrap();
    let mut fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), BootArch::empty());
    fadt.revision = FadtRevision::V1;
    fadt.reset = None;
    let set = TableSet::builder(fadt, Dsdt::new(&cpus).build().unwrap())
        .with(&Madt::pc(&cpus))
        .roots(RootTables::Rsdt)
        .build()
        .unwrap();
    let (name, table) = files(&set).pop().unwrap();
    assert_eq!(name, "rsdt");
    let address = |index: usize| format!("{:08X}", 0xE_1000 + set.entries()[index].offset);
    let text = recompiled("rsdt", &name, &table);
    says(&text, &[("Address   0", &address(2)), ("Address   1", &address(3))]);
}
