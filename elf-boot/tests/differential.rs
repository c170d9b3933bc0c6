//! The same files read by `linux-loader` and by `goblin`: every disagreement has a name.
//!
//! Files are made here and then changed, always in the same way. `cargo test -p elf-boot --test
//! differential -- --nocapture` prints how often each name came up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::io::Cursor;

use common::{BzFile, ElfFile, Segment, note, pvh_kernel, pvh_note, words};
use elf_boot::{ElfImage, Error, Format, LinuxImage, Protocol, identify};
use linux_loader::loader::bzimage::BzImage;
use linux_loader::loader::elf::{Elf, PvhBootCapability};
use linux_loader::loader::{KernelLoader, KernelLoaderResult};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const MEMORY_BYTES: usize = 32 << 20;

/// How often each disagreement came up; `""` is agreement.
type Tally = BTreeMap<String, usize>;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % below
    }

    /// Changes up to four bytes of the front, or cuts the file. Half of the changes make a field
    /// extreme.
    fn mutate(&mut self, file: &[u8], front: usize) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..=self.next(4) {
            let at = self.next(front.min(file.len()));
            file[at] = match self.next(4) {
                0 => 0,
                1 => 0xFF,
                _ => u8::try_from(self.next(256)).unwrap(),
            };
        }
        if self.next(10) == 0 {
            file.truncate(self.next(file.len()));
        }
        file
    }
}

/// Loads a file by linux-loader.
fn load<L: KernelLoader>(file: &[u8]) -> (GuestMemoryMmap, Result<KernelLoaderResult, String>) {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES)]).unwrap();
    let loaded = L::load(&memory, None, &mut Cursor::new(file), None);
    // What it says, without by whom.
    let last = |error: String| error.rsplit(": ").next().unwrap_or_default().to_owned();
    (memory, loaded.map_err(|error| last(error.to_string())))
}

/// Checks that the tally has these names, every one of them, and no other.
fn explained(tally: &Tally, names: &[(&str, &str)]) {
    for (name, count) in tally {
        let why = names.iter().find(|(one, _)| one == name).map_or("", |(_, why)| why);
        println!("{count:6}  {name}: {why}");
        assert!(name.is_empty() || !why.is_empty(), "{name} has no explanation");
    }
    for (name, _) in names {
        assert!(tally.contains_key(*name), "{name} never came up");
    }
}

