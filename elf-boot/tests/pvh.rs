//! Starts by PVH, read back from what was placed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use boot_plan::{Contents, FileId, Layout, MemoryMap};
use common::{ElfFile, Segment, bytes_at, placed, pvh_kernel, pvh_note, start_in};
use elf_boot::{Boot, Error, Image, Module, Protocol, Start, plan_boot};
use guest_state::{
    Gpa, GpaRange, StartInfo, StartInfoMemory, StartInfoModule, VcpuState, cr0, rflags,
};
use zerocopy::FromBytes;

fn start<'a>(boot: &Boot<'a>) -> Result<Start<'a>, Error> {
    start_in(boot, Some(Protocol::Pvh), &MemoryMap::pc(64 << 20).unwrap())
}

/// Reads a wire struct where the guest would.
fn read<T: FromBytes>(start: &Start<'_>, at: u64) -> T {
    T::read_from_prefix(bytes_at(start, at)).unwrap().0
}

#[test]
fn the_start_info_leads_to_everything() {
    let kernel = pvh_kernel().build();
    let initrd = vec![0x55; 0x1234];
    let boot = Boot::new(Image::new(&kernel))
        .initrd(Image::new(&initrd))
        .command_line(b"console=ttyS0 nonce=7")
        .rsdp(Gpa::new(0xF_0000));
    let start = start(&boot).unwrap();
    let info: StartInfo = read(&start, start.vcpu.general.rbx);
    assert_eq!(info.magic.get(), 0x336E_C578);
    assert_eq!(info.version.get(), 1);
    assert_eq!(info.flags.get(), 0);
    assert_eq!(info.rsdp.get(), 0xF_0000);

    let line = placed(&start, "command line");
    assert_eq!(line.gpa.as_u64(), info.command_line.get());
    assert_eq!(line.contents.bytes().unwrap(), b"console=ttyS0 nonce=7\0");

    assert_eq!(info.module_count.get(), 1);
    let module: StartInfoModule = read(&start, info.modules.get());
    assert_eq!(module.size_bytes.get(), 0x1234);
    assert_eq!(module.command_line.get(), 0);
    let placement = placed(&start, "initrd");
    assert_eq!(placement.gpa.as_u64(), module.address.get());
    assert_eq!(placement.contents.bytes().unwrap(), initrd);
    // As high as can be in 64 MiB.
    assert_eq!(module.address.get(), (64 << 20) - 0x2000);

    let entries: Vec<StartInfoMemory> = (0..info.memory_map_count.get())
        .map(|index| read(&start, info.memory_map.get() + 24 * u64::from(index)))
        .collect();
    let expected: Vec<_> = MemoryMap::pc(64 << 20).unwrap().start_info().collect();
    assert_eq!(entries, expected);
}

#[test]
fn modules_follow_the_initrd_with_lines_of_their_own() {
    let kernel = pvh_kernel().build();
    let (initrd, first, second) = (vec![1; 0x800], vec![2; 0x1801], vec![3; 1]);
    let modules = [
        Module { image: Image::new(&first), command_line: b"kernel of a guest" },
        Module { image: Image::new(&second), command_line: b"" },
    ];
    let boot = Boot::new(Image::new(&kernel)).initrd(Image::new(&initrd)).modules(&modules);
    let start = start(&boot).unwrap();
    let info: StartInfo = read(&start, start.vcpu.general.rbx);
    assert_eq!(info.module_count.get(), 3);
    let listed: Vec<StartInfoModule> =
        (0..3).map(|index| read(&start, info.modules.get() + 32 * index)).collect();
    for (module, bytes) in listed.iter().zip([&initrd, &first, &second]) {
        assert_eq!(module.size_bytes.get(), bytes.len() as u64);
        assert_eq!(&bytes_at(&start, module.address.get())[..bytes.len()], bytes);
    }
    let line = b"kernel of a guest\0";
    assert_eq!(&bytes_at(&start, listed[1].command_line.get())[..line.len()], line);
    assert_eq!(listed[0].command_line.get(), 0);
    assert_eq!(listed[2].command_line.get(), 0);
}

#[test]
fn modules_that_cannot_be_passed_on_are_refused() {
    let kernel = pvh_kernel().build();
    let (file, empty) = ([7], []);
    let module = |bytes| Module { image: Image::new(bytes), command_line: b"" };
    let modules = [module(&file[..]), module(&empty)];
    let error = start(&Boot::new(Image::new(&kernel)).modules(&modules)).unwrap_err();
    assert_eq!(error, Error::EmptyModule { index: 1 });
    let boot = Boot::new(Image::new(&kernel)).modules(&modules[..1]);
    let memory = MemoryMap::pc(64 << 20).unwrap();
    let error = start_in(&boot, Some(Protocol::Linux64), &memory).unwrap_err();
    assert_eq!(error, Error::Modules { count: 1 });
}

#[test]
fn what_is_not_there_has_address_zero() {
    let kernel = pvh_kernel().build();
    let start = start(&Boot::new(Image::new(&kernel))).unwrap();
    let info: StartInfo = read(&start, start.vcpu.general.rbx);
    assert_eq!(info.module_count.get(), 0);
    assert_eq!(info.modules.get(), 0);
    assert_eq!(info.command_line.get(), 0);
    assert_eq!(info.rsdp.get(), 0);
}

