//! The bytes of every table, for a host that wants to hold them against others.

use core::fmt;

use crate::Machine;
use crate::acpi::{self, Fadt, Root};
use crate::smbios::EntryPoint;
use crate::started::Started;

/// The command-line word that asks for them.
pub(crate) const WORD: &str = "hvkit.bytes";

const MOST_TABLES: usize = 32;
const BYTES_IN_A_LINE: usize = 32;

/// Where a table is.
#[derive(Clone, Copy)]
struct Found {
    name: [u8; 5],
    address: u64,
    size_bytes: usize,
}

/// Tables in the order in which they were found.
struct List {
    found: [Option<Found>; MOST_TABLES],
    count: usize,
}

impl List {
    /// Adds a table, unless there are too many.
    fn add(&mut self, name: &[u8], address: u64, size_bytes: usize) {
        let mut found = Found { name: *b"     ", address, size_bytes };
        found.name.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        if let Some(slot) = self.found.get_mut(self.count) {
            *slot = Some(found);
            self.count += 1;
        }
    }
}

/// Prints the bytes of all ACPI and SMBIOS tables, of the MP table and of `$PIR`.
pub(crate) fn tell(started: &Started, machine: &mut impl Machine) {
    let mut list = List { found: [None; MOST_TABLES], count: 0 };
    find_acpi(started, machine, &mut list);
    if let Some(entry) = EntryPoint::find(machine) {
        list.add(entry.anchor.as_bytes(), entry.address, entry.size_bytes());
        list.add(b"_DMI_", entry.table_address, entry.table.map_or(0, <[u8]>::len));
    }
    find_mp(machine, &mut list);
    find_pir(machine, &mut list);
    for Found { name, address, size_bytes } in list.found.into_iter().flatten() {
        let name = core::str::from_utf8(&name).unwrap_or("????").trim_end();
        let _ = writeln!(machine, "bytes         {name} at {address:#x}, {size_bytes} bytes");
        for at in (0..size_bytes).step_by(BYTES_IN_A_LINE) {
            let size = BYTES_IN_A_LINE.min(size_bytes - at);
            let mut line = [0; BYTES_IN_A_LINE];
            if let Some(bytes) = machine.memory(address + at as u64, size) {
                line[..size].copy_from_slice(bytes);
            }
            let _ = writeln!(machine, "  {}", Hex(&line[..size]));
        }
    }
}

fn find_acpi(started: &Started, machine: &impl Machine, list: &mut List) {
    let Some(root) = Root::find(machine, started.rsdp) else { return };
    list.add(b"RSDP", root.address, if root.revision >= 2 { 36 } else { 20 });
    let mut add = |address| {
        let Some(table) = acpi::table_at(machine, address) else { return };
        list.add(table.signature().as_bytes(), address, table.bytes.len());
        if let Some(fadt) = (table.signature() == "FACP").then(|| Fadt::read(&table)).flatten() {
            for address in [fadt.facs, fadt.dsdt] {
                if let Some(table) = acpi::table_at(machine, address) {
                    list.add(table.signature().as_bytes(), address, table.bytes.len());
                }
            }
        }
    };
    if let Some(table) = root.table {
        add(table.address);
    }
    root.addresses().for_each(add);
}

/// # Source
/// MultiProcessor Specification 1.4 §4.1, "MP Floating Pointer Structure", and §4.2.
fn find_mp(machine: &impl Machine, list: &mut List) {
    let Some(pointer) = find(machine, b"_MP_", 16) else { return };
    list.add(b"_MP_", pointer, 16);
    let word = |at: u64, size: usize| {
        let bytes = machine.memory(at, size)?;
        Some(bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)))
    };
    if let Some(table) = word(pointer + 4, 4).filter(|table| *table != 0)
        && let Some(size) = word(table + 4, 2).and_then(|size| usize::try_from(size).ok())
    {
        list.add(b"PCMP", table, size);
    }
}

/// # Source
/// Microsoft, "PCI IRQ Routing Table Specification", version 1.0.
fn find_pir(machine: &impl Machine, list: &mut List) {
    let Some(table) = find(machine, b"$PIR", 32) else { return };
    if let Some(&[low, high]) = machine.memory(table + 6, 2) {
        list.add(b"$PIR", table, u16::from_le_bytes([low, high]).into());
    }
}

/// Finds what begins with `signature` on a boundary of 16 in the F-segment, of `size_bytes` bytes at
/// least, with a right checksum where that is all.
fn find(machine: &impl Machine, signature: &[u8], size_bytes: usize) -> Option<u64> {
    (0xF_0000..0x10_0000).step_by(16).find(|at| {
        machine.memory(*at, size_bytes).is_some_and(|bytes| {
            bytes.starts_with(signature) && (signature == b"$PIR" || acpi::sum(bytes) == 0)
        })
    })
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
