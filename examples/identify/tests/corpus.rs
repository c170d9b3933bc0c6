//! Real images of Debian's packages, each identified as what it is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// A tool of the toolbox and a file of its packages; its ways; the ways of what is inside.
type Entry = (&'static str, &'static [&'static str], Option<&'static [&'static str]>);

const CORPUS: &[Entry] = &[
    ("linux-trixie:vmlinuz", &["linux64", "linux32"], Some(&["pvh", "linux64"])),
    ("linux-trixie:vmlinux", &["pvh", "linux64"], None),
    ("linux-bookworm:vmlinuz", &["linux64", "linux32"], Some(&["pvh", "linux64"])),
    ("linux-bookworm:vmlinux", &["pvh", "linux64"], None),
    // Later than 6.17.
    #[cfg(feature = "next-rig")]
    ("linux-forky:vmlinuz", &["linux64", "linux32"], Some(&["pvh", "linux64"])),
    #[cfg(feature = "next-rig")]
    ("linux-forky:vmlinux", &["pvh", "linux64"], None),
    // Debian builds Xen without PVH_GUEST. That it has no zero page an ELF32 does not tell.
    ("xen:boot/xen-4.20-amd64.gz", &[], Some(&["multiboot2", "multiboot", "linux32"])),
    ("xen:boot/xen-4.20-amd64.efi", &[], None),
    ("gnumach:gnumach", &["multiboot", "linux64"], None),
    ("memtest:boot/memtest86+x64.bin", &["linux64", "linux32"], None),
    ("memtest:boot/memtest86+ia32.bin", &["linux32"], None),
    ("loaders:usr/lib/syslinux/memdisk", &["linux32"], None),
    ("loaders:usr/lib/ipxe/ipxe.lkrn", &["linux32"], None),
    ("loaders:usr/lib/ipxe/ipxe-amd64.efi", &[], None),
    ("loaders:usr/lib/ipxe/ipxe.iso", &[], None),
    ("seabios:usr/share/seabios/bios.bin", &[], None),
    ("seabios:usr/share/seabios/bios-256k.bin", &[], None),
    ("ovmf:usr/share/OVMF/OVMF_CODE_4M.fd", &[], None),
    ("bochs:usr/share/bochs/BIOS-bochs-latest", &[], None),
    ("qemu:usr/share/qemu/pvh.bin", &[], None),
    ("qemu:usr/share/qemu/multiboot_dma.bin", &[], None),
    // A program is told from a kernel by its interpreter. A static one has none.
    ("grub:usr/bin/grub-file", &[], None),
    ("busybox:usr/bin/busybox", &["linux64"], None),
];

/// Where grub-file and this program differ: grub-file looks for the header alone, and not whether
/// it can be loaded; and it looks into what gzip packed.
const GRUB_SAYS_MORE: &[(&str, &str)] = &[
    ("xen:boot/xen-4.20-amd64.efi", "multiboot"),
    ("xen:boot/xen-4.20-amd64.efi", "multiboot2"),
    ("xen:boot/xen-4.20-amd64.gz", "multiboot"),
    ("xen:boot/xen-4.20-amd64.gz", "multiboot2"),
];

fn toolbox() -> PathBuf {
    // Without the variable, its name is no folder either.
    env::var_os("HVKIT_TOOLBOX").unwrap_or_else(|| "HVKIT_TOOLBOX".into()).into()
}

fn path(file: &str) -> PathBuf {
    let (tool, file) = file.split_once(':').unwrap();
    toolbox().join(tool).join("root").join(file)
}

fn identify(file: &str) -> Value {
    let tests = env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/identify");
    let output = Command::new(program).arg("--json").arg(path(file)).output().unwrap();
    let all: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{file}: {}", String::from_utf8_lossy(&output.stderr)));
    all[0].clone()
}

fn ways(value: &Value) -> Vec<&str> {
    let ways = value["ways"].as_array().unwrap();
    ways.iter().map(|way| way["protocol"].as_str().unwrap()).collect()
}

#[test]
fn each_image_is_identified_as_what_it_is() {
    for &(file, expected, inside) in CORPUS {
        let found = identify(file);
        assert_eq!(ways(&found), expected, "{file}");
        let found = Some(&found["inside"]).filter(|inside| !inside.is_null());
        assert_eq!(found.map(ways).as_deref(), inside, "inside {file}");
    }
}

#[cfg(feature = "next-rig")]
#[test]
fn a_kernel_later_than_6_17_is_among_them() {
    let found = identify("linux-forky:vmlinuz");
    let version = found["format"]["kernel_version"].as_str().unwrap();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!((major, minor) >= (6, 17), "{version}");
    assert_eq!(found["format"]["boot_protocol"], "2.15");
}

#[test]
fn grub_says_the_same() {
    for &(file, ..) in CORPUS {
        let found = identify(file);
        let found = ways(&found);
        for (kind, protocol) in
            [("multiboot", "multiboot"), ("multiboot2", "multiboot2"), ("linux32", "linux32")]
        {
            let mut grub_file = Command::new(toolbox().join("grub/bin/grub-file"));
            let status = grub_file.arg(format!("--is-x86-{kind}")).arg(path(file)).status();
            let grub = status.unwrap().success();
            let explained = GRUB_SAYS_MORE.contains(&(file, kind));
            assert_eq!(found.contains(&protocol) ^ explained, grub, "{file}: {kind}");
        }
    }
}

#[test]
fn debians_kernels_are_what_their_packages_say() {
    for (suite, release, compression) in [("trixie", "6.12.", "zstd"), ("bookworm", "6.1.", "lz4")]
    {
        let found = identify(&format!("linux-{suite}:vmlinuz"));
        let format = &found["format"];
        assert!(format["kernel_version"].as_str().unwrap().starts_with(release), "{format}");
        assert_eq!(format["boot_protocol"], "2.15");
        assert_eq!(format["preferred_address"], "0x1000000", "CONFIG_PHYSICAL_START");
        assert_eq!(format["alignment"], 0x20_0000, "CONFIG_PHYSICAL_ALIGN");
        assert_eq!(found["inside"]["compression"], compression);
        // The same file as its own, and as what is inside.
        let vmlinux = identify(&format!("linux-{suite}:vmlinux"));
        assert_eq!(vmlinux["format"], found["inside"]["format"]);
        assert_eq!(vmlinux["ways"], found["inside"]["ways"]);
        let notes = vmlinux["format"]["notes"].as_array().unwrap();
        let text = |name: &str| {
            let note = notes.iter().find(|note| note["meaning"] == name).unwrap();
            note["text"].clone()
        };
        assert_eq!(text("GUEST_OS"), "linux");
        assert_eq!(text("XEN_VERSION"), "xen-3.0");
        // Linux has the note since 6.10.
        let moves = notes.iter().any(|note| note["meaning"] == "PHYS32_RELOC");
        assert_eq!(moves, suite == "trixie");
    }
}
