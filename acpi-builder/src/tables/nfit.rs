//! The table of persistent memory.

use alloc::vec::Vec;

use bitflags::bitflags;
use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::check::{disjoint, unique, word};
use crate::spec::memory as spec;
use crate::{Error, Signature, Table};

/// "Address Range Type GUID", as it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RangeType(pub [u8; 16]);

impl RangeType {
    /// Byte-addressable persistent memory: 66f0d379-b4f3-4074-ac43-0d3318b78cdb.
    pub const PERSISTENT: Self = Self([
        0x79, 0xD3, 0xF0, 0x66, 0xF3, 0xB4, 0x74, 0x40, 0xAC, 0x43, 0x0D, 0x33, 0x18, 0xB7, 0x8C,
        0xDB,
    ]);
    /// A disk in volatile memory: 77ab535a-45fc-624b-5560-f7b281d1f96e.
    pub const VIRTUAL_DISK: Self = Self([
        0x5A, 0x53, 0xAB, 0x77, 0xFC, 0x45, 0x4B, 0x62, 0x55, 0x60, 0xF7, 0xB2, 0x81, 0xD1, 0xF9,
        0x6E,
    ]);
}

/// A range of persistent memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PersistentRange {
    /// Its number, from 1.
    pub index: u16,
    /// What it is.
    pub kind: RangeType,
    /// Where it is.
    pub range: GpaRange,
    /// Its proximity domain, if that matters.
    pub domain: Option<u32>,
    /// "Address Range Memory Mapping Attribute": 0x8008 for write-back memory that is not volatile.
    pub attribute: u64,
}

/// Which part of a range is which part of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionMapping {
    /// The device's handle.
    pub device: u32,
    /// The handle of its SMBIOS structure of type 17.
    pub physical_id: u16,
    /// The number of the region in the device.
    pub region: u16,
    /// The range.
    pub range_index: u16,
    /// The device's control region.
    pub control_index: u16,
    /// How long the part is.
    pub size_bytes: u64,
    /// Where in the range it is.
    pub offset: u64,
    /// Where in the device it is.
    pub device_address: u64,
}

/// What a device is, to choose a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ControlRegion {
    /// Its number, from 1.
    pub index: u16,
    /// The maker.
    pub vendor: u16,
    /// The device.
    pub device: u16,
    /// The device's revision.
    pub revision: u16,
    /// The serial number.
    pub serial: u32,
    /// "Region Format Interface Code": 0x301 for byte-addressable memory without block windows.
    pub format: u16,
}

/// Addresses that flush a device's writes when they are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushHint {
    /// The device's handle.
    pub device: u32,
    /// The addresses.
    pub addresses: Vec<Gpa>,
}

bitflags! {
    /// What the platform sees to when power fails.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct NvdimmCapabilities: u32 {
        /// Processor caches reach persistent memory.
        const CACHE_FLUSH = 1 << 0;
        /// What memory controllers hold does.
        const CONTROLLER_FLUSH = 1 << 1;
        /// Memory is mirrored in hardware.
        const MIRRORING = 1 << 2;
    }
}

/// Describes the NVDIMM firmware interface table.
///
/// # Source
/// ACPI 6.5, "NVDIMM Firmware Interface Table (NFIT)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nfit {
    /// Ranges.
    pub ranges: Vec<PersistentRange>,
    /// Their parts.
    pub mappings: Vec<RegionMapping>,
    /// The devices.
    pub controls: Vec<ControlRegion>,
    /// Addresses that flush.
    pub flush_hints: Vec<FlushHint>,
    /// What the platform sees to.
    pub capabilities: Option<NvdimmCapabilities>,
}

