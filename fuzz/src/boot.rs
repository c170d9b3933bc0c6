//! Kernel images: whatever the bytes are, each way to start them is sound or refused.

use boot_plan::{BootPlan, Contents, Layout, MemoryMap, Protection};
use elf_boot::{
    Apm, Boot, ColorFields, Error, Format, Framebuffer, Identified, Image, Module, Packed,
    Protocol, SetupData, Tag, identify, plan_boot,
};
use guest_state::{Gpa, MemoryKind};

/// What a guest has here: 64 MiB, and a bit above 4 GiB.
fn memory() -> MemoryMap {
    let mut memory = MemoryMap::pc(64 << 20).expect("64 MiB are enough");
    let high = Gpa::new(1 << 32);
    memory.insert_size(high, 16 << 20, MemoryKind::RAM).expect("nothing is there");
    memory
}

/// Checks an image: `identify` and `plan_boot` agree, a plan contradicts neither itself nor its
/// layout, and it holds nothing but bytes of the file and what was made for it.
fn check(file: &[u8]) {
    let Identified { format, ways, refused, .. } = identify(file);
    let listed = ways.iter().map(|way| way.protocol);
    let mut all: Vec<_> = listed.chain(refused.iter().map(|one| one.protocol)).collect();
    all.sort_unstable();
    assert_eq!(all, Protocol::ALL, "a protocol is missing, or there twice");
    for way in &ways {
        // The entry of an ELF is in what is loaded; of a bzImage, within what it takes.
        assert!(way.ranges.iter().any(|range| range.contains(way.entry)), "{way:?}");
        let sorted = way.ranges.windows(2).all(|pair| pair[0].end() <= pair[1].start());
        assert!(sorted, "{way:?}");
    }
    let memory = memory();
    for refusal in refused {
        let error = plan(file, refusal.protocol, &memory).expect_err("it was refused");
        assert_eq!(error, refusal.reason);
    }
    for way in ways {
        match plan(file, way.protocol, &memory) {
            Ok(()) => {}
            // Sound, and yet it does not fit this guest, or wants what it has not.
            Err(
                Error::Layout(_)
                | Error::NoScreen
                | Error::KernelTooHigh { .. }
                | Error::EntryAbove4G { .. }
                | Error::CommandLineTooLong { .. }
                | Error::TooManySections { .. }
                | Error::BootProtocolVersion { .. }
                | Error::SetupDataType { .. }
                | Error::Truncated { .. },
            ) => {}
            Err(error) => panic!("{} was a way, and now: {error}", way.protocol),
        }
    }
    if let Ok(Format::Elf(elf)) = &format {
        let file_bytes: u128 = elf.segments.iter().map(|one| u128::from(one.file_bytes)).sum();
        assert!(file_bytes <= 256 * file.len() as u128);
        let memory: u128 = elf.segments.iter().map(|one| u128::from(one.range.size_bytes())).sum();
        let zeros = u128::from(elf.zero_bytes());
        assert!(zeros == memory - file_bytes || zeros == u128::from(u64::MAX));
        for note in &elf.notes {
            assert!(is_part(file, note.descriptor) && is_part(file, note.name));
            assert!(note.xen_name().is_none() || note.is_xen() && note.kind < 20);
            let number = note.number().map_or(0, |number| number.count_ones());
            let ones: u32 = note.descriptor.iter().map(|byte| byte.count_ones()).sum();
            assert!(number == 0 || number == ones);
            if let Some(text) = note.text() {
                assert!(!text.contains('\0') && note.descriptor.starts_with(text.as_bytes()));
            }
        }
    }
}

