//! The names of devices, held against who answers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use guest_state::Gpa;
use machine::{Devices, Nanos, Platform, Start};

use common::Ram;

/// The devices of a machine with firmware, which has the most of them.
fn devices(image: &[u8]) -> Devices<'_> {
    let start = Start::Firmware { image, floppy: None };
    let platform = Platform {
        memory_bytes: 64 << 20,
        cpus: 1,
        cpu_signature: 1,
        epoch_seconds: 0,
        disks: vec![],
        start,
    };
    platform.build().unwrap().devices
}

/// Before anything is set up, so that what reads as anything but ones has a device behind it.
#[test]
fn ports_without_a_name_are_ports_that_nobody_answers() {
    let image = [0xF4; 0x2_0000];
    let fresh = devices(&image);
    let mut named = 0;
    for size in [1, 2, 4] {
        for port in 0..=u16::MAX {
            let name = fresh.port_device(port, size);
            named += u32::from(name.is_some() && size == 1);
            let mut data = [0x5A; 4];
            let mut nothing = Ram::none();
            fresh.clone().port_read(port, size, &mut data[..size], Nanos::new(0), &mut nothing);
            fresh.clone().port_write(port, size, &data[..size], Nanos::new(0), &mut nothing);
            let answered = data[..size].iter().any(|byte| *byte != 0xFF);
            assert!(!answered || name.is_some(), "{port:#x}, {size} bytes: {data:x?}");
        }
    }
    // A PC has few ports: a name for all of them would tell nothing.
    assert!(named < 100, "{named}");
}

#[test]
fn devices_in_memory_have_names() {
    let image = [0xF4; 0x2_0000];
    let devices = devices(&image);
    assert_eq!(devices.memory_device(Gpa::new(0xFEC0_0010)), Some("ioapic"));
    assert_eq!(devices.memory_device(Gpa::new(0xFED0_0000)), None);
    assert_eq!(devices.memory_device(Gpa::new(0xF_0000)), None);
}
