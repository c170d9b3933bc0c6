//! One ELF, read by three.

use elf_boot::{ElfImage, Error, Format, Identified, Protocol};
use goblin::elf::program_header::PT_LOAD;
use linux_loader::loader::elf::{Elf, PvhBootCapability};

use super::recorder::{Load, MEMORY_BYTES, Memory};
use super::variant;

/// Our reading: what is no ELF is refused as one.
fn elf<'i, 'a>(found: &'i Identified<'a>) -> Result<&'i ElfImage<'a>, &'i Error> {
    match &found.format {
        Ok(Format::Elf(elf)) => Ok(elf),
        Ok(_) => Err(&Error::NotElf),
        Err(error) => Err(error),
    }
}

/// The PVH entry, or why there is none.
fn pvh(found: &Identified<'_>) -> Result<u64, Error> {
    match found.ways.iter().find(|way| way.protocol == Protocol::Pvh) {
        Some(way) => Ok(way.entry.as_u64()),
        None => {
            let refused = found.refused.iter().find(|one| one.protocol == Protocol::Pvh);
            Err(refused.unwrap().reason.clone())
        }
    }
}

fn compare_pvh(theirs: Option<u64>, found: &Identified<'_>) -> Option<String> {
    match (theirs, pvh(found)) {
        (Some(theirs), Ok(ours)) => (theirs != ours).then(|| "pvh: other entry".into()),
        (Some(_), Err(reason)) => Some(format!("pvh, they find: {}", variant(&reason))),
        (None, Ok(_)) => Some("pvh, they find none".into()),
        (None, Err(_)) => None,
    }
}

/// What the file has bytes for, lowest address first.
fn our_loads(elf: &ElfImage<'_>) -> Vec<Load> {
    let loads = elf.segments.iter().filter(|segment| segment.file_bytes > 0);
    loads
        .map(|segment| Load {
            address: segment.range.start().as_u64(),
            offset: segment.file_offset,
            bytes: segment.file_bytes,
        })
        .collect()
}

/// Names what linux-loader sees otherwise.
pub(crate) fn beside_linux_loader(
    memory: &Memory,
    file: &[u8],
    found: &Identified<'_>,
) -> Vec<String> {
    let theirs = memory.load::<Elf>(file);
    let (loaded, ours) = match (&theirs.result, elf(found)) {
        (Err(_), Err(_)) => return vec!["both refuse".into()],
        (Ok(_), Err(error)) => return vec![format!("they load: {}", variant(error))],
        (Err(error), Ok(elf)) => {
            let top = |load: &Load| load.address.saturating_add(load.bytes) > MEMORY_BYTES;
            let is_high = error.as_str() == "Unable to read kernel image";
            return vec![match is_high && our_loads(elf).iter().any(top) {
                true => "they refuse: above their memory".into(),
                false => format!("they refuse: {error}"),
            }];
        }
        (Ok(loaded), Ok(ours)) => (loaded, ours),
    };
    let mut names = Vec::new();
    if loaded.kernel_load.0 != ours.entry {
        names.push("entry".into());
    }
    if theirs.loads != our_loads(ours) {
        names.push("loads".into());
    }
    let end = ours.segments.last().map_or(0, |last| last.range.end().as_u64());
    if loaded.kernel_end != end {
        names.push("end".into());
    }
    let theirs_pvh = match loaded.pvh_boot_cap {
        PvhBootCapability::PvhEntryPresent(at) => Some(at.0),
        _ => None,
    };
    names.extend(compare_pvh(theirs_pvh, found));
    names
}

/// Name without its last byte, type, descriptor.
type Note<'a> = (&'a [u8], u32, &'a [u8]);

/// Names what goblin sees otherwise.
pub(crate) fn beside_goblin(_: &Memory, file: &[u8], found: &Identified<'_>) -> Vec<String> {
    let theirs = goblin::elf::Elf::parse(file);
    let (theirs, ours) = match (&theirs, elf(found)) {
        (Err(_), Err(_)) => return vec!["both refuse".into()],
        (Ok(_), Err(error)) => return vec![format!("they load: {}", variant(error))],
        (Err(_), Ok(_)) => return vec!["they refuse what need not be read".into()],
        (Ok(theirs), Ok(ours)) => (theirs, ours),
    };
    let mut names = Vec::new();
    let loads = theirs.program_headers.iter();
    let loads = loads.filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0);
    let mut loads: Vec<_> = loads
        .map(|header| (header.p_paddr, header.p_memsz, header.p_offset, header.p_filesz))
        .collect();
    loads.sort_unstable();
    let ours_loads = ours.segments.iter().map(|one| {
        (one.range.start().as_u64(), one.range.size_bytes(), one.file_offset, one.file_bytes)
    });
    if !ours_loads.eq(loads) {
        names.push("loads".into());
    }
    if (theirs.entry, theirs.is_64) != (ours.entry, ours.bits == 64) {
        names.push("entry".into());
    }

    let mut broken = false;
    let segments = theirs.iter_note_headers(file).into_iter().flatten();
    let sections = theirs.iter_note_sections(file, None).into_iter().flatten();
    let mut notes: Vec<Note<'_>> = Vec::new();
    for note in segments.chain(sections) {
        match note {
            Ok(note) => notes.push((note.name.as_bytes(), note.n_type, note.desc)),
            Err(_) => broken = true,
        }
    }
    let our_notes = ours.notes.iter().map(|note| {
        (note.name.split_last().map_or(&[][..], |(_, name)| name), note.kind, note.descriptor)
    });
    let same = our_notes.eq(notes.iter().copied());
    match (broken, ours.notes_problem.is_some()) {
        (false, false) if !same => names.push("notes: other ones".into()),
        (true, false) => names.push("notes: they break off".into()),
        (false, true) => names.push("notes: they see no fault".into()),
        _ => {}
    }
    let entry = notes.iter().find(|(name, kind, _)| *name == b"Xen" && *kind == 18);
    let entry = entry.and_then(|&(_, _, number)| match *number {
        [a, b, c, d] | [a, b, c, d, 0, 0, 0, 0] => Some(u32::from_le_bytes([a, b, c, d]).into()),
        _ => None,
    });
    names.extend(compare_pvh(entry, found));
    names
}
