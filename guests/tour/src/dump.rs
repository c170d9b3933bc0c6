//! The tables byte for byte, for a host that holds them against others.

use crate::Machine;
use crate::acpi::{self, Fadt, Root};
use crate::smbios::EntryPoint;
use crate::started::Started;

/// More tables than a machine has.
const MOST_TABLES: usize = 64;
/// Bytes on a line.
const LINE_BYTES: usize = 32;

/// Names and places of what is to be printed.
struct Places {
    places: [(&'static str, u64, usize); MOST_TABLES],
    count: usize,
}

impl Places {
    fn add(&mut self, name: &'static str, address: u64, size_bytes: usize) {
        if let Some(place) = self.places.get_mut(self.count) {
            *place = (name, address, size_bytes);
            self.count += 1;
        }
    }
}

/// Prints each table with its address: what the root pointer leads to, the SMBIOS entry point with its
/// structures, the MP table and `$PIR`. A table whose signature says nothing to the tour is called `table`.
pub(crate) fn tell_tables(started: &Started, machine: &mut impl Machine) {
    let mut found = Places { places: [("", 0, 0); MOST_TABLES], count: 0 };
    if let Some(root) = Root::find(machine, started.rsdp) {
        add_acpi(&root, machine, &mut found);
    }
    if let Some(entry) = EntryPoint::find(machine) {
        found.add("smbios_entry_point", entry.address, entry.size_bytes());
        if let Some(table) = entry.table {
            found.add("DMI", entry.table_address, table.len());
        }
    }
    add_mp(machine, &mut found);
    add_pir(machine, &mut found);
    for (name, address, size_bytes) in &found.places[..found.count] {
        let _ = writeln!(machine, "hvkit: table {name} at {address:#x}");
        for start in (0..*size_bytes).step_by(LINE_BYTES) {
            let size = LINE_BYTES.min(size_bytes - start);
            let mut line = [0; LINE_BYTES];
            // What was found is in memory, all of it.
            if let Some(bytes) = machine.memory(address + start as u64, size) {
                line[..size].copy_from_slice(bytes);
            }
            let _ = write!(machine, "hvkit: bytes ");
            for byte in &line[..size] {
                let _ = write!(machine, "{byte:02x}");
            }
            let _ = writeln!(machine);
        }
        let _ = writeln!(machine, "hvkit: end of table");
    }
}

fn add_acpi(root: &Root<'_>, machine: &impl Machine, found: &mut Places) {
    found.add("RSDP", root.address, if root.revision >= 2 { 36 } else { 20 });
    if let Some(table) = root.table {
        found.add(
            if root.revision >= 2 { "XSDT" } else { "RSDT" },
            table.address,
            table.bytes.len(),
        );
    }
    for address in root.addresses() {
        let Some(table) = acpi::table_at(machine, address) else { continue };
        let name = match table.signature() {
            "FACP" => "FACP",
            "APIC" => "APIC",
            "SRAT" => "SRAT",
            _ => "table",
        };
        found.add(name, address, table.bytes.len());
        if let Some(fadt) = (name == "FACP").then(|| Fadt::read(&table)).flatten() {
            for (name, address) in [("FACS", fadt.facs), ("DSDT", fadt.dsdt)] {
                if let Some(table) = acpi::table_at(machine, address) {
                    found.add(name, address, table.bytes.len());
                }
            }
        }
    }
}

/// # Source
/// MultiProcessor Specification 1.4 §4.1, "MP Floating Pointer Structure", and §4.2.
fn add_mp(machine: &impl Machine, found: &mut Places) {
    let is_whole = |bytes: &[u8]| acpi::sum(bytes) == 0;
    let Some(pointer) = find(machine, b"_MP_", 16, is_whole) else { return };
    found.add("_MP_", pointer, 16);
    let word = |at: u64, size: usize| {
        let bytes = machine.memory(at, size)?;
        Some(bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)))
    };
    if let Some(table) = word(pointer + 4, 4).filter(|table| *table != 0)
        && let Some(size) = word(table + 4, 2).and_then(|size| usize::try_from(size).ok())
    {
        found.add("PCMP", table, size);
    }
}

/// # Source
/// Microsoft, "PCI IRQ Routing Table Specification", version 1.0.
fn add_pir(machine: &impl Machine, found: &mut Places) {
    let Some(table) = find(machine, b"$PIR", 32, |_| true) else { return };
    if let Some(&[low, high]) = machine.memory(table + 6, 2) {
        found.add("$PIR", table, u16::from_le_bytes([low, high]).into());
    }
}

/// Finds what begins with `signature` on a boundary of 16 in the F-segment.
fn find(
    machine: &impl Machine,
    signature: &[u8],
    size_bytes: usize,
    is_whole: impl Fn(&[u8]) -> bool,
) -> Option<u64> {
    (0xF_0000..0x10_0000).step_by(16).find(|at| {
        let bytes = machine.memory(*at, size_bytes);
        bytes.is_some_and(|bytes| bytes.starts_with(signature) && is_whole(bytes))
    })
}
