//! A PCI plan of any description, and the MTRR plan that follows from it; functions that answer
//! anything.

use boot_plan::MemoryMap;
use guest_state::{FIXED_MTRRS, Gpa, GpaRange, MemoryKind, MemoryType, Mtrrs};
use hvmloader_core::{
    Bar, BarKind, Error, PciBridge, PciDevice, PciFunction, PciPart, PciPlace, PciResources,
    PrefetchableWindow, mtrr_writes, plan_mtrrs, plan_pci,
};

use crate::config_space::scan_and_program;

/// Plans what `data` describes: four bytes of limits, then eight for each function.
pub fn hvmloader_plans(data: &[u8]) {
    let Some((limits, rest)) = data.split_first_chunk::<4>() else { return };
    scan_and_program(rest);
    let devices = rest.chunks_exact(8).take(64).map(device).collect();
    let mut resources = PciResources::xen(devices, u64::from(limits[0]) << 26, 36);
    resources.physical_bits = 35 + u32::from(limits[1] % 18);
    resources.may_relocate_ram = limits[2] & 1 != 0;
    resources.high_from_bytes = 1 << (limits[2] % 40);
    resources.reserved = vec![range(u64::from(limits[3]) << 24, 0x1000)];
    let Ok(plan) = plan_pci(&resources) else { return };

    let mut spans = Vec::new();
    for found in &plan.assignments {
        let (ports, start, size) = match found.place {
            PciPlace::Ports { first, count } => (true, u64::from(first), u64::from(count)),
            PciPlace::Memory(range) => (false, range.start().as_u64(), range.size_bytes()),
        };
        if !ports {
            let span = range(start, size);
            assert!(plan.hole.contains_range(span) || plan.high_devices.contains_range(span));
            assert!(!span.overlaps(resources.reserved[0]));
        }
        if !matches!(found.part, PciPart::Window(_)) {
            assert_eq!(start % size, 0, "{found:x?}");
            spans.push((ports, start, start + size));
        }
    }
    let wanted: usize = resources
        .devices
        .iter()
        .map(|device| device.bars.len() + usize::from(device.rom_bytes != 0))
        .sum();
    assert_eq!(spans.len(), wanted);
    spans.sort_unstable();
    for pair in spans.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1, "{pair:x?}");
    }
    assert!(plan.low_ram.end() <= plan.hole.start());
    assert!(plan.high_devices.is_empty() || plan.high_ram.end() <= plan.high_devices.start());

    let mut memory = MemoryMap::new();
    for ram in [plan.low_ram, plan.high_ram] {
        if !ram.is_empty() {
            memory.insert(ram, MemoryKind::RAM).expect("the two are apart");
        }
    }
    let uncacheable = [plan.hole, plan.high_devices];
    let mtrrs = match plan_mtrrs(&memory, &uncacheable, resources.physical_bits, 8) {
        Ok(mtrrs) => mtrrs,
        // Below a page, RAM and devices may share it.
        Err(Error::MtrrsExhausted { .. } | Error::MtrrConflict { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    let wanted = [
        (plan.hole, MemoryType::UNCACHEABLE),
        (plan.high_devices, MemoryType::UNCACHEABLE),
        (plan.low_ram, MemoryType::WRITE_BACK),
        (plan.high_ram, MemoryType::WRITE_BACK),
    ];
    // The writes that load them: the default type twice, first with all off, and whole ranges.
    let writes = mtrr_writes(&mtrrs, 8);
    assert_eq!(writes.len(), 2 + FIXED_MTRRS.len() + 2 * 8);
    assert_eq!(writes[0].1 & Mtrrs::ENABLE, 0);
    assert_eq!(writes.last().map(|(_, value)| value & Mtrrs::ENABLE), Some(Mtrrs::ENABLE));
    for (range, memory_type) in wanted {
        let mut at = range.start();
        while at < range.end() {
            let (found, edge) = mtrrs.type_at(at);
            assert_eq!(found, memory_type, "at {at}");
            at = edge;
        }
    }
}

/// Bus; device and function; bridge; secondary; kinds and orders of two BARs; option ROM.
fn device(bytes: &[u8]) -> PciDevice {
    let [bus, device, bridge, secondary, first, second, orders, rom] =
        *bytes.first_chunk().unwrap_or(&[0; 8]);
    let bridge = (bridge & 1 != 0).then_some(PciBridge {
        secondary: secondary & 7,
        io: bridge & 2 != 0,
        prefetchable: match bridge >> 2 & 3 {
            0 => PrefetchableWindow::None,
            1 => PrefetchableWindow::Bits32,
            _ => PrefetchableWindow::Bits64,
        },
    });
    let bar = |index: u8, kind: u8, order: u8| Bar {
        index,
        kind: match kind % 5 {
            0 => BarKind::Io,
            1 => BarKind::Memory32 { prefetchable: false },
            2 => BarKind::Memory32 { prefetchable: true },
            3 => BarKind::Memory64 { prefetchable: false },
            _ => BarKind::Memory64 { prefetchable: true },
        },
        // Mostly sizes that there are.
        size_bytes: match kind % 5 {
            0 => 1 << (order + 2),
            _ => 1 << (u32::from(order) + u32::from(kind / 8) + 3),
        },
    };
    let mut bars = Vec::new();
    if first != 0 {
        bars.push(bar(0, first, orders & 0xF));
    }
    if second != 0 {
        bars.push(bar(2, second, orders >> 4));
    }
    let function = PciFunction::new(bus & 7, device >> 3, device & 7);
    let rom_bytes = if rom == 0 { 0 } else { 0x400 << (rom & 7) };
    PciDevice { function, bars, rom_bytes, bridge }
}

fn range(start: u64, size_bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size_bytes).unwrap_or_default()
}
