//! The tables that a Linux guest reads from its `/sys/firmware`, held against those that the example
//! `tables` writes for the same machine.
//!
//! Where they lie in the guest its own FADT says. The example puts its tables there too, so that
//! pointers and checksums are compared as all other bytes are. Only the SMBIOS entry point names a
//! place that the example does not choose.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The word on a guest's command line that asks for its tables.
pub(crate) const OPTION: &str = "hvkit.tables";

/// What the guest's user space puts before the name of a table, before lines of its bytes in
/// hexadecimal, and after the last of them.
pub(crate) const NAME_MARK: &str = "hvkit: table ";
/// See [`NAME_MARK`].
pub(crate) const BYTES_MARK: &str = "hvkit: bytes ";
/// See [`NAME_MARK`].
pub(crate) const END_MARK: &str = "hvkit: end of table";
/// What it puts before the number of its CPUs.
pub(crate) const CPUS_MARK: &str = "hvkit: cpus ";

/// The ACPI tables that Linux shows: its names, and the example's files.
const ACPI: [(&str, &str); 4] =
    [("APIC", "apic.dat"), ("DSDT", "dsdt.dat"), ("FACP", "facp.dat"), ("FACS", "facs.dat")];
/// The same for SMBIOS, whose two parts are one file.
const ENTRY_POINT: &str = "smbios_entry_point";
const SMBIOS: &str = "DMI";
const SMBIOS_DUMP: &str = "smbios.bin";
/// Where in such a file the structures begin.
const DUMP_TABLE_OFFSET: usize = 0x20;

/// Where the FADT says in 64 bits where the DSDT is.
///
/// # Source
/// ACPI Specification, "Fixed ACPI Description Table (FADT)", X_DSDT.
const X_DSDT: usize = 140;
/// Where the 64-bit entry point has its checksum, and the address of the structures.
///
/// # Source
/// DSP0134, "SMBIOS 3.0 (64-bit) Entry Point".
const ENTRY_CHECKSUM: usize = 5;
const ENTRY_ADDRESS: std::ops::Range<usize> = 16..24;

/// Where the example puts ACPI tables if it is not told.
const DEFAULT_PLACE: u64 = 0x10_0000;

/// The tables of a guest, by Linux's names.
type Tables = BTreeMap<String, Vec<u8>>;

/// Holds the tables in a guest's console output against those that `example` writes to a folder,
/// for a machine of so many CPUs, at an address. Returns what is wrong.
///
/// # Errors
/// When there is nothing to hold them against.
pub(crate) fn compare(
    console: &[u8],
    cpus: u32,
    mut example: impl FnMut(u32, u64) -> Result<PathBuf>,
) -> Result<Vec<String>> {
    let console = String::from_utf8_lossy(console);
    let mut faults = Vec::new();
    let online = console.lines().find_map(|line| line.trim_end().strip_prefix(CPUS_MARK));
    if online != Some(cpus.to_string().as_str()) {
        faults
            .push(format!("CPUs online: {}, and not {cpus}", online.unwrap_or("no word of them")));
    }
    let found = match read(&console) {
        Ok(found) => found,
        Err(error) => {
            faults.push(format!("{error:#}"));
            return Ok(faults);
        }
    };
    let folder = example(cpus, DEFAULT_PLACE)?;
    let expected = pointer(&file(&folder, "facp.dat")?).context("the FADT is short")?;
    let Some(place) = found.get("FACP").and_then(|fadt| pointer(fadt)) else {
        faults.push("the guest has no FADT with a DSDT".to_owned());
        return Ok(faults);
    };
    let folder = example(cpus, place.wrapping_sub(expected).wrapping_add(DEFAULT_PLACE))?;
    faults.extend(differences(&found, &folder)?);
    Ok(faults)
}

