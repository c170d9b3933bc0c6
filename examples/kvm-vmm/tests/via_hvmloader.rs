//! SeaBIOS, started directly and by an hvmloader in the guest: what the tour then finds is the same,
//! but for what is listed, with reasons, in `data/via-hvmloader-*.txt`. Needs /dev/kvm and SeaBIOS.

#![cfg(feature = "hvmloader-rig")]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{Run, TempFile, run};

/// The same nonce for all, so that nothing differs by it; that each run is new its log shows.
const COMMAND_LINE: &str = "hvkit.nonce=c0ffee hvkit.tables";
/// What must be there, and the same byte for byte, however SeaBIOS came by it.
const TABLES: [&str; 8] =
    ["RSDP", "XSDT", "FACP", "FACS", "DSDT", "APIC", "smbios_entry_point", "DMI"];

fn seabios() -> PathBuf {
    let toolbox = std::env::var_os("HVKIT_TOOLBOX").unwrap_or_default();
    PathBuf::from(toolbox).join("seabios").join("root").join("usr/share/seabios/bios-256k.bin")
}

/// Boots the tour by SeaBIOS to its end.
fn boot(more: &[&str]) -> Run {
    let firmware = seabios().into_os_string().into_string().unwrap();
    run(&[&["--firmware", &firmware, "--memory", "64M"], more].concat())
}

/// The tour's report as facts, one a line, that can be held against another's.
fn facts(report: &str) -> Vec<String> {
    let mut facts = Vec::new();
    let mut lines = report.lines();
    while let Some(line) = lines.next() {
        let Some(table) = line.strip_prefix("hvkit: table ") else {
            // Where tables are is a fact of its own.
            let known = ["acpi ", "smbios "].iter().any(|word| line.starts_with(word));
            let line = if known || line.contains(", revision ") {
                placeless(line)
            } else {
                line.to_owned()
            };
            facts.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
            continue;
        };
        let (name, place) = table.split_once(" at ").unwrap();
        let mut bytes = Vec::new();
        while let Some(hex) = lines.next().unwrap().strip_prefix("hvkit: bytes ") {
            bytes.extend((0..hex.len()).step_by(2).map(|at| hex[at..at + 2].to_owned()));
        }
        facts.push(format!("place {name} {place}"));
        let masked = match name {
            // The checksum, and where the structures are.
            "smbios_entry_point" => &[5..6, 16..24][..],
            "_MP_" => &[4..8, 10..11],
            // The checksum, and what the first CPU is: that of the host.
            "PCMP" => &[7..8, 48..56],
            _ => &[],
        };
        for at in masked.iter().cloned().flatten() {
            bytes[at] = "..".to_owned();
        }
        facts.push(format!("bytes {name} {}", bytes.concat()));
    }
    facts
}

/// Cuts ` at 0x1234` out of a line.
fn placeless(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" at 0x") else { return line.to_owned() };
    let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_hexdigit());
    format!("{before}{rest}")
}

/// What is in one of two reports only: `-` the first, `+` the second.
fn differences(first: &[String], second: &[String]) -> Vec<String> {
    let only = |sign, facts: &[String], others: &[String]| {
        let others: BTreeSet<_> = others.iter().cloned().collect();
        let only = facts.iter().filter(move |fact| !others.contains(*fact));
        only.map(|fact| format!("{sign} {fact}")).collect::<Vec<_>>()
    };
    [only('-', first, second), only('+', second, first)].concat()
}

/// The listed differences, without their reasons.
fn listed(list: &str) -> BTreeSet<String> {
    let is_fact = |line: &&str| !line.is_empty() && !line.starts_with('#');
    list.lines().filter(is_fact).map(str::to_owned).collect()
}

/// Holds a run by hvmloader against a direct one.
#[track_caller]
fn agree(direct: &str, via: &str, list: &str) {
    let (direct, via) = (facts(direct), facts(via));
    for name in TABLES {
        let of = |facts: &[String]| {
            let start = format!("bytes {name} ");
            facts.iter().find(|fact| fact.starts_with(&start)).cloned()
        };
        assert!(of(&direct).is_some_and(|fact| fact.len() > 48), "{name} is missing");
        assert_eq!(of(&direct), of(&via), "{name} differs");
    }
    let found: BTreeSet<_> = differences(&direct, &via).into_iter().collect();
    let listed = listed(list);
    let text = |set: Vec<&String>| set.into_iter().cloned().collect::<Vec<_>>().join("\n");
    let more = text(found.difference(&listed).collect());
    let less = text(listed.difference(&found).collect());
    assert!(more.is_empty() && less.is_empty(), "not listed:\n{more}\nlisted, not found:\n{less}");
}

