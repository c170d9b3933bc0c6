//! Starts by Multiboot, both versions, read back by the offsets of the specifications.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use boot_plan::MemoryMap;
use common::{
    ElfFile, Segment, bytes_at, multiboot1, multiboot2, placed, start_in, u16_at, u32_at, u64_at,
};
use elf_boot::{
    Apm, Boot, ColorFields, Error, Framebuffer, Image, Module, Protocol, Start, Tag, identify,
};
use guest_state::{Gpa, MemoryKind, VcpuState, cr0, rflags};

fn memory() -> MemoryMap {
    MemoryMap::pc(64 << 20).unwrap()
}

/// Starts by the version whose header `file` has.
fn start<'a>(boot: &Boot<'a>) -> Result<Start<'a>, Error> {
    let has_two = boot.kernel.bytes.windows(4).any(|four| four == 0xE852_50D6_u32.to_le_bytes());
    let protocol = if has_two { Protocol::Multiboot2 } else { Protocol::Multiboot };
    start_in(boot, Some(protocol), &memory())
}

/// An ELF with `header` at the start of its first segment, and code 40h bytes behind the end.
fn kernel(mut file: ElfFile, header: &[u8]) -> ElfFile {
    let mut text = header.to_vec();
    text.resize(0x400, 0xF4);
    file.entry = 0x10_0100;
    file.segment(Segment::load(0x10_0000, &text))
        .segment(Segment::load(0x20_0000, &[0xDA; 0x123]).memory_bytes(0x5000))
}

fn modules() -> [Module<'static>; 1] {
    [Module { image: Image::new(&[7; 0x1801]), command_line: b"module a=1" }]
}

/// The tags of the boot information: type and what follows its size.
fn tags<'s>(start: &'s Start<'_>) -> Vec<(u32, &'s [u8])> {
    let info = bytes_at(start, start.vcpu.general.rbx);
    let total = usize::try_from(u32_at(info, 0)).unwrap();
    assert_eq!(total, info.len());
    let (mut at, mut found) = (8, Vec::new());
    while at < total {
        let size = usize::try_from(u32_at(info, at + 4)).unwrap();
        found.push((u32_at(info, at), &info[at + 8..at + size]));
        at += size.next_multiple_of(8);
    }
    assert_eq!(found.pop(), Some((0, &[][..])), "the end tag");
    found
}

fn tag<'s>(start: &'s Start<'_>, kind: u32) -> &'s [u8] {
    let found: Vec<_> = tags(start).into_iter().filter(|(one, _)| *one == kind).collect();
    assert_eq!(found.len(), 1, "type {kind}");
    found[0].1
}

#[test]
fn the_cpu_starts_in_protected_mode_with_the_magic_in_eax() {
    for (header, magic) in [(multiboot1(0, &[]), 0x2BAD_B002), (multiboot2(&[]), 0x36D7_6289)] {
        for file in [ElfFile::elf32(0), ElfFile::elf64(0)] {
            let file = kernel(file, &header).build();
            let VcpuState { general, rip, cs, ds, es, fs, gs, ss, cr0, cr4, efer, rflags, .. } =
                start(&Boot::new(Image::new(&file))).unwrap().vcpu;
            assert_eq!((rip, general.rax), (0x10_0100, magic));
            assert_eq!(general.rbx % 8, 0);
            assert_eq!(cr0 & (cr0::PE | cr0::PG), cr0::PE);
            assert_eq!((cr4, efer), (0, 0));
            assert_eq!(rflags & (rflags::VM | rflags::IF), 0);
            assert!(cs.access.is_32bit());
            for segment in [cs, ds, es, fs, gs, ss] {
                assert_eq!((segment.base, segment.limit), (0, 0xFFFF_FFFF));
            }
        }
    }
}

