//! Bulk edits and random translations, beside `page_table_multiarch` and beside a flat array.
//!
//! `cargo bench -p ept` prints nanoseconds for each leaf or translation: the median of several
//! rounds on memory that was touched before. An array of the same bytes is the floor that no table
//! can pass: "fill" writes one 8-byte entry after the other, "read" reads them in random order.
//! The first factor is that of an array of plain integers, for which the compiler may use vector
//! stores. Table entries are atomics, each written by itself, as hardware may read it at any time,
//! and the compiler never joins these. So the second factor is that of an array of atomics: of
//! filling it for map and unmap, of updating each entry for protect, by a locked instruction where
//! that is needed. Behind each factor stands whether it is within the bar of 1.3. "With flags" is
//! with accessed and dirty flags on, and clear in all leaves: then protect needs the lock.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ept::{
    DirtyBitmap, Ept, EptAttributes, EptCaps, EptControls, EptOptions, EptPermissions, FramePool,
    Table, TableMemory, Use,
};
use guest_state::{Gpa, GpaRange, Hpa, PageSize};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{MappingFlags, PageTable64, PagingHandler, PagingMetaData};

const GIB: u64 = 1 << 30;
const ROUNDS: usize = 9;

/// One size of leaf over so many bytes.
struct Case {
    name: &'static str,
    bytes: u64,
    page: PageSize,
}

const CASES: [Case; 3] = [
    Case { name: "1 TiB in 1 GiB leaves", bytes: 1024 * GIB, page: PageSize::Size1G },
    Case { name: "1 TiB in 2 MiB leaves", bytes: 1024 * GIB, page: PageSize::Size2M },
    Case { name: "64 GiB in 4 KiB leaves", bytes: 64 * GIB, page: PageSize::Size4K },
];

/// Frames for 64 GiB in 4 KiB leaves, and some.
const FRAMES: usize = 32 * 1024 + 256;

fn main() {
    let tables: Vec<Table> = (0..FRAMES).map(|_| Table::new()).collect();
    let tables: &'static [Table] = tables.leak();
    for case in CASES {
        let leaves = (case.bytes / case.page.bytes()) as usize;
        let per_leaf = |seconds: f64| seconds * 1e9 / leaves as f64;
        println!(
            "{} ({leaves} leaves), ns per leaf (times filling plain integers, times the atomics)",
            case.name
        );
        let mut array = vec![1_u64; leaves];
        let fill = per_leaf(median(|| {
            let start = Instant::now();
            fill(black_box(&mut array), case.page.bytes());
            start.elapsed().as_secs_f64()
        }));
        let atomics: Vec<AtomicU64> = (0..leaves).map(|_| AtomicU64::new(1)).collect();
        let fill_atomics = per_leaf(median(|| {
            let start = Instant::now();
            for (entry, at) in black_box(&atomics).iter().zip(0..) {
                entry.store((at * case.page.bytes()) | 0x37, Ordering::Relaxed);
            }
            start.elapsed().as_secs_f64()
        }));
        let update_atomics = per_leaf(median(|| {
            let start = Instant::now();
            for entry in black_box(&atomics) {
                entry.store(entry.load(Ordering::Relaxed) & !2 | 5, Ordering::Relaxed);
            }
            start.elapsed().as_secs_f64()
        }));
        let lock_atomics = per_leaf(median(|| {
            let start = Instant::now();
            for entry in black_box(&atomics) {
                entry.fetch_and(!2, Ordering::Relaxed);
            }
            start.elapsed().as_secs_f64()
        }));
        println!(
            "  floor: fill {fill:.2}, fill atomics {fill_atomics:.2}, update atomics {update_atomics:.2}, locked update {lock_atomics:.2}"
        );
        drop(atomics);
        for (name, controls) in
            [("ept", EptControls::empty()), ("ept with flags", EptControls::ACCESSED_DIRTY)]
        {
            let times = ours(tables, &case, controls).map(per_leaf);
            print!("  {name}:");
            let clear = controls.contains(EptControls::ACCESSED_DIRTY);
            let update = if clear { lock_atomics } else { update_atomics };
            let edits = [("map", fill_atomics), ("protect", update), ("unmap", fill_atomics)];
            for ((edit, floor), ns) in edits.into_iter().zip(times) {
                let [plain, atomics] = [fill, floor].map(|floor| verdict(ns / floor));
                print!(" {edit} {ns:.2} ({plain}, {atomics})");
            }
            println!();
        }
        let [map, protect, unmap] = theirs(tables, &case).map(per_leaf);
        println!("  page_table_multiarch: map {map:.2}, protect {protect:.2}, unmap {unmap:.2}");
    }
    translations(tables);
    harvest(tables);
    split(tables);
}

/// The bar: at most 1.3 times the floor.
const BAR: f64 = 1.3;

/// Says how many times the floor something takes, and whether that is within the bar.
fn verdict(factor: f64) -> String {
    format!("{factor:.2}x {}", if factor <= BAR { "holds" } else { "MISSED" })
}

fn fill(array: &mut [u64], step: u64) {
    for (entry, at) in array.iter_mut().zip(0..) {
        *entry = (at * step) | 0x37;
    }
}

