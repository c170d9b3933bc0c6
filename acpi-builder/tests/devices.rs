//! Devices and AML: bytes as the grammar has them, and what can't be said is refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use acpi_builder::aml::{FieldAccess, Resources, Terms};
use acpi_builder::devices::{
    AmlDevice, FwCfgDevice, GedEvent, GenericEventDevice, PciFunction, PowerButton,
    SystemResources, TpmDevice, VirtioMmio, VmClock, VmGenerationId,
};
use acpi_builder::{
    BootArch, Dsdt, EcamRegion, Error, FixedHardware, GpeBlock, IntiFlags, Mcfg, PciAddress,
    Processors, RegionSpace,
};
use common::machine::range;
use guest_state::{Gpa, GpaRange};

fn bytes(device: &impl AmlDevice) -> Result<Vec<u8>, Error> {
    let mut scope = Terms::new();
    device.append_to(&mut scope)?;
    Ok(scope.into_bytes())
}

#[test]
fn a_power_resource_starts_with_its_opcode_the_right_way_round() {
    let mut terms = Terms::new();
    let mut inner = Terms::new();
    inner.name(*b"_STA", &1_u8).unwrap();
    terms.power_resource(*b"PWRS", 3, 0x0102, &inner).unwrap();
    assert_eq!(terms.into_bytes(), b"\x5B\x84\x0EPWRS\x03\x02\x01\x08_STA\x01");
}

#[test]
fn devices_are_the_aml_that_the_grammar_gives() {
    assert_eq!(bytes(&PowerButton).unwrap(), b"\x5B\x82\x0FPWRB\x08_HID\x0C\x41\xD0\x0C\x0C");
    let fw_cfg: [&[u8]; 5] = [
        b"\x5B\x82\x2EFWCF",
        b"\x08_HID\x0DQEMU0002\0",
        b"\x08_STA\x0A\x0B",
        b"\x08_CRS\x11\x0D\x0A\x0A",
        b"\x47\x01\x10\x05\x10\x05\x01\x0C\x79\0",
    ];
    assert_eq!(bytes(&FwCfgDevice::PC).unwrap(), fw_cfg.concat());
    let event = GedEvent {
        gsi: 9,
        flags: IntiFlags::LEVEL_HIGH,
        device: "\\_SB_.PWRB".into(),
        value: 0x80,
    };
    let ged: [&[u8]; 7] = [
        b"\x5B\x82\x49\x04GED_",
        b"\x08_HID\x0DACPI0013\0",
        b"\x08_UID\0",
        b"\x08_CRS\x11\x0E\x0A\x0B\x89\x06\0\x01\x01\x09\0\0\0\x79\0",
        b"\x14\x19_EVT\x09",
        b"\xA0\x12\x93\x68\x0A\x09",
        b"\x86\\\x2E_SB_PWRB\x0A\x80",
    ];
    assert_eq!(bytes(&GenericEventDevice { events: vec![event] }).unwrap(), ged.concat());
}

#[test]
fn all_devices_are_the_bytes_that_were_reviewed() {
    // Beside it is its disassembly.
    let reviewed = include_bytes!("data/devices.aml");
    let processors = Processors::sequential(2).unwrap();
    let dsdt = common::devices::dsdt(&processors).unwrap().build().unwrap();
    assert_eq!(dsdt.body(), &reviewed[36..]);
}

#[test]
fn functions_have_their_place_as_an_address() {
    let address = PciAddress::new(0, 31, 7);
    let function = PciFunction { name: *b"FUNC", address };
    let expected = b"\x5B\x82\x0FFUNC\x08_ADR\x0C\x07\0\x1F\0";
    assert_eq!(bytes(&function).unwrap(), expected);
    let far = PciFunction { address: PciAddress::new(0, 32, 0), ..function };
    assert_eq!(bytes(&far), Err(Error::PciDevice { device: 32 }));
}

#[test]
fn events_that_cannot_be_told_apart_are_refused() {
    let event = |gsi, flags, device: &str| GedEvent { gsi, flags, device: device.into(), value: 1 };
    let ged = |events: &[GedEvent]| bytes(&GenericEventDevice { events: events.to_vec() }).err();
    let sound = event(3, IntiFlags::EDGE_HIGH, "PWRB");
    assert_eq!(ged(std::slice::from_ref(&sound)), None);
    let (field, value) = ("interrupt of an event", 3);
    assert_eq!(ged(&[sound.clone(), sound]), Some(Error::Duplicate { field, value }));
    let (field, value) = ("kind of interrupt", 0);
    let conforming = event(3, IntiFlags::CONFORMING, "PWRB");
    assert_eq!(ged(&[conforming]), Some(Error::Invalid { field, value }));
    let name = event(3, IntiFlags::EDGE_HIGH, "PWR");
    assert_eq!(ged(&[name]), Some(Error::AmlName(*b"PWR\0")));
}

