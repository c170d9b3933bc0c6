//! What makes a PCI host bridge one of PCI Express.

use bitflags::bitflags;

use crate::Error;
use crate::aml::objects::{And, CreateDWordField, If, LessThan, NotEqual, Or, Return, Store, Uuid};
use crate::aml::{Terms, argument, local, path};

bitflags! {
    /// Features of PCI Express that a guest may control by itself.
    ///
    /// # Source
    /// PCI Firmware Specification 3.3, "Interpretation of _OSC Control Field".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PciExpressControl: u32 {
        /// Native hot plug.
        const HOT_PLUG = 1 << 0;
        /// Hot plug through standard controllers (SHPC).
        const SHPC_HOT_PLUG = 1 << 1;
        /// Native power management events.
        const PME = 1 << 2;
        /// Advanced error reporting.
        const AER = 1 << 3;
        /// The PCI Express capability structure, without which a guest controls none of the others.
        const CAPABILITY = 1 << 4;
        /// Latency tolerance reporting.
        const LTR = 1 << 5;
        /// Downstream port containment.
        const DPC = 1 << 7;
    }
}

/// "Query Support" aside, the first doubleword says what went wrong.
mod status {
    pub(super) const FAILURE: u8 = 1 << 1;
    pub(super) const UNKNOWN_UUID: u8 = 1 << 2;
    pub(super) const UNKNOWN_REVISION: u8 = 1 << 3;
    pub(super) const MASKED: u8 = 1 << 4;
}

/// Appends `_OSC`, by which a guest asks for control and is told what it gets.
///
/// # Source
/// ACPI 6.5, "_OSC (Operating System Capabilities)"; PCI Firmware Specification 3.3, "_OSC
/// Interface for PCI Host Bridge Devices".
pub(crate) fn append_osc(control: PciExpressControl, terms: &mut Terms) -> Result<(), Error> {
    const UUID: &str = "33db4d5b-1ff7-401c-9657-7441c03dd766";
    const REVISION: u8 = 1;
    /// Doublewords: status, support, control.
    const DWORDS: u8 = 3;
    const CONTROL_OFFSET: u8 = 8;
    let (uuid, revision, count) = (argument(0)?, argument(1)?, argument(2)?);
    let (buffer, granted) = (argument(3)?, local(0)?);
    let (status, asked) = (path("CDW1")?, path("CDW3")?);
    let done = Return::new(&buffer);

    let mut method = Terms::new();
    method.term(&CreateDWordField::new(&status, &buffer, &0_u8));
    let own_uuid = Uuid::new(UUID);
    let refuse: [(&dyn crate::aml::Aml, u8); 3] = [
        (&NotEqual::new(&uuid, &own_uuid), status::UNKNOWN_UUID),
        (&NotEqual::new(&revision, &REVISION), status::UNKNOWN_REVISION),
        (&LessThan::new(&count, &DWORDS), status::FAILURE),
    ];
    for (condition, bit) in refuse {
        let note = Or::new(&status, &status, &bit);
        method.term(&If::new(condition, [&note as _, &done as _].into()));
    }
    method.term(&CreateDWordField::new(&asked, &buffer, &CONTROL_OFFSET));
    let allowed = control.bits();
    method.term(&And::new(&granted, &asked, &allowed));
    let note = Or::new(&status, &status, &status::MASKED);
    let cut = Store::new(&asked, &granted);
    method.term(&If::new(&NotEqual::new(&granted, &asked), [&note as _, &cut as _].into()));
    method.term(&done);
    terms.method(*b"_OSC", 4, &method)
}
