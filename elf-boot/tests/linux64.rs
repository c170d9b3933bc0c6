//! Starts by Linux' 64-bit entry, read back by the offsets of its documentation.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::sync::atomic::AtomicU64;

use boot_plan::{BootPlan, Contents, FileId, MemoryMap};
use common::{BzFile, ElfFile, Segment, bytes_at, placed, start_in, u16_at, u32_at, u64_at};
use elf_boot::{Boot, Error, Image, Protocol, SetupData, Start};
use guest_state::{
    Access, Gpa, GpaRange, Gva, MemoryKind, PagingState, Segment as CpuSegment, WordMemory, cr0,
    cr4, efer, rflags, translate,
};

fn memory() -> MemoryMap {
    MemoryMap::pc(64 << 20).unwrap()
}

fn start<'a>(boot: &Boot<'a>) -> Result<Start<'a>, Error> {
    start_in(boot, Some(Protocol::Linux64), &memory())
}

/// A vmlinux as since Linux 6.17: its entry is not where its lowest segment begins.
fn vmlinux() -> ElfFile {
    ElfFile::elf64(0x120_0040)
        .segment(Segment::load(0x100_0000, &[0x90; 0x2000]))
        .segment(Segment::load(0x120_0000, &[0xF4; 0x100]).memory_bytes(0x10_0000))
}

fn zero_page<'p>(start: &'p Start<'_>) -> &'p [u8] {
    let page = bytes_at(start, start.vcpu.general.rsi);
    assert_eq!(page.len(), 0x1000);
    page
}

fn pointers(start: &Start<'_>) -> (u64, u64, u64) {
    let page = zero_page(start);
    let high = |offset| u64::from(u32_at(page, offset)) << 32;
    let join = |low, high_offset| u64::from(u32_at(page, low)) | high(high_offset);
    (join(0x218, 0x0C0), join(0x21C, 0x0C4), join(0x228, 0x0C8))
}

#[test]
fn the_zero_page_leads_to_everything() {
    let initrd = vec![0x55; 0x1234];
    for kernel in [BzFile::new().build(), vmlinux().build()] {
        let boot = Boot::new(Image::new(&kernel))
            .initrd(Image::new(&initrd))
            .command_line(b"console=ttyS0")
            .rsdp(Gpa::new(0xF_1230));
        let start = start(&boot).unwrap();
        let (ramdisk, ramdisk_bytes, command_line) = pointers(&start);
        assert_eq!(ramdisk, (64 << 20) - 0x2000);
        assert_eq!(ramdisk_bytes, 0x1234);
        assert_eq!(bytes_at(&start, ramdisk), initrd);
        assert_eq!(bytes_at(&start, command_line), b"console=ttyS0\0");

        let page = zero_page(&start);
        assert_eq!(u64_at(page, 0x070), 0xF_1230);
        assert_eq!(u16_at(page, 0x1FE), 0xAA55);
        assert_eq!(&page[0x202..0x206], b"HdrS");
        assert_eq!(page[0x210], 0xFF, "type_of_loader");
        assert_eq!(page[0x211] & 1, 1, "LOADED_HIGH");
        assert_eq!(page[0x1EF], 0, "sentinel");
        assert_eq!(u64_at(page, 0x250), 0, "setup_data");
        let expected: Vec<_> = memory()
            .regions()
            .iter()
            .map(|r| (r.range.start().as_u64(), r.range.size_bytes(), r.kind.0))
            .collect();
        let entries: Vec<_> = (0..page[0x1E8].into())
            .map(|index: usize| 0x2D0 + 20 * index)
            .map(|at| (u64_at(page, at), u64_at(page, at + 8), u32_at(page, at + 16)))
            .collect();
        assert_eq!(entries, expected);
    }
}

#[test]
fn without_initrd_and_root_pointer_their_fields_are_zero() {
    let kernel = BzFile::new().u64(0x218, 0x1111_2222_3333_4444).build();
    let start = start(&Boot::new(Image::new(&kernel))).unwrap();
    let (ramdisk, ramdisk_bytes, command_line) = pointers(&start);
    assert_eq!((ramdisk, ramdisk_bytes), (0, 0));
    // Zero would mean a loader from before version 2.02.
    assert_eq!(bytes_at(&start, command_line), b"\0");
    assert_eq!(u64_at(zero_page(&start), 0x070), 0);
}

