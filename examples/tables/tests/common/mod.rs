//! What the tests of both hosts share.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::{env, fs};

use boot_plan::MemoryMap;
use fw_cfg::{FwCfg, LoadedFiles, Script, Zone};
use guest_state::Gpa;
use machine::Tables;
use tables::Dump;

pub(crate) const CPUS: u32 = 4;
pub(crate) const MEMORY_BYTES: usize = 128 << 20;

/// The tables of the machine that the tests describe.
pub(crate) fn tables() -> Tables {
    Tables::new(CPUS, &MemoryMap::pc(MEMORY_BYTES as u64).unwrap()).unwrap()
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("hvkit-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name.replace('/', "-"));
        fs::write(&path, bytes).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What our interpreter makes of the files at the places that SeaBIOS chose.
pub(crate) fn interpret(files: &[(&str, Vec<u8>)], rsdp: usize, tables: usize) -> LoadedFiles {
    let mut device = FwCfg::builder();
    for (name, bytes) in files {
        device = device.file(name, bytes).unwrap();
    }
    let device = device.build();
    let script = Script::decode(device.file("etc/table-loader").unwrap()).unwrap();
    let place = |zone| Gpa::new(if zone == Zone::F_SEGMENT { rsdp } else { tables } as u64);
    script.run(&device, |allocation, _| Some(place(allocation.zone))).unwrap()
}

/// Where a table starts among ours.
pub(crate) fn offset_of(tables: &Tables, name: &str) -> u64 {
    let mut entries = tables.acpi.entries().iter();
    entries.find(|entry| entry.signature.to_string() == name).unwrap().offset.into()
}

/// Holds the tables that firmware installed, as a guest printed them, against those that our
/// interpreter makes of the same files for the places that the firmware chose.
pub(crate) fn assert_installed(tables: &Tables, dump: &Dump) {
    let files = tables.fw_cfg_files().unwrap();
    let gpa = |name| dump.table(name).unwrap().gpa.unwrap().as_u64();
    let start = gpa("XSDT") - offset_of(tables, "XSDT");
    let loaded = interpret(&files, gpa("RSDP").try_into().unwrap(), start.try_into().unwrap());
    let mut compared = 0;
    for table in &dump.tables {
        let at = table.gpa.unwrap().as_u64();
        let of_ours = |file: &&fw_cfg::LoadedFile| {
            (file.gpa.as_u64()..file.gpa.as_u64() + file.bytes.len() as u64).contains(&at)
        };
        let Some(file) = loaded.files.iter().find(of_ours) else { continue };
        let from = usize::try_from(at - file.gpa.as_u64()).unwrap();
        let expected = &file.bytes[from..from + table.bytes.len()];
        assert_eq!(table.bytes, expected, "{} at {at:#x}", table.name);
        compared += 1;
    }
    // All tables, and the root pointer.
    assert_eq!(compared, tables.acpi.entries().len() + 1);

    // SMBIOS: the structures as they are; the entry point but for its checksum and its address.
    let structures = dump.table("DMI").unwrap();
    assert_eq!(structures.bytes, tables.smbios.table());
    let (_, ours) = files.iter().find(|(name, _)| name.ends_with("smbios-anchor")).unwrap();
    let theirs = &dump.table("smbios_entry_point").unwrap().bytes;
    assert_eq!((&theirs[..5], &theirs[6..16]), (&ours[..5], &ours[6..16]));
    assert_eq!(theirs[16..24], structures.gpa.unwrap().as_u64().to_le_bytes());
    assert_eq!(theirs.len(), ours.len());
    // The checksum too, and all else that there are rules for.
    assert_eq!(dump.findings(), [""; 0]);
}
