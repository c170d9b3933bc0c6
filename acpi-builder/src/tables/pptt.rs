//! The processor properties topology table: packages, cores, threads and caches.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use crate::check::dword;
use crate::spec::SdtHeader;
use crate::spec::affinity as spec;
use crate::{Error, Signature, Table};

/// Refers to a node of the same [`Pptt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeRef(u32);

/// Refers to a cache of the same [`Pptt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheRef(u32);

/// "Cache type".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheKind {
    /// For data.
    Data,
    /// For instructions.
    Instruction,
    /// For both.
    Unified,
}

/// A cache, write-back, that reads and writes fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorCache {
    /// A number that no other cache has, not zero.
    pub id: u32,
    /// What it is for.
    pub kind: CacheKind,
    /// How large it is.
    pub size_bytes: u32,
    /// How many ways each set has.
    pub ways: u8,
    /// How long a line is.
    pub line_bytes: u16,
    /// The cache of the next level.
    pub next: Option<CacheRef>,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A group of nodes within a package, or above packages.
    Group,
    /// A physical package.
    Package,
    /// A processor by itself, with its UID in the MADT.
    Core {
        /// The UID.
        uid: u32,
    },
    /// A processor that shares its node with others.
    Thread {
        /// The UID.
        uid: u32,
    },
}

/// A node in the hierarchy of processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorNode {
    /// What it stands for.
    pub kind: NodeKind,
    /// The node above.
    pub parent: Option<NodeRef>,
    /// The caches of its first level that are its own.
    pub caches: Vec<CacheRef>,
}

/// Describes the processor properties topology table. What is referred to is added first.
///
/// # Source
/// ACPI 6.5, "Processor Properties Topology Table (PPTT)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pptt {
    body: Vec<u8>,
    caches: Vec<CacheRef>,
    nodes: Vec<NodeRef>,
    cache_ids: Vec<u32>,
    uids: Vec<u32>,
}

impl Pptt {
    /// Describes no processors yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns where in the table the next structure will be.
    fn next_offset(&self) -> Result<u32, Error> {
        dword("length of the topology", self.body.len().saturating_add(size_of::<SdtHeader>()))
    }

    /// Adds a cache.
    ///
    /// # Errors
    /// - [`Error::Invalid`]: id, size, ways or line are zero, don't fit together, or the cache
    ///   refers to one of another table.
    pub fn add_cache(&mut self, cache: &ProcessorCache) -> Result<CacheRef, Error> {
        // "Flags": all properties are valid.
        const ALL_VALID: u32 = 0xFF;
        const READ_AND_WRITE_ALLOCATE: u8 = 0b10;
        let way_bytes = u32::from(cache.ways) * u32::from(cache.line_bytes);
        let sets = cache.size_bytes.checked_div(way_bytes).unwrap_or(0);
        if cache.id == 0 || sets == 0 || sets * way_bytes != cache.size_bytes {
            let field = "size of a cache";
            return Err(Error::Invalid { field, value: cache.size_bytes.into() });
        }
        let kind = match cache.kind {
            CacheKind::Data => 0,
            CacheKind::Instruction => 1,
            CacheKind::Unified => 2,
        };
        let reference = CacheRef(self.next_offset()?);
        let structure = spec::PpttCache {
            entry_type: 1,
            length: 28,
            reserved: 0.into(),
            flags: ALL_VALID.into(),
            next_level: self.cache(cache.next)?.into(),
            size: cache.size_bytes.into(),
            sets: sets.into(),
            associativity: cache.ways,
            attributes: READ_AND_WRITE_ALLOCATE | kind << 2,
            line_size: cache.line_bytes.into(),
            cache_id: cache.id.into(),
        };
        self.body.extend_from_slice(structure.as_bytes());
        self.caches.push(reference);
        self.cache_ids.push(cache.id);
        Ok(reference)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// - [`Error::Invalid`]: the node refers to something of another table.
    /// - [`Error::OutOfRange`]: it has more caches than can be expressed.
    pub fn add_node(&mut self, node: &ProcessorNode) -> Result<NodeRef, Error> {
        const PACKAGE: u32 = 1 << 0;
        const UID_VALID: u32 = 1 << 1;
        const THREAD: u32 = 1 << 2;
        const LEAF: u32 = 1 << 3;
        let (flags, uid) = match node.kind {
            NodeKind::Group => (0, None),
            NodeKind::Package => (PACKAGE, None),
            NodeKind::Core { uid } => (UID_VALID | LEAF, Some(uid)),
            NodeKind::Thread { uid } => (UID_VALID | THREAD | LEAF, Some(uid)),
        };
        let reference = NodeRef(self.next_offset()?);
        let length = node.caches.len().saturating_mul(4).saturating_add(20);
        let value = u64::try_from(length).unwrap_or(u64::MAX);
        let out_of_range = Error::OutOfRange { field: "length of a node", value, max: 0xFF };
        let structure = spec::PpttNode {
            entry_type: 0,
            length: u8::try_from(length).map_err(|_| out_of_range)?,
            reserved: 0.into(),
            flags: flags.into(),
            parent: self.parent(node.parent)?.into(),
            acpi_processor_id: uid.unwrap_or(0).into(),
            private_resource_count: dword("list of caches", node.caches.len())?.into(),
        };
        let mut bytes = structure.as_bytes().to_vec();
        for &cache in &node.caches {
            bytes.extend_from_slice(&self.cache(Some(cache))?.to_le_bytes());
        }
        self.body.extend_from_slice(&bytes);
        self.nodes.push(reference);
        self.uids.extend(uid);
        Ok(reference)
    }

    /// Returns the offset of a cache; 0 stands for none. Both lists are in order.
    fn cache(&self, cache: Option<CacheRef>) -> Result<u32, Error> {
        let Some(CacheRef(offset)) = cache else { return Ok(0) };
        let found = self.caches.binary_search_by_key(&offset, |known| known.0);
        found.map(|_| offset).map_err(|_| Error::Invalid { field: "cache", value: offset.into() })
    }

    /// Returns the offset of a node; 0 stands for none.
    fn parent(&self, node: Option<NodeRef>) -> Result<u32, Error> {
        let Some(NodeRef(offset)) = node else { return Ok(0) };
        let found = self.nodes.binary_search_by_key(&offset, |known| known.0);
        found.map(|_| offset).map_err(|_| Error::Invalid { field: "node", value: offset.into() })
    }
}

impl Table for Pptt {
    const SIGNATURE: Signature = Signature::PPTT;
    const REVISION: u8 = 3;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        crate::check::unique("cache id", self.cache_ids.iter().map(|&id| id.into()))?;
        crate::check::unique("UID", self.uids.iter().map(|&uid| uid.into()))?;
        body.extend_from_slice(&self.body);
        Ok(())
    }
}
