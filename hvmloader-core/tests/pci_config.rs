//! Scanning and programming, on a bus whose registers behave as the specification says.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use hvmloader_core::{
    BarKind, PciConfig, PciDevice, PciFunction, PciPart, PciPlace, PciResources, PirqRouting,
    open_shadow, plan_pci, scan_pci,
};
use proptest::prelude::*;

const FUNCTION: PciFunction = PciFunction::new(0, 3, 0);
const SECOND: PciFunction = PciFunction::new(0, 3, 1);
const BRIDGE: PciFunction = PciFunction::new(0, 4, 0);

/// A register: what can be written, and what it holds.
#[derive(Clone, Copy, Default)]
struct Register {
    writable: u32,
    value: u32,
}

/// Functions by their registers; what is not there reads as zero, whole functions as ones.
#[derive(Default)]
struct Bus {
    functions: BTreeMap<PciFunction, BTreeMap<u8, Register>>,
    /// Functions that decoded something while a BAR of theirs held ones.
    wild: Vec<PciFunction>,
}

impl Bus {
    fn with(mut self, function: PciFunction, registers: &[(u8, u32, u32)]) -> Self {
        let register = |&(at, value, writable)| (at, Register { writable, value });
        self.functions.entry(function).or_default().extend(registers.iter().map(register));
        self
    }

    fn value(&self, function: PciFunction, register: u8) -> u32 {
        self.functions[&function].get(&register).map_or(0, |register| register.value)
    }
}

impl PciConfig for Bus {
    fn read(&mut self, function: PciFunction, register: u8) -> u32 {
        assert_eq!(register % 4, 0);
        let Some(registers) = self.functions.get(&function) else { return !0 };
        registers.get(&register).map_or(0, |register| register.value)
    }

    fn write(&mut self, function: PciFunction, at: u8, value: u32) {
        assert_eq!(at % 4, 0);
        let Some(registers) = self.functions.get_mut(&function) else { return };
        let Some(register) = registers.get_mut(&at) else { return };
        register.value = register.value & !register.writable | value & register.writable;
        let decodes = registers.get(&4).is_some_and(|command| command.value & 3 != 0);
        if (0x10..0x34).contains(&at) && value == !0 && decodes {
            self.wild.push(function);
        }
    }
}

/// A function with two functions' bit, ports, memory of 32 and 64 bits and an option ROM; one of a
/// single BAR; and a bridge.
fn bus() -> Bus {
    Bus::default()
        .with(
            FUNCTION,
            &[
                (0x00, 0x1000_8086, 0),
                (0x04, 0x0010_0003, 0x0000_0007),
                (0x0C, 0x0080_0000, 0),
                // 32 ports, whose upper half is hard-wired to zero.
                (0x10, 0x0000_C001, 0x0000_FFE0),
                // 4 KiB below 4 GiB.
                (0x14, 0x0000_0000, 0xFFFF_F000),
                // 8 GiB anywhere, prefetchable.
                (0x18, 0x0000_000C, 0x0000_0000),
                (0x1C, 0x0000_0000, 0xFFFF_FFFE),
                // 64 KiB of ROM.
                (0x30, 0x0000_0000, 0xFFFF_0001),
                (0x3C, 0x0000_0100, 0x0000_00FF),
            ],
        )
        .with(SECOND, &[(0x00, 0x1001_8086, 0), (0x04, 0, 7), (0x10, 0, 0xFFF0_0000)])
        // Not a multifunction device, so its second function is none.
        .with(BRIDGE, &[(0x00, 0x1002_8086, 0), (0x0C, 0x0001_0000, 0), (0x18, 0x0002_0100, !0)])
        .with(PciFunction::new(0, 4, 1), &[(0x00, 0x1003_8086, 0)])
}

#[test]
fn functions_say_what_they_want_and_are_left_as_they_were() {
    let mut bus = bus();
    let found = scan_pci(&mut bus);
    let first = PciDevice::new(FUNCTION)
        .with_bar(0, BarKind::Io, 0x20)
        .with_bar(1, BarKind::Memory32 { prefetchable: false }, 0x1000)
        .with_bar(2, BarKind::Memory64 { prefetchable: true }, 8 << 30);
    let first = PciDevice { rom_bytes: 0x1_0000, ..first };
    let memory = BarKind::Memory32 { prefetchable: false };
    let second = PciDevice::new(SECOND).with_bar(0, memory, 1 << 20);
    assert_eq!(found, [first, second, PciDevice::new(BRIDGE)]);
    assert_eq!(bus.wild, [], "decoding while it was asked");
    let before = self::bus();
    for (function, registers) in &before.functions {
        for at in registers.keys() {
            assert_eq!(
                bus.value(*function, *at),
                before.value(*function, *at),
                "{function} {at:#x}"
            );
        }
    }
}

