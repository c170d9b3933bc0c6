//! What a rig is.

use crate::tools::Tool;

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
    /// Checks `--gdb` of kvm-vmm on a real Linux KVM.
    Gdb,
    /// Looks at what is committed; see [`crate::repository`].
    Repository,
    /// Boots a guest; see [`crate::judge`].
    Boot(Boot),
    /// Boots a guest twice with one file of UEFI variables; see [`mod@crate::variables`].
    Variables(Boot),
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
    /// Whether it gets two disks, and has to use them; see [`mod@crate::disks`].
    pub(crate) has_disks: bool,
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
