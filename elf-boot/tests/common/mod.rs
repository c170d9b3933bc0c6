//! Builders of images, by hand from the ELF specification and Linux' boot protocol.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use boot_plan::{BootPlan, Layout, MemoryMap, Placement};
use elf_boot::{Boot, Error, Protocol, Start, plan_boot};
use guest_state::{Gpa, GpaRange};

/// A program header, with the bytes it points at.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
    /// `p_memsz`; `None`: as many as there are bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// `p_filesz`, where it is to lie.
    pub(crate) file_bytes: Option<u64>,
    /// `p_offset`, where it is to lie.
    pub(crate) offset: Option<u64>,
    pub(crate) align: u64,
}

impl Segment {
    pub(crate) fn new(kind: u32, address: u64, bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self { kind, address, bytes, memory_bytes: None, file_bytes: None, offset: None, align: 4 }
    }

    pub(crate) fn load(address: u64, bytes: &[u8]) -> Self {
        Self { align: 0x1000, ..Self::new(1, address, bytes) }
    }

    pub(crate) fn note(bytes: &[u8]) -> Self {
        Self::new(4, 0, bytes)
    }

    pub(crate) fn memory_bytes(self, memory_bytes: u64) -> Self {
        Self { memory_bytes: Some(memory_bytes), ..self }
    }
}

/// An ELF in the making. What it says of itself may be wrong.
#[derive(Clone, Debug)]
pub(crate) struct ElfFile {
    pub(crate) class: u8,
    pub(crate) data: u8,
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    pub(crate) segments: Vec<Segment>,
    /// Note sections: each one's bytes.
    pub(crate) note_sections: Vec<Vec<u8>>,
    pub(crate) program_header_bytes: Option<u16>,
    pub(crate) program_header_count: Option<u16>,
}

impl ElfFile {
    pub(crate) fn elf64(entry: u64) -> Self {
        Self {
            class: 2,
            data: 1,
            kind: 2,
            machine: 62,
            entry,
            segments: Vec::new(),
            note_sections: Vec::new(),
            program_header_bytes: None,
            program_header_count: None,
        }
    }

    pub(crate) fn elf32(entry: u64) -> Self {
        Self { class: 1, machine: 3, ..Self::elf64(entry) }
    }

    pub(crate) fn segment(mut self, segment: Segment) -> Self {
        self.segments.push(segment);
        self
    }

    pub(crate) fn note_section(mut self, bytes: &[u8]) -> Self {
        self.note_sections.push(bytes.to_vec());
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let wide = self.class != 1;
        let (header_bytes, entry_bytes, section_bytes) =
            if wide { (64_usize, 56_u16, 64_u16) } else { (52, 32, 40) };
        let table_bytes = usize::from(entry_bytes) * self.segments.len();
        let mut body = Vec::new();
        let body_start = header_bytes + table_bytes;
        let mut append = |bytes: &[u8]| {
            while !(body_start + body.len()).is_multiple_of(16) {
                body.push(0xEE);
            }
            let offset = (body_start + body.len()) as u64;
            body.extend_from_slice(bytes);
            offset
        };
        let segment_offsets: Vec<u64> =
            self.segments.iter().map(|segment| append(&segment.bytes)).collect();
        let section_offsets: Vec<u64> =
            self.note_sections.iter().map(|bytes| append(bytes)).collect();
        let sections_start = append(&[]);

        let mut out = Vec::new();
        let word = |out: &mut Vec<u8>, value: u64| {
            let bytes = value.to_le_bytes();
            out.extend_from_slice(if wide { &bytes } else { &bytes[..4] });
        };
        out.extend_from_slice(b"\x7FELF");
        out.extend_from_slice(&[self.class, self.data, 1, 0]);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.kind.to_le_bytes());
        out.extend_from_slice(&self.machine.to_le_bytes());
        out.extend_from_slice(&1_u32.to_le_bytes());
        word(&mut out, self.entry);
        word(&mut out, header_bytes as u64);
        word(&mut out, if self.note_sections.is_empty() { 0 } else { sections_start });
        out.extend_from_slice(&[0; 4]);
        let count = u16::try_from(self.segments.len()).unwrap();
        let sections = match self.note_sections.len() {
            0 => 0,
            notes => u16::try_from(notes + 1).unwrap(),
        };
        for half in [
            u16::try_from(header_bytes).unwrap(),
            self.program_header_bytes.unwrap_or(entry_bytes),
            self.program_header_count.unwrap_or(count),
            section_bytes,
            sections,
            0,
        ] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        assert_eq!(out.len(), header_bytes);

