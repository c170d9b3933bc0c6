//! What hvmloader does, from first to last.

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, GuestMemory};
use hvmloader_core::{
    MmioHole, PciResources, PirqRouting, XenBios, cmos_registers, open_shadow, plan_pci,
};

use crate::inventory::{Brought, Found};
use crate::pc::{ConfigPorts, write_cmos};
use crate::tables::{self, IO_APIC_ID};
use crate::{Error, Pc, processor};

const FOUR_GIB: Gpa = Gpa::new(1 << 32);

/// Sets the machine up, and puts its BIOS in place. The CPU is then to go to F000:FFF0.
///
/// `own` is the memory that hvmloader itself occupies.
///
/// # Errors
/// What the VMM brought that won't do, or that does not fit this machine.
pub fn load(start_info: Gpa, own: GpaRange, pc: &mut impl Pc) -> Result<(), Error> {
    let _ = writeln!(pc, "HVM Loader");

    // 1. What the VMM brought: memory map and firmware.
    let brought = Brought::read(pc, start_info)?;
    let _ = writeln!(pc, "Memory below 4 GiB ends at {}", brought.low_ram_end()?);

    // 2. What the machine says of itself.
    let found = Found::ask(pc);
    match found.xen {
        Some(xen) => writeln!(pc, "Detected Xen v{}.{}", xen.version.0, xen.version.1),
        None => writeln!(pc, "No Xen: the BIOS will find tables and memory map by itself"),
    }
    .ok();
    let _ = writeln!(pc, "{} CPUs, {} PCI functions", found.cpus, found.pci.len());

    // 3. PCI resources and interrupts, caching, the way of the 8259s' interrupts.
    let routing = set_up_pci(pc, &brought, &found)?;
    let devices = GpaRange::from_bounds(brought.low_ram_end()?.max(MmioHole::XEN.start), FOUR_GIB);
    let (devices, bits) = (devices.unwrap_or_default(), found.physical_bits);
    let writes = processor::set_mtrrs(pc, &brought.memory, devices, bits)?;
    processor::set_virtual_wire(pc, IO_APIC_ID);
    let others = processor::set_others(pc, &writes, found.cpus - 1)?;
    let _ = writeln!(pc, "MTRRs: {devices} uncached, on {} of {} CPUs", others + 1, found.cpus);

    // 4. What CMOS says of memory.
    for (index, value) in cmos_registers(&brought.memory, found.cpus) {
        write_cmos(pc, index, value);
    }

    // 5. The BIOS, to where there is RAM from now on.
    let bios = XenBios::new(&brought.firmware)?;
    let opened = open_shadow(&mut ConfigPorts(pc));
    let _ = writeln!(pc, "Below 1 MiB is RAM{}", if opened { " now, by PAM" } else { "" });
    pc.memory().write(bios.range().start(), &brought.firmware)?;
    let _ = writeln!(pc, "BIOS map:\n {}: Main BIOS", bios.range());

    // 6. For a BIOS on Xen, the tables, and what leads to them.
    if found.xen.is_some() {
        let placed = tables::write(pc, &brought, &found, &routing, own)?;
        let map = tables::memory_map(&brought, &placed, bios.range())?;
        tables::tell(pc, &placed, &map)?;
        show(pc, &map);
    }
    let _ = writeln!(pc, "Invoking the BIOS ...");
    Ok(())
}

/// Gives addresses to BARs and IRQs to interrupt pins.
fn set_up_pci<P: Pc>(pc: &mut P, brought: &Brought, found: &Found) -> Result<PirqRouting, Error> {
    let ram_end = brought.low_ram_end()?;
    let resources = PciResources {
        reserved: [brought.high_ram()].into(),
        // RAM is where the VMM put it.
        hole: MmioHole { lowest: ram_end.max(MmioHole::XEN.lowest), ..MmioHole::XEN },
        may_relocate_ram: false,
        ..PciResources::xen(found.pci.clone(), ram_end.as_u64(), found.physical_bits)
    };
    let plan = plan_pci(&resources)?;
    let routing = PirqRouting::deal(PirqRouting::XEN_IRQS, PirqRouting::I440FX_OFFSET)?;
    plan.program(&mut ConfigPorts(pc), &found.pci, &routing);
    for assignment in &plan.assignments {
        let _ = writeln!(
            pc,
            "pci {}: {} at {:?}",
            assignment.function, assignment.part, assignment.place
        );
    }
    if routing.program_piix(&mut ConfigPorts(pc), &found.pci) {
        for (link, irq) in ('A'..).zip(routing.route_control()) {
            let _ = writeln!(pc, "PCI-ISA link {link} routed to IRQ{irq}");
        }
    }
    let [low, high] = routing.elcr().to_le_bytes();
    pc.out8(0x4D0, low);
    pc.out8(0x4D1, high);
    Ok(routing)
}

fn show(pc: &mut impl Pc, map: &MemoryMap) {
    let _ = writeln!(pc, "E820 table:");
    for (index, region) in map.regions().iter().enumerate() {
        let _ = writeln!(pc, " [{index:02}]: {}: {}", region.range, region.kind);
    }
}
