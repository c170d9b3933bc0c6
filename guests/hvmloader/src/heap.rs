//! The heap: a part of the image's own memory that is handed out from one end, and never taken
//! back. hvmloader runs once and is then gone.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The firmware, twice 256 KiB at the most, and tables, whose lists grow by doubling.
const HEAP_BYTES: usize = 2 << 20;

#[repr(align(4096))]
struct Heap {
    bytes: UnsafeCell<[u8; HEAP_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: `bytes` is only reached through `alloc`, which gives every part of it out once.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { bytes: UnsafeCell::new([0; HEAP_BYTES]), used: AtomicUsize::new(0) };

// SAFETY: what `alloc` returns is a part of `bytes` that it never returned before, aligned as
// asked; there is no unwinding here.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.bytes.get().cast::<u8>();
        let place = |used: usize| {
            let at = start.addr().checked_add(used)?.checked_next_multiple_of(layout.align())?;
            let end = (at - start.addr()).checked_add(layout.size())?;
            (end <= HEAP_BYTES).then_some((at - start.addr(), end))
        };
        let end = |used| place(used).map(|(_, end)| end);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end) {
            // The same answer as in the exchange that succeeded.
            Ok(before) => place(before).map_or(ptr::null_mut(), |(at, _)| start.wrapping_add(at)),
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
