//! Scripts: their bytes, and what firmware makes of them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use acpi_builder::{Blob, Dsdt, Fadt, FixedHardware, Madt, Processors, TableSet};
use fw_cfg::{
    Allocation, ChecksumField, Command, Error, FileName, FwCfg, LoaderFile, PointerField,
    PointerWidth, Script, Zone,
};
use guest_state::Gpa;
use proptest::prelude::*;

fn name(name: &str) -> FileName {
    FileName::new(name).unwrap()
}

/// What the script has to know of a blob.
fn loader_file(file: FileName, zone: Zone, alignment: u64, blob: &Blob) -> LoaderFile {
    let alignment = alignment.try_into().unwrap();
    let pointers = blob.pointers().iter().map(|pointer| PointerField {
        offset: pointer.offset,
        width: pointer.width.bytes().try_into().unwrap(),
        target: FileName::ACPI_TABLES,
    });
    let checksums = blob.checksums().iter().map(|checksum| ChecksumField {
        offset: checksum.offset,
        start: checksum.start,
        size_bytes: checksum.size_bytes,
    });
    LoaderFile {
        allocation: Allocation { file, alignment, zone },
        pointers: pointers.collect(),
        checksums: checksums.collect(),
    }
}

#[test]
fn acpi_tables_come_out_as_if_placed_directly() {
    let cpus = Processors::sequential(3).unwrap();
    let dsdt = Dsdt::new(&cpus);
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), dsdt.boot_arch());
    let set = TableSet::builder(fadt, dsdt.build().unwrap())
        .table(Madt::pc(&cpus).build().unwrap())
        .build()
        .unwrap();
    let script = Script::placing(&[
        loader_file(FileName::ACPI_TABLES, Zone::HIGH, TableSet::ALIGNMENT, set.tables()),
        loader_file(FileName::ACPI_RSDP, Zone::F_SEGMENT, TableSet::RSDP_ALIGNMENT, set.rsdp()),
    ]);
    let device = FwCfg::builder()
        .file("etc/acpi/tables", set.tables().bytes())
        .unwrap()
        .file("etc/acpi/rsdp", set.rsdp().bytes())
        .unwrap()
        .file("etc/table-loader", script.encode())
        .unwrap()
        .build();

    let script = Script::decode(device.file("etc/table-loader").unwrap()).unwrap();
    let loaded = script
        .run(&device, |allocation, size| {
            assert!(size > 0);
            Some(Gpa::new(match allocation.zone {
                Zone::F_SEGMENT => 0xF_5000,
                _ => 0x7FE_1000,
            }))
        })
        .unwrap();
    let placed = set.at(Gpa::new(0x7FE_1000)).unwrap();
    assert_eq!(loaded.files[0].name, FileName::ACPI_RSDP);
    assert_eq!(loaded.files[0].bytes, placed.rsdp);
    assert_eq!(loaded.files[1].name, FileName::ACPI_TABLES);
    assert_eq!(loaded.files[1].bytes, placed.tables);
    assert_eq!(loaded.writes, []);
}

const A: &str = "a";
const B: &str = "b";

fn allocate(file: &str) -> Command {
    Command::Allocate(Allocation { file: name(file), alignment: 16, zone: Zone::HIGH })
}

fn field(offset: u32, width: PointerWidth, target: &str) -> PointerField {
    let target = name(target);
    PointerField { offset, width, target }
}

