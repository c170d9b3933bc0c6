//! ELF files of both classes: what is read, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use boot_plan::{Layout, MemoryMap};
use common::{ElfFile, Segment, note, placed, pvh_kernel, pvh_note, start_in, words};
use elf_boot::{
    Boot, ElfImage, Error, Format, Identified, Image, Protocol, Relocation, identify, plan_boot,
};
use guest_state::{Gpa, GpaRange, MemoryKind};

/// Returns the reason why `file` does not start by `protocol`.
fn refused(file: &[u8], protocol: Protocol) -> Error {
    let Identified { refused, .. } = identify(file);
    refused.into_iter().find(|refusal| refusal.protocol == protocol).unwrap().reason
}

fn pvh(file: &ElfFile) -> Result<Gpa, Error> {
    let file = file.build();
    let found = identify(&file);
    let way = found.ways.iter().find(|way| way.protocol == Protocol::Pvh).map(|way| way.entry);
    way.ok_or_else(|| refused(&file, Protocol::Pvh))
}

fn described(file: &[u8]) -> ElfImage<'_> {
    match identify(file).format {
        Ok(Format::Elf(elf)) => elf,
        other => panic!("{other:?}"),
    }
}

fn range(start: u64, size_bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size_bytes).unwrap()
}

/// A kernel with these note segments besides its code.
fn with_notes(notes: &[Segment]) -> ElfFile {
    let kernel = ElfFile::elf64(0).segment(Segment::load(0x10_0000, &[0xF4; 0x100]));
    notes.iter().cloned().fold(kernel, ElfFile::segment)
}

#[test]
fn class_byte_order_machine_and_type_have_to_fit() {
    let error = |change: fn(&mut ElfFile)| {
        let mut file = pvh_kernel();
        change(&mut file);
        pvh(&file).unwrap_err()
    };
    assert_eq!(error(|file| file.class = 3), Error::ElfClass { class: 3 });
    assert_eq!(error(|file| file.data = 2), Error::ElfByteOrder { data: 2 });
    let arm = Error::ElfMachine { bits: 64, machine: 183, expected: 62 };
    assert_eq!(error(|file| file.machine = 183), arm);
    let x32 = Error::ElfMachine { bits: 64, machine: 3, expected: 62 };
    assert_eq!(error(|file| file.machine = 3), x32);
    assert_eq!(error(|file| file.kind = 1), Error::ElfType { kind: 1 });
    let size = Error::ProgramHeaderSize { size_bytes: 32, expected: 56 };
    assert_eq!(error(|file| file.program_header_bytes = Some(32)), size);
    let many = Error::TooManyProgramHeaders { count: 257, most: 256 };
    assert_eq!(error(|file| file.program_header_count = Some(257)), many);
    assert_eq!(error(|file| file.program_header_count = Some(0)), Error::NoSegments);
    assert_eq!(
        error(|file| file.segments.push(Segment::new(3, 0, b"/lib/ld\0"))),
        Error::Interpreter
    );
    // A shared object may be a kernel: one that relocates itself.
    let mut shared = pvh_kernel();
    shared.kind = 3;
    assert_eq!(pvh(&shared), Ok(Gpa::new(0x10_0010)));
}

#[test]
fn segments_out_of_bounds_or_over_each_other_are_refused() {
    let error = |segment: Segment| pvh(&pvh_kernel().segment(segment)).unwrap_err();
    let sound = Segment::load(0x40_0000, &[1; 0x10]);
    let offset = Segment { offset: Some(u64::MAX - 3), ..sound.clone() };
    assert!(matches!(error(offset), Error::Truncated { what: "segment ends", .. }));
    let file_bytes =
        Segment { file_bytes: Some(1 << 40), memory_bytes: Some(1 << 41), ..sound.clone() };
    assert!(matches!(error(file_bytes), Error::Truncated { what: "segment ends", .. }));
    let sizes = Error::SegmentSizes { index: 3, file_bytes: 0x10, memory_bytes: 0xF };
    assert_eq!(error(sound.clone().memory_bytes(0xF)), sizes);
    let high = Segment { address: u64::MAX - 8, ..sound.clone() };
    let past = Error::SegmentPastEnd { index: 3, address: u64::MAX - 8, memory_bytes: 0x10 };
    assert_eq!(error(high), past);
    // Over the bss of another, which the file has no bytes of.
    let over = Segment { address: 0x20_4FFF, ..sound };
    let overlap =
        Error::SegmentsOverlap { range: range(0x20_0000, 0x5000), other: range(0x20_4FFF, 0x10) };
    assert_eq!(error(over), overlap);
}

