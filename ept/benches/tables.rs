//! Bulk edits and random translations, beside `page_table_multiarch` and beside a flat array.
//!
//! `cargo bench -p ept` prints nanoseconds for each leaf or translation: the least of several rounds
//! on memory that was touched before, as all that disturbs a round makes it longer. An array of the
//! same bytes is the floor: "fill" writes one 8-byte entry after the other, for which the compiler
//! uses vector stores; "read" reads them in random order. Behind each figure stands how many times
//! the floor it is, and whether that is within the bar of 1.3.
//!
//! Changing leaves that have to be read has a floor of its own: an array of atomics, of which each
//! is read, changed and written, or changed by a locked instruction where hardware may set flags
//! meanwhile. So "protect" is of tables that the crate knows to be uniform, and "protect mixed" of
//! tables in which one page was changed before. "With flags" is with accessed and dirty flags on, and
//! clear in all leaves.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ept::{
    DirtyBitmap, Ept, EptAttributes, EptCaps, EptControls, EptOptions, EptPermissions, FramePool,
    InvalidationDebt, Table, TableMemory, Use,
};
use guest_state::{Gpa, GpaRange, Hpa, PageSize};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{MappingFlags, PageTable64, PagingHandler, PagingMetaData};

const GIB: u64 = 1 << 30;
const ROUNDS: usize = 15;

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
        println!("{} ({leaves} leaves), ns per leaf", case.name);
        let mut array = vec![1_u64; leaves];
        let fill = per_leaf(least(|| timed(|| fill(black_box(&mut array), case.page.bytes()))));
        let atomics: Vec<AtomicU64> = array.into_iter().map(AtomicU64::new).collect();
        let update = per_leaf(least(|| {
            timed(|| {
                for entry in black_box(&atomics) {
                    entry.store(entry.load(Ordering::Relaxed) & !2 | 5, Ordering::Relaxed);
                }
            })
        }));
        let locked = per_leaf(least(|| {
            timed(|| {
                for entry in black_box(&atomics) {
                    entry.fetch_and(!2, Ordering::Relaxed);
                }
            })
        }));
        println!("  floor: fill {fill:.2}, update {update:.2}, locked update {locked:.2}");
        drop(atomics);
        let edits = ["map", "protect", "protect mixed", "unmap"];
        for (name, controls) in
            [("ept", EptControls::empty()), ("ept with flags", EptControls::ACCESSED_DIRTY)]
        {
            let times = ours(tables, &case, controls).map(per_leaf);
            let flags = controls.contains(EptControls::ACCESSED_DIRTY);
            let floors =
                if flags { [fill, locked, locked, fill] } else { [fill, fill, update, fill] };
            let figures = edits.iter().zip(times).zip(floors);
            let figures: Vec<String> = figures
                .map(|((edit, ns), floor)| format!("{edit} {ns:.2} ({})", verdict(ns / floor)))
                .collect();
            println!("  {name}: {}", figures.join(", "));
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

/// The least time of several rounds after one that does not count.
fn least(mut round: impl FnMut() -> f64) -> f64 {
    let [time] = least_of(|| [round()]);
    time
}

fn least_of<const N: usize>(mut round: impl FnMut() -> [f64; N]) -> [f64; N] {
    round();
    (0..ROUNDS).fold([f64::MAX; N], |best, _| {
        let times = round();
        std::array::from_fn(|column| times[column].min(best[column]))
    })
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn range(bytes: u64) -> GpaRange {
    GpaRange::new(Gpa::ZERO, bytes).unwrap()
}

fn new_ept(tables: &[Table], page: PageSize, controls: EptControls) -> Ept<FramePool<'_>> {
    let caps = EptCaps::new(0x0633_4141, 46);
    let options = EptOptions { largest_page: page, controls, ..EptOptions::default() };
    Ept::with_options(FramePool::new(Hpa::ZERO, tables), caps, options).unwrap()
}

fn ours(tables: &[Table], case: &Case, controls: EptControls) -> [f64; 4] {
    let mut ept = new_ept(tables, case.page, controls);
    let all = range(case.bytes);
    least_of(|| {
        let mut debt = InvalidationDebt::NONE;
        let map = timed(|| debt += ept.map(all, Hpa::ZERO, EptAttributes::RAM).unwrap());
        let protect = timed(|| debt += ept.protect(all, EptPermissions::RX).unwrap());
        // Back again, but for the first page of each table.
        debt += ept.protect(all, EptPermissions::RWX).unwrap();
        let table_bytes = case.page.bytes() * 512;
        for table in (0..case.bytes).step_by(table_bytes as usize) {
            let first = GpaRange::new(Gpa::new(table), case.page.bytes()).unwrap();
            debt += ept.protect(first, EptPermissions::READ).unwrap();
        }
        let mixed = timed(|| debt += ept.protect(all, EptPermissions::RX).unwrap());
        let unmap = timed(|| {
            debt += ept.unmap(all).unwrap();
            let debt = std::mem::take(&mut debt);
            ept.settle(debt, |_| Ok::<(), ()>(())).unwrap();
        });
        [map, protect, mixed, unmap]
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
    least_of(|| {
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
        each(least(|| {
            let array = black_box(&array);
            time_chain(&addresses, chained, |gpa| {
                array[(gpa / 4096) as usize] & !0xFFF | gpa & 0xFFF
            })
        }))
    });
    let mut ept = new_ept(tables, case.page, EptControls::empty());
    assert!(ept.map(range(case.bytes), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let ours = [false, true].map(|chained| {
        each(least(|| {
            let ept = black_box(&ept);
            time_chain(&addresses, chained, |gpa| {
                ept.translate(Gpa::new(gpa)).unwrap().hpa.as_u64()
            })
        }))
    });
    let by_table = each(least(|| {
        let tables = black_box(tables);
        time_chain(&addresses, false, |gpa| {
            let (table, index) = ((gpa >> 21) as usize, (gpa >> 12 & 511) as usize);
            tables[table].0[index].load(Ordering::Relaxed) & !0xFFF | gpa & 0xFFF
        })
    }));
    let grouped = each(least(|| {
        timed(|| {
            let mut sum = 0_u64;
            black_box(&ept).translate_each(addresses.iter().copied().map(Gpa::new), |_, found| {
                sum = sum.wrapping_add(found.unwrap().hpa.as_u64());
            });
            black_box(sum);
        })
    }));
    let base = tables.as_ptr().expose_provenance();
    *POOL.lock().unwrap() = (0..tables.len()).rev().map(|index| base + index * 4096).collect();
    let mut table = PageTable64::<Meta, X64PTE, Handler>::try_new().unwrap();
    let (zero, bytes) = (VirtAddr::from(0), case.bytes as usize);
    let to = |from: VirtAddr| PhysAddr::from(from.as_usize());
    table.cursor().map_region(zero, to, bytes, MappingFlags::READ, false).unwrap();
    let theirs = [false, true].map(|chained| {
        each(least(|| {
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
    println!(
        "  translate_each: array {:.1}, ept {grouped:.1} ({}); the array as tables {by_table:.1} ({})",
        read[0],
        verdict(grouped / read[0]),
        verdict(grouped / by_table)
    );
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
    let [floor, visited, ours] = least_of(|| {
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
    println!("  harvest, each page marked by a closure {:.2}", each(visited));
}

/// Protects one 4 KiB page of a 1 GiB leaf, which splits it twice, and takes it back, which merges.
fn split(tables: &[Table]) {
    let mut ept = new_ept(tables, PageSize::Size1G, EptControls::ACCESSED_DIRTY);
    assert!(ept.map(range(GIB), Hpa::ZERO, EptAttributes::RAM).unwrap().is_empty());
    let page = GpaRange::new(Gpa::new(GIB / 2), 4096).unwrap();
    let [split, merge] = least_of(|| {
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
