//! How long the tables of a large machine take, and whether that grows in proportion.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use guest_state::{Gpa, GpaRange};
use smbios_builder::Platform;

/// One socket for each processor, the most structures that it can be.
fn platform(cpus: u32, devices: u64) -> Platform {
    let memory = GpaRange::new(Gpa::new(4 << 30), devices * (16 << 30)).unwrap();
    Platform::new(cpus).topology(cpus, 1).memory(memory).serial("VM-0042")
}

fn best(platform: &Platform) -> Duration {
    let run = || {
        let start = Instant::now();
        black_box(black_box(platform).build().unwrap());
        start.elapsed()
    };
    (0..200).map(|_| run()).min().unwrap_or_default()
}

fn main() {
    for cpus in [1024, 2048, 4096, 8192] {
        let platform = platform(cpus, 64);
        let bytes = platform.build().unwrap().table().len();
        let time = best(&platform);
        println!("{cpus:>5} vCPUs, 64 memory devices: {bytes:>7} bytes in {time:>9.1?}");
    }
}