#[test]
fn version_1_tells_memory_modules_and_command_line() {
    let file = kernel(ElfFile::elf32(0), &multiboot1(3, &[])).build();
    let (initrd, modules) = ([9; 0x20], modules());
    let boot = Boot::new(Image::new(&file))
        .initrd(Image::new(&initrd))
        .modules(&modules)
        .command_line(b"kernel quiet");
    let start = start(&boot).unwrap();
    let info = bytes_at(&start, start.vcpu.general.rbx);
    // mem, cmdline, mods, mmap, boot_loader_name; an ELF without sections has no syms.
    assert_eq!(u32_at(info, 0), 0b10_0100_1101);
    assert_eq!((u32_at(info, 4), u32_at(info, 8)), (0x9_FC00 / 1024, 63 << 10));
    assert_eq!(bytes_at(&start, u32_at(info, 16).into()), b"kernel quiet\0");

    assert_eq!(u32_at(info, 20), 2);
    let list = bytes_at(&start, u32_at(info, 24).into());
    for (index, (bytes, line)) in
        [(&initrd[..], &b"\0"[..]), (&[7; 0x1801], b"module a=1\0")].into_iter().enumerate()
    {
        let [from, to, string] = [0, 4, 8].map(|at| u32_at(list, 16 * index + at));
        assert_eq!(u32_at(list, 16 * index + 12), 0);
        assert_eq!((to - from) as usize, bytes.len());
        assert_eq!(from % 0x1000, 0, "on a page, as flag 0 asks");
        assert_eq!(bytes_at(&start, from.into()), bytes);
        assert_eq!(bytes_at(&start, string.into()), line);
    }

    let length = usize::try_from(u32_at(info, 44)).unwrap();
    let map = &bytes_at(&start, u32_at(info, 48).into())[..length];
    let told: Vec<_> = map
        .chunks(24)
        .map(|one| (u32_at(one, 0), u64_at(one, 4), u64_at(one, 12), u32_at(one, 20)))
        .collect();
    let regions = memory().regions().to_vec();
    let expected: Vec<_> = regions
        .iter()
        .map(|one| (20, one.range.start().as_u64(), one.range.size_bytes(), one.kind.0))
        .collect();
    assert_eq!(told, expected);
    assert!(bytes_at(&start, u32_at(info, 64).into()).starts_with(b"hvkit\0"));
}

#[test]
fn version_2_tells_memory_modules_and_command_line() {
    let file = kernel(ElfFile::elf64(0), &multiboot2(&[])).build();
    let modules = modules();
    let mut memory = memory();
    memory.insert_size(Gpa::new(1 << 33), 0x1000, MemoryKind::PERSISTENT).unwrap();
    let boot = Boot::new(Image::new(&file)).modules(&modules).command_line(b"quiet");
    let start = start_in(&boot, Some(Protocol::Multiboot2), &memory).unwrap();
    assert_eq!(tag(&start, 1), b"quiet\0");
    assert_eq!(tag(&start, 2), b"hvkit\0");
    let module = tag(&start, 3);
    let (from, to) = (u32_at(module, 0), u32_at(module, 4));
    assert_eq!(bytes_at(&start, from.into()), [7; 0x1801]);
    assert_eq!((to - from, &module[8..]), (0x1801, &b"module a=1\0"[..]));
    assert_eq!(tag(&start, 4), common::words(&[0x9_FC00 / 1024, 63 << 10]));
    let map = tag(&start, 6);
    assert_eq!((u32_at(map, 0), u32_at(map, 4)), (24, 0));
    let last = map[8..].chunks(24).next_back().unwrap();
    assert_eq!((u64_at(last, 0), u64_at(last, 8)), (1 << 33, 0x1000));
    // What the specification has no number for is reserved.
    assert_eq!((u32_at(last, 16), u32_at(last, 20)), (2, 0));
    assert_eq!(map.len(), 8 + 24 * memory.regions().len());
    assert_eq!(tags(&start).len(), 5);
}

