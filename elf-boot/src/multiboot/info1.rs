//! The boot information of version 1: one structure that points to the rest.

use alloc::vec::Vec;

use guest_state::Gpa;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Facts, LOADER_NAME, low, memory_type};
use crate::draft::{Draft, count};
use crate::{Apm, ColorFields, Error, Framebuffer, Tag};

/// What EBX points to at the entry.
///
/// # Source
/// Multiboot Specification, "Boot information format".
#[derive(Clone, Debug, FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Info {
    /// Which of the following fields count.
    flags: U32,
    low_and_high_kib: [U32; 2],
    /// Sub-partition of a sub-partition, sub-partition, partition, drive.
    boot_device: [u8; 4],
    command_line: U32,
    module_count: U32,
    modules: U32,
    section_count: U32,
    section_entry_bytes: U32,
    sections: U32,
    section_names_index: U32,
    memory_map_bytes: U32,
    memory_map: U32,
    _drives: [U32; 2],
    _configuration_table: U32,
    loader_name: U32,
    apm: U32,
    vbe_control_info: U32,
    vbe_mode_info: U32,
    vbe_mode: U16,
    vbe_interface: [U16; 3],
    framebuffer: FramebufferFields,
}
const _: () = assert!(size_of::<Info>() == 116);

impl Info {
    const MEMORY: u32 = 1 << 0;
    const BOOT_DEVICE: u32 = 1 << 1;
    const COMMAND_LINE: u32 = 1 << 2;
    const MODULES: u32 = 1 << 3;
    const ELF_SECTIONS: u32 = 1 << 5;
    const MEMORY_MAP: u32 = 1 << 6;
    const LOADER_NAME: u32 = 1 << 9;
    const APM: u32 = 1 << 10;
    const VBE: u32 = 1 << 11;
    const FRAMEBUFFER: u32 = 1 << 12;
}

/// What both versions say of a framebuffer, in this order.
#[derive(Clone, Copy, Debug, FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FramebufferFields {
    address: U64,
    pitch_bytes: U32,
    width: U32,
    height: U32,
    bits: u8,
    /// 1 for pixels of colours, 2 for text in EGA's form.
    kind: u8,
    colors: [u8; 6],
}
const _: () = assert!(size_of::<FramebufferFields>() == 28);

impl From<Framebuffer> for FramebufferFields {
    fn from(of: Framebuffer) -> Self {
        let (kind, colors) = match of.color {
            Some(ColorFields { red, green, blue }) => {
                (1, [red.0, red.1, green.0, green.1, blue.0, blue.1])
            }
            None => (2, [0; 6]),
        };
        Self {
            address: of.address.into(),
            pitch_bytes: of.pitch_bytes.into(),
            width: of.width.into(),
            height: of.height.into(),
            bits: of.bits,
            kind,
            colors,
        }
    }
}

/// The APM table, which is the same in both versions.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ApmFields {
    version: U16,
    code_segment: U16,
    offset: U32,
    code_segment_16: U16,
    data_segment: U16,
    flags: U16,
    code_segment_bytes: U16,
    code_segment_16_bytes: U16,
    data_segment_bytes: U16,
}
const _: () = assert!(size_of::<ApmFields>() == 20);

impl From<Apm> for ApmFields {
    fn from(of: Apm) -> Self {
        Self {
            version: of.version.into(),
            code_segment: of.code_segment.into(),
            offset: of.offset.into(),
            code_segment_16: of.code_segment_16.into(),
            data_segment: of.data_segment.into(),
            flags: of.flags.into(),
            code_segment_bytes: of.code_segment_bytes.into(),
            code_segment_16_bytes: of.code_segment_16_bytes.into(),
            data_segment_bytes: of.data_segment_bytes.into(),
        }
    }
}

/// One entry of the memory map.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct MapEntry {
    /// How many bytes follow: 20.
    size_bytes: U32,
    address: U64,
    length: U64,
    kind: U32,
}
const _: () = assert!(size_of::<MapEntry>() == 24);

/// One module.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ModuleEntry {
    start: U32,
    /// Behind its last byte.
    end: U32,
    command_line: U32,
    reserved: U32,
}
const _: () = assert!(size_of::<ModuleEntry>() == 16);