#[test]
fn segments_without_bytes_count_and_empty_ones_do_not() {
    let file = pvh_kernel()
        .segment(
            Segment { offset: Some(u64::MAX), ..Segment::load(0x30_0000, &[]) }.memory_bytes(0x77),
        )
        .segment(Segment::load(0x20_1000, &[]))
        .build();
    let elf = described(&file);
    let told: Vec<_> = elf.segments.iter().map(|one| (one.range, one.file_bytes)).collect();
    let expected = [
        (range(0x10_0000, 0x300), 0x300),
        (range(0x20_0000, 0x5000), 0x123),
        (range(0x30_0000, 0x77), 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(elf.zero_bytes(), 0x5000 - 0x123 + 0x77);
    assert_eq!((elf.bits, elf.entry), (64, 0x10_0000));
}

#[test]
fn the_load_address_is_the_lowest_physical_one_whatever_their_order() {
    let file = ElfFile::elf64(0x100_0040)
        .segment(Segment::load(0x300_0000, &[1; 4]))
        .segment(Segment::load(0x100_0000, &[2; 0x80]))
        .segment(Segment::load(0x200_0000, &[3; 4]))
        .build();
    let way = &identify(&file).ways[0];
    let starts: Vec<_> = way.ranges.iter().map(|one| one.start().as_u64()).collect();
    assert_eq!(starts, [0x100_0000, 0x200_0000, 0x300_0000]);
    assert_eq!((way.protocol, way.entry), (Protocol::Linux64, Gpa::new(0x100_0040)));
}

#[test]
fn an_entry_that_the_file_has_no_byte_for_is_refused() {
    for (entry, result) in [
        (0x10_0000, Ok(Gpa::new(0x10_0000))),
        (0x10_02FF, Ok(Gpa::new(0x10_02FF))),
        (0x10_0300, Err(Error::EntryOutside { entry: 0x10_0300 })),
        (0x20_0122, Ok(Gpa::new(0x20_0122))),
        (0x20_0123, Err(Error::EntryOutside { entry: 0x20_0123 })),
        (0xF_FFFF, Err(Error::EntryOutside { entry: 0xF_FFFF })),
    ] {
        let mut file = pvh_kernel();
        file.segments[2] = Segment::note(&pvh_note(entry));
        assert_eq!(pvh(&file), result);
        file.entry = entry.into();
        let linux =
            identify(&file.build()).ways.iter().any(|way| way.protocol == Protocol::Linux64);
        assert_eq!(linux, result.is_ok(), "{entry:#x}");
    }
}

#[test]
fn descriptors_of_4_and_8_bytes_hold_the_entry() {
    let kernel =
        |descriptor: &[u8]| pvh(&with_notes(&[Segment::note(&note(b"Xen\0", 18, descriptor, 4))]));
    assert_eq!(kernel(&words(&[0x10_0000])), Ok(Gpa::new(0x10_0000)));
    assert_eq!(kernel(&words(&[0x10_0000, 0])), Ok(Gpa::new(0x10_0000)));
    let high = Error::PvhEntryAbove4G { entry: 0x1_0010_0000 };
    assert_eq!(kernel(&words(&[0x10_0000, 1])), Err(high));
    let six = kernel(&[0; 6]).unwrap_err();
    assert_eq!(six, Error::PvhNoteSize { size_bytes: 6 });
    assert_eq!(
        six.to_string(),
        "Xen note PHYS32_ENTRY with a descriptor of 6 bytes: 4 or 8 expected"
    );
    assert_eq!(kernel(&[]), Err(Error::PvhNoteSize { size_bytes: 0 }));
    let none = pvh(&with_notes(&[])).unwrap_err();
    assert_eq!(none, Error::NoPvhNote);
}

#[test]
fn a_note_is_found_in_any_note_segment_or_section() {
    let found = Ok(Gpa::new(0x10_0000));
    let gnu = Segment::note(&note(b"GNU\0", 3, &[7; 20], 4));
    let xen = Segment::note(&pvh_note(0x10_0000));
    let other = Segment::note(&note(b"Linux\0", 18, &words(&[0xBAD]), 4));
    for order in [[&gnu, &xen, &other], [&xen, &gnu, &other], [&other, &gnu, &xen]] {
        assert_eq!(pvh(&with_notes(&order.map(Clone::clone))), found);
    }
    // A tool may have dropped the segment: then the section has it.
    assert_eq!(pvh(&with_notes(&[]).note_section(&pvh_note(0x10_0000))), found);
    assert_eq!(pvh(&with_notes(&[gnu]).note_section(&pvh_note(0x10_0000))), found);
    // Of two, the first counts, and segments come before sections.
    let two = with_notes(&[xen]).note_section(&pvh_note(0x10_0001));
    assert_eq!(pvh(&two), found);
}

#[test]
fn notes_padded_to_4_and_to_8_bytes_are_told_apart() {
    let found = Ok(Gpa::new(0x10_0000));
    // A linker that merges .note.gnu.property (8) with .note.Xen (4) says alignment 8.
    let property = note(b"GNU\0", 5, &[1; 20], 8);
    let merged = [&property[..], &pvh_note(0x10_0000)].concat();
    for align in [1, 4, 8] {
        let segment = Segment { align, ..Segment::note(&merged) };
        assert_eq!(pvh(&with_notes(&[segment])), found, "{align}");
    }
    // With another between them, of which only the padding to 4 leads on.
    let more = [&property[..], &note(b"Xen\0", 9, b"yes\0", 4), &pvh_note(0x10_0000)].concat();
    assert_eq!(pvh(&with_notes(&[Segment::note(&more)])), found);
    // All padded to 8: by 4 the descriptor is cut in two.
    let eight =
        [note(b"Core\0", 1, &[2; 5], 8), note(b"Xen\0", 18, &words(&[0x10_0000]), 8)].concat();
    assert_eq!(pvh(&with_notes(&[Segment { align: 8, ..Segment::note(&eight) }])), found);
    // A name that is no UTF-8 is a name.
    let odd = [note(b"\xFF\xFE\xFD\0", 1, &[], 4), pvh_note(0x10_0000)].concat();
    assert_eq!(pvh(&with_notes(&[Segment::note(&odd)])), found);
}

#[test]
fn broken_notes_are_a_reason_only_where_no_entry_is_found() {
    let mut cut = note(b"GNU\0", 3, &[7; 20], 4);
    cut.truncate(20);
    let broken = Segment::note(&cut);
    assert!(matches!(
        pvh(&with_notes(std::slice::from_ref(&broken))),
        Err(Error::BrokenNotes { .. })
    ));
    let entry = Segment::note(&pvh_note(0x10_0000));
    assert_eq!(pvh(&with_notes(&[broken, entry])), Ok(Gpa::new(0x10_0000)));
    let outside = Segment { offset: Some(1 << 40), file_bytes: Some(16), ..Segment::note(&[]) };
    let error = pvh(&with_notes(&[outside])).unwrap_err();
    assert!(matches!(error, Error::Truncated { what: "note segment ends", .. }), "{error}");
}

#[test]
fn notes_can_be_read() {
    let notes = [
        note(b"Xen\0", 6, b"linux\0", 4),
        note(b"Xen\0", 3, &words(&[0x8000_0000, 0xFFFF_FFFF]), 4),
        note(b"Xen\0", 99, &[], 4),
        note(b"GNU\0", 6, b"not Xen's\0", 4),
    ];
    let file = with_notes(&[Segment::note(&notes.concat())]).build();
    let elf = described(&file);
    assert_eq!(elf.notes_problem, None);
    let told: Vec<_> =
        elf.notes.iter().map(|one| (one.xen_name(), one.number(), one.text())).collect();
    let expected = [
        (Some("GUEST_OS"), None, Some("linux")),
        (Some("VIRT_BASE"), Some(0xFFFF_FFFF_8000_0000), None),
        (None, None, None),
        (None, None, Some("not Xen's")),
    ];
    assert_eq!(told, expected);
}

/// The kernel of 1 MiB and 105000h bytes, with a note of these words.
fn relocatable(reloc: &[u32]) -> ElfFile {
    pvh_kernel().segment(Segment::note(&note(b"Xen\0", 19, &words(reloc), 4)))
}

#[test]
fn a_relocation_note_says_where_a_kernel_may_go() {
    let told = |file: ElfFile| identify(&file.build()).ways.remove(0).relocation;
    let within =
        |least: u64, end: u64| GpaRange::from_bounds(Gpa::new(least), Gpa::new(end)).unwrap();
    assert_eq!(told(pvh_kernel()), None);
    for (reloc, alignment, bounds) in [
        // Without an alignment, the largest of a segment's counts, if it is a page at least.
        (&[][..], 0x1000, within(0, 1 << 32)),
        (&[0x40_0000], 0x40_0000, within(0, 1 << 32)),
        (&[0x1000, 0x100_0000], 0x1000, within(0x100_0000, 1 << 32)),
        (&[0x1000, 0x100_0000, 0x1FF_FFFF], 0x1000, within(0x100_0000, 0x200_0000)),
    ] {
        let Some(Relocation { alignment: found, within, side: None, .. }) =
            told(relocatable(reloc))
        else {
            panic!("{reloc:?}");
        };
        assert_eq!((found, within), (alignment, bounds));
    }
    let mut small = relocatable(&[]);
    small.segments.iter_mut().for_each(|segment| segment.align = 16);
    assert_eq!(told(small).unwrap().alignment, 0x20_0000);
}

#[test]
fn a_broken_relocation_note_is_refused() {
    assert_eq!(pvh(&relocatable(&[3])), Err(Error::RelocAlignment { alignment: 3 }));
    assert_eq!(pvh(&relocatable(&[0])), Err(Error::RelocAlignment { alignment: 0 }));
    let long = pvh(&relocatable(&[1, 2, 3, 4]));
    assert_eq!(long, Err(Error::RelocNoteSize { size_bytes: 16 }));
    let odd = pvh_kernel().segment(Segment::note(&note(b"Xen\0", 19, &[0; 5], 4)));
    assert_eq!(pvh(&odd), Err(Error::RelocNoteSize { size_bytes: 5 }));
}

#[test]
fn a_pvh_kernel_moves_where_its_place_is_taken() {
    let mut memory = MemoryMap::pc(64 << 20).unwrap();
    let place = |reloc: &[u32], memory: &MemoryMap| {
        let file = relocatable(reloc).build();
        let start = start_in(&Boot::new(Image::new(&file)), Some(Protocol::Pvh), memory)?;
        let base = placed(&start, "kernel").gpa.as_u64();
        assert_eq!(start.vcpu.rip, base + 0x10);
        assert_eq!(placed(&start, "kernel bss").gpa, Gpa::new(base + 0x10_0123));
        Ok(base)
    };
    assert_eq!(place(&[0x1000, 0x200_0000], &memory), Ok(0x10_0000), "its own place is free");
    memory.set(range(0x20_1000, 0x1000), MemoryKind::RESERVED).unwrap();
    assert_eq!(place(&[0x1000], &memory), Ok(0x20_2000));
    assert_eq!(place(&[0x20_0000], &memory), Ok(0x40_0000));
    assert_eq!(place(&[0x1000, 0x200_0000], &memory), Ok(0x200_0000));
    assert_eq!(place(&[0x1000, 0, 0x30_6FFF], &memory), Ok(0x20_2000), "ends at the last address");
    let error = place(&[0x1000, 0, 0x30_6FFE], &memory).unwrap_err();
    assert!(matches!(error, Error::Layout(boot_plan::Error::NoRoom { .. })), "{error}");
    // Nothing is left claimed where it was to be at first.
    let file = relocatable(&[0x1000]).build();
    let mut layout = Layout::new(&memory);
    plan_boot(&Boot::new(Image::new(&file)), None, &memory, &mut layout).unwrap();
    let kernel: Vec<_> = layout.owners().iter().filter(|(owner, _)| *owner == "kernel").collect();
    assert_eq!(kernel, [&("kernel", range(0x20_2000, 0x10_5000))]);
    // Least above most: there is no place.
    assert!(matches!(place(&[0x1000, 9, 8], &memory), Err(Error::Layout(_))));
    let file = pvh_kernel().build();
    let error = start_in(&Boot::new(Image::new(&file)), Some(Protocol::Pvh), &memory).unwrap_err();
    assert_eq!(error.to_string(), "kernel at 0x200000..0x205000 is not in guest memory");
}
