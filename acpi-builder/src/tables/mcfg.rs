//! The table of memory-mapped PCI configuration spaces.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::spec::platform::{McfgAllocation, McfgPrefix};
use crate::{Error, Signature, Table};

/// How much of memory the configuration space of one bus takes, in bytes.
const BUS_BYTES: u64 = 1 << 20;

/// The configuration spaces of some buses of one segment, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcamRegion {
    /// Where bus 0 of the segment is, or would be: bus n is n MiB above.
    pub base: Gpa,
    /// The PCI segment group.
    pub segment: u16,
    /// The buses that are there.
    pub buses: RangeInclusive<u8>,
}

impl EcamRegion {
    /// Returns the memory that the buses take.
    ///
    /// # Errors
    /// [`Error::PciBuses`] if there are none, [`Error::Invalid`] if the address is not a multiple
    /// of 1 MiB or so high that the buses leave the address space.
    pub fn range(&self) -> Result<GpaRange, Error> {
        let (first, last) = (*self.buses.start(), *self.buses.end());
        if first > last {
            return Err(Error::PciBuses { first, last });
        }
        let start = self.base.checked_add(u64::from(first) * BUS_BYTES);
        let size_bytes = (u64::from(last - first) + 1) * BUS_BYTES;
        let range = start.and_then(|start| GpaRange::new(start, size_bytes));
        range.filter(|_| self.base.is_aligned(BUS_BYTES)).ok_or(Error::Invalid {
            field: "address of a PCI configuration space",
            value: self.base.as_u64(),
        })
    }
}

/// Describes the table of memory-mapped configuration spaces.
///
/// # Source
/// PCI Firmware Specification 3.3, "MCFG Table Description".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mcfg {
    /// What there is.
    pub regions: Vec<EcamRegion>,
}

impl Table for Mcfg {
    const SIGNATURE: Signature = Signature::MCFG;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        body.extend_from_slice(McfgPrefix { reserved: 0.into() }.as_bytes());
        let mut ranges = Vec::with_capacity(self.regions.len());
        let mut buses = Vec::with_capacity(self.regions.len());
        for region in &self.regions {
            ranges.push(region.range()?);
            let segment = region.segment;
            buses.push((segment, *region.buses.start(), *region.buses.end()));
            let allocation = McfgAllocation {
                base_address: region.base.as_u64().into(),
                pci_segment_group: segment.into(),
                start_bus: *region.buses.start(),
                end_bus: *region.buses.end(),
                reserved: 0.into(),
            };
            body.extend_from_slice(allocation.as_bytes());
        }
        crate::check::disjoint("PCI configuration spaces", ranges)?;
        buses.sort_unstable();
        for pair in buses.windows(2) {
            let ((before, _, last), (segment, first, _)) = (pair[0], pair[1]);
            if before == segment && first <= last {
                return Err(Error::Duplicate { field: "PCI bus", value: first.into() });
            }
        }
        Ok(())
    }
}
