//! Xen's PVH protocol: 32-bit entry, start info.

use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, StartInfo, StartInfoModule, VcpuState};
use zerocopy::IntoBytes;

use crate::draft::Draft;
use crate::elf::{Elf, pvh_entry};
use crate::kernel::Kernel;
use crate::{Error, Module, Protocol, Way};

/// Tells how an image starts by PVH.
pub(crate) fn way(kernel: &Kernel<'_>) -> Result<Way, Error> {
    let (elf, entry) = elf_and_entry(kernel)?;
    Ok(Way { protocol: Protocol::Pvh, entry: Gpa::new(entry.into()), ranges: elf.ranges() })
}

/// Plans the start: segments, initrd as the first module, command line, start info.
///
/// # Source
/// Xen `docs/misc/pvh.pandoc`, "PVH direct boot"; `public/arch-x86/hvm/start_info.h`.
pub(crate) fn plan<'a>(
    kernel: &Kernel<'a>,
    memory: &MemoryMap,
    draft: &mut Draft<'a>,
) -> Result<VcpuState, Error> {
    let (elf, entry) = elf_and_entry(kernel)?;
    draft.place_segments(elf)?;
    // The kernel runs with 32-bit addresses and no paging when it looks for its modules.
    let below_4g = GpaRange::new(Gpa::ZERO, 1 << 32).unwrap_or_default();
    let mut modules = Vec::new();
    modules.extend(draft.place_initrd(below_4g)?.map(|range| module(range, None)));
    for &Module { image, command_line } in draft.boot.modules {
        let range = draft.place_file("module", image, below_4g)?;
        modules.push(module(range, place_line("module command line", command_line, draft)?));
    }
    let command_line = place_line("command line", draft.boot.command_line, draft)?;
    let map: Vec<_> = memory.start_info().collect();

    let count = |what, length: usize| {
        let value = length as u64;
        u32::try_from(length).map_err(|_| Error::TooLarge { what, value, bits: 32 })
    };
    let map_count = count("memory map entries", map.len())?;
    let module_count = count("modules", modules.len())?;
    // One block: start info, modules, memory map. All three are multiples of 8 bytes long.
    let modules_offset = size_of::<StartInfo>() as u64;
    let map_offset = modules_offset + modules.as_bytes().len() as u64;
    let size_bytes = map_offset + map.as_bytes().len() as u64;
    let start = draft.claim_pages("PVH start info", size_bytes)?;
    let info = StartInfo {
        magic: StartInfo::MAGIC.into(),
        version: 1.into(),
        module_count: module_count.into(),
        modules: if modules.is_empty() { 0 } else { start.as_u64() + modules_offset }.into(),
        command_line: command_line.map_or(0, Gpa::as_u64).into(),
        rsdp: draft.boot.rsdp.map_or(0, Gpa::as_u64).into(),
        memory_map: (start.as_u64() + map_offset).into(),
        memory_map_count: map_count.into(),
        ..StartInfo::default()
    };
    let bytes = [info.as_bytes(), modules.as_bytes(), map.as_bytes()].concat();
    draft.put("PVH start info", start, bytes);

    let mut vcpu = VcpuState::flat32(entry);
    vcpu.general.rbx = start.as_u64();
    Ok(vcpu)
}

fn elf_and_entry<'k, 'a>(kernel: &'k Kernel<'a>) -> Result<(&'k Elf<'a>, u32), Error> {
    let Kernel::Elf(elf) = kernel else {
        return Err(Error::NotElf);
    };
    let entry = pvh_entry(elf)?;
    elf.check_entry(entry.into())?;
    Ok((elf, entry))
}

/// Places a command line; an empty one has no place.
fn place_line(tag: &'static str, line: &[u8], draft: &mut Draft<'_>) -> Result<Option<Gpa>, Error> {
    if line.is_empty() { Ok(None) } else { draft.place_command_line(tag, line).map(Some) }
}

fn module(range: GpaRange, command_line: Option<Gpa>) -> StartInfoModule {
    StartInfoModule {
        address: range.start().as_u64().into(),
        size_bytes: range.size_bytes().into(),
        command_line: command_line.map_or(0, Gpa::as_u64).into(),
        ..StartInfoModule::default()
    }
}
