//! ELF images of both classes: headers checked, segments ready to be placed.

mod describe;
mod notes;
mod sections;

use alloc::vec::Vec;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{PT_INTERP, PT_LOAD, PT_NOTE, ProgramHeader};
use goblin::elf::section_header::SHT_NOTE;
use guest_state::{Gpa, GpaRange};

pub use describe::{ElfImage, ElfSegment};
pub use notes::Note;
pub(crate) use notes::{pvh_entry, pvh_relocation};
pub(crate) use sections::SectionTable;

use crate::Error;
use crate::file::{part, truncated};

/// More program headers than any kernel has, and few enough to look at.
const MOST_PROGRAM_HEADERS: u16 = 256;

/// An executable for x86 whose segments lie within the file and do not overlap in memory.
#[derive(Debug)]
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
    header: Header,
    program_headers: Vec<ProgramHeader>,
    segments: Vec<Segment<'a>>,
}

/// Something to load: never empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// Where the bytes begin in the file.
    pub(crate) offset: u64,
    /// What the file has of it, which may be nothing.
    pub(crate) bytes: &'a [u8],
    /// The memory it takes: the bytes, and zeros behind them.
    pub(crate) range: GpaRange,
    /// Where its code believes to be once it has paging.
    pub(crate) virtual_address: u64,
}

impl Segment<'_> {
    /// Returns where the zeros begin, and how many there are.
    pub(crate) fn zeros(&self) -> (Gpa, u64) {
        let file_bytes = self.bytes.len() as u64;
        let start = self.range.start().checked_add(file_bytes).unwrap_or(self.range.end());
        (start, self.range.size_bytes().saturating_sub(file_bytes))
    }

    /// Tells whether `address` is one of those that the file has a byte for.
    pub(crate) fn has_bytes_at(&self, address: Gpa) -> bool {
        address >= self.range.start() && address < self.zeros().0
    }
}

impl<'a> Elf<'a> {
    /// How every ELF begins.
    pub(crate) const MAGIC: &'static [u8] = header::ELFMAG;

    /// Reads and checks the headers; the bytes of segments are not touched.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = parse_header(bytes)?;
        let program_headers = parse_program_headers(bytes, &header)?;
        if program_headers.iter().any(|header| header.p_type == PT_INTERP) {
            return Err(Error::Interpreter);
        }
        let mut segments = Vec::new();
        for (index, program_header) in program_headers.iter().enumerate() {
            if program_header.p_type == PT_LOAD {
                segments.extend(parse_segment(bytes, index, program_header)?);
            }
        }
        if segments.is_empty() {
            return Err(Error::NoSegments);
        }
        segments.sort_by_key(|segment: &Segment<'_>| segment.range.start());
        for pair in segments.windows(2) {
            let [range, other] = [pair[0].range, pair[1].range];
            if range.overlaps(other) {
                return Err(Error::SegmentsOverlap { range, other });
            }
        }
        Ok(Self { bytes, header, program_headers, segments })
    }

    /// Returns the segments, lowest address first.
    pub(crate) fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// Tells whether this is a 64-bit file.
    pub(crate) fn is_64bit(&self) -> bool {
        context(&self.header).container.is_big()
    }

    /// Returns the entry that the header names.
    pub(crate) const fn entry(&self) -> u64 {
        self.header.e_entry
    }

    /// Checks that the file has an instruction for the physical address `entry`.
    pub(crate) fn check_entry(&self, entry: u64) -> Result<Gpa, Error> {
        let address = Gpa::new(entry);
        let has_it = self.segments.iter().any(|segment| segment.has_bytes_at(address));
        has_it.then_some(address).ok_or(Error::EntryOutside { entry })
    }

    /// Returns the memory that the segments take, lowest first.
    pub(crate) fn ranges(&self) -> Vec<GpaRange> {
        self.segments.iter().map(|segment| segment.range).collect()
    }

    /// Returns the physical address of a virtual one, or the address itself if it is in no segment.
    pub(crate) fn physical(&self, address: u64) -> u64 {
        let found = self.segments.iter().find_map(|segment| {
            let offset = address.checked_sub(segment.virtual_address)?;
            let inside = offset < segment.range.size_bytes();
            inside.then(|| segment.range.start().as_u64().checked_add(offset)).flatten()
        });
        found.unwrap_or(address)
    }

