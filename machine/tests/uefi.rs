//! What UEFI firmware finds: itself in flash, the power management, and a kernel to start.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use boot_plan::Protection;
use guest_state::{Gpa, GpaRange};
use machine::{Devices, EfiKernel, Machine, Nanos, Platform, Start};

use common::Ram;

const NOW: Nanos = Nanos::new(0);
const CODE: [u8; 0x3000] = [0xF4; 0x3000];
const VARIABLES: [u8; 0x1000] = [0xFF; 0x1000];
const KERNEL: EfiKernel<'_> =
    EfiKernel { kernel: b"MZ, an application", initrd: b"files", command_line: b"quiet" };

fn machine(start: Start<'_>) -> Machine<'_> {
    Platform {
        memory_bytes: 64 << 20,
        cpus: 2,
        cpu_signature: 0x1234,
        epoch_seconds: 0,
        disks: Vec::new(),
        start,
    }
    .build()
    .unwrap()
}

fn uefi(kernel: Option<EfiKernel<'static>>) -> Machine<'static> {
    machine(Start::Uefi { code: &CODE, variables: &VARIABLES, kernel })
}

/// Reads a register of a PCI function on bus 0.
fn config(devices: &mut Devices<'_>, device: u32, function: u32, register: u32) -> u32 {
    let address = 1 << 31 | device << 11 | function << 8 | register;
    devices.port_write(0xCF8, 4, &address.to_le_bytes(), NOW, &mut Ram::none());
    let mut value = [0; 4];
    devices.port_read(0xCFC, 4, &mut value, NOW, &mut Ram::none());
    u32::from_le_bytes(value)
}

/// Reads an item of the configuration device.
fn item(devices: &mut Devices<'_>, key: u16, size: usize) -> Vec<u8> {
    devices.port_write(0x510, 2, &key.to_le_bytes(), NOW, &mut Ram::none());
    let mut bytes = vec![0; size];
    devices.port_read(0x511, 1, &mut bytes, NOW, &mut Ram::none());
    bytes
}

#[test]
fn flash_ends_at_4_gib_and_is_read_as_rom() {
    let Machine { plan, has_shadow, has_reset_vector, flash: writable, .. } = uefi(None);
    let flash: Vec<_> = plan
        .roms()
        .map(|rom| (rom.gpa.as_u64(), rom.contents.size_bytes(), rom.protection))
        .collect();
    assert_eq!(
        flash,
        [(0xFFFF_D000, 0x3000, Protection::ReadOnly), (0xFFFF_C000, 0x1000, Protection::ReadOnly)]
    );
    // Reads go there as to a ROM, writes come as exits.
    assert_eq!(writable, GpaRange::new(Gpa::new(0xFFFF_C000), 0x1000));
    assert!(has_reset_vector && !has_shadow);
    let first = &plan.vcpus[0];
    assert_eq!(first.cs.base + first.rip, 0xFFFF_FFF0);
    assert_eq!(first.general.rdx, 0x1234);
}

#[test]
fn power_management_is_where_the_tables_say_and_stays_there() {
    let mut devices = uefi(None).devices;
    assert_eq!(config(&mut devices, 1, 3, 0x00), 0x7113_8086);
    // The address of a port, 600h, and that it answers: OVMF looks, and sets up what is not.
    assert_eq!(config(&mut devices, 1, 3, 0x40), 0x601);
    assert_eq!(config(&mut devices, 1, 3, 0x80) & 1, 1);
    for (register, value) in [(0x40, 0xB001_u32), (0x80, 0), (0x3C, 0xB)] {
        let address: u32 = 1 << 31 | 1 << 11 | 3 << 8 | register;
        devices.port_write(0xCF8, 4, &address.to_le_bytes(), NOW, &mut Ram::none());
        devices.port_write(0xCFC, 4, &value.to_le_bytes(), NOW, &mut Ram::none());
    }
    assert_eq!(config(&mut devices, 1, 3, 0x40), 0x601);
    assert_eq!(config(&mut devices, 1, 3, 0x80) & 1, 1);
    // All else can be written.
    assert_eq!(config(&mut devices, 1, 3, 0x3C) & 0xFF, 0xB);
    devices.reset();
    assert_eq!(config(&mut devices, 1, 3, 0x3C) & 0xFF, 9);

    // A BIOS sets it up by itself, where it is anyway.
    let bios = vec![0xF4; 0x1_0000];
    let mut others = machine(Start::Firmware { image: &bios, floppy: None }).devices;
    assert_eq!(config(&mut others, 1, 3, 0x00), u32::MAX);
}

#[test]
fn the_kernel_is_in_the_configuration_whole() {
    let mut devices = uefi(Some(KERNEL)).devices;
    // Sizes and data of kernel, initrd and command line, by QEMU's keys.
    for (size_key, data_key, expected) in
        [(0x08, 0x11, KERNEL.kernel), (0x0B, 0x12, KERNEL.initrd), (0x14, 0x15, b"quiet\0")]
    {
        let size = u32::try_from(expected.len()).unwrap();
        assert_eq!(item(&mut devices, size_key, 4), size.to_le_bytes());
        assert_eq!(item(&mut devices, data_key, expected.len()), expected);
    }
    // The part of a bzImage that other loaders take for themselves.
    assert_eq!(item(&mut devices, 0x17, 4), [0; 4]);
    let mut without = uefi(None).devices;
    assert_eq!(item(&mut without, 0x08, 4), [0; 4]);
}

#[test]
fn flash_of_a_wrong_size_is_refused() {
    let start = Start::Uefi { code: &CODE[1..], variables: &VARIABLES, kernel: None };
    let platform = Platform {
        memory_bytes: 64 << 20,
        cpus: 1,
        cpu_signature: 0,
        epoch_seconds: 0,
        disks: Vec::new(),
        start,
    };
    assert!(matches!(platform.build(), Err(machine::Error::Firmware(_))));
}
