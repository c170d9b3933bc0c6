//! The bodies of the fuzz targets: one function of bytes each, which panics when something is wrong.
//!
//! `cargo test --no-default-features` replays the committed corpus on a stable compiler.
#![forbid(unsafe_code)]

mod acpi_validate;
mod ept_edits;
mod hvmloader_plans;

pub use acpi_validate::acpi_validate;
pub use ept_edits::ept_edits;
pub use hvmloader_plans::hvmloader_plans;
