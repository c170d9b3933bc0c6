//! All tables of a machine, in one piece that can lie anywhere.

use alloc::vec::Vec;
use core::mem::offset_of;

use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::spec::{self, FadtBody, Rsdp, SdtHeader};
use crate::{Blob, Checksum, Error, Fadt, Pointer, PointerWidth, Sdt, Signature, Table, TableIds};

const RSDT_REVISION: u8 = 1;
const XSDT_REVISION: u8 = 1;
const RSDP_REVISION_1: u8 = 0;
const RSDP_REVISION_2: u8 = 2;
const FACS_VERSION: u8 = 2;

/// Every table starts at a multiple of this, in bytes; only the FACS needs more.
const TABLE_ALIGNMENT: usize = 16;

/// Keeps every offset, and the end of a blob rounded up, within 32 bits.
const MAX_BYTES: usize = 1 << 31;

/// How a guest finds the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RootTables {
    /// By an RSDT alone, with the RSDP of ACPI 1.0.
    Rsdt,
    /// By an XSDT alone.
    #[default]
    Xsdt,
    /// By either: an RSDT for those who read nothing else, and an XSDT.
    Both,
}

/// Where one table lies in the tables' blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableEntry {
    /// What it is.
    pub signature: Signature,
    /// Where it starts, in bytes.
    pub offset: u32,
    /// How long it is, in bytes.
    pub size_bytes: u32,
}

/// The tables of a machine, complete but for their address.
///
/// There are two blobs: the RSDP, which a guest finds by scanning or by a boot protocol, and all
/// the rest. [`at`](Self::at) gives their bytes for a place in memory; [`rsdp`](Self::rsdp) and
/// [`tables`](Self::tables) give what a firmware needs to place them itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSet {
    rsdp: Blob,
    tables: Blob,
    entries: Vec<TableEntry>,
}

/// The bytes of all tables for one place in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedTables {
    /// The RSDP. It goes to any multiple of 16; a guest that scans for it looks at 0xe0000-0xfffff.
    pub rsdp: Vec<u8>,
    /// The tables, which go to the address that they were placed for.
    pub tables: Vec<u8>,
}

impl TableSet {
    /// The alignment that the tables' blob needs, in bytes.
    pub const ALIGNMENT: u64 = spec::FACS_ALIGNMENT;

    /// The alignment that the RSDP needs, in bytes.
    pub const RSDP_ALIGNMENT: u64 = 16;

    /// Starts a set with the two tables that no machine is without.
    pub fn builder(fadt: Fadt, dsdt: Sdt) -> TableSetBuilder {
        TableSetBuilder {
            ids: TableIds::default(),
            roots: RootTables::default(),
            fadt,
            dsdt,
            tables: Vec::new(),
        }
    }

    /// Returns the RSDP without a place. Its pointers are into [`tables`](Self::tables).
    #[must_use]
    pub fn rsdp(&self) -> &Blob {
        &self.rsdp
    }

    /// Returns the tables without a place.
    #[must_use]
    pub fn tables(&self) -> &Blob {
        &self.tables
    }

    /// Returns what is where in the tables' blob, in ascending order.
    #[must_use]
    pub fn entries(&self) -> &[TableEntry] {
        &self.entries
    }

    /// Returns the bytes with all pointers and checksums right for tables that lie at `tables`.
    ///
    /// # Errors
    /// [`Error::Misaligned`] if `tables` is not a multiple of [`ALIGNMENT`](Self::ALIGNMENT),
    /// [`Error::Unreachable`] if a pointer of 32 bits doesn't reach: the FADT has some, so the
    /// tables must lie below 4 GiB.
    pub fn at(&self, tables: Gpa) -> Result<PlacedTables, Error> {
        if !tables.is_aligned(Self::ALIGNMENT) {
            return Err(Error::Misaligned { gpa: tables, alignment: Self::ALIGNMENT });
        }
        Ok(PlacedTables {
            rsdp: self.rsdp.relocated(tables)?,
            tables: self.tables.relocated(tables)?,
        })
    }
}

/// Collects the tables of a set.
#[derive(Clone, Debug)]
#[must_use]
pub struct TableSetBuilder {
    ids: TableIds,
    roots: RootTables,
    fadt: Fadt,
    dsdt: Sdt,
    /// What was wrong with a description is said when the set is built.
    tables: Vec<Result<Sdt, Error>>,
}

impl TableSetBuilder {
    /// Sets the ids in the headers of all tables that have none of their own, and in the RSDP.
    pub fn ids(self, ids: TableIds) -> Self {
        Self { ids, ..self }
    }

    /// Sets how a guest finds the tables.
    pub fn roots(self, roots: RootTables) -> Self {
        Self { roots, ..self }
    }