#[test]
fn what_only_the_platform_knows_is_passed_on() {
    let (control_info, mode_info) = ([0xC0; 512], [0x30; 256]);
    let color = Some(ColorFields { red: (16, 8), green: (8, 9), blue: (0, 7) });
    let (width, height) = (1024, 768);
    let screen =
        Framebuffer { address: 0xFD00_0000, pitch_bytes: 4096, width, height, bits: 32, color };
    let apm = Apm {
        version: 0x0102,
        code_segment: 0xF000,
        offset: 0x1234,
        code_segment_16: 0xE000,
        data_segment: 0x40,
        flags: 3,
        code_segment_bytes: 4,
        code_segment_16_bytes: 5,
        data_segment_bytes: 6,
    };
    let given = [
        Tag::BootDevice { drive: 0x80, partition: 1, sub_partition: 0xFF },
        Tag::Vbe {
            mode: 0x118,
            interface: [1, 2, 3],
            control_info: &control_info,
            mode_info: &mode_info,
        },
        Tag::Framebuffer(screen),
        Tag::Apm(apm),
        Tag::Smbios { major: 3, minor: 7, table: b"structures" },
        Tag::Network(b"dhcpack"),
    ];
    let mut rsdp = [0x11; 36];
    rsdp[..8].copy_from_slice(b"RSD PTR ");
    let apm_bytes =
        [&[2, 1, 0, 0xF0, 0x34, 0x12, 0, 0, 0, 0xE0, 0x40, 0][..], &[3, 0, 4, 0, 5, 0, 6, 0]]
            .concat();
    let screen_bytes = [common::words(&[0xFD00_0000, 0, 4096, 1024, 768]), vec![32, 1]].concat();

    let file = kernel(ElfFile::elf64(0), &multiboot2(&[])).build();
    let started = start(&Boot::new(Image::new(&file)).tags(&given).rsdp_copy(rsdp)).unwrap();
    assert_eq!(tag(&started, 5), common::words(&[0x80, 1, u32::MAX]));
    let vbe = tag(&started, 7);
    assert_eq!([0, 2, 4, 6].map(|at| u16_at(vbe, at)), [0x118, 1, 2, 3]);
    assert_eq!((&vbe[8..520], &vbe[520..]), (&control_info[..], &mode_info[..]));
    assert_eq!(tag(&started, 8), [&screen_bytes[..], &[0, 0, 16, 8, 8, 9, 0, 7]].concat());
    assert_eq!(tag(&started, 10), apm_bytes);
    assert_eq!(tag(&started, 13), b"\x03\x07\0\0\0\0\0\0structures");
    assert_eq!(tag(&started, 14), &rsdp[..20]);
    assert_eq!(tag(&started, 15), rsdp);
    assert_eq!(tag(&started, 16), b"dhcpack");
    // Without an RSDT there is nothing for those who know ACPI 1.0.
    rsdp[16..20].fill(0);
    let started = start(&Boot::new(Image::new(&file)).rsdp_copy(rsdp)).unwrap();
    assert_eq!(tags(&started).iter().filter(|(kind, _)| [14, 15].contains(kind)).count(), 1);

    let file = kernel(ElfFile::elf32(0), &multiboot1(4, &[])).build();
    let started = start(&Boot::new(Image::new(&file)).tags(&given)).unwrap();
    let info = bytes_at(&started, started.vcpu.general.rbx);
    assert_eq!(u32_at(info, 0), 0b1_1110_0100_1111);
    assert_eq!(&info[12..16], &[0xFF, 0xFF, 1, 0x80]);
    assert_eq!(bytes_at(&started, u32_at(info, 68).into()), apm_bytes);
    assert_eq!(bytes_at(&started, u32_at(info, 72).into()), control_info);
    assert_eq!(bytes_at(&started, u32_at(info, 76).into()), mode_info);
    assert_eq!([80, 82, 84, 86].map(|at| u16_at(info, at)), [0x118, 1, 2, 3]);
    assert_eq!(&info[88..116], [&screen_bytes[..], &[16, 8, 8, 9, 0, 7]].concat());
}

#[test]
fn sections_without_an_address_are_loaded_and_told_of() {
    for (file, header) in [
        (ElfFile::elf32(0), multiboot1(0, &[])),
        (ElfFile::elf64(0), multiboot2(&[])),
        (ElfFile::elf64(0), multiboot1(0, &[])),
    ] {
        let (entry, field) = if file.class == 1 { (40, 12) } else { (64, 16) };
        let file = kernel(file, &header)
            .note_section(&common::note(b"X\0", 1, b"symbols", 4))
            .note_section(b"strings")
            .build();
        let start = start(&Boot::new(Image::new(&file))).unwrap();
        let info = bytes_at(&start, start.vcpu.general.rbx);
        let (numbers, headers) = if start.protocol == Protocol::Multiboot2 {
            let tag = tag(&start, 9);
            ([0, 4, 8].map(|at| u32_at(tag, at)), &tag[12..])
        } else {
            assert_eq!(u32_at(info, 0) >> 4 & 3, 0b10);
            let at = u32_at(info, 36);
            ([28, 32, 40].map(|at| u32_at(info, at)), bytes_at(&start, at.into()))
        };
        assert_eq!(numbers, [3, entry, 0]);
        assert_eq!(headers.len(), 3 * entry as usize);
        let second = u32_at(headers, 2 * entry as usize + field);
        assert_eq!(&bytes_at(&start, second.into())[..7], b"strings");
        assert_eq!(u32_at(headers, field), 0, "the null section");
    }
}

