//! Starts by Linux' 32-bit entry, of kernels of all versions of the boot protocol.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use boot_plan::MemoryMap;
use common::{BzFile, ElfFile, Segment, bytes_at, placed, start_in, u16_at, u32_at, u64_at};
use elf_boot::{Boot, Error, Format, Image, Protocol, Start, identify};
use guest_state::{Gpa, Segment as CpuSegment, cr0, rflags};

fn start<'a>(boot: &Boot<'a>) -> Result<Start<'a>, Error> {
    start_in(boot, Some(Protocol::Linux32), &MemoryMap::pc(64 << 20).unwrap())
}

/// A kernel of an old version, whose header ends where that version's did.
fn old(version: u16, header_end: usize) -> BzFile {
    BzFile { header_end, fields: Vec::new(), kernel: BzFile::new().kernel }
        .u8(0x1F1, 3)
        .u16(0x1FE, 0xAA55)
        .u32(0x202, u32::from_le_bytes(*b"HdrS"))
        .u16(0x206, version)
        .u8(0x211, 1)
}

#[test]
fn the_cpu_starts_in_protected_mode_with_a_gdt() {
    let kernel = BzFile::new().build();
    let vmlinux = ElfFile::elf32(0x10_0040)
        .segment(Segment::load(0x10_0000, &[0xF4; 0x200]).memory_bytes(0x2000))
        .build();
    for (kernel, entry) in [(&kernel, 0x100_0000), (&vmlinux, 0x10_0040)] {
        let start = start(&Boot::new(Image::new(kernel))).unwrap();
        let cpu = start.vcpu;
        assert_eq!(cpu.rip, entry);
        assert_eq!(cpu.cr0 & (cr0::PE | cr0::PG), cr0::PE);
        assert_eq!((cpu.cr4, cpu.efer), (0, 0));
        assert_eq!(cpu.rflags & rflags::IF, 0);
        assert_eq!((cpu.general.rbp, cpu.general.rdi, cpu.general.rbx), (0, 0, 0));
        let selectors = [cpu.ds, cpu.es, cpu.ss].map(|segment| segment.selector);
        assert_eq!((cpu.cs.selector, selectors), (0x10, [0x18; 3]));
        let gdt = &bytes_at(&start, cpu.gdtr.base)[..usize::from(cpu.gdtr.limit) + 1];
        for segment in [cpu.cs, cpu.ds, cpu.es, cpu.ss] {
            assert_eq!((segment.base, segment.limit), (0, 0xFFFF_FFFF));
            let descriptor = u64_at(gdt, segment.selector.into());
            assert_eq!(CpuSegment::from_descriptor(segment.selector, descriptor), segment);
        }
        // ESI leads to a zero page.
        let page = bytes_at(&start, cpu.general.rsi);
        assert_eq!((page.len(), &page[0x202..0x206]), (0x1000, &b"HdrS"[..]));
        assert_eq!(bytes_at(&start, u32_at(page, 0x228).into()), b"\0");
    }
}

