//! The list that `setup_data` begins.

use alloc::vec::Vec;

use guest_state::E820Entry;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Placed;
use crate::draft::{Draft, count};
use crate::{Error, SetupData};

/// One entry; its bytes follow.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, `setup_data`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SetupDataHead {
    /// Address of the next entry; 0 if there is none.
    next: U64,
    kind: U32,
    /// How many bytes follow.
    size_bytes: U32,
}
const _: () = assert!(size_of::<SetupDataHead>() == 16);

/// The bytes are E820 entries.
const E820_EXTENSION: u32 = 1;

/// Places what the caller gave, and the E820 entries that the zero page has no room for; returns
/// the address of the first entry, or 0 if there is nothing.
pub(super) fn place(
    placed: &Placed,
    more_e820: &[E820Entry],
    draft: &mut Draft<'_>,
) -> Result<u64, Error> {
    let extension = SetupData { kind: E820_EXTENSION, bytes: more_e820.as_bytes() };
    let given = draft.boot.setup_data.iter().copied();
    let entries: Vec<_> = given.chain((!more_e820.is_empty()).then_some(extension)).collect();
    if !entries.is_empty() && !placed.header.has(0x0209) {
        let version = placed.header.version.get();
        return Err(Error::BootProtocolVersion { version, least: 0x0209 });
    }
    let mut next = 0;
    for SetupData { kind, bytes } in entries.into_iter().rev() {
        if let Some(most) = placed.setup_type_max.filter(|&most| kind > most) {
            return Err(Error::SetupDataType { kind, most });
        }
        let size_bytes = count("setup data", bytes.len())?.into();
        let head = SetupDataHead { next: next.into(), kind: kind.into(), size_bytes };
        let block = [head.as_bytes(), bytes].concat();
        let at = draft.claim_pages("setup data", block.len() as u64)?;
        draft.put("setup data", at, block);
        next = at.as_u64();
    }
    Ok(next)
}
