//! One test for each class of fault that loaders of kernels were struck by.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use boot_plan::{Contents, MemoryMap};
use common::{
    BzFile, ElfFile, Segment, bytes_at, multiboot1, multiboot2, note, placed, pvh_kernel, pvh_note,
    start_in, u32_at, u64_at, words,
};
use elf_boot::{Boot, Error, Image, Protocol, identify};
use guest_state::{Gpa, MemoryKind};

fn memory() -> MemoryMap {
    MemoryMap::pc(64 << 20).unwrap()
}

fn can_start(file: &[u8], protocol: Protocol) -> bool {
    identify(file).ways.iter().any(|way| way.protocol == protocol)
}

/// A kernel that starts by every protocol for ELF64.
fn everything() -> Vec<u8> {
    let mut text = multiboot2(&[]);
    text.extend(multiboot1(0, &[]));
    text.resize(0x200, 0xF4);
    ElfFile::elf64(0x10_0100)
        .segment(Segment::load(0x10_0000, &text).memory_bytes(0x1003))
        .segment(Segment::note(&pvh_note(0x10_0180)))
        .build()
}

/// XSA-464, CVE-2024-45819: what a guest is given held bytes of the toolstack's heap.
#[test]
fn what_a_guest_is_given_has_no_byte_that_nobody_set() {
    let (elf, bzimage) = (everything(), BzFile::new().build());
    let line = b"odd";
    for &protocol in Protocol::ALL {
        let kernel = if can_start(&elf, protocol) { &elf } else { &bzimage };
        let boot = Boot::new(Image::new(kernel)).command_line(line);
        let plan = || start_in(&boot, Some(protocol), &memory()).unwrap();
        let first = plan();
        // Memory that was used before is handed out again.
        drop(vec![0xA5_u8; 1 << 20]);
        assert_eq!(first, plan(), "{protocol}");
    }
    // Padding between tags is zero, and so is all of a zero page that no field sets.
    let boot = Boot::new(Image::new(&elf)).command_line(line);
    let start = start_in(&boot, Some(Protocol::Multiboot2), &memory()).unwrap();
    let info = bytes_at(&start, start.vcpu.general.rbx);
    assert_eq!(&info[8..24], b"\x01\0\0\0\x0C\0\0\0odd\0\0\0\0\0");
    let start = start_in(&boot, Some(Protocol::Linux64), &memory()).unwrap();
    let page = bytes_at(&start, start.vcpu.general.rsi);
    let entries = 0x2D0 + 20 * usize::from(page[0x1E8]);
    for range in [0..0x70, 0x78..0xC0, 0xCC..0x1E8, 0x1E9..0x1F1, 0x290..0x2D0, entries..0x1000] {
        assert!(page[range.clone()].iter().all(|&byte| byte == 0), "{range:x?}");
    }
}

/// XSA-55, CVE-2013-2194 to 2196: sums of offsets and sizes that wrap around.
#[test]
fn sums_that_wrap_around_are_refused() {
    let extreme = [u64::MAX, u64::MAX - 7, 1 << 63, (1 << 63) - 1, u64::MAX >> 1, 1 << 32];
    for value in extreme {
        for class in [1, 2] {
            // Cut to 32 bits in an ELF32.
            for field in 0..4 {
                let mut kernel =
                    ElfFile { class, machine: if class == 1 { 3 } else { 62 }, ..pvh_kernel() };
                let segment = &mut kernel.segments[1];
                match field {
                    0 => segment.offset = Some(value),
                    1 => segment.file_bytes = Some(value),
                    2 => segment.memory_bytes = Some(value),
                    _ => segment.address = value,
                }
                let file = kernel.build();
                let boot = Boot::new(Image::new(&file));
                let started = start_in(&boot, Some(Protocol::Pvh), &memory());
                // What an ELF32 has of it may be sound.
                assert!(started.is_err() || class == 1, "{value:#x}, field {field}");
            }
            let mut file =
                ElfFile { class, machine: if class == 1 { 3 } else { 62 }, ..pvh_kernel() }.build();
            let at = if class == 1 { 28 } else { 32 };
            file[at..at + 4].copy_from_slice(&value.to_le_bytes()[..4]);
            file[at + 3] = 0xFF;
            assert!(identify(&file).ways.is_empty(), "program headers at {value:#x}");
        }
    }
    // The same with notes: 4 GiB of name, of descriptor, of both.
    for sizes in [[u32::MAX, 4], [4, u32::MAX], [u32::MAX, u32::MAX], [0xFFFF_FFF4, 0]] {
        let bytes = [words(&sizes), words(&[18]), b"Xen\0\0\0\x10\0".to_vec()].concat();
        let kernel = ElfFile::elf64(0)
            .segment(Segment::load(0x10_0000, &[0xF4; 16]))
            .segment(Segment::note(&bytes));
        assert!(!can_start(&kernel.build(), Protocol::Pvh), "{sizes:x?}");
    }
}