#[test]
fn kernels_of_every_version_start() {
    // Where the header of each version ends: the table of boot.rst, "The Real-Mode Kernel Header".
    for (version, header_end) in [
        (0x0200, 0x224),
        (0x0201, 0x226),
        (0x0202, 0x22C),
        (0x0203, 0x230),
        (0x0204, 0x230),
        (0x0205, 0x238),
        (0x0206, 0x23C),
        (0x0207, 0x248),
        (0x0208, 0x250),
        (0x0209, 0x258),
        (0x020A, 0x264),
        (0x020B, 0x268),
        (0x020C, 0x268),
        (0x020D, 0x268),
        (0x020E, 0x268),
        (0x020F, 0x26C),
    ] {
        let mut image = old(version, header_end);
        // What lies behind is code: 10h would be a pref_address or an init_size.
        if version >= 0x0203 {
            image = image.u32(0x22C, 0x37FF_FFFF);
        }
        if version >= 0x0204 {
            let paragraphs = u32::try_from(image.kernel.len() / 16).unwrap();
            image = image.u32(0x1F4, paragraphs);
        }
        if version >= 0x0205 {
            image = image.u32(0x230, 0x20_0000).u8(0x234, 1);
        }
        if version >= 0x0206 {
            image = image.u32(0x238, 300);
        }
        let expected = if version >= 0x020A {
            image = image.u64(0x258, 0x100_0000).u32(0x260, 0x40_0000);
            0x100_0000
        } else {
            0x10_0000
        };
        let file = image.build();
        let line = [b'x'; 255];
        let boot = Boot::new(Image::new(&file)).command_line(&line);
        let start = start(&boot).unwrap_or_else(|error| panic!("{version:#x}: {error}"));
        assert_eq!(start.vcpu.rip, expected, "{version:#x}");
        let page = bytes_at(&start, start.vcpu.general.rsi);
        if version < 0x0202 {
            assert_eq!(start.vcpu.general.rsi, 0x9_0000);
            assert_eq!(u16_at(page, 0x20), 0xA33F, "cmd_line_magic");
            let at = 0x9_0000 + u64::from(u16_at(page, 0x22));
            assert_eq!(bytes_at(&start, at)[..256], [&line[..], b"\0"].concat());
        } else {
            assert_eq!(u32_at(page, 0x20), 0);
            assert_eq!(bytes_at(&start, u32_at(page, 0x228).into()).len(), 256);
        }
        let longer = start_in(
            &boot.command_line(&[b'x'; 256]),
            Some(Protocol::Linux32),
            &MemoryMap::pc(64 << 20).unwrap(),
        );
        assert_eq!(longer.is_ok(), version >= 0x0206, "{version:#x}");
        // No field is taken from behind the header's end, and there is no entry for 64 bits.
        assert!(page[header_end..0x290].iter().all(|&byte| byte == 0), "{version:#x}");
        let refused = &identify(&file).refused;
        assert!(refused.iter().any(|refusal| refusal.protocol == Protocol::Linux64));
    }
    let ancient = old(0x01FF, 0x224).build();
    let error = start(&Boot::new(Image::new(&ancient))).unwrap_err();
    assert_eq!(error, Error::BootProtocolVersion { version: 0x01FF, least: 0x0200 });
}

#[test]
fn a_header_that_is_shorter_than_its_version_is_refused() {
    for (version, header_end, needed_end) in [
        (0x020F, 0x206, 0x224),
        (0x0200, 0x220, 0x224),
        (0x0206, 0x238, 0x23C),
        (0x020F, 0x260, 0x264),
    ] {
        let file = old(version, header_end).build();
        let error = start(&Boot::new(Image::new(&file))).unwrap_err();
        let end = header_end as u64;
        assert_eq!(error, Error::SetupHeaderShort { end, needed_end }, "{version:#x}");
    }
}

#[test]
fn what_a_bzimage_says_of_itself_is_told() {
    let mut image = BzFile::new().u16(0x20E, 0x100).u8(0x235, 13).u16(0x236, 0x3F);
    image.kernel[0x1000..0x1010].copy_from_slice(b"LToP\x10\0\0\0\x10\0\0\0\x0A\0\0\0");
    let mut file = image.u32(0x268, 0x1000).build();
    file[0x300..0x30B].copy_from_slice(b"6.12 (us)\0x");
    let Ok(Format::BzImage(told)) = identify(&file).format else { panic!("no bzImage") };
    assert_eq!(told.version, 0x020F);
    assert_eq!(told.kernel_version, Some(&b"6.12 (us)"[..]));
    assert_eq!((told.setup_bytes, told.kernel_bytes), (0x800, 0xC000));
    assert_eq!((told.preferred_address, told.init_bytes), (0x100_0000, 0x40_0000));
    assert_eq!((told.alignment, told.least_alignment), (0x20_0000, 0x2000));
    assert!(told.is_relocatable);
    assert_eq!((told.load_flags, told.extended_load_flags), (1, 0x3F));
    assert_eq!((told.last_initrd_address, told.command_line_bytes), (0x7FFF_FFFF, 2047));
    assert_eq!(told.setup_type_max, Some(10));
    assert_eq!(told.packed, None);
}

