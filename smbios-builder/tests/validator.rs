//! Each rule of the validator, broken once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::everything;
use smbios_builder::*;

struct Bytes {
    entry_point: Vec<u8>,
    table: Vec<u8>,
}

impl Bytes {
    fn new(entry_points: EntryPoints) -> Self {
        let placed = everything(Version::NEWEST, entry_points).tables.at(0xF_0000.into()).unwrap();
        let entry_point = placed.entry_point_32.or(placed.entry_point_64).unwrap();
        Self { entry_point, table: placed.table }
    }

    /// Where the first structure of a type starts.
    fn find(&self, kind: StructureType) -> usize {
        let mut structures = structures_in(&self.table).flatten();
        structures.find(|structure| structure.kind() == kind).unwrap().offset()
    }

    fn rules(&self) -> Vec<Rule> {
        validate(&self.entry_point, &self.table).iter().map(|finding| finding.rule).collect()
    }

    /// Sets a byte of a structure and returns the only rule that is broken then.
    fn broken(mut self, kind: StructureType, offset: usize, byte: u8) -> Rule {
        let at = self.find(kind) + offset;
        self.table[at] = byte;
        let rules = self.rules();
        assert_eq!(rules.len(), 1, "{rules:?}");
        rules[0]
    }
}

fn bytes() -> Bytes {
    Bytes::new(EntryPoints::Bits32)
}

#[test]
fn what_is_built_breaks_no_rule() {
    for entry_points in [EntryPoints::Bits32, EntryPoints::Bits64] {
        assert_eq!(Bytes::new(entry_points).rules(), []);
    }
    let platform = Platform::new(6)
        .topology(3, 2)
        .memory(common::range(0, 3 << 30))
        .memory(common::range(4 << 30, 40 << 30));
    for minor in 3..=8 {
        let platform = platform.clone().version(Version::new(2, minor));
        assert_eq!(validate_table(platform.build().unwrap().table()), [], "2.{minor}");
    }
    assert_eq!(validate_table(platform.build().unwrap().table()), []);
}

#[test]
fn entry_points_are_checked() {
    let mut sum = bytes();
    sum.entry_point[4] ^= 1;
    assert!(matches!(
        sum.rules()[..],
        [Rule::EntryPoint(Error::EntryPointChecksum { anchor: "_SM_", .. })]
    ));
    let mut sum = Bytes::new(EntryPoints::Bits64);
    sum.entry_point[16] ^= 1;
    assert!(matches!(
        sum.rules()[..],
        [Rule::EntryPoint(Error::EntryPointChecksum { anchor: "_SM3_", .. })]
    ));
    // The sum of the whole stays right, that of the second half doesn't.
    let mut odd = bytes();
    odd.entry_point[0x18] = odd.entry_point[0x18].wrapping_add(1);
    odd.entry_point[4] = odd.entry_point[4].wrapping_sub(1);
    assert!(matches!(
        odd.rules()[..],
        [Rule::EntryPoint(Error::EntryPointChecksum { anchor: "_DMI_", .. })]
    ));
    let mut short = bytes();
    short.entry_point.truncate(30);
    assert_eq!(short.rules(), [Rule::EntryPoint(Error::EntryPoint { length: 30 })]);
}

/// Changes a word of the entry point, both sums put right.
fn with_word(offset: usize, change: u8) -> Vec<Rule> {
    let mut bytes = bytes();
    let entry = &mut bytes.entry_point;
    entry[offset] = entry[offset].wrapping_add(change);
    if offset >= 0x10 {
        // The second sum's own byte takes the change back, for both.
        entry[0x15] = entry[0x15].wrapping_sub(change);
    } else {
        entry[4] = entry[4].wrapping_sub(change);
    }
    bytes.rules()
}

#[test]
fn what_the_entry_point_says_is_compared() {
    assert!(matches!(with_word(0x16, 1)[..], [Rule::TableLength { .. }]));
    assert!(matches!(with_word(0x1C, 1)[..], [Rule::StructureCount { declared: 26, found: 25 }]));
    assert!(matches!(with_word(0x08, 1)[..], [Rule::LargestStructure { .. }]));
}

#[test]
fn references_are_checked() {
    let dangling = bytes().broken(StructureType::MEMORY_DEVICE, 5, 0x77);
    assert_eq!(dangling, Rule::DanglingHandle { field: "Array Handle", handle: Handle(0x770B) });
    let wrong = bytes().broken(StructureType::DEVICE_MAPPING, 0x0E, 0x01);
    let (expected, found) = (StructureType::ARRAY_MAPPING, StructureType::SYSTEM);
    let (field, handle) = ("Memory Array Mapped Address Handle", Handle(1));
    assert_eq!(wrong, Rule::WrongReference { field, handle, expected, found });
}

#[test]
fn handles_are_checked() {
    let duplicate = bytes().broken(StructureType::BATTERY, 2, 0x10);
    assert_eq!(duplicate, Rule::DuplicateHandle { handle: Handle(0x10) });
    let reserved = bytes().broken(StructureType::BATTERY, 3, 0xFF);
    assert_eq!(reserved, Rule::ReservedHandle { handle: Handle(0xFF0F) });
}

#[test]
fn fields_are_checked() {
    let string = bytes().broken(StructureType::SYSTEM, 4, 9);
    assert_eq!(string, Rule::StringNumber { field: "Manufacturer", number: 9, count: 6 });
    let zero = bytes().broken(StructureType::CHASSIS, 9, 0);
    assert_eq!(zero, Rule::Zero { field: "Boot-up State" });
    // From 1 GiB to 64 MiB.
    let mapping = bytes().broken(StructureType::DEVICE_MAPPING, 0x0A, 0);
    assert_eq!(mapping, Rule::EmptyMapping);
}

#[test]
fn structures_are_checked() {
    let mut truncated = bytes();
    truncated.table.pop();
    let rules = truncated.rules();
    assert!(
        rules.iter().any(|rule| matches!(rule, Rule::Structure(Error::StructureTruncated { .. }))),
        "{rules:?}"
    );
    assert!(rules.contains(&Rule::NoEnd));
    let mut short = bytes();
    let at = short.find(StructureType::TPM);
    short.table[at + 1] = 3;
    let rule = Rule::Structure(Error::StructureLength { offset: at, length: 3 });
    assert!(short.rules().contains(&rule));
    let mut table = RawStructure::from_bytes(&[1, 4, 0, 0, 0, 0]).unwrap();
    table.handle = None;
    let mut builder = TableBuilder::new(Version::NEWEST).unwrap();
    builder.add_raw(&table).unwrap();
    builder.add(&System::default()).unwrap();
    let tables = builder.finish(EntryPoints::Bits64).unwrap();
    let rules: Vec<_> = validate_table(tables.table()).iter().map(|found| found.rule).collect();
    let kind = StructureType::SYSTEM;
    assert!(rules.contains(&Rule::TooShort { kind, length: 4, min: 8 }), "{rules:?}");
    assert!(rules.contains(&Rule::Repeated { kind }), "{rules:?}");
    assert!(rules.contains(&Rule::Missing { kind: StructureType::CHASSIS }), "{rules:?}");
}
