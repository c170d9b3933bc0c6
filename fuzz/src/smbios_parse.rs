//! The parser, validator and printer of SMBIOS over any bytes, against a small reader of its own.

use std::sync::LazyLock;

use guest_state::{Gpa, GpaRange};
use smbios_builder::{
    ArrayMapping, Baseboard, Cache, Chassis, Describe, DeviceMapping, EntryPoint, EntryPoints,
    Error, Firmware, FirmwareInventory, Language, MemoryArray, MemoryDevice, OemStrings,
    OnBoardDevices, Platform, Processor, RawStructure, Structure, System, SystemSlot, TableBuilder,
    Version, print, structures_in, validate, validate_table,
};

/// Entry point, and table.
static SOUND: LazyLock<(Vec<u8>, Vec<u8>)> =
    LazyLock::new(|| sound().expect("the machine can be described"));

fn sound() -> Result<(Vec<u8>, Vec<u8>), Error> {
    let memory = GpaRange::new(Gpa::ZERO, 1 << 30).unwrap_or_default();
    let platform = Platform::new(3).memory(memory).serial("1").credential("a", "b");
    let placed = platform.build()?.at(Gpa::new(0xF_1000))?;
    Ok((placed.entry_point_64.unwrap_or_default(), placed.table))
}

/// What the small reader finds of a structure.
#[derive(Debug, PartialEq, Eq)]
struct Found<'a> {
    offset: usize,
    kind: u8,
    handle: u16,
    formatted: &'a [u8],
    strings: Vec<&'a [u8]>,
}

/// Reads structures byte by byte, as DSP0134 says, "Structure header format" and "Text strings".
/// Returns those that are whole, and whether that is all.
fn read(table: &[u8]) -> (Vec<Found<'_>>, bool) {
    let mut found = Vec::new();
    let mut at = 0;
    while at < table.len() {
        let offset = at;
        if table.len() - at < 4 || table[at + 1] < 4 || table.len() - at < table[at + 1].into() {
            return (found, false);
        }
        at += usize::from(table[offset + 1]);
        let formatted = &table[offset..at];
        let mut strings = Vec::new();
        let mut start = at;
        loop {
            match (table.get(at), table.get(at + 1)) {
                (Some(_), None) | (None, _) => return (found, false),
                (Some(0), Some(0)) => break,
                (Some(0), Some(_)) => {
                    strings.push(&table[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        if start < at {
            strings.push(&table[start..at]);
        }
        at += 2;
        let handle = u16::from(table[offset + 3]) << 8 | u16::from(table[offset + 2]);
        found.push(Found { offset, kind: table[offset], handle, formatted, strings });
        if table[offset] == 127 {
            break;
        }
    }
    (found, true)
}

/// Reads what `data` describes.
///
/// The first byte says how: the rest is a table; a table behind an entry point of 32 bytes; or
/// changes of three bytes each to sound ones.
pub fn smbios_parse(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 3 {
        0 => _ = check(&SOUND.0, rest),
        1 => {
            let (entry_point, table) = rest.split_at(rest.len().min(32));
            _ = check(entry_point, table);
        }
        _ => {
            let (mut entry_point, mut table) = SOUND.clone();
            for edit in rest.chunks_exact(3) {
                let offset = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
                match offset.checked_sub(table.len()) {
                    None => table[offset] = edit[2],
                    Some(offset) => {
                        let length = entry_point.len();
                        entry_point[offset % length] = edit[2];
                    }
                }
            }
            let findings = check(&entry_point, &table);
            if (&entry_point, &table) == (&SOUND.0, &SOUND.1) {
                assert_eq!(findings, 0, "sound tables have findings");
            }
        }
    }
}

/// Reads an entry point and a table in every way there is. Returns how many findings there are.
fn check(entry_point: &[u8], table: &[u8]) -> usize {
    check_entry_point(entry_point);
    let (expected, is_whole) = read(table);
    let structures: Vec<Structure<'_>> = structures_in(table).flatten().collect();
    let found = structures.iter().map(|structure| Found {
        offset: structure.offset(),
        kind: structure.kind().0,
        handle: structure.handle().0,
        formatted: structure.formatted(),
        strings: structure.strings().collect(),
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(structures_in(table).all(|structure| structure.is_ok()), is_whole);
    for (structure, expected) in structures.iter().zip(&expected) {
        check_structure(structure, expected, table);
    }
    let text = print(table).to_string();
    assert_eq!(text.lines().filter(|line| line.starts_with("Handle ")).count(), expected.len());

    let alone = validate_table(table);
    assert!(is_whole || !alone.is_empty(), "a table that ends early is sound");
    let findings = validate(entry_point, table);
    assert!(findings.starts_with(&alone));
    assert!(findings.len() <= table.len() + 12, "{} findings", findings.len());
    for finding in &findings {
        assert!(finding.offset <= table.len() && !finding.rule.to_string().is_empty());
    }
    findings.len()
}

/// The 64-bit entry point has one checksum.
fn check_entry_point(bytes: &[u8]) {
    let decoded = EntryPoint::decode(bytes);
    if bytes.len() >= 24 && bytes.starts_with(b"_SM3_") {
        let whole = bytes.get(..bytes[6].into()).filter(|whole| whole.len() >= 24);
        let sum = whole.map(|whole| whole.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
        assert_eq!(decoded.is_ok(), sum == Some(0), "{decoded:?}");
    } else if !bytes.starts_with(b"_SM_") {
        assert!(decoded.is_err(), "{decoded:?}");
    }
    if let Ok(EntryPoint::Bits64(decoded)) = decoded {
        let word = bytes[16..24].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        assert_eq!(decoded.table.as_u64(), word);
        assert_eq!(decoded.version, Version::new(bytes[7], bytes[8]));
    }
}

fn check_structure(structure: &Structure<'_>, expected: &Found<'_>, table: &[u8]) {
    for number in 0..=u8::MAX {
        let index = usize::from(number).checked_sub(1);
        let string = index.and_then(|index| expected.strings.get(index)).copied();
        assert_eq!(structure.string(number), string, "string {number}");
    }
    // A structure passes through a table of ours as it is, or not at all: a first string may be empty
    // on its way in, where none may be.
    let mut again = TableBuilder::new(Version::NEWEST).expect("there is a newest version");
    if again.add_raw(&RawStructure::from_structure(structure)).is_ok() {
        let again = again.finish(EntryPoints::Bits64).expect("one structure is not too much");
        let size = structure.size_bytes();
        assert_eq!(again.table()[..size], table[expected.offset..][..size]);
    }
    decode::<Firmware>(structure);
    decode::<System>(structure);
    decode::<Baseboard>(structure);
    decode::<Chassis>(structure);
    decode::<Processor>(structure);
    decode::<Cache>(structure);
    decode::<SystemSlot>(structure);
    decode::<OnBoardDevices>(structure);
    decode::<OemStrings>(structure);
    decode::<Language>(structure);
    decode::<MemoryArray>(structure);
    decode::<MemoryDevice>(structure);
    decode::<ArrayMapping>(structure);
    decode::<DeviceMapping>(structure);
    decode::<FirmwareInventory>(structure);
}

/// Only structures of its type are a description.
fn decode<T: Describe>(structure: &Structure<'_>) {
    assert!(T::decode(structure).is_err() || structure.kind() == T::TYPE);
}
