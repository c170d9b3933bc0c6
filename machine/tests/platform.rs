//! What a machine has in memory besides what was asked for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use boot_plan::Placement;
use elf_boot::{Boot, Image};
use guest_state::{Gpa, GpaRange};
use machine::{Machine, Platform, Start};

/// A flat Multiboot kernel that is loaded at `address`.
fn kernel(address: u32) -> Vec<u8> {
    let flags = 1 << 16;
    let sum = 0x1BAD_B002_u32.wrapping_add(flags).wrapping_neg();
    let words = [0x1BAD_B002, flags, sum, address, address, 0, 0, address + 0x20];
    let mut file: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    file.resize(0x100, 0xF4);
    file
}

fn machine(kernel: &[u8]) -> Machine<'_> {
    let start = Start::Kernel { boot: Boot::new(Image::new(kernel)), protocol: None };
    Platform {
        memory_bytes: 64 << 20,
        cpus: 1,
        cpu_signature: 0,
        epoch_seconds: 0,
        disks: Vec::new(),
        start,
    }
    .build()
    .unwrap()
}

fn at<'p, 'a>(machine: &'p Machine<'a>, gpa: u64) -> Option<&'p Placement<'a>> {
    let wanted = GpaRange::new(Gpa::new(gpa), 1).unwrap();
    let holds = |p: &&Placement<'_>| p.range().unwrap().contains_range(wanted);
    machine.plan.placements.iter().find(holds)
}

#[test]
fn the_bios_data_area_says_where_conventional_memory_ends() {
    let kernel = kernel(0x10_0000);
    let machine = machine(&kernel);
    let area = at(&machine, 0x40E).unwrap();
    assert_eq!(area.gpa, Gpa::new(0x400));
    let bytes = area.contents.bytes().unwrap();
    // 40:0Eh is the segment of the extended area, 40:13h counts KiB: the map has 9_FC00h.
    assert_eq!(bytes[0x0E..0x10], 0x9FC0_u16.to_le_bytes());
    assert_eq!(bytes[0x13..0x15], 639_u16.to_le_bytes());
    assert_eq!(bytes.iter().filter(|&&byte| byte != 0).count(), 4);
}

#[test]
fn a_kernel_may_lie_where_a_bios_has_its_data() {
    let kernel = kernel(0x400);
    let machine = machine(&kernel);
    assert_eq!(at(&machine, 0x40E).unwrap().tag, "kernel");
    assert_eq!(machine.plan.vcpus[0].rip, 0x420);
}
