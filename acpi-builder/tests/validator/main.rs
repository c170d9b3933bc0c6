//! The validator: sound tables pass, and for each rule there is a table that breaks it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may")]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod image;

use std::collections::BTreeSet;

use acpi_builder::{
    AllowedRegion, Fadt, FixedHardware, Hpet, Madt, Processors, RegionSpace, Rule, Signature, Ssdt,
    TableSet, Validator,
};
use cases::CASES;
use common::full_pc;
use common::machine::SSDT;
use guest_state::Gpa;
use image::{BASE, Image, RSDP};
use proptest::prelude::*;

#[test]
fn sound_tables_break_no_rule() {
    assert_eq!(Image::new(SSDT).findings(), []);
    for count in [1, 4, 300, 4096] {
        let set = full_pc(&Processors::sequential(count).unwrap());
        let placed = set.at(Gpa::new(BASE)).unwrap();
        let validator = Validator::new()
            .memory(Gpa::new(RSDP), &placed.rsdp)
            .memory(Gpa::new(BASE), &placed.tables);
        assert_eq!(validator.validate(Gpa::new(RSDP)), [], "{count}");
    }
}

#[test]
fn all_devices_together_break_no_rule() {
    let processors = Processors::sequential(3).unwrap();
    let dsdt = common::devices::dsdt(&processors).unwrap();
    let registers = FixedHardware::ich9(0x600);
    let set =
        TableSet::builder(Fadt::fixed_hardware(registers, dsdt.boot_arch()), dsdt.build().unwrap());
    let set = set.with(&Madt::pc(&processors)).with(&Hpet::PC).with(&common::machine::mcfg());
    let set = set.with(&Ssdt::from(common::devices::terms().unwrap())).build().unwrap();
    let placed = set.at(Gpa::new(BASE)).unwrap();
    let validator = Validator::new()
        .memory(Gpa::new(RSDP), &placed.rsdp)
        .memory(Gpa::new(BASE), &placed.tables)
        .ram(common::machine::range(0, 0xA_0000))
        .ram(common::machine::range(0x10_0000, 0xAFF0_0000))
        .allow([AllowedRegion::new(RegionSpace::SYSTEM_IO, 0x510..=0x511)]);
    assert_eq!(validator.validate(Gpa::new(RSDP)), []);
}

#[test]
fn each_broken_field_breaks_its_rule_where_it_is() {
    let mut missed = vec![];
    for case in CASES {
        let mut image = Image::new(SSDT);
        let offset = (case.broken)(&mut image);
        let findings = image.findings();
        let hit = findings.iter().any(|finding| {
            (finding.rule, finding.table.0, finding.offset) == (case.rule, *case.table, offset)
        });
        let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
        if !hit {
            missed.push(format!("{} at {offset:#x} is not in {text:#?}", case.rule.id()));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn each_rule_has_a_case_and_an_id_of_its_own() {
    let cases: BTreeSet<_> = CASES.iter().map(|case| case.rule).collect();
    let rules: BTreeSet<_> = Rule::ALL.iter().copied().collect();
    assert_eq!(cases, rules);
    let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
}

#[test]
fn a_finding_names_table_offset_and_rule() {
    let mut image = Image::new(SSDT);
    image.patch(b"HPET", 4, &[55]);
    let findings = image.findings();
    let text = "HPET at 0x4: the length is none that the table's revision has (table-size: 0x37)";
    assert!(findings.iter().any(|finding| finding.to_string() == text), "{findings:?}");
}

/// All tables of an image as files.
fn files(image: &Image) -> Vec<&[u8]> {
    let entries = image.set.entries().iter().filter(|entry| entry.signature != Signature::FACS);
    entries
        .map(|entry| &image.tables[entry.offset as usize..][..entry.size_bytes as usize])
        .collect()
}

#[test]
fn a_missing_field_is_named_by_the_place_that_it_would_have() {
    // It ends behind the first block's address; the block's length would be at 88.
    let mut fadt = [0; 68];
    fadt[..8].copy_from_slice(b"FACP\x44\0\0\0");
    fadt[56] = 1;
    let findings = Validator::new().validate_tables(&[&fadt]);
    let found = findings.iter().find(|finding| finding.offset >= fadt.len()).unwrap();
    assert_eq!((found.rule.id(), found.offset, found.value), ("fadt-block", 88, 0));
}

#[test]
fn tables_without_addresses_are_checked_too() {
    let mut image = Image::new(SSDT);
    let validator = Validator::new();
    assert_eq!(validator.validate_tables(&files(&image)), []);
    image.patch(b"SRAT", 64 + 3, &[77]);
    let rules: Vec<_> =
        validator.validate_tables(&files(&image)).iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::SratNotInMadt, Rule::MadtNotInSrat]);
    let cut = &files(&image)[0][..40];
    let findings = validator.validate_tables(&[cut, &[], b"XYZ"]);
    assert!(findings.iter().all(|finding| finding.rule == Rule::TableLength));
    assert_eq!(findings.len(), 3);
}

#[test]
fn regions_are_not_looked_at_without_a_list() {
    let mut image = Image::new(SSDT);
    let region = image.find(b"SSDT", b"\x5B\x80REGM");
    image.patch(b"SSDT", region + 6 + 3, &[0x10]);
    let rules = |validator: &Validator<'_>| -> Vec<_> {
        validator.validate_tables(&files(&image)).iter().map(|it| (it.rule, it.value)).collect()
    };
    assert_eq!(rules(&Validator::new()), []);
    let none = Validator::new().allow([]);
    assert_eq!(rules(&none), [(Rule::AmlRegion, 0x510), (Rule::AmlRegion, 0xFEB0_1000)]);
    let all = [RegionSpace::SYSTEM_IO, RegionSpace::SYSTEM_MEMORY].map(AllowedRegion::all_of);
    assert_eq!(rules(&Validator::new().allow(all)), []);
    let short = [
        AllowedRegion::new(RegionSpace::SYSTEM_IO, 0x510..=0x510),
        AllowedRegion::all_of(RegionSpace::SYSTEM_MEMORY),
    ];
    assert_eq!(rules(&Validator::new().allow(short)), [(Rule::AmlRegion, 0x510)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), name in 0_usize..14) {
        let names = b"APICSRATSLITMCFGDSDTSSDTFACPHPETDMARHMATNFITVIOTCEDTPPTT";
        let mut table = [&names[name * 4..][..4], &[0; 32], &bytes].concat();
        let length = u32::try_from(table.len()).unwrap();
        table[4..8].copy_from_slice(&length.to_le_bytes());
        let validator = Validator::new().allow([]).ram(common::machine::range(0, 1 << 30));
        let _ = validator.validate_tables(&[&table, &bytes]);
        let memory = Validator::new().memory(Gpa::ZERO, &bytes);
        let _ = memory.validate(Gpa::new(3));
    }

    #[test]
    fn no_change_of_sound_tables_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut image = Image::new(SSDT);
        for (index, byte) in changes {
            let at = index.index(image.tables.len());
            image.tables[at] = byte;
        }
        let _ = image.findings();
    }
}