/// Places the boot information; returns its address.
pub(super) fn place(facts: &Facts<'_>, draft: &mut Draft<'_>) -> Result<Gpa, Error> {
    let mut info = Info { low_and_high_kib: facts.low_and_high_kib(), ..Info::new_zeroed() };
    let mut flags =
        Info::MEMORY | Info::COMMAND_LINE | Info::MODULES | Info::MEMORY_MAP | Info::LOADER_NAME;
    let line = draft.place_command_line("command line", draft.boot.command_line)?;
    info.command_line = low("command line", line)?;

    let mut modules = Vec::with_capacity(facts.modules.len());
    for module in &facts.modules {
        let line = draft.place_bytes("module command line", module.command_line.clone())?;
        modules.push(ModuleEntry {
            start: low("module", module.range.start())?,
            end: low("module", module.range.end())?,
            command_line: low("module command line", line)?,
            reserved: 0.into(),
        });
    }
    info.module_count = count("modules", modules.len())?.into();
    if let Some(sections) = &facts.sections {
        let at = draft.place_bytes("section headers", sections.headers.clone())?;
        info.sections = low("section headers", at)?;
        info.section_count = u32::from(sections.count).into();
        info.section_entry_bytes = u32::from(sections.entry_bytes).into();
        info.section_names_index = u32::from(sections.names_index).into();
        flags |= Info::ELF_SECTIONS;
    }
    for tag in draft.boot.tags {
        flags |= fill(&mut info, tag, draft)?;
    }
    let entry = |region: &boot_plan::MemoryRegion| MapEntry {
        size_bytes: 20.into(),
        address: region.range.start().as_u64().into(),
        length: region.range.size_bytes().into(),
        kind: memory_type(region.kind),
    };
    let map: Vec<MapEntry> = facts.memory.regions().iter().map(entry).collect();
    info.memory_map_bytes = count("memory map", map.as_bytes().len())?.into();
    info.flags = flags.into();

    // One block: the structure, modules, memory map, name.
    let (modules, map) = (modules.as_bytes(), map.as_bytes());
    let modules_offset = size_of::<Info>();
    let map_offset = modules_offset + modules.len();
    let name_offset = map_offset + map.len();
    let at = draft.claim_pages("multiboot info", (name_offset + LOADER_NAME.len()) as u64)?;
    let inside = |offset: usize| {
        let address = at.checked_add(offset as u64).unwrap_or(at);
        low("multiboot info", address)
    };
    info.modules = if modules.is_empty() { 0.into() } else { inside(modules_offset)? };
    info.memory_map = inside(map_offset)?;
    info.loader_name = inside(name_offset)?;
    draft.put("multiboot info", at, [info.as_bytes(), modules, map, LOADER_NAME].concat());
    Ok(at)
}

/// Fills in what the platform has to say; returns the flag that says so.
fn fill(info: &mut Info, tag: &Tag<'_>, draft: &mut Draft<'_>) -> Result<u32, Error> {
    Ok(match *tag {
        Tag::BootDevice { drive, partition, sub_partition } => {
            info.boot_device = [0xFF, sub_partition, partition, drive];
            Info::BOOT_DEVICE
        }
        Tag::Vbe { mode, interface, control_info, mode_info } => {
            info.vbe_mode = mode.into();
            info.vbe_interface = interface.map(U16::new);
            let at = draft.place_bytes("VBE control info", control_info.to_vec())?;
            info.vbe_control_info = low("VBE control info", at)?;
            let at = draft.place_bytes("VBE mode info", mode_info.to_vec())?;
            info.vbe_mode_info = low("VBE mode info", at)?;
            Info::VBE
        }
        Tag::Framebuffer(framebuffer) => {
            info.framebuffer = framebuffer.into();
            Info::FRAMEBUFFER
        }
        Tag::Apm(apm) => {
            let table = ApmFields::from(apm).as_bytes().to_vec();
            info.apm = low("APM table", draft.place_bytes("APM table", table)?)?;
            Info::APM
        }
        Tag::Smbios { .. } | Tag::Network(_) => 0,
    })
}
