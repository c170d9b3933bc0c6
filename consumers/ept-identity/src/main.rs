//! Maps the first 64 GiB of guest-physical memory to themselves, with the memory types that the
//! host's MTRRs give them, and prints what that took.

use ept::{Ept, EptAttributes, EptCaps, Error, FramePool, Table};
use guest_state::{Gpa, GpaRange, Hpa, MemoryType, Mtrrs, VariableMtrr};

fn main() -> Result<(), Error> {
    // What a hypervisor reads from its CPU: memory is write-back but for 3 to 4 GiB.
    let mut mtrrs = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
    let devices = VariableMtrr::new(Gpa::new(3 << 30), 1 << 30, MemoryType::UNCACHEABLE, 39);
    mtrrs.variable[0] = devices.unwrap_or_default();
    let caps = EptCaps::new(0x0633_4141, 39);
    let tables = [const { Table::new() }; 4];

    let frames = FramePool::new(Hpa::new(0x10_0000), &tables);
    let mut ept = Ept::new(frames, caps)?;
    let all = GpaRange::new(Gpa::ZERO, 64 << 30).unwrap_or_default();
    let debt = ept.map_by_mtrrs(all, Hpa::ZERO, EptAttributes::RAM, &mtrrs)?;
    assert!(debt.is_empty(), "nothing was mapped before");

    println!("EPTP {:#x}, {} frames left", ept.pointer().bits(), ept.memory().free_count());
    for page in ept.leaves(all)?.take(5) {
        println!("{} {:?} {:?}", page.range(), page.page_size, page.entry.memory_type());
    }
    Ok(())
}
