//! The bodies of the fuzz targets: one function of bytes each, which panics when something is wrong.
//!
//! `cargo test --no-default-features` replays the committed corpus on a stable compiler.
#![forbid(unsafe_code)]

mod acpi_validate;
mod boot;
mod bytes;
mod capabilities;
mod config_space;
mod dumps;
mod ept_edits;
mod exit_fields;
mod exits;
mod flash;
mod fw_cfg_dma;
mod guid_table;
mod hvmloader_plans;
mod option_rom;
mod smbios_parse;
mod table_loader;
mod targets;
mod virtio_queue;

use bytes::Bytes;

pub use acpi_validate::acpi_validate;
pub use boot::{bzimage, elf, multiboot, notes};
pub use capabilities::capabilities;
pub use dumps::dumps;
pub use ept_edits::ept_edits;
pub use exits::exits;
pub use flash::flash;
pub use fw_cfg_dma::fw_cfg_dma;
pub use guid_table::guid_table;
pub use hvmloader_plans::hvmloader_plans;
pub use option_rom::option_rom;
pub use smbios_parse::smbios_parse;
pub use table_loader::table_loader;
pub use targets::{TARGETS, Target};
pub use virtio_queue::virtio_queue;
