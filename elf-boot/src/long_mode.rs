//! Entering a kernel in 64-bit mode: page tables and a GDT that stand in memory.

use alloc::vec::Vec;
use core::iter;

use guest_state::{Gpa, PageSize, VcpuState};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use crate::draft::Draft;
use crate::{Error, gdt};

/// What the page tables map at least.
const LEAST_MAPPED_BYTES: u64 = 4 << 30;
/// What one page of third-level entries reaches: the most that is mapped.
pub(crate) const MOST_MAPPED_BYTES: u64 = 512 << 30;

/// Entries of a table, and bytes of one.
const TABLE_ENTRIES: u64 = 512;
const TABLE_BYTES: u64 = 0x1000;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;

/// Places page tables and GDT and returns a CPU that starts at `entry`, its addresses mapped to
/// themselves: the first 4 GiB, or more if the kernel ends higher.
pub(crate) fn enter(
    entry: Gpa,
    kernel_end: Gpa,
    draft: &mut Draft<'_>,
) -> Result<VcpuState, Error> {
    let mapped_bytes = kernel_end.as_u64().max(LEAST_MAPPED_BYTES);
    if mapped_bytes > MOST_MAPPED_BYTES {
        return Err(Error::KernelTooHigh { end: kernel_end });
    }
    let directories = mapped_bytes.div_ceil(PageSize::Size1G.bytes());
    let tables = draft.claim_pages("page tables", (2 + directories) * TABLE_BYTES)?;
    draft.put("page tables", tables, identity_tables(tables, directories));

    gdt::with_gdt(VcpuState::long_mode(entry.as_u64(), tables), draft)
}

/// Makes 4-level tables for `root` that map the first `directories` GiB to themselves by pages of
/// 2 MiB, which every 64-bit CPU has.
fn identity_tables(root: Gpa, directories: u64) -> Vec<u8> {
    let table = |index: u64| (root.as_u64() + index * TABLE_BYTES) | PRESENT | WRITABLE;
    let empty = |count| iter::repeat_n(0, usize::try_from(count).unwrap_or(0));
    let pages = (0..directories * TABLE_ENTRIES)
        .map(|index| (index * PageSize::Size2M.bytes()) | PRESENT | WRITABLE | LARGE);
    let entries: Vec<U64> = iter::once(table(1))
        .chain(empty(TABLE_ENTRIES - 1))
        .chain((0..directories).map(|index| table(2 + index)))
        .chain(empty(TABLE_ENTRIES - directories))
        .chain(pages)
        .map(U64::new)
        .collect();
    entries.as_bytes().to_vec()
}
