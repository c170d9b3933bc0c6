//! Files of UEFI variables: which are taken, what becomes of them, and whose they are. The firmware is
//! a stand-in of a few instructions, in flash of the form that OVMF's has.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};

use common::{TempFile, finish, run, vmm};

/// The formats of a volume of variables and of one of files.
const VARIABLES: &[u8; 16] = b"\x8D\x2B\xF1\xFF\x96\x76\x8B\x4C\xA9\x85\x27\x47\x07\x5B\x4F\x50";
const FILES: &[u8; 16] = b"\x78\xE5\x8C\x8C\x3D\x8A\x1C\x4F\x99\x35\x89\x61\x85\xC3\x2D\xD3";
const VARIABLES_BYTES: usize = 0x2000;
/// With the variables it makes a power of two.
const CODE_BYTES: usize = 0x6000;

/// A firmware volume with nothing in it.
fn volume(format: &[u8; 16], size: usize) -> Vec<u8> {
    let mut bytes = vec![0xFF; size];
    bytes[..0x48].fill(0);
    bytes[16..32].copy_from_slice(format);
    bytes[32..40].copy_from_slice(&(size as u64).to_le_bytes());
    bytes[40..44].copy_from_slice(b"_FVH");
    bytes[48] = 0x48;
    bytes[55] = 2;
    let words = bytes[..0x48].as_chunks::<2>().0.iter();
    let sum = words.fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)));
    bytes[50..52].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    bytes
}

/// Variables, with a byte in their second block that is to go when it is erased.
fn variables() -> Vec<u8> {
    let mut bytes = volume(VARIABLES, VARIABLES_BYTES);
    bytes[0x1030] = 0;
    bytes
}

/// Code that does in flash what is described where it is used.
fn code() -> Vec<u8> {
    let mut bytes = volume(FILES, CODE_BYTES);
    let page = CODE_BYTES - 0x1000;
    bytes[page..page + REAL_MODE.len()].copy_from_slice(REAL_MODE);
    bytes[page + 0x40..][..TABLE.len()].copy_from_slice(TABLE);
    bytes[page + 0x80..][..PROTECTED_MODE.len()].copy_from_slice(PROTECTED_MODE);
    let end = bytes.len();
    bytes[end - 20..end - 16].copy_from_slice(b"VTF\0");
    // jmp 0xF000
    bytes[end - 16..end - 13].copy_from_slice(&[0xE9, 0x0D, 0xF0]);
    bytes
}

const REAL_MODE: &[u8] = &[
    0xFA, // cli
    0x66, 0x2E, 0x0F, 0x01, 0x16, 0x40, 0xF0, // lgdt cs:[0xF040]
    0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0, // mov eax, cr0; or al, 1; mov cr0, eax
    0x66, 0xEA, 0x80, 0xF0, 0xFF, 0xFF, 0x08, 0x00, // jmp 8:0xFFFFF080
];
/// Limit and address; code and data, flat.
const TABLE: &[u8] = &[
    0x17, 0, 0x48, 0xF0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0x9B, 0xCF,
    0, 0xFF, 0xFF, 0, 0, 0, 0x93, 0xCF, 0,
];
/// Where nothing has been programmed yet: erases the block, programs 'A', prints half of the status,
/// and switches the power off and on while that is shown. Else: prints what is there, programs 'B',
/// prints that, and ends.
const PROTECTED_MODE: &[u8] = &[
    0x66, 0xB8, 0x10, 0x00, 0x8E, 0xD8, // mov ax, 16; mov ds, ax
    0xBB, 0x00, 0x90, 0xFF, 0xFF, // mov ebx, 0xFFFF9000: the second block
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0x8A, 0x43, 0x20, // mov al, [ebx + 0x20]
    0x3C, 0xFF, 0x75, 0x1D, // cmp al, 0xFF; jne second
    0xC6, 0x03, 0x20, 0xC6, 0x03, 0xD0, // mov byte [ebx], 0x20; the same, 0xD0
    0xC6, 0x43, 0x20, 0x10, 0xC6, 0x43, 0x20,
    b'A', // mov byte [ebx + 0x20], 0x10; the same, 'A'
    0x8A, 0x43, 0x30, 0xD0, 0xE8, 0xEE, // mov al, [ebx + 0x30]; shr al, 1; out dx, al
    0x66, 0xBA, 0xF9, 0x0C, 0xB0, 0x0E, 0xEE, // mov dx, 0xCF9; mov al, 0x0E; out dx, al
    0xEB, 0xFE, // jmp $
    0xEE, // second: out dx, al
    0xC6, 0x43, 0x21, 0x40, 0xC6, 0x43, 0x21,
    b'B', // mov byte [ebx + 0x21], 0x40; the same, 'B'
    0xC6, 0x03, 0xFF, // mov byte [ebx], 0xFF
    0x8A, 0x43, 0x21, 0xEE, // mov al, [ebx + 0x21]; out dx, al
    0xB0, 0x01, 0xE6, 0xF4, 0xEB, 0xFE, // mov al, 1; out 0xF4, al; jmp $
];

