//! The tables as they lie in memory: layout, no logic.
//!
//! All fields are little-endian and unaligned, so no structure has padding; zerocopy's `IntoBytes`
//! would not compile with any. Field names are the specification's.
//!
//! # Source
//! ACPI 6.5, "ACPI System Description Tables".

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Declares wire structs, each with its size in bytes, which is asserted.
macro_rules! wire {
    ($($(#[$attribute:meta])* $name:ident, $size:literal bytes {
        $($field:ident: $type:ty,)*
    })*) => {$(
        $(#[$attribute])*
        #[derive(
            Clone, Copy, Debug, zerocopy::FromBytes, zerocopy::Immutable, zerocopy::IntoBytes,
            zerocopy::KnownLayout, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub(crate) struct $name { $(pub(crate) $field: $type,)* }
        const _: () = assert!(size_of::<$name>() == $size);
    )*};
}

pub(crate) mod affinity;
pub(crate) mod errors;
pub(crate) mod iommu;
pub(crate) mod madt;
pub(crate) mod memory;
pub(crate) mod platform;

/// "System Description Table Header".
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SdtHeader {
    pub(crate) signature: [u8; 4],
    pub(crate) length: U32,
    pub(crate) revision: u8,
    pub(crate) checksum: u8,
    pub(crate) oem_id: [u8; 6],
    pub(crate) oem_table_id: [u8; 8],
    pub(crate) oem_revision: U32,
    pub(crate) creator_id: [u8; 4],
    pub(crate) creator_revision: U32,
}
const _: () = assert!(size_of::<SdtHeader>() == 36);

/// "Root System Description Pointer (RSDP)".
#[derive(Clone, Copy, Debug, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Rsdp {
    pub(crate) signature: [u8; 8],
    pub(crate) checksum: u8,
    pub(crate) oem_id: [u8; 6],
    pub(crate) revision: u8,
    pub(crate) rsdt_address: U32,
    pub(crate) length: U32,
    pub(crate) xsdt_address: U64,
    pub(crate) extended_checksum: u8,
    pub(crate) reserved: [u8; 3],
}
const _: () = assert!(size_of::<Rsdp>() == 36);

/// The part of the RSDP that its first checksum covers: the whole of it in ACPI 1.0.
pub(crate) const RSDP_V1_BYTES: u32 = 20;

/// "Generic Address Structure (GAS)".
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct GenericAddress {
    pub(crate) address_space_id: u8,
    pub(crate) register_bit_width: u8,
    pub(crate) register_bit_offset: u8,
    pub(crate) access_size: u8,
    pub(crate) address: U64,
}
const _: () = assert!(size_of::<GenericAddress>() == 12);

/// "Fixed ACPI Description Table (FADT)", what follows the header.
#[derive(Clone, Copy, Debug, Default, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FadtBody {
    pub(crate) firmware_ctrl: U32,
    pub(crate) dsdt: U32,
    pub(crate) reserved_44: u8,
    pub(crate) preferred_pm_profile: u8,
    pub(crate) sci_int: U16,
    pub(crate) smi_cmd: U32,
    pub(crate) acpi_enable: u8,
    pub(crate) acpi_disable: u8,
    pub(crate) s4bios_req: u8,
    pub(crate) pstate_cnt: u8,
    pub(crate) pm1a_evt_blk: U32,
    pub(crate) pm1b_evt_blk: U32,
    pub(crate) pm1a_cnt_blk: U32,
    pub(crate) pm1b_cnt_blk: U32,
    pub(crate) pm2_cnt_blk: U32,
    pub(crate) pm_tmr_blk: U32,
    pub(crate) gpe0_blk: U32,
    pub(crate) gpe1_blk: U32,
    pub(crate) pm1_evt_len: u8,
    pub(crate) pm1_cnt_len: u8,
    pub(crate) pm2_cnt_len: u8,
    pub(crate) pm_tmr_len: u8,
    pub(crate) gpe0_blk_len: u8,
    pub(crate) gpe1_blk_len: u8,
    pub(crate) gpe1_base: u8,
    pub(crate) cst_cnt: u8,
    pub(crate) p_lvl2_lat: U16,
    pub(crate) p_lvl3_lat: U16,
    pub(crate) flush_size: U16,
    pub(crate) flush_stride: U16,
    pub(crate) duty_offset: u8,
    pub(crate) duty_width: u8,
    pub(crate) day_alrm: u8,
    pub(crate) mon_alrm: u8,
    pub(crate) century: u8,
    pub(crate) iapc_boot_arch: U16,
    pub(crate) reserved_111: u8,
    pub(crate) flags: U32,
    pub(crate) reset_reg: GenericAddress,
    pub(crate) reset_value: u8,
    pub(crate) arm_boot_arch: U16,
    pub(crate) fadt_minor_version: u8,
    pub(crate) x_firmware_ctrl: U64,
    pub(crate) x_dsdt: U64,
    pub(crate) x_pm1a_evt_blk: GenericAddress,
    pub(crate) x_pm1b_evt_blk: GenericAddress,
    pub(crate) x_pm1a_cnt_blk: GenericAddress,
    pub(crate) x_pm1b_cnt_blk: GenericAddress,
    pub(crate) x_pm2_cnt_blk: GenericAddress,
    pub(crate) x_pm_tmr_blk: GenericAddress,
    pub(crate) x_gpe0_blk: GenericAddress,
    pub(crate) x_gpe1_blk: GenericAddress,
    pub(crate) sleep_control_reg: GenericAddress,
    pub(crate) sleep_status_reg: GenericAddress,
    pub(crate) hypervisor_vendor_identity: U64,
}
const _: () = assert!(size_of::<FadtBody>() == 276 - 36);

/// "Firmware ACPI Control Structure (FACS)", which has no common header and no checksum.
#[derive(Clone, Copy, Debug, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Facs {
    pub(crate) signature: [u8; 4],
    pub(crate) length: U32,
    pub(crate) hardware_signature: U32,
    pub(crate) firmware_waking_vector: U32,
    pub(crate) global_lock: U32,
    pub(crate) flags: U32,
    pub(crate) x_firmware_waking_vector: U64,
    pub(crate) version: u8,
    pub(crate) reserved_33: [u8; 3],
    pub(crate) ospm_flags: U32,
    pub(crate) reserved_40: [u8; 24],
}
const _: () = assert!(size_of::<Facs>() == 64);

/// The alignment that the FACS needs, the largest of all tables.
pub(crate) const FACS_ALIGNMENT: u64 = 64;