/// CVE-2016-9384: sizes of one class used for the other.
#[test]
fn sizes_are_those_of_the_files_own_class() {
    let small = ElfFile { class: 1, machine: 3, ..pvh_kernel() };
    for (kernel, right, wrong) in [(small, 32, 56), (pvh_kernel(), 56, 32)] {
        let sized = |size| ElfFile { program_header_bytes: Some(size), ..kernel.clone() }.build();
        assert!(can_start(&sized(right), Protocol::Pvh));
        assert!(!can_start(&sized(wrong), Protocol::Pvh));
        // Section headers of the other class are not taken for sections.
        let only_section = |size: u16| {
            let mut kernel = kernel.clone().note_section(&pvh_note(0x10_0010));
            kernel.segments.pop();
            let mut file = kernel.build();
            let at = if kernel.class == 1 { 46 } else { 58 };
            file[at..at + 2].copy_from_slice(&size.to_le_bytes());
            can_start(&file, Protocol::Pvh)
        };
        let (right, wrong) = if kernel.class == 1 { (40, 64) } else { (64, 40) };
        assert!(only_section(right) && !only_section(wrong));
    }
}

/// XSA-55's and CVE-2016-9384's other half: what libelf reads symbols by, and Multiboot passes on.
#[test]
fn no_section_leads_outside_of_the_file() {
    let extreme = [0, 1, 0x7FFF_FFFF, u64::from(u32::MAX), 1 << 63, u64::MAX - 7, u64::MAX];
    for (class, machine, [table, offset, size, alignment]) in
        [(1, 3, [0x20, 16, 20, 32]), (2, 62, [0x28, 24, 32, 48])]
    {
        let text = [multiboot2(&[]), multiboot1(0, &[])].concat();
        let kernel = ElfFile { class, machine, ..ElfFile::elf64(0x10_0000) }
            .segment(Segment::load(0x10_0000, &text))
            .note_section(b"symbols")
            .build();
        let width = if class == 1 { 4 } else { 8 };
        let number = |file: &[u8], at: usize| match width {
            4 => u32_at(file, at).into(),
            _ => u64_at(file, at),
        };
        let headers = usize::try_from(number(&kernel, table)).unwrap();
        // The first section is none.
        let header = headers + if class == 1 { 40 } else { 64 };
        for field in [table, header + offset, header + size, header + alignment] {
            // A table that begins in the file's own header may be sound.
            for value in extreme.into_iter().filter(|&value| field != table || value != 1) {
                let mut file = kernel.clone();
                file[field..field + width].copy_from_slice(&value.to_le_bytes()[..width]);
                let section = [header + offset, header + size].map(|at| number(&file, at));
                let is_inside = match section[0].checked_add(section[1]) {
                    // No table, no sections.
                    _ if field == table => number(&file, table) == 0,
                    Some(end) => section[1] == 0 || end <= file.len() as u64,
                    None => false,
                };
                for protocol in [Protocol::Multiboot, Protocol::Multiboot2] {
                    let boot = Boot::new(Image::new(&file));
                    let started = start_in(&boot, Some(protocol), &memory());
                    assert_eq!(started.is_ok(), is_inside, "{protocol}, {field:#x}: {value:#x}");
                }
            }
        }
    }
}

