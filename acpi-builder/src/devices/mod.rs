//! Devices that are ready to be put into a DSDT or an SSDT.

mod events;
mod platform;
mod virtual_machine;

use crate::Error;
use crate::aml::Terms;

pub use events::{GedEvent, GenericEventDevice, PowerButton, SleepButton};
pub use platform::{PciFunction, SystemResources, TpmDevice};
pub use virtual_machine::{FwCfgDevice, PvPanic, VirtioMmio, VmClock, VmGenerationId};

/// A description that becomes a device in AML.
///
/// [`Dsdt`](crate::Dsdt) has two places for them: below `\_SB`, and beside the devices at fixed
/// ports, where it has a PCI root below that.
pub trait AmlDevice {
    /// Adds the device to a scope.
    ///
    /// # Errors
    /// What the description can't be expressed for.
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error>;
}

/// "_STA (Device Status)": present, enabled, functioning, but not shown to a user.
const STATUS_HIDDEN: u8 = 0x0B;
/// The same, shown.
const STATUS_SHOWN: u8 = 0x0F;
