//! What a Multiboot image loads, and where it is entered.

use alloc::vec;
use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use super::header::{Addresses, Header};
use crate::Error;
use crate::elf::{Elf, Segment};
use crate::file::part;
use crate::kernel::{Kernel, Parsed};

/// An image that was found to be sound.
#[derive(Debug)]
pub(super) struct Load<'k, 'a> {
    /// What to load, lowest address first.
    pub(super) segments: Vec<Segment<'a>>,
    /// The first instruction.
    pub(super) entry: Gpa,
    /// The ELF, if its headers say what to load.
    pub(super) elf: Option<&'k Elf<'a>>,
}

impl<'k, 'a> Load<'k, 'a> {
    pub(super) fn new(kernel: &'k Kernel<'a>, header: &Header) -> Result<Self, Error> {
        let (segments, entry, elf) = match (header.addresses, header.entry) {
            (Some(_), None) => return Err(Error::NoEntryAddress),
            (Some(addresses), Some(entry)) => {
                (vec![flat(kernel.bytes, header.offset, addresses)?], entry.into(), None)
            }
            (None, entry) => {
                let Parsed::Elf(elf) = kernel.parsed()? else {
                    return Err(Error::NotElf);
                };
                let entry = entry.map_or_else(|| elf.physical(elf.entry()), u64::from);
                (elf.segments().to_vec(), entry, Some(elf))
            }
        };
        let below_4g = Gpa::new(1 << 32);
        if let Some(high) = segments.iter().find(|segment| segment.range.end() > below_4g) {
            return Err(Error::SegmentAbove4G { range: high.range });
        }
        let address = Gpa::new(entry);
        if !segments.iter().any(|segment| segment.has_bytes_at(address)) {
            return Err(Error::EntryOutside { entry });
        }
        Ok(Self { segments, entry: address, elf })
    }

    pub(super) fn ranges(&self) -> Vec<GpaRange> {
        self.segments.iter().map(|segment| segment.range).collect()
    }
}

/// Makes the one segment of an image that is loaded by the addresses in its header.
///
/// # Source
/// Multiboot Specification, "The address fields of Multiboot header"; Multiboot2 Specification,
/// "The address tag of Multiboot2 header".
fn flat(file: &[u8], offset: u32, addresses: Addresses) -> Result<Segment<'_>, Error> {
    let wrong = || Error::MultibootAddresses {
        header: addresses.header,
        load: addresses.load,
        load_end: addresses.load_end,
        bss_end: addresses.bss_end,
    };
    let load = match addresses.load {
        Addresses::FROM_START => addresses.header.checked_sub(offset).ok_or_else(wrong)?,
        load => load,
    };
    let before = addresses.header.checked_sub(load).ok_or_else(wrong)?;
    let start = u64::from(offset.checked_sub(before).ok_or_else(wrong)?);
    let file_bytes = match addresses.load_end {
        0 => (file.len() as u64).saturating_sub(start),
        end => end.checked_sub(load).ok_or_else(wrong)?.into(),
    };
    let memory_bytes = match addresses.bss_end {
        0 => file_bytes,
        end => end.checked_sub(load).ok_or_else(wrong)?.into(),
    };
    if memory_bytes < file_bytes || file_bytes == 0 {
        return Err(wrong());
    }
    let bytes = part(file, "loaded part ends", start, file_bytes)?;
    let range = GpaRange::new(Gpa::new(load.into()), memory_bytes).ok_or_else(wrong)?;
    Ok(Segment { offset: start, bytes, range, virtual_address: load.into() })
}
