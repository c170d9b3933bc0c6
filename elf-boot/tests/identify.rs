//! Every way to start an image, best first, and the reasons for the others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use boot_plan::{Layout, MemoryMap};
use common::{BzFile, ElfFile, Segment, multiboot1, multiboot2, pvh_kernel, pvh_note};
use elf_boot::{Boot, Compression, Error, Image, Protocol, identify, plan_boot};
use proptest::prelude::*;

fn ways(file: &[u8]) -> Vec<Protocol> {
    identify(file).ways.iter().map(|way| way.protocol).collect()
}

/// An ELF that says that it can be started by everything.
fn everything(file: ElfFile) -> ElfFile {
    let mut text = multiboot2(&[]);
    text.extend(multiboot1(0, &[]));
    text.resize(0x200, 0xF4);
    let file = ElfFile { entry: 0x10_0100, ..file };
    file.segment(Segment::load(0x10_0000, &text)).segment(Segment::note(&pvh_note(0x10_0180)))
}

#[test]
fn what_an_image_says_of_itself_comes_before_what_its_format_allows() {
    use Protocol::{Linux32, Linux64, Multiboot, Multiboot2, Pvh};
    let both = [Pvh, Multiboot2, Multiboot];
    assert_eq!(ways(&everything(ElfFile::elf64(0)).build()), [&both[..], &[Linux64]].concat());
    assert_eq!(ways(&everything(ElfFile::elf32(0)).build()), [&both[..], &[Linux32]].concat());
    assert_eq!(ways(&BzFile::new().build()), [Linux64, Linux32]);
    assert_eq!(ways(b"\x7FELF"), []);
}

#[test]
fn each_way_is_listed_once_with_a_reason_if_it_is_refused() {
    for file in [everything(ElfFile::elf64(0)).build(), BzFile::new().build(), b"no".to_vec()] {
        let found = identify(&file);
        let listed = found.ways.iter().map(|way| way.protocol);
        let mut all: Vec<_> = listed.chain(found.refused.iter().map(|one| one.protocol)).collect();
        all.sort_unstable();
        assert_eq!(all, Protocol::ALL);
    }
}

#[test]
fn reasons_say_what_is_missing() {
    let reasons = |file: &[u8]| -> Vec<String> {
        let refused = identify(file).refused;
        refused.iter().map(|one| format!("{}: {}", one.protocol, one.reason)).collect()
    };
    let plain = ElfFile::elf64(0x10_0000).segment(Segment::load(0x10_0000, &[0xF4])).build();
    assert_eq!(
        reasons(&plain),
        [
            "pvh: no Xen note PHYS32_ENTRY (for Linux: build with CONFIG_PVH=y)",
            "multiboot2: no header in the first 0x8000 bytes",
            "multiboot: no header in the first 0x2000 bytes",
            "linux32: a 64-bit ELF: its entry is not one for 32 bits",
        ]
    );
    let only32 = BzFile::new().u16(0x236, 0).build();
    let no64 = "linux64: XLF_KERNEL_64 not set: a 32-bit kernel, or one without a 64-bit entry";
    assert!(reasons(&only32).iter().any(|reason| reason == no64), "{:?}", reasons(&only32));
    assert_eq!(reasons(b"\x1F\x8B\x08")[0], "pvh: compressed by gzip: decompress it first");
    assert_eq!(reasons(b"")[0], "pvh: image is empty");
}

#[test]
fn a_file_without_a_format_has_one_reason() {
    let memory = MemoryMap::pc(64 << 20).unwrap();
    let plan = |file: &[u8]| {
        plan_boot(&Boot::new(Image::new(file)), None, &memory, &mut Layout::new(&memory))
            .map(|_| ())
    };
    assert_eq!(plan(b""), Err(Error::Empty));
    assert_eq!(plan(b"\x28\xB5\x2F\xFD"), Err(Error::Compressed { by: Compression::Zstd }));
    // An ELF has a reason for each way.
    let relocatable = ElfFile { entry: 7, ..pvh_kernel() };
    let mut no_note = relocatable;
    no_note.segments.pop();
    assert!(matches!(plan(&no_note.build()), Err(Error::NoWay(all)) if all.len() == 5));
}

#[test]
fn names_lead_to_protocols_and_back() {
    for &protocol in Protocol::ALL {
        assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
    }
    assert_eq!(Protocol::from_name("efi"), None);
    assert!(Protocol::ALL.is_sorted());
}

/// Files that begin well.
fn begins_well() -> impl Strategy<Value = Vec<u8>> {
    let whole = vec![
        everything(ElfFile::elf64(0)).note_section(&pvh_note(7)).build(),
        everything(ElfFile::elf32(0)).build(),
        BzFile::new().build(),
        [multiboot1(1 << 16, &[0x10_0000, 0x10_0000, 0, 0, 0x10_0020]), vec![0xF4; 100]].concat(),
        [multiboot2(&[(2, 0, &[0x10_0000; 4]), (3, 0, &[0x10_0000]), (10, 0, &[1, 2, 4, 1])])]
            .concat(),
    ];
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    (prop::sample::select(whole), edits, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut file, edits, cut, cuts)| {
            for (at, byte) in edits {
                // Headers are at the front: most edits go there.
                let at = at.index(file.len().min(0x400));
                file[at] = byte;
            }
            if cuts {
                file.truncate(cut.index(file.len()));
            }
            file
        },
    )
}

proptest! {
    #[test]
    fn no_file_panics_and_every_way_can_be_planned_or_is_refused(file in begins_well()) {
        let memory = MemoryMap::pc(64 << 20).unwrap();
        for way in identify(&file).ways {
            let boot = Boot::new(Image::new(&file));
            let protocol = Some(way.protocol);
            match common::start_in(&boot, protocol, &memory) {
                Ok(start) => prop_assert_eq!(start.protocol, way.protocol),
                // What is sound may still not fit, or lack a screen.
                Err(Error::Layout(_) | Error::NoScreen | Error::KernelTooHigh { .. }
                    | Error::Truncated { .. } | Error::EntryAbove4G { .. }) => {}
                Err(other) => prop_assert!(false, "{}: {other}", way.protocol),
            }
        }
        for refusal in identify(&file).refused {
            let boot = Boot::new(Image::new(&file));
            let planned = common::start_in(&boot, Some(refusal.protocol), &memory);
            prop_assert_eq!(planned.unwrap_err(), refusal.reason);
        }
    }
}
