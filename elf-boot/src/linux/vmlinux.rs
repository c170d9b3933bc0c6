//! vmlinux: Linux as an ELF, without the setup code that tells what it takes.

use guest_state::Gpa;

use super::{Entry, Placed, SetupHeader};
use crate::draft::Draft;
use crate::elf::Elf;
use crate::{Error, Way};

pub(super) fn way(elf: &Elf<'_>, by: Entry) -> Result<Way, Error> {
    let entry = entry(elf, by)?;
    Ok(Way { protocol: by.protocol(), entry, ranges: elf.ranges(), relocation: None })
}

pub(super) fn place<'a>(elf: &Elf<'a>, by: Entry, draft: &mut Draft<'a>) -> Result<Placed, Error> {
    let entry = draft.place_image(elf.segments(), entry(elf, by)?, None)?;
    let end = elf.segments().last().map_or(entry, |segment| segment.range.end());
    Ok(Placed { entry, end, header: SetupHeader::of_elf(), setup_type_max: None })
}

/// Returns the physical address of `startup_64` or `startup_32`, which vmlinux has as its entry:
/// at the lowest segment's start up to Linux 6.16, somewhere within since.
fn entry(elf: &Elf<'_>, by: Entry) -> Result<Gpa, Error> {
    match (by, elf.is_64bit()) {
        (Entry::Bits64, false) => Err(Error::NotElf64),
        (Entry::Bits32, true) => Err(Error::NotElf32),
        _ => elf.check_entry(elf.entry()),
    }
}
