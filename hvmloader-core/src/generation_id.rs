//! Where the generation id of a virtual machine stands.

use boot_plan::{Layout, Placement, Request};
use guest_state::{Gpa, GpaRange};

use crate::Error;

const PAGE: u64 = 0x1000;
const ID_BYTES: usize = 16;

/// The generation id: 16 bytes that are others whenever a machine goes on from a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationId {
    /// Its page, which the memory map has to list as NVS or reserved, so that no one else uses it.
    pub page: GpaRange,
    /// The id at the start of the page; its address is what the device in ACPI tells.
    pub placement: Placement<'static>,
}

impl GenerationId {
    /// Finds a page for `id` in `layout`, as high below 4 GiB as can be.
    ///
    /// # Errors
    /// [`Error::GenerationId`] where there is no page.
    ///
    /// # Source
    /// Microsoft, "Virtual Machine Generation ID": on a boundary of 8 bytes, in memory that is not
    /// RAM for the system, on no page with other data.
    pub fn place(layout: &mut Layout, id: [u8; ID_BYTES]) -> Result<Self, Error> {
        let page = layout
            .place("generation id", Request::pages(PAGE).aligned(PAGE).highest())
            .map_err(|_| Error::GenerationId)?;
        let at: Gpa = page.start();
        Ok(Self { page, placement: Placement::bytes("generation id", at, id.to_vec()) })
    }
}
