//! What the program does before it needs KVM: options, files, plans.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs::File;

use common::{LOOP, TempFile, guest, run, vmm};
use guest_images::{Segment, pvh_kernel};

#[test]
fn help_names_every_exit_status() {
    let run = run(&["--help"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    for status in ["64", "65", "66", "69", "70", "80", "124", "(v << 1) | 1"] {
        assert!(run.stdout.contains(status), "{status}");
    }
}

#[test]
fn usage_errors_are_one_line_and_status_64() {
    for (arguments, message) in [
        (&["--kernel"][..], "--kernel needs a value; see --help"),
        (&["--memory", "0"], "a guest has from 2M to 512G"),
        (&["--memory", "1M"], "a guest has from 2M to 512G"),
        (&["--memory", "1T"], "a guest has from 2M to 512G"),
        (&["--firmware", "seabios", "--initrd", "x"], "only with --kernel"),
        (&["--firmware", "seabios", "--kernel", "x"], "a BIOS starts no kernel"),
        (&["--via-hvmloader"], "only with --firmware"),
        (&["--via-hvmloader", "--kernel", "x"], "only with --firmware"),
        (&["kernel"], "kernel"),
    ] {
        let run = run(arguments);
        run.fails(64, message);
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}

#[test]
fn missing_files_are_status_66() {
    run(&["--kernel", "/nowhere/vmlinux"]).fails(66, "/nowhere/vmlinux: No such file");
    run(&["--kernel", "/"]).fails(66, "/: is a directory");
    run(&["--firmware", "/nowhere/bios"]).fails(66, "/nowhere/bios: No such file");
    run(&["--kernel", "/dev/zero"]).fails(66, "/dev/zero: not a regular file");
    let mut vmm = vmm(&["--firmware", "seabios"]);
    vmm.env("HVKIT_FIRMWARE_PATH", "/nowhere");
    let run = common::finish(vmm.spawn().unwrap());
    // Where it is installed the run gets further.
    if run.status == 66 {
        run.fails(66, "SeaBIOS is not installed: looked at /nowhere/bios-256k.bin");
    }
}

#[test]
fn images_that_are_no_kernels_are_status_65() {
    let whole = pvh_kernel(&[Segment::new(0x10_0000, 0x2000, &[0x90; 0x1800])]);
    let random: Vec<u8> =
        (0..4096_u32).map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes()[3]).collect();
    for (name, bytes, message) in [
        ("empty", &[][..], "image is empty"),
        ("random", &random, "not an ELF or bzImage"),
        ("header-only", &whole[..100], "truncated: program headers end"),
        ("cut", &whole[..whole.len() - 1], "truncated: segment ends"),
    ] {
        let file = TempFile::new(name, bytes);
        run(&["--kernel", file.path()]).fails(65, message);
        run(&["--dry-run", "--kernel", file.path()]).fails(65, message);
    }
}

#[test]
fn segments_where_none_can_be_are_status_65() {
    for (name, segments, message) in [
        (
            "overlap",
            &[Segment::new(0x10_0000, 0x2000, LOOP), Segment::new(0x10_1000, 1, LOOP)][..],
            "overlap",
        ),
        ("past-memory", &[Segment::new(0x1000_0000, 0x1000, LOOP)], "not in guest memory"),
        ("past-2-64", &[Segment::new(u64::MAX - 1, 0x1000, LOOP)], "end of the address space"),
        ("vga", &[Segment::new(0xA_0000, 0x1000, LOOP)], "not in guest memory"),
    ] {
        let file = TempFile::new(name, &pvh_kernel(segments));
        run(&["--kernel", file.path()]).fails(65, message);
    }
}

#[test]
fn a_sparse_file_of_4_gib_is_refused_unread() {
    let sparse = TempFile::new("sparse", b"");
    File::options().write(true).open(&sparse.0).unwrap().set_len(4 << 30).unwrap();
    run(&["--kernel", sparse.path()]).fails(65, "more than the guest's memory of 268435456 bytes");
    let kernel = guest("sparse-initrd", LOOP);
    run(&["--kernel", kernel.path(), "--initrd", sparse.path()])
        .fails(65, "more than the guest's memory");
}

#[test]
fn an_initrd_that_does_not_fit_is_refused() {
    let kernel = guest("large-initrd", LOOP);
    let initrd = TempFile::new("initrd", &vec![1; 3 << 20]);
    run(&["--memory", "4M", "--kernel", kernel.path(), "--initrd", initrd.path()])
        .fails(65, "no room for initrd");
}

#[test]
fn firmware_of_a_wrong_size_is_status_65() {
    let bios = TempFile::new("bios", &[0; 1000]);
    run(&["--firmware", bios.path()]).fails(65, "bios");
}

#[test]
fn the_plan_with_an_hvmloader_has_firmware_where_hvmloader_finds_it() {
    let bios = TempFile::new("dry-bios", &[0xF4; 0x2_0000]);
    let run = run(&["--dry-run", "--firmware", bios.path(), "--via-hvmloader", "--memory", "64M"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    for line in [
        // At 1 MiB, as Xen's; the firmware at the end of memory, and nothing where a BIOS runs.
        "  0x000000100000 .. ",
        "hvmloader\n",
        "  0x000003fe0000 .. 0x000004000000    128 KiB  rw  firmware, for hvmloader\n",
        "cpu 0: 32-bit protected mode, no paging, next instruction at 0x100",
    ] {
        assert!(run.stdout.contains(line), "{line} in {}", run.stdout);
    }
    assert!(!run.stdout.contains("0x000100000000  "), "{}", run.stdout);
}

#[test]
fn a_dry_run_prints_the_plan_and_needs_no_kvm() {
    let text = run(&["--dry-run", "--memory", "64M"]);
    assert_eq!((text.status, text.stderr.as_str()), (0, ""));
    for line in ["memory map", "placements", "cpu 0: 32-bit protected mode, no paging"] {
        assert!(text.stdout.contains(line), "{line} in {}", text.stdout);
    }
    let json = run(&["--dry-run=json", "--memory", "64M"]);
    let plan: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["vcpus"][0]["cr0"], "0x11");
    assert_eq!(plan["memory_map"].as_array().unwrap().last().unwrap()["end"], "0x4000000");
}
