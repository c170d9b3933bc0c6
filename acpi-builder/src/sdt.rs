//! A table before it has a place: signature, revision and what follows the header.

use alloc::vec::Vec;
use core::fmt;

use zerocopy::{FromBytes, IntoBytes};

use crate::{Error, spec};

/// The four bytes that say what a table is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Signature(pub [u8; 4]);

impl Signature {
    /// Multiple APIC description table.
    pub const APIC: Self = Self(*b"APIC");
    /// Boot error record table.
    pub const BERT: Self = Self(*b"BERT");
    /// Boot graphics resource table.
    pub const BGRT: Self = Self(*b"BGRT");
    /// CXL early discovery table.
    pub const CEDT: Self = Self(*b"CEDT");
    /// Debug port table 2.
    pub const DBG2: Self = Self(*b"DBG2");
    /// DMA remapping table.
    pub const DMAR: Self = Self(*b"DMAR");
    /// Differentiated system description table.
    pub const DSDT: Self = Self(*b"DSDT");
    /// Error record serialization table.
    pub const ERST: Self = Self(*b"ERST");
    /// Fixed ACPI description table.
    pub const FACP: Self = Self(*b"FACP");
    /// Firmware ACPI control structure.
    pub const FACS: Self = Self(*b"FACS");
    /// Hardware error source table.
    pub const HEST: Self = Self(*b"HEST");
    /// Heterogeneous memory attribute table.
    pub const HMAT: Self = Self(*b"HMAT");
    /// High precision event timer table.
    pub const HPET: Self = Self(*b"HPET");
    /// I/O virtualization reporting structure.
    pub const IVRS: Self = Self(*b"IVRS");
    /// Memory-mapped configuration space table.
    pub const MCFG: Self = Self(*b"MCFG");
    /// NVDIMM firmware interface table.
    pub const NFIT: Self = Self(*b"NFIT");
    /// Processor properties topology table.
    pub const PPTT: Self = Self(*b"PPTT");
    /// Root system description table.
    pub const RSDT: Self = Self(*b"RSDT");
    /// System locality information table.
    pub const SLIT: Self = Self(*b"SLIT");
    /// Serial port console redirection table.
    pub const SPCR: Self = Self(*b"SPCR");
    /// System resource affinity table.
    pub const SRAT: Self = Self(*b"SRAT");
    /// Secondary system description table.
    pub const SSDT: Self = Self(*b"SSDT");
    /// Trusted computing platform alliance table: TPM 1.2.
    pub const TCPA: Self = Self(*b"TCPA");
    /// Trusted platform module 2.0 table.
    pub const TPM2: Self = Self(*b"TPM2");
    /// UEFI ACPI data table.
    pub const UEFI: Self = Self(*b"UEFI");
    /// Virtual I/O translation table.
    pub const VIOT: Self = Self(*b"VIOT");
    /// Windows ACPI emulated devices table.
    pub const WAET: Self = Self(*b"WAET");
    /// Extended system description table.
    pub const XSDT: Self = Self(*b"XSDT");
}

impl Signature {
    /// A definition block that only old guests load.
    pub(crate) const PSDT: Self = Self(*b"PSDT");
    /// The start of the root pointer's signature.
    pub(crate) const RSDP: Self = Self(*b"RSD ");
    /// What stands where there are no four bytes.
    pub(crate) const NONE: Self = Self([0; 4]);

    /// Tells whether a machine may have several tables of this kind.
    ///
    /// # Source
    /// ACPI 6.5, "DESCRIPTION_HEADER Signatures".
    pub(crate) fn may_repeat(self) -> bool {
        matches!(self, Self::SSDT | Self::PSDT | Self::UEFI | Self([b'O', b'E', b'M', _]))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

/// Who made a table, as its header says it.
///
/// # Source
/// ACPI 6.5, "System Description Table Header".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableIds {
    /// The maker of the machine.
    pub oem_id: [u8; 6],
    /// The machine's model.
    pub oem_table_id: [u8; 8],
    /// The model's revision.
    pub oem_revision: u32,
    /// The maker of the program that built the table.
    pub creator_id: [u8; 4],
    /// That program's revision.
    pub creator_revision: u32,
}

impl Default for TableIds {
    fn default() -> Self {
        Self {
            oem_id: *b"HVKIT ",
            oem_table_id: *b"HVKITVM ",
            oem_revision: 1,
            creator_id: *b"HVKT",
            creator_revision: 1,
        }
    }
}

/// A system description table that has no place yet: all but its ids and its checksum.
///
/// Typed descriptions such as [`Madt`](crate::Madt) build one; [`Sdt::new`] makes one of any bytes,
/// and [`Sdt::from_bytes`] takes a finished table over as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdt {
    pub(crate) signature: Signature,
    pub(crate) revision: u8,
    /// `None` takes those of the table set.
    pub(crate) ids: Option<TableIds>,
    pub(crate) body: Vec<u8>,
}

impl Sdt {
    /// Makes a table of the bytes that follow its header.
    #[must_use]
    pub fn new(signature: Signature, revision: u8, body: Vec<u8>) -> Self {
        Self { signature, revision, ids: None, body }
    }

    /// Takes over a finished table, header included: one from a file, or from a real machine.
    ///
    /// The table keeps its ids. Addresses in its body are left as they are.
    ///
    /// # Errors
    /// [`Error::TableTruncated`], [`Error::TableLength`] or [`Error::TableChecksum`] if the bytes
    /// are not one whole table.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let length = bytes.len();
        let (header, body) = spec::SdtHeader::read_from_prefix(bytes)
            .map_err(|_| Error::TableTruncated { length })?;
        let signature = Signature(header.signature);
        let declared = header.length.get();
        if u32::try_from(length) != Ok(declared) {
            return Err(Error::TableLength { signature, declared, length });
        }
        let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        if sum != 0 {
            return Err(Error::TableChecksum { signature, sum });
        }
        let ids = TableIds {
            oem_id: header.oem_id,
            oem_table_id: header.oem_table_id,
            oem_revision: header.oem_revision.get(),
            creator_id: header.creator_id,
            creator_revision: header.creator_revision.get(),
        };
        Ok(Self::new(signature, header.revision, body.to_vec()).with_ids(ids))
    }

    /// Gives the table ids of its own, in place of the table set's.
    #[must_use]
    pub fn with_ids(self, ids: TableIds) -> Self {
        Self { ids: Some(ids), ..self }
    }

    /// Returns the signature.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Returns the bytes that follow the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Appends the table with a checksum of zero, and returns its length in bytes.
    pub(crate) fn write_to(&self, bytes: &mut Vec<u8>, set_ids: TableIds) -> Result<u32, Error> {
        let length = size_of::<spec::SdtHeader>() + self.body.len();
        let length_field = u32::try_from(length).map_err(|_| Error::SetTooLong { length })?;
        let ids = self.ids.unwrap_or(set_ids);
        let header = spec::SdtHeader {
            signature: self.signature.0,
            length: length_field.into(),
            revision: self.revision,
            checksum: 0,
            oem_id: ids.oem_id,
            oem_table_id: ids.oem_table_id,
            oem_revision: ids.oem_revision.into(),
            creator_id: ids.creator_id,
            creator_revision: ids.creator_revision.into(),
        };
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&self.body);
        Ok(length_field)
    }
}