/// Compares all tables with the files of a folder.
fn differences(found: &Tables, folder: &Path) -> Result<Vec<String>> {
    let mut expected = Tables::new();
    for (name, written) in ACPI {
        expected.insert(name.to_owned(), file(folder, written)?);
    }
    let mut dump = file(folder, SMBIOS_DUMP)?;
    ensure!(dump.len() > DUMP_TABLE_OFFSET, "{SMBIOS_DUMP} is short");
    expected.insert(SMBIOS.to_owned(), dump.split_off(DUMP_TABLE_OFFSET));
    if let Some(entry) = found.get(ENTRY_POINT) {
        dump.truncate(entry.len().min(usize::from(dump[6])));
        relocate(&mut dump, entry);
    }
    expected.insert(ENTRY_POINT.to_owned(), dump);

    let mut faults = Vec::new();
    for (name, expected) in &expected {
        match found.get(name) {
            None => faults.push(format!("the guest has no {name}")),
            Some(bytes) if bytes != expected => {
                let at = bytes.iter().zip(expected).position(|(a, b)| a != b);
                let at = at.unwrap_or(bytes.len().min(expected.len()));
                faults.push(format!(
                    "{name} differs at {at:#x}: the guest has {}, ours is {}",
                    byte_of(bytes, at),
                    byte_of(expected, at)
                ));
            }
            Some(_) => {}
        }
    }
    let unknown = found.keys().filter(|name| !expected.contains_key(*name));
    faults.extend(unknown.map(|name| format!("the guest has {name}, and we have none")));
    Ok(faults)
}

fn byte_of(bytes: &[u8], at: usize) -> String {
    match bytes.get(at) {
        Some(byte) => format!("{byte:#04x}"),
        None => "at its end".to_owned(),
    }
}

/// Makes the entry point name the place that the guest's names, with the checksum that belongs to
/// it.
fn relocate(ours: &mut [u8], theirs: &[u8]) {
    if let (Some(to), Some(from)) = (ours.get_mut(ENTRY_ADDRESS), theirs.get(ENTRY_ADDRESS)) {
        to.copy_from_slice(from);
    }
    let sum = ours.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    if let Some(checksum) = ours.get_mut(ENTRY_CHECKSUM) {
        *checksum = checksum.wrapping_sub(sum);
    }
}

fn pointer(fadt: &[u8]) -> Option<u64> {
    fadt.get(X_DSDT..)?.first_chunk().copied().map(u64::from_le_bytes)
}

fn file(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    fs::read(&path).with_context(|| path.display().to_string())
}

