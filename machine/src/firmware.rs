//! What firmware finds in its configuration device.

use acpi_builder::{Blob, TableSet};
use alloc::{vec, vec::Vec};
use boot_plan::MemoryMap;
use fw_cfg::{
    Allocation, Builder, ChecksumField, FileName, FwCfg, Key, LoaderFile, PointerField, Script,
    Zone,
};
use guest_state::MemoryKind;

use smbios_builder::FwCfgFiles;

use crate::{EfiKernel, Error, Tables};

const RSDP_FILE: &str = "etc/acpi/rsdp";
const TABLES_FILE: &str = "etc/acpi/tables";
const SCRIPT_FILE: &str = "etc/table-loader";
/// SeaBIOS offers every file of this folder as a floppy drive.
const FLOPPY_FILE: &str = "floppyimg/hvkit.img";

/// Fills the configuration device: CPUs, memory map, ACPI tables and the script that places
/// them, SMBIOS tables.
pub(crate) fn build_fw_cfg<'a>(
    memory: &MemoryMap,
    cpus: u32,
    tables: &Tables,
    boot: FirmwareBoot<'a>,
) -> Result<FwCfg<'a>, Error> {
    // RAM alone: what lies below 1 MiB the firmware knows better.
    let ram = memory.e820().filter(|entry| entry.kind.get() == MemoryKind::RAM.0);
    let mut builder = counted(cpus)?.e820(ram)?;
    for (name, contents) in tables.fw_cfg_files()? {
        builder = builder.file(name, contents)?;
    }
    Ok(offer(builder, boot)?.build())
}

/// Fills the configuration device of a machine whose hvmloader brings tables and memory map: what is
/// left is the floppy.
pub(crate) fn build_bare_fw_cfg(
    cpus: u32,
    floppy: Option<Vec<u8>>,
) -> Result<FwCfg<'static>, Error> {
    let boot = floppy.map_or(FirmwareBoot::Nothing, FirmwareBoot::Floppy);
    Ok(offer(counted(cpus)?, boot)?.build())
}

/// What firmware finds to boot.
pub(crate) enum FirmwareBoot<'a> {
    Nothing,
    /// For SeaBIOS.
    Floppy(Vec<u8>),
    /// For UEFI.
    Kernel(EfiKernel<'a>),
}

fn offer<'a>(builder: Builder<'a>, boot: FirmwareBoot<'a>) -> Result<Builder<'a>, Error> {
    let EfiKernel { kernel, initrd, command_line } = match boot {
        FirmwareBoot::Nothing => return Ok(builder),
        FirmwareBoot::Floppy(floppy) => return Ok(builder.file(FLOPPY_FILE, floppy)?),
        FirmwareBoot::Kernel(kernel) => kernel,
    };
    // The kernel is one file: the part that other loaders take for themselves is left empty.
    let text = [command_line, &[0]].concat();
    Ok(builder
        .number_u32(Key::KERNEL_SIZE, size(kernel)?)?
        .item(Key::KERNEL_DATA, kernel)?
        .number_u32(Key::INITRD_SIZE, size(initrd)?)?
        .item(Key::INITRD_DATA, initrd)?
        .number_u32(Key::CMDLINE_SIZE, size(&text)?)?
        .item(Key::CMDLINE_DATA, text)?)
}

fn size(bytes: &[u8]) -> Result<u32, Error> {
    u32::try_from(bytes.len()).map_err(|_| Error::TooLong { size_bytes: bytes.len() })
}

/// Begins with the number of CPUs.
fn counted<'a>(cpus: u32) -> Result<Builder<'a>, Error> {
    let cpus = u16::try_from(cpus).unwrap_or(u16::MAX);
    Ok(FwCfg::builder().number_u16(Key::NB_CPUS, cpus)?.number_u16(Key::MAX_CPUS, cpus)?)
}

/// The files from which firmware installs tables; see [`Tables::fw_cfg_files`].
pub(crate) fn table_files(
    Tables { acpi, smbios }: &Tables,
) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
    let script = Script::placing(&[
        loader_file(RSDP_FILE, acpi.rsdp(), Zone::F_SEGMENT, TableSet::RSDP_ALIGNMENT)?,
        loader_file(TABLES_FILE, acpi.tables(), Zone::HIGH, TableSet::ALIGNMENT)?,
    ]);
    let smbios = smbios.fw_cfg_files()?;
    Ok(vec![
        (RSDP_FILE, acpi.rsdp().bytes().to_vec()),
        (TABLES_FILE, acpi.tables().bytes().to_vec()),
        (SCRIPT_FILE, script.encode()),
        (FwCfgFiles::ANCHOR, smbios.anchor),
        (FwCfgFiles::TABLES, smbios.tables.to_vec()),
    ])
}

/// Says of a blob what the loader script must: both blobs' pointers lead into the tables.
fn loader_file(
    name: &str,
    blob: &Blob,
    zone: Zone,
    alignment: u64,
) -> Result<LoaderFile, fw_cfg::Error> {
    let target = FileName::new(TABLES_FILE)?;
    let pointers = blob.pointers().iter().map(|pointer| PointerField {
        offset: pointer.offset,
        width: match pointer.width {
            acpi_builder::PointerWidth::Bytes4 => fw_cfg::PointerWidth::Bytes4,
            acpi_builder::PointerWidth::Bytes8 => fw_cfg::PointerWidth::Bytes8,
        },
        target,
    });
    let checksums = blob.checksums().iter().map(|checksum| ChecksumField {
        offset: checksum.offset,
        start: checksum.start,
        size_bytes: checksum.size_bytes,
    });
    Ok(LoaderFile {
        allocation: Allocation {
            file: FileName::new(name)?,
            alignment: u32::try_from(alignment).unwrap_or(u32::MAX),
            zone,
        },
        pointers: pointers.collect(),
        checksums: checksums.collect(),
    })
}
