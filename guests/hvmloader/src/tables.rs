//! The tables that a BIOS on Xen is given: ACPI, SMBIOS, MP table and `$PIR`.

use alloc::vec::Vec;
use boot_plan::{Layout, MemoryMap, Request};
use guest_state::{Gpa, GpaRange, GuestMemory, MemoryKind};
use hvmloader_core::{
    MpIoApic, MpProcessor, MpTable, PciFunction, PirSlot, PirTable, PirqRouting, XenInfo,
    XenInfoReader, XenMap,
};
use machine::Tables;

use crate::inventory::{Brought, Found};
use crate::{Error, Pc};

/// The id of the I/O APIC in all tables.
pub(crate) const IO_APIC_ID: u8 = 0;
const IO_APIC: MpIoApic = MpIoApic { id: IO_APIC_ID, version: 0x11, address: 0xFEC0_0000 };
/// Xen's tables list so many slots, from device 1 on.
const PIR_SLOTS: u8 = 6;
const PAGE: u64 = 0x1000;
const ONE_MIB: Gpa = Gpa::new(1 << 20);

/// Where tables are.
pub(crate) struct Placed {
    /// What leads to each of the four.
    roots: Vec<Gpa>,
    /// The pages that they are in.
    pub(crate) range: GpaRange,
}

/// Writes the tables to the end of RAM below 4 GiB, `own` left alone.
pub(crate) fn write(
    pc: &mut impl Pc,
    brought: &Brought,
    found: &Found,
    routing: &PirqRouting,
    own: GpaRange,
) -> Result<Placed, Error> {
    let tables = Tables::new(found.cpus, &brought.memory)?;
    let ram = GpaRange::from_bounds(ONE_MIB, brought.low_ram_end()?).ok_or(Error::NoMemory)?;
    let mut layout = Layout::new(&brought.memory);
    layout.claim("hvmloader", own)?;
    let mut place = |name, size_bytes: usize| {
        let request = Request::pages(size_bytes as u64).aligned(64).within(ram).highest();
        layout.place(name, request).map(GpaRange::start)
    };

    let at = place("acpi tables", tables.acpi.tables().bytes().len())?;
    let acpi = tables.acpi.at(at).map_err(machine::Error::from)?;
    pc.memory().write(at, &acpi.tables)?;
    let rsdp = place("acpi root pointer", acpi.rsdp.len())?;
    pc.memory().write(rsdp, &acpi.rsdp)?;
    let _ = writeln!(pc, "ACPI tables at {at}, root pointer at {rsdp}");

    let at = place("smbios tables", tables.smbios.table().len())?;
    let smbios = tables.smbios.at(at).map_err(machine::Error::from)?;
    pc.memory().write(at, &smbios.table)?;
    let entry = smbios.entry_point_64.or(smbios.entry_point_32).unwrap_or_default();
    let entry_at = place("smbios entry point", entry.len())?;
    pc.memory().write(entry_at, &entry)?;
    let _ = writeln!(pc, "SMBIOS tables at {at}, entry point at {entry_at}");

    let mp = mp_table(pc, found.cpus, routing);
    let mp_at = place("mp table", mp.build_at(Gpa::ZERO)?.len())?;
    pc.memory().write(mp_at, &mp.build_at(mp_at)?)?;
    let pir = pir_table(routing).build()?;
    let pir_at = place("$PIR", pir.len())?;
    pc.memory().write(pir_at, &pir)?;
    let _ = writeln!(pc, "MP table at {mp_at}, $PIR at {pir_at}");

    let start = pir_at.align_down(PAGE).unwrap_or(pir_at);
    let range = GpaRange::from_bounds(start, ram.end()).unwrap_or(ram);
    Ok(Placed { roots: Vec::from([rsdp, mp_at, entry_at, pir_at]), range })
}

fn mp_table(pc: &impl Pc, cpus: u32, routing: &PirqRouting) -> MpTable {
    let signature = pc.cpuid(1);
    let processor = |apic_id| MpProcessor {
        apic_id,
        bootstrap: apic_id == 0,
        signature: signature.eax,
        features: signature.edx,
    };
    let devices: Vec<u8> = (1..=PIR_SLOTS).collect();
    MpTable::pc((0..cpus).map(processor).collect(), IO_APIC, routing, &devices)
}

fn pir_table(routing: &PirqRouting) -> PirTable {
    let slot = |device| PirSlot::piix(routing, device, device, PirqRouting::XEN_IRQS);
    PirTable {
        router: PciFunction::new(0, 1, 0),
        // The PIIX, which the PIIX3 is compatible with.
        compatible_router: (0x8086, 0x122E),
        exclusive_irqs: 0,
        slots: (1..=PIR_SLOTS).map(slot).collect(),
    }
}

/// Makes the memory map for the BIOS at `bios`: hvmloader's, with the tables at the end of RAM.
pub(crate) fn memory_map(
    brought: &Brought,
    placed: &Placed,
    bios: GpaRange,
) -> Result<MemoryMap, Error> {
    let map = XenMap {
        bios: bios.start(),
        low_ram_end: brought.low_ram_end()?,
        acpi_end: XenMap::RESERVED_START,
        op_region: None,
        high_ram_end: brought.high_ram().end(),
    };
    let mut map = map.build()?;
    // AML may write to what is there, and a kernel that another one starts must find it.
    map.set(placed.range, MemoryKind::NVS)?;
    Ok(map)
}

/// Writes the info that leads SeaBIOS to tables and memory map.
pub(crate) fn tell(pc: &impl Pc, placed: &Placed, map: &MemoryMap) -> Result<(), Error> {
    let info = XenInfo { reader: XenInfoReader::SeaBios, tables: &placed.roots, memory: map };
    Ok(pc.memory().write(XenInfo::ADDRESS, &info.build()?)?)
}
