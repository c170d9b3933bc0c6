//! The boot information of version 2: a list of tags.

use alloc::vec::Vec;

use guest_state::Gpa;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes, KnownLayout, Unaligned};

use super::info1::{ApmFields, FramebufferFields};
use super::{Facts, LOADER_NAME, low, memory_type};
use crate::draft::{Draft, count};
use crate::{Error, Tag};

/// The types of the tags.
mod kind {
    pub(super) const END: u32 = 0;
    pub(super) const COMMAND_LINE: u32 = 1;
    pub(super) const LOADER_NAME: u32 = 2;
    pub(super) const MODULE: u32 = 3;
    pub(super) const MEMORY: u32 = 4;
    pub(super) const BOOT_DEVICE: u32 = 5;
    pub(super) const MEMORY_MAP: u32 = 6;
    pub(super) const VBE: u32 = 7;
    pub(super) const FRAMEBUFFER: u32 = 8;
    pub(super) const ELF_SECTIONS: u32 = 9;
    pub(super) const APM: u32 = 10;
    pub(super) const SMBIOS: u32 = 13;
    pub(super) const OLD_RSDP: u32 = 14;
    pub(super) const NEW_RSDP: u32 = 15;
    pub(super) const NETWORK: u32 = 16;
    pub(super) const LOAD_BASE: u32 = 21;
}

/// One entry of the memory map.
///
/// # Source
/// Multiboot2 Specification, "Memory map".
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct MapEntry {
    address: U64,
    length: U64,
    kind: U32,
    reserved: U32,
}
const _: () = assert!(size_of::<MapEntry>() == 24);

/// Tags, each on a boundary of 8 bytes.
#[derive(Debug, Default)]
struct Tags(Vec<u8>);

impl Tags {
    /// Appends a tag of these parts.
    fn push(&mut self, kind: u32, parts: &[&[u8]]) -> Result<(), Error> {
        let body = parts.concat();
        let size_bytes = count("tag", body.len().saturating_add(8))?;
        self.0.extend_from_slice([U32::new(kind), U32::new(size_bytes)].as_bytes());
        self.0.extend_from_slice(&body);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        Ok(())
    }

    fn push_words(&mut self, kind: u32, words: &[U32]) -> Result<(), Error> {
        self.push(kind, &[words.as_bytes()])
    }
}

/// Places the boot information; returns its address.
///
/// # Source
/// Multiboot2 Specification, "Boot information format" and its sections on each tag.
pub(super) fn place(facts: &Facts<'_>, draft: &mut Draft<'_>) -> Result<Gpa, Error> {
    let boot = draft.boot;
    let mut tags = Tags::default();
    tags.push(kind::COMMAND_LINE, &[boot.command_line, b"\0"])?;
    tags.push(kind::LOADER_NAME, &[LOADER_NAME])?;
    for module in &facts.modules {
        let (start, end) = (module.range.start(), module.range.end());
        let bounds = [low("module", start)?, low("module", end)?];
        tags.push(kind::MODULE, &[bounds.as_bytes(), &module.command_line])?;
    }
    tags.push_words(kind::MEMORY, &facts.low_and_high_kib())?;
    let entry = |region: &boot_plan::MemoryRegion| MapEntry {
        address: region.range.start().as_u64().into(),
        length: region.range.size_bytes().into(),
        kind: memory_type(region.kind),
        reserved: 0.into(),
    };
    let map: Vec<MapEntry> = facts.memory.regions().iter().map(entry).collect();
    let entry_bytes_and_version = [24, 0].map(U32::new);
    tags.push(kind::MEMORY_MAP, &[entry_bytes_and_version.as_bytes(), map.as_bytes()])?;
    if let Some(sections) = &facts.sections {
        // Words of 32 bits, as the specification's own header file and all that read it have
        // them; its text has 16.
        let [count, entry_bytes, names] =
            [sections.count, sections.entry_bytes, sections.names_index].map(u32::from);
        let numbers = [count, entry_bytes, names].map(U32::new);
        tags.push(kind::ELF_SECTIONS, &[numbers.as_bytes(), &sections.headers])?;
    }
    for tag in boot.tags {
        push_given(&mut tags, tag)?;
    }
    if let Some(rsdp) = boot.rsdp_copy {
        // The first 20 bytes are what ACPI 1.0 had, with a checksum of their own. They lead
        // somewhere only if there is an RSDT.
        let (old, rsdt) = (&rsdp[..20], &rsdp[16..20]);
        if rsdt != [0; 4] {
            tags.push(kind::OLD_RSDP, &[old])?;
        }
        tags.push(kind::NEW_RSDP, &[&rsdp])?;
    }
    if let Some(base) = facts.load_base {
        tags.push_words(kind::LOAD_BASE, &[low("load base", base)?])?;
    }
    tags.push(kind::END, &[])?;

    let size_bytes = count("multiboot info", tags.0.len().saturating_add(8))?;
    let at = draft.claim_pages("multiboot info", size_bytes.into())?;
    let head = [U32::new(size_bytes), U32::new(0)];
    draft.put("multiboot info", at, [head.as_bytes(), &tags.0].concat());
    Ok(at)
}

fn push_given(tags: &mut Tags, tag: &Tag<'_>) -> Result<(), Error> {
    match *tag {
        Tag::BootDevice { drive, partition, sub_partition } => {
            // A partition that does not count is FFFF_FFFFh.
            let wide = |part: u8| U32::new(if part == 0xFF { u32::MAX } else { part.into() });
            let words = [U32::new(drive.into()), wide(partition), wide(sub_partition)];
            tags.push_words(kind::BOOT_DEVICE, &words)
        }
        Tag::Vbe { mode, interface: [segment, offset, length], control_info, mode_info } => {
            let numbers = [mode, segment, offset, length].map(U16::new);
            tags.push(kind::VBE, &[numbers.as_bytes(), control_info, mode_info])
        }
        Tag::Framebuffer(framebuffer) => {
            let fields = FramebufferFields::from(framebuffer);
            let (fixed, colors) = fields.as_bytes().split_at(22);
            // Two reserved bytes stand between the type and what belongs to it.
            let colors = if framebuffer.color.is_some() { colors } else { &[] };
            tags.push(kind::FRAMEBUFFER, &[fixed, &[0, 0], colors])
        }
        Tag::Apm(apm) => tags.push(kind::APM, &[ApmFields::from(apm).as_bytes()]),
        Tag::Smbios { major, minor, table } => {
            tags.push(kind::SMBIOS, &[&[major, minor, 0, 0, 0, 0, 0, 0], table])
        }
        Tag::Network(packet) => tags.push(kind::NETWORK, &[packet]),
    }
}
