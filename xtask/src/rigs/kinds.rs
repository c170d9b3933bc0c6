//! Rigs of a kind, and what they need.

use crate::rig::{Boot, Check, Host, Judge, Need, Prints, Rig, Tier};
use crate::tools::{
    BOCHS, BOCHS_SID, BUSYBOX, GNUMACH, GRUB, LINUX_BOOKWORM, LINUX_FORKY, LINUX_TRIXIE, LOADERS,
    MEMTEST, OVMF, QEMU, SEABIOS, Tool, XEN,
};

/// The tour on this machine's KVM: what other rigs vary.
pub(super) const GUEST: Boot = Boot {
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
    has_disks: false,
    prints: &[],
};

pub(super) const SEABIOS_FILE: (&Tool, &str) = (&SEABIOS, "usr/share/seabios/bios-256k.bin");
pub(super) const OVMF_FILE: (&Tool, &str) = (&OVMF, "usr/share/OVMF/OVMF_CODE_4M.fd");
/// Code and variables in one.
pub(super) const OVMF_BOTH: (&Tool, &str) = (&OVMF, "usr/share/ovmf/OVMF.fd");

/// What shows that OVMF started the kernel, with the tables that it found.
pub(super) const BY_OVMF: &[&str] = &[
    "EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path",
    "efi: EFI v2.7 by Debian distribution of EDK II",
    "DMI: hvkit Virtual Machine",
    "ACPI: XSDT",
];

/// The tour behind SeaBIOS, which an hvmloader started as on Xen.
pub(super) const VIA_HVMLOADER: Boot =
    Boot { firmware: Some(SEABIOS_FILE), options: &["--via-hvmloader"], ..GUEST };

pub(super) const KVM: &[Need] = &[Need::Kvm];
pub(super) const KVM_SEABIOS: &[Need] = &[Need::Kvm, Need::Tool(&SEABIOS)];
pub(super) const BOCHS_ONLY: &[Need] = &[Need::Tool(&BOCHS)];
pub(super) const BOCHS_SID_AND_GRUB: &[Need] = &[Need::Tool(&BOCHS_SID), Need::Tool(&GRUB)];
pub(super) const BOCHS_AND_GRUB: &[Need] = &[Need::Tool(&BOCHS), Need::Tool(&GRUB)];
pub(super) const KVM_AND_BOCHS: &[Need] = &[Need::Kvm, Need::Tool(&BOCHS)];
pub(super) const KVM_BOCHS_AND_SEABIOS: &[Need] =
    &[Need::Kvm, Need::Tool(&BOCHS), Need::Tool(&SEABIOS)];
pub(super) const BOCHS_SEABIOS: &[Need] = &[Need::Tool(&BOCHS), Need::Tool(&SEABIOS)];
pub(super) const BOCHS_LINUX: &[Need] =
    &[Need::Tool(&BOCHS), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE)];
pub(super) const BOCHS_OVMF: &[Need] =
    &[Need::Tool(&BOCHS), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&OVMF)];
pub(super) const NESTED: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE)];
pub(super) const NESTED_SEABIOS: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&SEABIOS)];
pub(super) const NESTED_BOOKWORM: &[Need] = &[
    Need::Tool(&QEMU),
    Need::Tool(&BUSYBOX),
    Need::Tool(&LINUX_TRIXIE),
    Need::Tool(&LINUX_BOOKWORM),
];

pub(super) const NESTED_FORKY: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&LINUX_FORKY)];
pub(super) const NESTED_OVMF: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&OVMF)];
pub(super) const NESTED_XEN: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&XEN)];
pub(super) const NESTED_MEMTEST: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&MEMTEST)];

pub(super) const NESTED_GNUMACH: &[Need] =
    &[Need::Tool(&QEMU), Need::Tool(&BUSYBOX), Need::Tool(&LINUX_TRIXIE), Need::Tool(&GNUMACH)];

/// The packages whose images are identified.
pub(super) const CORPUS: &[Need] = &[
    Need::Tool(&BOCHS),
    Need::Tool(&BUSYBOX),
    Need::Tool(&GNUMACH),
    Need::Tool(&GRUB),
    Need::Tool(&LINUX_BOOKWORM),
    Need::Tool(&LINUX_TRIXIE),
    Need::Tool(&LOADERS),
    Need::Tool(&MEMTEST),
    Need::Tool(&OVMF),
    Need::Tool(&QEMU),
    Need::Tool(&SEABIOS),
    Need::Tool(&XEN),
];

