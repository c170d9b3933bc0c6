//! The table of AMD's IOMMUs.

use alloc::vec::Vec;

use bitflags::bitflags;
use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::check::{aligned, word};
use crate::spec::iommu as spec;
use crate::{Error, PciAddress, Signature, Table};

bitflags! {
    /// What an IOMMU can do.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct IvhdFlags: u8 {
        /// Devices may keep translations of their own.
        const IOTLB_SUPPORT = 1 << 4;
        /// It reads its tables as caches have them.
        const COHERENT = 1 << 5;
        /// It can be told to prefetch.
        const PREFETCH_SUPPORT = 1 << 6;
        /// Devices may ask for pages.
        const PPR_SUPPORT = 1 << 7;
    }
}

/// Devices behind an IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IvhdDevices {
    /// All.
    All,
    /// One.
    One(PciAddress),
    /// All from one to another.
    Range {
        /// The first.
        first: PciAddress,
        /// The last.
        last: PciAddress,
    },
    /// An I/O APIC.
    IoApic {
        /// Its id in the MADT.
        id: u8,
        /// Its source id.
        address: PciAddress,
    },
    /// An event timer.
    Hpet {
        /// Its number in the HPET table.
        number: u8,
        /// Its source id.
        address: PciAddress,
    },
}

/// An IOMMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmdIommu {
    /// Its place on PCI.
    pub address: PciAddress,
    /// Where in its configuration space its capability is.
    pub capability_offset: u16,
    /// Where its registers are.
    pub registers: Gpa,
    /// The PCI segment group.
    pub segment: u16,
    /// What it can do.
    pub flags: IvhdFlags,
    /// What it can do, as block type 10h has it.
    pub features: u32,
    /// Its extended features as its register has them; with them, there is a block type 11h too.
    pub extended_features: Option<u64>,
    /// The devices behind it.
    pub devices: Vec<IvhdDevices>,
}

/// Memory that devices use as it is, reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnityRegion {
    /// The device; all, if none.
    pub device: Option<PciAddress>,
    /// The memory.
    pub range: GpaRange,
}

/// Describes the I/O virtualization reporting structure.
///
/// # Source
/// AMD I/O Virtualization Technology (IOMMU) Specification, "I/O Virtualization ACPI Table".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ivrs {
    /// How many bits a physical address has.
    pub physical_address_bits: u8,
    /// How many bits a virtual address has.
    pub virtual_address_bits: u8,
    /// The IOMMUs.
    pub iommus: Vec<AmdIommu>,
    /// Memory that is not translated.
    pub unity: Vec<UnityRegion>,
}

/// Returns bus (bits 15:8), device (bits 7:3) and function (bits 2:0).
fn device_id(address: PciAddress) -> Result<u16, Error> {
    Ok(u16::from(address.bus) << 8 | u16::from(address.device_function()?))
}

impl IvhdDevices {
    fn append(self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        const SPECIAL: u8 = 0x48;
        let mut entry = |kind, id: u16| {
            bytes.push(kind);
            bytes.extend_from_slice(&id.to_le_bytes());
            // "Data Setting": nothing is passed through.
            bytes.push(0);
        };
        let (handle, address, variety) = match self {
            Self::All => {
                entry(1, 0);
                return Ok(());
            }
            Self::One(address) => {
                entry(2, device_id(address)?);
                return Ok(());
            }
            Self::Range { first, last } => {
                let (first, last) = (device_id(first)?, device_id(last)?);
                if first > last {
                    return Err(Error::Invalid { field: "last PCI device", value: last.into() });
                }
                entry(3, first);
                entry(4, last);
                return Ok(());
            }
            Self::IoApic { id, address } => (id, address, 1),
            Self::Hpet { number, address } => (number, address, 2),
        };
        entry(SPECIAL, 0);
        bytes.push(handle);
        bytes.extend_from_slice(&device_id(address)?.to_le_bytes());
        bytes.push(variety);
        Ok(())
    }
}

impl AmdIommu {
    /// Appends a block, with extended features if there is an image of them.
    fn append(&self, body: &mut Vec<u8>, extension: Option<u64>) -> Result<(), Error> {
        let mut devices = Vec::new();
        self.devices.iter().try_for_each(|entry| entry.append(&mut devices))?;
        let head = size_of::<spec::Ivhd>();
        let more = if extension.is_some() { size_of::<spec::IvhdExtension>() } else { 0 };
        let length = word("list of devices", devices.len().saturating_add(head + more))?;
        let block = spec::Ivhd {
            block_type: if extension.is_some() { 0x11 } else { 0x10 },
            flags: self.flags.bits(),
            length: length.into(),
            device_id: device_id(self.address)?.into(),
            capability_offset: self.capability_offset.into(),
            base_address: self.registers.as_u64().into(),
            pci_segment: self.segment.into(),
            iommu_info: 0.into(),
            // In type 11h these are attributes, of counters that there are none of.
            features: (if extension.is_some() { 0 } else { self.features }).into(),
        };
        body.extend_from_slice(block.as_bytes());
        if let Some(efr_image) = extension {
            let extension = spec::IvhdExtension { efr_image: efr_image.into(), reserved: 0.into() };
            body.extend_from_slice(extension.as_bytes());
        }
        body.extend_from_slice(&devices);
        Ok(())
    }
}

impl Table for Ivrs {
    const SIGNATURE: Signature = Signature::IVRS;
    const REVISION: u8 = 2;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        const EFR_SUPPORTED: u32 = 1;
        const EXCLUDE_NOTHING: u8 = 0b111;
        for (field, value) in [
            ("number of physical address bits", self.physical_address_bits),
            ("number of virtual address bits", self.virtual_address_bits),
        ] {
            if !(1..=64).contains(&value) {
                return Err(Error::OutOfRange { field, value: value.into(), max: 64 });
            }
        }
        let extended = self.iommus.iter().any(|iommu| iommu.extended_features.is_some());
        let iv_info = if extended { EFR_SUPPORTED } else { 0 }
            | u32::from(self.physical_address_bits) << 8
            | u32::from(self.virtual_address_bits) << 15;
        let prefix = spec::IvrsPrefix { iv_info: iv_info.into(), reserved: 0.into() };
        body.extend_from_slice(prefix.as_bytes());
        for iommu in &self.iommus {
            aligned("address of an IOMMU", iommu.registers, 0x4000)?;
            iommu.append(body, None)?;
        }
        for iommu in self.iommus.iter().filter(|iommu| iommu.extended_features.is_some()) {
            iommu.append(body, iommu.extended_features)?;
        }
        for region in &self.unity {
            let range = region.range;
            if range.is_empty() {
                let field = "memory that is not translated";
                return Err(Error::EmptyRange { field, start: range.start() });
            }
            let block = spec::Ivmd {
                block_type: if region.device.is_some() { 0x21 } else { 0x20 },
                // "Unity", "IR", "IW".
                flags: EXCLUDE_NOTHING,
                length: 32.into(),
                device_id: region.device.map_or(Ok(0), device_id)?.into(),
                auxiliary: 0.into(),
                reserved: 0.into(),
                start: range.start().as_u64().into(),
                size: range.size_bytes().into(),
            };
            body.extend_from_slice(block.as_bytes());
        }
        Ok(())
    }
}
