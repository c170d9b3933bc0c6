//! What `check` refuses and `apply` writes.

#![allow(clippy::unwrap_used)]

use core::sync::atomic::AtomicU64;

use boot_plan::{BootPlan, Contents, Error, FileId, MemoryMap, Placement, Protection};
use guest_state::{Gpa, GuestMemory, VcpuState, WordMemory};

fn plan() -> BootPlan<'static> {
    let mut plan = BootPlan::new(MemoryMap::pc(16 << 20).unwrap());
    plan.placements.push(Placement::borrowed("kernel", Gpa::new(0x10_0000), b"\xF4kernel"));
    plan.vcpus.push(VcpuState::flat32(0x10_0000));
    plan
}

#[test]
fn a_sound_plan_passes() {
    plan().check().unwrap();
}

#[test]
fn overlapping_placements_are_refused_by_name() {
    let mut plan = plan();
    plan.placements.push(Placement::zeros("bss", Gpa::new(0x10_0006), 1));
    assert!(matches!(plan.check(), Err(Error::Overlap { owner: "bss", other: "kernel", .. })));
}

#[test]
fn memory_that_is_not_there_takes_only_roms() {
    let mut plan = plan();
    let rom = Placement::zeros("rom", Gpa::new(0xFFFF_0000), 0x1_0000);
    plan.placements.push(rom.clone().protected(Protection::ReadOnly));
    plan.check().unwrap();
    plan.placements.pop();
    plan.placements.push(rom);
    assert!(matches!(plan.check(), Err(Error::NotInMemory { owner: "rom", .. })));
}

#[test]
fn a_placement_past_the_end_of_everything_is_refused() {
    let mut plan = plan();
    plan.placements.push(Placement::zeros("bss", Gpa::new(u64::MAX - 1), 2));
    assert!(matches!(plan.check(), Err(Error::PastEnd { .. })));
    plan.placements.pop();
    plan.placements.push(Placement::zeros("bss", Gpa::new(0x20_0000), 0));
    assert!(matches!(plan.check(), Err(Error::Empty { .. })));
}

#[test]
fn a_cpu_that_starts_nowhere_is_refused() {
    let mut plan = plan();
    plan.vcpus = vec![VcpuState::flat32(0x20_0000)];
    assert!(matches!(plan.check(), Err(Error::NothingToExecute { index: 0, .. })));
    // Long mode whose page tables nobody placed.
    plan.vcpus = vec![VcpuState::long_mode(0x10_0000, Gpa::new(0x9000))];
    assert!(matches!(plan.check(), Err(Error::EntryNotMapped { index: 0, .. })));
    plan.vcpus.clear();
    assert_eq!(plan.check(), Err(Error::NoVcpu));
}

#[test]
fn a_cpu_in_long_mode_is_followed_through_the_placed_tables() {
    let mut plan = plan();
    let mut tables = vec![0; 0x3000];
    tables[0..8].copy_from_slice(&0xA003_u64.to_le_bytes());
    tables[0x1000..0x1008].copy_from_slice(&0xB003_u64.to_le_bytes());
    tables[0x2000..0x2008].copy_from_slice(&0x83_u64.to_le_bytes());
    plan.placements.push(Placement::bytes("page tables", Gpa::new(0x9000), tables));
    plan.vcpus = vec![VcpuState::long_mode(0x10_0000, Gpa::new(0x9000))];
    plan.check().unwrap();
}

#[test]
fn apply_writes_what_is_ram_and_leaves_zeros_and_roms() {
    let words: Vec<AtomicU64> = (0..0x40_0000 / 8).map(|_| AtomicU64::new(0)).collect();
    let memory = WordMemory::new(Gpa::ZERO, &words);
    let file = Contents::File { file: FileId(0), offset: 2, bytes: b"part" };
    let mut plan = plan();
    plan.placements.push(Placement::new("file", Gpa::new(0x20_0001), file));
    plan.placements.push(Placement::zeros("bss", Gpa::new(0x20_0005), 100));
    plan.placements.push(
        Placement::borrowed("rom", Gpa::new(0x20_0006), b"rom").protected(Protection::Shadowed),
    );
    assert_eq!(plan.roms().map(|rom| rom.tag).collect::<Vec<_>>(), ["rom"]);
    plan.apply(&memory).unwrap();
    let mut bytes = [0; 8];
    memory.read(Gpa::new(0x10_0000), &mut bytes).unwrap();
    assert_eq!(&bytes, b"\xF4kernel\0");
    memory.read(Gpa::new(0x20_0000), &mut bytes).unwrap();
    assert_eq!(&bytes, b"\0part\0\0\0");
}

#[test]
fn what_is_in_place_is_not_written() {
    let words: Vec<AtomicU64> = (0..0x20_0000 / 8).map(|_| AtomicU64::new(0)).collect();
    let memory = WordMemory::new(Gpa::ZERO, &words);
    let after = |in_place: core::ops::Range<usize>| {
        memory.write(Gpa::new(0x10_0000), b"........").unwrap();
        plan().apply_rest(&memory, |_| in_place.clone()).map(|()| {
            let mut bytes = [0; 8];
            memory.read(Gpa::new(0x10_0000), &mut bytes).unwrap();
            bytes
        })
    };
    assert_eq!(after(0..0), Ok(*b"\xF4kernel."));
    assert_eq!(after(1..3), Ok(*b"\xF4..rnel."));
    assert_eq!(after(0..7), Ok(*b"........"));
    // The placement has seven bytes.
    assert!(matches!(after(0..8), Err(Error::Write { tag: "kernel", .. })));
    assert!(matches!(after(8..8), Err(Error::Write { tag: "kernel", .. })));
}

#[test]
fn apply_names_what_memory_refused() {
    let words = [const { AtomicU64::new(0) }; 4];
    let memory = WordMemory::new(Gpa::ZERO, &words);
    assert!(matches!(plan().apply(&memory), Err(Error::Write { tag: "kernel", .. })));
}
