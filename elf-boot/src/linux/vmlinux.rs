//! vmlinux: Linux as an ELF, without the setup code that tells what it takes.

use guest_state::Gpa;

use super::{Placed, SetupHeader};
use crate::draft::Draft;
use crate::elf::Elf;
use crate::{Error, Protocol, Way};

pub(super) fn way(elf: &Elf<'_>) -> Result<Way, Error> {
    let entry = entry(elf)?;
    Ok(Way { protocol: Protocol::Linux64, entry, ranges: elf.ranges() })
}

pub(super) fn place<'a>(elf: &Elf<'a>, draft: &mut Draft<'a>) -> Result<Placed, Error> {
    let entry = entry(elf)?;
    draft.place_segments(elf)?;
    let end = elf.segments().last().map_or(entry, |segment| segment.range.end());
    Ok(Placed { entry, end, header: SetupHeader::of_elf() })
}

/// Returns the physical address of `startup_64`, which vmlinux has as its entry: at the lowest
/// segment's start up to Linux 6.16, somewhere within since.
fn entry(elf: &Elf<'_>) -> Result<Gpa, Error> {
    if !elf.is_64bit() {
        return Err(Error::NotElf64);
    }
    elf.check_entry(elf.entry())
}