/// CVE-2022-23523 and its kind: offsets past the end of the file, and headers cut in the middle.
#[test]
fn no_length_of_a_file_makes_it_sound_but_the_whole() {
    let small = BzFile { kernel: vec![0xA5; 0x400], ..BzFile::new() }.u32(0x1F4, 0x40).build();
    for (file, protocol, least) in [
        (pvh_kernel().build(), Protocol::Pvh, None),
        (small, Protocol::Linux64, None),
        (everything(), Protocol::Multiboot, Some(64 + 2 * 56 + 0x200)),
        (everything(), Protocol::Multiboot2, Some(64 + 2 * 56 + 0x200)),
    ] {
        let least = least.unwrap_or(file.len() - 15);
        for length in 0..least {
            assert!(!can_start(&file[..length], protocol), "{protocol}, {length} bytes");
        }
        assert!(can_start(&file, protocol));
    }
}

/// What never ends: notes that lead nowhere, tags without a length, a table of 65,535 headers.
#[test]
fn work_is_bounded_whatever_a_file_says() {
    // A megabyte of empty notes, by as many segments as there may be, all of them the same one.
    let empty = vec![0; 1 << 20];
    let mut kernel = ElfFile::elf64(0).segment(Segment::load(0x10_0000, &[0xF4; 16]));
    kernel = kernel.segment(Segment::note(&empty));
    let shared = Segment { offset: Some(0x4A0), file_bytes: Some(1 << 20), ..Segment::note(&[]) };
    for _ in 0..200 {
        kernel = kernel.segment(shared.clone());
    }
    let file = kernel.build();
    let refused = identify(&file).refused.into_iter().find(|one| one.protocol == Protocol::Pvh);
    assert_eq!(refused.unwrap().reason, Error::TooManyNotes { most: 4096 });
    let tag = multiboot2(&[(6, 0, &[])]);
    let still = [&tag[..20], &[0; 4], &tag[24..], &[0xF4; 64]].concat();
    assert!(!can_start(&still, Protocol::Multiboot2));
    let many = ElfFile { program_header_count: Some(u16::MAX), ..pvh_kernel() }.build();
    assert!(identify(&many).ways.is_empty());
}

/// CVE-2017-14167, CVE-2018-7550: QEMU's reading of Multiboot's addresses; CVE-2020-13765: ROMs
/// copied past their end.
#[test]
fn no_address_in_a_multiboot_header_leads_outside_of_the_file() {
    let values =
        [0, 1, 0x10_0000, 0x10_0020, 0x10_0100, 0x7FFF_FFFF, 0x8000_0000, u32::MAX - 1, u32::MAX];
    let mut sound = 0;
    for header in values {
        for load in values {
            for load_end in values {
                for bss_end in values {
                    let addresses = [header, load, load_end, bss_end];
                    let entry = load.wrapping_add(0x20);
                    let [one, two] = [
                        multiboot1(1 << 16, &[header, load, load_end, bss_end, entry]),
                        multiboot2(&[(2, 0, &addresses), (3, 0, &[entry])]),
                    ];
                    for (mut file, protocol) in
                        [(one, Protocol::Multiboot), (two, Protocol::Multiboot2)]
                    {
                        file.resize(0x100, 0xF4);
                        let boot = Boot::new(Image::new(&file));
                        let Ok(start) = start_in(&boot, Some(protocol), &memory()) else {
                            continue;
                        };
                        sound += 1;
                        let Contents::Borrowed(bytes) = placed(&start, "kernel").contents else {
                            panic!("{addresses:x?}");
                        };
                        assert!(bytes.len() <= file.len());
                    }
                }
            }
        }
    }
    assert!(sound > 0);
}

