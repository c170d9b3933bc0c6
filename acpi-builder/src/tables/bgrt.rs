//! The boot graphics resource table: where the firmware's logo is.

use alloc::vec::Vec;

use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::spec::platform::BgrtBody;
use crate::{Error, Signature, Table};

/// Describes the boot graphics resource table: a bitmap that the firmware shows.
///
/// # Source
/// ACPI 6.5, "Boot Graphics Resource Table (BGRT)".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bgrt {
    /// Where the bitmap, a BMP of 24 or 32 bits, lies.
    pub image: Gpa,
    /// How far its upper left corner is from the left of the screen, in pixels.
    pub x: u32,
    /// How far it is from the top, in pixels.
    pub y: u32,
    /// Whether it is on the screen when the guest starts.
    pub displayed: bool,
}

impl Table for Bgrt {
    const SIGNATURE: Signature = Signature::BGRT;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        if self.image == Gpa::ZERO {
            return Err(Error::Invalid { field: "address of the boot image", value: 0 });
        }
        let table = BgrtBody {
            version: 1.into(),
            status: self.displayed.into(),
            image_type: 0,
            image_address: self.image.as_u64().into(),
            image_offset_x: self.x.into(),
            image_offset_y: self.y.into(),
        };
        body.extend_from_slice(table.as_bytes());
        Ok(())
    }
}
