//! The zero page, and what it points to.

use alloc::vec::Vec;

use boot_plan::{MemoryMap, Request};
use guest_state::{E820Entry, Gpa, GpaRange};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Entry, Placed, SetupHeader, setup_data};
use crate::Error;
use crate::draft::Draft;

/// What RSI points to at the entry.
///
/// # Source
/// Linux `Documentation/arch/x86/zero-page.rst`.
#[derive(Clone, Debug, FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ZeroPage {
    _screen: [u8; 0x20],
    /// [`ZeroPage::OLD_MAGIC`] for a kernel before 2.02, 0 for others.
    old_magic: U16,
    /// How far behind the page the command line begins, for a kernel before 2.02.
    old_command_line: U16,
    _screen_and_power: [u8; 0x70 - 0x24],
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
    const OLD_MAGIC: u16 = 0xA33F;
}

/// Where a kernel before 2.02 looks for its command line: here, and within 64 KiB.
const OLD_PLACE: Gpa = Gpa::new(0x9_0000);
const OLD_LINE_OFFSET: u16 = 0x1000;

/// Places initrd, command line and zero page; returns the zero page's address.
pub(super) fn place(
    placed: Placed,
    by: Entry,
    memory: &MemoryMap,
    draft: &mut Draft<'_>,
) -> Result<Gpa, Error> {
    let header = placed.header;
    let most = header.most_command_line_bytes();
    let size_bytes = draft.boot.command_line.len();
    if usize::try_from(most).is_ok_and(|most| size_bytes > most) {
        return Err(Error::CommandLineTooLong { size_bytes, most });
    }
    if !draft.boot.modules.is_empty() {
        return Err(Error::Modules { count: draft.boot.modules.len() });
    }
    let initrd = place_initrd(&header, by, draft)?;

    let mut page = ZeroPage { header, ..ZeroPage::new_zeroed() };
    let at = if header.has(0x0202) {
        let command_line = draft.place_command_line("command line", draft.boot.command_line)?;
        (page.header.command_line, page.command_line_high) = halves(command_line.as_u64());
        draft.claim_pages("zero page", size_of::<ZeroPage>() as u64)?
    } else {
        let at = place_old_command_line(draft)?;
        page.old_magic = ZeroPage::OLD_MAGIC.into();
        page.old_command_line = OLD_LINE_OFFSET.into();
        at
    };
    let entries: Vec<E820Entry> = memory.e820().collect();
    let (listed, rest) = entries.split_at(entries.len().min(ZeroPage::MOST_E820));
    for (field, entry) in page.e820.iter_mut().zip(listed) {
        *field = *entry;
        page.e820_count += 1;
    }
    let data = setup_data::place(&placed, rest, draft)?;

    let header = &mut page.header;
    header.loader_type = SetupHeader::UNREGISTERED_LOADER;
    // What the file has here would point to nothing.
    header.setup_data = data.into();
    (header.ramdisk_address, page.ramdisk_address_high) = halves(initrd.start().as_u64());
    (header.ramdisk_bytes, page.ramdisk_bytes_high) = halves(initrd.size_bytes());
    if header.has(0x020E) {
        page.rsdp = draft.boot.rsdp.map_or(0, Gpa::as_u64).into();
    }
    draft.put("zero page", at, page.as_bytes().to_vec());
    Ok(at)
}

/// Places the initrd as high as the kernel allows, or above 4 GiB if there it may be too.
fn place_initrd(header: &SetupHeader, by: Entry, draft: &mut Draft<'_>) -> Result<GpaRange, Error> {
    let below = Gpa::new(u64::from(header.last_initrd_address()) + 1);
    let room = GpaRange::from_bounds(Gpa::ZERO, below).unwrap_or_default();
    let may_be_high = header.extended_flags() & SetupHeader::ABOVE_4G != 0;
    let placed = match draft.place_initrd(room) {
        Err(refused) if by == Entry::Bits64 && may_be_high => {
            let above = GpaRange::from_bounds(Gpa::new(1 << 32), Gpa::new(u64::MAX));
            draft.place_initrd(above.unwrap_or_default()).map_err(|_| refused)
        }
        placed => placed,
    };
    Ok(placed?.unwrap_or_default())
}

/// Places the command line where a kernel before 2.02 finds it; returns the place of the page.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, "The Kernel Command Line".
fn place_old_command_line(draft: &mut Draft<'_>) -> Result<Gpa, Error> {
    let line = draft.boot.command_line;
    let offset = u64::from(OLD_LINE_OFFSET);
    let room = GpaRange::new(OLD_PLACE, offset + 0x1000).unwrap_or_default();
    let request = Request::pages(room.size_bytes()).within(room);
    let at = draft.layout.place("zero page and command line", request)?.start();
    let line_at = at.checked_add(offset).unwrap_or(at);
    draft.put("command line", line_at, [line, b"\0"].concat());
    Ok(at)
}

/// Splits into the low and the high 32 bits.
fn halves(value: u64) -> (U32, U32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (U32::from_bytes([a, b, c, d]), U32::from_bytes([e, f, g, h]))
}
