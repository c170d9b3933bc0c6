//! Entry points and structures as they lie in memory: layout, no logic.
//!
//! All fields are little-endian and unaligned, so no structure has padding; zerocopy's `IntoBytes`
//! would not compile with any. Below each structure's name stands which version of the
//! specification made it how long, for a structure only ever grew.
//!
//! # Source
//! DSP0134 3.7, "SMBIOS structure table entry point" and "Structure definitions".

mod devices;
mod fields;
mod memory;
mod system;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Version;

pub(crate) use devices::*;
pub(crate) use fields::*;
pub(crate) use memory::*;
pub(crate) use system::*;

/// A structure's layout, and how it grew.
pub(crate) trait Layout:
    FromBytes + Immutable + IntoBytes + KnownLayout + Unaligned
{
    /// Versions in ascending order, and the length in bytes that each brought.
    const LENGTHS: &'static [(Version, usize)];
}

/// Declares structures with their size, and the versions that made them grow.
macro_rules! layout {
    ($(
        $(#[$doc:meta])*
        $name:ident: $size:literal, [$(($major:literal, $minor:literal): $length:literal),+]
        { $($field:ident: $type:ty,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(crate) struct $name {
            pub(crate) header: $crate::spec::Header,
            $(pub(crate) $field: $type,)*
        }
        const _: () = assert!(size_of::<$name>() == $size);

        impl $crate::spec::Layout for $name {
            const LENGTHS: &'static [($crate::Version, usize)] =
                &[$(($crate::Version::new($major, $minor), $length)),+];
        }
    )*};
}
use layout;

/// "Structure header format".
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) length: u8,
    pub(crate) handle: U16,
}
const _: () = assert!(size_of::<Header>() == 4);

/// "SMBIOS 2.1 (32-bit) Entry Point".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(crate) struct EntryPoint32Layout {
    pub(crate) anchor: [u8; 4],
    pub(crate) checksum: u8,
    pub(crate) length: u8,
    pub(crate) major: u8,
    pub(crate) minor: u8,
    pub(crate) max_structure_size: U16,
    pub(crate) entry_point_revision: u8,
    pub(crate) formatted_area: [u8; 5],
    pub(crate) intermediate_anchor: [u8; 5],
    pub(crate) intermediate_checksum: u8,
    pub(crate) table_length: U16,
    pub(crate) table_address: U32,
    pub(crate) structure_count: U16,
    pub(crate) bcd_revision: u8,
}
const _: () = assert!(size_of::<EntryPoint32Layout>() == 31);

/// "SMBIOS 3.0 (64-bit) Entry Point".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(crate) struct EntryPoint64Layout {
    pub(crate) anchor: [u8; 5],
    pub(crate) checksum: u8,
    pub(crate) length: u8,
    pub(crate) major: u8,
    pub(crate) minor: u8,
    pub(crate) docrev: u8,
    pub(crate) entry_point_revision: u8,
    pub(crate) reserved: u8,
    pub(crate) max_table_bytes: U32,
    pub(crate) table_address: U64,
}
const _: () = assert!(size_of::<EntryPoint64Layout>() == 24);

/// Where in the 32-bit entry point the second range with a checksum starts.
pub(crate) const INTERMEDIATE_OFFSET: u32 = 0x10;
/// How long that range is.
pub(crate) const INTERMEDIATE_BYTES: u32 = 0x0F;