/// Names what an error of ours is about.
fn variant(error: &Error) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{', '(']).next().unwrap().to_owned()
}

fn elf_files() -> Vec<Vec<u8>> {
    let gnu = Segment::note(&note(b"GNU\0", 3, &[7; 20], 4));
    let code = || ElfFile::elf64(0x10_0000).segment(Segment::load(0x10_0000, &[0xF4; 0x80]));
    let merged = [note(b"GNU\0", 5, &[1; 20], 8), pvh_note(0x10_0000)].concat();
    let program = Segment::new(3, 0, b"/lib/ld.so\0");
    vec![
        pvh_kernel().build(),
        code().build(),
        code().segment(gnu.clone()).segment(Segment::note(&pvh_note(0x10_0010))).build(),
        code().segment(Segment::note(&pvh_note(0x10_0010))).segment(gnu).build(),
        code().note_section(&pvh_note(0x10_0020)).build(),
        code().segment(Segment { align: 8, ..Segment::note(&merged) }).build(),
        code().segment(Segment::note(&note(b"Xen\0", 18, &words(&[0x10_0010, 0]), 4))).build(),
        code().segment(Segment::load(0x20_0000, &[]).memory_bytes(0x1000)).build(),
        code().segment(Segment::load(0x10_0040, &[1; 8])).build(),
        code().segment(program).build(),
        ElfFile { class: 1, machine: 3, ..pvh_kernel() }.build(),
    ]
}

/// Names the first disagreement about an ELF; `""` if there is none.
fn compare_elf(file: &[u8]) -> String {
    let (memory, theirs) = load::<Elf>(file);
    let found = identify(file);
    let ours: Result<&ElfImage<'_>, &Error> = match &found.format {
        Ok(Format::Elf(elf)) => Ok(elf),
        Ok(_) => panic!("no ELF"),
        Err(error) => Err(error),
    };
    match (theirs, ours) {
        (Err(_), Err(_)) => String::new(),
        (Ok(_), Err(error)) => format!("they load: {}", variant(error)),
        (Err(error), Ok(_)) => format!("they refuse: {error}"),
        (Ok(theirs), Ok(ours)) => {
            let way = found.ways.iter().find(|way| way.protocol == Protocol::Pvh);
            let pvh = way.map(|way| way.entry.as_u64());
            let theirs_pvh = match theirs.pvh_boot_cap {
                PvhBootCapability::PvhEntryPresent(at) => Some(at.0),
                _ => None,
            };
            let refused = found.refused.iter().find(|one| one.protocol == Protocol::Pvh);
            match (theirs_pvh, pvh, refused) {
                (Some(theirs), Some(ours), _) if theirs != ours => {
                    return "pvh: other entry".into();
                }
                (Some(_), None, Some(refused)) => {
                    return format!("pvh, they find: {}", variant(&refused.reason));
                }
                (None, Some(_), _) => return "pvh, they find none".into(),
                _ => {}
            }
            // What is in memory: theirs, at the places that are ours.
            for segment in &ours.segments {
                let length = usize::try_from(segment.file_bytes).unwrap();
                let mut bytes = vec![0; length];
                let at = GuestAddress(segment.range.start().as_u64());
                if memory.read_slice(&mut bytes, at).is_err() {
                    return "memory: they write nothing".into();
                }
                let is_in_file = length == 0 || file.windows(length).any(|part| part == bytes);
                assert!(is_in_file, "other bytes at {at:?}");
            }
            let end = ours.segments.last().map_or(0, |last| last.range.end().as_u64());
            match theirs.kernel_end == end {
                true => String::new(),
                false => "end: without segments that have no bytes".into(),
            }
        }
    }
}

#[test]
fn linux_loader_reads_elf_files_as_we_do_but_where_it_is_named() {
    let mut tally = Tally::new();
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    for file in elf_files() {
        *tally.entry(compare_elf(&file)).or_default() += 1;
        for _ in 0..1500 {
            let mutant = numbers.mutate(&file, 0x120);
            if mutant.starts_with(b"\x7FELF") {
                *tally.entry(compare_elf(&mutant)).or_default() += 1;
            }
        }
    }
    explained(
        &tally,
        &[
            ("they load: ElfClass", "it tells ELF32 by the size of program headers alone"),
            ("they load: ElfMachine", "it does not look for whom code is"),
            ("they load: ElfType", "nor whether it is an executable"),
            ("they load: Interpreter", "nor whether it is a program"),
            ("they load: NoSegments", "it loads nothing, and says that it did"),
            ("they load: SegmentSizes", "it writes more bytes than the segment has"),
            ("they load: SegmentsOverlap", "it writes one over the other"),
            ("they refuse: Invalid program header size", "it reads no ELF32"),
            ("they refuse: Unable to read kernel image", "it has a memory, where it does not fit"),
            ("they refuse: Unable to read note header", "broken notes end the whole load"),
            ("pvh, they find: EntryOutside", "it does not look where the entry is"),
            ("pvh, they find: Truncated", "it reads a note before the file's end cuts its segment"),
            (
                "pvh, they find none",
                "the last note segment counts, sections do not, and padding is always to 4",
            ),
            ("end: without segments that have no bytes", "it skips them, bss and all"),
        ],
    );
}

fn bzimage_files() -> Vec<Vec<u8>> {
    let small = BzFile { kernel: vec![0xA5; 0x1000], ..BzFile::new() };
    let small = small.u32(0x1F4, 0x100).u32(0x214, 0x10_0000);
    let old = BzFile { header_end: 0x230, ..small.clone() }.u16(0x206, 0x0203);
    let mut signed = small.build();
    signed.extend([0x30; 100]);
    vec![
        signed,
        small.build(),
        small.clone().u8(0x1F1, 0).build(),
        old.build(),
        small.u8(0x211, 0).build(),
    ]
}

