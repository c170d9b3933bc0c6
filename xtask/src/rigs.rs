//! The rigs: every check of the project that a machine can run, as a table.

mod kinds;

use crate::guest_tables;
use crate::rig::{Boot, Check, Host, Judge, Need, Prints, Rig, Tier};
use crate::tools::{
    ACPICA, BOCHS, DMIDECODE, GNUMACH, IPXE, LINUX_TRIXIE, LLVM, MEMTEST, OVMF, QEMU, SEABIOS,
};
use crate::variables;
use kinds::*;

/// All rigs, in the order in which they run.
pub(crate) static ALL: &[Rig] = &[
    cargo("fmt", Tier::Ci, &["fmt", "--all", "--check"]),
    Rig { name: "repository", tier: Tier::Ci, needs: &[], check: Check::Repository },
    cargo("clippy", Tier::Ci, &["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"]),
    // The freestanding images, which no other check compiles.
    cargo(
        "clippy-images",
        Tier::Ci,
        &[
            "clippy",
            "--target-dir",
            "target/images",
            "--config",
            "profile.dev.panic='abort'",
            "--package",
            "bare-metal-image",
            "--package",
            "hvkit-tour",
            "--package",
            "hvkit-hvmloader",
            "--bins",
            "--features",
            "bare-metal-image/image,hvkit-tour/image,hvkit-hvmloader/image",
            "--",
            "-Dwarnings",
        ],
    ),
    cargo(
        "docs",
        Tier::Ci,
        &["doc", "--workspace", "--no-deps", "--config", "build.rustdocflags=['-Dwarnings']"],
    ),
    cargo("unit", Tier::Ci, &["test", "--workspace"]),
    Rig {
        name: "iasl",
        tier: Tier::Ci,
        needs: &[Need::Tool(&ACPICA)],
        check: Check::Cargo(&["test", "-p", "acpi-builder", "--features", "iasl-rig"]),
    },
    Rig {
        name: "dmidecode",
        tier: Tier::Ci,
        needs: &[Need::Tool(&DMIDECODE)],
        check: Check::Cargo(&["test", "-p", "smbios-builder", "--features", "dmidecode-rig"]),
    },
    Rig {
        name: "tables",
        tier: Tier::Ci,
        needs: &[Need::Tool(&ACPICA), Need::Tool(&DMIDECODE)],
        check: Check::Cargo(&["test", "-p", "tables", "--features", "tables-rig"]),
    },
    Rig {
        name: "qemu-seabios",
        tier: Tier::Ci,
        needs: &[Need::Tool(&QEMU)],
        check: Check::Cargo(&[
            "test",
            "-p",
            "tables",
            "--features",
            "seabios-rig",
            "--test",
            "seabios",
        ]),
    },
    Rig {
        name: "firmware-corpus",
        tier: Tier::Ci,
        needs: &[
            Need::Tool(&SEABIOS),
            Need::Tool(&OVMF),
            Need::Tool(&BOCHS),
            Need::Tool(&QEMU),
            Need::Tool(&IPXE),
        ],
        check: Check::Cargo(&["test", "-p", "firmware-blobs", "--features", "corpus-rig"]),
    },
    Rig {
        name: "identify-corpus",
        tier: Tier::Ci,
        needs: CORPUS,
        check: Check::Cargo(&["test", "-p", "identify", "--features", "corpus-rig"]),
    },
    // Optimized it takes two seconds, else a minute.
    Rig {
        name: "elf-differential",
        tier: Tier::Ci,
        needs: CORPUS,
        check: Check::Cargo(&ELF_DIFFERENTIAL),
    },
    Rig {
        name: "identify-corpus-next",
        tier: Tier::Full,
        needs: CORPUS_NEXT,
        check: Check::Cargo(&["test", "-p", "identify", "--features", "next-rig"]),
    },
    Rig {
        name: "elf-differential-next",
        tier: Tier::Full,
        needs: CORPUS_NEXT,
        check: Check::Cargo(&ELF_DIFFERENTIAL_NEXT),
    },
    // What lies outside the workspace: the fuzz bodies over their corpus, and users' programs.
    cargo(
        "fuzz-replay",
        Tier::Ci,
        &[
            "test",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
            "target/fuzz",
            "--no-default-features",
        ],
    ),
    // The same targets with libFuzzer; the share of lines that their corpora cover; a bug planted for
    // each, which it has to find.
    cargo("fuzz-run", Tier::Full, &["xtask", "fuzz", "--seconds", "20"]),
    Rig {
        name: "fuzz-coverage",
        tier: Tier::Full,
        needs: &[Need::Tool(&LLVM)],
        check: Check::Cargo(&["xtask", "fuzz", "--coverage"]),
    },
    cargo("fuzz-planted", Tier::Full, &["xtask", "fuzz", "--planted", "--seconds", "30"]),
    cargo(
        "consumer-ept",
        Tier::Ci,
        &[
            "run",
            "--manifest-path",
            "consumers/ept-identity/Cargo.toml",
            "--target-dir",
            "target/consumers",
        ],
    ),
    cargo(
        "consumer-smbios",
        Tier::Ci,
        &[
            "run",
            "--manifest-path",
            "consumers/smbios/Cargo.toml",
            "--target-dir",
            "target/consumers",
        ],
    ),
    cargo(
        "consumer-virtio",
        Tier::Ci,
        &[
            "run",
            "--manifest-path",
            "consumers/virtio-disk/Cargo.toml",
            "--target-dir",
            "target/consumers",
        ],
    ),
    cargo(
        "consumer-vmx",
        Tier::Ci,
        &[
            "run",
            "--manifest-path",
            "consumers/vmcs-check/Cargo.toml",
            "--target-dir",
            "target/consumers",
        ],
    ),
    cargo("unit-release", Tier::Full, &["test", "--workspace", "--release"]),
    on_kvm("kvm-tour", KVM, GUEST),
    on_kvm("kvm-tour-multiboot", KVM, Boot { options: &["--protocol", "multiboot"], ..GUEST }),
    on_kvm("kvm-seabios", KVM_SEABIOS, Boot { firmware: Some(SEABIOS_FILE), ..GUEST }),
    // A hard reset, and two that reset the CPU alone, which SeaBIOS makes a hard one.
    on_kvm(
        "kvm-seabios-resets",
        KVM_SEABIOS,
        Boot { firmware: Some(SEABIOS_FILE), words: "hvkit.resets=cf9,64,92", starts: 4, ..GUEST },
    ),
    // By an hvmloader in the guest: what the tour finds is held against a direct start.
    Rig {
        name: "kvm-hvmloader",
        tier: Tier::Ci,
        needs: KVM_SEABIOS,
        check: Check::Cargo(&["test", "-p", "kvm-vmm", "--features", "hvmloader-rig"]),
    },
    Rig {
        name: "kvm-disk",
        tier: Tier::Ci,
        needs: KVM_SEABIOS,
        check: Check::Cargo(&["test", "-p", "kvm-vmm", "--features", "disk-rig", "--", "disk"]),
    },
    Rig {
        name: "kvm-tables",
        tier: Tier::Ci,
        needs: KVM_SEABIOS,
        check: Check::Cargo(&["test", "-p", "tables", "--features", "kvm-rig"]),
    },
    cargo("picture", Tier::Ci, &["test", "-p", "kvm-vmm", "--features", "svg"]),
    Rig { name: "kvm-memory", tier: Tier::Ci, needs: KVM, check: Check::Memory },
    Rig {
        name: "kvm-endings",
        tier: Tier::Ci,
        needs: KVM,
        check: Check::Cargo(&["test", "-p", "kvm-vmm", "--features", "kvm-rig,fault-injection"]),
    },
    // Linux on a platform that is known to be good, and on one that is known to be broken: when
    // these are right, a red nested rig is about our platform.
    on_qemu("control-linux", None),
    on_qemu("control-broken-table", Some(&[Judge::Log])),
    on_nested("nested-amd-tour", NESTED, Boot { kernel: None, ..GUEST }),
    // A KVM that executes what the one of this machine may interpret.
    on_nested(
        "nested-amd-hvmloader",
        NESTED_SEABIOS,
        Boot { options: &["--via-hvmloader", "--cpus", "2"], ..VIA_HVMLOADER },
    ),
    Rig { name: "nested-amd-gdb", tier: Tier::Ci, needs: NESTED, check: Check::Gdb },
    on_nested(
        "nested-amd-broken-table",
        NESTED,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            fault: Some("table-checksum"),
            features: &["fault-injection"],
            tables_of_cpus: Some(1),
            red_by: Some(&[Judge::Log, Judge::Tables]),
            ..GUEST
        },
    ),
    on_nested(
        "nested-amd-tables",
        NESTED,
        Boot { kernel: Some((&LINUX_TRIXIE, "vmlinuz")), tables_of_cpus: Some(4), ..GUEST },
    ),
    // The same for other kinds of faults. What Linux lives with in silence the tables show.
    broken("nested-amd-broken-pointer", "pointer-dangling", &[Judge::End, Judge::Tables]),
    broken("nested-amd-broken-overlap", "pointer-overlap", &[Judge::Tables]),
    broken("nested-amd-broken-signature", "table-signature", &[Judge::Tables]),
    broken("nested-amd-broken-size", "table-size", &[Judge::Tables]),
    broken("nested-amd-broken-entry", "entry-length", &[Judge::End, Judge::Tables]),
    broken("nested-amd-broken-fadt", "fadt-dsdt-differs", &[Judge::Log, Judge::Tables]),
    broken("nested-amd-broken-facs", "facs-signature", &[Judge::Log, Judge::Tables]),
    broken("nested-amd-broken-ids", "madt-repeated-apic-id", &[Judge::Tables]),
    broken("nested-amd-broken-srat", "srat-not-in-madt", &[Judge::Tables]),
    broken("nested-amd-broken-aml", "aml-length", &[Judge::End, Judge::Log, Judge::Tables]),
    broken("nested-amd-broken-name", "aml-repeated-name", &[Judge::Log, Judge::Tables]),
    broken("nested-amd-broken-region", "aml-region", &[Judge::Tables]),
    broken("nested-amd-broken-window", "crs-in-ram", &[Judge::Tables]),
    // Linux takes the other entry point.
    broken("nested-amd-broken-smbios", "smbios-checksum", &[Judge::Tables]),
    linux("nested-amd-bzimage", "vmlinuz", &["--protocol", "linux64"]),
    linux("nested-amd-pvh", "vmlinux", &["--protocol", "pvh"]),
    linux("nested-amd-linux64", "vmlinux", &["--protocol", "linux64"]),
    linux_6_1("nested-amd-bzimage-6.1", "vmlinuz", &["--protocol", "linux64"]),
    linux_6_1("nested-amd-pvh-6.1", "vmlinux", &["--protocol", "pvh"]),
    linux_6_1("nested-amd-linux64-6.1", "vmlinux", &["--protocol", "linux64"]),
    // Its kernel's own driver reads and writes one disk, and reads another, by virtio-blk.
    on_nested(
        "nested-amd-disk",
        NESTED,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            options: &["--protocol", "linux64"],
            has_disks: true,
            ..GUEST
        },
    ),
    // The firmware finds the kernel in its configuration, and starts it as an EFI application; the
    // tables are ours all the same.
    on_nested(
        "nested-amd-ovmf",
        NESTED_OVMF,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            firmware: Some(OVMF_FILE),
            prints: BY_OVMF,
            ..GUEST
        },
    ),
    // Two such guests, one after the other: what the first one writes to its variables the second one
    // reads, and so do we, from the file.
    Rig {
        name: "nested-amd-ovmf-vars",
        tier: Tier::Ci,
        needs: NESTED_OVMF,
        check: Check::Variables(Boot {
            host: Host::NestedAmd,
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            firmware: Some(OVMF_FILE),
            words: variables::WORD,
            prints: BY_OVMF,
            ..GUEST
        }),
    },
    linux_next("nested-amd-bzimage-next", "vmlinuz", &["--protocol", "linux64"]),
    linux_next("nested-amd-pvh-next", "vmlinux", &["--protocol", "pvh"]),
    linux_next("nested-amd-linux64-next", "vmlinux", &["--protocol", "linux64"]),
    linux("nested-amd-linux32", "vmlinuz", &["--protocol", "linux32"]),
    xen(
        "nested-amd-xen-multiboot2",
        &["--protocol", "multiboot2", "--memory", "512M", "--on-reset", "exit"],
        &[
            "(XEN) Bootloader: hvkit",
            "(XEN) Command line: console=com1 com1=115200,8n1 no-real-mode nonce=$nonce",
            // It was moved to the end of memory, as it asks for, and was told so.
            "(XEN) Xen image load base address: 0x1f",
            "dom0 kernel not specified",
        ],
    ),
    xen(
        "nested-amd-xen-multiboot",
        &["--protocol", "multiboot", "--memory", "512M", "--on-reset", "exit"],
        &[
            "(XEN) Bootloader: hvkit",
            "(XEN) Command line: console=com1 com1=115200,8n1 no-real-mode nonce=$nonce",
            "(XEN) Xen image load base address: 0\r",
            "dom0 kernel not specified",
        ],
    ),
    Rig {
        name: "nested-amd-gnumach",
        tier: Tier::Ci,
        needs: NESTED_GNUMACH,
        check: Check::Prints(Prints {
            kernel: (&GNUMACH, "gnumach"),
            options: &["--protocol", "multiboot", "--memory", "64M", "--timeout", "10"],
            command_line: "gnumach console=com0 nonce=$nonce",
            status: 124,
            // The memory is ours, and it looks for its first program, which it would get as a module.
            texts: &[
                "GNU Mach 1.8",
                "biosmem: 000000000000100000:000000000003fff000, available",
                "No bootstrap code loaded with the kernel!",
            ],
        }),
    },
    Rig {
        name: "nested-amd-memtest",
        tier: Tier::Full,
        needs: NESTED_MEMTEST,
        check: Check::Prints(Prints {
            kernel: (&MEMTEST, "boot/memtest86+x64.bin"),
            options: &["--protocol", "linux64", "--memory", "64M", "--timeout", "15"],
            command_line: "console=ttyS0,115200",
            status: 124,
            // It reads our SMBIOS tables, and it begins to test.
            texts: &["Memtest86+ v7.20", "hvkit Virtual Machine", "[Address test, walking ones"],
        }),
    },
    // With its variables in flash, until the guest ends.
    // Bochs 3.0 takes tigerlake's shadow stacks into account where there are none: it stops at a write
    // with CR0.WP clear, which OVMF makes to set page tables up.
    on_bochs(
        "bochs-ovmf",
        BOCHS_OVMF,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            firmware: Some(OVMF_BOTH),
            options: &["--cpu-model", "haswell", "--max-ticks", "4000000000"],
            prints: BY_OVMF,
            ..GUEST
        },
    ),
    on_bochs("bochs-seabios", BOCHS_SEABIOS, Boot { firmware: Some(SEABIOS_FILE), ..GUEST }),
    on_bochs("bochs-hvmloader", BOCHS_SEABIOS, VIA_HVMLOADER),
    on_bochs(
        "bochs-hvmloader-fw-cfg",
        BOCHS_SEABIOS,
        Boot { options: &["--via-hvmloader=fw-cfg"], ..VIA_HVMLOADER },
    ),
    // Byte for byte. The MP table has checksum and processor in its first two lines.
    Rig {
        name: "bochs-hvmloader-agrees",
        tier: Tier::Ci,
        needs: KVM_BOCHS_AND_SEABIOS,
        check: Check::Agree(
            Boot { words: guest_tables::OPTION, ..VIA_HVMLOADER },
            &["cpu ", "hvkit: bytes 50434d50", "hvkit: bytes 00002b000000e0fe"],
        ),
    },
    on_bochs(
        "bochs-linux",
        BOCHS_LINUX,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            // Measured: 2.38 G, firmware and kernel included. What takes more has got worse.
            options: &["--protocol", "linux64", "--stats", "--max-ticks", "2500000000"],
            ..GUEST
        },
    ),
    on_bochs(
        "bochs-linux-tables",
        BOCHS_LINUX,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            options: &["--protocol", "linux64", "--max-ticks", "3500000000"],
            tables_of_cpus: Some(1),
            ..GUEST
        },
    ),
    Rig {
        name: "bochs-endings",
        tier: Tier::Ci,
        needs: BOCHS_AND_GRUB,
        check: Check::Cargo(&["test", "-p", "bare-metal", "--features", "bochs-rig"]),
    },
    // The entry checker beside Bochs, which prints what it enforces: 2,000 entries a model, and
    // 20,000.
    entry_rules("bochs-entry-rules", Tier::Ci, BOCHS_ONLY, &ENTRY_RULES),
    entry_rules("bochs-entry-rules-full", Tier::Full, BOCHS_ONLY, &ENTRY_RULES_FULL),
    // A Bochs that changes with Debian's: on every change it would make others' changes red.
    entry_rules("bochs-entry-rules-sid", Tier::Full, BOCHS_SID_AND_GRUB, &ENTRY_RULES_SID),
    Rig {
        name: "bochs-ept",
        tier: Tier::Ci,
        needs: BOCHS_ONLY,
        check: Check::Cargo(&[
            "test",
            "-p",
            "bare-metal",
            "--features",
            "ept-rig",
            "--test",
            "ept_on_bochs",
            "--",
            "--nocapture",
        ]),
    },
    Rig { name: "bochs-ticks", tier: Tier::Ci, needs: BOCHS_ONLY, check: Check::Ticks },
    // The processors are different ones, and so are the hypervisors that CPUID names.
    Rig {
        name: "bochs-agrees-with-kvm",
        tier: Tier::Ci,
        needs: KVM_AND_BOCHS,
        check: Check::Agree(GUEST, &["cpu "]),
    },
];