impl Nfit {
    fn check(&self) -> Result<(), Error> {
        let (range, control) = ("index of a range", "index of a control region");
        unique(range, self.ranges.iter().map(|range| range.index.into()))?;
        unique(control, self.controls.iter().map(|control| control.index.into()))?;
        disjoint("persistent memory", self.ranges.iter().map(|range| range.range).collect())?;
        let zero = |field| Error::Invalid { field, value: 0 };
        if self.ranges.iter().any(|range| range.index == 0) {
            return Err(zero(range));
        }
        if self.controls.iter().any(|control| control.index == 0) {
            return Err(zero(control));
        }
        for mapping in &self.mappings {
            let target = self.ranges.iter().find(|range| range.index == mapping.range_index);
            let value = mapping.range_index.into();
            let target = target.ok_or(Error::Invalid { field: range, value })?;
            if !self.controls.iter().any(|control| control.index == mapping.control_index) {
                return Err(Error::Invalid { field: control, value: mapping.control_index.into() });
            }
            let end = mapping.offset.checked_add(mapping.size_bytes);
            let max = target.range.size_bytes();
            if end.is_none_or(|end| end > max) {
                let value = end.unwrap_or(u64::MAX);
                return Err(Error::OutOfRange { field: "end of a mapping", value, max });
            }
        }
        Ok(())
    }
}

impl Table for Nfit {
    const SIGNATURE: Signature = Signature::NFIT;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        const DOMAIN_VALID: u16 = 1 << 1;
        self.check()?;
        body.extend_from_slice(&[0; 4]);
        for range in &self.ranges {
            let flags = if range.domain.is_some() { DOMAIN_VALID } else { 0 };
            let structure = spec::NfitRange {
                structure_type: 0.into(),
                length: 64.into(),
                range_index: range.index.into(),
                flags: flags.into(),
                reserved: 0.into(),
                proximity_domain: range.domain.unwrap_or(0).into(),
                range_type: range.kind.0,
                base: range.range.start().as_u64().into(),
                size: range.range.size_bytes().into(),
                mapping_attribute: range.attribute.into(),
                // Not valid, as the flags say.
                location_cookie: 0.into(),
            };
            body.extend_from_slice(structure.as_bytes());
        }
        for mapping in &self.mappings {
            let structure = spec::NfitMapping {
                structure_type: 1.into(),
                length: 48.into(),
                device_handle: mapping.device.into(),
                physical_id: mapping.physical_id.into(),
                region_id: mapping.region.into(),
                range_index: mapping.range_index.into(),
                control_region_index: mapping.control_index.into(),
                region_size: mapping.size_bytes.into(),
                region_offset: mapping.offset.into(),
                physical_address_base: mapping.device_address.into(),
                interleave_index: 0.into(),
                interleave_ways: 1.into(),
                state_flags: 0.into(),
                reserved: 0.into(),
            };
            body.extend_from_slice(structure.as_bytes());
        }
        for control in &self.controls {
            let structure = spec::NfitControl {
                structure_type: 4.into(),
                length: 80.into(),
                control_region_index: control.index.into(),
                vendor_id: control.vendor.into(),
                device_id: control.device.into(),
                revision_id: control.revision.into(),
                subsystem_vendor_id: 0.into(),
                subsystem_device_id: 0.into(),
                subsystem_revision_id: 0.into(),
                valid_fields: 0,
                manufacturing_location: 0,
                manufacturing_date: 0.into(),
                reserved: 0.into(),
                serial_number: control.serial.into(),
                format_interface_code: control.format.into(),
                window_count: 0.into(),
                // Valid only if there are windows.
                windows: [0; 48],
            };
            body.extend_from_slice(structure.as_bytes());
        }
        for hint in &self.flush_hints {
            let field = "list of flush hints";
            let length = hint.addresses.len().saturating_mul(8).saturating_add(16);
            let structure = spec::NfitFlushHint {
                structure_type: 6.into(),
                length: word(field, length)?.into(),
                device_handle: hint.device.into(),
                hint_count: word(field, hint.addresses.len())?.into(),
                reserved: [0; 6],
            };
            body.extend_from_slice(structure.as_bytes());
            for address in &hint.addresses {
                body.extend_from_slice(&address.as_u64().to_le_bytes());
            }
        }
        if let Some(capabilities) = self.capabilities {
            let structure = spec::NfitCapabilities {
                structure_type: 7.into(),
                length: 16.into(),
                // The number of the highest bit that counts.
                highest_capability: 2,
                reserved_5: [0; 3],
                capabilities: capabilities.bits().into(),
                reserved_12: 0.into(),
            };
            body.extend_from_slice(structure.as_bytes());
        }
        Ok(())
    }
}
