//! The PCI planner: properties of every plan.

#![allow(clippy::unwrap_used)]

use guest_state::{Gpa, GpaRange};
use hvmloader_core::{
    BarKind, BridgeWindow, Error, PciBridge, PciDevice, PciFunction, PciPart, PciPlace, PciPlan,
    PciResources, PrefetchableWindow, plan_pci,
};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const IO: BarKind = BarKind::Io;
const MEMORY_32: BarKind = BarKind::Memory32 { prefetchable: false };
const PREFETCHABLE_32: BarKind = BarKind::Memory32 { prefetchable: true };
const MEMORY_64: BarKind = BarKind::Memory64 { prefetchable: false };
const PREFETCHABLE_64: BarKind = BarKind::Memory64 { prefetchable: true };

fn device(bus: u8, device: u8) -> PciDevice {
    PciDevice::new(PciFunction::new(bus, device, 0))
}

fn bridge(bus: u8, number: u8, secondary: u8, prefetchable: PrefetchableWindow) -> PciDevice {
    let bridge = Some(PciBridge { secondary, io: true, prefetchable });
    PciDevice { bridge, ..device(bus, number) }
}

fn range(start: u64, size: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), size).unwrap()
}

fn any_kind() -> impl Strategy<Value = BarKind> {
    prop_oneof![
        Just(IO),
        Just(MEMORY_32),
        Just(PREFETCHABLE_32),
        Just(MEMORY_64),
        Just(PREFETCHABLE_64)
    ]
}

/// A machine: a parent for each bridge, which buses devices are on, and what they want.
fn any_machine() -> impl Strategy<Value = PciResources> {
    let bridges = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..3), 0..5);
    let bars = prop::collection::vec((any_kind(), 4_u32..32), 0..4);
    let devices = prop::collection::vec((any::<prop::sample::Index>(), bars, any::<bool>()), 0..8);
    let reserved = prop::collection::vec((0x8_0000_u64..0x10_0000, 1_u64..0x800), 0..4);
    (bridges, devices, reserved, 0_u64..16, any::<bool>()).prop_map(
        |(bridges, devices, reserved, ram_gib, may_relocate_ram)| {
            // Numbers in the order of a walk: each bridge's buses are consecutive.
            let parents: Vec<usize> =
                bridges.iter().enumerate().map(|(at, (parent, _))| parent.index(at + 1)).collect();
            let mut order = vec![0];
            fn walk(bus: usize, parents: &[usize], order: &mut Vec<usize>) {
                for (at, parent) in parents.iter().enumerate() {
                    if *parent == bus {
                        order.push(at + 1);
                        walk(at + 1, parents, order);
                    }
                }
            }
            walk(0, &parents, &mut order);
            let number =
                |bus| u8::try_from(order.iter().position(|at| *at == bus).unwrap()).unwrap();
            let mut all = Vec::new();
            for (at, (_, prefetchable)) in bridges.iter().enumerate() {
                let prefetchable = match prefetchable {
                    0 => PrefetchableWindow::None,
                    1 => PrefetchableWindow::Bits32,
                    _ => PrefetchableWindow::Bits64,
                };
                let slot = 16 + u8::try_from(at).unwrap();
                all.push(bridge(number(parents[at]), slot, number(at + 1), prefetchable));
            }
            for (at, (bus, bars, rom)) in devices.iter().enumerate() {
                let bus = number(bus.index(bridges.len() + 1));
                let mut device = device(bus, u8::try_from(at).unwrap());
                let mut index = 0;
                for &(kind, order) in bars {
                    let wide = matches!(kind, BarKind::Memory64 { .. });
                    let size = if kind == IO { 1 << (order % 6 + 2) } else { 1 << order };
                    if index + u8::from(wide) <= 5 {
                        device = device.with_bar(index, kind, size);
                    }
                    index += 1 + u8::from(wide);
                }
                all.push(PciDevice { rom_bytes: if *rom { 0x8000 } else { 0 }, ..device });
            }
            PciResources {
                reserved: reserved.iter().map(|(at, n)| range(at << 12, n << 12)).collect(),
                may_relocate_ram,
                ..PciResources::xen(all, ram_gib * GIB + 64 * MIB, 40)
            }
        },
    )
}

/// The span of a place, and whether it is ports.
fn span(place: PciPlace) -> (bool, u64, u64) {
    match place {
        PciPlace::Ports { first, count } => {
            (true, u64::from(first), u64::from(first) + u64::from(count))
        }
        PciPlace::Memory(range) => (false, range.start().as_u64(), range.end().as_u64()),
    }
}

