//! PCI configuration: the address register and the three functions.

use chipset::{ConfigAddress, I440fx, PamAccess, PamRange, PciFunction, Piix3, Piix4Pm, PirqLine};
use proptest::prelude::*;

fn read_u32(read: impl Fn(u8) -> u8, register: u8) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|byte| read(register + byte)))
}

#[test]
fn address_selects_a_function_only_while_enabled() {
    let mut address = ConfigAddress::new();
    assert_eq!(address.target(0), None);
    address.write(0x7FFF_FFFF);
    assert_eq!(address.target(0), None);
    address.write(0xFFFF_FFFF);
    assert_eq!(address.read(), 0x80FF_FFFC, "reserved bits are zero");
    let target = address.target(3).unwrap();
    assert_eq!(target.function, PciFunction::new(255, 31, 7));
    assert_eq!(target.register, 0xFF);
}

#[test]
fn function_is_written_as_pci_tools_do() {
    assert_eq!(PciFunction::new(0, 0x1F, 3).to_string(), "00:1f.3");
    let function = PciFunction::new(2, 33, 9);
    assert_eq!((function.bus(), function.device(), function.function()), (2, 1, 1));
}

#[test]
fn functions_are_who_firmware_looks_for() {
    let (host, isa, pm) = (I440fx::new(), Piix3::new(), Piix4Pm::new());
    assert_eq!(read_u32(|r| host.read(r), 0x00), 0x1237_8086);
    assert_eq!(read_u32(|r| host.read(r), 0x08), 0x0600_0002);
    assert_eq!(read_u32(|r| host.read(r), 0x2C), 0x1100_1AF4);
    assert_eq!(host.read(0x0E), 0x00);
    assert_eq!(read_u32(|r| isa.read(r), 0x00), 0x7000_8086);
    assert_eq!(read_u32(|r| isa.read(r), 0x08) >> 8, 0x06_0100);
    assert_eq!(isa.read(0x0E), 0x80, "more functions follow");
    assert_eq!(read_u32(|r| pm.read(r), 0x00), 0x7113_8086);
    assert_eq!(read_u32(|r| pm.read(r), 0x08) >> 8, 0x06_8000);
}

#[test]
fn base_address_registers_ask_for_nothing() {
    let (mut host, mut isa, mut pm) = (I440fx::new(), Piix3::new(), Piix4Pm::new());
    for register in (0x10..0x28).chain(0x30..0x34) {
        assert!(host.write(register, 0xFF).is_empty());
        assert_eq!(isa.write(register, 0xFF), None);
        pm.write(register, 0xFF);
        assert_eq!([host.read(register), isa.read(register), pm.read(register)], [0; 3]);
    }
}

/// The datasheet's table of PAM registers, address by address.
#[test]
fn each_range_has_its_field() {
    let table: [(u8, u32, u64); 13] = [
        (0x59, 4, 0xF_0000),
        (0x5A, 0, 0xC_0000),
        (0x5A, 4, 0xC_4000),
        (0x5B, 0, 0xC_8000),
        (0x5B, 4, 0xC_C000),
        (0x5C, 0, 0xD_0000),
        (0x5C, 4, 0xD_4000),
        (0x5D, 0, 0xD_8000),
        (0x5D, 4, 0xD_C000),
        (0x5E, 0, 0xE_0000),
        (0x5E, 4, 0xE_4000),
        (0x5F, 0, 0xE_8000),
        (0x5F, 4, 0xE_C000),
    ];
    for (register, shift, start) in table {
        for (bits, access) in [(1, PamAccess::READ), (2, PamAccess::WRITE), (3, PamAccess::all())] {
            let mut host = I440fx::new();
            let changed = host.write(register, bits << shift);
            let range = PamRange::containing(start).unwrap();
            assert!(changed.iter().eq([range]), "{register:#x}");
            assert_eq!(u64::from(range.start()), start);
            assert_eq!(host.pam(range), access);
            let others = PamRange::all().filter(|&other| other != range);
            assert!(others.into_iter().all(|other| host.pam(other).is_empty()));
            assert!(host.write(register, bits << shift).is_empty(), "no change");
        }
    }
}

#[test]
fn ranges_fill_the_space_below_a_mebibyte() {
    let mut next = 0xC_0000;
    for range in PamRange::all() {
        assert_eq!(range.start(), next);
        next += range.size_bytes();
    }
    assert_eq!(next, 0x10_0000);
    assert_eq!(PamRange::containing(0xB_FFFF), None);
    assert_eq!(PamRange::containing(0xF_FFFF), Some(PamRange::FIRMWARE));
    assert_eq!(PamRange::containing(0x10_0000), None);
}

