//! The heterogeneous memory attribute table: how fast memory is, from where.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use crate::check::{dword, word};
use crate::spec::affinity as spec;
use crate::{Error, Signature, Table};

/// Which processors or devices a domain of memory is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryDomain {
    /// The proximity domain of the memory.
    pub memory: u32,
    /// The proximity domain that has its memory controller, if that is known.
    pub initiator: Option<u32>,
}

/// "Memory Hierarchy": what latencies and bandwidths are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct MemoryHierarchy(pub u8);

impl MemoryHierarchy {
    /// The memory, or the whole of it with its caches.
    pub const MEMORY: Self = Self(0);
    /// The first level of a cache on the memory's side.
    pub const CACHE_LEVEL_1: Self = Self(1);
    /// The second.
    pub const CACHE_LEVEL_2: Self = Self(2);
    /// The third.
    pub const CACHE_LEVEL_3: Self = Self(3);
}

/// "Data Type": what numbers stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct LocalityData(pub u8);

impl LocalityData {
    /// Latency of reads and writes, in units of picoseconds.
    pub const ACCESS_LATENCY: Self = Self(0);
    /// Latency of reads.
    pub const READ_LATENCY: Self = Self(1);
    /// Latency of writes.
    pub const WRITE_LATENCY: Self = Self(2);
    /// Bandwidth of reads and writes, in units of MiB a second.
    pub const ACCESS_BANDWIDTH: Self = Self(3);
    /// Bandwidth of reads.
    pub const READ_BANDWIDTH: Self = Self(4);
    /// Bandwidth of writes.
    pub const WRITE_BANDWIDTH: Self = Self(5);
}

/// Latencies or bandwidths from some domains to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locality {
    /// What they are of.
    pub hierarchy: MemoryHierarchy,
    /// What they are.
    pub data: LocalityData,
    /// What each number is multiplied by.
    pub base_unit: u64,
    /// The domains of processors and devices.
    pub initiators: Vec<u32>,
    /// The domains of memory.
    pub targets: Vec<u32>,
    /// For each initiator the numbers of all targets; 0xffff where they can't reach each other.
    pub entries: Vec<u16>,
}

/// "Cache Associativity" of a cache on the memory's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SideCacheAssociativity(pub u8);

impl SideCacheAssociativity {
    /// Not said.
    pub const NONE: Self = Self(0);
    /// Direct mapped.
    pub const DIRECT: Self = Self(1);
    /// Complex.
    pub const COMPLEX: Self = Self(2);
}

/// "Write Policy" of a cache on the memory's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SideCachePolicy(pub u8);

impl SideCachePolicy {
    /// Not said.
    pub const NONE: Self = Self(0);
    /// Write back.
    pub const WRITE_BACK: Self = Self(1);
    /// Write through.
    pub const WRITE_THROUGH: Self = Self(2);
}

/// A cache on the memory's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemorySideCache {
    /// The proximity domain of the memory.
    pub memory: u32,
    /// How large it is.
    pub size_bytes: u64,
    /// How many levels of such caches there are, up to 3.
    pub levels: u8,
    /// Which of them this is, from 1.
    pub level: u8,
    /// How lines are placed.
    pub associativity: SideCacheAssociativity,
    /// What becomes of writes.
    pub policy: SideCachePolicy,
    /// How long a line is.
    pub line_bytes: u16,
    /// The handles of the SMBIOS structures of the devices that it consists of.
    pub smbios_handles: Vec<u16>,
}

/// Describes the heterogeneous memory attribute table.
///
/// # Source
/// ACPI 6.5, "Heterogeneous Memory Attribute Table (HMAT)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hmat {
    /// Domains of memory.
    pub domains: Vec<MemoryDomain>,
    /// Latencies and bandwidths.
    pub localities: Vec<Locality>,
    /// Caches.
    pub caches: Vec<MemorySideCache>,
}