#[test]
fn an_entry_by_virtual_address_is_found() {
    for header in [multiboot1(0, &[]), multiboot2(&[])] {
        let mut file = kernel(ElfFile::elf64(0), &header);
        // Where the builder puts physical 1 MiB.
        file.entry = 0xFFFF_FFFF_8010_0200;
        let file = file.build();
        assert_eq!(start(&Boot::new(Image::new(&file))).unwrap().vcpu.rip, 0x10_0200);
    }
}

/// A flat file: 100h bytes before the header, then code; loaded to 1 MiB from 80h on.
fn flat(header: impl Fn(&[u32; 4], u32) -> Vec<u8>, addresses: &[u32; 4], entry: u32) -> Vec<u8> {
    let mut file = vec![0x11; 0x100];
    file.extend(header(addresses, entry));
    file.resize(0x1000, 0xF4);
    file
}

fn flat1(addresses: &[u32; 4], entry: u32) -> Vec<u8> {
    let [header, load, load_end, bss_end] = *addresses;
    flat(|_, _| multiboot1(1 << 16, &[header, load, load_end, bss_end, entry]), addresses, entry)
}

fn flat2(addresses: &[u32; 4], entry: u32) -> Vec<u8> {
    flat(|_, _| multiboot2(&[(2, 0, addresses), (3, 0, &[entry])]), addresses, entry)
}

#[test]
fn addresses_in_the_header_say_what_is_loaded() {
    for flat in [flat1, flat2] {
        let whole = flat(&[0x10_0080, 0x10_0000, 0x10_0300, 0x10_0900], 0x10_0200);
        let started = start(&Boot::new(Image::new(&whole))).unwrap();
        assert_eq!(started.vcpu.rip, 0x10_0200);
        let placement = placed(&started, "kernel");
        assert_eq!(placement.gpa, Gpa::new(0x10_0000));
        assert_eq!(placement.contents.bytes().unwrap(), &whole[0x80..0x380]);
        let bss = placed(&started, "kernel bss");
        assert_eq!((bss.gpa, bss.contents.size_bytes()), (Gpa::new(0x10_0300), 0x600));

        // Without an end: to the end of the file, and no bss.
        let open = flat(&[0x10_0080, 0x10_0000, 0, 0], 0x10_0F00);
        let started = start(&Boot::new(Image::new(&open))).unwrap();
        assert_eq!(placed(&started, "kernel").contents.bytes().unwrap(), &open[0x80..]);
        assert!(started.placements.iter().all(|one| one.tag != "kernel bss"));
    }
    // Version 2 may leave the start to the file's.
    let from_start = flat2(&[0x10_0100, u32::MAX, 0, 0], 0x10_0F00);
    let started = start(&Boot::new(Image::new(&from_start))).unwrap();
    assert_eq!(placed(&started, "kernel").contents.bytes().unwrap(), from_start);
}

#[test]
fn addresses_that_contradict_each_other_are_refused() {
    for flat in [flat1, flat2] {
        for addresses in [
            // Header before what is loaded; further behind it than there is file before it.
            [0x10_0000, 0x10_0001, 0, 0],
            [0x10_0200, 0x10_0000, 0, 0],
            // Ends before the start; bss that ends before the file's bytes.
            [0x10_0080, 0x10_0000, 0xF_FFFF, 0],
            [0x10_0080, 0x10_0000, 0x10_0300, 0x10_0200],
            [0x10_0080, 0x10_0000, 0x10_0300, 0x0F_0000],
        ] {
            let file = flat(&addresses, 0x10_0200);
            let [header, load, load_end, bss_end] = addresses;
            let error = Error::MultibootAddresses { header, load, load_end, bss_end };
            assert_eq!(start(&Boot::new(Image::new(&file))).unwrap_err(), error);
        }
        let file = flat(&[0x10_0080, 0x10_0000, 0x10_2000, 0], 0x10_0200);
        let error = start(&Boot::new(Image::new(&file))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "truncated: loaded part ends at 0x2080 but the file has 0x1000 bytes"
        );
        let file = flat(&[0x10_0080, 0x10_0000, 0x10_0300, 0x10_0900], 0x10_0300);
        let error = start(&Boot::new(Image::new(&file))).unwrap_err();
        assert_eq!(error, Error::EntryOutside { entry: 0x10_0300 }, "in the bss");
    }
    let file = flat(|four, _| multiboot2(&[(2, 0, four)]), &[0x10_0100, 0x10_0000, 0, 0], 0);
    assert_eq!(start(&Boot::new(Image::new(&file))).unwrap_err(), Error::NoEntryAddress);
}

