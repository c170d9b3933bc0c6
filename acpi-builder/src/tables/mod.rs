//! Descriptions of tables that stand for themselves.

pub(crate) mod bgrt;
pub(crate) mod hpet;
pub(crate) mod mcfg;
pub(crate) mod serial;
pub(crate) mod slit;
pub(crate) mod srat;
pub(crate) mod ssdt;
pub(crate) mod tpm;
pub(crate) mod uefi;
pub(crate) mod waet;
