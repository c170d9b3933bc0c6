//! The rigs: every check of the project that a machine can run, as a table.

use crate::guest_tables;
use crate::tools::{
    ACPICA, BOCHS, BOCHS_SID, BUSYBOX, DMIDECODE, GRUB, IPXE, LINUX_BOOKWORM, LINUX_FORKY,
    LINUX_TRIXIE, LLVM, LOADERS, MEMTEST, OVMF, QEMU, SEABIOS, Tool, XEN,
};

/// A check with a name.
#[derive(Debug)]
pub(crate) struct Rig {
    /// Its name on the command line, in the report and of its log.
    pub(crate) name: &'static str,
    /// When it runs.
    pub(crate) tier: Tier,
    /// Without these it is skipped.
    pub(crate) needs: &'static [Need],
    /// What it does.
    pub(crate) check: Check,
}

/// How often a rig is worth its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// On every change.
    Ci,
    /// With `--full`.
    Full,
}

/// What a machine may lack.
#[derive(Debug)]
pub(crate) enum Need {
    /// A `/dev/kvm` that can be opened.
    Kvm,
    /// A tool of the toolbox.
    Tool(&'static Tool),
}

/// What a rig does, and when it passes.
#[derive(Debug)]
pub(crate) enum Check {
    /// Runs cargo, which must succeed.
    Cargo(&'static [&'static str]),
    /// Looks at what is committed; see [`crate::repository`].
    Repository,
    /// Boots a guest; see [`crate::judge`].
    Boot(Boot),
    /// Starts a kernel that knows nothing of us, on kvm-vmm in QEMU, and looks for what it prints.
    Prints(Prints),
    /// Boots a guest on KVM and on bare metal: both must find the same, but for lines that begin
    /// with one of these words.
    Agree(Boot, &'static [&'static str]),
    /// Starts a small guest on KVM: its host must not take more memory than it may; see
    /// [`mod@crate::bench`].
    Memory,
    /// Counts what a CPUID exit costs; see [`mod@crate::ticks`].
    Ticks,
}

/// A guest to boot.
#[derive(Debug)]
pub(crate) struct Boot {
    /// What runs it.
    pub(crate) host: Host,
    /// The kernel and its file, which brings our user space along; without one, the host's own
    /// default guest.
    pub(crate) kernel: Option<(&'static Tool, &'static str)>,
    /// The firmware that starts it, from the reset vector, and its file.
    pub(crate) firmware: Option<(&'static Tool, &'static str)>,
    /// More arguments for the host.
    pub(crate) options: &'static [&'static str],
    /// More words for the guest's command line.
    pub(crate) words: &'static str,
    /// Features to build kvm-vmm with.
    pub(crate) features: &'static [&'static str],
    /// How often the nonce has to be told: once for each start of the guest.
    pub(crate) starts: usize,
    /// A fault that kvm-vmm puts into a table, by its name.
    pub(crate) fault: Option<&'static str>,
    /// If the platform gets a table with a fault in it: which judges see it. Then the rig passes if
    /// it is they, and only they, who find the run red: the judges are seen to judge.
    pub(crate) red_by: Option<&'static [Judge]>,
    /// How many CPUs a Linux has to find, if it is also to find the tables of such a machine; see
    /// [`mod@crate::guest_tables`].
    pub(crate) tables_of_cpus: Option<u32>,
    /// What the guest has to print besides.
    pub(crate) prints: &'static [&'static str],
}

/// What finds that a guest's run is red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Its end: it does not power off, or does not print the nonce.
    End,
    /// Its kernel's log, or the tour's report, which has a forbidden line.
    Log,
    /// The comparison of the tables that it read with those that it should have, and the validator
    /// that reads them.
    Tables,
}

/// A kernel that does not power off, or not by itself.
#[derive(Debug)]
pub(crate) struct Prints {
    /// The kernel and its file.
    pub(crate) kernel: (&'static Tool, &'static str),
    /// More arguments for kvm-vmm.
    pub(crate) options: &'static [&'static str],
    /// Its command line.
    pub(crate) command_line: &'static str,
    /// How kvm-vmm ends.
    pub(crate) status: i32,
    /// What it has to print. In both `$nonce` stands for the nonce of this run.
    pub(crate) texts: &'static [&'static str],
}

