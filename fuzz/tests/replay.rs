//! Replays the committed corpus, and bytes made up on the spot, through every fuzz body.

use std::fs;
use std::path::Path;

/// Runs `body` over each file of a corpus and says how many there were.
fn replay(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    for file in files {
        println!("{}", file.display());
        body(&fs::read(&file).unwrap());
    }
}

/// Bytes that look random and are the same every time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn edits_of_extended_page_tables() {
    replay("ept_edits", hvkit_fuzz::ept_edits);
    for seed in 0..300 {
        hvkit_fuzz::ept_edits(&noise(seed, 40 + usize::try_from(seed).unwrap() * 2));
    }
}

#[test]
fn acpi_tables() {
    replay("acpi_validate", hvkit_fuzz::acpi_validate);
    for seed in 0..2000 {
        hvkit_fuzz::acpi_validate(&noise(seed, 1 + usize::try_from(seed).unwrap() % 400));
    }
    // Edits that are meant for sound tables: one in each place, then many.
    for place in 0..1500_u16 {
        let [low, high] = place.to_le_bytes();
        for byte in [0, 1, 0x7F, 0xFF] {
            hvkit_fuzz::acpi_validate(&[0, low, high, byte, 0]);
        }
    }
}

#[test]
fn plans_of_pci_and_mtrrs() {
    replay("hvmloader_plans", hvkit_fuzz::hvmloader_plans);
    for seed in 0..2000 {
        hvkit_fuzz::hvmloader_plans(&noise(seed, 4 + usize::try_from(seed).unwrap() % 48));
    }
}