/// CH#3222, osv#1113, and linux-loader's loop: where the note is does not matter.
#[test]
fn an_entry_is_found_whatever_note_stands_last() {
    let gnu = Segment { align: 8, ..Segment::note(&note(b"GNU\0", 5, &[1; 20], 8)) };
    let kernel = pvh_kernel().segment(gnu);
    assert!(can_start(&kernel.build(), Protocol::Pvh));
}

/// linux-loader leaves `.bss` as it was, and counts it as free.
#[test]
fn zeros_behind_a_segment_are_written_and_nobody_elses() {
    let kernel = ElfFile::elf64(0x10_0000)
        .segment(Segment::load(0x10_0000, &[0xF4; 16]))
        .segment(Segment::load(0x10_1000, &[]).memory_bytes((63 << 20) - 0x4000))
        .build();
    let initrd = [1; 0x1000];
    let boot = Boot::new(Image::new(&kernel)).initrd(Image::new(&initrd));
    let start = start_in(&boot, Some(Protocol::Linux64), &memory()).unwrap();
    let bss = placed(&start, "kernel bss");
    assert_eq!(bss.contents, Contents::Zeros((63 << 20) - 0x4000));
    assert!(!placed(&start, "initrd").range().unwrap().overlaps(bss.range().unwrap()));
}

/// Counts cut to 8, 16 or 32 bits: E820 entries, sections, addresses above 4 GiB.
#[test]
fn no_count_or_address_is_cut() {
    let mut memory = memory();
    for index in 0..300 {
        let at = Gpa::new((1 << 32) + index * 0x2000);
        memory.insert_size(at, 0x1000, MemoryKind::RESERVED).unwrap();
    }
    let count = memory.regions().len();
    let (elf, bzimage) = (everything(), BzFile::new().build());
    let start =
        |file, protocol| start_in(&Boot::new(Image::new(file)), Some(protocol), &memory).unwrap();
    let linux = start(&bzimage, Protocol::Linux32);
    let page = bytes_at(&linux, linux.vcpu.general.rsi);
    let data = bytes_at(&linux, u64::from(u32_at(page, 0x250)));
    assert_eq!(usize::from(page[0x1E8]) + (data.len() - 16) / 20, count);
    let two = start(&elf, Protocol::Multiboot2);
    let info = bytes_at(&two, two.vcpu.general.rbx);
    assert_eq!(u32_at(info, 0) as usize, info.len());
    let pvh = start(&elf, Protocol::Pvh);
    assert_eq!(u32_at(bytes_at(&pvh, pvh.vcpu.general.rbx), 48) as usize, count);
    // 5 GiB would be 1 GiB in 32 bits.
    let high =
        ElfFile::elf64(0x1_4000_0000).segment(Segment::load(0x1_4000_0000, &multiboot1(0, &[])));
    assert!(!can_start(&high.build(), Protocol::Multiboot));
    let far = BzFile::new().u64(0x258, 0x1_4000_0000).build();
    assert!(!can_start(&far, Protocol::Linux32) && can_start(&far, Protocol::Linux64));
}

/// Segments where there is no RAM, some of it, or no address at all.
#[test]
fn what_does_not_fit_memory_is_an_error_before_anything_is_placed() {
    for address in [0_u64, 0x9_F000, 0xA_0000, 0xF_0000, 0x3FF_F000, 0xC000_0000, u64::MAX - 0x1000]
    {
        let file = ElfFile::elf64(address)
            .segment(Segment::load(address, &[0xF4; 16]).memory_bytes(0x1001))
            .build();
        let start = start_in(&Boot::new(Image::new(&file)), Some(Protocol::Linux64), &memory());
        assert_eq!(start.is_ok(), address == 0, "{address:#x}");
    }
}
