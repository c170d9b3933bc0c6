//! How long the tables of a large machine take, beside the same made with `acpi_tables` alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use acpi_builder::{
    BootArch, Dsdt, Fadt, FixedHardware, Madt, MemoryAffinity, Processors, Srat, Table, TableSet,
};
use guest_state::{Gpa, GpaRange};

const NODES: u32 = 16;
const DEVICES: u64 = 64;
const DEVICE_BYTES: u64 = 16 << 30;

fn srat(processors: &Processors) -> Srat {
    let mut srat = Srat::new(processors, |processor| processor.uid % NODES);
    srat.memory = (0..DEVICES)
        .map(|device| {
            let start = Gpa::new((4 << 30) + device * DEVICE_BYTES);
            let range = GpaRange::new(start, DEVICE_BYTES).unwrap();
            MemoryAffinity::new(range, u32::try_from(device).unwrap() % NODES)
        })
        .collect();
    srat
}

/// MADT and SRAT, each as the bytes behind its header.
fn ours(count: u32) -> [Vec<u8>; 2] {
    let processors = Processors::sequential(count).unwrap();
    let tables = [Madt::pc(&processors).build(), srat(&processors).build()];
    tables.map(|table| table.unwrap().body().to_vec())
}

/// The same by `acpi_tables`, which has no x2APIC entries and no processors in its SRAT: each entry
/// is appended to its `Sdt`, as that is made for.
fn peers(count: u32) -> [Vec<u8>; 2] {
    let table = |signature, revision| {
        acpi_tables::sdt::Sdt::new(signature, 36, revision, *b"HVKIT ", *b"HVKITVM ", 1)
    };
    let mut madt = table(*b"APIC", 6);
    madt.append_slice(&[0, 0, 0xE0, 0xFE, 1, 0, 0, 0]);
    for id in 0..count {
        match u8::try_from(id) {
            Ok(id) if id < 255 => madt.append_slice(&[0, 8, id, id, 1, 0, 0, 0]),
            _ => {
                let [a, b, c, d] = id.to_le_bytes();
                madt.append_slice(&[9, 16, 0, 0, a, b, c, d, 1, 0, 0, 0, a, b, c, d]);
            }
        }
    }
    madt.append_slice(&[1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0]);
    madt.append_slice(&[2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    madt.append_slice(&[2, 10, 0, 9, 9, 0, 0, 0, 13, 0]);
    if count > 255 {
        madt.append_slice(&[10, 12, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]);
    } else {
        madt.append_slice(&[4, 6, 0xFF, 0, 0, 1]);
    }
    let mut srat = table(*b"SRAT", 3);
    srat.append_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for id in 0..count {
        let node = u8::try_from(id % NODES).unwrap();
        match u8::try_from(id) {
            Ok(id) if id < 255 => {
                srat.append_slice(&[0, 16, node, id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
            _ => {
                let [a, b, c, d] = id.to_le_bytes();
                srat.append_slice(&[2, 24, 0, 0, node, 0, 0, 0, a, b, c, d]);
                srat.append_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
    }
    for device in 0..DEVICES {
        let node = u8::try_from(device % u64::from(NODES)).unwrap();
        srat.append_slice(&[1, 40, node, 0, 0, 0, 0, 0]);
        srat.append_slice(&((4 << 30) + device * DEVICE_BYTES).to_le_bytes());
        srat.append_slice(&DEVICE_BYTES.to_le_bytes());
        srat.append_slice(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    [madt, srat].map(|table| table.as_slice()[36..].to_vec())
}

/// All tables of the machine, with a device in the DSDT for each processor, at an address.
fn whole_set(count: u32) -> usize {
    let processors = Processors::sequential(count).unwrap();
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(0x600), BootArch::empty());
    let set = TableSet::builder(fadt, Dsdt::new(&processors).build().unwrap())
        .with(&Madt::pc(&processors))
        .with(&srat(&processors))
        .build()
        .unwrap();
    set.at(Gpa::new(0x7F00_0000)).unwrap().tables.len()
}

fn best<T>(runs: u32, build: impl Fn() -> T) -> Duration {
    let run = || {
        let start = Instant::now();
        black_box(build());
        start.elapsed()
    };
    (0..runs).map(|_| run()).min().unwrap_or_default()
}

fn main() {
    for cpus in [1024, 2048, 4096] {
        assert_eq!(ours(cpus), peers(cpus), "the two don't build the same");
        let bytes: usize = ours(cpus).iter().map(Vec::len).sum();
        let own = best(200, || ours(black_box(cpus)));
        let peer = best(10, || peers(black_box(cpus)));
        let whole = best(100, || whole_set(black_box(cpus)));
        println!(
            "{cpus:>5} vCPUs, {NODES} nodes, {DEVICES} memory devices: MADT and SRAT, {bytes:>7} \
             bytes, in {own:>9.1?}; by acpi_tables in {peer:>9.1?}; whole set in {whole:>9.1?}"
        );
    }
}