    /// Returns the largest alignment that a segment to load asks for.
    pub(crate) fn largest_alignment(&self) -> u64 {
        let loads = self.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
        loads.map(|header| header.p_align).max().unwrap_or(0)
    }

    /// Returns the parts of the file that hold notes, offset and bytes: first those that program
    /// headers name, then those that sections are, for a tool may have dropped the former.
    fn note_areas(&self) -> Vec<Result<(u64, &'a [u8]), Error>> {
        let area = |what, offset, size| part(self.bytes, what, offset, size).map(|a| (offset, a));
        let notes = self.program_headers.iter().filter(|header| header.p_type == PT_NOTE);
        let mut areas: Vec<_> = notes
            .map(|header| area("note segment ends", header.p_offset, header.p_filesz))
            .collect();
        match sections::parse_headers(self.bytes, &self.header) {
            Ok(sections) => areas.extend(
                sections
                    .iter()
                    .filter(|header| header.sh_type == SHT_NOTE)
                    .map(|header| area("note section ends", header.sh_offset, header.sh_size)),
            ),
            Err(error) => areas.push(Err(error)),
        }
        areas
    }
}

fn parse_header(bytes: &[u8]) -> Result<Header, Error> {
    let truncated = |end: usize| truncated(bytes, "ELF header ends", end as u64);
    let &[_, _, _, _, class, data, ..] = bytes else {
        return Err(truncated(header::SIZEOF_IDENT));
    };
    let (bits, size, expected) = match class {
        header::ELFCLASS32 => (32, header::header32::SIZEOF_EHDR, header::EM_386),
        header::ELFCLASS64 => (64, header::header64::SIZEOF_EHDR, header::EM_X86_64),
        _ => return Err(Error::ElfClass { class }),
    };
    if data != header::ELFDATA2LSB {
        return Err(Error::ElfByteOrder { data });
    }
    let header = goblin::elf::Elf::parse_header(bytes).map_err(|_| truncated(size))?;
    if header.e_machine != expected {
        return Err(Error::ElfMachine { bits, machine: header.e_machine, expected });
    }
    if !matches!(header.e_type, header::ET_EXEC | header::ET_DYN) {
        return Err(Error::ElfType { kind: header.e_type });
    }
    Ok(header)
}

fn parse_program_headers(bytes: &[u8], header: &Header) -> Result<Vec<ProgramHeader>, Error> {
    let context = context(header);
    let (count, size_bytes) = (header.e_phnum, header.e_phentsize);
    if count == 0 {
        return Err(Error::NoSegments);
    }
    if count > MOST_PROGRAM_HEADERS {
        return Err(Error::TooManyProgramHeaders { count, most: MOST_PROGRAM_HEADERS });
    }
    let expected = if context.container.is_big() { 56 } else { 32 };
    if size_bytes != expected {
        return Err(Error::ProgramHeaderSize { size_bytes, expected });
    }
    let table_bytes = u64::from(count) * u64::from(size_bytes);
    let table = part(bytes, "program headers end", header.e_phoff, table_bytes)?;
    ProgramHeader::parse(table, 0, count.into(), context)
        .map_err(|_| truncated(bytes, "program headers end", header.e_phoff))
}

fn context(header: &Header) -> Ctx {
    let class = header.e_ident[header::EI_CLASS];
    let container = if class == header::ELFCLASS64 { Container::Big } else { Container::Little };
    Ctx::new(container, Endian::Little)
}

fn parse_segment<'a>(
    bytes: &'a [u8],
    index: usize,
    header: &ProgramHeader,
) -> Result<Option<Segment<'a>>, Error> {
    let (offset, file_bytes) = (header.p_offset, header.p_filesz);
    let (address, memory_bytes) = (header.p_paddr, header.p_memsz);
    if file_bytes > memory_bytes {
        return Err(Error::SegmentSizes { index, file_bytes, memory_bytes });
    }
    let range = GpaRange::new(Gpa::new(address), memory_bytes).ok_or(Error::SegmentPastEnd {
        index,
        address,
        memory_bytes,
    })?;
    // A segment without bytes may have any offset.
    let bytes = match file_bytes {
        0 => &[],
        _ => part(bytes, "segment ends", offset, file_bytes)?,
    };
    let virtual_address = header.p_vaddr;
    Ok((!range.is_empty()).then_some(Segment { offset, bytes, range, virtual_address }))
}
