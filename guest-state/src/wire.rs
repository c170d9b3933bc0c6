//! Wire structs that several boot protocols share: E820 entries and PVH's start info.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a range of guest memory is for, with the numbers that E820 and PVH share.
///
/// # Source
/// ACPI 6.5 §15, "Address Range Types"; Xen `public/arch-x86/hvm/start_info.h`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct MemoryKind(pub u32);

impl MemoryKind {
    /// Memory that the guest may use.
    pub const RAM: Self = Self(1);
    /// Memory or addresses that the guest must leave alone.
    pub const RESERVED: Self = Self(2);
    /// ACPI tables; usable once they were read.
    pub const ACPI: Self = Self(3);
    /// ACPI memory to keep across sleep.
    pub const NVS: Self = Self(4);
    /// Memory with errors.
    pub const UNUSABLE: Self = Self(5);
    /// Memory that is not enabled.
    pub const DISABLED: Self = Self(6);
    /// Persistent memory.
    pub const PERSISTENT: Self = Self(7);

    /// Returns the name that Linux prints for this kind, or `None` for a number without one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "usable",
            2 => "reserved",
            3 => "ACPI data",
            4 => "ACPI NVS",
            5 => "unusable",
            6 => "disabled",
            7 => "persistent",
            _ => return None,
        })
    }
}

impl core::fmt::Debug for MemoryKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl core::fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "kind {}", self.0),
        }
    }
}

/// One entry of an E820 map: 20 bytes.
///
/// # Source
/// ACPI 6.5 §15.1, "INT 15H, E820H - Query System Address Map".
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct E820Entry {
    /// First address.
    pub address: U64,
    /// Length in bytes.
    pub size_bytes: U64,
    /// A [`MemoryKind`].
    pub kind: U32,
}
const _: () = assert!(size_of::<E820Entry>() == 20);

/// PVH's start info, version 1: what EBX points to at the entry.
///
/// # Source
/// Xen `public/arch-x86/hvm/start_info.h`, `hvm_start_info`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct StartInfo {
    /// [`StartInfo::MAGIC`].
    pub magic: U32,
    /// 1 since the memory map exists.
    pub version: U32,
    /// SIF_ flags; 0 for a guest without privileges.
    pub flags: U32,
    /// Number of modules.
    pub module_count: U32,
    /// Address of the [`StartInfoModule`]s; 0 if there are none.
    pub modules: U64,
    /// Address of the command line, ended by a zero byte; 0 if there is none.
    pub command_line: U64,
    /// Address of the RSDP; 0 if there is none.
    pub rsdp: U64,
    /// Address of the [`StartInfoMemory`] entries.
    pub memory_map: U64,
    /// Number of memory map entries.
    pub memory_map_count: U32,
    /// Zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<StartInfo>() == 56);

impl StartInfo {
    /// "xEn3" with the high bit of the E set.
    pub const MAGIC: u32 = 0x336E_C578;
}

/// One module (an initrd, say) in PVH's start info.
///
/// # Source
/// Xen `public/arch-x86/hvm/start_info.h`, `hvm_modlist_entry`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct StartInfoModule {
    /// First address.
    pub address: U64,
    /// Length in bytes.
    pub size_bytes: U64,
    /// Address of the module's own command line; 0 if there is none.
    pub command_line: U64,
    /// Zero.
    pub reserved: U64,
}
const _: () = assert!(size_of::<StartInfoModule>() == 32);

/// One entry of the memory map in PVH's start info.
///
/// # Source
/// Xen `public/arch-x86/hvm/start_info.h`, `hvm_memmap_table_entry`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct StartInfoMemory {
    /// First address.
    pub address: U64,
    /// Length in bytes.
    pub size_bytes: U64,
    /// A [`MemoryKind`].
    pub kind: U32,
    /// Zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<StartInfoMemory>() == 24);