impl Table for Hmat {
    const SIGNATURE: Signature = Signature::HMAT;
    const REVISION: u8 = 2;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        body.extend_from_slice(&[0; 4]);
        for domain in &self.domains {
            let structure = spec::HmatDomain {
                structure_type: 0.into(),
                reserved_2: 0.into(),
                length: 40.into(),
                flags: u16::from(domain.initiator.is_some()).into(),
                reserved_10: 0.into(),
                attached_initiator: domain.initiator.unwrap_or(0).into(),
                memory_domain: domain.memory.into(),
                reserved_20: [0; 20],
            };
            body.extend_from_slice(structure.as_bytes());
        }
        self.localities.iter().try_for_each(|locality| locality.append(body))?;
        self.caches.iter().try_for_each(|cache| cache.append(body))
    }
}

impl Locality {
    fn append(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let (initiators, targets) = (self.initiators.len(), self.targets.len());
        let field = "list of latencies or bandwidths";
        let expected = initiators.saturating_mul(targets);
        if self.entries.len() != expected {
            return Err(Error::Length { field, length: self.entries.len(), expected });
        }
        if self.base_unit == 0 {
            return Err(Error::Invalid { field: "unit of latencies or bandwidths", value: 0 });
        }
        if self.hierarchy.0 > 0xF {
            let value = self.hierarchy.0.into();
            return Err(Error::OutOfRange { field: "memory hierarchy", value, max: 0xF });
        }
        let lists = initiators.saturating_add(targets).saturating_mul(4);
        let lists = lists.saturating_add(expected.saturating_mul(2));
        let length = lists.saturating_add(size_of::<spec::HmatLocality>());
        let structure = spec::HmatLocality {
            structure_type: 1.into(),
            reserved_2: 0.into(),
            length: dword(field, length)?.into(),
            flags: self.hierarchy.0,
            data_type: self.data.0,
            minimum_transfer_size: 0,
            reserved_11: 0,
            initiator_count: dword(field, initiators)?.into(),
            target_count: dword(field, targets)?.into(),
            reserved_20: 0.into(),
            entry_base_unit: self.base_unit.into(),
        };
        body.extend_from_slice(structure.as_bytes());
        for domain in self.initiators.iter().chain(&self.targets) {
            body.extend_from_slice(&domain.to_le_bytes());
        }
        self.entries.iter().for_each(|entry| body.extend_from_slice(&entry.to_le_bytes()));
        Ok(())
    }
}

impl MemorySideCache {
    fn append(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let (levels, level) = (self.levels, self.level);
        if !(1..=3).contains(&levels) || !(1..=levels).contains(&level) {
            let field = "level of a cache on the memory's side";
            return Err(Error::OutOfRange {
                field,
                value: level.into(),
                max: levels.min(3).into(),
            });
        }
        for (field, value) in [
            ("associativity of a cache on the memory's side", self.associativity.0),
            ("write policy of a cache on the memory's side", self.policy.0),
        ] {
            if value > 0xF {
                return Err(Error::OutOfRange { field, value: value.into(), max: 0xF });
            }
        }
        let attributes = u32::from(levels)
            | u32::from(level) << 4
            | u32::from(self.associativity.0) << 8
            | u32::from(self.policy.0) << 12
            | u32::from(self.line_bytes) << 16;
        let field = "list of SMBIOS handles";
        let count = word(field, self.smbios_handles.len())?;
        let structure = spec::HmatCache {
            structure_type: 2.into(),
            reserved_2: 0.into(),
            length: (32 + u32::from(count) * 2).into(),
            memory_domain: self.memory.into(),
            reserved_12: 0.into(),
            cache_size: self.size_bytes.into(),
            cache_attributes: attributes.into(),
            address_mode: 0.into(),
            smbios_handle_count: count.into(),
        };
        body.extend_from_slice(structure.as_bytes());
        self.smbios_handles.iter().for_each(|handle| body.extend_from_slice(&handle.to_le_bytes()));
        Ok(())
    }
}