/// The same with the kernel of the next release.
pub(super) const CORPUS_NEXT: &[Need] = &[
    Need::Tool(&BOCHS),
    Need::Tool(&BUSYBOX),
    Need::Tool(&GNUMACH),
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

/// Images read by others too, as fast as can be: unoptimized it takes a minute.
pub(super) const ELF_DIFFERENTIAL: [&str; 13] = elf_differential("corpus-rig");
pub(super) const ELF_DIFFERENTIAL_NEXT: [&str; 13] = elf_differential("next-rig");

const fn elf_differential(feature: &'static str) -> [&'static str; 13] {
    [
        "test",
        "-p",
        "elf-boot",
        "--features",
        feature,
        "--test",
        "real",
        "--config",
        "profile.dev.package.elf-boot.opt-level=2",
        "--config",
        "profile.dev.package.goblin.opt-level=2",
        "--",
        "--nocapture",
    ]
}
pub(super) const fn cargo(
    name: &'static str,
    tier: Tier,
    arguments: &'static [&'static str],
) -> Rig {
    Rig { name, tier, needs: &[], check: Check::Cargo(arguments) }
}

/// The test of the entry rules, which prints what it saw.
pub(super) const ENTRY_RULES: [&str; 9] = [
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
pub(super) const ENTRY_RULES_FULL: [&str; 11] = ignored_entry_rules("full_run");
/// As many as on every change, on another Bochs.
pub(super) const ENTRY_RULES_SID: [&str; 11] = ignored_entry_rules("the_next_bochs");

pub(super) const fn ignored_entry_rules(test: &'static str) -> [&'static str; 11] {
    let [a, b, c, d, e, f, g, h, i] = ENTRY_RULES;
    [a, b, c, d, e, f, g, h, i, "--ignored", test]
}

pub(super) const fn entry_rules(
    name: &'static str,
    tier: Tier,
    needs: &'static [Need],
    arguments: &'static [&'static str],
) -> Rig {
    Rig { name, tier, needs, check: Check::Cargo(arguments) }
}

pub(super) const fn on_kvm(name: &'static str, needs: &'static [Need], boot: Boot) -> Rig {
    Rig { name, tier: Tier::Ci, needs, check: Check::Boot(boot) }
}

pub(super) const fn on_nested(name: &'static str, needs: &'static [Need], boot: Boot) -> Rig {
    on_kvm(name, needs, Boot { host: Host::NestedAmd, ..boot })
}

pub(super) const fn on_bochs(name: &'static str, needs: &'static [Need], boot: Boot) -> Rig {
    on_kvm(name, needs, Boot { host: Host::Bochs, ..boot })
}

/// Debian 13's kernel in kvm-vmm on two CPUs, with a fault in its tables.
pub(super) const fn broken(
    name: &'static str,
    fault: &'static str,
    red_by: &'static [Judge],
) -> Rig {
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
pub(super) const fn linux(
    name: &'static str,
    file: &'static str,
    options: &'static [&'static str],
) -> Rig {
    on_nested(name, NESTED, Boot { kernel: Some((&LINUX_TRIXIE, file)), options, ..GUEST })
}

/// Debian 12's kernel in kvm-vmm.
pub(super) const fn linux_6_1(
    name: &'static str,
    file: &'static str,
    options: &'static [&'static str],
) -> Rig {
    let kernel = Some((&LINUX_BOOKWORM, file));
    on_nested(name, NESTED_BOOKWORM, Boot { kernel, options, ..GUEST })
}

/// The kernel of Debian's next release in kvm-vmm, which changes by itself.
pub(super) const fn linux_next(
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
pub(super) const fn xen(
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
pub(super) const fn on_qemu(name: &'static str, red_by: Option<&'static [Judge]>) -> Rig {
    let kernel = Some((&LINUX_TRIXIE, "vmlinuz"));
    on_kvm(name, NESTED, Boot { host: Host::Qemu, kernel, red_by, ..GUEST })
}