#[test]
fn the_header_is_copied_to_its_declared_end_and_no_further() {
    let kernel = BzFile::new().field(0x26C, b"code, not a field").build();
    let page = zero_page(&start(&Boot::new(Image::new(&kernel))).unwrap()).to_vec();
    assert_eq!(u32_at(&page, 0x268), 0x1234_5678, "kernel_info_offset");
    assert_eq!(u32_at(&page, 0x260), 0x40_0000, "init_size");
    assert!(page[0x26C..0x290].iter().all(|&byte| byte == 0));
    assert!(page[..0x70].iter().all(|&byte| byte == 0));

    // A header of the future goes on, but not into what the zero page has behind it.
    let longer =
        BzFile { header_end: 0x2FF, ..BzFile::new() }.u32(0x28C, 7).u32(0x290, 0xFFFF_FFFF);
    let longer = longer.build();
    let page = zero_page(&start(&Boot::new(Image::new(&longer))).unwrap()).to_vec();
    assert_eq!(u32_at(&page, 0x28C), 7);
    assert_eq!(u32_at(&page, 0x290), 0);
}

#[test]
fn the_cpu_starts_in_64_bit_mode_without_interrupts() {
    for (kernel, entry) in [(BzFile::new().build(), 0x100_0200), (vmlinux().build(), 0x120_0040)] {
        let start = start(&Boot::new(Image::new(&kernel))).unwrap();
        let cpu = start.vcpu;
        assert_eq!(cpu.rip, entry);
        assert!(cpu.is_64bit());
        assert_eq!(cpu.rflags & rflags::IF, 0);
        assert_eq!(cpu.cr0 & (cr0::PE | cr0::PG), cr0::PE | cr0::PG);
        assert_eq!(cpu.cr4, cr4::PAE);
        assert_eq!(cpu.efer, efer::LME | efer::LMA);
        assert_eq!((cpu.cs.selector, cpu.ds.selector, cpu.ss.selector), (0x10, 0x18, 0x18));

        // Loading the selectors again gives the same segments.
        let gdt = &bytes_at(&start, cpu.gdtr.base)[..usize::from(cpu.gdtr.limit) + 1];
        for segment in [cpu.cs, cpu.ds, cpu.es, cpu.ss, cpu.tr] {
            let descriptor = u64_at(gdt, segment.selector.into());
            assert_eq!(CpuSegment::from_descriptor(segment.selector, descriptor), segment);
        }
        assert_eq!(u64_at(gdt, 0), 0);
        assert_eq!(u64_at(gdt, 0x28), 0, "the upper half of TR");
    }
}

#[test]
fn four_gib_are_mapped_to_themselves_without_gib_pages() {
    let kernel = vmlinux().build();
    let start = start(&Boot::new(Image::new(&kernel))).unwrap();
    let words: Vec<AtomicU64> = (0..8 << 20).map(|_| AtomicU64::new(0)).collect();
    let guest = WordMemory::new(Gpa::ZERO, &words);
    let mut plan = BootPlan::new(memory());
    plan.placements = start.placements;
    plan.apply(&guest).unwrap();
    let paging = PagingState { has_1g_pages: false, ..PagingState::new(&start.vcpu, 36) };
    let lookup = |at| translate(&guest, &paging, Gva::new(at), Access::SUPERVISOR_READ);
    for at in (0..4 << 30).step_by(2 << 20).chain([0x1FFF, 0xFFFF_FFFF]) {
        let found = lookup(at).unwrap();
        assert_eq!(found.gpa, Gpa::new(at));
        assert!(found.writable && !found.execute_disabled);
    }
    assert!(lookup(4 << 30).is_err());
}

#[test]
fn a_kernel_above_4_gib_is_mapped_too() {
    let kernel = ElfFile::elf64(0x1_4000_0010)
        .segment(Segment::load(0x1_4000_0000, &[0xF4; 0x100]).memory_bytes(0x1000))
        .build();
    let start =
        start_in(&Boot::new(Image::new(&kernel)), None, &MemoryMap::pc(8 << 30).unwrap()).unwrap();
    assert_eq!(start.vcpu.rip, 0x1_4000_0010);

    let mut memory = memory();
    memory.insert_size(Gpa::new(1 << 40), 1 << 20, MemoryKind::RAM).unwrap();
    let kernel = ElfFile::elf64(1 << 40).segment(Segment::load(1 << 40, &[0xF4; 0x100])).build();
    let error = start_in(&Boot::new(Image::new(&kernel)), None, &memory).unwrap_err();
    assert_eq!(error, Error::KernelTooHigh { end: Gpa::new((1 << 40) + 0x100) });
}

#[test]
fn the_kernel_proper_is_a_part_of_the_file() {
    let image = BzFile::new();
    let mut file = image.build();
    file.extend_from_slice(b"a signature that is not for the guest");
    let start = start(&Boot::new(Image::of_file(FileId(9), &file))).unwrap();
    let kernel = placed(&start, "kernel");
    assert_eq!(kernel.gpa, Gpa::new(0x100_0000));
    let Contents::File { file: FileId(9), offset: 0x800, bytes } = kernel.contents else {
        panic!("{:?}", kernel.contents);
    };
    assert_eq!(bytes, image.kernel);
}

