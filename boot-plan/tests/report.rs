//! What `report()` prints.

#![allow(clippy::unwrap_used)]

use boot_plan::{BootPlan, MemoryMap, Placement, Protection};
use guest_state::{Gpa, VcpuState};

#[test]
fn a_report_names_every_range_and_the_start_of_every_cpu() {
    let mut plan = BootPlan::new(MemoryMap::pc(64 << 20).unwrap());
    plan.placements.push(Placement::bytes("kernel", Gpa::new(0x10_0000), vec![0xF4; 0x3000]));
    plan.placements.push(
        Placement::bytes("bios", Gpa::new(0xFFFF_0000), vec![0; 0x1_0000])
            .protected(Protection::ReadOnly),
    );
    plan.vcpus = vec![VcpuState::flat32(0x10_0000), VcpuState::reset_application_processor(0)];
    let report = plan.report().to_string();
    println!("{report}");
    for line in [
        "  0x000000000000 .. 0x00000009fc00    639 KiB  usable",
        "  0x000000100000 .. 0x000004000000     63 MiB  usable",
        "  0x000000100000 .. 0x000000103000     12 KiB  rw  kernel",
        "  0x0000ffff0000 .. 0x000100000000     64 KiB  ro  bios",
        "cpu 0: 32-bit protected mode, no paging, next instruction at 0x100000",
        "      cs 0010  base 0000000000000000  limit ffffffff  access c09b",
        "cpu 1: waits for its SIPI",
    ] {
        assert!(report.lines().any(|have| have == line), "no line {line:?} in\n{report}");
    }
}