fn both(name: &str) -> TempFile {
    TempFile::new(name, &[variables(), code()].concat())
}

/// A name at which no file is.
fn no_file(name: &str) -> TempFile {
    let file = TempFile::new(name, b"");
    fs::remove_file(&file.0).unwrap();
    file
}

#[test]
fn files_that_are_no_variables_of_this_firmware_are_status_65() {
    let (code, both) = (TempFile::new("vars-code", &code()), both("vars-both"));
    let large = [variables(), vec![0xFF; 0x1000]].concat();
    let advice = "begin with a copy of the template";
    for (name, bytes, message) in [
        ("large", large, "12288 bytes, and not the 8192 that this firmware has for variables"),
        ("empty", Vec::new(), "0 bytes, and not the 8192"),
        ("zeros", vec![0; VARIABLES_BYTES], "not a file of UEFI variables"),
        ("files", volume(FILES, VARIABLES_BYTES), "not a file of UEFI variables"),
    ] {
        let file = TempFile::new(&format!("vars-{name}"), &bytes);
        for firmware in [&code, &both] {
            let arguments = ["--firmware", firmware.path(), "--firmware-vars", file.path()];
            for dry in [&[][..], &["--dry-run"]] {
                let run = run(&[&arguments, dry].concat());
                run.fails(65, message);
                run.fails(65, advice);
            }
        }
        assert_eq!(fs::read(&file.0).unwrap(), bytes, "{name}");
    }
}

#[test]
fn what_is_missing_and_has_no_template_is_status_66() {
    let (code, file) = (TempFile::new("missing-code", &code()), no_file("missing-vars"));
    let arguments = ["--firmware", code.path(), "--firmware-vars", file.path()];
    run(&arguments).fails(66, "No such file or directory (os error 2); begin with a copy of the");
    run(&[&arguments[..], &["--dry-run"]].concat()).fails(66, "begin with a copy of the template");
    assert!(!file.0.exists());
    run(&["--firmware", code.path(), "--firmware-vars", "/"]).fails(66, "/: Is a directory");
}

