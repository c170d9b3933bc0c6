//! What hvmloader reads and what it leaves, against pictures drawn by hand.

#![allow(clippy::unwrap_used)]

use core::sync::atomic::AtomicU64;

use boot_plan::{Layout, MemoryMap};
use guest_state::{Gpa, GpaRange, GuestMemory, MemoryKind, WordMemory};
use hvmloader_core::{Error, GenerationId, LoadedInfo, XenInfo, XenInfoReader, XenLeaves, XenMap};
use proptest::prelude::*;

const RAM: MemoryKind = MemoryKind::RAM;
const RESERVED: MemoryKind = MemoryKind::RESERVED;
const NVS: MemoryKind = MemoryKind::NVS;

const XEN_MAP: XenMap = XenMap {
    bios: Gpa::new(0xC_0000),
    low_ram_end: Gpa::new(0xF000_0000),
    acpi_end: Gpa::new(0xFC00_B000),
    op_region: Some(Gpa::new(0xFD00_0000)),
    high_ram_end: Gpa::new(0x1_1000_0000),
};

fn listed(map: &MemoryMap) -> Vec<(u64, u64, MemoryKind)> {
    let span = |range: GpaRange| (range.start().as_u64(), range.end().as_u64());
    let regions = map.regions().iter();
    regions.map(|at| (span(at.range).0, span(at.range).1, at.kind)).collect()
}

#[test]
fn the_map_is_hvmloaders() {
    let expected = [
        (0, 0xA_0000, RAM),
        (0xC_0000, 0x10_0000, RESERVED),
        (0x10_0000, 0xF000_0000, RAM),
        (0xFC00_0000, 0xFC00_B000, NVS),
        (0xFC00_B000, 0xFD00_0000, RESERVED),
        (0xFD00_0000, 0xFD00_3000, NVS),
        (0xFD00_3000, 0x1_0000_0000, RESERVED),
        (0x1_0000_0000, 0x1_1000_0000, RAM),
    ];
    assert_eq!(listed(&XEN_MAP.build().unwrap()), expected);
    let plain = XenMap { op_region: None, high_ram_end: Gpa::ZERO, ..XEN_MAP };
    let mut without = expected[..4].to_vec();
    without.push((0xFC00_B000, 0x1_0000_0000, RESERVED));
    assert_eq!(listed(&plain.build().unwrap()), without);
}

#[test]
fn ranges_that_do_not_fit_the_map_are_refused() {
    for bad in [
        XenMap { bios: Gpa::new(0xB_0000), ..XEN_MAP },
        XenMap { bios: Gpa::new(0x10_0001), ..XEN_MAP },
        XenMap { low_ram_end: Gpa::new(0xFC00_0001), ..XEN_MAP },
        XenMap { low_ram_end: Gpa::new(0xF_FFFF), ..XEN_MAP },
        XenMap { acpi_end: Gpa::new(0xFBFF_FFFF), ..XEN_MAP },
        XenMap {
            acpi_end: Gpa::new(0x1_0000_0001),
            op_region: None,
            high_ram_end: Gpa::ZERO,
            ..XEN_MAP
        },
        XenMap { op_region: Some(Gpa::new(0xFC00_A000)), ..XEN_MAP },
        XenMap { op_region: Some(Gpa::new(0xF800_0000)), ..XEN_MAP },
        XenMap { op_region: Some(Gpa::new(0xFFFF_E000)), ..XEN_MAP },
        XenMap { op_region: Some(Gpa::new(u64::MAX)), ..XEN_MAP },
    ] {
        assert!(matches!(bad.build(), Err(Error::XenMap { .. })), "{bad:x?}");
    }
}

