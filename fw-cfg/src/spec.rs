//! What guest and device exchange: layout, no logic.
//!
//! # Source
//! QEMU `docs/specs/fw_cfg.rst`, for the device; SeaBIOS `src/fw/romfile_loader.h` and QEMU
//! `hw/acpi/bios-linker-loader.c`, for the script's format.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};
use zerocopy::{big_endian, little_endian};

use crate::FileName;

/// What item 0 holds.
pub(crate) const SIGNATURE: [u8; 4] = *b"QEMU";

/// Feature bits: the traditional interface and DMA.
pub(crate) const FEATURES: u32 = 1 << 0 | 1 << 1;

/// What the DMA address register reads as.
pub(crate) const DMA_SIGNATURE: [u8; 8] = *b"QEMU CFG";

/// An entry of the file directory, which starts with their number in 32 bits, big-endian.
#[derive(Clone, Copy, Debug, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DirectoryEntry {
    pub(crate) size_bytes: big_endian::U32,
    pub(crate) key: big_endian::U16,
    pub(crate) reserved: [u8; 2],
    pub(crate) name: [u8; FileName::FIELD_BYTES],
}
const _: () = assert!(size_of::<DirectoryEntry>() == 64);

/// What the DMA address register points to. The control field is `key` and `flags` together.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DmaAccess {
    pub(crate) key: big_endian::U16,
    pub(crate) flags: big_endian::U16,
    pub(crate) length: big_endian::U32,
    pub(crate) address: big_endian::U64,
}
const _: () = assert!(size_of::<DmaAccess>() == 16);

/// Bits of [`DmaAccess`]'s flags.
pub(crate) mod dma_flags {
    pub(crate) const ERROR: u16 = 1 << 0;
    pub(crate) const READ: u16 = 1 << 1;
    pub(crate) const SKIP: u16 = 1 << 2;
    pub(crate) const SELECT: u16 = 1 << 3;
    pub(crate) const WRITE: u16 = 1 << 4;
}

/// How long each command of a script is, whatever it says.
pub(crate) const COMMAND_BYTES: usize = 128;

/// Numbers of commands.
pub(crate) mod command {
    pub(crate) const ALLOCATE: u32 = 1;
    pub(crate) const ADD_POINTER: u32 = 2;
    pub(crate) const ADD_CHECKSUM: u32 = 3;
    pub(crate) const WRITE_POINTER: u32 = 4;
}

/// What follows the number in an "allocate" command.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Allocate {
    pub(crate) file: [u8; FileName::FIELD_BYTES],
    pub(crate) alignment: little_endian::U32,
    pub(crate) zone: u8,
}
const _: () = assert!(size_of::<Allocate>() == 61);

/// What follows the number in an "add pointer" command.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AddPointer {
    pub(crate) file: [u8; FileName::FIELD_BYTES],
    pub(crate) target: [u8; FileName::FIELD_BYTES],
    pub(crate) offset: little_endian::U32,
    pub(crate) width_bytes: u8,
}
const _: () = assert!(size_of::<AddPointer>() == 117);

/// What follows the number in an "add checksum" command.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AddChecksum {
    pub(crate) file: [u8; FileName::FIELD_BYTES],
    pub(crate) offset: little_endian::U32,
    pub(crate) start: little_endian::U32,
    pub(crate) size_bytes: little_endian::U32,
}
const _: () = assert!(size_of::<AddChecksum>() == 68);

/// What follows the number in a "write pointer" command.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct WritePointer {
    pub(crate) file: [u8; FileName::FIELD_BYTES],
    pub(crate) target: [u8; FileName::FIELD_BYTES],
    pub(crate) offset: little_endian::U32,
    pub(crate) target_offset: little_endian::U32,
    pub(crate) width_bytes: u8,
}
const _: () = assert!(size_of::<WritePointer>() == 121);
