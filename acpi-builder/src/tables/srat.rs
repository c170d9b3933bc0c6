//! The system resource affinity table: what belongs to which proximity domain.

use alloc::vec::Vec;

use bitflags::bitflags;
use guest_state::GpaRange;
use zerocopy::IntoBytes;

use crate::check::{disjoint, unique};
use crate::spec::affinity as spec;
use crate::{Error, PciAddress, Processor, Processors, Signature, Table};

/// "Flags" of every entry: what it says is to be used.
const ENABLED: u32 = 1 << 0;

/// The domain of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessorAffinity {
    /// The id of its local APIC, which chooses the structure as in the [`Madt`](crate::Madt).
    pub apic_id: u32,
    /// The proximity domain.
    pub domain: u32,
    /// The clock domain: those with the same number share a clock.
    pub clock_domain: u32,
}

bitflags! {
    /// What memory is like.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MemoryAffinityFlags: u32 {
        /// It may be put in and taken out while the guest runs.
        const HOT_PLUGGABLE = 1 << 1;
        /// It keeps its contents without power.
        const NON_VOLATILE = 1 << 2;
    }
}

/// The domain of a range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryAffinity {
    /// The memory.
    pub range: GpaRange,
    /// The proximity domain.
    pub domain: u32,
    /// What it is like.
    pub flags: MemoryAffinityFlags,
}

impl MemoryAffinity {
    /// Describes plain memory.
    #[must_use]
    pub const fn new(range: GpaRange, domain: u32) -> Self {
        Self { range, domain, flags: MemoryAffinityFlags::empty() }
    }
}

/// How a device is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceHandle {
    /// By what its device in the DSDT says.
    Acpi {
        /// Its `_HID` as text.
        hid: [u8; 8],
        /// Its `_UID` as text.
        uid: [u8; 4],
    },
    /// By its place on a PCI bus.
    Pci {
        /// The segment group.
        segment: u16,
        /// Where in the segment it is.
        address: PciAddress,
    },
}

/// The domain of a device that accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GenericInitiator {
    /// The device.
    pub device: DeviceHandle,
    /// The proximity domain.
    pub domain: u32,
    /// Whether it makes all kinds of accesses that a processor of the architecture makes.
    pub architectural_transactions: bool,
}

/// Describes the system resource affinity table.
///
/// # Source
/// ACPI 6.5, "System Resource Affinity Table (SRAT)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Srat {
    /// Processors.
    pub processors: Vec<ProcessorAffinity>,
    /// Memory.
    pub memory: Vec<MemoryAffinity>,
    /// Devices.
    pub initiators: Vec<GenericInitiator>,
}

impl Srat {
    /// Describes a machine's processors, each in the domain that `domain_of` says.
    #[must_use]
    pub fn new(processors: &Processors, domain_of: impl Fn(Processor) -> u32) -> Self {
        let affinity = |&processor: &Processor| ProcessorAffinity {
            apic_id: processor.apic_id,
            domain: domain_of(processor),
            clock_domain: 0,
        };
        let processors = processors.as_slice().iter().map(affinity).collect();
        Self { processors, ..Self::default() }
    }
}

impl Table for Srat {
    const SIGNATURE: Signature = Signature::SRAT;
    const REVISION: u8 = 3;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let ids = self.processors.iter().map(|processor| processor.apic_id.into());
        unique("APIC id", ids)?;
        disjoint("memory", self.memory.iter().map(|memory| memory.range).collect())?;
        // "Reserved": must be 1, as in the first revision.
        let prefix = spec::SratPrefix { table_revision: 1.into(), reserved: 0.into() };
        body.extend_from_slice(prefix.as_bytes());
        for &processor in &self.processors {
            push_processor(body, processor);
        }
        for memory in &self.memory {
            let entry = spec::SratMemory {
                entry_type: 1,
                length: 40,
                proximity_domain: memory.domain.into(),
                reserved_6: 0.into(),
                base_address: memory.range.start().as_u64().into(),
                region_length: memory.range.size_bytes().into(),
                reserved_24: 0.into(),
                flags: (memory.flags.bits() | ENABLED).into(),
                reserved_32: 0.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        for initiator in &self.initiators {
            push_initiator(body, initiator)?;
        }
        Ok(())
    }
}

fn push_processor(body: &mut Vec<u8>, processor: ProcessorAffinity) {
    let ProcessorAffinity { apic_id, domain, clock_domain } = processor;
    match u8::try_from(apic_id) {
        Ok(apic_id) if apic_id < 255 => {
            let [low, high @ ..] = domain.to_le_bytes();
            let entry = spec::SratLocalApic {
                entry_type: 0,
                length: 16,
                proximity_domain_7_0: low,
                apic_id,
                flags: ENABLED.into(),
                local_sapic_eid: 0,
                proximity_domain_31_8: high,
                clock_domain: clock_domain.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        _ => {
            let entry = spec::SratLocalX2Apic {
                entry_type: 2,
                length: 24,
                reserved_2: 0.into(),
                proximity_domain: domain.into(),
                x2apic_id: apic_id.into(),
                flags: ENABLED.into(),
                clock_domain: clock_domain.into(),
                reserved_20: 0.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
    }
}

fn push_initiator(body: &mut Vec<u8>, initiator: &GenericInitiator) -> Result<(), Error> {
    const ARCHITECTURAL_TRANSACTIONS: u32 = 1 << 1;
    let mut device_handle = [0; 16];
    let device_handle_type = match initiator.device {
        DeviceHandle::Acpi { hid, uid } => {
            device_handle[..8].copy_from_slice(&hid);
            device_handle[8..12].copy_from_slice(&uid);
            0
        }
        DeviceHandle::Pci { segment, address } => {
            device_handle[..2].copy_from_slice(&segment.to_le_bytes());
            // "Device Handle - PCI": the bus, then device and function.
            device_handle[2] = address.bus;
            device_handle[3] = address.device_function()?;
            1
        }
    };
    let transactions =
        if initiator.architectural_transactions { ARCHITECTURAL_TRANSACTIONS } else { 0 };
    let entry = spec::SratGenericInitiator {
        entry_type: 5,
        length: 32,
        reserved_2: 0,
        device_handle_type,
        proximity_domain: initiator.domain.into(),
        device_handle,
        flags: (ENABLED | transactions).into(),
        reserved_28: 0.into(),
    };
    body.extend_from_slice(entry.as_bytes());
    Ok(())
}