/// What runs a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// kvm-vmm on this machine's KVM.
    Kvm,
    /// kvm-vmm on the KVM of a Linux in QEMU with AMD's virtualization.
    NestedAmd,
    /// QEMU alone: the guest on a platform that is none of ours.
    Qemu,
    /// The bare-metal hypervisor in Bochs.
    Bochs,
}

/// The tour on this machine's KVM: what other rigs vary.
const GUEST: Boot = Boot {
    host: Host::Kvm,
    kernel: None,
    firmware: None,
    options: &[],
    words: "",
    features: &[],
    starts: 1,
    fault: None,
    red_by: None,
    tables_of_cpus: None,
    prints: &[],
};

const SEABIOS_FILE: (&Tool, &str) = (&SEABIOS, "usr/share/seabios/bios-256k.bin");
const OVMF_FILE: (&Tool, &str) = (&OVMF, "usr/share/OVMF/OVMF_CODE_4M.fd");

/// The tour behind SeaBIOS, which an hvmloader started as on Xen.
const VIA_HVMLOADER: Boot =
    Boot { firmware: Some(SEABIOS_FILE), options: &["--via-hvmloader"], ..GUEST };

const KVM: &[Need] = &[Need::Kvm];
const KVM_SEABIOS: &[Need] = &[Need::Kvm, Need::Tool(&SEABIOS)];
const BOCHS_ONLY: &[Need] = &[Need::Tool(&BOCHS)];
const BOCHS_SID_AND_GRUB: &[Need] = &[Need::Tool(&BOCHS_SID), Need::Tool(&GRUB)];
const BOCHS_AND_GRUB: &[Need] = &[Need::Tool(&BOCHS), Need::Tool(&GRUB)];
const KVM_AND_BOCHS: &[Need] = &[Need::Kvm, Need::Tool(&BOCHS)];
const KVM_BOCHS_AND_SEABIOS: &[Need] = &[Need::Kvm, Need::Tool(&BOCHS), Need::Tool(&SEABIOS)];
const BOCHS_SEABIOS: &[Need] = &[Need::Tool(&BOCHS), Need::Tool(&SEABIOS)];
const BOCHS_LINUX: &[Need] = &[Need::Tool(&BOCHS), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE)];
const NESTED: &[Need] = &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE)];
const NESTED_SEABIOS: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&SEABIOS)];
const NESTED_BOOKWORM: &[Need] = &[
    Need::Tool(&QEMU),
    Need::Tool(&BUSYBOX),
    Need::Tool(&LINUX_TRIXIE),
    Need::Tool(&LINUX_BOOKWORM),
];

const NESTED_FORKY: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&LINUX_FORKY)];
const NESTED_OVMF: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&OVMF)];
const NESTED_XEN: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&XEN)];
const NESTED_MEMTEST: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&MEMTEST)];

/// The packages whose images are identified.
const CORPUS: &[Need] = &[
    Need::Tool(&BOCHS),
    Need::Tool(&BUSYBOX),
    Need::Tool(&GRUB),
    Need::Tool(&LINUX_BOOKWORM),
    Need::Tool(&LINUX_FORKY),
    Need::Tool(&LINUX_TRIXIE),
    Need::Tool(&LOADERS),
    Need::Tool(&MEMTEST),
    Need::Tool(&OVMF),
    Need::Tool(&QEMU),
    Need::Tool(&SEABIOS),
    Need::Tool(&XEN),
];

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
        check: Check::Cargo(&[
            "test",
            "-p",
            "elf-boot",
            "--features",
            "corpus-rig",
            "--test",
            "real",
            "--config",
            "profile.dev.package.elf-boot.opt-level=2",
            "--config",
            "profile.dev.package.goblin.opt-level=2",
            "--",
            "--nocapture",
        ]),
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
        name: "kvm-tables",
        tier: Tier::Ci,
        needs: KVM_SEABIOS,
        check: Check::Cargo(&["test", "-p", "tables", "--features", "kvm-rig", "--test", "kvm"]),
    },
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
    // The firmware finds the kernel in its configuration, and starts it as an EFI application; the
    // tables are ours all the same.
    on_nested(
        "nested-amd-ovmf",
        NESTED_OVMF,
        Boot {
            kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
            firmware: Some(OVMF_FILE),
            prints: &[
                "EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path",
                "efi: EFI v2.7 by Debian distribution of EDK II",
                "DMI: hvkit Virtual Machine",
                "ACPI: XSDT",
            ],
            ..GUEST
        },
    ),
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