#[test]
fn commands_are_encoded_as_firmware_reads_them() {
    let width = PointerWidth::Bytes4;
    let script = Script::new(vec![
        Command::Allocate(Allocation { file: name(A), alignment: 0x40, zone: Zone::F_SEGMENT }),
        Command::AddPointer { file: name(A), field: field(0x0102, width, B) },
        Command::AddChecksum {
            file: name(B),
            field: ChecksumField { offset: 9, start: 0x10, size_bytes: 0x203 },
        },
        Command::WritePointer {
            file: name(A),
            field: field(7, PointerWidth::Bytes8, B),
            target_offset: 0x28,
        },
    ]);
    let bytes = script.encode();
    assert_eq!(bytes.len(), 4 * 128);
    let (a, b) = ([b"a", &[0; 55][..]].concat(), [b"b", &[0; 55][..]].concat());
    let expected: [Vec<u8>; 4] = [
        [&[1, 0, 0, 0], &a[..], &[0x40, 0, 0, 0, 2]].concat(),
        [&[2, 0, 0, 0], &a[..], &b, &[2, 1, 0, 0, 4]].concat(),
        [&[3, 0, 0, 0], &b[..], &[9, 0, 0, 0, 0x10, 0, 0, 0, 3, 2, 0, 0]].concat(),
        [&[4, 0, 0, 0], &a[..], &b, &[7, 0, 0, 0, 0x28, 0, 0, 0, 8]].concat(),
    ];
    for (step, expected) in bytes.chunks(128).zip(expected) {
        assert_eq!(step[..expected.len()], expected);
        assert!(step[expected.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn bytes_that_are_no_script_are_refused() {
    let good = Script::new(vec![allocate(A)]).encode();
    let length = 127;
    assert_eq!(Script::decode(&good[..127]), Err(Error::ScriptLength { length }));
    let mut endless = good.clone();
    endless[4..60].fill(b'n');
    assert_eq!(Script::decode(&endless), Err(Error::FileNameLength { length: 56 }));
    let mut nameless = good;
    nameless[4] = 0;
    assert_eq!(Script::decode(&nameless), Err(Error::FileNameLength { length: 0 }));
    let pointer = Command::AddPointer { file: name(A), field: field(0, PointerWidth::Bytes1, A) };
    let mut wide = Script::new(vec![pointer]).encode();
    wide[120] = 3;
    assert_eq!(Script::decode(&wide), Err(Error::PointerWidth { width_bytes: 3 }));
}

/// Runs commands on files "a", 16 bytes counting up from 8, and "b", 4 zero bytes.
fn run(commands: Vec<Command>) -> Result<fw_cfg::LoadedFiles, Error> {
    let device = FwCfg::builder()
        .file(A, (8..24).collect::<Vec<u8>>())
        .unwrap()
        .writable_file(B, vec![0; 4])
        .unwrap()
        .build();
    let mut next = 0xFFF0;
    Script::new(commands).run(&device, |_, _| {
        next += 0x10;
        Some(Gpa::new(next - 0x10))
    })
}

#[test]
fn pointers_are_offsets_plus_the_address_and_checksums_end_in_zero() {
    let loaded = run(vec![
        Command::Unknown(0),
        allocate(A),
        allocate(B),
        Command::AddPointer { file: name(B), field: field(0, PointerWidth::Bytes4, A) },
        Command::AddChecksum {
            file: name(B),
            field: ChecksumField { offset: 3, start: 0, size_bytes: 4 },
        },
        Command::WritePointer {
            file: name(B),
            field: field(0, PointerWidth::Bytes4, A),
            target_offset: 15,
        },
    ])
    .unwrap();
    assert_eq!(loaded.files[0].gpa, Gpa::new(0xFFF0));
    assert_eq!(loaded.files[1].bytes, [0xF0, 0xFF, 0, 0x11]);
    assert_eq!(loaded.writes[0].gpa, Gpa::new(0xFFFF));
}

#[test]
fn scripts_that_cannot_be_right_are_refused() {
    let (a, b) = (name(A), name(B));
    let after_both = |command| run(vec![allocate(A), allocate(B), command]).err();
    let pointer = |offset, width, target: &str| {
        after_both(Command::AddPointer { file: b, field: field(offset, width, target) })
    };
    let checksum = |offset, start, size_bytes| {
        let field = ChecksumField { offset, start, size_bytes };
        after_both(Command::AddChecksum { file: a, field })
    };
    let with = |alignment, zone| {
        run(vec![Command::Allocate(Allocation { file: a, alignment, zone })]).err()
    };
    assert_eq!(after_both(allocate(A)), Some(Error::LoadedTwice { file: a }));
    let file = name("c");
    assert_eq!(run(vec![allocate("c")]).err(), Some(Error::NoSuchFile { file }));
    assert_eq!(pointer(0, PointerWidth::Bytes4, "c"), Some(Error::NotLoaded { file }));
    let alignment = 24;
    assert_eq!(with(24, Zone::HIGH), Some(Error::Alignment { file: a, alignment }));
    assert_eq!(with(0, Zone::HIGH), Some(Error::Alignment { file: a, alignment: 0 }));
    let zone = Zone(3);
    assert_eq!(with(16, zone), Some(Error::UnknownZone { file: a, zone }));
    // The address is a multiple of 16, not of 32.
    assert_eq!(with(32, Zone::HIGH), Some(Error::NoPlace { file: a }));
    for (offset, width, size_bytes) in [
        (1, PointerWidth::Bytes4, 4),
        (0, PointerWidth::Bytes8, 8),
        (u32::MAX, PointerWidth::Bytes1, 1),
    ] {
        assert_eq!(
            pointer(offset, width, A),
            Some(Error::OutsideFile { file: b, offset, size_bytes })
        );
    }
    let (gpa, width_bytes) = (Gpa::new(0x1_0000), 2);
    assert_eq!(
        pointer(0, PointerWidth::Bytes2, B),
        Some(Error::PointerOverflow { gpa, width_bytes })
    );
    assert_eq!(pointer(0, PointerWidth::Bytes2, A), None);
    assert_eq!(
        checksum(16, 0, 16),
        Some(Error::OutsideFile { file: a, offset: 16, size_bytes: 1 })
    );
    for (offset, size_bytes) in [(0, 17), (16, 1), (u32::MAX, u32::MAX)] {
        assert_eq!(
            checksum(0, offset, size_bytes),
            Some(Error::OutsideFile { file: a, offset, size_bytes })
        );
    }
    let write = |target_offset| {
        after_both(Command::WritePointer {
            file: b,
            field: field(0, PointerWidth::Bytes4, A),
            target_offset,
        })
    };
    assert_eq!(write(16), Some(Error::OutsideTarget { target: a, offset: 16 }));
    assert_eq!(write(15), None);
}

fn any_name() -> impl Strategy<Value = FileName> {
    prop_oneof![
        3 => Just(name(A)),
        3 => Just(name(B)),
        1 => "[ -~]{1,55}".prop_map(|text| name(&text)),
    ]
}

fn any_number() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0_u32..20, 1 => any::<u32>()]
}

fn any_field() -> impl Strategy<Value = PointerField> {
    let width = prop::sample::select(vec![1_u8, 2, 4, 8]);
    (any_number(), width, any_name()).prop_map(|(offset, width, target)| PointerField {
        offset,
        width: width.try_into().unwrap(),
        target,
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    let checksum = (any_number(), any_number(), any_number());
    prop_oneof![
        2 => any_name().prop_map(|file| allocate(file.as_str())),
        1 => (any_name(), any::<u32>(), any::<u8>()).prop_map(|(file, alignment, zone)| {
            let zone = Zone(zone);
            Command::Allocate(Allocation { file, alignment, zone })
        }),
        2 => (any_name(), any_field())
            .prop_map(|(file, field)| Command::AddPointer { file, field }),
        2 => (any_name(), checksum).prop_map(|(file, (offset, start, size_bytes))| {
            let field = ChecksumField { offset, start, size_bytes };
            Command::AddChecksum { file, field }
        }),
        1 => (any_name(), any_field(), any_number()).prop_map(|(file, field, target_offset)| {
            Command::WritePointer { file, field, target_offset }
        }),
        1 => (5_u32..).prop_map(Command::Unknown),
    ]
}

proptest! {
    #[test]
    fn scripts_are_decoded_as_they_were_encoded(
        commands in prop::collection::vec(any_command(), 0..12),
    ) {
        let script = Script::new(commands);
        prop_assert_eq!(Script::decode(&script.encode()), Ok(script));
    }

    #[test]
    fn no_script_panics(commands in prop::collection::vec(any_command(), 0..12)) {
        let all = [vec![allocate(A), allocate(B)], commands.clone()].concat();
        let _ = (run(commands), run(all));
    }

    #[test]
    fn no_bytes_panic_as_a_script(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Script::decode(&bytes);
    }

    #[test]
    fn no_damaged_script_panics(
        commands in prop::collection::vec(any_command(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Script::new(commands).encode();
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(script) = Script::decode(&bytes) {
            let _ = run(script.commands().to_vec());
        }
    }
}