#[test]
fn headers_are_found_where_the_specification_looks_and_only_there() {
    let entry = 0x10_0004;
    for (protocol, last, step) in
        [(Protocol::Multiboot, 8192 - 32, 4), (Protocol::Multiboot2, 32768 - 64, 8)]
    {
        let header = |offset: u32| {
            let addresses = [0x10_0000 + offset, 0x10_0000, 0, 0];
            if protocol == Protocol::Multiboot {
                multiboot1(1 << 16, &[addresses[0], addresses[1], 0, 0, entry])
            } else {
                multiboot2(&[(2, 0, &addresses), (3, 0, &[entry])])
            }
        };
        let found = |offset: usize| {
            let mut file = vec![0x90; 40_000];
            let bytes = header(u32::try_from(offset).unwrap());
            file[offset..offset + bytes.len()].copy_from_slice(&bytes);
            identify(&file).ways.iter().any(|way| way.protocol == protocol)
        };
        assert!(found(0) && found(step) && found(last));
        assert!(!found(step / 2) && !found(last + step + 4) && !found(36_000));
    }
}

#[test]
fn what_a_header_must_have_and_is_not_known_is_refused() {
    let refused = |header: &[u8]| {
        start(&Boot::new(Image::new(&kernel(ElfFile::elf32(0), header).build()))).unwrap_err()
    };
    assert_eq!(refused(&multiboot1(8, &[])), Error::MultibootFlags { flags: 8 });
    assert_eq!(refused(&multiboot1(4, &[])), Error::NoScreen);
    assert_eq!(refused(&multiboot2(&[(4, 0, &[1])])), Error::NoScreen);
    assert_eq!(refused(&multiboot2(&[(11, 0, &[])])), Error::MultibootTag { kind: 11 });
    assert_eq!(refused(&multiboot2(&[(1, 0, &[6, 22])])), Error::MultibootTag { kind: 22 });
    let mut arm = multiboot2(&[]);
    (arm[4], arm[12]) = (4, arm[12].wrapping_sub(4));
    assert_eq!(refused(&arm), Error::MultibootArchitecture { architecture: 4 });
    let mut sum = multiboot1(0, &[]);
    sum[8] ^= 1;
    assert!(matches!(refused(&sum), Error::MultibootChecksum { .. }));
    assert_eq!(refused(&[0; 16]), Error::NoMultibootHeader { searched_bytes: 8192 });

    // Optional, of no meaning here, or known without there being any: all the same.
    for tags in [
        &[(11, 1, &[][..]), (1, 1, &[99])][..],
        &[(1, 0, &[4, 6, 8, 11, 21]), (4, 0, &[2]), (5, 0, &[0, 0, 32]), (6, 0, &[])],
        &[(7, 0, &[]), (8, 0, &[1]), (9, 0, &[2])],
    ] {
        let file = kernel(ElfFile::elf64(0), &multiboot2(tags)).build();
        start(&Boot::new(Image::new(&file))).unwrap();
    }
}

#[test]
fn tags_that_do_not_fit_are_refused() {
    // The size of a tag without a body, and of one with an address. Behind the header stands what
    // would be an end tag.
    for (header, size) in [
        (multiboot2(&[(6, 0, &[])]), 0),
        (multiboot2(&[(6, 0, &[])]), 7),
        (multiboot2(&[(6, 0, &[])]), 24),
        (multiboot2(&[(6, 0, &[])]), u32::MAX),
        (multiboot2(&[(3, 0, &[0x10_0100])]), 8),
    ] {
        let mut bytes = [&header[..], &common::words(&[0, 8])].concat();
        bytes[20..24].copy_from_slice(&size.to_le_bytes());
        let file = kernel(ElfFile::elf64(0), &bytes).build();
        let error = start(&Boot::new(Image::new(&file))).unwrap_err();
        assert!(matches!(error, Error::MultibootHeaderCut { .. }), "{size:#x}: {error}");
    }
}