#[test]
fn the_cpu_starts_in_protected_mode_at_the_notes_entry() {
    let kernel = pvh_kernel().build();
    let VcpuState { rip, cs, ds, es, ss, tr, cr0, cr4, efer, rflags, .. } =
        start(&Boot::new(Image::new(&kernel))).unwrap().vcpu;
    assert_eq!(rip, 0x10_0010);
    assert_eq!(cr0 & !cr0::ET, cr0::PE);
    assert_eq!((cr4, efer), (0, 0));
    assert_eq!(rflags & (rflags::VM | rflags::IF | rflags::TF), 0);
    assert!(cs.access.is_32bit());
    for segment in [cs, ds, es, ss] {
        assert_eq!((segment.base, segment.limit), (0, 0xFFFF_FFFF));
    }
    assert_eq!((tr.base, tr.limit), (0, 0x67));
}

#[test]
fn segments_are_parts_of_the_file_and_zeros() {
    let kernel = pvh_kernel().build();
    let start = start(&Boot::new(Image::of_file(FileId(3), &kernel))).unwrap();
    let text = placed(&start, "kernel");
    let Contents::File { file: FileId(3), offset, bytes } = text.contents else {
        panic!("{:?}", text.contents);
    };
    assert_eq!(bytes, [0xF4; 0x300]);
    assert_eq!(kernel[usize::try_from(offset).unwrap()..][..0x300], [0xF4; 0x300]);
    let bss = placed(&start, "kernel bss");
    assert_eq!(bss.gpa, Gpa::new(0x20_0123));
    assert_eq!(bss.contents, Contents::Zeros(0x5000 - 0x123));
}

#[test]
fn nothing_of_ours_lies_in_the_bss() {
    // Its zeros take all of conventional memory and all but a little of the rest.
    let kernel = ElfFile::elf64(0x1000)
        .segment(Segment::load(0x1000, &[0xF4]).memory_bytes(0x9_EC00 - 0x1000))
        .segment(Segment::load(0x10_0000, &[]).memory_bytes((63 << 20) - 0x8000))
        .segment(Segment::note(&pvh_note(0x1000)))
        .build();
    let boot = Boot::new(Image::new(&kernel)).command_line(b"x");
    let initrd = vec![1; 0x2000];
    let start = start(&boot.initrd(Image::new(&initrd))).unwrap();
    assert!(start.vcpu.general.rbx >= (64 << 20) - 0x8000);
    let too_large = vec![1; 0x9000];
    let error = self::start(&boot.initrd(Image::new(&too_large))).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no room for initrd: 0x9000 bytes"), "{text}");
}

#[test]
fn elf32_kernels_start_too() {
    let mut kernel = pvh_kernel();
    (kernel.class, kernel.machine) = (1, 3);
    let kernel = kernel.build();
    let start = start(&Boot::new(Image::new(&kernel))).unwrap();
    assert_eq!(start.vcpu.rip, 0x10_0010);
    assert_eq!(placed(&start, "kernel").contents.bytes().unwrap(), [0xF4; 0x300]);
}

#[test]
fn a_kernel_outside_of_memory_is_refused() {
    let kernel = ElfFile::elf64(0)
        .segment(Segment::load(0x9_F000, &[0xF4; 0x1000]))
        .segment(Segment::note(&pvh_note(0x9_F000)))
        .build();
    let error = start(&Boot::new(Image::new(&kernel))).unwrap_err();
    assert_eq!(error.to_string(), "kernel at 0x9f000..0xa0000 is not in guest memory");
}

#[test]
fn an_error_leaves_the_layout_as_it_was() {
    let kernel = pvh_kernel().build();
    let boot = Boot::new(Image::new(&kernel)).initrd(Image::new(&[]));
    let memory = MemoryMap::pc(64 << 20).unwrap();
    let mut layout = Layout::new(&memory);
    assert_eq!(plan_boot(&boot, None, &memory, &mut layout), Err(Error::EmptyInitrd));
    let huge = vec![0; 64 << 20];
    let boot = boot.initrd(Image::new(&huge));
    assert!(matches!(plan_boot(&boot, None, &memory, &mut layout), Err(Error::Layout(_))));
    assert!(layout.owners().is_empty());
}

#[test]
fn claims_that_were_there_stay() {
    let kernel = pvh_kernel().build();
    let memory = MemoryMap::pc(64 << 20).unwrap();
    let mut layout = Layout::new(&memory);
    let theirs = GpaRange::new(Gpa::new(0x1000), 0x1000).unwrap();
    layout.claim("theirs", theirs).unwrap();
    let boot = Boot::new(Image::new(&kernel));
    let start = plan_boot(&boot, None, &memory, &mut layout).unwrap();
    assert_eq!(layout.owners()[0], ("theirs", theirs));
    for placement in &start.placements {
        assert!(!placement.range().unwrap().overlaps(theirs), "{placement:?}");
        let held =
            layout.owners().iter().any(|(_, r)| r.contains_range(placement.range().unwrap()));
        assert!(held, "{placement:?}");
    }
}

#[test]
fn nothing_lies_in_the_gap_that_alignment_leaves_in_a_kernel() {
    // Free are only conventional memory and the gap, which the initrd would just fit into.
    let memory = MemoryMap::pc(2 << 20).unwrap();
    let kernel = ElfFile::elf64(0)
        .segment(Segment::load(0x10_0000, &[0xF4; 0x1000]))
        .segment(Segment::load(0x1D_0000, &[0xF4; 0x3_0000]))
        .segment(Segment::note(&pvh_note(0x10_0000)))
        .build();
    let initrd = vec![1; 0x4000];
    let boot = Boot::new(Image::new(&kernel)).initrd(Image::new(&initrd));
    let start = start_in(&boot, None, &memory).unwrap();
    assert!(placed(&start, "initrd").gpa < Gpa::new(0xA_0000));
}
