//! Kernels whose pages are the guest's own without having been copied. Needs /dev/kvm.

#![cfg(feature = "kvm-rig")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use common::{TempFile, finish, vmm};
use guest_images::{Segment, pvh_kernel};

const LOAD: u32 = 0x10_0000;
/// Of the kernel's only segment, behind the file's headers.
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENT_OFFSET: u64 = 0x1000;
/// A byte of it, far from the code.
const SECRET: usize = 0x8_0000;

/// Says that it runs, waits for a byte on COM1, and sends the secret; then changes it, sends it again,
/// and ends.
const SPY: &[u8] = &[
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0xB0, b'!', 0xEE, // mov al, '!'; out dx, al
    0x66, 0xBA, 0xFD, 0x03, // again: mov dx, 0x3FD
    0xEC, 0xA8, 0x01, // in al, dx; test al, 1
    0x74, 0xF7, // jz again
    0x66, 0xBA, 0xF8, 0x03, 0xEC, // mov dx, 0x3F8; in al, dx
    0xA0, 0x00, 0x00, 0x18, 0x00, 0xEE, // mov al, [0x180000]; out dx, al
    0xC6, 0x05, 0x00, 0x00, 0x18, 0x00, b'G', // mov byte [0x180000], 'G'
    0xA0, 0x00, 0x00, 0x18, 0x00, 0xEE, // mov al, [0x180000]; out dx, al
    0xB0, 1, 0xE6, 0xF4, // mov al, 1; out 0xF4, al
];

fn kernel(name: &str) -> TempFile {
    let mut bytes = vec![0x90; SEGMENT_BYTES];
    bytes[..SPY.len()].copy_from_slice(SPY);
    bytes[SECRET] = b'S';
    TempFile::new(name, &pvh_kernel(&[Segment::new(LOAD.into(), SEGMENT_BYTES as u64, &bytes)]))
}

/// Starts the guest and waits until it runs.
fn start(kernel: &TempFile, options: &[&str]) -> Child {
    let mut vmm = vmm(&["--timeout", "30", "--memory", "16M", "--kernel", kernel.path()]);
    let mut child = vmm.args(options).stdin(Stdio::piped()).spawn().unwrap();
    let mut said = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(said, *b"!");
    child
}

/// How many mappings of the file the program has.
fn mappings(child: &Child, file: &TempFile) -> usize {
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    maps.lines().filter(|line| line.ends_with(file.path())).count()
}

/// Lets the guest send its secret; returns what it sent until its end.
fn ask(mut child: Child) -> String {
    child.stdin.take().unwrap().write_all(b"?").unwrap();
    let run = finish(child);
    assert_eq!(run.status, 3, "{run:#?}");
    run.stdout
}

#[test]
fn what_the_guest_writes_stays_out_of_the_file() {
    let kernel = kernel("spy");
    let before = fs::read(kernel.path()).unwrap();
    let child = start(&kernel, &[]);
    // The whole file, and the segment's pages in guest memory.
    assert_eq!(mappings(&child, &kernel), 2);
    assert_eq!(ask(child), "SG");
    assert!(fs::read(kernel.path()).unwrap() == before);
}

#[test]
fn whoever_writes_to_the_file_need_not_wait_and_does_not_reach_the_guest() {
    let kernel = kernel("written");
    let child = start(&kernel, &[]);
    assert_eq!(mappings(&child, &kernel), 2);
    // The kernel holds the writer up until the guest has its copies: at most 45 seconds, unless the
    // program is told and hurries.
    let path = kernel.path().to_owned();
    let writer = thread::spawn(move || {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"X", SEGMENT_OFFSET + SECRET as u64).unwrap();
    });
    for _ in 0..1000 {
        if writer.is_finished() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(writer.is_finished(), "the writer still waits");
    assert_eq!(ask(child), "SG");
}

#[test]
fn a_file_that_is_cut_short_harms_nobody() {
    let kernel = kernel("cut");
    let child = start(&kernel, &[]);
    fs::write(kernel.path(), "").unwrap();
    assert_eq!(ask(child), "SG");
}

#[test]
fn a_file_that_others_may_write_to_is_read() {
    let kernel = kernel("open");
    let writer = OpenOptions::new().write(true).open(kernel.path()).unwrap();
    let child = start(&kernel, &[]);
    assert_eq!(mappings(&child, &kernel), 0);
    writer.write_all_at(b"X", SEGMENT_OFFSET + SECRET as u64).unwrap();
    assert_eq!(ask(child), "SG");
}

#[test]
fn an_initrd_is_mapped_as_well() {
    let kernel = kernel("with-initrd");
    let initrd = TempFile::new("initrd", &vec![7; 1 << 20]);
    let child = start(&kernel, &["--initrd", initrd.path()]);
    assert_eq!(mappings(&child, &initrd), 2);
    assert_eq!(ask(child), "SG");
}