#[test]
fn infos_are_laid_out_as_their_readers_declare() {
    let mut memory = MemoryMap::new();
    memory.insert(GpaRange::new(Gpa::ZERO, 0xA_0000).unwrap(), RAM).unwrap();
    let tables = [Gpa::new(0xF_1230), Gpa::new(0xF_4560)];
    let build = |reader| XenInfo { reader, tables: &tables, memory: &memory }.build().unwrap();
    let e820 = [[0; 8], [0, 0, 0xA, 0, 0, 0, 0, 0]].concat();
    let sum = |bytes: &[u8]| bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));

    let seabios = build(XenInfoReader::SeaBios);
    assert_eq!(seabios[..15], *b"XenHVMSeaBIOS\0\x20");
    assert_eq!(sum(&seabios[..32]), 0);
    // Tables at 1020h, two; the map at 1028h, one.
    assert_eq!(seabios[16..32], *b"\x20\x10\0\0\x02\0\0\0\x28\x10\0\0\x01\0\0\0");
    assert_eq!(seabios[32..40], *b"\x30\x12\x0F\0\x60\x45\x0F\0");
    assert_eq!(seabios[40..], [&e820[..], &[1, 0, 0, 0]].concat());

    let ovmf = build(XenInfoReader::Ovmf);
    assert_eq!(ovmf[..15], *b"XenHVMOVMF\0\0\0\0\x28");
    assert_eq!(sum(&ovmf[..40]), 0);
    assert_eq!(ovmf[16..28], *b"\x28\x10\0\0\0\0\0\0\x02\0\0\0");
    assert_eq!(ovmf[28..40], *b"\x38\x10\0\0\0\0\0\0\x01\0\0\0");
    assert_eq!(ovmf[40..56], *b"\x30\x12\x0F\0\0\0\0\0\x60\x45\x0F\0\0\0\0\0");
    assert_eq!(ovmf[56..], seabios[40..]);
}

#[test]
fn what_an_info_can_not_tell_is_refused() {
    let memory = MemoryMap::new();
    let build = |reader, tables: &[u64], memory: &MemoryMap| {
        let tables: Vec<_> = tables.iter().map(|table| Gpa::new(*table)).collect();
        XenInfo { reader, tables: &tables, memory }.build()
    };
    let refused = |tables, regions| Err(Error::XenInfo { tables, regions });
    let (seabios, ovmf) = (XenInfoReader::SeaBios, XenInfoReader::Ovmf);
    assert_eq!(build(seabios, &[1; 5], &memory), refused(5, 0));
    assert_eq!(build(seabios, &[1, 0], &memory), refused(2, 0));
    assert_eq!(build(seabios, &[1 << 32], &memory), refused(1, 0));
    assert!(build(ovmf, &[1 << 32], &memory).is_ok());
    // 204 entries of 20 bytes exceed a page with the 32 of the head, 203 do not.
    let mut many = MemoryMap::new();
    for at in 0..203 {
        many.insert_size(Gpa::new(at * 0x2000), 0x1000, RAM).unwrap();
    }
    assert!(build(seabios, &[], &many).is_ok());
    many.insert_size(Gpa::new(203 * 0x2000), 0x1000, RAM).unwrap();
    assert_eq!(build(seabios, &[], &many), refused(0, 204));
}

fn words() -> Vec<AtomicU64> {
    (0..0x200).map(|_| AtomicU64::new(0)).collect()
}

/// A start info at 0 of 4 KiB of memory: a module named firmware, one without a name.
fn start_info(version: u8) -> Vec<u8> {
    let mut bytes = vec![0; 0x300];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &[0x78, 0xC5, 0x6E, 0x33, version]);
    put(12, &[2]);
    put(16, &[0, 1]);
    put(24, &[0x80]);
    put(32, &[0x30, 0x12, 0x0F]);
    put(40, &[0, 2]);
    put(48, &[1]);
    put(0x80, b"quiet\0");
    put(0x88, b"firmware\0");
    put(0x100, &[0, 0, 0x40]);
    put(0x108, &[0, 0, 4]);
    put(0x110, &[0x88]);
    put(0x120, &[0, 0, 0x50]);
    put(0x128, &[1]);
    put(0x20A, &[0xA]);
    put(0x210, &[1]);
    bytes
}

fn read(bytes: &[u8]) -> Result<LoadedInfo, Error> {
    let words = words();
    let memory = WordMemory::new(Gpa::ZERO, &words);
    memory.write(Gpa::ZERO, bytes).unwrap();
    LoadedInfo::read(&memory, Gpa::ZERO)
}

#[test]
fn a_start_info_names_the_firmware_it_came_with() {
    let info = read(&start_info(1)).unwrap();
    assert_eq!(info.command_line, b"quiet");
    assert_eq!(info.rsdp, Some(Gpa::new(0xF_1230)));
    let firmware = info.module(b"firmware").unwrap();
    assert_eq!(firmware.range, GpaRange::new(Gpa::new(0x40_0000), 0x4_0000).unwrap());
    assert_eq!(info.modules.len(), 2);
    assert_eq!(info.modules[1].command_line, b"");
    assert_eq!(info.module(b"acpi"), None);
    let [memory] = info.memory[..] else { unreachable!("{:?}", info.memory) };
    assert_eq!((memory.size_bytes.get(), memory.kind.get()), (0xA_0000, 1));
    // Version 0 ends before the memory map, whatever stands there.
    assert!(read(&start_info(0)).unwrap().memory.is_empty());
}

