//! The rigs: every check of the project that a machine can run, as a table.

use crate::tools::{BUSYBOX, LINUX_BOOKWORM, LINUX_TRIXIE, QEMU, Tool};

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
}

/// A guest to boot.
#[derive(Debug)]
pub(crate) struct Boot {
    /// What runs it.
    pub(crate) host: Host,
    /// The kernel and its file, which brings our user space along; without one, the host's own
    /// default guest.
    pub(crate) kernel: Option<(&'static Tool, &'static str)>,
    /// More arguments for the host.
    pub(crate) options: &'static [&'static str],
    /// Whether the platform gets a table with a fault in it. Then the rig passes if the guest
    /// complains, and only then: the judge is seen to judge.
    pub(crate) broken_table: bool,
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
}

const NESTED: &[Need] = &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE)];
const NESTED_BOOKWORM: &[Need] = &[
    Need::Tool(&QEMU),
    Need::Tool(&BUSYBOX),
    Need::Tool(&LINUX_TRIXIE),
    Need::Tool(&LINUX_BOOKWORM),
];

/// All rigs, in the order in which they run.
pub(crate) static ALL: &[Rig] = &[
    cargo("fmt", Tier::Ci, &["fmt", "--all", "--check"]),
    Rig { name: "repository", tier: Tier::Ci, needs: &[], check: Check::Repository },
    cargo("clippy", Tier::Ci, &["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"]),
    cargo(
        "docs",
        Tier::Ci,
        &["doc", "--workspace", "--no-deps", "--config", "build.rustdocflags=['-Dwarnings']"],
    ),
    cargo("unit", Tier::Ci, &["test", "--workspace"]),
    cargo("unit-release", Tier::Full, &["test", "--workspace", "--release"]),
    Rig {
        name: "kvm-tour",
        tier: Tier::Ci,
        needs: &[Need::Kvm],
        check: Check::Boot(Boot {
            host: Host::Kvm,
            kernel: None,
            options: &[],
            broken_table: false,
        }),
    },
    Rig {
        name: "kvm-registers",
        tier: Tier::Ci,
        needs: &[Need::Kvm],
        check: Check::Cargo(&["test", "-p", "kvm-vmm", "--features", "kvm-rig"]),
    },
    // Linux on a platform that is known to be good, and on one that is known to be broken: when
    // these are right, a red nested rig is about our platform.
    on_qemu("control-linux", false),
    on_qemu("control-broken-table", true),
    Rig { name: "nested-amd-tour", tier: Tier::Ci, needs: NESTED, check: nested(None, &[]) },
    linux("nested-amd-bzimage", "vmlinuz", &["--protocol", "linux64"]),
    linux("nested-amd-pvh", "vmlinux", &["--protocol", "pvh"]),
    linux("nested-amd-linux64", "vmlinux", &["--protocol", "linux64"]),
    linux_6_1("nested-amd-bzimage-6.1", "vmlinuz", &["--protocol", "linux64"]),
    linux_6_1("nested-amd-pvh-6.1", "vmlinux", &["--protocol", "pvh"]),
    linux_6_1("nested-amd-linux64-6.1", "vmlinux", &["--protocol", "linux64"]),
];

const fn cargo(name: &'static str, tier: Tier, arguments: &'static [&'static str]) -> Rig {
    Rig { name, tier, needs: &[], check: Check::Cargo(arguments) }
}

const fn nested(
    kernel: Option<(&'static Tool, &'static str)>,
    options: &'static [&'static str],
) -> Check {
    Check::Boot(Boot { host: Host::NestedAmd, kernel, options, broken_table: false })
}

/// Debian 13's kernel in kvm-vmm.
const fn linux(name: &'static str, file: &'static str, options: &'static [&'static str]) -> Rig {
    let check = nested(Some((&LINUX_TRIXIE, file)), options);
    Rig { name, tier: Tier::Ci, needs: NESTED, check }
}

/// Debian 12's kernel in kvm-vmm.
const fn linux_6_1(
    name: &'static str,
    file: &'static str,
    options: &'static [&'static str],
) -> Rig {
    let check = nested(Some((&LINUX_BOOKWORM, file)), options);
    Rig { name, tier: Tier::Ci, needs: NESTED_BOOKWORM, check }
}

/// Debian 13's kernel in QEMU.
const fn on_qemu(name: &'static str, broken_table: bool) -> Rig {
    let kernel = Some((&LINUX_TRIXIE, "vmlinuz"));
    let check = Check::Boot(Boot { host: Host::Qemu, kernel, options: &[], broken_table });
    Rig { name, tier: Tier::Ci, needs: NESTED, check }
}