fn compare_bzimage(file: &[u8]) -> String {
    let (memory, theirs) = load::<BzImage>(file);
    let found = identify(file);
    let ours: Result<&LinuxImage<'_>, &Error> = match &found.format {
        Ok(Format::BzImage(image)) => Ok(image),
        Ok(_) => panic!("no bzImage"),
        Err(error) => Err(error),
    };
    let refused = found.refused.iter().find(|one| one.protocol == Protocol::Linux32);
    match (theirs, ours) {
        (Err(_), Err(_)) => String::new(),
        (Err(_), Ok(_)) if refused.is_some() => String::new(),
        (Ok(_), Err(error)) => format!("they load: {}", variant(error)),
        (Err(error), Ok(_)) => format!("they refuse: {error}"),
        (Ok(theirs), Ok(ours)) => {
            if let Some(refused) = refused {
                return format!("they load: {}", variant(&refused.reason));
            }
            let theirs_bytes = theirs.kernel_end - theirs.kernel_load.0;
            let mut bytes = vec![0; usize::try_from(ours.kernel_bytes.min(theirs_bytes)).unwrap()];
            memory.read_slice(&mut bytes, theirs.kernel_load).unwrap();
            let start = usize::try_from(ours.setup_bytes).unwrap();
            assert_eq!(bytes, file[start..start + bytes.len()]);
            let header = theirs.setup_header.unwrap();
            assert_eq!({ header.version }, ours.version);
            match (
                theirs_bytes == ours.kernel_bytes,
                theirs.kernel_load.0 == ours.preferred_address,
            ) {
                (true, true) => String::new(),
                (false, _) => "kernel: they load all that the file has".into(),
                (true, false) => "place: theirs is code32_start, ours pref_address".into(),
            }
        }
    }
}

#[test]
fn linux_loader_reads_bzimages_as_we_do_but_where_it_is_named() {
    let mut tally = Tally::new();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for file in bzimage_files() {
        *tally.entry(compare_bzimage(&file)).or_default() += 1;
        for _ in 0..800 {
            // The setup header alone.
            let header = numbers.mutate(&file[0x1F1..0x270], 0x7F);
            let mut mutant = file.clone();
            mutant.splice(0x1F1..0x270, header);
            if mutant.get(0x202..0x206) == Some(b"HdrS") {
                *tally.entry(compare_bzimage(&mutant)).or_default() += 1;
            }
        }
    }
    explained(
        &tally,
        &[
            ("kernel: they load all that the file has", "it does not look at syssize"),
            ("place: theirs is code32_start, ours pref_address", "nor at pref_address"),
            ("they load: BootFlag", "nor at the boot flag"),
            ("they load: EntryAbove4G", "it does not look at pref_address"),
            ("they load: InitSize", "nor at init_size"),
            ("they load: KernelAlignment", "nor at kernel_alignment"),
            ("they load: KernelTooShort", "nor whether there is a kernel, by syssize"),
            ("they load: SetupHeaderShort", "it takes code behind a short header for fields"),
            ("they load: Truncated", "it does not look at syssize: the file may be cut"),
            ("they refuse: Unable to read bzImage compressed kernel", "it does not fit its memory"),
        ],
    );
}

/// Finds the PVH entry as goblin's notes have it.
fn goblin_entry(elf: &goblin::elf::Elf<'_>, file: &[u8]) -> Result<Option<u64>, ()> {
    let mut broken = false;
    let segments = elf.iter_note_headers(file).into_iter().flatten();
    let sections = elf.iter_note_sections(file, None).into_iter().flatten();
    for note in segments.chain(sections) {
        match note {
            Ok(note) if note.name == "Xen" && note.n_type == 18 => {
                return Ok(match *note.desc {
                    [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d]).into()),
                    [a, b, c, d, 0, 0, 0, 0] => Some(u32::from_le_bytes([a, b, c, d]).into()),
                    _ => None,
                });
            }
            Ok(_) => {}
            Err(_) => broken = true,
        }
    }
    if broken { Err(()) } else { Ok(None) }
}