#[test]
fn functions_get_what_the_plan_says_and_then_decode_it() {
    let mut bus = bus();
    let devices = scan_pci(&mut bus);
    let plan = plan_pci(&PciResources::xen(devices.clone(), 1 << 30, 40)).unwrap();
    let routing = PirqRouting::deal(PirqRouting::XEN_IRQS, PirqRouting::I440FX_OFFSET).unwrap();
    bus.functions.get_mut(&FUNCTION).unwrap().get_mut(&4).unwrap().value = 0x0010_0000;
    plan.program(&mut bus, &devices, &routing);

    let memory = |function, part| match plan.place(function, part) {
        Some(PciPlace::Memory(range)) => range.start().as_u64(),
        other => unreachable!("{other:?}"),
    };
    let word = |value: u64| u32::try_from(value).unwrap();
    assert_eq!(bus.value(FUNCTION, 0x10), 0xC001);
    assert_eq!(bus.value(FUNCTION, 0x14), word(memory(FUNCTION, PciPart::Bar(1))));
    let high = memory(FUNCTION, PciPart::Bar(2));
    assert!(high >= 4 << 30 && high.is_multiple_of(8 << 30));
    assert_eq!((bus.value(FUNCTION, 0x18), bus.value(FUNCTION, 0x1C)), (0xC, word(high >> 32)));
    // It has its address, and stays closed.
    assert_eq!(bus.value(FUNCTION, 0x30), word(memory(FUNCTION, PciPart::Rom)));
    // Both ports and memory; the status, above, is not touched.
    assert_eq!(bus.value(FUNCTION, 0x04), 0x0010_0003);
    assert_eq!(bus.value(SECOND, 0x04), 2);
    // INTA# of device 3 is on PIRQC.
    assert_eq!(bus.value(FUNCTION, 0x3C), 0x010B);
}

#[test]
fn the_router_gets_its_routes() {
    let routing = PirqRouting::deal(PirqRouting::XEN_IRQS, PirqRouting::I440FX_OFFSET).unwrap();
    let piix = PciFunction::new(0, 1, 0);
    let mut bus = Bus::default().with(piix, &[(0x00, 0x7000_8086, 0), (0x60, 0x8080_8080, !0)]);
    let devices = scan_pci(&mut bus);
    assert!(routing.program_piix(&mut bus, &devices));
    assert_eq!(bus.value(piix, 0x60), 0x050B_0A05);
    assert!(!routing.program_piix(&mut self::bus(), &devices));
}

#[test]
fn ram_comes_in_place_of_rom() {
    let bridge = PciFunction::new(0, 0, 0);
    let mut i440fx = Bus::default()
        .with(bridge, &[(0x00, 0x1237_8086, 0), (0x58, 0x0000_00AB, !0), (0x5C, 0x0000_0000, !0)]);
    assert!(open_shadow(&mut i440fx));
    assert_eq!(
        (i440fx.value(bridge, 0x58), i440fx.value(bridge, 0x5C)),
        (0x3333_30AB, 0x3333_3333)
    );
    let mut q35 = Bus::default()
        .with(bridge, &[(0x00, 0x29C0_8086, 0), (0x90, 0x1111_1110, !0), (0x94, 0xCD11_1111, !0)]);
    assert!(open_shadow(&mut q35));
    assert_eq!((q35.value(bridge, 0x90), q35.value(bridge, 0x94)), (0x3333_3330, 0xCD33_3333));
    assert!(!open_shadow(&mut bus()));
}

/// A bus whose registers answer anything, and never the same.
struct Noise(u64);

impl PciConfig for Noise {
    fn read(&mut self, _: PciFunction, _: u8) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [.., a, b, c, d] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    fn write(&mut self, _: PciFunction, _: u8, _: u32) {}
}

proptest! {
    #[test]
    fn no_answers_of_a_bus_do_harm(seed: u64) {
        let mut noise = Noise(seed);
        let devices = scan_pci(&mut noise);
        prop_assert!(devices.len() <= 256);
        let routing = PirqRouting::deal(PirqRouting::XEN_IRQS, 0).unwrap();
        if let Ok(plan) = plan_pci(&PciResources::xen(devices.clone(), 1 << 30, 40)) {
            plan.program(&mut noise, &devices, &routing);
        }
    }
}
