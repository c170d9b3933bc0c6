//! The table of Intel's DMA remapping units.

use alloc::vec::Vec;

use bitflags::bitflags;
use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::check::{aligned, disjoint, word};
use crate::spec::iommu as spec;
use crate::{Error, PciAddress, Signature, Table};

const PAGE: u64 = 0x1000;

bitflags! {
    /// What the platform can do, and asks for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct DmarFlags: u8 {
        /// Interrupts can be remapped.
        const INTERRUPT_REMAPPING = 1 << 0;
        /// Don't use x2APIC mode.
        const X2APIC_OPT_OUT = 1 << 1;
        /// DMA is blocked, but for the reserved regions, when the guest takes over.
        const DMA_CONTROL_OPT_IN = 1 << 2;
    }
}

/// A device, or what else has a source id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceScope {
    /// A PCI device on a root bus.
    Endpoint(PciAddress),
    /// A PCI bridge on a root bus, and all that is behind it.
    Bridge(PciAddress),
    /// An I/O APIC.
    IoApic {
        /// Its id in the MADT.
        id: u8,
        /// Its source id.
        address: PciAddress,
    },
    /// An event timer that sends messages.
    Hpet {
        /// Its number in the HPET table.
        number: u8,
        /// Its source id.
        address: PciAddress,
    },
}

impl DeviceScope {
    fn append(self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let (scope_type, enumeration_id, address) = match self {
            Self::Endpoint(address) => (1, 0, address),
            Self::Bridge(address) => (2, 0, address),
            Self::IoApic { id, address } => (3, id, address),
            Self::Hpet { number, address } => (4, number, address),
        };
        address.device_function()?;
        let head = spec::DeviceScopeHead {
            scope_type,
            length: 8,
            flags: 0,
            reserved: 0,
            enumeration_id,
            start_bus: address.bus,
        };
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&[address.device, address.function]);
        Ok(())
    }
}

/// A remapping unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemappingUnit {
    /// The PCI segment group.
    pub segment: u16,
    /// Where its page of registers is.
    pub registers: Gpa,
    /// Whether it has all PCI devices of the segment that no other unit has.
    pub include_all: bool,
    /// What it has; with `include_all`, I/O APICs and event timers only.
    pub scopes: Vec<DeviceScope>,
    /// The proximity domain, if that matters.
    pub domain: Option<u32>,
}

/// Memory that devices use without the guest's driver knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedRegion {
    /// The PCI segment group.
    pub segment: u16,
    /// Whole pages.
    pub range: GpaRange,
    /// The devices.
    pub scopes: Vec<DeviceScope>,
}

/// Root ports behind which devices may translate addresses themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtsPorts {
    /// The PCI segment group.
    pub segment: u16,
    /// Whether these are all root ports of the segment.
    pub all: bool,
    /// The root ports, if not all.
    pub scopes: Vec<DeviceScope>,
}

/// Describes the DMA remapping table.
///
/// # Source
/// Intel Virtualization Technology for Directed I/O, "DMA Remapping Reporting Structure".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmar {
    /// How many bits an address for DMA has, up to 64.
    pub address_bits: u8,
    /// What the platform can do.
    pub flags: DmarFlags,
    /// The units.
    pub units: Vec<RemappingUnit>,
    /// Reserved memory.
    pub reserved: Vec<ReservedRegion>,
    /// Root ports with address translation services.
    pub ats: Vec<AtsPorts>,
}

/// Encodes scopes, and returns them with the length of the structure that they follow.
fn scoped(head_bytes: usize, scopes: &[DeviceScope]) -> Result<(u16, Vec<u8>), Error> {
    let mut bytes = Vec::with_capacity(scopes.len().saturating_mul(8));
    scopes.iter().try_for_each(|scope| scope.append(&mut bytes))?;
    Ok((word("list of device scopes", bytes.len().saturating_add(head_bytes))?, bytes))
}

impl Dmar {
    fn check(&self) -> Result<(), Error> {
        let bits = self.address_bits;
        if !(1..=64).contains(&bits) {
            let field = "number of address bits";
            return Err(Error::OutOfRange { field, value: bits.into(), max: 64 });
        }
        let mut pages = Vec::with_capacity(self.units.len());
        let mut whole_segments = Vec::new();
        for unit in &self.units {
            let field = "address of a remapping unit";
            aligned(field, unit.registers, PAGE)?;
            let invalid = Error::Invalid { field, value: unit.registers.as_u64() };
            pages.push(GpaRange::new(unit.registers, PAGE).ok_or(invalid)?);
            // "INCLUDE_PCI_ALL": the unit has to be the last one of its segment.
            if whole_segments.contains(&unit.segment) {
                let field = "segment of a remapping unit behind one for all devices";
                return Err(Error::Invalid { field, value: unit.segment.into() });
            }
            if unit.include_all {
                whole_segments.push(unit.segment);
            }
        }
        disjoint("registers of remapping units", pages)?;
        for region in &self.reserved {
            let (start, end) = (region.range.start(), region.range.end());
            if region.range.is_empty() {
                return Err(Error::EmptyRange { field: "reserved memory", start });
            }
            if let Some(gpa) = [start, end].into_iter().find(|gpa| !gpa.is_aligned(PAGE)) {
                return Err(Error::Invalid {
                    field: "end of reserved memory",
                    value: gpa.as_u64(),
                });
            }
        }
        Ok(())
    }
}

impl Table for Dmar {
    const SIGNATURE: Signature = Signature::DMAR;
    const REVISION: u8 = 1;

    /// Structures stand in the order of their types, as "Remapping Structure Types" asks for.
    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        let prefix = spec::DmarPrefix {
            host_address_width: self.address_bits.saturating_sub(1),
            flags: self.flags.bits(),
            reserved: [0; 10],
        };
        body.extend_from_slice(prefix.as_bytes());
        for unit in &self.units {
            let (length, scopes) = scoped(size_of::<spec::Drhd>(), &unit.scopes)?;
            let structure = spec::Drhd {
                structure_type: 0.into(),
                length: length.into(),
                flags: unit.include_all.into(),
                size: 0,
                segment: unit.segment.into(),
                register_base: unit.registers.as_u64().into(),
            };
            body.extend_from_slice(structure.as_bytes());
            body.extend_from_slice(&scopes);
        }
        for region in &self.reserved {
            let (length, scopes) = scoped(size_of::<spec::Rmrr>(), &region.scopes)?;
            let last = region.range.last().unwrap_or(region.range.start());
            let structure = spec::Rmrr {
                structure_type: 1.into(),
                length: length.into(),
                reserved: 0.into(),
                segment: region.segment.into(),
                base: region.range.start().as_u64().into(),
                limit: last.as_u64().into(),
            };
            body.extend_from_slice(structure.as_bytes());
            body.extend_from_slice(&scopes);
        }
        for ports in &self.ats {
            let (length, scopes) = scoped(size_of::<spec::Atsr>(), &ports.scopes)?;
            let structure = spec::Atsr {
                structure_type: 2.into(),
                length: length.into(),
                flags: ports.all.into(),
                reserved: 0,
                segment: ports.segment.into(),
            };
            body.extend_from_slice(structure.as_bytes());
            body.extend_from_slice(&scopes);
        }
        for (unit, domain) in self.units.iter().filter_map(|unit| Some((unit, unit.domain?))) {
            let structure = spec::Rhsa {
                structure_type: 3.into(),
                length: 20.into(),
                reserved: 0.into(),
                register_base: unit.registers.as_u64().into(),
                proximity_domain: domain.into(),
            };
            body.extend_from_slice(structure.as_bytes());
        }
        Ok(())
    }
}
