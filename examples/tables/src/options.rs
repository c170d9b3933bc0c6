//! The command line.

use std::path::PathBuf;

use guest_state::Gpa;
use lexopt::{Arg, Parser, ValueExt};

/// Where the ACPI tables lie if nobody says where.
const PLACE: Gpa = Gpa::new(0x10_0000);

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Prints the ACPI and SMBIOS tables that a guest finds on the machine of kvm-vmm and bare-metal.

Usage: tables [OPTIONS]
       tables --check FILE

Options:
  --cpus N        virtual CPUs; default: 1
  --memory SIZE   RAM, with K, M, G or T; default: 256M
  --at ADDRESS    where in memory the ACPI tables are to lie, in hexadecimal with 0x or decimal;
                  default: 0x100000
  --out DIR       write each table to a file in this folder, which is made if need be: *.dat for
                  iasl -d (all but rsdp.dat: iasl knows no root pointer), smbios.bin for
                  dmidecode --from-dump
  --check FILE    instead say what is wrong with the tables that a guest printed: the tour, or a
                  Linux with `cargo xtask initrd`, with the word hvkit.tables on its command line
  -h, --help      print this

Exit status: 0 done, 1 tables break a rule, 64 usage, 66 a file can't be read or has no tables,
73 a file can't be written.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) cpus: u32,
    pub(crate) memory_bytes: u64,
    pub(crate) place: Gpa,
    pub(crate) out: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Print(Options),
    Check(PathBuf),
}

/// Reads the command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Task, lexopt::Error> {
    let mut options = Options { cpus: 1, memory_bytes: 256 << 20, place: PLACE, out: None };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Task::Help),
            Arg::Long("check") => return Ok(Task::Check(parser.value()?.into())),
            Arg::Long("cpus") => options.cpus = parser.value()?.parse()?,
            Arg::Long("memory") => options.memory_bytes = parser.value()?.parse_with(parse_size)?,
            Arg::Long("at") => options.place = parser.value()?.parse_with(parse_address)?,
            Arg::Long("out") => options.out = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Task::Print(options))
}

/// Parses an address.
fn parse_address(text: &str) -> Result<Gpa, &'static str> {
    let number = match text.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
        _ => text.parse(),
    };
    number.map(Gpa::new).map_err(|_| "not an address such as 0x100000")
}

/// Parses a number of bytes with an optional unit.
fn parse_size(text: &str) -> Result<u64, &'static str> {
    let shift = match text.bytes().last() {
        Some(b'K' | b'k') => 10,
        Some(b'M' | b'm') => 20,
        Some(b'G' | b'g') => 30,
        Some(b'T' | b't') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { text.get(..text.len() - 1).unwrap_or_default() };
    let number = digits.parse::<u64>().ok();
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or("not a size such as 256M")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hexadecimal_or_decimal() {
        for (text, address) in [("0x7fe0000", 0x7FE_0000), ("4096", 4096), ("0x0", 0)] {
            assert_eq!(parse_address(text), Ok(Gpa::new(address)), "{text}");
        }
        for text in ["", "0x", "0x+1", "7fe0000", "-1", "0x10000000000000000"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("4096", 4096), ("1K", 1 << 10), ("2g", 2 << 30), ("3T", 3 << 40)] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "M", "-1", "1X", "99999999999T", "\u{fc}"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