const fn cargo(name: &'static str, tier: Tier, arguments: &'static [&'static str]) -> Rig {
    Rig { name, tier, needs: &[], check: Check::Cargo(arguments) }
}

/// The test of the entry rules, which prints what it saw.
const ENTRY_RULES: [&str; 9] = [
    "test",
    "--package",
    "bare-metal",
    "--features",
    "entry-rules-rig",
    "--test",
    "entry_rules",
    "--",
    "--nocapture",
];
/// The same with ten times as many entries.
const ENTRY_RULES_FULL: [&str; 11] = ignored_entry_rules("full_run");
/// As many as on every change, on another Bochs.
const ENTRY_RULES_SID: [&str; 11] = ignored_entry_rules("the_next_bochs");

const fn ignored_entry_rules(test: &'static str) -> [&'static str; 11] {
    let [a, b, c, d, e, f, g, h, i] = ENTRY_RULES;
    [a, b, c, d, e, f, g, h, i, "--ignored", test]
}

const fn entry_rules(
    name: &'static str,
    tier: Tier,
    needs: &'static [Need],
    arguments: &'static [&'static str],
) -> Rig {
    Rig { name, tier, needs, check: Check::Cargo(arguments) }
}

const fn on_kvm(name: &'static str, needs: &'static [Need], boot: Boot) -> Rig {
    Rig { name, tier: Tier::Ci, needs, check: Check::Boot(boot) }
}

const fn on_nested(name: &'static str, needs: &'static [Need], boot: Boot) -> Rig {
    on_kvm(name, needs, Boot { host: Host::NestedAmd, ..boot })
}

const fn on_bochs(name: &'static str, needs: &'static [Need], boot: Boot) -> Rig {
    on_kvm(name, needs, Boot { host: Host::Bochs, ..boot })
}

/// Debian 13's kernel in kvm-vmm on two CPUs, with a fault in its tables.
const fn broken(name: &'static str, fault: &'static str, red_by: &'static [Judge]) -> Rig {
    let boot = Boot {
        kernel: Some((&LINUX_TRIXIE, "vmlinuz")),
        // A guest that lives is done after a third of this.
        options: &["--timeout", "90"],
        fault: Some(fault),
        features: &["fault-injection"],
        tables_of_cpus: Some(2),
        red_by: Some(red_by),
        ..GUEST
    };
    Rig { tier: Tier::Full, ..on_nested(name, NESTED, boot) }
}

/// Debian 13's kernel in kvm-vmm.
const fn linux(name: &'static str, file: &'static str, options: &'static [&'static str]) -> Rig {
    on_nested(name, NESTED, Boot { kernel: Some((&LINUX_TRIXIE, file)), options, ..GUEST })
}

/// Debian 12's kernel in kvm-vmm.
const fn linux_6_1(
    name: &'static str,
    file: &'static str,
    options: &'static [&'static str],
) -> Rig {
    let kernel = Some((&LINUX_BOOKWORM, file));
    on_nested(name, NESTED_BOOKWORM, Boot { kernel, options, ..GUEST })
}

/// The kernel of Debian's next release in kvm-vmm, which changes by itself.
const fn linux_next(
    name: &'static str,
    file: &'static str,
    options: &'static [&'static str],
) -> Rig {
    let kernel = Some((&LINUX_FORKY, file));
    let rig = on_nested(name, NESTED_FORKY, Boot { kernel, options, ..GUEST });
    Rig { tier: Tier::Full, ..rig }
}

/// Debian 13's Xen in kvm-vmm. It says what it was told, finds no kernel for its first domain, and
/// resets.
const fn xen(
    name: &'static str,
    options: &'static [&'static str],
    texts: &'static [&'static str],
) -> Rig {
    // The first word is dropped: Xen takes it for the name of its file. There is no BIOS to call in
    // real mode.
    let command_line = "xen console=com1 com1=115200,8n1 no-real-mode nonce=$nonce";
    let prints = Prints { kernel: (&XEN, "xen"), options, command_line, status: 80, texts };
    Rig { name, tier: Tier::Ci, needs: NESTED_XEN, check: Check::Prints(prints) }
}

/// Debian 13's kernel in QEMU.
const fn on_qemu(name: &'static str, red_by: Option<&'static [Judge]>) -> Rig {
    let kernel = Some((&LINUX_TRIXIE, "vmlinuz"));
    on_kvm(name, NESTED, Boot { host: Host::Qemu, kernel, red_by, ..GUEST })
}
