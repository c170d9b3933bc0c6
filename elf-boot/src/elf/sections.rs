//! Section headers: where notes may be, and what Multiboot passes on.

use alloc::vec::Vec;

use goblin::elf::header::Header;
use goblin::elf::section_header::{SHT_NOBITS, SHT_NULL, SectionHeader};

use super::{Elf, context};
use crate::Error;
use crate::file::{part, truncated};

/// More sections than any kernel has whose loader passes them on.
const MOST_SECTIONS: u16 = 4096;

/// The section headers as they stand in the file, and what is to be loaded besides the segments.
#[derive(Debug)]
pub(crate) struct SectionTable<'a> {
    /// The headers.
    pub(crate) bytes: &'a [u8],
    pub(crate) count: u16,
    pub(crate) entry_bytes: u16,
    /// Which section holds the sections' names.
    pub(crate) names_index: u16,
    /// Sections that have bytes and no address, by their index: symbols, strings.
    pub(crate) unloaded: Vec<(usize, Section<'a>)>,
}

/// A section with bytes in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    /// `sh_addralign`.
    pub(crate) alignment: u64,
    /// Where `sh_addr` is in the header, and how many bytes it has.
    pub(crate) address_field: (usize, usize),
}

impl<'a> Elf<'a> {
    /// Returns the section headers, or `None` if there are none.
    ///
    /// # Source
    /// Multiboot Specification, "Boot information format", `syms`: all sections are loaded, and
    /// the address fields of their headers then say where.
    pub(crate) fn section_table(&self) -> Result<Option<SectionTable<'a>>, Error> {
        let header = &self.header;
        let headers = parse_headers(self.bytes, header)?;
        if headers.is_empty() {
            return Ok(None);
        }
        let (count, entry_bytes) = (header.e_shnum, header.e_shentsize);
        if count > MOST_SECTIONS {
            return Err(Error::TooManySections { count, most: MOST_SECTIONS });
        }
        let size = u64::from(count) * u64::from(entry_bytes);
        let bytes = part(self.bytes, "section headers end", header.e_shoff, size)?;
        let address_field = if self.is_64bit() { (16, 8) } else { (12, 4) };
        let mut unloaded = Vec::new();
        for (index, one) in headers.iter().enumerate() {
            let has_bytes = !matches!(one.sh_type, SHT_NULL | SHT_NOBITS) && one.sh_size > 0;
            if has_bytes && one.sh_addr == 0 {
                let (offset, alignment) = (one.sh_offset, one.sh_addralign);
                let bytes = part(self.bytes, "section ends", offset, one.sh_size)?;
                unloaded.push((index, Section { offset, bytes, alignment, address_field }));
            }
        }
        let names_index = header.e_shstrndx;
        Ok(Some(SectionTable { bytes, count, entry_bytes, names_index, unloaded }))
    }
}

/// Reads the section headers; none where the header tells of none.
pub(super) fn parse_headers(bytes: &[u8], header: &Header) -> Result<Vec<SectionHeader>, Error> {
    let context = context(header);
    let expected = if context.container.is_big() { 64 } else { 40 };
    if header.e_shoff == 0 || header.e_shnum == 0 || header.e_shentsize != expected {
        return Ok(Vec::new());
    }
    let table_bytes = u64::from(header.e_shnum) * u64::from(expected);
    let table = part(bytes, "section headers end", header.e_shoff, table_bytes)?;
    SectionHeader::parse_from(table, 0, header.e_shnum.into(), context)
        .map_err(|_| truncated(bytes, "section headers end", header.e_shoff))
}
