//! What hvmloader leaves at 1000h: where tables and memory map are.

use alloc::vec;
use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::Gpa;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes, Unaligned};

use crate::Error;
use crate::checksum::checksum;

const MOST_BYTES: usize = 0x1000;
const CHECKSUM: usize = 15;

/// SeaBIOS, `src/fw/xen.c`, `xen_seabios_info`.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct SeaBios {
    signature: [u8; 14],
    length: u8,
    checksum: u8,
    tables: U32,
    table_count: U32,
    e820: U32,
    e820_count: U32,
}
const _: () = assert!(size_of::<SeaBios>() == 32);

/// EDK II, `OvmfPkg/XenPlatformPei/Xen.h`, `EFI_XEN_OVMF_INFO`.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Ovmf {
    signature: [u8; 14],
    length: u8,
    checksum: u8,
    tables: U64,
    table_count: U32,
    e820: U64,
    e820_count: U32,
}
const _: () = assert!(size_of::<Ovmf>() == 40);

/// Who reads the info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XenInfoReader {
    /// SeaBIOS: pointers of 32 bits.
    SeaBios,
    /// OVMF: pointers of 64 bits.
    Ovmf,
}

/// What a BIOS that finds itself on Xen reads at 1000h: where the tables are, and the memory map.
///
/// # Source
/// SeaBIOS `src/fw/xen.c`, `xen_seabios_info`, read for facts; EDK II
/// `OvmfPkg/XenPlatformPei/Xen.h`, `EFI_XEN_OVMF_INFO`.
#[derive(Clone, Copy, Debug)]
pub struct XenInfo<'a> {
    /// For whom it is.
    pub reader: XenInfoReader,
    /// Where tables are, at most four: RSDP, MP floating pointer, SMBIOS entry point, `$PIR`.
    pub tables: &'a [Gpa],
    /// The memory map.
    pub memory: &'a MemoryMap,
}

impl XenInfo<'_> {
    /// Where it has to stand.
    pub const ADDRESS: Gpa = Gpa::new(0x1000);
    /// How many tables it may name.
    pub const MOST_TABLES: usize = 4;

    /// Returns the info with its list of tables and its memory map behind it, at most a page.
    ///
    /// # Errors
    /// [`Error::XenInfo`] for more than four tables, one whose address is zero or does not fit, or
    /// a memory map that is too long.
    pub fn build(&self) -> Result<Vec<u8>, Error> {
        let refused =
            Error::XenInfo { tables: self.tables.len(), regions: self.memory.regions().len() };
        let (head, width) = match self.reader {
            XenInfoReader::SeaBios => (size_of::<SeaBios>(), size_of::<U32>()),
            XenInfoReader::Ovmf => (size_of::<Ovmf>(), size_of::<U64>()),
        };
        let mut bytes = vec![0; head];
        for table in self.tables {
            let (low, address) = (u32::try_from(table.as_u64()), table.as_u64().to_le_bytes());
            if low == Ok(0) || (low.is_err() && self.reader == XenInfoReader::SeaBios) {
                return Err(refused);
            }
            bytes.extend_from_slice(&address[..width]);
        }
        let e820 = bytes.len();
        for entry in self.memory.e820() {
            bytes.extend_from_slice(entry.as_bytes());
        }
        if self.tables.len() > Self::MOST_TABLES || bytes.len() > MOST_BYTES {
            return Err(refused);
        }
        // Small numbers, all: everything lies within one page from 1000h.
        let at = |offset: usize| {
            u32::try_from(offset).ok().and_then(|offset| offset.checked_add(0x1000)).ok_or(refused)
        };
        let (tables, e820) = (at(head)?, at(e820)?);
        let count = |count| u32::try_from(count).map(U32::new).map_err(|_| refused);
        let table_count = count(self.tables.len())?;
        let e820_count = count(self.memory.regions().len())?;
        match self.reader {
            XenInfoReader::SeaBios => {
                let info = SeaBios {
                    signature: *b"XenHVMSeaBIOS\0",
                    length: 32,
                    checksum: 0,
                    tables: tables.into(),
                    table_count,
                    e820: e820.into(),
                    e820_count,
                };
                bytes[..head].copy_from_slice(info.as_bytes());
            }
            XenInfoReader::Ovmf => {
                let info = Ovmf {
                    signature: *b"XenHVMOVMF\0\0\0\0",
                    length: 40,
                    checksum: 0,
                    tables: u64::from(tables).into(),
                    table_count,
                    e820: u64::from(e820).into(),
                    e820_count,
                };
                bytes[..head].copy_from_slice(info.as_bytes());
            }
        }
        bytes[CHECKSUM] = checksum(&bytes[..head]);
        Ok(bytes)
    }
}