#[test]
fn a_relocatable_image_goes_where_it_asks_to_be() {
    let place = |words: [u32; 4], memory: &MemoryMap| {
        let file = kernel(ElfFile::elf64(0), &multiboot2(&[(10, 0, &words)])).build();
        let start = start_in(&Boot::new(Image::new(&file)), Some(Protocol::Multiboot2), memory);
        start.map(|start| {
            let base = u64::from(u32_at(tag(&start, 21), 0));
            assert_eq!(placed(&start, "kernel").gpa, Gpa::new(base));
            assert_eq!(start.vcpu.rip, base + 0x100);
            assert_eq!(placed(&start, "kernel bss").gpa, Gpa::new(base + 0x10_0123));
            base
        })
    };
    let memory = memory();
    // No preference: its own place, though that is not between the bounds.
    assert_eq!(place([0x200_0000, 0x300_0000, 0x1000, 0], &memory), Ok(0x10_0000));
    assert_eq!(place([0x200_0000, 0x300_0000, 0x1000, 1], &memory), Ok(0x200_0000));
    // 105000h bytes end at the highest aligned place.
    assert_eq!(place([0, 0x300_0000, 0x1000, 2], &memory), Ok(0x300_0000 - 0x10_5000));
    assert_eq!(place([0, u32::MAX, 0x20_0000, 2], &memory), Ok((64 << 20) - 0x20_0000));
    assert!(matches!(place([0x300_0000, 0x300_1000, 0x1000, 1], &memory), Err(Error::Layout(_))));
    assert_eq!(place([0, 9, 3, 1], &memory), Err(Error::RelocAlignment { alignment: 3 }));
    // Its own place is none: it moves.
    let mut taken = memory.clone();
    let hole = guest_state::GpaRange::new(Gpa::new(0x20_1000), 0x1000).unwrap();
    taken.set(hole, MemoryKind::RESERVED).unwrap();
    assert_eq!(place([0, u32::MAX, 0x1000, 0], &taken), Ok(0x20_2000));
    // One without the tag stays, and is not told of a base.
    let file = kernel(ElfFile::elf64(0), &multiboot2(&[])).build();
    assert!(tags(&start(&Boot::new(Image::new(&file))).unwrap()).iter().all(|tag| tag.0 != 21));
}

#[test]
fn an_image_that_can_not_be_loaded_says_so_before_it_asks_for_a_screen() {
    let file = multiboot1(1 << 16 | 1 << 2, &[0x10_0050, 0x10_0000, 0, 0, 0x10_0020]);
    let reason =
        identify(&file).refused.into_iter().find(|one| one.protocol == Protocol::Multiboot);
    let error = start(&Boot::new(Image::new(&file))).unwrap_err();
    assert_eq!(error, reason.unwrap().reason);
    assert!(matches!(error, Error::MultibootAddresses { .. }), "{error}");
}

#[test]
fn more_sections_than_are_passed_on_are_refused() {
    let with = |sections: usize| {
        let mut file = kernel(ElfFile::elf64(0), &multiboot2(&[]));
        file.note_sections = vec![b"x".to_vec(); sections];
        let file = file.build();
        start(&Boot::new(Image::new(&file))).map(|start| tags(&start).len())
    };
    // The null section counts.
    assert_eq!(with(4095), Ok(5));
    assert_eq!(with(4096), Err(Error::TooManySections { count: 4097, most: 4096 }));
}

#[test]
fn an_image_above_4_gib_is_refused() {
    let header = multiboot1(0, &[]);
    let high = Segment::load(0xFFFF_F000, &[1]).memory_bytes(0x1001);
    let file = kernel(ElfFile::elf64(0), &header).segment(high).build();
    let error = start(&Boot::new(Image::new(&file))).unwrap_err();
    assert!(matches!(error, Error::SegmentAbove4G { .. }), "{error}");
}
