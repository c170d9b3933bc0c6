//! From a kernel's file to a guest that could run, beside linux-loader and a copy.
//!
//! `cargo bench -p kvm-vmm --features bench` makes a kernel of 50 MiB, in four segments aligned as
//! those of Linux are, and times what each takes with the file in the page cache: until the guest is
//! ready, and until every byte of the segments has been read as well, 64 KiB at a time. The copy is the
//! floor of all that copies: 50 MiB that are in memory already, into memory that is fresh.
//! `HVKIT_VMLINUX=FILE` takes that kernel instead.
//!
//! Without a lease (see `sys/file.rs`) the file is read, and the first figure says so.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guest_images::{Segment, pvh_kernel};
use kvm_vmm::Loaded;
use linux_loader::loader::KernelLoader;
use linux_loader::loader::elf::Elf;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap, MmapRegion, VolatileMemory};

const MIB: usize = 1 << 20;
const MEMORY: (&str, usize) = ("256M", 256 * MIB);
const ROUNDS: usize = 21;
/// Where segments of the kernel begin, and how long they are in the file, in MiB.
const SEGMENTS: [(u64, usize); 4] = [(16, 22), (40, 12), (52, 6), (60, 10)];
/// How much longer the last one is in memory.
const BSS: usize = 8 * MIB;
const BLOCK: usize = 64 << 10;

fn main() {
    let made = std::env::temp_dir().join(format!("hvkit-bench-{}", std::process::id()));
    let given = std::env::var_os("HVKIT_VMLINUX").map(PathBuf::from);
    let path = given.clone().unwrap_or_else(|| make_kernel(&made));
    let file = fs::read(&path).unwrap();
    let parts = segments(&file);
    let size: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{}: {:.1} MiB in {} segments", path.display(), size as f64 / MIB as f64, parts.len());

    let mut times: [Vec<[Duration; 2]>; 3] = Default::default();
    for _ in 0..=ROUNDS {
        times[0].push(ours(&path, &parts));
        times[1].push(linux_loader(&path, &parts));
        times[2].push(copy(&file));
    }
    println!("  medians of {ROUNDS} rounds, ms          ready   every byte read");
    for (name, mut times) in
        ["hvkit", "linux-loader", "copy into fresh memory"].into_iter().zip(times)
    {
        // The first round does not count.
        times.remove(0);
        let median = |column: usize| {
            let mut column: Vec<Duration> = times.iter().map(|round| round[column]).collect();
            column.sort();
            column[ROUNDS / 2].as_secs_f64() * 1e3
        };
        println!("  {name:<28} {:>10.3}   {:>10.3}", median(0), median(1));
    }
    if given.is_none() {
        fs::remove_file(made).unwrap();
    }
}

fn make_kernel(path: &Path) -> PathBuf {
    let bytes: Vec<u8> = (0..22 * MIB).map(|at| (at / 7) as u8).collect();
    let segments = SEGMENTS.map(|(start, size)| {
        let bss = if start == 60 { BSS } else { 0 };
        let memory = (size * MIB + bss) as u64;
        Segment::new(start * MIB as u64, memory, &bytes[..size * MIB])
    });
    fs::write(path, pvh_kernel(&segments)).unwrap();
    path.to_owned()
}

/// The segments of an ELF64: their physical addresses and bytes.
fn segments(file: &[u8]) -> Vec<(u64, &[u8])> {
    let word = |at: usize| u64::from_le_bytes(*file[at..].first_chunk().unwrap());
    let short = |at: usize| usize::from(u16::from_le_bytes(*file[at..].first_chunk().unwrap()));
    let headers = usize::try_from(word(32)).unwrap();
    let header = |index: usize| headers + index * short(54);
    let loads = (0..short(56)).map(header).filter(|at| file[*at..].starts_with(&[1, 0, 0, 0]));
    let part = |at: usize| {
        let [start, size] = [8, 32].map(|field| usize::try_from(word(at + field)).unwrap());
        (word(at + 24), &file[start..start + size])
    };
    loads.map(part).collect()
}

/// Reads all segments, and on the way sees that they are what is in the file.
fn read_all(parts: &[(u64, &[u8])], mut read: impl FnMut(u64, &mut [u8])) {
    let mut buffer = vec![0; BLOCK];
    for (gpa, bytes) in parts {
        for (block, at) in bytes.chunks(BLOCK).zip((*gpa..).step_by(BLOCK)) {
            let buffer = &mut buffer[..block.len()];
            read(at, buffer);
            assert!(buffer[0] == block[0] && buffer.last() == block.last());
            black_box(buffer);
        }
    }
}

fn ours(path: &Path, parts: &[(u64, &[u8])]) -> [Duration; 2] {
    let start = Instant::now();
    let loaded = Loaded::new(path, MEMORY.0).unwrap();
    let ready = start.elapsed();
    read_all(parts, |gpa, buffer| loaded.read(gpa, buffer));
    [ready, start.elapsed()]
}

fn linux_loader(path: &Path, parts: &[(u64, &[u8])]) -> [Duration; 2] {
    let start = Instant::now();
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY.1)]).unwrap();
    let mut file = File::open(path).unwrap();
    Elf::load(&memory, None, &mut file, None).unwrap();
    let ready = start.elapsed();
    read_all(parts, |gpa, buffer| memory.read_slice(buffer, GuestAddress(gpa)).unwrap());
    [ready, start.elapsed()]
}

fn copy(file: &[u8]) -> [Duration; 2] {
    let start = Instant::now();
    let memory = MmapRegion::<()>::new(file.len()).unwrap();
    memory.as_volatile_slice().copy_from(file);
    let ready = start.elapsed();
    let all = [(0, file)];
    let slice = memory.as_volatile_slice();
    read_all(&all, |at, buffer| slice.read_slice(buffer, usize::try_from(at).unwrap()).unwrap());
    [ready, start.elapsed()]
}