#[test]
fn no_setup_sectors_mean_four() {
    let mut file = BzFile::new().u8(0x1F1, 0).build();
    file.splice(0x800..0x800, [0xCC; 512]);
    let start = start(&Boot::new(Image::new(&file))).unwrap();
    assert_eq!(placed(&start, "kernel").contents.bytes().unwrap(), BzFile::new().kernel);
}

#[test]
fn the_initrd_stays_out_of_what_the_kernel_unpacks_to() {
    // 33 MiB are the kernel's, from 16 MiB on; 15 MiB are left on each side.
    let kernel = BzFile::new().u32(0x260, 33 << 20).build();
    let initrd = vec![1; 15 << 20];
    let boot = Boot::new(Image::new(&kernel));
    let started = start(&boot.initrd(Image::new(&initrd))).unwrap();
    assert_eq!(placed(&started, "initrd").gpa, Gpa::new(49 << 20));
    let initrd = vec![1; (15 << 20) + 1];
    let error = start(&boot.initrd(Image::new(&initrd))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no room for initrd: 0xf00001 bytes, aligned to 0x1000, in 0x0..0x80000000"
    );
}

#[test]
fn the_initrd_ends_at_the_address_that_the_kernel_names() {
    let kernel = BzFile::new().u32(0x22C, 0x37F_FFFF).build();
    let initrd = vec![1; 0x2000];
    let start = start(&Boot::new(Image::new(&kernel)).initrd(Image::new(&initrd))).unwrap();
    assert_eq!(placed(&start, "initrd").range().unwrap().end(), Gpa::new(0x380_0000));
}

#[test]
fn a_relocatable_kernel_moves_up_where_its_place_is_taken() {
    let mut memory = memory();
    let hole = GpaRange::new(Gpa::new(0x120_0000), 0x1000).unwrap();
    memory.set(hole, MemoryKind::RESERVED).unwrap();
    let kernel = BzFile::new().build();
    let boot = Boot::new(Image::new(&kernel));
    let start = start_in(&boot, None, &memory).unwrap();
    assert_eq!(placed(&start, "kernel").gpa, Gpa::new(0x140_0000));
    assert_eq!(start.vcpu.rip, 0x140_0200);

    let fixed = BzFile::new().u8(0x234, 0).build();
    let error = start_in(&Boot::new(Image::new(&fixed)), None, &memory).unwrap_err();
    assert_eq!(error.to_string(), "kernel at 0x1000000..0x1400000 is not in guest memory");
}

#[test]
fn a_kernel_that_does_not_fit_says_how_much_it_needs() {
    let kernel = BzFile::new().build();
    let error = start_in(&Boot::new(Image::new(&kernel)), None, &MemoryMap::pc(16 << 20).unwrap());
    assert_eq!(
        error.unwrap_err().to_string(),
        "no room for kernel: 0x400000 bytes, aligned to 0x200000, in 0x1000000..0x8000000000"
    );
}

#[test]
fn a_command_line_may_be_as_long_as_the_kernel_takes() {
    let kernel = BzFile::new().u32(0x238, 5).build();
    let boot = Boot::new(Image::new(&kernel));
    start(&boot.command_line(b"12345")).unwrap();
    assert_eq!(
        start(&boot.command_line(b"123456")),
        Err(Error::CommandLineTooLong { size_bytes: 6, most: 5 })
    );
    let kernel = vmlinux().build();
    let boot = Boot::new(Image::new(&kernel));
    start(&boot.command_line(&[b'x'; 2047])).unwrap();
    assert!(start(&boot.command_line(&[b'x'; 2048])).is_err());
}

#[test]
fn a_kernel_before_2_14_is_not_told_the_root_pointer() {
    let kernel = BzFile::new().u16(0x206, 0x020D).build();
    let start = start(&Boot::new(Image::new(&kernel)).rsdp(Gpa::new(0xF_0000))).unwrap();
    assert_eq!(u64_at(zero_page(&start), 0x070), 0);
}

#[test]
fn a_memory_map_of_more_than_128_entries_goes_on_as_setup_data() {
    let mut memory = memory();
    for index in 0..150 {
        let at = Gpa::new(0x1_0000_0000 + index * 0x10_0000);
        memory.insert_size(at, 0x1000, MemoryKind::RESERVED).unwrap();
    }
    let kernel = BzFile::new().build();
    let start = start_in(&Boot::new(Image::new(&kernel)), None, &memory).unwrap();
    let page = zero_page(&start);
    assert_eq!(page[0x1E8], 128);
    let data = bytes_at(&start, u64_at(page, 0x250));
    assert_eq!(u64_at(data, 0), 0, "next");
    assert_eq!(u32_at(data, 8), 1, "SETUP_E820_EXT");
    assert_eq!(u32_at(data, 12), 26 * 20);
    let first = memory.regions()[128].range.start().as_u64();
    assert_eq!(u64_at(data, 16), first);
    let last = memory.regions()[153].range.start().as_u64();
    assert_eq!(u64_at(data, 16 + 25 * 20), last);
    assert_eq!(data.len(), 16 + 26 * 20);
}

