//! Multiboot, both versions: a header in the image, 32-bit entry, boot information.

mod header;
mod info1;
mod info2;
mod load;
mod sections;

use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, MemoryKind, VcpuState};
use zerocopy::little_endian::U32;

use header::Header;
use load::Load;
use sections::Sections;

use crate::draft::Draft;
use crate::elf::Elf;
use crate::kernel::Kernel;
use crate::{Error, Module, Protocol, Tag, Way};

/// Which Multiboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

impl Version {
    const fn header_magic(self) -> u32 {
        match self {
            Self::One => 0x1BAD_B002,
            Self::Two => 0xE852_50D6,
        }
    }

    /// What EAX holds at the entry.
    const fn entry_magic(self) -> u32 {
        match self {
            Self::One => 0x2BAD_B002,
            Self::Two => 0x36D7_6289,
        }
    }

    const fn protocol(self) -> Protocol {
        match self {
            Self::One => Protocol::Multiboot,
            Self::Two => Protocol::Multiboot2,
        }
    }
}

/// Who started the kernel, as it is told.
const LOADER_NAME: &[u8] = b"hvkit\0";

/// Tells how an image starts by this version.
pub(crate) fn way(kernel: &Kernel<'_>, version: Version) -> Result<Way, Error> {
    let header = header::find(kernel.bytes, version)?;
    let load = Load::new(kernel, &header)?;
    Ok(Way {
        protocol: version.protocol(),
        entry: load.entry,
        ranges: load.ranges(),
        relocation: header.relocation,
    })
}

/// What the boot information of either version tells.
struct Facts<'f> {
    modules: Vec<PlacedModule>,
    memory: &'f MemoryMap,
    sections: Option<Sections>,
    /// The lowest address of the image, where it says that it may be moved.
    load_base: Option<Gpa>,
}

struct PlacedModule {
    range: GpaRange,
    command_line: Vec<u8>,
}

/// Plans the start: segments, sections without an address, initrd as the first module, modules,
/// boot information.
///
/// # Source
/// Multiboot Specification, "Machine state"; Multiboot2 Specification, "I386 machine state".
pub(crate) fn plan<'a>(
    kernel: &Kernel<'a>,
    version: Version,
    memory: &MemoryMap,
    draft: &mut Draft<'a>,
) -> Result<VcpuState, Error> {
    let header = header::find(kernel.bytes, version)?;
    let load = Load::new(kernel, &header)?;
    check_screen(&header, draft.boot.tags)?;
    let entry = draft.place_image(&load.segments, load.entry, header.relocation.as_ref())?;
    let base = draft.placements.iter().map(|placement| placement.gpa).min();
    let table = load.elf.map(Elf::section_table).transpose()?.flatten();
    let sections = table.map(|table| sections::place(table, draft)).transpose()?;
    let facts = Facts {
        modules: place_modules(draft)?,
        memory,
        sections,
        load_base: base.filter(|_| header.relocation.is_some()),
    };
    let info = match version {
        Version::One => info1::place(&facts, draft)?,
        Version::Two => info2::place(&facts, draft)?,
    };
    let eip = u32::try_from(entry.as_u64()).map_err(|_| Error::EntryAbove4G { entry })?;
    let mut vcpu = VcpuState::flat32(eip);
    vcpu.general.rax = version.entry_magic().into();
    vcpu.general.rbx = info.as_u64();
    Ok(vcpu)
}

/// Refuses an image that has to be told of a screen where the platform has none to tell of.
fn check_screen(header: &Header, tags: &[Tag<'_>]) -> Result<(), Error> {
    let shows = |tag: &Tag<'_>| matches!(tag, Tag::Framebuffer(_) | Tag::Vbe { .. });
    if header.needs_screen && !tags.iter().any(shows) {
        return Err(Error::NoScreen);
    }
    Ok(())
}

fn place_modules(draft: &mut Draft<'_>) -> Result<Vec<PlacedModule>, Error> {
    let below_4g = GpaRange::new(Gpa::ZERO, 1 << 32).unwrap_or_default();
    let mut modules = Vec::new();
    let initrd = draft.place_initrd(below_4g)?;
    modules.extend(initrd.map(|range| PlacedModule { range, command_line: [0].to_vec() }));
    for &Module { image, command_line } in draft.boot.modules {
        let range = draft.place_file("module", image, below_4g)?;
        modules.push(PlacedModule { range, command_line: [command_line, b"\0"].concat() });
    }
    Ok(modules)
}

impl Facts<'_> {
    /// Returns how many KiB of RAM there are from 0 and from 1 MiB on, up to the first hole.
    fn low_and_high_kib(&self) -> [U32; 2] {
        let from = |at: Gpa, most: u64| {
            let region = self.memory.find(at).filter(|region| region.kind == MemoryKind::RAM);
            let bytes = region.and_then(|region| region.range.end().offset_from(at)).unwrap_or(0);
            u32::try_from(bytes.min(most) / 1024).unwrap_or(u32::MAX).into()
        };
        [from(Gpa::ZERO, 640 << 10), from(Gpa::new(1 << 20), u64::MAX)]
    }
}

/// Returns the number that Multiboot has for what memory is for: those of ACPI, as far as 5.
fn memory_type(kind: MemoryKind) -> U32 {
    match kind.0 {
        known @ 1..=5 => known,
        _ => MemoryKind::RESERVED.0,
    }
    .into()
}

/// Makes an address fit a field of 32 bits. All that Multiboot tells of was placed below 4 GiB.
fn low(what: &'static str, at: Gpa) -> Result<U32, Error> {
    let value = at.as_u64();
    let low = u32::try_from(value).map_err(|_| Error::TooLarge { what, value, bits: 32 })?;
    Ok(low.into())
}