const SCREEN: Framebuffer = Framebuffer {
    address: 0xFD00_0000,
    pitch_bytes: 0x1000,
    width: 1024,
    height: 768,
    bits: 32,
    color: Some(ColorFields { red: (16, 8), green: (8, 8), blue: (0, 8) }),
};
/// All that a platform can tell a kernel.
const TAGS: [Tag<'_>; 6] = [
    Tag::BootDevice { drive: 0x80, partition: 1, sub_partition: 0xFF },
    Tag::Vbe {
        mode: 0x118,
        interface: [0xC000, 0x1234, 0x20],
        control_info: &[0xCC; 512],
        mode_info: &[0xDD; 256],
    },
    Tag::Framebuffer(SCREEN),
    Tag::Apm(Apm {
        version: 0x102,
        code_segment: 0xF000,
        offset: 0x8000,
        code_segment_16: 0xF000,
        data_segment: 0x40,
        flags: 3,
        code_segment_bytes: 0xFFF0,
        code_segment_16_bytes: 0xFFF0,
        data_segment_bytes: 0x100,
    }),
    Tag::Smbios { major: 3, minor: 0, table: &[127, 4, 0, 0, 0, 0] },
    Tag::Network(b"an answer"),
];
/// One that every kernel with a list knows, and one that only the newest do.
const SETUP_DATA: [SetupData<'_>; 2] =
    [SetupData { kind: 1, bytes: &[0; 20] }, SetupData { kind: 9, bytes: b"seed" }];

/// Plans a start, with all that there is to tell where the file has an odd length.
fn plan(file: &[u8], protocol: Protocol, memory: &MemoryMap) -> Result<(), Error> {
    let initrd = [1; 0x1001];
    let mut boot = Boot::new(Image::new(file)).initrd(Image::new(&initrd)).command_line(b"quiet");
    let modules = [Module { image: Image::new(&initrd[1..0x801]), command_line: b"a module" }; 2];
    if file.len() % 2 == 1 {
        boot = boot.rsdp(Gpa::new(0xF_0000)).rsdp_copy([0x11; 36]).tags(&TAGS);
        // Linux has a list of its own, and no modules.
        boot = match protocol {
            Protocol::Linux64 | Protocol::Linux32 => {
                boot.setup_data(&SETUP_DATA[..1 + file.len() / 2 % 2])
            }
            _ => boot.modules(&modules),
        };
    }
    let mut layout = Layout::new(memory);
    let start = plan_boot(&boot, Some(protocol), memory, &mut layout).inspect_err(|_| {
        assert!(layout.owners().is_empty(), "an error left claims behind");
    })?;
    for placement in &start.placements {
        assert_eq!(placement.protection, Protection::ReadWrite);
        let range = placement.range().expect("a placement below 2^64");
        let is_claimed = layout.owners().iter().any(|(_, own)| own.contains_range(range));
        assert!(is_claimed, "{} at {range}", placement.tag);
        if let Contents::Borrowed(bytes) = placement.contents {
            assert!(is_part(file, bytes) || is_part(&initrd, bytes), "{}", placement.tag);
        }
    }
    let mut plan = BootPlan::new(memory.clone());
    plan.placements = start.placements;
    plan.vcpus.push(start.vcpu);
    plan.check().expect("a plan that contradicts itself");
    Ok(())
}

/// Tells whether `part` is inside `whole`: the same memory, not the same bytes.
fn is_part(whole: &[u8], part: &[u8]) -> bool {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    part.is_empty() || (whole.start <= part.start && part.end <= whole.end)
}

/// Any file; what it is is in the bytes.
pub fn elf(data: &[u8]) {
    check(data);
    if let Some(packed) = Packed::file(data) {
        let most = 1 << 20;
        if let Ok(bytes) = packed.unpack(most) {
            assert!(bytes.len() <= most);
        }
    }
}

/// Notes: the first byte says how they are aligned and whether a segment or a section has them.
pub fn notes(data: &[u8]) {
    let [how, notes @ ..] = data else { return };
    let mut file = vec![0_u8; 64 + 2 * 56];
    let put = |file: &mut Vec<u8>, at: usize, value: u64, width: usize| {
        file[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    file[..8].copy_from_slice(b"\x7FELF\x02\x01\x01\0");
    for (at, value, width) in [
        (16, 2, 2),
        (18, 62, 2),
        (20, 1, 4),
        (24, 0x10_0000, 8),
        (32, 64, 8),
        (52, 64, 2),
        (54, 56, 2),
        (56, 2, 2),
        (58, 64, 2),
        // Code at 1 MiB: the header itself.
        (64, 1, 4),
        (72, 0, 8),
        (88, 0x10_0000, 8),
        (96, 64, 8),
        (104, 64, 8),
        (112, 0x1000, 8),
        // A segment of notes, or one of nothing.
        (120, if how & 1 == 0 { 4 } else { 0 }, 4),
        (128, 176, 8),
        (152, notes.len() as u64, 8),
        (168, if how & 2 == 0 { 4 } else { 8 }, 8),
    ] {
        put(&mut file, at, value, width);
    }
    file.extend_from_slice(notes);
    if how & 1 != 0 {
        let at = file.len().next_multiple_of(8);
        file.resize(at + 64, 0);
        put(&mut file, 40, at as u64, 8);
        put(&mut file, 60, 1, 2);
        put(&mut file, at + 4, 7, 4);
        put(&mut file, at + 24, 176, 8);
        put(&mut file, at + 32, notes.len() as u64, 8);
    }
    check(&file);
    // What a plain walk by 4 bytes finds to be sound has to be found.
    let pvh = identify(&file).ways.iter().any(|way| way.protocol == Protocol::Pvh);
    if let Some(entry) = plain_walk(notes) {
        assert!(pvh || !(0x10_0000..0x10_0040).contains(&entry), "{entry:#x} was not found");
    }
}

/// Finds the first PHYS32_ENTRY of 4 bytes, and no note of types 18 and 19 before or behind it, by
/// the plainest reading there is: every field padded to 4, to the very end.
fn plain_walk(notes: &[u8]) -> Option<u32> {
    let word = |at: usize| Some(u32::from_le_bytes(notes.get(at..at + 4)?.try_into().ok()?));
    let (mut at, mut found) = (0, None);
    while at < notes.len() {
        let [name, descriptor, kind] = [word(at)?, word(at + 4)?, word(at + 8)?];
        if name == 0 || name > 64 || descriptor > 64 {
            return None;
        }
        let start = at + 12 + name.next_multiple_of(4) as usize;
        if kind == 18 || kind == 19 {
            if found.is_some() || descriptor != 4 || kind == 19 || name != 4 {
                return None;
            }
            if notes.get(at + 12..at + 16)? == b"Xen\0" {
                found = Some(word(start)?);
            }
        }
        at = start + descriptor.next_multiple_of(4) as usize;
    }
    (at == notes.len()).then_some(found).flatten()
}

/// A bzImage: the bytes are its header from offset 1F1h on, and what follows the setup code.
pub fn bzimage(data: &[u8]) {
    let (header, kernel) = data.split_at(data.len().min(0x10F));
    let mut file = vec![0_u8; 0x400];
    file[0x1F1..0x1F1 + header.len()].copy_from_slice(header);
    file[0x1FE..0x200].copy_from_slice(b"\x55\xAA");
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file.extend_from_slice(kernel);
    check(&file);
    let Ok(Format::BzImage(image)) = identify(&file).format else { return };
    assert!(image.setup_bytes + image.kernel_bytes <= file.len() as u64);
    assert!(image.least_alignment <= image.alignment);
    if let Some(packed) = image.packed
        && let Ok(bytes) = packed.unpack(1 << 20)
    {
        assert_eq!(Some(bytes.len() as u64), packed.size_bytes().map(u64::from));
        assert!(bytes.len() <= 1 << 20);
    }
}

/// A flat file with Multiboot headers: the first byte says which one begins it, for free, with a
/// checksum that is right.
pub fn multiboot(data: &[u8]) {
    let [which, rest @ ..] = data else { return };
    let mut file = rest.to_vec();
    let word = |file: &[u8], at: usize| {
        file.get(at..at + 4)
            .map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    };
    let mut put = |at: usize, value: u32| {
        if let Some(four) = file.get_mut(at..at + 4) {
            four.copy_from_slice(&value.to_le_bytes());
        }
    };
    match which % 3 {
        0 => {
            put(0, 0x1BAD_B002);
            let sum = 0x1BAD_B002_u32.wrapping_add(word(rest, 4));
            put(8, sum.wrapping_neg());
        }
        1 => {
            put(0, 0xE852_50D6);
            put(4, 0);
            let sum = 0xE852_50D6_u32.wrapping_add(word(rest, 8));
            put(12, sum.wrapping_neg());
        }
        _ => {}
    }
    check(&file);
}
