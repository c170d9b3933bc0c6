//! Disks: which files can be one, and who may have them at the same time; what SeaBIOS boots from.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs::{self, File};

use common::{TempFile, run};

const SECTOR: [u8; 512] = [0xF4; 512];

/// The value of `--disk` for a file.
fn readonly(file: &TempFile) -> String {
    format!("{},readonly", file.path())
}

#[test]
fn a_plan_says_which_disks_there_are() {
    let (first, second) =
        (TempFile::new("plan-1", &SECTOR.repeat(3)), TempFile::new("plan-2", &SECTOR));
    let second = readonly(&second);
    let plan = run(&["--dry-run", "--disk", first.path(), "--disk", &second]);
    assert_eq!((plan.status, plan.stderr.as_str()), (0, ""));
    let disks = plan.stdout.split_once("disks\n").unwrap().1;
    let second = second.strip_suffix(",readonly").unwrap();
    assert_eq!(
        disks,
        format!(
            "  00:02.0  0x600 bytes, writable, {}\n  00:03.0  0x200 bytes, read-only, {second}\n",
            first.path()
        )
    );
    let json = run(&["--dry-run=json", "--disk", first.path()]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let disk = &json["disks"][0];
    assert_eq!((&disk["function"], &disk["bytes"]), (&"00:02.0".into(), &"0x600".into()));
    assert_eq!(disk["readonly"], false);
    assert!(!run(&["--dry-run"]).stdout.contains("disks"));
}

#[test]
fn a_file_of_another_size_is_refused_and_told_how_to_become_a_disk() {
    for size in [0, 1, 511, 513] {
        let file = TempFile::new("size", &vec![0; size]);
        let message = format!("`truncate -s %512 {}` adds what is missing", file.path());
        run(&["--dry-run", "--disk", file.path()]).fails(65, &message);
        assert_eq!(fs::metadata(&file.0).unwrap().len(), size as u64);
    }
}

#[test]
fn what_is_no_file_is_no_disk() {
    run(&["--dry-run", "--disk", "/nowhere/disk"]).fails(66, "/nowhere/disk: No such file");
    run(&["--dry-run", "--disk", "/dev/zero"]).fails(66, "/dev/zero: not a regular file");
    run(&["--dry-run", "--disk", "/,readonly"]).fails(66, "/: not a regular file");
    run(&["--disk", "a,ro"]).fails(64, "--disk a,ro: behind the comma only readonly can stand");
    let both = &["--disk", "a", "--firmware", "seabios", "--via-hvmloader"];
    run(both).fails(64, "--disk: not with --via-hvmloader");
    let file = TempFile::new("many", &SECTOR);
    let disk = readonly(&file);
    let many: Vec<&str> = ["--disk", &disk].repeat(17);
    run(&[&["--dry-run"], &many[..]].concat()).fails(65, "17 disks, more than the 16");
    assert_eq!(run(&[&["--dry-run"], &many[..32]].concat()).status, 0);
}

#[test]
fn a_disk_is_one_guests_unless_all_only_read_it() {
    let file = TempFile::new("lock", &SECTOR);
    let (writable, readonly) = (file.path().to_owned(), readonly(&file));
    let locked = "another guest has this disk; several can share it if all have it readonly";
    for (first, second, is_shared) in [
        (&readonly, &readonly, true),
        (&readonly, &writable, false),
        (&writable, &readonly, false),
        (&writable, &writable, false),
    ] {
        let both = run(&["--dry-run", "--disk", first, "--disk", second]);
        if is_shared {
            assert_eq!(both.status, 0, "{both:?}");
        } else {
            both.fails(66, locked);
        }
    }
    // What another program has is seen, too, and what it has given up.
    let other = File::open(&file.0).unwrap();
    other.try_lock().unwrap();
    run(&["--dry-run", "--disk", &readonly]).fails(66, locked);
    drop(other);
    assert_eq!(run(&["--dry-run", "--disk", &writable]).status, 0);
}

/// SeaBIOS boots the tour from the first disk, by virtio: boot sector and all behind it.
#[cfg(feature = "disk-rig")]
#[test]
fn seabios_boots_from_a_disk() {
    let toolbox = std::env::var_os("HVKIT_TOOLBOX").unwrap_or_default();
    let bios = std::path::Path::new(&toolbox)
        .join("seabios")
        .join("root")
        .join("usr/share/seabios/bios-256k.bin");
    let image = guest_images::tour_floppy("hvkit.nonce=from-the-disk").unwrap();
    let (disk, other) = (TempFile::new("boot", &image), TempFile::new("other", &SECTOR));
    let firmware = ["--firmware", bios.to_str().unwrap(), "--memory", "64M", "--timeout", "50"];
    let boot = |disks: &[&str]| run(&[&firmware[..], disks].concat());
    for disk in [disk.path(), &readonly(&disk)] {
        let run = boot(&["--disk", disk, "--disk", other.path()]);
        assert_eq!(run.status, 0, "{run:#?}");
        assert!(run.stdout.contains("nonce         from-the-disk"), "{run:#?}");
        assert!(run.stdout.contains("pci           00:03.0 1af4:1042"), "{run:#?}");
    }
    assert_eq!(fs::read(&disk.0).unwrap(), image);
    // Without a boot sector there is nothing to boot: that it came from the disk is seen so.
    let mut broken = image;
    broken[510] = 0;
    fs::write(&disk.0, broken).unwrap();
    let run = run(&[&firmware[..4], &["--timeout", "10", "--disk", disk.path()]].concat());
    assert_eq!(run.status, 124, "{run:#?}");
    assert!(run.stderr.contains("No bootable device"), "{run:#?}");
}
