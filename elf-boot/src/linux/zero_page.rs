//! The zero page, and what it points to.

use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{E820Entry, Gpa, GpaRange};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::SetupHeader;
use crate::Error;
use crate::draft::Draft;

/// What RSI points to at the entry.
///
/// # Source
/// Linux `Documentation/arch/x86/zero-page.rst`.
#[derive(Clone, Debug, FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ZeroPage {
    _screen_and_power: [u8; 0x70],
    /// Address of ACPI's root pointer; 0 if there is none (2.14).
    rsdp: U64,
    _drives: [u8; 0xC0 - 0x78],
    /// Address of the initrd, the high half.
    ramdisk_address_high: U32,
    /// Length of the initrd, the high half.
    ramdisk_bytes_high: U32,
    /// Address of the command line, the high half.
    command_line_high: U32,
    _firmware: [u8; 0x1E8 - 0xCC],
    /// How many entries of `e820` count.
    e820_count: u8,
    /// With the sentinel at 1EFh, which is 0 where the whole page is meant to be.
    _keyboard: [u8; 0x1F1 - 0x1E9],
    header: SetupHeader,
    _disk_signatures: [u8; 0x2D0 - 0x290],
    e820: [E820Entry; ZeroPage::MOST_E820],
    _disks: [u8; 0x1000 - 0xCD0],
}
const _: () = assert!(size_of::<ZeroPage>() == 0x1000);

impl ZeroPage {
    const MOST_E820: usize = 128;
}

/// One entry of the list that `setup_data` begins; its bytes follow.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SetupData {
    /// Address of the next entry; 0 if there is none.
    next: U64,
    kind: U32,
    /// How many bytes follow.
    size_bytes: U32,
}
const _: () = assert!(size_of::<SetupData>() == 16);

impl SetupData {
    /// The bytes are E820 entries.
    const E820_EXTENSION: u32 = 1;
}

/// Places initrd, command line and zero page; returns the zero page's address.
pub(super) fn place(
    header: SetupHeader,
    memory: &MemoryMap,
    draft: &mut Draft<'_>,
) -> Result<Gpa, Error> {
    let most = header.command_line_bytes.get();
    let size_bytes = draft.boot.command_line.len();
    if usize::try_from(most).is_ok_and(|most| size_bytes > most) {
        return Err(Error::CommandLineTooLong { size_bytes, most });
    }
    let below = Gpa::new(u64::from(header.initrd_address_max.get()) + 1);
    let initrd_room = GpaRange::from_bounds(Gpa::ZERO, below).unwrap_or_default();
    let initrd = draft.place_initrd(initrd_room)?.unwrap_or_default();
    if !draft.boot.modules.is_empty() {
        return Err(Error::Modules { count: draft.boot.modules.len() });
    }
    let command_line = draft.place_command_line("command line", draft.boot.command_line)?;

    let mut page = ZeroPage { header, ..ZeroPage::new_zeroed() };
    let header = &mut page.header;
    header.loader_type = SetupHeader::UNREGISTERED_LOADER;
    (header.ramdisk_address, page.ramdisk_address_high) = halves(initrd.start().as_u64());
    (header.ramdisk_bytes, page.ramdisk_bytes_high) = halves(initrd.size_bytes());
    (header.command_line, page.command_line_high) = halves(command_line.as_u64());
    if header.version.get() >= 0x020E {
        page.rsdp = draft.boot.rsdp.map_or(0, Gpa::as_u64).into();
    }

    let entries: Vec<E820Entry> = memory.e820().collect();
    let (listed, rest) = entries.split_at(entries.len().min(ZeroPage::MOST_E820));
    for (field, entry) in page.e820.iter_mut().zip(listed) {
        *field = *entry;
        page.e820_count += 1;
    }
    // What the file has here would point to nothing.
    header.setup_data = match rest {
        [] => 0.into(),
        rest => place_e820_extension(rest, draft)?.as_u64().into(),
    };
    let at = draft.claim_pages("zero page", size_of::<ZeroPage>() as u64)?;
    draft.put("zero page", at, page.as_bytes().to_vec());
    Ok(at)
}

fn place_e820_extension(entries: &[E820Entry], draft: &mut Draft<'_>) -> Result<Gpa, Error> {
    let bytes = entries.as_bytes();
    let size_bytes = u32::try_from(bytes.len()).map_err(|_| Error::TooLarge {
        what: "E820 extension",
        value: bytes.len() as u64,
        bits: 32,
    })?;
    let head = SetupData {
        next: 0.into(),
        kind: SetupData::E820_EXTENSION.into(),
        size_bytes: size_bytes.into(),
    };
    let block = [head.as_bytes(), bytes].concat();
    let at = draft.claim_pages("E820 extension", block.len() as u64)?;
    draft.put("E820 extension", at, block);
    Ok(at)
}

/// Splits into the low and the high 32 bits.
fn halves(value: u64) -> (U32, U32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (U32::from_bytes([a, b, c, d]), U32::from_bytes([e, f, g, h]))
}