#[test]
fn start_infos_that_lie_are_refused() {
    let read = |at: usize, value: &[u8]| {
        let mut bytes = start_info(1);
        bytes[at..at + value.len()].copy_from_slice(value);
        read(&bytes).unwrap_err()
    };
    assert_eq!(read(0, &[0]), Error::StartInfoMagic { magic: 0x336E_C500 });
    assert_eq!(read(12, &[65]), Error::StartInfoCount { count: 65, most: 64 });
    assert_eq!(read(48, &[1, 4]), Error::StartInfoCount { count: 1025, most: 1024 });
    assert!(matches!(read(0x108, &[0xFF; 8]), Error::StartInfoRange { .. }));
    assert!(matches!(read(24, &[0xFF; 8]), Error::Memory(_)));
    assert!(matches!(read(16, &[0xF0, 0x0F]), Error::Memory(_)));
    // No zero up to the end of 8 KiB of memory.
    let words: Vec<_> = (0..0x400).map(|_| AtomicU64::new(0x4141_4141_4141_4141)).collect();
    let memory = WordMemory::new(Gpa::ZERO, &words);
    memory.write(Gpa::ZERO, &start_info(1)).unwrap();
    memory.write(Gpa::new(24), &[0, 8]).unwrap();
    let refused = LoadedInfo::read(&memory, Gpa::ZERO);
    assert_eq!(refused, Err(Error::StartInfoText { start: Gpa::new(0x800) }));
}

#[test]
fn a_generation_id_has_a_page_of_its_own() {
    let map = MemoryMap::pc(64 << 20).unwrap();
    let mut layout = Layout::new(&map);
    let id = GenerationId::place(&mut layout, [7; 16]).unwrap();
    assert_eq!(id.page, GpaRange::new(Gpa::new(0x3FF_F000), 0x1000).unwrap());
    assert_eq!(id.placement.range(), GpaRange::new(Gpa::new(0x3FF_F000), 16));
    assert_eq!(id.placement.contents.bytes(), Some(&[7; 16][..]));
    assert_eq!(layout.owners(), [("generation id", id.page)]);
    let none = GenerationId::place(&mut Layout::new(&MemoryMap::new()), [0; 16]);
    assert_eq!(none, Err(Error::GenerationId));
}

proptest! {
    #[test]
    fn reading_a_start_info_never_panics(
        version in 0_u8..3,
        edits in prop::collection::vec((0_usize..0x2F8, any::<u8>(), 1_usize..9), 0..10),
    ) {
        let mut bytes = start_info(version);
        for (at, value, length) in edits {
            bytes[at..at + length].fill(value);
        }
        if let Ok(info) = read(&bytes) {
            prop_assert!(info.modules.len() <= 64 && info.memory.len() <= 1024);
        }
    }
}

#[test]
fn xen_is_found_wherever_its_leaves_are() {
    let [ebx, ecx, edx] = [0x566E_6558, 0x6558_4D4D, 0x4D4D_566E];
    let at = |base: u32, most: u32| {
        move |leaf: u32| match leaf.wrapping_sub(base) {
            0 => [most, ebx, ecx, edx],
            1 => [4 << 16 | 17, 0, 0, 0],
            _ => [0; 4],
        }
    };
    for base in [0x4000_0000, 0x4000_0100, 0x4000_FF00] {
        let found = XenLeaves::find(at(base, base + 2));
        assert_eq!(found, Some(XenLeaves { base, version: (4, 17) }));
    }
    // One that has no leaf for hypercalls, others that are not looked at, and none.
    assert_eq!(XenLeaves::find(at(0x4000_0000, 0x4000_0001)), None);
    assert_eq!(XenLeaves::find(at(0x4000_0080, 0x4000_0082)), None);
    assert_eq!(XenLeaves::find(at(0x4001_0000, 0x4001_0002)), None);
    assert_eq!(XenLeaves::find(|_| [!0; 4]), None);
}
