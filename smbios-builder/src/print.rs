//! Tables as text, in the spirit of dmidecode.

use core::fmt;

use crate::spec::{Contents, fields};
use crate::{Structure, StructureType, Uuid, Version, structures_in};

/// A table to be printed. See [`print`].
#[derive(Clone, Copy, Debug)]
pub struct Printout<'a>(&'a [u8]);

/// Prints the structures of any bytes: each field with its name, unknown types in hexadecimal.
#[must_use]
pub fn print(table: &[u8]) -> Printout<'_> {
    Printout(table)
}

impl fmt::Display for Printout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for structure in structures_in(self.0) {
            match structure {
                Ok(structure) => write_structure(f, &structure)?,
                Err(error) => writeln!(f, "{error}")?,
            }
        }
        Ok(())
    }
}

fn write_structure(f: &mut fmt::Formatter<'_>, structure: &Structure<'_>) -> fmt::Result {
    let (kind, length) = (structure.kind(), structure.formatted().len());
    writeln!(f, "Handle {}, DMI type {}, {length} bytes", structure.handle(), kind.0)?;
    writeln!(f, "{}", kind.name().unwrap_or("Unknown Type"))?;
    let known = fields(kind);
    for &(offset, name, contents) in known {
        let Some(bytes) = structure.formatted().get(offset..offset + contents.size_bytes()) else {
            break;
        };
        write!(f, "\t{name}: ")?;
        write_contents(f, structure, contents, bytes)?;
        writeln!(f)?;
    }
    if known.is_empty() && kind != StructureType::END_OF_TABLE && kind != StructureType::OEM_STRINGS
    {
        write!(f, "\tHeader and Data:")?;
        for byte in structure.formatted() {
            write!(f, " {byte:02X}")?;
        }
        writeln!(f)?;
    }
    if known.is_empty() || kind == StructureType::LANGUAGE {
        for (number, text) in (1..).zip(structure.strings()) {
            writeln!(f, "\tString {number}: {}", text.escape_ascii())?;
        }
    }
    writeln!(f)
}

fn write_contents(
    f: &mut fmt::Formatter<'_>,
    structure: &Structure<'_>,
    contents: Contents,
    bytes: &[u8],
) -> fmt::Result {
    let number = bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let byte = bytes.first().copied().unwrap_or_default();
    match contents {
        Contents::Text if byte == 0 => f.write_str("Not Specified"),
        Contents::Text => match structure.string(byte) {
            Some(text) => write!(f, "{}", text.escape_ascii()),
            None => write!(f, "<no string {byte}>"),
        },
        Contents::Decimal(_) => write!(f, "{number}"),
        Contents::Named(name) | Contents::NamedFromZero(name) => match name(byte) {
            Some(name) => f.write_str(name),
            None => write!(f, "{byte:#04x}"),
        },
        Contents::Flags(_, write_names) => {
            write!(f, "{number:#x}")?;
            write_names(number, f)
        }
        Contents::OptionalTarget(_) if number >= 0xFFFE => f.write_str("Not Provided"),
        Contents::Uuid => {
            let bytes = bytes.try_into().unwrap_or_default();
            write!(f, "{}", Uuid(Uuid(bytes).swapped(Version::NEWEST)))
        }
        Contents::Hex(_)
        | Contents::Target(_)
        | Contents::OptionalTarget(_)
        | Contents::AnyTarget => write!(f, "{number:#x}"),
    }
}
