//! Writes the tables of a small machine to a file for `dmidecode --from-dump`, and prints them.

use guest_state::{Gpa, GpaRange};
use smbios_builder::{Platform, print, validate_table};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let memory = GpaRange::new(Gpa::ZERO, 2 << 30).ok_or("memory")?;
    let tables = Platform::new(4).memory(memory).serial("VM-0042").build()?;
    assert!(validate_table(tables.table()).is_empty());
    if let Some(file) = std::env::args_os().nth(1) {
        std::fs::write(file, tables.dump()?)?;
    }
    print!("{}", print(tables.table()));
    Ok(())
}
