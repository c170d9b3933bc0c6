//! An ELF's sections, as Multiboot passes them on.

use alloc::vec::Vec;

use boot_plan::{Placement, Request};
use guest_state::Gpa;

use crate::Error;
use crate::draft::Draft;
use crate::elf::SectionTable;

/// The section headers, with the addresses of those sections that had none.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) headers: Vec<u8>,
    pub(super) count: u16,
    pub(super) entry_bytes: u16,
    pub(super) names_index: u16,
}

/// No section needs more: kernels have their symbols and strings here.
const MOST_ALIGNMENT: u64 = 0x1000;
const LEAST_ALIGNMENT: u64 = 16;

/// Loads the sections that no segment has, and says where. A section with an address keeps it, as
/// it was linked: GRUB does so, and kernels rely on it.
pub(super) fn place<'a>(table: SectionTable<'a>, draft: &mut Draft<'a>) -> Result<Sections, Error> {
    let SectionTable { bytes, count, entry_bytes, names_index, unloaded } = table;
    let mut headers = bytes.to_vec();
    // One block for all: offsets first, then the place.
    let mut end = 0_u64;
    let mut offsets = Vec::with_capacity(unloaded.len());
    for (_, section) in &unloaded {
        let wanted = Some(section.alignment).filter(|alignment| alignment.is_power_of_two());
        let alignment = wanted.unwrap_or(1).clamp(LEAST_ALIGNMENT, MOST_ALIGNMENT);
        let offset = end.checked_next_multiple_of(alignment);
        let next = offset.and_then(|offset| offset.checked_add(section.bytes.len() as u64));
        let (Some(offset), Some(next)) = (offset, next) else {
            return Err(Error::TooLarge { what: "sections", value: end, bits: 64 });
        };
        offsets.push(offset);
        end = next;
    }
    if end > 0 {
        let room = draft.layout.place("kernel sections", Request::pages(end).highest())?;
        for ((index, section), offset) in unloaded.into_iter().zip(offsets) {
            let at = room.start().checked_add(offset).unwrap_or(room.end());
            let contents = draft.boot.kernel.contents(section.offset, section.bytes);
            draft.placements.push(Placement::new("kernel sections", at, contents));
            let (field, width) = section.address_field;
            set_address(&mut headers, index * usize::from(entry_bytes) + field, width, at);
        }
    }
    Ok(Sections { headers, count, entry_bytes, names_index })
}

/// Writes an address, which is below 4 GiB, into a field of 4 or 8 bytes.
fn set_address(headers: &mut [u8], at: usize, width: usize, address: Gpa) {
    let field = headers.get_mut(at..).and_then(|rest| rest.get_mut(..width));
    for (field, byte) in field.into_iter().flatten().zip(address.as_u64().to_le_bytes()) {
        *field = byte;
    }
}