        for (segment, &offset) in self.segments.iter().zip(&segment_offsets) {
            let flags = 7_u32.to_le_bytes();
            let length = segment.bytes.len() as u64;
            out.extend_from_slice(&segment.kind.to_le_bytes());
            if wide {
                out.extend_from_slice(&flags);
            }
            word(&mut out, segment.offset.unwrap_or(offset));
            // Nobody may look at the virtual address.
            word(&mut out, 0xFFFF_FFFF_8000_0000_u64.wrapping_add(segment.address));
            word(&mut out, segment.address);
            word(&mut out, segment.file_bytes.unwrap_or(length));
            word(&mut out, segment.memory_bytes.unwrap_or(length));
            if !wide {
                out.extend_from_slice(&flags);
            }
            word(&mut out, segment.align);
        }
        out.extend_from_slice(&body);

        if !self.note_sections.is_empty() {
            out.extend_from_slice(&vec![0; section_bytes.into()]);
            for (bytes, &offset) in self.note_sections.iter().zip(&section_offsets) {
                out.extend_from_slice(&0_u32.to_le_bytes());
                out.extend_from_slice(&7_u32.to_le_bytes());
                word(&mut out, 2);
                word(&mut out, 0);
                word(&mut out, offset);
                word(&mut out, bytes.len() as u64);
                out.extend_from_slice(&[0; 8]);
                word(&mut out, 4);
                word(&mut out, 0);
            }
        }
        out
    }
}

/// A note whose name and descriptor are each padded to `padding` bytes.
pub(crate) fn note(name: &[u8], kind: u32, descriptor: &[u8], padding: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for value in [name.len(), descriptor.len(), kind.try_into().unwrap()] {
        out.extend_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    }
    for field in [name, descriptor] {
        out.extend_from_slice(field);
        out.resize(out.len().next_multiple_of(padding), 0);
    }
    out
}

/// The note that makes an ELF a PVH kernel.
pub(crate) fn pvh_note(entry: u32) -> Vec<u8> {
    note(b"Xen\0", 18, &entry.to_le_bytes(), 4)
}

/// A sound 64-bit kernel of two segments, the second with zeros behind it, entered at 1 MiB.
pub(crate) fn pvh_kernel() -> ElfFile {
    ElfFile::elf64(0x10_0000)
        .segment(Segment::load(0x10_0000, &[0xF4; 0x300]))
        .segment(Segment::load(0x20_0000, &[0xDA; 0x123]).memory_bytes(0x5000))
        .segment(Segment::note(&pvh_note(0x10_0010)))
}

/// A bzImage in the making: fields by their file offsets.
#[derive(Clone, Debug)]
pub(crate) struct BzFile {
    /// Where the header says it ends.
    pub(crate) header_end: usize,
    pub(crate) fields: Vec<(usize, Vec<u8>)>,
    /// The kernel proper.
    pub(crate) kernel: Vec<u8>,
}

impl BzFile {
    /// A sound kernel of version 2.15 that wants 4 MiB at 16 MiB and can be relocated.
    pub(crate) fn new() -> Self {
        let kernel: Vec<u8> = (0..0x3000_u32).flat_map(|i| (i * 3).to_le_bytes()).collect();
        let paragraphs = u32::try_from(kernel.len() / 16).unwrap();
        Self { header_end: 0x26C, fields: Vec::new(), kernel }
            .u8(0x1F1, 3)
            .u32(0x1F4, paragraphs)
            .u16(0x1FE, 0xAA55)
            .u32(0x202, u32::from_le_bytes(*b"HdrS"))
            .u16(0x206, 0x020F)
            .u8(0x211, 1)
            .u32(0x22C, 0x7FFF_FFFF)
            .u32(0x230, 0x20_0000)
            .u8(0x234, 1)
            .u16(0x236, 0x7F)
            .u32(0x238, 2047)
            .u64(0x250, 0xBAD_BAD0)
            .u64(0x258, 0x100_0000)
            .u32(0x260, 0x40_0000)
            .u32(0x268, 0x1234_5678)
    }