#[test]
fn an_initrd_that_does_not_fit_below_4_gib_goes_above_where_the_kernel_takes_it() {
    // 64 MiB below, 64 MiB above.
    let mut memory = memory();
    memory.insert_size(Gpa::new(1 << 32), 64 << 20, MemoryKind::RAM).unwrap();
    let initrd = vec![1; 60 << 20];
    for (flags, start) in [(0b11_u16, Some((1 << 32) + (4 << 20))), (0b01, None)] {
        let kernel = BzFile::new().u16(0x236, flags).build();
        let boot = Boot::new(Image::new(&kernel)).initrd(Image::new(&initrd));
        let started = start_in(&boot, Some(Protocol::Linux64), &memory);
        assert_eq!(started.as_ref().ok().map(|started| pointers(started).0), start);
        // The 32-bit entry can't have it there, whatever the flag says.
        assert!(start_in(&boot, Some(Protocol::Linux32), &memory).is_err());
    }
}

#[test]
fn a_kernel_that_is_pressed_is_told_of_its_lesser_alignment() {
    // Free from 17 MiB on: of 16 MiB alignment there is no room, of 1 MiB there is.
    let mut memory = MemoryMap::pc(21 << 20).unwrap();
    let taken = GpaRange::new(Gpa::new(16 << 20), 1 << 20).unwrap();
    memory.set(taken, MemoryKind::RESERVED).unwrap();
    let pressed = BzFile::new().u32(0x230, 16 << 20);
    let kernel = pressed.clone().u8(0x235, 20).build();
    let start = start_in(&Boot::new(Image::new(&kernel)), None, &memory).unwrap();
    assert_eq!(start.vcpu.rip, (17 << 20) + 0x200);
    assert_eq!(u32_at(zero_page(&start), 0x230), 1 << 20, "kernel_alignment");
    // Every power of two between is tried.
    let kernel = pressed.clone().u8(0x235, 21).build();
    let mut larger = MemoryMap::pc(22 << 20).unwrap();
    larger.set(taken, MemoryKind::RESERVED).unwrap();
    let start = start_in(&Boot::new(Image::new(&kernel)), None, &larger).unwrap();
    assert_eq!(start.vcpu.rip, (18 << 20) + 0x200);
    // One that names no lesser alignment has none.
    let kernel = pressed.build();
    assert!(start_in(&Boot::new(Image::new(&kernel)), None, &memory).is_err());
}

#[test]
fn setup_data_of_the_callers_is_a_list() {
    let kernel = BzFile::new().build();
    let data =
        [SetupData { kind: 9, bytes: b"seed" }, SetupData { kind: 2, bytes: b"device tree" }];
    let start = start(&Boot::new(Image::new(&kernel)).setup_data(&data)).unwrap();
    let first = bytes_at(&start, u64_at(zero_page(&start), 0x250));
    assert_eq!((u32_at(first, 8), u32_at(first, 12), &first[16..]), (9, 4, &b"seed"[..]));
    let second = bytes_at(&start, u64_at(first, 0));
    assert_eq!((u64_at(second, 0), u32_at(second, 8)), (0, 2));
    assert_eq!(&second[16..], b"device tree");
}

#[test]
fn setup_data_that_the_kernel_info_knows_not_is_refused() {
    let mut info = BzFile::new().u32(0x268, 0x1000);
    info.kernel[0x1000..0x1010].copy_from_slice(b"LToP\x10\0\0\0\x10\0\0\0\x09\0\0\0");
    let kernel = info.build();
    let boot = Boot::new(Image::new(&kernel));
    for (kind, result) in [(9, Ok(())), (10, Err(Error::SetupDataType { kind: 10, most: 9 }))] {
        let data = [SetupData { kind, bytes: b"?" }];
        assert_eq!(start(&boot.setup_data(&data)).map(|_| ()), result);
    }
    let old = BzFile::new().u16(0x206, 0x0208).build();
    let data = [SetupData { kind: 9, bytes: b"?" }];
    let error = start_in(
        &Boot::new(Image::new(&old)).setup_data(&data),
        Some(Protocol::Linux32),
        &memory(),
    );
    assert_eq!(error.unwrap_err(), Error::BootProtocolVersion { version: 0x0208, least: 0x0209 });
}