    /// Adds a table. They are listed in the order in which they were added, after the FADT.
    pub fn table(mut self, table: Sdt) -> Self {
        self.tables.push(Ok(table));
        self
    }

    /// Builds a table and adds it. If that fails, so does [`build`](Self::build).
    pub fn with(mut self, table: &impl Table) -> Self {
        self.tables.push(table.build());
        self
    }

    /// Builds the set: FACS, DSDT, FADT, the tables that were added, RSDT and XSDT, then the RSDP.
    ///
    /// # Errors
    /// - What the description of a table that was added can't be built for.
    /// - [`Error::FadtRevision`]: the FADT's revision is too old for what it says.
    /// - [`Error::NotDsdt`]: the DSDT has another signature.
    /// - [`Error::OwnTable`]: a table was added that the set makes itself.
    /// - [`Error::DuplicateTable`]: a table was added twice that may be there once.
    /// - [`Error::IoPorts`]: a register block of the FADT doesn't fit.
    /// - [`Error::SetTooLong`]: all tables together are longer than 2 GiB.
    pub fn build(self) -> Result<TableSet, Error> {
        let added = self.tables.iter().map(Result::as_ref).collect::<Result<Vec<_>, _>>();
        let added = added.map_err(|&error| error)?;
        check(&self.dsdt, &added)?;
        let mut layout = Layout::default();
        let facs = self.fadt.has_facs().then(|| layout.append_facs());
        let dsdt = layout.append(&self.dsdt, self.ids)?;
        let table = self.fadt.build()?;
        let fadt = layout.append(&table, self.ids)?;
        layout.link_fadt(fadt, table.body().len(), dsdt, facs);
        let mut listed: Vec<u32> = [fadt].into();
        for table in added {
            listed.push(layout.append(table, self.ids)?);
        }
        let rsdt = match self.roots {
            RootTables::Rsdt | RootTables::Both => Some(layout.append_rsdt(&listed, self.ids)?),
            RootTables::Xsdt => None,
        };
        let xsdt = match self.roots {
            RootTables::Xsdt | RootTables::Both => Some(layout.append_xsdt(&listed, self.ids)?),
            RootTables::Rsdt => None,
        };
        Ok(TableSet {
            rsdp: build_rsdp(self.ids, rsdt, xsdt)?,
            tables: Blob::new(layout.bytes, layout.pointers, layout.checksums)?,
            entries: layout.entries,
        })
    }
}

/// Checks that each table is one that may be added, and there as often as it may be.
fn check(dsdt: &Sdt, added: &[&Sdt]) -> Result<(), Error> {
    if dsdt.signature() != Signature::DSDT {
        return Err(Error::NotDsdt { signature: dsdt.signature() });
    }
    let mut seen = alloc::collections::BTreeSet::new();
    for table in added {
        let signature = table.signature();
        match signature {
            Signature::DSDT
            | Signature::FACP
            | Signature::FACS
            | Signature::RSDT
            | Signature::XSDT => return Err(Error::OwnTable { signature }),
            _ if signature.may_repeat() || seen.insert(signature) => {}
            _ => return Err(Error::DuplicateTable { signature }),
        }
    }
    Ok(())
}

/// The tables' blob while it grows.
#[derive(Default)]
struct Layout {
    bytes: Vec<u8>,
    pointers: Vec<Pointer>,
    checksums: Vec<Checksum>,
    entries: Vec<TableEntry>,
}

impl Layout {
    /// Appends the FACS, which is first for the sake of its alignment, and returns its offset.
    fn append_facs(&mut self) -> u32 {
        let facs = spec::Facs {
            signature: Signature::FACS.0,
            length: 64.into(),
            hardware_signature: 0.into(),
            firmware_waking_vector: 0.into(),
            global_lock: 0.into(),
            flags: 0.into(),
            x_firmware_waking_vector: 0.into(),
            version: FACS_VERSION,
            reserved_33: [0; 3],
            ospm_flags: 0.into(),
            reserved_40: [0; 24],
        };
        self.bytes.extend_from_slice(facs.as_bytes());
        self.entries.push(TableEntry { signature: Signature::FACS, offset: 0, size_bytes: 64 });
        0
    }

    /// Appends a table with its checksum still to be computed, and returns its offset.
    fn append(&mut self, table: &Sdt, ids: TableIds) -> Result<u32, Error> {
        let start = self.bytes.len().next_multiple_of(TABLE_ALIGNMENT);
        let length = start.saturating_add(table.body().len());
        let too_long = Error::SetTooLong { length };
        if length > MAX_BYTES {
            return Err(too_long);
        }
        self.bytes.resize(start, 0);
        let offset = u32::try_from(start).map_err(|_| too_long)?;
        let size_bytes = table.write_to(&mut self.bytes, ids)?;
        self.checksums.push(Checksum {
            offset: offset + field(offset_of!(SdtHeader, checksum)),
            start: offset,
            size_bytes,
        });
        self.entries.push(TableEntry { signature: table.signature(), offset, size_bytes });
        Ok(offset)
    }