/// Reads the tables out of console output.
fn read(console: &str) -> Result<Tables> {
    let mut tables = Tables::new();
    let mut open: Option<(String, Vec<u8>)> = None;
    for line in console.lines().map(str::trim_end) {
        if let Some(name) = line.strip_prefix(NAME_MARK) {
            ensure!(open.is_none(), "a table within a table: {name}");
            open = Some((name.to_owned(), Vec::new()));
        } else if let Some(digits) = line.strip_prefix(BYTES_MARK) {
            let (_, bytes) = open.as_mut().context("bytes of no table")?;
            for digits in digits.as_bytes().chunks(2) {
                let digits = str::from_utf8(digits)?;
                bytes.push(u8::from_str_radix(digits, 16).with_context(|| line.to_owned())?);
            }
        } else if line == END_MARK {
            let (name, bytes) = open.take().context("the end of no table")?;
            ensure!(tables.insert(name.clone(), bytes).is_none(), "two tables are called {name}");
        }
    }
    ensure!(open.is_none(), "a table without an end");
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the guest of these tests has the tables, and where their DSDT starts.
    const PLACE: u64 = 0x7FE_1000;
    const DSDT: u64 = 0x40;

    /// What stands for the example: few bytes, with what must follow the place.
    fn write(cpus: u32, place: u64) -> Result<PathBuf> {
        let folder =
            std::env::temp_dir().join(format!("hvkit-guest-tables-{}", std::process::id()));
        let folder = folder.join(format!("{:?}-{place:x}", std::thread::current().id()));
        fs::create_dir_all(&folder)?;
        let mut fadt = vec![0xFA; 244];
        fadt[X_DSDT..X_DSDT + 8].copy_from_slice(&(place + DSDT).to_le_bytes());
        let mut entry = *b"_SM3_\0\x18\x03\x07\0\x01\0\0\x01\0\0\x20\0\0\0\0\0\0\0________";
        entry[24..].fill(0);
        relocate(&mut entry[..24], &[0; 0]);
        let files: [(&str, &[u8]); 5] = [
            ("apic.dat", &[u8::try_from(cpus)?; 44]),
            ("dsdt.dat", b"DSDT of some length"),
            ("facp.dat", &fadt),
            ("facs.dat", &[0xFC; 64]),
            ("smbios.bin", &[&entry[..], b"structures"].concat()),
        ];
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes)?;
        }
        Ok(folder)
    }

    /// What the guest's user space prints of such tables, with one changed.
    fn console(change: impl Fn(&str, &mut Vec<u8>)) -> String {
        let folder = write(4, PLACE).unwrap();
        let dump = fs::read(folder.join(SMBIOS_DUMP)).unwrap();
        let mut entry = dump[..0x18].to_vec();
        // Its place is one of its own.
        let mut theirs = vec![0; 24];
        theirs[ENTRY_ADDRESS].copy_from_slice(&0x7FE_2000_u64.to_le_bytes());
        relocate(&mut entry, &theirs);
        let acpi = ACPI.map(|(name, written)| (name, fs::read(folder.join(written)).unwrap()));
        let smbios = [(SMBIOS, dump[DUMP_TABLE_OFFSET..].to_vec()), (ENTRY_POINT, entry)];
        let mut text = format!("[    1.0] Linux\r\n{CPUS_MARK}4\r\n");
        for (name, mut bytes) in acpi.into_iter().chain(smbios) {
            change(name, &mut bytes);
            text += &format!("{NAME_MARK}{name}\r\n");
            for line in bytes.chunks(30) {
                let digits: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
                text += &format!("{BYTES_MARK}{digits}\r\n");
            }
            text += &format!("{END_MARK}\r\n");
        }
        text
    }

    fn faults(console: &str) -> Vec<String> {
        compare(console.as_bytes(), 4, write).unwrap()
    }

    #[test]
    fn tables_that_differ_in_their_place_alone_are_the_same() {
        assert_eq!(faults(&console(|_, _| {})), [""; 0]);
    }

    #[test]
    fn any_other_byte_of_any_table_is_a_difference() {
        let names = ACPI.map(|(name, _)| name).into_iter().chain([SMBIOS, ENTRY_POINT]);
        for broken in names {
            let faults = faults(&console(|name, bytes| {
                if name == broken {
                    bytes[9] ^= 0x10;
                }
            }));
            assert_eq!(faults.len(), 1, "{broken}: {faults:?}");
            assert!(faults[0].starts_with(&format!("{broken} differs at ")), "{faults:?}");
        }
    }

    #[test]
    fn a_wrong_checksum_of_an_entry_point_and_a_pointer_that_leads_elsewhere_are_differences() {
        let wrong = |table: &str, at: usize| {
            faults(&console(|name, bytes| {
                if name == table {
                    bytes[at] ^= 1;
                }
            }))
        };
        assert_eq!(wrong(ENTRY_POINT, ENTRY_CHECKSUM).len(), 1);
        assert_eq!(wrong(ENTRY_POINT, ENTRY_ADDRESS.start).len(), 1, "without its checksum");
        let shorter =
            faults(&console(|name, bytes| bytes.truncate(if name == "DSDT" { 9 } else { 999 })));
        assert_eq!(shorter.len(), 1, "{shorter:?}");
    }

    #[test]
    fn tables_too_few_or_too_many_and_missing_cpus_are_faults() {
        let good = console(|_, _| {});
        let without = good.replace("table APIC", "table XXXX");
        let expected = ["the guest has no APIC", "the guest has XXXX, and we have none"];
        assert_eq!(faults(&without), expected);
        let one = good.replace("cpus 4", "cpus 1");
        assert_eq!(faults(&one), ["CPUs online: 1, and not 4"]);
        for cut in ["hvkit: cpus 4\r\n", "hvkit: cpus 4\r\nhvkit: table DSDT\r\n", ""] {
            assert_ne!(faults(cut), [""; 0], "{cut}");
        }
    }
}
