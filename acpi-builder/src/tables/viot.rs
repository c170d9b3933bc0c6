//! The table of virtual IOMMUs.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::check::{unique, word};
use crate::spec::SdtHeader;
use crate::spec::iommu as spec;
use crate::{Error, PciAddress, Signature, Table};

/// A virtio-iommu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VirtioIommu {
    /// One on PCI.
    Pci {
        /// The segment group.
        segment: u16,
        /// Its place.
        address: PciAddress,
    },
    /// One at an address.
    Mmio(Gpa),
}

/// PCI devices behind an IOMMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViotPciDevices {
    /// The endpoint id of the first one; the others follow by their place.
    pub first_endpoint: u32,
    /// The segment groups.
    pub segments: RangeInclusive<u16>,
    /// The first place in each segment.
    pub first: PciAddress,
    /// The last one.
    pub last: PciAddress,
    /// The IOMMU, by its number in the list.
    pub iommu: usize,
}

/// A device at an address that is behind an IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViotMmioDevice {
    /// Its endpoint id.
    pub endpoint: u32,
    /// Where its registers are.
    pub base: Gpa,
    /// The IOMMU, by its number in the list.
    pub iommu: usize,
}

/// Describes the virtual I/O translation table.
///
/// # Source
/// ACPI 6.5, "Virtual I/O Translation (VIOT) Table".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viot {
    /// The IOMMUs.
    pub iommus: Vec<VirtioIommu>,
    /// PCI devices.
    pub pci_devices: Vec<ViotPciDevices>,
    /// Other devices.
    pub mmio_devices: Vec<ViotMmioDevice>,
}

/// Returns bus (bits 15:8), device (bits 7:3) and function (bits 2:0).
fn bdf(address: PciAddress) -> Result<u16, Error> {
    Ok(u16::from(address.bus) << 8 | u16::from(address.device_function()?))
}

impl Viot {
    /// Returns the offset of an IOMMU's node in the table; theirs come first.
    fn output_node(&self, iommu: usize) -> Result<u16, Error> {
        if iommu >= self.iommus.len() {
            let value = u64::try_from(iommu).unwrap_or(u64::MAX);
            return Err(Error::Invalid { field: "number of an IOMMU", value });
        }
        let start = size_of::<SdtHeader>() + size_of::<spec::ViotPrefix>();
        let offset = iommu.saturating_mul(size_of::<spec::ViotPciIommu>()).saturating_add(start);
        word("offset of an IOMMU", offset)
    }
}

impl Table for Viot {
    const SIGNATURE: Signature = Signature::VIOT;
    const REVISION: u8 = 0;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let devices = self.pci_devices.len().saturating_add(self.mmio_devices.len());
        let count = devices.saturating_add(self.iommus.len());
        unique("endpoint", self.mmio_devices.iter().map(|device| device.endpoint.into()))?;
        let prefix = spec::ViotPrefix {
            node_count: word("number of nodes", count)?.into(),
            node_offset: 48.into(),
            reserved: 0.into(),
        };
        body.extend_from_slice(prefix.as_bytes());
        for iommu in &self.iommus {
            match *iommu {
                VirtioIommu::Pci { segment, address } => {
                    let node = spec::ViotPciIommu {
                        node_type: 3,
                        reserved_1: 0,
                        length: 16.into(),
                        segment: segment.into(),
                        bdf: bdf(address)?.into(),
                        reserved_8: 0.into(),
                    };
                    body.extend_from_slice(node.as_bytes());
                }
                VirtioIommu::Mmio(base) => {
                    let node = spec::ViotMmioIommu {
                        node_type: 4,
                        reserved_1: 0,
                        length: 16.into(),
                        reserved_4: 0.into(),
                        base_address: base.as_u64().into(),
                    };
                    body.extend_from_slice(node.as_bytes());
                }
            }
        }
        for devices in &self.pci_devices {
            let (first, last) = (bdf(devices.first)?, bdf(devices.last)?);
            if first > last || devices.segments.is_empty() {
                return Err(Error::Invalid { field: "last PCI device", value: last.into() });
            }
            let node = spec::ViotPciRange {
                node_type: 1,
                reserved_1: 0,
                length: 24.into(),
                endpoint_start: devices.first_endpoint.into(),
                segment_start: (*devices.segments.start()).into(),
                segment_end: (*devices.segments.end()).into(),
                bdf_start: first.into(),
                bdf_end: last.into(),
                output_node: self.output_node(devices.iommu)?.into(),
                reserved_18: [0; 6],
            };
            body.extend_from_slice(node.as_bytes());
        }
        for device in &self.mmio_devices {
            let node = spec::ViotMmioEndpoint {
                node_type: 2,
                reserved_1: 0,
                length: 24.into(),
                endpoint: device.endpoint.into(),
                base_address: device.base.as_u64().into(),
                output_node: self.output_node(device.iommu)?.into(),
                reserved_18: [0; 6],
            };
            body.extend_from_slice(node.as_bytes());
        }
        Ok(())
    }
}
