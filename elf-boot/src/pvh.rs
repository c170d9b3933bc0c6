//! Xen's PVH protocol: 32-bit entry, start info.

use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, StartInfo, StartInfoModule, VcpuState};
use zerocopy::IntoBytes;

use crate::draft::{Draft, count};
use crate::elf::{Elf, pvh_entry, pvh_relocation};
use crate::kernel::{Kernel, Parsed};
use crate::{Error, Module, Protocol, Way};

/// Tells how an image starts by PVH.
pub(crate) fn way(kernel: &Kernel<'_>) -> Result<Way, Error> {
    let (elf, entry) = elf_and_entry(kernel)?;
    let relocation = pvh_relocation(elf)?;
    Ok(Way { protocol: Protocol::Pvh, entry, ranges: elf.ranges(), relocation })
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
    let entry = draft.place_image(elf.segments(), entry, pvh_relocation(elf)?.as_ref())?;
    let eip = u32::try_from(entry.as_u64()).map_err(|_| Error::EntryAbove4G { entry })?;
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

    let mut vcpu = VcpuState::flat32(eip);
    vcpu.general.rbx = start.as_u64();
    Ok(vcpu)
}

fn elf_and_entry<'k, 'a>(kernel: &'k Kernel<'a>) -> Result<(&'k Elf<'a>, Gpa), Error> {
    let elf = match kernel.parsed()? {
        Parsed::Elf(elf) => elf,
        Parsed::BzImage(image) => {
            let by = image.packed()?.compression();
            return Err(Error::Packed { by });
        }
    };
    let entry = elf.check_entry(pvh_entry(elf)?.into())?;
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