/// The median time of several rounds after one that does not count.
fn median(mut round: impl FnMut() -> f64) -> f64 {
    round();
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn medians<const N: usize>(mut round: impl FnMut() -> [f64; N]) -> [f64; N] {
    round();
    let times: Vec<[f64; N]> = (0..ROUNDS).map(|_| round()).collect();
    std::array::from_fn(|column| {
        let mut column: Vec<f64> = times.iter().map(|row| row[column]).collect();
        column.sort_by(f64::total_cmp);
        column[ROUNDS / 2]
    })
}

fn range(bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::ZERO, bytes).unwrap()
}

fn new_ept(tables: &[Table], page: PageSize, controls: EptControls) -> Ept<FramePool<'_>> {
    let caps = EptCaps::new(0x0633_4141, 46);
    let options = EptOptions { largest_page: page, controls, ..EptOptions::default() };
    Ept::with_options(FramePool::new(Hpa::ZERO, tables), caps, options).unwrap()
}

fn ours(tables: &[Table], case: &Case, controls: EptControls) -> [f64; 3] {
    let mut ept = new_ept(tables, case.page, controls);
    medians(|| {
        let start = Instant::now();
        let debt = ept.map(range(case.bytes), Hpa::ZERO, EptAttributes::RAM).unwrap();
        let mapped = Instant::now();
        let debt = debt + ept.protect(range(case.bytes), EptPermissions::RX).unwrap();
        let protected = Instant::now();
        let debt = debt + ept.unmap(range(case.bytes)).unwrap();
        ept.settle(debt, |_| Ok::<(), ()>(())).unwrap();
        let unmapped = Instant::now();
        [mapped - start, protected - mapped, unmapped - protected].map(|t| t.as_secs_f64())
    })
}

fn theirs(tables: &'static [Table], case: &Case) -> [f64; 3] {
    let base = tables.as_ptr().expose_provenance();
    *POOL.lock().unwrap() = (0..tables.len()).rev().map(|index| base + index * 4096).collect();
    let mut table = PageTable64::<Meta, X64PTE, Handler>::try_new().unwrap();
    let (zero, bytes) = (VirtAddr::from(0), case.bytes as usize);
    let huge = case.page != PageSize::Size4K;
    // An offset that is aligned to the leaf, but to no larger one.
    let offset = case.page.bytes() as usize;
    medians(|| {
        let start = Instant::now();
        let to = |from: VirtAddr| PhysAddr::from(from.as_usize() + offset);
        let flags = MappingFlags::READ | MappingFlags::WRITE | MappingFlags::EXECUTE;
        table.cursor().map_region(zero, to, bytes, flags, huge).unwrap();
        let mapped = Instant::now();
        let flags = MappingFlags::READ | MappingFlags::EXECUTE;
        table.cursor().protect_region(zero, bytes, flags).unwrap();
        let protected = Instant::now();
        table.cursor().unmap_region(zero, bytes).unwrap();
        let unmapped = Instant::now();
        [mapped - start, protected - mapped, unmapped - protected].map(|t| t.as_secs_f64())
    })
}

