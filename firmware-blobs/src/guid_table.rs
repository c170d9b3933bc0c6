//! The table of GUIDs below the reset vector of OVMF.

use crate::bytes::{array, u16_at, u32_at};
use crate::{Error, Guid, SevSections, TdxSections};

/// Where the table's last byte is followed by code, from the end of the image.
const TABLE_END_FROM_END: usize = 32;
/// The GUID and the length of an entry, which come behind its data.
const TRAILER_BYTES: usize = 18;
const TABLE: &str = "GUID table";

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuidEntry<'a> {
    /// What it is.
    pub guid: Guid,
    /// What it says.
    pub data: &'a [u8],
}

/// The table: what OVMF tells a VMM that places it, from the end downward.
///
/// # Source
/// EDK II, `OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm`, read for facts; QEMU documentation,
/// "AMD Secure Encrypted Virtualization", for what the entries are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuidTable<'a> {
    image: &'a [u8],
    /// The entries, without the footer.
    entries: &'a [u8],
}

impl<'a> GuidTable<'a> {
    /// The footer, at 4 GiB - 48.
    pub const FOOTER: Guid = Guid::new(0x96B5_82DE_1FB2_45F7_BAEA_A366_C55A_082D);
    /// Where the application processors start under SEV-ES.
    pub const SEV_ES_RESET: Guid = Guid::new(0x00F7_71DE_1A7E_4FCB_890E_68C7_7E2F_B44E);
    /// Where SEV puts a launch secret.
    pub const SEV_SECRET: Guid = Guid::new(0x4C2E_B361_7D9B_4CC3_8081_127C_90D3_D294);
    /// Where SEV puts hashes of kernel, initrd and command line.
    pub const SEV_HASHES: Guid = Guid::new(0x7255_371F_3A3B_4B04_927B_1DA6_EFA8_D454);
    /// The metadata for SEV-SNP.
    pub const SEV_METADATA: Guid = Guid::new(0xDC88_6566_984A_4798_A75E_5585_A7BF_67CC);
    /// The metadata for TDX.
    pub const TDX_METADATA: Guid = Guid::new(0xE47A_6535_984A_4798_865E_4685_A7BF_8EC2);
    /// The parameters that an IGVM file fills in.
    pub const IGVM_PARAMETERS: Guid = Guid::new(0x784F_A70E_3176_4677_8A20_04B6_8699_E374);

    /// Finds the table of an image that ends at 4 GiB; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Length`] if the footer gives a length that can't be.
    pub fn find(image: &'a [u8]) -> Result<Option<Self>, Error> {
        let Some(end) = image.len().checked_sub(TABLE_END_FROM_END) else { return Ok(None) };
        let Some(footer) = end.checked_sub(TRAILER_BYTES) else { return Ok(None) };
        if array(image, footer + 2).map(Guid) != Some(Self::FOOTER) {
            return Ok(None);
        }
        let length = u16_at(image, footer).unwrap_or_default();
        let wrong = Error::Length { what: TABLE, offset: footer, length: length.into() };
        let start = end.checked_sub(length.into()).ok_or(wrong)?;
        let entries = image.get(start..footer).ok_or(wrong)?;
        Ok(Some(Self { image, entries }))
    }

    /// Returns the entries, from the last to the first, until one is not as it should be.
    pub fn entries(&self) -> impl Iterator<Item = GuidEntry<'a>> + use<'a> {
        let mut rest = self.entries;
        core::iter::from_fn(move || {
            let trailer = rest.len().checked_sub(TRAILER_BYTES)?;
            let length = usize::from(u16_at(rest, trailer)?);
            let guid = Guid(array(rest, trailer + 2)?);
            let start = rest.len().checked_sub(length)?;
            let data = rest.get(start..trailer)?;
            rest = rest.get(..start)?;
            Some(GuidEntry { guid, data })
        })
    }

    /// Checks that the entries fill the table.
    ///
    /// # Errors
    /// [`Error::Length`] with the first entry, from the end, that does not fit.
    pub fn check(&self) -> Result<(), Error> {
        let used: usize = self.entries().map(|entry| entry.data.len() + TRAILER_BYTES).sum();
        match self.entries.len().checked_sub(used) {
            Some(0) => Ok(()),
            left => {
                let table = self.image.len() - TABLE_END_FROM_END - TRAILER_BYTES;
                let offset = table.saturating_sub(used);
                let length = left.unwrap_or_default() as u64;
                Err(Error::Length { what: "GUID table entry", offset, length })
            }
        }
    }

    /// Returns the data of an entry.
    #[must_use]
    pub fn get(&self, guid: Guid) -> Option<&'a [u8]> {
        self.entries().find(|entry| entry.guid == guid).map(|entry| entry.data)
    }

    /// Returns the sections that TDX measures and fills, if there are any.
    ///
    /// # Errors
    /// As [`TdxSections::at`].
    pub fn tdx(&self) -> Result<Option<TdxSections<'a>>, Error> {
        let Some(offset) = self.offset(Self::TDX_METADATA)? else { return Ok(None) };
        TdxSections::at(self.image, offset).map(Some)
    }

    /// Returns the sections that SEV-SNP validates before the start, if there are any.
    ///
    /// # Errors
    /// As [`SevSections::at`].
    pub fn sev(&self) -> Result<Option<SevSections<'a>>, Error> {
        let Some(offset) = self.offset(Self::SEV_METADATA)? else { return Ok(None) };
        SevSections::at(self.image, offset).map(Some)
    }

    /// Returns the offset that an entry gives as a distance from the end of the image.
    fn offset(&self, guid: Guid) -> Result<Option<usize>, Error> {
        let Some(data) = self.get(guid) else { return Ok(None) };
        let offset = self.image.len();
        let distance = u32_at(data, 0).ok_or(Error::Truncated { what: TABLE, offset })?;
        let distance_bytes = usize::try_from(distance).unwrap_or(usize::MAX);
        let length = distance.into();
        let wrong = Error::Length { what: "offset in the GUID table", offset, length };
        Ok(Some(offset.checked_sub(distance_bytes).ok_or(wrong)?))
    }
}