fn check(resources: &PciResources, plan: &PciPlan) -> Result<(), TestCaseError> {
    prop_assert_eq!(plan.low_ram.size_bytes() + plan.high_ram.size_bytes(), resources.ram_bytes);
    prop_assert!(plan.low_ram.end() <= plan.hole.start());
    prop_assert!(plan.hole.start() >= resources.hole.lowest);
    prop_assert_eq!(plan.high_ram.start(), Gpa::new(4 * GIB));
    if !resources.may_relocate_ram {
        prop_assert_eq!(plan.relocated_bytes, 0);
    }
    let place = |function, part| plan.place(function, part).map(span);
    let mut leaves = Vec::new();
    for device in &resources.devices {
        let above = resources
            .devices
            .iter()
            .find(|other| other.bridge.is_some_and(|at| at.secondary == device.function.bus()));
        let mut parts: Vec<_> = device
            .bars
            .iter()
            .map(|bar| (PciPart::Bar(bar.index), bar.kind, Some(bar.size_bytes)))
            .collect();
        if device.rom_bytes > 0 {
            parts.push((PciPart::Rom, MEMORY_32, Some(device.rom_bytes)));
        }
        for (window, kind) in [
            (BridgeWindow::Io, IO),
            (BridgeWindow::Memory, MEMORY_32),
            (BridgeWindow::Prefetchable, PREFETCHABLE_64),
        ] {
            parts.push((PciPart::Window(window), kind, None));
        }
        for (part, kind, size) in parts {
            let Some((ports, start, end)) = place(device.function, part) else {
                prop_assert!(size.is_none(), "{} {part} is not placed", device.function);
                continue;
            };
            prop_assert_eq!(ports, kind == IO);
            match size {
                Some(size) => {
                    prop_assert_eq!(end - start, size);
                    prop_assert_eq!(start % size, 0);
                    leaves.push((ports, start, end));
                }
                None => {
                    let unit = if ports { 0x1000 } else { MIB };
                    prop_assert!(start % unit == 0 && end % unit == 0 && start < end);
                }
            }
            if matches!(kind, BarKind::Memory32 { .. }) {
                prop_assert!(end <= 4 * GIB);
            }
            let inside = |window| {
                let found = place(above?.function, PciPart::Window(window))?;
                Some(found.0 == ports && found.1 <= start && end <= found.2)
            };
            let prefetchable = matches!(
                kind,
                BarKind::Memory32 { prefetchable: true } | BarKind::Memory64 { prefetchable: true }
            );
            if above.is_some() {
                let found = match kind {
                    IO => inside(BridgeWindow::Io),
                    _ if inside(BridgeWindow::Memory) == Some(true) => Some(true),
                    _ if prefetchable => inside(BridgeWindow::Prefetchable),
                    _ => None,
                };
                prop_assert_eq!(found, Some(true), "{} {}", device.function, part);
            } else if ports {
                prop_assert!(start >= u64::from(resources.first_port) && end <= 0x1_0000);
            } else {
                let span = range(start, end - start);
                let high = start >= plan.high_ram.end().as_u64() && end <= 1 << 40;
                prop_assert!(plan.hole.contains_range(span) || high);
                prop_assert!(resources.reserved.iter().all(|other| !other.overlaps(span)));
                prop_assert!(start < 4 * GIB || plan.high_devices.contains_range(span));
            }
        }
    }
    // The windows on one bus are apart as well.
    for device in resources.devices.iter().filter(|device| device.bridge.is_some()) {
        for part in [BridgeWindow::Memory, BridgeWindow::Prefetchable, BridgeWindow::Io] {
            let Some(found) = place(device.function, PciPart::Window(part)) else { continue };
            for other in plan.assignments.iter().filter(|other| {
                other.function.bus() == device.function.bus()
                    && (other.function, other.part) != (device.function, PciPart::Window(part))
            }) {
                let other = span(other.place);
                let apart = found.0 != other.0 || found.2 <= other.1 || other.2 <= found.1;
                prop_assert!(apart, "{:x?} {:x?}", found, other);
            }
        }
    }
    leaves.sort_unstable();
    for pair in leaves.windows(2) {
        prop_assert!(pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1, "{:x?}", pair);
    }
    Ok(())
}

proptest! {
    #[test]
    fn everything_is_placed_apart_aligned_and_inside_its_windows(resources in any_machine()) {
        match plan_pci(&resources) {
            Ok(plan) => check(&resources, &plan)?,
            Err(Error::PciNoRoom { size_bytes, .. }) => prop_assert!(size_bytes > 0),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    /// Each BAR of a size takes one aligned slot of that size, and a larger one takes as many as
    /// it is long: where there are enough slots of each size, all must be placed.
    #[test]
    fn nothing_is_refused_that_has_room(
        orders in prop::collection::vec(16_u32..29, 0..24),
        reserved in prop::collection::vec((0x8000_u64..0xFC00, 1_u64..0x100), 0..5),
    ) {
        let devices: Vec<_> = (0..).zip(&orders)
            .map(|(at, order)| device(0, at).with_bar(0, MEMORY_32, 1 << order))
            .collect();
        let reserved: Vec<_> = reserved.iter().map(|(at, n)| range(at << 16, n << 16)).collect();
        let enough = (16..29).all(|order| {
            let wanted: u64 =
                orders.iter().filter(|o| **o >= order).map(|o| 1_u64 << (o - order)).sum();
            let slots = (0x8000_0000_u64 >> order..0xFC00_0000 >> order)
                .filter(|at| {
                    let slot = range(at << order, 1 << order);
                    slot.end() <= Gpa::new(0xFC00_0000)
                        && reserved.iter().all(|other| !other.overlaps(slot))
                })
                .count() as u64;
            wanted <= slots
        });
        let mut resources = PciResources::xen(devices, 64 * MIB, 36);
        resources.reserved = reserved;
        prop_assert_eq!(plan_pci(&resources).is_ok(), enough);
    }
}