#[test]
fn an_hvmloader_brings_seabios_to_the_tour_as_a_direct_start_does() {
    let direct = boot(&["--cmdline", COMMAND_LINE]);
    assert_eq!(direct.status, 0, "{direct:#?}");

    let by_fw_cfg = boot(&["--cmdline", COMMAND_LINE, "--via-hvmloader=fw-cfg"]);
    assert_eq!(by_fw_cfg.status, 0, "{by_fw_cfg:#?}");
    assert!(by_fw_cfg.stderr.contains("HVM Loader\n"), "{by_fw_cfg:#?}");
    assert!(!by_fw_cfg.stderr.contains("Detected Xen"), "{by_fw_cfg:#?}");
    agree(&direct.stdout, &by_fw_cfg.stdout, include_str!("data/via-hvmloader-fw-cfg.txt"));

    let as_on_xen = boot(&["--cmdline", COMMAND_LINE, "--via-hvmloader"]);
    assert_eq!(as_on_xen.status, 0, "{as_on_xen:#?}");
    for said in [
        "HVM Loader\n",
        "Detected Xen v4.17\n",
        // SeaBIOS made its hypercall, and took all four tables and the memory map.
        "Detected Xen v4.17-hvkit\n",
        "xen: copy e820...",
        "Copying ACPI RSDP from",
        "Copying SMBIOS 3.0 from",
        "Copying MPTABLE from",
        "Copying PIR from",
    ] {
        assert!(as_on_xen.stderr.contains(said), "{said}: {as_on_xen:#?}");
    }
    agree(&direct.stdout, &as_on_xen.stdout, include_str!("data/via-hvmloader-xen.txt"));
}

#[test]
fn what_is_not_listed_is_seen() {
    let report = "\
memory map
  0x000000000000 .. 0x00000009fc00  usable
acpi          RSDP at 0xf5260, revision 2, checksum ok
hvkit: table DSDT at 0x3fffcc0
hvkit: bytes 00112233
hvkit: end of table
";
    let other =
        report.replace("9fc00", "9f800").replace("0xf5260", "0xf5270").replace("2233", "2234");
    assert_eq!(
        differences(&facts(report), &facts(&other)),
        [
            "- 0x000000000000 .. 0x00000009fc00 usable",
            "- bytes DSDT 00112233",
            "+ 0x000000000000 .. 0x00000009f800 usable",
            "+ bytes DSDT 00112234",
        ]
    );
}

#[test]
fn several_cpus_and_memory_above_4_gib_come_through() {
    let run = boot(&["--via-hvmloader", "--cpus", "3", "--memory", "5G"]);
    assert_eq!(run.status, 0, "{run:#?}");
    for line in
        ["  0x000100000000 .. 0x000180000000  usable", "cpus          3 enabled of 3 in the MADT"]
    {
        assert!(run.stdout.lines().any(|found| found == line), "{line} in {run:#?}");
    }
    // All were there, did what they were told, and went back to wait.
    assert!(run.stderr.contains("uncached, on 3 of 3 CPUs"), "{run:#?}");
}

#[test]
fn a_reset_begins_with_the_hvmloader_again() {
    for how in ["--via-hvmloader", "--via-hvmloader=fw-cfg"] {
        let run = boot(&[how, "--cmdline", "hvkit.nonce=1 hvkit.resets=cf9"]);
        assert_eq!(run.status, 0, "{run:#?}");
        assert_eq!(run.stderr.matches("HVM Loader\n").count(), 2, "{run:#?}");
        assert_eq!(run.stdout.matches("\nnonce         1\n").count(), 2, "{run:#?}");
    }
}

#[test]
fn firmware_that_does_not_fit_below_1_mib_is_refused_in_words() {
    let large = TempFile::new("large-bios", &[0xF4; 0x8_0000]);
    run(&["--via-hvmloader", "--firmware", large.path()])
        .fails(7, "hvmloader: the firmware has 0x80000 bytes, a BIOS has at most 0x40000");
}
