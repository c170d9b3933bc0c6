//! Images of Debian's packages and changes of their headers, read by us, by `linux-loader` and by
//! `goblin`: every disagreement has a name, a reason and a count.
//!
//! The counts are in `counts.txt`, for the very files that they were counted of. Of a package that
//! has moved on no name may be new. `cargo xtask test elf-differential` leaves counts and reasons in
//! its log, to be put there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod bzimage;
mod changes;
mod elf;
mod reasons;
mod recorder;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs, thread};

use changes::Spots;
use elf_boot::{Error, Identified, identify};
use linux_loader::loader::bzimage::BzImage;
use linux_loader::loader::elf::Elf;
use recorder::Memory;

/// A class of images: its name; each one's tool and file of its packages.
type Class = (&'static str, &'static [&'static str]);

const ELF: &[Class] = &[
    ("linux-trixie", &["linux-trixie:vmlinux"]),
    ("linux-bookworm", &["linux-bookworm:vmlinux"]),
    #[cfg(feature = "next-rig")]
    ("linux-forky", &["linux-forky:vmlinux"]),
    ("32-bit", &["xen:xen", "loaders:usr/lib/grub/i386-xen_pvh/kernel.img"]),
    ("programs", &["busybox:usr/bin/busybox", "grub:usr/bin/grub-file"]),
];

const BZIMAGE: &[Class] = &[
    ("linux-trixie", &["linux-trixie:vmlinuz"]),
    ("linux-bookworm", &["linux-bookworm:vmlinuz"]),
    #[cfg(feature = "next-rig")]
    ("linux-forky", &["linux-forky:vmlinuz"]),
    ("memtest", &["memtest:boot/memtest86+x64.bin", "memtest:boot/memtest86+ia32.bin"]),
    ("loaders", &["loaders:usr/lib/ipxe/ipxe.lkrn", "loaders:usr/lib/syslinux/memdisk"]),
];

/// What is neither.
const OTHERS: &[&str] = &[
    "bochs:usr/share/bochs/BIOS-bochs-latest",
    "loaders:usr/lib/ipxe/ipxe-amd64.efi",
    "loaders:usr/lib/ipxe/ipxe.iso",
    "ovmf:usr/share/OVMF/OVMF_CODE_4M.fd",
    "qemu:usr/share/qemu/multiboot_dma.bin",
    "qemu:usr/share/qemu/pvh.bin",
    "seabios:usr/share/seabios/bios-256k.bin",
    "seabios:usr/share/seabios/bios.bin",
    "xen:boot/xen-4.20-amd64.efi",
    "xen:boot/xen-4.20-amd64.gz",
];

/// What was counted: a heading and the name of the files' state, and the rest.
const COUNTS: &str = include_str!("counts.txt");

fn read(file: &str) -> Vec<u8> {
    let (tool, file) = file.split_once(':').unwrap();
    // Without the variable, its name is no folder either.
    let toolbox: PathBuf =
        env::var_os("HVKIT_TOOLBOX").unwrap_or_else(|| "HVKIT_TOOLBOX".into()).into();
    let path = toolbox.join(tool).join("root").join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names what an error of ours is about.
fn variant(error: &Error) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{', '(']).next().unwrap().to_owned()
}

/// A number for all that the counts depend on: the length, and the parts that are changed.
fn state(file: &[u8], spots: &Spots) -> u64 {
    // FNV-1a.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let length = file.len().to_le_bytes();
    let changed = spots.bytes.iter().flat_map(|range| &file[range.clone()]);
    length.iter().chain(changed).copied().fold(0xCBF2_9CE4_8422_2325, step)
}

/// A comparison, by the name of who else reads.
type Comparison = (&'static str, fn(&Memory, &[u8], &Identified<'_>) -> Vec<String>);

/// Reads each file and its changes by all, and holds the tallies against those that are expected.
fn compare(
    format: &str,
    classes: &[Class],
    spots_of: fn(&[u8]) -> Spots,
    comparisons: &[Comparison],
) {
    let tallies: Vec<String> = thread::scope(|scope| {
        let start = |&(class, files): &Class| {
            scope.spawn(move || tally(format, class, files, spots_of, comparisons))
        };
        let threads: Vec<_> = classes.iter().map(start).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut problems = String::new();
    for found in &tallies {
        check(found, &mut problems);
    }
    assert!(problems.is_empty(), "{problems}");
}

/// Reads the files of a class and their changes; returns a tally for each comparison.
fn tally(
    format: &str,
    class: &str,
    files: &[&str],
    spots_of: fn(&[u8]) -> Spots,
    comparisons: &[Comparison],
) -> Vec<String> {
    let memory = Memory::new();
    let mut tallies = vec![BTreeMap::<String, usize>::new(); comparisons.len()];
    let (mut states, mut changes) = (0, 0);
    for name in files {
        let mut file = read(name);
        let before = file.clone();
        let spots = spots_of(&file);
        states ^= state(&file, &spots);
        spots.each(&mut file, &mut |file| {
            changes += 1;
            let found = identify(file);
            for ((_, names_of), tally) in comparisons.iter().zip(&mut tallies) {
                let mut names = names_of(&memory, file, &found);
                if names.is_empty() {
                    names.push("both accept".into());
                }
                for name in names {
                    *tally.entry(name).or_default() += 1;
                }
            }
        });
        assert!(file == before, "{name} was not put back");
    }
    assert!(changes >= 2000, "{format} {class}: {changes} changes");
    let text = |((reader, _), tally): (&Comparison, &BTreeMap<String, usize>)| {
        let mut found = format!("[{reader}, {format}: {class}] {states:016x}\n");
        for (name, count) in tally {
            writeln!(found, "{count:6} {name}").unwrap();
        }
        found
    };
    comparisons.iter().zip(&tallies).map(text).collect()
}

/// Returns the names of a tally.
fn names(counts: &str) -> BTreeSet<&str> {
    counts.lines().filter_map(|line| Some(line.trim_start().split_once(' ')?.1)).collect()
}

/// Holds a tally against the expected one.
fn check(found: &str, problems: &mut String) {
    let (heading, counts) = found.split_once('\n').unwrap();
    let (title, _) = heading.split_at(heading.find(']').unwrap() + 1);
    println!("{heading}");
    for line in counts.lines() {
        let name = line.trim_start().split_once(' ').unwrap().1;
        let reason = reasons::of(title, name);
        println!("{line}: {}", reason.unwrap_or_default());
        if reason.is_none() {
            writeln!(problems, "{title}: no reason for: {name}").unwrap();
        }
    }
    let Some((_, expected)) = COUNTS.split_once(title) else {
        writeln!(problems, "not counted before:\n{found}").unwrap();
        return;
    };
    let expected = expected.split("\n\n").next().unwrap();
    let (state, expected) = expected.split_once('\n').unwrap();
    if heading.ends_with(state.trim()) {
        if expected.trim_end() != counts.trim_end() {
            let was: BTreeSet<&str> = expected.lines().collect();
            let now: BTreeSet<&str> = counts.lines().collect();
            writeln!(problems, "{title}").unwrap();
            for line in was.difference(&now) {
                writeln!(problems, "  expected {line}").unwrap();
            }
            for line in now.difference(&was) {
                writeln!(problems, "  found    {line}").unwrap();
            }
        }
    } else {
        println!("{title}: the package has moved on, and names alone are compared\n");
        for name in names(counts).difference(&names(expected)) {
            writeln!(problems, "{title}, a new package: {name}").unwrap();
        }
    }
}

#[test]
fn elf_files_are_read_as_others_read_them_but_where_it_is_counted() {
    let comparisons: [Comparison; 2] =
        [("linux-loader", elf::beside_linux_loader), ("goblin", elf::beside_goblin)];
    compare("ELF", ELF, Spots::of_elf, &comparisons);
}

#[test]
fn bzimages_are_read_as_linux_loader_reads_them_but_where_it_is_counted() {
    let comparisons: [Comparison; 1] = [("linux-loader", bzimage::beside_linux_loader)];
    compare("bzImage", BZIMAGE, Spots::of_bzimage, &comparisons);
}

#[test]
fn what_is_neither_nobody_reads() {
    let memory = Memory::new();
    for name in OTHERS {
        let file = read(name);
        assert!(identify(&file).format.is_err(), "{name}");
        assert!(memory.load::<Elf>(&file).result.is_err(), "{name}");
        assert!(memory.load::<BzImage>(&file).result.is_err(), "{name}");
        assert!(goblin::elf::Elf::parse(&file).is_err(), "{name}");
    }
}

#[test]
fn each_reason_is_for_something() {
    for (titles, name, _) in reasons::ALL {
        let is_counted = COUNTS.split("\n\n").any(|block| {
            let (title, counts) = block.split_once(']').unwrap();
            title.contains(titles) && names(counts).contains(*name)
        });
        assert!(is_counted, "{titles}: {name}");
    }
}