#[test]
fn the_template_is_the_one_beside_the_installed_code() {
    let folder = std::env::temp_dir().join(format!("kvm-vmm-{}-installed", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("OVMF_CODE_4M.fd"), code()).unwrap();
    fs::write(folder.join("OVMF_VARS_4M.fd"), variables()).unwrap();
    let file = no_file("installed-vars");
    let mut vmm = vmm(&["--firmware", "ovmf", "--timeout", "9", "--firmware-vars", file.path()]);
    vmm.env("HVKIT_FIRMWARE_PATH", &folder);
    let run = finish(vmm.spawn().unwrap());
    fs::remove_dir_all(&folder).unwrap();
    // Where there is no KVM it gets no further.
    assert!([3, 69].contains(&run.status), "{run:?}");
    let made = format!("{}: made from {}", file.path(), folder.join("OVMF_VARS_4M.fd").display());
    assert!(run.stderr.contains(&made), "{run:?}");
    let made = fs::read(&file.0).unwrap();
    assert_eq!(made[..0x1000], variables()[..0x1000]);
    assert_eq!(made.len(), VARIABLES_BYTES);
}

#[test]
fn variables_are_ovmfs() {
    let bios = TempFile::new("vars-bios", &[0xF4; 0x1_0000]);
    let file = TempFile::new("vars-of-none", &variables());
    run(&["--firmware", bios.path(), "--firmware-vars", file.path()]).fails(64, "is a BIOS");
}

#[test]
fn a_file_that_another_guest_has_is_refused() {
    let (both, file) = (both("locked-both"), TempFile::new("locked-vars", &variables()));
    let other = File::open(&file.0).unwrap();
    other.lock().unwrap();
    let arguments = ["--firmware", both.path(), "--firmware-vars", file.path()];
    run(&arguments).fails(66, "another guest has it as its variables");
    // A plan changes nothing.
    let dry = run(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!((dry.status, dry.stderr.as_str()), (0, ""));
    assert!(dry.stdout.contains("ovmf variables"), "{}", dry.stdout);
}

#[test]
fn a_dry_run_makes_no_file() {
    let (both, file) = (both("dry-both"), no_file("dry-vars"));
    let arguments = ["--dry-run", "--firmware", both.path(), "--firmware-vars", file.path()];
    let dry = run(&arguments);
    assert_eq!((dry.status, dry.stderr.as_str()), (0, ""));
    assert!(!file.0.exists());
}

#[cfg(feature = "kvm-rig")]
mod on_kvm {
    use super::*;

    /// The variables once the guest has run, but for what it programmed in the end.
    fn expected(programmed: &[u8]) -> Vec<u8> {
        let mut bytes = variables();
        bytes[0x1000..].fill(0xFF);
        bytes[0x1020..0x1020 + programmed.len()].copy_from_slice(programmed);
        bytes
    }

    #[test]
    fn variables_outlive_the_power_cycle_and_the_guest() {
        let (both, file) = (both("lasting"), no_file("lasting-vars"));
        let arguments = ["--firmware", both.path(), "--firmware-vars", file.path()];
        let first = run(&arguments);
        first.fails(3, &format!("{}: made from {}", file.path(), both.path()));
        assert_eq!(first.stdout, "@AB");
        assert_eq!(fs::read(&file.0).unwrap(), expected(b"AB"));
        // The next one finds what the first one wrote, and so does one with code alone.
        let code = TempFile::new("lasting-code", &code());
        for firmware in [&both, &code] {
            let next = run(&["--firmware", firmware.path(), "--firmware-vars", file.path()]);
            assert_eq!((next.status, next.stdout.as_str()), (3, "AB"), "{next:?}");
            assert!(!next.stderr.contains("made"), "{next:?}");
        }
        assert_eq!(fs::read(&file.0).unwrap(), expected(b"AB"));
        // Firmware itself never changes.
        assert_eq!(fs::read(&both.0).unwrap()[VARIABLES_BYTES..], super::code());
    }

    #[test]
    fn variables_without_a_file_last_as_long_as_the_guest() {
        let both = both("volatile");
        let before = fs::read(&both.0).unwrap();
        for _ in 0..2 {
            let run = run(&["--firmware", both.path()]);
            assert_eq!((run.status, run.stdout.as_str()), (3, "@AB"), "{run:?}");
        }
        assert_eq!(fs::read(&both.0).unwrap(), before);
    }

    #[test]
    fn erased_flash_is_a_file_of_variables_too() {
        let erased = TempFile::new("erased-vars", &[0xFF; VARIABLES_BYTES]);
        let code = TempFile::new("erased-code", &code());
        let run = run(&["--firmware", code.path(), "--firmware-vars", erased.path()]);
        assert_eq!((run.status, run.stdout.as_str()), (3, "@AB"), "{run:?}");
        let written = fs::read(&erased.0).unwrap();
        assert_eq!(written[0x1020..0x1023], *b"AB\xFF");
    }
}
