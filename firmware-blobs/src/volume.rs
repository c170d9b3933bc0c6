//! Firmware volumes, and the files in them.

use crate::bytes::{array, end, u16_at, u24_at, u32_at, u64_at};
use crate::{Error, Guid};

const SIGNATURE_OFFSET: usize = 40;
const SIGNATURE: &[u8; 4] = b"_FVH";
const FILE_HEADER_BYTES: usize = 24;
/// A file whose size does not fit in three bytes has it behind its header.
const LARGE_FILE: u8 = 1 << 0;
const LARGE_FILE_HEADER_BYTES: usize = 32;
const VOLUME: &str = "firmware volume";

/// A firmware volume.
///
/// # Source
/// UEFI Platform Initialization Specification, Vol. 3, "Firmware Volume Header".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume<'a> {
    /// Where it begins in the image.
    pub offset: usize,
    /// What its contents are formatted as.
    pub file_system: Guid,
    /// All its bytes, the header first.
    pub bytes: &'a [u8],
    header_bytes: usize,
}

impl<'a> Volume<'a> {
    /// The format of a volume that holds variables.
    pub const NV_DATA: Guid = Guid::new(0xFFF1_2B8D_7696_4C8B_A985_2747_075B_4F50);
    /// Formats of a volume that holds files.
    const FILE_SYSTEMS: [Guid; 2] = [
        Guid::new(0x8C8C_E578_8A3D_4F1C_9935_8961_85C3_2DD3),
        Guid::new(0x5473_C07A_3DCB_4DCA_BD6F_1E96_89E7_349A),
    ];

    /// Tells whether a volume begins at `offset`.
    pub(crate) fn begins_at(image: &[u8], offset: usize) -> bool {
        let signature = offset.checked_add(SIGNATURE_OFFSET).and_then(|at| array(image, at));
        signature.as_ref() == Some(SIGNATURE)
    }

    /// Reads the volume at `offset`.
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::Truncated`], [`Error::Length`], [`Error::Checksum`].
    pub fn at(image: &'a [u8], offset: usize) -> Result<Self, Error> {
        if !Self::begins_at(image, offset) {
            return Err(Error::Signature { what: VOLUME, offset });
        }
        let truncated = Error::Truncated { what: VOLUME, offset };
        let rest = image.get(offset..).ok_or(truncated)?;
        let length = u64_at(rest, 32).ok_or(truncated)?;
        let header_bytes = usize::from(u16_at(rest, 48).ok_or(truncated)?);
        let bytes = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let bytes = bytes.ok_or(truncated)?;
        let header = bytes.get(..header_bytes).filter(|header| header.len() > SIGNATURE_OFFSET);
        let header = header.ok_or(Error::Length { what: VOLUME, offset, length })?;
        let (words, _) = header.as_chunks::<2>();
        let sum = words.iter().fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)));
        if sum != 0 {
            return Err(Error::Checksum { what: VOLUME, offset, sum });
        }
        let file_system = array(rest, 16).map(Guid).ok_or(truncated)?;
        Ok(Self { offset, file_system, bytes, header_bytes })
    }

    /// Returns the files, if it holds any.
    #[must_use]
    pub fn files(&self) -> FfsFiles<'a> {
        let holds_files = Self::FILE_SYSTEMS.contains(&self.file_system);
        let next = if holds_files { self.header_bytes } else { self.bytes.len() };
        FfsFiles { volume: self.bytes, next }
    }
}

/// The volumes of an image, one behind the other, until something else comes.
#[derive(Clone, Debug)]
pub struct Volumes<'a> {
    image: &'a [u8],
    next: usize,
}

impl<'a> Volumes<'a> {
    /// Begins at the image's first byte.
    #[must_use]
    pub const fn new(image: &'a [u8]) -> Self {
        Self { image, next: 0 }
    }
}

impl<'a> Iterator for Volumes<'a> {
    type Item = Volume<'a>;

    fn next(&mut self) -> Option<Volume<'a>> {
        let volume = Volume::at(self.image, self.next).ok()?;
        // Its length is that of its bytes, which are not none: the header is among them.
        self.next = self.next.checked_add(volume.bytes.len())?;
        Some(volume)
    }
}

/// A file of a firmware volume.
///
/// # Source
/// UEFI Platform Initialization Specification, Vol. 3, "Firmware File Header".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfsFile<'a> {
    /// Its name.
    pub name: Guid,
    /// What it is: 3 for the security core, which runs first.
    pub file_type: u8,
    /// What it holds.
    pub contents: &'a [u8],
}

impl FfsFile<'_> {
    /// The type of the security core.
    pub const SECURITY_CORE: u8 = 3;

    /// Returns the machine of the first executable among the sections, as PE headers number it:
    /// 14Ch for IA-32, 8664h for x64.
    #[must_use]
    pub fn machine(&self) -> Option<u16> {
        const PE32: u8 = 0x10;
        const TE: u8 = 0x12;
        const SECTION_HEADER_BYTES: usize = 4;
        let mut offset = 0;
        loop {
            let size_bytes = u24_at(self.contents, offset)?;
            let kind = *self.contents.get(offset.checked_add(3)?)?;
            let body = self.contents.get(offset..end(offset, size_bytes)?)?;
            let body = body.get(SECTION_HEADER_BYTES..)?;
            match kind {
                TE if body.starts_with(b"VZ") => return u16_at(body, 2),
                PE32 => {
                    let header = usize::try_from(u32_at(body, 0x3C)?).ok()?;
                    let signature: [u8; 4] = array(body, header)?;
                    return (signature == *b"PE\0\0")
                        .then(|| u16_at(body, header.checked_add(4)?))?;
                }
                _ => {}
            }
            // Sections are aligned to 4 bytes. One without a byte would never end.
            offset = end(offset, size_bytes.max(1))?.checked_next_multiple_of(4)?;
        }
    }
}

/// The files of a volume, until one is not as it should be.
#[derive(Clone, Debug)]
pub struct FfsFiles<'a> {
    volume: &'a [u8],
    next: usize,
}

impl<'a> Iterator for FfsFiles<'a> {
    type Item = FfsFile<'a>;

    fn next(&mut self) -> Option<FfsFile<'a>> {
        // Files are aligned to 8 bytes.
        let offset = self.next.checked_next_multiple_of(8)?;
        let header = self.volume.get(offset..)?;
        let [file_type, attributes] = array(header, 18)?;
        let (header_bytes, size_bytes) = match attributes & LARGE_FILE {
            0 => (FILE_HEADER_BYTES, usize::try_from(u24_at(header, 20)?).ok()?),
            _ => (LARGE_FILE_HEADER_BYTES, usize::try_from(u64_at(header, 24)?).ok()?),
        };
        // Behind the last one there are FFh bytes, whose size is out of the volume.
        let contents = header.get(header_bytes..size_bytes)?;
        self.next = offset.checked_add(size_bytes)?;
        Some(FfsFile { name: Guid(array(header, 0)?), file_type, contents })
    }
}