#[test]
fn devices_in_memory_fit_where_they_are() {
    let field = "memory of a device";
    let high = TpmDevice { registers: range(0xFFFF_F000, 0x1001) };
    let (value, max) = (0x1_0000_0000, u64::from(u32::MAX));
    assert_eq!(bytes(&high), Err(Error::OutOfRange { field, value, max }));
    assert!(bytes(&TpmDevice { registers: range(0xFFFF_F000, 0x1000) }).is_ok());
    let empty = VmClock { page: GpaRange::default() };
    assert_eq!(bytes(&empty), Err(Error::EmptyRange { field, start: Gpa::ZERO }));
    let virtio =
        VirtioMmio { number: 0xA5, registers: range(0, 0), gsi: 0, flags: IntiFlags::LEVEL_LOW };
    assert_eq!(bytes(&virtio), Err(Error::EmptyRange { field, start: Gpa::ZERO }));
    let registers = range(0xFEB0_0000, 0x200);
    let named = bytes(&VirtioMmio { registers, ..virtio }).unwrap();
    assert_eq!(named[4..8], *b"VRA5");
    let odd = VmGenerationId { address: Gpa::new(0x1004) };
    let (field, value) = ("address of the generation", 0x1004);
    assert_eq!(bytes(&odd), Err(Error::Invalid { field, value }));
}

#[test]
fn fixed_hardware_is_kept_clear() {
    let mut registers = FixedHardware::piix4(0xB000);
    registers.gpe0 = Some(GpeBlock { port: 0xAFE0, size_bytes: 4 });
    let region = |base| EcamRegion { base: Gpa::new(base), segment: 0, buses: 0..=0xFF };
    let regions = vec![region(0xB000_0000), region(0x10_0000_0000)];
    let resources = SystemResources::fixed_hardware(&registers)
        .configuration_spaces(&Mcfg { regions })
        .unwrap();
    assert_eq!(resources.ports, [(0xB000, 4), (0xB004, 2), (0xB008, 4), (0xAFE0, 4)]);
    assert_eq!(resources.memory, [range(0xB000_0000, 0x1000_0000)]);
}

#[test]
fn a_mouse_alone_needs_the_controller_too() {
    let cpus = Processors::sequential(1).unwrap();
    let mut dsdt = Dsdt::new(&cpus);
    dsdt.mouse = true;
    assert!(dsdt.boot_arch().contains(BootArch::KEYBOARD_8042 | BootArch::LEGACY_DEVICES));
    let body = dsdt.build().unwrap().body().to_vec();
    assert!(body.windows(4).any(|name| name == b"MOU_"));
    for change in [
        |dsdt: &mut Dsdt<'_>| dsdt.s3_sleep_type = Some(8),
        |dsdt: &mut Dsdt<'_>| dsdt.s4_sleep_type = Some(8),
    ] {
        let mut dsdt = Dsdt::new(&cpus);
        change(&mut dsdt);
        assert_eq!(dsdt.build(), Err(Error::SleepType { sleep_type: 8 }));
    }
}

#[test]
fn terms_that_aml_does_not_have_are_refused() {
    let (mut terms, inner) = (Terms::new(), Terms::new());
    let name = *b"pci0";
    let refused = Err(Error::AmlName(name));
    assert_eq!(terms.name(name, &0_u8), refused);
    assert_eq!(terms.device(name, &inner), refused);
    assert_eq!(terms.method(name, 0, &inner), refused);
    assert_eq!(terms.power_resource(name, 0, 0, &inner), refused);
    assert_eq!(terms.region(name, RegionSpace::SYSTEM_IO, 0, 1), refused);
    assert_eq!(terms.fields(name, FieldAccess::Byte, &[]), refused);
    assert_eq!(terms.fields(*b"REGA", FieldAccess::Byte, &[(name, 1)]), refused);
    assert_eq!(terms.scope("pci0", &inner), refused);
    let (field, value, max) = ("number of arguments", 8, 7);
    assert_eq!(terms.method(*b"METH", 8, &inner), Err(Error::OutOfRange { field, value, max }));
    for (offset, size) in [(0, 0), (u64::MAX, 2)] {
        let region = terms.region(*b"REGA", RegionSpace::SYSTEM_MEMORY, offset, size);
        assert_eq!(region, Err(Error::Invalid { field: "size of a region", value: size }));
    }
    let text = terms.text(*b"_STR", "naïve");
    assert!(matches!(text, Err(Error::Invalid { field: "character of a text", .. })));
    assert_eq!(terms.into_bytes(), []);
    assert_eq!(Resources::new().isa_irq(16), Err(Error::IsaIrq { irq: 16 }));
    let (port, size_bytes) = (0xFFFF, 2);
    assert_eq!(Resources::new().ports(0xFFFF, 2), Err(Error::IoPorts { port, size_bytes }));
}