    /// Points the FADT to the DSDT and to the FACS.
    ///
    /// The DSDT gets both pointers, since 32-bit readers such as SeaBIOS know only the first. The
    /// FACS gets the first alone: "FIRMWARE_CTRL" and "X_FIRMWARE_CTRL" exclude each other.
    fn link_fadt(&mut self, fadt: u32, length: usize, dsdt: u32, facs: Option<u32>) {
        let body = fadt + field(size_of::<SdtHeader>());
        if let Some(facs) = facs {
            self.pointers.push(Pointer {
                offset: body + field(offset_of!(FadtBody, firmware_ctrl)),
                width: PointerWidth::Bytes4,
                target: facs,
            });
        }
        self.pointers.push(Pointer {
            offset: body + field(offset_of!(FadtBody, dsdt)),
            width: PointerWidth::Bytes4,
            target: dsdt,
        });
        if length > offset_of!(FadtBody, x_dsdt) {
            self.pointers.push(Pointer {
                offset: body + field(offset_of!(FadtBody, x_dsdt)),
                width: PointerWidth::Bytes8,
                target: dsdt,
            });
        }
    }

    /// Appends the RSDT, which lists the tables at the given offsets, and returns its offset.
    fn append_rsdt(&mut self, listed: &[u32], ids: TableIds) -> Result<u32, Error> {
        self.append_root(Signature::RSDT, RSDT_REVISION, PointerWidth::Bytes4, listed, ids)
    }

    /// Appends the XSDT, which lists the tables at the given offsets, and returns its offset.
    fn append_xsdt(&mut self, listed: &[u32], ids: TableIds) -> Result<u32, Error> {
        self.append_root(Signature::XSDT, XSDT_REVISION, PointerWidth::Bytes8, listed, ids)
    }

    fn append_root(
        &mut self,
        signature: Signature,
        revision: u8,
        width: PointerWidth,
        listed: &[u32],
        ids: TableIds,
    ) -> Result<u32, Error> {
        let slot = usize::from(width.bytes());
        let body = alloc::vec![0; listed.len() * slot];
        let root = self.append(&Sdt::new(signature, revision, body), ids)?;
        let slots = (root + field(size_of::<SdtHeader>())..).step_by(slot);
        self.pointers.extend(slots.zip(listed).map(|(offset, &target)| Pointer {
            offset,
            width,
            target,
        }));
        Ok(root)
    }
}

/// Builds the RSDP: the short one of ACPI 1.0 if there is no XSDT.
fn build_rsdp(ids: TableIds, rsdt: Option<u32>, xsdt: Option<u32>) -> Result<Blob, Error> {
    let length = field(size_of::<Rsdp>());
    let rsdp = Rsdp {
        signature: *b"RSD PTR ",
        checksum: 0,
        oem_id: ids.oem_id,
        revision: if xsdt.is_some() { RSDP_REVISION_2 } else { RSDP_REVISION_1 },
        rsdt_address: 0.into(),
        length: length.into(),
        xsdt_address: 0.into(),
        extended_checksum: 0,
        reserved: [0; 3],
    };
    let mut bytes = rsdp.as_bytes().to_vec();
    let mut pointers = Vec::new();
    let mut checksums: Vec<Checksum> = [Checksum {
        offset: field(offset_of!(Rsdp, checksum)),
        start: 0,
        size_bytes: spec::RSDP_V1_BYTES,
    }]
    .into();
    if let Some(target) = rsdt {
        let offset = field(offset_of!(Rsdp, rsdt_address));
        pointers.push(Pointer { offset, width: PointerWidth::Bytes4, target });
    }
    if let Some(target) = xsdt {
        let offset = field(offset_of!(Rsdp, xsdt_address));
        pointers.push(Pointer { offset, width: PointerWidth::Bytes8, target });
        let offset = field(offset_of!(Rsdp, extended_checksum));
        checksums.push(Checksum { offset, start: 0, size_bytes: length });
    } else {
        bytes.truncate(spec::RSDP_V1_BYTES as usize);
    }
    Blob::new(bytes, pointers, checksums)
}

/// Converts an offset within one of the fixed structures, none of which has 4 GiB.
#[allow(clippy::cast_possible_truncation, reason = "at most 276")]
const fn field(offset: usize) -> u32 {
    offset as u32
}