fn translations(tables: &'static [Table]) {
    let case = &CASES[2];
    let count = 1_000_000;
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % case.bytes
    };
    let addresses: Vec<u64> = (0..count).map(|_| random()).collect();
    let each = |seconds: f64| seconds * 1e9 / f64::from(count);
    let mut array = vec![0_u64; (case.bytes / 4096) as usize];
    fill(&mut array, 4096);
    let read = [false, true].map(|chained| {
        each(median(|| {
            let array = black_box(&array);
            time_chain(&addresses, chained, |gpa| {
                array[(gpa / 4096) as usize] & !0xFFF | gpa & 0xFFF
            })
        }))
    });
    let mut ept = new_ept(tables, case.page, EptControls::empty());
    assert!(ept.map(range(case.bytes), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let ours = [false, true].map(|chained| {
        each(median(|| {
            let ept = black_box(&ept);
            time_chain(&addresses, chained, |gpa| {
                ept.translate(Gpa::new(gpa)).unwrap().hpa.as_u64()
            })
        }))
    });
    let base = tables.as_ptr().expose_provenance();
    *POOL.lock().unwrap() = (0..tables.len()).rev().map(|index| base + index * 4096).collect();
    let mut table = PageTable64::<Meta, X64PTE, Handler>::try_new().unwrap();
    let (zero, bytes) = (VirtAddr::from(0), case.bytes as usize);
    let to = |from: VirtAddr| PhysAddr::from(from.as_usize());
    table.cursor().map_region(zero, to, bytes, MappingFlags::READ, false).unwrap();
    let theirs = [false, true].map(|chained| {
        each(median(|| {
            let table = black_box(&table);
            time_chain(&addresses, chained, |gpa| {
                table.query(VirtAddr::from(gpa as usize)).unwrap().0.as_usize() as u64
            })
        }))
    });
    println!("{count} random translations in 64 GiB of 4 KiB leaves, ns each");
    for (index, kind) in ["one after the other", "many at once"].into_iter().rev().enumerate() {
        let (read, ours, theirs) = (read[index], ours[index], theirs[index]);
        println!(
            "  {kind}: array {read:.1}, ept {ours:.1} ({}), page_table_multiarch {theirs:.1}",
            verdict(ours / read)
        );
    }
}

/// Times `look_up` of all addresses; if they are chained, each waits for the result of the one
/// before, as it is when a hypervisor translates one address now and then. If not, the CPU works on
/// as many at once as it can.
fn time_chain(addresses: &[u64], chained: bool, look_up: impl Fn(u64) -> u64) -> f64 {
    let start = Instant::now();
    let last = if chained {
        // No result has these bits, but the CPU does not know.
        addresses.iter().fold(0, |last, gpa| look_up(gpa + (black_box(last) >> 52)))
    } else {
        addresses.iter().fold(0, |sum: u64, &gpa| sum.wrapping_add(look_up(gpa)))
    };
    black_box(last);
    start.elapsed().as_secs_f64()
}

/// Harvests a million dirty pages of 4 KiB.
fn harvest(tables: &[Table]) {
    let pages = 1 << 20;
    let mut ept = new_ept(tables, PageSize::Size4K, EptControls::ACCESSED_DIRTY);
    let all = range(pages * 4096);
    assert!(ept.map(all, Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let entries: Vec<(Hpa, usize)> = (0..pages)
        .map(|page| ept.walk(Gpa::new(page * 4096)).last().map(|step| (step.table, step.index)))
        .map(Option::unwrap)
        .collect();
    let array: Vec<AtomicU64> = (0..pages).map(|_| AtomicU64::new(0)).collect();
    let mut words = vec![0; (pages / 64) as usize];
    let each = |seconds: f64| seconds * 1e9 / pages as f64;
    let [floor, visited, ours] = medians(|| {
        for entry in &array {
            entry.store(0x337, Ordering::Relaxed);
        }
        let start = Instant::now();
        let mut sum = 0;
        for (entry, at) in black_box(&array).iter().zip(0..) {
            let old = entry.load(Ordering::Relaxed);
            if old & 0x200 != 0 {
                entry.store(old & !0x200, Ordering::Relaxed);
                sum += at;
            }
        }
        black_box(sum);
        let floor = start.elapsed().as_secs_f64();
        let mut log = DirtyBitmap::new(Gpa::ZERO, &mut words);
        let mut visited = 0.0;
        // By `harvest` with a closure, then, dirty again, straight into the bitmap.
        for straight in [false, true] {
            log.clear();
            for (table, index) in &entries {
                ept.memory().table(*table).unwrap().0[*index].fetch_or(0x300, Ordering::Relaxed);
            }
            let start = Instant::now();
            let debt = if straight {
                ept.harvest_into(all, Use::DIRTY, &mut log)
            } else {
                ept.harvest(all, Use::DIRTY, |page| log.mark(page.range()))
            };
            let seconds = start.elapsed().as_secs_f64();
            assert!(!debt.unwrap().is_empty() && log.count() == pages);
            if straight {
                return [floor, visited, seconds];
            }
            visited = seconds;
        }
        unreachable!()
    });
    println!("harvest of {pages} dirty pages into a bitmap, ns each");
    println!("  floor: load, test and store in an array of atomics {:.2}", each(floor));
    println!("  harvest_into {:.2} ({})", each(ours), verdict(ours / floor));
    println!("  harvest with a closure {:.2} ({})", each(visited), verdict(visited / floor));
}

/// Protects one 4 KiB page of a 1 GiB leaf, which splits it twice, and takes it back, which merges.
fn split(tables: &[Table]) {
    let mut ept = new_ept(tables, PageSize::Size1G, EptControls::ACCESSED_DIRTY);
    assert!(ept.map(range(GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let page = GpaRange::new(Gpa::new(GIB / 2), 4096).unwrap();
    let [split, merge] = medians(|| {
        let start = Instant::now();
        let debt = ept.protect(page, EptPermissions::RX).unwrap();
        let split = Instant::now();
        let debt = debt + ept.protect(page, EptPermissions::RWX).unwrap();
        ept.settle(debt, |_| Ok::<(), ()>(())).unwrap();
        let merged = Instant::now();
        [split - start, merged - split].map(|t| t.as_secs_f64() * 1e9)
    });
    println!(
        "protect across a split, ns each: splitting 1 GiB to 4 KiB {split:.0}, merging {merge:.0}"
    );
}

static POOL: Mutex<Vec<usize>> = Mutex::new(Vec::new());

struct Meta;

impl PagingMetaData for Meta {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {}
}

/// Frames of the same memory, by their virtual addresses.
struct Handler;

impl PagingHandler for Handler {
    fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
        (count == 1).then(|| POOL.lock().unwrap().pop()).flatten().map(PhysAddr::from)
    }

    fn dealloc_frames(frame: PhysAddr, _: usize) {
        POOL.lock().unwrap().push(frame.as_usize());
    }

    fn phys_to_virt(frame: PhysAddr) -> VirtAddr {
        VirtAddr::from(frame.as_usize())
    }
}
