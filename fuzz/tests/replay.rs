//! Replays the committed corpus, and bytes made up on the spot, through every fuzz body.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of a corpus.
fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    files
}

/// Runs `body` over each file of a corpus.
fn replay(target: &str, body: impl Fn(&[u8])) {
    for file in files(target) {
        println!("{}", file.display());
        body(&fs::read(&file).unwrap());
    }
}

/// How many changed copies of a file are worth their time: those that a fuzzer found are near each
/// other already.
fn copies(file: &Path, most: u64) -> u64 {
    let found_by_fuzzer = file.file_name().unwrap().len() == 40;
    if found_by_fuzzer { most / 40 } else { most }
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
fn kernel_images() {
    let targets = [
        ("elf", hvkit_fuzz::elf as fn(&[u8])),
        ("notes", hvkit_fuzz::notes),
        ("bzimage", hvkit_fuzz::bzimage),
        ("multiboot", hvkit_fuzz::multiboot),
    ];
    for (name, body) in targets {
        for path in files(name) {
            println!("{}", path.display());
            let file = fs::read(&path).unwrap();
            body(&file);
            // And what is near: cut short, and with one byte after the other changed.
            for seed in 0..copies(&path, 400) {
                let mut near = file.clone();
                for (at, value) in noise(seed, 6).chunks(2).zip(noise(seed + 1000, 3)) {
                    let at = usize::from(at[0]) << 8 | usize::from(at[1]);
                    let length = near.len().max(1);
                    if let Some(byte) = near.get_mut(at % length) {
                        *byte = value;
                    }
                }
                if seed % 8 == 0 {
                    near.truncate(near.len() * usize::try_from(seed).unwrap() / 400);
                }
                body(&near);
            }
        }
        for seed in 0..100 {
            body(&noise(seed, usize::try_from(seed).unwrap() * 9));
        }
    }
}

#[test]
fn exits() {
    replay("exits", hvkit_fuzz::exits);
    for seed in 0..2000 {
        hvkit_fuzz::exits(&noise(seed, 20 + usize::try_from(seed % 200).unwrap()));
    }
}

/// Texts in which a byte was changed here and there, and noise.
fn damaged(target: &str, body: impl Fn(&[u8])) {
    replay(target, &body);
    for file in files(target) {
        let text = fs::read(&file).unwrap();
        for seed in 0..copies(&file, 200) {
            let mut text = text.clone();
            for pair in noise(seed, 12).chunks_exact(3) {
                let place = usize::from(pair[0]) << 8 | usize::from(pair[1]);
                if let Some(letter) = text.get_mut(place) {
                    *letter = pair[2];
                }
            }
            body(&text);
        }
    }
    for seed in 0..200 {
        body(&noise(seed, 200));
    }
}

#[test]
fn dumps() {
    damaged("dumps", hvkit_fuzz::dumps);
}

#[test]
fn capabilities() {
    damaged("capabilities", hvkit_fuzz::capabilities);
}

#[test]
fn smbios_tables() {
    replay("smbios_parse", hvkit_fuzz::smbios_parse);
    for seed in 0..2000 {
        hvkit_fuzz::smbios_parse(&noise(seed, 1 + usize::try_from(seed).unwrap() % 400));
    }
    // Edits that are meant for sound tables: one in each place.
    for place in 0..1200_u16 {
        let [low, high] = place.to_le_bytes();
        for byte in [0, 5, 0xFF] {
            hvkit_fuzz::smbios_parse(&[2, low, high, byte]);
        }
    }
}

#[test]
fn loader_scripts() {
    replay("table_loader", hvkit_fuzz::table_loader);
    for seed in 0..20_000 {
        let mut bytes = noise(seed, 1 + 12 * (usize::try_from(seed).unwrap() % 8));
        hvkit_fuzz::table_loader(&bytes);
        // Commands on two files that are there.
        let loads = [1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2];
        bytes[0] |= 1;
        bytes.splice(1..1, loads);
        // Small numbers, so that most lie within the files.
        for short in bytes[25..].chunks_exact_mut(12) {
            (short[1], short[2]) = (2 + short[1] % 2, 2 + short[2] % 2);
            (short[3], short[4], short[6], short[8]) = (short[3] % 64, 0, 0, 0);
            (short[5], short[7]) = (short[5] % 64, short[7] % 64);
        }
        hvkit_fuzz::table_loader(&bytes);
    }
}

#[test]
fn plans_of_pci_and_mtrrs() {
    replay("hvmloader_plans", hvkit_fuzz::hvmloader_plans);
    for seed in 0..2000 {
        hvkit_fuzz::hvmloader_plans(&noise(seed, 4 + usize::try_from(seed).unwrap() % 48));
    }
}

#[test]
fn option_roms() {
    replay("option_rom", hvkit_fuzz::option_rom);
    for seed in 0..2000 {
        let mut file = noise(seed, 1 + usize::try_from(seed).unwrap());
        file[0] |= 1;
        // One image of 512 or 1,024 bytes, and sometimes one behind it.
        if let Some([blocks, ..]) = file.get_mut(3..) {
            *blocks = 1 + *blocks % 2;
        }
        if let Some(next) = file.get_mut(1 + 512..1 + 514) {
            next.copy_from_slice(b"\x55\xAA");
        }
        hvkit_fuzz::option_rom(&file);
    }
}

#[test]
fn guid_tables() {
    replay("guid_table", hvkit_fuzz::guid_table);
    for seed in 0..4000 {
        let mut bytes = noise(seed, 1 + usize::try_from(seed).unwrap() % 400);
        hvkit_fuzz::guid_table(&bytes);
        // With descriptors, and entries of GUIDs that are known.
        bytes[0] = bytes[0] & !3 | 28;
        for kind in bytes.iter_mut().skip(2).step_by(3) {
            *kind %= 8;
        }
        hvkit_fuzz::guid_table(&bytes);
    }
}

#[test]
fn accesses_to_the_configuration_device() {
    replay("fw_cfg_dma", hvkit_fuzz::fw_cfg_dma);
    for seed in 0..4000 {
        hvkit_fuzz::fw_cfg_dma(&noise(seed, usize::try_from(seed).unwrap() % 500));
    }
}

#[test]
fn virtqueues() {
    replay("virtio_queue", hvkit_fuzz::virtio_queue);
    for seed in 0..4000 {
        hvkit_fuzz::virtio_queue(&noise(seed, usize::try_from(seed).unwrap() % 600));
    }
}

#[test]
fn cycles_to_flash() {
    replay("flash", hvkit_fuzz::flash);
    const COMMANDS: [u8; 16] =
        [0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xD0, 0xD0, 0xE8, 0xE8, 0xFF, 0, 1, 2];
    for seed in 0..4000 {
        let mut bytes = noise(seed, 1 + usize::try_from(seed).unwrap() % 300);
        hvkit_fuzz::flash(&bytes);
        // With commands, most of them in one block.
        for value in bytes.iter_mut().skip(2).step_by(3) {
            *value = COMMANDS[usize::from(*value % 16)];
        }
        for place in bytes.iter_mut().skip(1).step_by(3).filter(|place| **place & 0x70 != 0) {
            *place &= 15;
        }
        hvkit_fuzz::flash(&bytes);
    }
}

#[test]
fn every_target_has_a_program_a_corpus_and_a_bug_to_plant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in hvkit_fuzz::TARGETS {
        let name = target.name;
        for file in [format!("fuzz_targets/{name}.rs"), format!("planted/{name}.patch")] {
            assert!(root.join(&file).is_file(), "there is no {file}");
        }
        for about in target.about {
            assert!(root.join("..").join(about).exists(), "{name}: there is no {about}");
        }
        assert!(!files(name).is_empty());
    }
    let programs = fs::read_dir(root.join("fuzz_targets")).unwrap().count();
    assert_eq!(programs, hvkit_fuzz::TARGETS.len());
}