fn compare_goblin(file: &[u8]) -> String {
    let found = identify(file);
    let theirs = goblin::elf::Elf::parse(file);
    let (theirs, ours) = match (&theirs, &found.format) {
        (Err(_), Err(_)) => return String::new(),
        (Ok(_), Err(error)) => return format!("it reads: {}", variant(error)),
        (Err(_), Ok(_)) => return "it refuses what we need not read".into(),
        (Ok(theirs), Ok(Format::Elf(ours))) => (theirs, ours),
        _ => panic!("no ELF"),
    };
    let loads = theirs.program_headers.iter().filter(|one| one.p_type == 1 && one.p_memsz > 0);
    let mut loads: Vec<_> = loads.map(|one| (one.p_paddr, one.p_memsz, one.p_filesz)).collect();
    loads.sort_unstable();
    let segments = ours.segments.iter().map(|segment| {
        (segment.range.start().as_u64(), segment.range.size_bytes(), segment.file_bytes)
    });
    assert_eq!(segments.collect::<Vec<_>>(), loads);
    assert_eq!(theirs.entry, ours.entry);
    let way = found.ways.iter().find(|way| way.protocol == Protocol::Pvh);
    let refused = found.refused.iter().find(|one| one.protocol == Protocol::Pvh);
    match (goblin_entry(theirs, file), way.map(|way| way.entry.as_u64()), refused) {
        (Ok(None), None, _) | (Err(()), None, _) => String::new(),
        (Ok(Some(theirs)), Some(ours), _) if theirs == ours => String::new(),
        (Ok(Some(_)), None, Some(refused)) => {
            format!("pvh, it finds: {}", variant(&refused.reason))
        }
        (Ok(None), Some(_), _) => "pvh, it finds none".into(),
        (Err(()), Some(_), _) => "pvh, it breaks off".into(),
        _ => "pvh: other entry".into(),
    }
}

#[test]
fn goblin_reads_elf_files_as_we_do_but_where_it_is_named() {
    let mut tally = Tally::new();
    let mut numbers = Numbers(0xD1B5_4A32_D192_ED03);
    for file in elf_files() {
        *tally.entry(compare_goblin(&file)).or_default() += 1;
        for _ in 0..3000 {
            let mutant = numbers.mutate(&file, 0x120);
            if mutant.starts_with(b"\x7FELF") {
                *tally.entry(compare_goblin(&mutant)).or_default() += 1;
            }
        }
    }
    explained(
        &tally,
        &[
            ("it reads: ElfMachine", "it reads ELF for every machine"),
            ("it reads: ElfType", "and of every type"),
            ("it reads: Interpreter", "programs too"),
            ("it reads: NoSegments", "and what loads nothing"),
            ("it reads: ProgramHeaderSize", "it takes the size from the class"),
            ("it reads: SegmentPastEnd", "it does not add addresses"),
            ("it reads: SegmentSizes", "nor compare sizes"),
            ("it reads: SegmentsOverlap", "nor segments"),
            ("it reads: Truncated", "nor segments with the file's end"),
            ("it refuses what we need not read", "symbols, strings, relocations"),
            ("pvh, it breaks off", "it ends at the first note that is not as it expects"),
            ("pvh, it finds: BrokenNotes", "it reads a note past its segment's end"),
            ("pvh, it finds: EntryOutside", "it does not know what an entry is"),
            (
                "pvh, it finds: NoPvhNote",
                "it takes the size of section headers from the class, and any last byte of a name",
            ),
            ("pvh, it finds: Truncated", "it reads a segment as far as the file goes"),
        ],
    );
}
