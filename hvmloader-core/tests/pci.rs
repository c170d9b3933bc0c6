//! The PCI planner: examples worked out by hand.

#![allow(clippy::unwrap_used, clippy::panic)]

use guest_state::{Gpa, GpaRange};
use hvmloader_core::{
    BarKind, BridgeWindow, Error, MmioHole, PciBridge, PciDevice, PciFunction, PciPart, PciPlace,
    PciPlan, PciResources, PrefetchableWindow, plan_pci,
};

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

fn memory(plan: &PciPlan, bus: u8, device: u8, part: PciPart) -> (u64, u64) {
    match plan.place(PciFunction::new(bus, device, 0), part) {
        Some(PciPlace::Memory(range)) => (range.start().as_u64(), range.size_bytes()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_small_machine_fits_the_hole_as_it_is() {
    let vga = device(0, 2).with_bar(0, PREFETCHABLE_32, 32 * MIB).with_bar(1, MEMORY_32, 0x1000);
    let net = device(0, 3).with_bar(0, IO, 0x20).with_bar(1, MEMORY_32, 0x1000);
    let net = PciDevice { rom_bytes: 0x1_0000, ..net };
    let ide = device(0, 1).with_bar(4, IO, 0x10);
    let plan = plan_pci(&PciResources::xen(vec![ide, vga, net], GIB, 36)).unwrap();
    assert_eq!(plan.hole, range(0xF000_0000, 0xC00_0000));
    assert_eq!(memory(&plan, 0, 2, PciPart::Bar(0)), (0xF000_0000, 32 * MIB));
    assert_eq!(memory(&plan, 0, 3, PciPart::Rom), (0xF200_0000, 0x1_0000));
    assert_eq!(memory(&plan, 0, 2, PciPart::Bar(1)), (0xF201_0000, 0x1000));
    assert_eq!(memory(&plan, 0, 3, PciPart::Bar(1)), (0xF201_1000, 0x1000));
    let ports = |number, bar| plan.place(PciFunction::new(0, number, 0), PciPart::Bar(bar));
    assert_eq!(ports(3, 0), Some(PciPlace::Ports { first: 0xC000, count: 0x20 }));
    assert_eq!(ports(1, 4), Some(PciPlace::Ports { first: 0xC020, count: 0x10 }));
    assert_eq!((plan.low_ram, plan.relocated_bytes), (range(0, GIB), 0));
    assert!(plan.high_ram.is_empty() && plan.high_devices.is_empty());
}

#[test]
fn the_hole_doubles_until_all_fit_and_ram_moves_up() {
    let large = device(0, 4).with_bar(0, MEMORY_32, 512 * MIB);
    // From F000_0000h there are 192 MiB, from E000_0000h 448 MiB, from C000_0000h 960 MiB.
    let plan = plan_pci(&PciResources::xen(vec![large], 5 * GIB, 36)).unwrap();
    assert_eq!(plan.hole.start(), Gpa::new(0xC000_0000));
    assert_eq!(memory(&plan, 0, 4, PciPart::Bar(0)).0, 0xC000_0000);
    assert_eq!(plan.low_ram, range(0, 3 * GIB));
    assert_eq!(plan.high_ram, range(4 * GIB, 2 * GIB));
    assert_eq!(plan.relocated_bytes, 768 * MIB);
}

#[test]
fn ram_that_must_stay_keeps_the_hole_small() {
    let large = device(0, 4).with_bar(0, MEMORY_32, 512 * MIB);
    let mut resources = PciResources::xen(vec![large], 5 * GIB, 36);
    resources.may_relocate_ram = false;
    let refused = Error::PciNoRoom {
        function: PciFunction::new(0, 4, 0),
        part: PciPart::Bar(0),
        size_bytes: 512 * MIB,
        alignment: 512 * MIB,
    };
    assert_eq!(plan_pci(&resources), Err(refused));
    // Where RAM does not reach so far, nothing has to move.
    resources.ram_bytes = GIB;
    assert_eq!(plan_pci(&resources).unwrap().hole.start(), Gpa::new(0xC000_0000));
}

#[test]
fn large_64_bit_bars_are_high_and_others_only_if_they_must() {
    let gpu = device(0, 5).with_bar(0, PREFETCHABLE_64, 4 * GIB).with_bar(2, MEMORY_64, 64 * MIB);
    let plan = plan_pci(&PciResources::xen(vec![gpu], 4 * GIB, 36)).unwrap();
    // 256 MiB of RAM are above 4 GiB, so that the first multiple of 4 GiB is 8 GiB.
    assert_eq!(memory(&plan, 0, 5, PciPart::Bar(0)), (8 * GIB, 4 * GIB));
    assert_eq!(memory(&plan, 0, 5, PciPart::Bar(2)).0, 0xF000_0000);
    assert_eq!(plan.high_devices, range(8 * GIB, 4 * GIB));

    let small = device(0, 5).with_bar(0, MEMORY_64, MIB).with_bar(2, MEMORY_64, 2 * MIB);
    let mut resources = PciResources::xen(vec![small], GIB, 36);
    resources.high_from_bytes = 2 * MIB;
    let plan = plan_pci(&resources).unwrap();
    assert_eq!(memory(&plan, 0, 5, PciPart::Bar(0)).0, 0xF000_0000);
    assert_eq!(memory(&plan, 0, 5, PciPart::Bar(2)).0, 4 * GIB);

    let two = device(0, 5).with_bar(0, MEMORY_32, GIB).with_bar(2, MEMORY_64, GIB);
    let plan = plan_pci(&PciResources::xen(vec![two], 4 * GIB, 36)).unwrap();
    assert_eq!(memory(&plan, 0, 5, PciPart::Bar(0)), (0x8000_0000, GIB));
    // With the hole from 2 GiB, RAM ends at 6 GiB.
    assert_eq!(memory(&plan, 0, 5, PciPart::Bar(2)), (6 * GIB, GIB));
}

#[test]
fn windows_hold_what_is_behind_their_bridge() {
    let devices = vec![
        bridge(0, 1, 1, PrefetchableWindow::Bits64),
        bridge(1, 0, 2, PrefetchableWindow::Bits64),
        device(2, 0)
            .with_bar(0, PREFETCHABLE_64, 4 * GIB)
            .with_bar(2, MEMORY_32, 0x1000)
            .with_bar(3, IO, 0x80)
            .with_bar(4, MEMORY_64, 2 * MIB),
        device(1, 1).with_bar(0, PREFETCHABLE_32, 8 * MIB),
    ];
    let plan = plan_pci(&PciResources::xen(devices, GIB, 40)).unwrap();
    let window = |bus, number, window| memory(&plan, bus, number, PciPart::Window(window));
    assert_eq!(window(0, 1, BridgeWindow::Prefetchable), (4 * GIB, 4 * GIB));
    assert_eq!(window(1, 0, BridgeWindow::Prefetchable), (4 * GIB, 4 * GIB));
    assert_eq!(memory(&plan, 2, 0, PciPart::Bar(0)), (4 * GIB, 4 * GIB));
    // 8 MiB for the 32-bit BAR, then 3 MiB: 2 MiB and 4 KiB in units of 1 MiB.
    assert_eq!(window(0, 1, BridgeWindow::Memory), (0xF000_0000, 11 * MIB));
    assert_eq!(memory(&plan, 1, 1, PciPart::Bar(0)), (0xF000_0000, 8 * MIB));
    assert_eq!(window(1, 0, BridgeWindow::Memory), (0xF080_0000, 3 * MIB));
    assert_eq!(memory(&plan, 2, 0, PciPart::Bar(4)), (0xF080_0000, 2 * MIB));
    assert_eq!(memory(&plan, 2, 0, PciPart::Bar(2)), (0xF0A0_0000, 0x1000));
    let ports = plan.place(PciFunction::new(0, 1, 0), PciPart::Window(BridgeWindow::Io));
    assert_eq!(ports, Some(PciPlace::Ports { first: 0xC000, count: 0x1000 }));
    let (first, second) = (PciFunction::new(0, 1, 0), PciFunction::new(1, 0, 0));
    assert_eq!(plan.bridges, [(first, 1, 2), (second, 2, 2)]);
}

#[test]
fn reserved_ranges_are_left_alone() {
    let mut resources =
        PciResources::xen(vec![device(0, 1).with_bar(0, MEMORY_32, 64 * MIB)], GIB, 36);
    resources.reserved = vec![range(0xF100_0000, 0x1000), range(0xF700_0000, MIB)];
    let plan = plan_pci(&resources).unwrap();
    assert_eq!(memory(&plan, 0, 1, PciPart::Bar(0)).0, 0xF800_0000);
}

#[test]
fn descriptions_that_can_not_be_are_refused() {
    let plan = |devices: Vec<PciDevice>| plan_pci(&PciResources::xen(devices, GIB, 36));
    let twice = plan(vec![device(0, 1), device(0, 1)]);
    assert!(matches!(twice, Err(Error::PciFunctionTwice { .. })));
    for bad in [
        device(0, 1).with_bar(6, IO, 4),
        device(0, 1).with_bar(5, MEMORY_64, MIB),
        device(0, 1).with_bar(0, MEMORY_64, MIB).with_bar(1, IO, 4),
        bridge(0, 1, 1, PrefetchableWindow::None).with_bar(2, IO, 4),
    ] {
        assert!(matches!(plan(vec![bad]), Err(Error::BarIndex { .. })));
    }
    for (kind, size) in [(IO, 2), (IO, 0x1_0000), (MEMORY_32, 0), (MEMORY_32, 0x3000)] {
        let refused = plan(vec![device(0, 1).with_bar(0, kind, size)]);
        assert!(matches!(refused, Err(Error::BarSize { .. })), "{kind:?} {size:#x}");
    }
    let none = PrefetchableWindow::None;
    for bridges in [
        vec![bridge(0, 1, 0, none)],
        vec![bridge(0, 1, 1, none), bridge(0, 2, 1, none)],
        // Buses 1 to 3 belong to the first bridge, so 2 can't be behind the second.
        vec![bridge(0, 1, 1, none), bridge(1, 0, 3, none), bridge(0, 2, 2, none)],
    ] {
        assert!(matches!(plan(bridges), Err(Error::BridgeBus { .. })));
    }
    let mut closed = bridge(0, 1, 1, none);
    closed.bridge.as_mut().unwrap().io = false;
    let refused = plan(vec![closed, device(1, 0).with_bar(0, IO, 4)]);
    assert!(matches!(refused, Err(Error::NoIoWindow { .. })));
}

#[test]
fn limits_that_can_not_be_are_refused() {
    let good = PciResources::xen(Vec::new(), GIB, 36);
    let hole = |start, end, lowest| {
        let [start, end, lowest] = [start, end, lowest].map(Gpa::new);
        plan_pci(&PciResources { hole: MmioHole { start, end, lowest }, ..good.clone() })
    };
    assert!(hole(3 * GIB, 4 * GIB, 2 * GIB).is_ok());
    for (start, end, lowest) in
        [(3 * GIB, 3 * GIB, GIB), (3 * GIB, 5 * GIB, GIB), (GIB, 2 * GIB, 3 * GIB), (GIB, GIB, 0)]
    {
        assert!(matches!(hole(start, end, lowest), Err(Error::Hole { .. })));
    }
    for (bits, ram_bytes) in [(35, GIB), (53, GIB), (64, GIB), (36, 64 * GIB), (52, u64::MAX)] {
        let refused = plan_pci(&PciResources { physical_bits: bits, ram_bytes, ..good.clone() });
        assert!(matches!(refused, Err(Error::PhysicalBits { .. })), "{bits} {ram_bytes:#x}");
    }
    // 60 GiB above 4 GiB are just within 36 bits.
    assert!(plan_pci(&PciResources { ram_bytes: 63 * GIB + 768 * MIB, ..good }).is_ok());
}