    pub(crate) fn field(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.fields.push((offset, bytes.to_vec()));
        self
    }

    pub(crate) fn u8(self, offset: usize, value: u8) -> Self {
        self.field(offset, &[value])
    }

    pub(crate) fn u16(self, offset: usize, value: u16) -> Self {
        self.field(offset, &value.to_le_bytes())
    }

    pub(crate) fn u32(self, offset: usize, value: u32) -> Self {
        self.field(offset, &value.to_le_bytes())
    }

    pub(crate) fn u64(self, offset: usize, value: u64) -> Self {
        self.field(offset, &value.to_le_bytes())
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        // What is no field is code.
        let mut out = vec![0xCC; 4 * 512];
        out[0x1F1..self.header_end].fill(0);
        out[0x200] = 0xEB;
        out[0x201] = u8::try_from(self.header_end - 0x202).unwrap();
        for (offset, bytes) in &self.fields {
            out[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        out.extend_from_slice(&self.kernel);
        out
    }
}

/// Plans a start, and checks that it contradicts neither itself nor its layout.
pub(crate) fn start_in<'a>(
    boot: &Boot<'a>,
    protocol: Option<Protocol>,
    memory: &MemoryMap,
) -> Result<Start<'a>, Error> {
    let mut layout = Layout::new(memory);
    let start = plan_boot(boot, protocol, memory, &mut layout)?;
    let mut plan = BootPlan::new(memory.clone());
    plan.placements = start.placements.clone();
    plan.vcpus.push(start.vcpu);
    plan.check().unwrap();
    for placement in &start.placements {
        let range = placement.range().unwrap();
        assert!(layout.owners().iter().any(|(_, own)| own.contains_range(range)), "{placement:?}");
    }
    Ok(start)
}

pub(crate) fn placed<'p, 'a>(start: &'p Start<'a>, tag: &str) -> &'p Placement<'a> {
    start.placements.iter().find(|placement| placement.tag == tag).unwrap()
}

/// Returns what stands from `at` on to the end of its placement.
pub(crate) fn bytes_at<'p>(start: &'p Start<'_>, at: u64) -> &'p [u8] {
    let wanted = GpaRange::new(Gpa::new(at), 1).unwrap();
    let holds = |p: &&Placement<'_>| p.range().unwrap().contains_range(wanted);
    let placement = start.placements.iter().find(holds).unwrap();
    let offset = usize::try_from(at - placement.gpa.as_u64()).unwrap();
    &placement.contents.bytes().unwrap()[offset..]
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(bytes[offset..][..2].try_into().unwrap())
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..][..4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..][..8].try_into().unwrap())
}

/// Numbers of 32 bits, as bytes.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A header of Multiboot version 1 with these flags and the words that follow the checksum.
pub(crate) fn multiboot1(flags: u32, more: &[u32]) -> Vec<u8> {
    let sum = 0x1BAD_B002_u32.wrapping_add(flags).wrapping_neg();
    [words(&[0x1BAD_B002, flags, sum]), words(more)].concat()
}

/// A header of version 2 with tags of these types, flags and words, and an end tag.
pub(crate) fn multiboot2(tags: &[(u16, u16, &[u32])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, flags, more) in tags.iter().copied().chain([(0, 0, &[][..])]) {
        body.extend_from_slice(&kind.to_le_bytes());
        body.extend_from_slice(&flags.to_le_bytes());
        body.extend(words(&[u32::try_from(8 + 4 * more.len()).unwrap()]));
        body.extend(words(more));
        body.resize(body.len().next_multiple_of(8), 0xEE);
    }
    let length = u32::try_from(16 + body.len()).unwrap();
    let sum = 0xE852_50D6_u32.wrapping_add(length).wrapping_neg();
    [words(&[0xE852_50D6, 0, length, sum]), body].concat()
}
