//! What confidential guests need of a firmware image: the sections that TDX and SEV-SNP treat.

use guest_state::Gpa;

use crate::bytes::{array, u32_at, u64_at};
use crate::{Error, Guid};

/// What a section of the TDX metadata is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TdxSectionKind {
    /// The boot firmware volume.
    BootFirmware,
    /// The configuration firmware volume: variables.
    Configuration,
    /// Where the hand-off block goes.
    HandOff,
    /// Memory for a time.
    TemporaryMemory,
    /// Memory that stays.
    PermanentMemory,
    /// One that is not known here.
    Other(u32),
}

/// What TDX does with a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdxAttributes(pub u32);

impl TdxAttributes {
    /// Tells whether its contents are measured, by `TDH.MR.EXTEND`.
    #[must_use]
    pub const fn is_measured(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A section of the TDX metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdxSection {
    /// Where its bytes are in the image.
    pub data_offset: u32,
    /// How many of them are in the image.
    pub data_size_bytes: u32,
    /// Where it goes in the guest.
    pub gpa: Gpa,
    /// How much memory it takes there.
    pub memory_size_bytes: u64,
    /// What it is.
    pub kind: TdxSectionKind,
    /// What is done with it.
    pub attributes: TdxAttributes,
}

/// The sections of the TDX metadata.
///
/// # Source
/// Intel, "TDX Virtual Firmware Design Guide", "TDVF Metadata".
#[derive(Clone, Debug)]
pub struct TdxSections<'a> {
    rest: &'a [u8],
}

const TDX: &str = "TDX metadata";
const TDX_GUID: Guid = Guid::new(0xE9EA_F9F3_168E_44D5_A8EB_7F4D_8738_F6AE);
const TDX_HEADER_BYTES: usize = 16;
const TDX_SECTION_BYTES: usize = 32;

impl<'a> TdxSections<'a> {
    /// Reads the descriptor at `offset`, with its GUID in the 16 bytes before.
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::Version`], [`Error::Truncated`] if the image ends before the
    /// last section.
    pub fn at(image: &'a [u8], offset: usize) -> Result<Self, Error> {
        let signature = Error::Signature { what: TDX, offset };
        let guid = offset.checked_sub(16).and_then(|at| array(image, at)).map(Guid);
        let header = image.get(offset..).ok_or(signature)?;
        if guid != Some(TDX_GUID) || !header.starts_with(b"TDVF") {
            return Err(signature);
        }
        let truncated = Error::Truncated { what: TDX, offset };
        let version = u32_at(header, 8).ok_or(truncated)?;
        if version != 1 {
            return Err(Error::Version { what: TDX, version });
        }
        let count = u32_at(header, 12).ok_or(truncated)?;
        let rest = sections(header, TDX_HEADER_BYTES, count, TDX_SECTION_BYTES).ok_or(truncated)?;
        Ok(Self { rest })
    }
}

impl Iterator for TdxSections<'_> {
    type Item = TdxSection;

    fn next(&mut self) -> Option<TdxSection> {
        let (section, rest) = self.rest.split_at_checked(TDX_SECTION_BYTES)?;
        self.rest = rest;
        let kind = match u32_at(section, 24)? {
            0 => TdxSectionKind::BootFirmware,
            1 => TdxSectionKind::Configuration,
            2 => TdxSectionKind::HandOff,
            3 => TdxSectionKind::TemporaryMemory,
            4 => TdxSectionKind::PermanentMemory,
            other => TdxSectionKind::Other(other),
        };
        Some(TdxSection {
            data_offset: u32_at(section, 0)?,
            data_size_bytes: u32_at(section, 4)?,
            gpa: Gpa::new(u64_at(section, 8)?),
            memory_size_bytes: u64_at(section, 16)?,
            kind,
            attributes: TdxAttributes(u32_at(section, 28)?),
        })
    }
}

/// What a section of the SEV metadata is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SevSectionKind {
    /// Memory that the security phase uses.
    SecurityPhaseMemory,
    /// The secrets page.
    Secrets,
    /// The CPUID page.
    Cpuid,
    /// Where a secure VM service module's calling area is.
    ServiceModule,
    /// The hashes of kernel, initrd and command line.
    KernelHashes,
    /// One that is not known here.
    Other(u32),
}

/// A section of the SEV metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SevSection {
    /// Where it is in the guest.
    pub gpa: Gpa,
    /// How large it is.
    pub size_bytes: u32,
    /// What it is.
    pub kind: SevSectionKind,
}

/// The sections of the SEV metadata.
///
/// # Source
/// EDK II, `OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm`, read for facts.
#[derive(Clone, Debug)]
pub struct SevSections<'a> {
    rest: &'a [u8],
}

const SEV: &str = "SEV metadata";
const SEV_HEADER_BYTES: usize = 16;
const SEV_SECTION_BYTES: usize = 12;

impl<'a> SevSections<'a> {
    /// Reads the descriptor at `offset`.
    ///
    /// # Errors
    /// As [`TdxSections::at`].
    pub fn at(image: &'a [u8], offset: usize) -> Result<Self, Error> {
        let signature = Error::Signature { what: SEV, offset };
        let header = image.get(offset..).ok_or(signature)?;
        if !header.starts_with(b"ASEV") {
            return Err(signature);
        }
        let truncated = Error::Truncated { what: SEV, offset };
        let version = u32_at(header, 8).ok_or(truncated)?;
        if version != 1 {
            return Err(Error::Version { what: SEV, version });
        }
        let count = u32_at(header, 12).ok_or(truncated)?;
        let rest = sections(header, SEV_HEADER_BYTES, count, SEV_SECTION_BYTES).ok_or(truncated)?;
        Ok(Self { rest })
    }
}

impl Iterator for SevSections<'_> {
    type Item = SevSection;

    fn next(&mut self) -> Option<SevSection> {
        let (section, rest) = self.rest.split_at_checked(SEV_SECTION_BYTES)?;
        self.rest = rest;
        let kind = match u32_at(section, 8)? {
            1 => SevSectionKind::SecurityPhaseMemory,
            2 => SevSectionKind::Secrets,
            3 => SevSectionKind::Cpuid,
            4 => SevSectionKind::ServiceModule,
            0x10 => SevSectionKind::KernelHashes,
            other => SevSectionKind::Other(other),
        };
        let gpa = Gpa::new(u32_at(section, 0)?.into());
        Some(SevSection { gpa, size_bytes: u32_at(section, 4)?, kind })
    }
}

/// Returns `count` sections behind a header.
fn sections(bytes: &[u8], header: usize, count: u32, section: usize) -> Option<&[u8]> {
    let size_bytes = usize::try_from(count).ok()?.checked_mul(section)?;
    bytes.get(header..header.checked_add(size_bytes)?)
}
