//! Extended page tables beside what Bochs does with them. Needs Bochs.

#![cfg(feature = "ept-rig")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bare_metal::ept_lab::{Class, Report, run};

/// A class of cases, and how many of them come out otherwise than predicted.
struct Expected {
    name: &'static str,
    least_cases: u32,
    /// Of one processor: without accessed and dirty flags, and with them.
    differences: [u32; 2],
}

const fn all_as_predicted(name: &'static str, least_cases: u32) -> Expected {
    Expected { name, least_cases, differences: [0, 0] }
}

/// `large_pages` is the number of page sizes beyond 4 KiB.
fn expected(large_pages: u32) -> [Expected; 9] {
    let sizes = large_pages + 1;
    let lost = 4 * sizes;
    // By the SDM ("Format of an EPT Page-Directory Entry (PDE) that Maps a 2-MByte Page", and that
    // of a PDPTE) bits 20:12 and 29:12 are reserved. Bochs lets bit 12 pass, for each access.
    let bit_12 = 3 * large_pages;
    // By the SDM ("Exit Qualification for EPT Violations", note 1) an access to a guest paging
    // structure that counts as a write sets bits 0 and 1. Bochs sets bit 1 alone: three accesses
    // by each of three permissions that are too few.
    let write_alone = 9;
    [
        all_as_predicted("holes", 6 * sizes),
        all_as_predicted("attributes", 75 * sizes),
        all_as_predicted("permissions", 72 * sizes),
        all_as_predicted("memory types", 72 * sizes),
        Expected { name: "flipped bits", least_cases: 380 * sizes, differences: [bit_12, bit_12] },
        Expected {
            name: "guest paging structures",
            least_cases: 15,
            differences: [0, write_alone],
        },
        all_as_predicted("protected pages", 6 * sizes + 6 * 2),
        // Without INVEPT every edit goes unnoticed: this is the lab seeing one that was left out.
        Expected { name: "edits, not paid", least_cases: lost, differences: [lost, lost] },
        all_as_predicted("edits, paid", lost + 3 * sizes),
    ]
}

fn check(model: &str, has_1g_pages: bool, has_flags: bool) {
    let report = run(model).unwrap();
    let expected = expected(if has_1g_pages { 2 } else { 1 });
    let runs = if has_flags { 2 } else { 1 };
    assert_eq!(report.classes.len(), runs * expected.len(), "{}", in_words(&report));
    for (class, expected) in report.classes.iter().zip(expected.iter().cycle()) {
        let Class { name, has_flags, cases, differences, left_out } = class;
        println!("{model} {name}, flags {has_flags}: {cases}, {differences}, {left_out}");
        assert_eq!(name, expected.name);
        assert!(*cases >= expected.least_cases, "{name}: {cases}: {}", in_words(&report));
        let wanted = expected.differences[usize::from(*has_flags)];
        assert_eq!(*differences, wanted, "{name}: {}", in_words(&report));
    }
}

fn in_words(report: &Report) -> String {
    report.remarks.join("\n")
}

#[test]
fn arrandale_does_what_the_tables_say() {
    check("corei5_arrandale_m520", false, false);
}

#[test]
fn haswell_does_what_the_tables_say() {
    check("corei7_haswell_4770", true, true);
}

#[test]
fn tigerlake_does_what_the_tables_say() {
    check("tigerlake", true, true);
}
