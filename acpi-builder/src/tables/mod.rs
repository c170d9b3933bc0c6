//! Descriptions of tables that stand for themselves.

pub(crate) mod apei;
pub(crate) mod bgrt;
pub(crate) mod cedt;
pub(crate) mod dmar;
pub(crate) mod hest;
pub(crate) mod hmat;
pub(crate) mod hpet;
pub(crate) mod ivrs;
pub(crate) mod machine_check;
pub(crate) mod mcfg;
pub(crate) mod nfit;
pub(crate) mod pptt;
pub(crate) mod serial;
pub(crate) mod slit;
pub(crate) mod srat;
pub(crate) mod ssdt;
pub(crate) mod tpm;
pub(crate) mod uefi;
pub(crate) mod viot;
pub(crate) mod waet;