/// SeaBIOS, make_bios_writable_intel and make_bios_readonly_intel.
#[test]
fn seabios_opens_and_closes_its_shadow() {
    let mut host = I440fx::new();
    let mut changed = host.write(0x59, host.read(0x59) | 0x30);
    for register in 0x5A..=0x5F {
        changed = changed.union(host.write(register, 0x33));
    }
    assert_eq!(changed.iter().count(), 13);
    assert!(PamRange::all().all(|range| host.pam(range) == PamAccess::all()));
    assert!(host.write(0x59, 0x10).contains(PamRange::FIRMWARE));
    assert_eq!(host.pam(PamRange::FIRMWARE), PamAccess::READ);
    host.reset();
    assert!(PamRange::all().all(|range| host.pam(range).is_empty()));
}

#[test]
fn smram_closes_for_good_when_locked() {
    let mut host = I440fx::new();
    assert_eq!(host.read(0x72), 0x02);
    assert!(!host.smram().is_enabled());
    let _ = host.write(0x72, 0x4A);
    assert!(host.smram().is_open());
    let _ = host.write(0x72, 0x5A);
    assert_eq!(host.read(0x72), 0x1A);
    assert!(host.smram().is_locked());
    let _ = host.write(0x72, 0x4A);
    assert_eq!(host.read(0x72), 0x1A);
    let _ = host.write(0x72, 0x2A);
    assert!(host.smram().is_closed());
}

#[test]
fn status_bits_clear_by_ones_and_are_never_set_by_them() {
    let mut host = I440fx::new();
    let _ = host.write(0x07, 0xFF);
    assert_eq!((host.read(0x06), host.read(0x07)), (0x80, 0x02));
    let _ = host.write(0x04, 0xFF);
    assert_eq!(host.read(0x04), 0x46);
}

#[test]
fn pci_lines_are_routed_to_their_irqs() {
    let mut isa = Piix3::new();
    assert!(PirqLine::ALL.iter().all(|&line| isa.route(line).is_none()));
    assert_eq!(isa.write(0x60, 10), Some(PirqLine::A));
    assert_eq!(isa.write(0x60, 10), None, "no change");
    assert_eq!(isa.write(0x63, 0x7B), Some(PirqLine::D));
    assert_eq!(isa.read(0x63), 0x0B);
    assert_eq!((isa.route(PirqLine::A), isa.route(PirqLine::D)), (Some(10), Some(11)));
    assert_eq!(isa.write(0x60, 0x8A), Some(PirqLine::A));
    assert_eq!(isa.route(PirqLine::A), None);
}

#[test]
fn irqs_that_are_not_for_pci_take_no_line() {
    let mut isa = Piix3::new();
    let routed = |irq: &u8| {
        let _ = isa.write(0x61, *irq);
        isa.route(PirqLine::B) == Some(*irq)
    };
    let allowed: Vec<u8> = (0..16).filter(routed).collect();
    assert_eq!(allowed, [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15]);
}

#[test]
fn power_management_answers_where_and_when_it_is_told() {
    let mut pm = Piix4Pm::new();
    assert_eq!(read_u32(|r| pm.read(r), 0x40), 0x0000_0001);
    pm.write(0x40, 0x01);
    pm.write(0x41, 0x06);
    assert_eq!(pm.pm_base(), None);
    pm.write(0x80, 0x01);
    assert_eq!(pm.pm_base(), Some(0x0600));
    pm.write(0x40, 0xFF);
    assert_eq!(pm.pm_base(), Some(0x06C0));
    assert_eq!(pm.read(0x40), 0xC1);
    pm.reset();
    assert_eq!(pm.pm_base(), None);
}

/// SeaBIOS would otherwise wait for a system management interrupt that never comes.
#[test]
fn system_management_mode_looks_set_up() {
    let mut pm = Piix4Pm::new();
    assert_ne!(read_u32(|r| pm.read(r), 0x58) & 1 << 25, 0);
    pm.write(0x5B, 0x00);
    assert_ne!(read_u32(|r| pm.read(r), 0x58) & 1 << 25, 0);
}

/// Linux' SMBus driver keeps away from a host controller that is not enabled.
#[test]
fn there_is_no_smbus() {
    let mut pm = Piix4Pm::new();
    pm.write(0xD2, 0x09);
    assert_eq!(pm.read(0xD2) & 1, 0);
}

proptest! {
    #[test]
    fn address_goes_where_its_fields_say(bus: u8, device in 0u8..32, function in 0u8..8, register: u8) {
        let mut address = ConfigAddress::new();
        let value = 1 << 31 | u32::from(bus) << 16 | u32::from(device) << 11
            | u32::from(function) << 8 | u32::from(register & 0xFC);
        address.write(value);
        prop_assert_eq!(address.read(), value);
        let target = address.target(register & 3).unwrap();
        prop_assert_eq!(target.function, PciFunction::new(bus, device, function));
        prop_assert_eq!(target.register, register);
    }
}
