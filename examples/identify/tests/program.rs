//! What the program prints, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// Where cargo put the example that it built for these tests.
fn program() -> Command {
    let tests = env::current_exe().unwrap();
    Command::new(tests.parent().unwrap().parent().unwrap().join("examples/identify"))
}

/// Runs it; returns status, output and errors.
fn run(arguments: &[&Path]) -> (i32, String, String) {
    let output = program().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A file that is gone at the end.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = env::temp_dir().join(format!("hvkit-identify-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A file with a Multiboot header that says to load all of it to 1 MiB.
fn flat() -> Vec<u8> {
    let addresses = [0x10_0000_u32, 0x10_0000, 0, 0, 0x10_0020];
    let flags = 1 << 16;
    let head = [0x1BAD_B002_u32, flags, 0x1BAD_B002_u32.wrapping_add(flags).wrapping_neg()];
    let words = head.into_iter().chain(addresses);
    let mut file: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    file.resize(0x100, 0xF4);
    file
}

#[test]
fn ways_and_reasons_are_printed() {
    let file = TempFile::new("flat", &flat());
    let (status, out, errors) = run(&[&file.0]);
    assert_eq!((status, errors.as_str()), (0, ""));
    let name = file.0.display();
    let expected = format!(
        "{name}: not an ELF or bzImage: first bytes 02 b0 ad 1b 00 00 01 00\n  \
         multiboot              entry 0x100020, 0x100000..0x100100\n  \
         not multiboot2         no header in the first 0x8000 bytes\n"
    );
    assert_eq!(out, expected);
}

#[test]
fn programs_get_an_array_with_an_object_for_each_file() {
    let (first, second) = (TempFile::new("one", &flat()), TempFile::new("two", b"text"));
    let (status, out, _) = run(&[Path::new("--json"), &first.0, &second.0]);
    assert_eq!(status, 65);
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["file"], first.0.display().to_string());
    assert_eq!(all[0]["ways"][0]["protocol"], "multiboot");
    assert_eq!(all[0]["ways"][0]["entry"], "0x100020");
    assert_eq!(all[0]["ways"][0]["ranges"][0]["end"], "0x100100");
    assert_eq!(all[0]["format"], Value::Null);
    assert_eq!(all[1]["refused"].as_array().unwrap().len(), 5);
    let reason = "not an ELF or bzImage: first bytes 74 65 78 74";
    assert_eq!(all[1]["refused"][0]["reason"], reason);
}

#[test]
fn each_ending_has_its_status() {
    let text = TempFile::new("text", b"text");
    let bzip2 = TempFile::new("bzip2", b"BZh91AY&SY");
    let nowhere = Path::new("/nowhere/vmlinuz");
    for (arguments, status, message) in [
        (&[][..], 64, "identify: which file?; try --help"),
        (&[Path::new("--what")], 64, "invalid option '--what'; try --help"),
        (&[nowhere], 66, "identify: /nowhere/vmlinuz: No such file"),
        (&[Path::new("/")], 66, "identify: /: is a directory"),
        (&[Path::new("/dev/zero")], 66, "identify: /dev/zero: not a regular file"),
        (&[&text.0], 65, "no way to start it"),
        (&[&bzip2.0], 65, "no way to start it"),
        // Of several, what is missing is told first.
        (&[nowhere, &text.0], 66, "no way to start it"),
    ] {
        let (found, _, errors) = run(arguments);
        assert_eq!(found, status, "{errors}");
        assert!(errors.contains(message), "{message} in {errors}");
    }
    let (_, out, _) = run(&[&bzip2.0]);
    assert!(out.ends_with("  inside (bzip2): can't unpack bzip2 here\n"), "{out}");
}

#[test]
fn help_names_every_status() {
    let (status, out, errors) = run(&[Path::new("--help")]);
    assert_eq!((status, errors.as_str()), (0, ""));
    for wanted in ["--json", "0 each", "64 usage", "65 a file", "66 a file"] {
        assert!(out.contains(wanted), "{wanted}");
    }
}

#[test]
fn text_from_an_image_is_escaped() {
    // A bzImage whose name for itself clears the screen.
    let mut file = vec![0; 0x400 + 0x300];
    (file[0x1F1], file[0x1FE], file[0x1FF]) = (1, 0x55, 0xAA);
    (file[0x200], file[0x201]) = (0xEB, 0x66);
    file[0x202..0x208].copy_from_slice(b"HdrS\x00\x02");
    (file[0x20E], file[0x20F], file[0x211]) = (0x80, 0x01, 1);
    file[0x380..0x388].copy_from_slice(b"6\x1B[2J\xFF\"\n");
    let file = TempFile::new("escape", &file);
    let (status, out, _) = run(&[&file.0]);
    assert_eq!(status, 0);
    assert!(out.contains(r#"bzImage, boot protocol 2.00, "6\x1b[2J\xff\"\n""#), "{out}");
}