#[test]
fn a_zimage_and_an_entry_above_4_gib_are_refused() {
    let low = BzFile::new().u8(0x211, 0).build();
    assert_eq!(start(&Boot::new(Image::new(&low))).unwrap_err(), Error::NotLoadedHigh);
    let high = BzFile::new().u64(0x258, 1 << 33).build();
    let error = start(&Boot::new(Image::new(&high))).unwrap_err();
    assert_eq!(error, Error::EntryAbove4G { entry: Gpa::new(1 << 33) });
    let only64 = ElfFile::elf64(0x10_0000).segment(Segment::load(0x10_0000, &[0xF4])).build();
    assert_eq!(start(&Boot::new(Image::new(&only64))).unwrap_err(), Error::NotElf32);
}

#[test]
fn the_initrd_of_an_old_kernel_ends_below_896_mib() {
    let kernel = old(0x0202, 0x22C).build();
    let initrd = [1];
    let boot = Boot::new(Image::new(&kernel)).initrd(Image::new(&initrd));
    let memory = MemoryMap::pc(1 << 30).unwrap();
    let start = start_in(&boot, Some(Protocol::Linux32), &memory).unwrap();
    assert_eq!(placed(&start, "initrd").gpa, Gpa::new(0x3800_0000 - 0x1000));
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let both = |image: BzFile| {
        let file = image.build();
        let reason = |protocol| {
            let refused = identify(&file).refused;
            refused.into_iter().find(|one| one.protocol == protocol).map(|one| one.reason)
        };
        let [wide, narrow] = [Protocol::Linux64, Protocol::Linux32].map(reason);
        assert_eq!(wide, narrow);
        wide
    };
    assert_eq!(both(BzFile::new()), None);
    let flag = BzFile::new().u16(0x1FE, 0xAA56);
    assert_eq!(both(flag), Some(Error::BootFlag { flag: 0xAA56 }));
    let bytes = BzFile::new().kernel.len() as u64;
    let small = BzFile::new().u32(0x260, 0xBFFF);
    let error = Error::InitSize { init_bytes: 0xBFFF, kernel_bytes: bytes };
    assert_eq!(both(small), Some(error));
    let alignment = 0x30_0000;
    let odd = BzFile::new().u32(0x230, alignment);
    assert_eq!(both(odd.clone()), Some(Error::KernelAlignment { alignment }));
    assert_eq!(both(odd.u8(0x234, 0)), None, "of no use where it can't be moved");
    let address = u64::MAX - 0x3F_FFFF;
    let error = Error::PreferredAddress { address, init_bytes: 0x40_0000 };
    assert_eq!(both(BzFile::new().u64(0x258, address)), Some(error));

    let narrow = BzFile::new().u16(0x236, 0b10).build();
    let refused = identify(&narrow).refused;
    assert!(refused.iter().any(|one| one.reason == Error::No64BitEntry));
    // 200h bytes are none at 200h.
    let short = BzFile { kernel: vec![0xF4; 0x200], ..BzFile::new() }.u32(0x1F4, 0x20).build();
    let ways: Vec<_> = identify(&short).ways.iter().map(|way| way.protocol).collect();
    assert_eq!(ways, [Protocol::Linux32]);
    let error = Error::KernelTooShort { kernel_bytes: 0x200, entry: 0x200 };
    assert!(identify(&short).refused.iter().any(|one| one.reason == error));
}

#[test]
fn a_command_line_with_a_zero_byte_is_refused() {
    let kernel = BzFile::new().build();
    let error = start(&Boot::new(Image::new(&kernel)).command_line(b"a\0b")).unwrap_err();
    assert_eq!(error, Error::CommandLineZero { at: 1 });
}
