//! The tables that a guest found, out of what it printed, and what is wrong with them.

use std::fmt::Display;

use acpi_builder::Validator;
use guest_state::{Gpa, GpaRange};

/// What a guest prints before the name of a table and its address, before lines of its bytes in
/// hexadecimal, and after the last of them.
const NAME_MARK: &str = "hvkit: table ";
const BYTES_MARK: &str = "hvkit: bytes ";
const END_MARK: &str = "hvkit: end of table";
/// The parts of SMBIOS, by Linux' names.
const ENTRY_POINT: &str = "smbios_entry_point";
const SMBIOS: &str = "DMI";

/// A table of a guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// What the guest calls it.
    pub name: String,
    /// Where it lies, if the guest knows.
    pub gpa: Option<Gpa>,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What a guest printed of its tables, and of its memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The tables, in the order in which it printed them.
    pub tables: Vec<Table>,
    ram: Vec<GpaRange>,
}

/// Why a dump can't be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// A table starts, or bytes or an end stand, where they can't.
    #[error("line {line}: this belongs to no table, or a table before it has no end")]
    Order {
        /// The line, from 1.
        line: usize,
    },
    /// What follows a mark is no bytes, and no address.
    #[error("line {line}: not hexadecimal")]
    Digits {
        /// The line, from 1.
        line: usize,
    },
    /// There is no table, or the last has no end.
    #[error("no table, or one without an end")]
    End,
}

impl Dump {
    /// Reads the console of the tour, or of a Linux with the user space of the rigs, that was asked
    /// for its tables by the word `hvkit.tables`.
    ///
    /// # Errors
    /// [`DumpError`] for what a guest can't have printed, and if it printed no tables.
    pub fn read(console: &str) -> Result<Self, DumpError> {
        let mut dump = Self::default();
        let mut open: Option<Table> = None;
        for (line, text) in (1..).zip(console.lines().map(str::trim_end)) {
            if let Some(name) = text.strip_prefix(NAME_MARK) {
                let (name, gpa) = match name.split_once(" at ") {
                    Some((name, gpa)) => {
                        (name, Some(number(gpa).ok_or(DumpError::Digits { line })?))
                    }
                    None => (name, None),
                };
                let table = Table { name: name.to_owned(), gpa: gpa.map(Gpa::new), bytes: vec![] };
                if open.replace(table).is_some() {
                    return Err(DumpError::Order { line });
                }
            } else if let Some(digits) = text.strip_prefix(BYTES_MARK) {
                let table = open.as_mut().ok_or(DumpError::Order { line })?;
                let pairs = digits.as_bytes().chunks(2).map(|pair| {
                    let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                    u8::from_str_radix(pair, 16).ok()
                });
                let bytes = pairs.collect::<Option<Vec<_>>>().ok_or(DumpError::Digits { line })?;
                table.bytes.extend(bytes);
            } else if text == END_MARK {
                dump.tables.push(open.take().ok_or(DumpError::Order { line })?);
            } else {
                dump.ram.extend(ram(text));
            }
        }
        if open.is_some() || dump.tables.is_empty() { Err(DumpError::End) } else { Ok(dump) }
    }

    /// Returns the first table of this name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Returns what is wrong with the tables, a line for each finding.
    ///
    /// They are held against the guest's memory map, and they may have no operation regions, which
    /// tables of ours have not.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut validator = Validator::new().allow([]);
        for range in &self.ram {
            validator = validator.ram(*range);
        }
        let is_smbios = |table: &&Table| [SMBIOS, ENTRY_POINT].contains(&table.name.as_str());
        let acpi: Vec<_> = self.tables.iter().filter(|table| !is_smbios(table)).collect();
        let found = match self.table("RSDP").and_then(|rsdp| rsdp.gpa) {
            Some(rsdp) => {
                for table in &acpi {
                    if let Some(gpa) = table.gpa {
                        validator = validator.memory(gpa, &table.bytes);
                    }
                }
                validator.validate(rsdp)
            }
            // Linux shows tables without their addresses, and without what led to them.
            None => {
                let with_header = acpi.iter().filter(|table| table.name != "FACS");
                let bytes: Vec<_> = with_header.map(|table| table.bytes.as_slice()).collect();
                validator.validate_tables(&bytes)
            }
        };
        let mut lines = lines(found);
        let smbios = self.table(SMBIOS).map_or(&[][..], |table| &table.bytes);
        lines.extend(self::lines(match self.table(ENTRY_POINT) {
            Some(entry) => smbios_builder::validate(&entry.bytes, smbios),
            None => smbios_builder::validate_table(smbios),
        }));
        lines
    }
}

fn lines(findings: Vec<impl Display>) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// Reads a line about RAM: the tour's, or that of Linux' log.
fn ram(line: &str) -> Option<GpaRange> {
    let (first, end) = match line.split_once("BIOS-e820: [mem ") {
        Some((_, range)) => {
            let (first, last) = range.strip_suffix("] usable")?.split_once('-')?;
            (number(first)?, number(last)?.checked_add(1)?)
        }
        None => {
            let (first, end) = line.strip_suffix("  usable")?.trim().split_once(" .. ")?;
            (number(first)?, number(end)?)
        }
    };
    GpaRange::new(Gpa::new(first), end.checked_sub(first)?)
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "hvkit: table X at 0x10\nhvkit: bytes 0102\nhvkit: bytes ff\n\
                         hvkit: end of table\n";

    #[test]
    fn tables_and_ram_come_out_of_both_guests_consoles() {
        let linux = "[    0.0] BIOS-e820: [mem 0x0000000000100000-0x0000000007fdffff] usable\r\n\
                     [    0.0] BIOS-e820: [mem 0x0000000007fe0000-0x0000000007ffffff] ACPI NVS\r\n";
        let tour = "memory map\n  0x000000100000 .. 0x000007fe0000  usable\n  \
                    0x000007fe0000 .. 0x000008000000  ACPI NVS\n";
        let ram = GpaRange::from_bounds(Gpa::new(0x10_0000), Gpa::new(0x7FE_0000)).unwrap();
        for console in [linux, tour] {
            let dump = Dump::read(&format!("{console}{TABLE}")).unwrap();
            assert_eq!(dump.ram, [ram]);
            let table =
                Table { name: "X".to_owned(), gpa: Some(Gpa::new(0x10)), bytes: vec![1, 2, 255] };
            assert_eq!(dump.tables, [table]);
        }
        let without = Dump::read(&TABLE.replace(" at 0x10", "")).unwrap();
        assert_eq!(without.table("X").map(|table| table.gpa), Some(None));
    }

    #[test]
    fn what_is_no_dump_is_an_error() {
        for (console, error) in [
            ("", DumpError::End),
            ("hvkit: table X", DumpError::End),
            ("hvkit: table X\nhvkit: table Y", DumpError::Order { line: 2 }),
            ("hvkit: bytes 00", DumpError::Order { line: 1 }),
            ("\nhvkit: end of table", DumpError::Order { line: 2 }),
            ("hvkit: table X at 16", DumpError::Digits { line: 1 }),
            ("hvkit: table X\nhvkit: bytes 000", DumpError::Digits { line: 2 }),
            ("hvkit: table X\nhvkit: bytes 0\u{fc}", DumpError::Digits { line: 2 }),
        ] {
            assert_eq!(Dump::read(console), Err(error), "{console}");
        }
    }

    #[test]
    fn tables_that_are_no_tables_are_findings() {
        assert_ne!(Dump::read(TABLE).unwrap().findings(), [""; 0]);
    }
}
