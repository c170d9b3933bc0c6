//! What Windows may leave out on emulated devices.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use crate::spec::platform::WaetBody;
use crate::{Error, Signature, Table};

/// Describes which workarounds for real hardware Windows may leave out.
///
/// # Source
/// Microsoft, "Windows ACPI Emulated Devices Table".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waet {
    /// The CMOS clock needs no read of its register C to interrupt again.
    pub rtc_good: bool,
    /// One read of the PM timer is enough.
    pub pm_timer_good: bool,
}

impl Table for Waet {
    const SIGNATURE: Signature = Signature::WAET;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let flags = u32::from(self.rtc_good) | u32::from(self.pm_timer_good) << 1;
        body.extend_from_slice(WaetBody { emulated_device_flags: flags.into() }.as_bytes());
        Ok(())
    }
}
