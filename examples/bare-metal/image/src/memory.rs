//! The host's memory: a heap for small things, and who owns the rest.

use core::ptr;
use core::slice;
use core::sync::atomic::AtomicU64;

use bare_metal_image::BootInfo;
use boot_plan::{Error, Layout, MemoryMap, Request};
use ept::Table;
use guest_state::{Gpa, GpaRange, Hpa, PageSize};
use linked_list_allocator::LockedHeap;

use crate::hardware::MAPPED_END;

const HEAP_BYTES: usize = 8 << 20;

#[repr(C, align(4096))]
struct HeapMemory([u8; HEAP_BYTES]);

static mut HEAP_MEMORY: HeapMemory = HeapMemory([0; HEAP_BYTES]);

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

// SAFETY: the linker defines both, at the two ends of the image; only their addresses are used.
unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
}

/// Makes the heap usable.
///
/// # Safety
/// It is called once, before anything is allocated.
pub(crate) unsafe fn init_heap() {
    let memory = &raw mut HEAP_MEMORY;
    // SAFETY: the memory is this heap's alone, since the static has no other user, and by the
    // caller's promise it is handed over once.
    unsafe { HEAP.lock().init(memory.cast(), HEAP_BYTES) };
}

/// Memory of the host that is handed out for good.
#[derive(Debug)]
pub(crate) struct HostMemory {
    layout: Layout,
}

impl HostMemory {
    /// Begins with all RAM but what the loader, the image and the start of other processors use.
    pub(crate) fn new(info: &BootInfo) -> Self {
        let mut layout = Layout::new(&info.memory);
        let image = [&raw const image_start as u64, &raw const image_end as u64].map(Gpa::new);
        let first_mib = GpaRange::new(Gpa::ZERO, 1 << 20);
        let ranges = info.in_use.iter().copied().map(pages);
        for range in ranges.chain(GpaRange::from_bounds(image[0], image[1])).chain(first_mib) {
            // Parts may be listed twice; what is kept out once stays out.
            reserve(&mut layout, range);
        }
        Self { layout }
    }

    /// Takes zeroed RAM for a guest, which CPUs share with it from now on.
    pub(crate) fn guest_ram(
        &mut self,
        size_bytes: u64,
    ) -> Result<(Hpa, &'static [AtomicU64]), Error> {
        let request = Request::pages(size_bytes).aligned(PageSize::Size2M.bytes());
        let range = self.place("guest RAM", request)?;
        let words = usize::try_from(range.size_bytes() / 8).unwrap_or(0);
        let start = range.start().as_u64();
        // SAFETY:
        // 1. The range is RAM that the layout gives to nobody else, mapped one to one.
        // 2. It is aligned to a page; zeros are valid values.
        unsafe { ptr::write_bytes(start as *mut u8, 0, words * 8) };
        // SAFETY: as above; from now on the range is accessed as atomics alone, and by the guest.
        Ok((Hpa::new(start), unsafe { slice::from_raw_parts(start as *const AtomicU64, words) }))
    }

    /// Takes RAM for page tables.
    pub(crate) fn tables(&mut self, count: usize) -> Result<(Hpa, &'static [Table]), Error> {
        let size_bytes = count as u64 * PageSize::Size4K.bytes();
        let start = self.place("page tables", Request::pages(size_bytes))?.start().as_u64();
        // SAFETY: as for `guest_ram`; a table is a page of 512 atomics.
        unsafe { ptr::write_bytes(start as *mut Table, 0, count) };
        // SAFETY: as for `guest_ram`.
        Ok((Hpa::new(start), unsafe { slice::from_raw_parts(start as *const Table, count) }))
    }

    fn place(&mut self, owner: &'static str, request: Request) -> Result<GpaRange, Error> {
        let mapped = GpaRange::new(Gpa::ZERO, MAPPED_END).unwrap_or_default();
        self.layout.place(owner, request.within(mapped).highest())
    }
}

/// Keeps what is free of `range` out of what is handed out.
fn reserve(layout: &mut Layout, range: GpaRange) {
    let mut start = range.start();
    let owned = layout.owners().iter().map(|(_, other)| *other);
    let in_the_way: alloc::vec::Vec<_> = owned.filter(|other| other.overlaps(range)).collect();
    for other in in_the_way {
        if let Some(free) = GpaRange::from_bounds(start, other.start()) {
            let _ = layout.reserve("in use", free);
        }
        start = start.max(other.end());
    }
    if let Some(free) = GpaRange::from_bounds(start, range.end()) {
        let _ = layout.reserve("in use", free);
    }
}

/// Widens a range to whole pages.
fn pages(range: GpaRange) -> GpaRange {
    let start = range.start().page_base(PageSize::Size4K);
    let end = range.end().align_up(PageSize::Size4K.bytes()).unwrap_or(range.end());
    GpaRange::from_bounds(start, end).unwrap_or(range)
}

/// A sum of the host's BIOS area, 640 KiB to 1 MiB without video memory: what a guest must not
/// change.
pub(crate) fn bios_area_sum() -> u64 {
    const START: u64 = 0xC_0000;
    const END: u64 = 0x10_0000;
    let words = usize::try_from((END - START) / 8).unwrap_or(0);
    // SAFETY: mapped one to one, aligned; ROM or RAM that nothing writes to while this runs.
    let area = unsafe { slice::from_raw_parts(START as *const u64, words) };
    area.iter().fold(0, |sum: u64, word| sum.rotate_left(5).wrapping_mul(31).wrapping_add(*word))
}

/// Returns how many bytes of RAM the host has.
pub(crate) fn ram_bytes(map: &MemoryMap) -> u64 {
    map.size_bytes(guest_state::MemoryKind::RAM)
}
