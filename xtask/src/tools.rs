//! What the toolbox can bring: which packages, and how their programs are started.

use std::path::Path;

use anyhow::Result;

use crate::kernel;

/// A thing that rigs need, and the Debian packages that it comes in.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its name on the command line, and its folder in the toolbox.
    pub(crate) name: &'static str,
    /// The Debian release that it is taken from.
    pub(crate) suite: &'static str,
    /// The packages to ask apt for.
    pub(crate) packages: &'static [&'static str],
    /// The packages that they depend on are taken too if their names begin so. The rest of what
    /// a package depends on is for systems that install it.
    pub(crate) dependencies: &'static [&'static str],
    /// The programs that may be started by name.
    pub(crate) programs: &'static [Program],
    /// What remains to be done once its packages are unpacked into the folder given.
    pub(crate) finish: fn(&Path) -> Result<()>,
}

/// A program of a [`Tool`]. In its strings `$root` stands for the folder of unpacked packages.
#[derive(Debug)]
pub(crate) struct Program {
    /// The name to start it by.
    pub(crate) name: &'static str,
    /// Its file under `$root/usr`.
    pub(crate) file: &'static str,
    /// Environment that tells it where its own files are.
    pub(crate) environment: &'static [&'static str],
    /// Arguments that do the same; they come before all others.
    pub(crate) arguments: &'static [&'static str],
}

impl Program {
    /// A program that needs none of its own files.
    const fn plain(name: &'static str, file: &'static str) -> Self {
        Self { name, file, environment: &[], arguments: &[] }
    }
}

const LIBRARIES: &[&str] = &["lib", "zlib1g"];

const fn nothing_more(_root: &Path) -> Result<()> {
    Ok(())
}

/// QEMU, for its interpreter (TCG) with SVM.
pub(crate) static QEMU: Tool = Tool {
    name: "qemu",
    suite: "trixie",
    packages: &["qemu-system-x86", "qemu-system-data", "seabios"],
    dependencies: LIBRARIES,
    programs: &[Program {
        name: "qemu-system-x86_64",
        file: "bin/qemu-system-x86_64",
        environment: &[],
        arguments: &["-L", "$root/usr/share/qemu", "-L", "$root/usr/share/seabios"],
    }],
    finish: nothing_more,
};

/// Bochs 3.0 with VMX, EPT and its debugger.
pub(crate) static BOCHS: Tool = bochs("trixie", &[bochs_program("bochs")]);

/// Bochs as Debian's next release will have it: 3.1 or later.
pub(crate) static BOCHS_SID: Tool = bochs("sid", &[bochs_program("bochs-sid")]);

/// Bochs of a suite; its tool is named as its only program.
const fn bochs(suite: &'static str, programs: &'static [Program; 1]) -> Tool {
    let [Program { name, .. }] = programs;
    Tool {
        name,
        suite,
        // With bochs-term the solver leaves the graphical front end away.
        packages: &["bochs", "bochs-term", "bochsbios", "vgabios"],
        dependencies: LIBRARIES,
        programs,
        finish: nothing_more,
    }
}

const fn bochs_program(name: &'static str) -> Program {
    Program {
        name,
        file: "bin/bochs-bin",
        environment: &[
            "LTDL_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu/bochs/plugins",
            "BXSHARE=$root/usr/share/bochs",
        ],
        arguments: &[],
    }
}

/// The ACPI compiler and interpreter.
pub(crate) static ACPICA: Tool = Tool {
    name: "acpica",
    suite: "trixie",
    packages: &["acpica-tools"],
    dependencies: LIBRARIES,
    programs: &[Program::plain("iasl", "bin/iasl"), Program::plain("acpiexec", "bin/acpiexec")],
    finish: nothing_more,
};

/// The reader of SMBIOS tables.
pub(crate) static DMIDECODE: Tool = Tool {
    name: "dmidecode",
    suite: "trixie",
    packages: &["dmidecode"],
    dependencies: LIBRARIES,
    programs: &[Program::plain("dmidecode", "sbin/dmidecode")],
    finish: nothing_more,
};

/// What makes and checks bootable ISO images.
pub(crate) static GRUB: Tool = Tool {
    name: "grub",
    suite: "trixie",
    packages: &["grub-common", "grub-pc-bin", "xorriso", "mtools"],
    dependencies: LIBRARIES,
    programs: &[
        Program {
            name: "grub-mkrescue",
            file: "bin/grub-mkrescue",
            environment: &[],
            arguments: &["-d", "$root/usr/lib/grub/i386-pc"],
        },
        Program::plain("grub-file", "bin/grub-file"),
        Program::plain("xorriso", "bin/xorriso"),
        Program::plain("mformat", "bin/mformat"),
        Program::plain("mcopy", "bin/mcopy"),
    ],
    finish: nothing_more,
};

/// The BIOS, for `--firmware`.
pub(crate) static SEABIOS: Tool = Tool {
    name: "seabios",
    suite: "trixie",
    packages: &["seabios"],
    dependencies: &[],
    programs: &[],
    finish: nothing_more,
};

/// The UEFI firmware, for `--firmware`.
pub(crate) static OVMF: Tool = Tool {
    name: "ovmf",
    suite: "trixie",
    packages: &["ovmf"],
    dependencies: &[],
    programs: &[],
    finish: nothing_more,
};

/// Option ROMs of iPXE.
pub(crate) static IPXE: Tool = Tool {
    name: "ipxe",
    suite: "trixie",
    packages: &["ipxe-qemu"],
    dependencies: &[],
    programs: &[],
    finish: nothing_more,
};

/// A whole user space in one static file.
pub(crate) static BUSYBOX: Tool = Tool {
    name: "busybox",
    suite: "trixie",
    packages: &["busybox-static"],
    dependencies: &[],
    programs: &[],
    finish: nothing_more,
};

/// Linux 6.12 with KVM's modules, as `vmlinuz`, `vmlinux` and `modules`.
pub(crate) static LINUX_TRIXIE: Tool = linux("linux-trixie", "trixie");

/// Linux 6.1, the same.
pub(crate) static LINUX_BOOKWORM: Tool = linux("linux-bookworm", "bookworm");

/// The Linux of the next release, which moves on until then: later than 6.17, whose ELF file has
/// other segments.
pub(crate) static LINUX_FORKY: Tool = Tool {
    dependencies: &["linux-image-", "linux-binary-", "linux-modules-"],
    ..linux("linux-forky", "forky")
};

/// The Xen hypervisor, with headers for both versions of Multiboot, unpacked as `xen`.
pub(crate) static XEN: Tool =
    Tool { finish: kernel::finish_xen, ..images("xen", &["xen-hypervisor-4.20-amd64"]) };

/// GNU Mach, the kernel of the Hurd, with a header for Multiboot, unpacked as `gnumach`.
pub(crate) static GNUMACH: Tool =
    Tool { finish: kernel::finish_gnumach, ..images("gnumach", &["gnumach-image-1.8-amd64-up"]) };

/// Memtest86+, which starts by Linux' boot protocol.
pub(crate) static MEMTEST: Tool = images("memtest", &["memtest86+"]);

/// Boot loaders that are kernels to another: GRUB for Xen's guests, iPXE, memdisk.
pub(crate) static LOADERS: Tool = images("loaders", &["grub-xen-bin", "ipxe", "syslinux-common"]);

/// Files to start, or to look at.
const fn images(name: &'static str, packages: &'static [&'static str]) -> Tool {
    Tool { name, suite: "trixie", packages, dependencies: &[], programs: &[], finish: nothing_more }
}

const fn linux(name: &'static str, suite: &'static str) -> Tool {
    Tool {
        name,
        suite,
        packages: &["linux-image-cloud-amd64"],
        dependencies: &["linux-image-"],
        programs: &[],
        finish: kernel::finish,
    }
}

/// What reads the profiles of covered code, of the LLVM that rustc has or a later one.
pub(crate) static LLVM: Tool = Tool {
    name: "llvm",
    suite: "sid",
    packages: &["llvm-22"],
    dependencies: LIBRARIES,
    programs: &[
        Program::plain("llvm-profdata", "lib/llvm-22/bin/llvm-profdata"),
        Program::plain("llvm-cov", "lib/llvm-22/bin/llvm-cov"),
    ],
    finish: nothing_more,
};

/// Everything, in the order in which it is listed.
pub(crate) static ALL: [&Tool; 18] = [
    &QEMU,
    &BOCHS,
    &BOCHS_SID,
    &ACPICA,
    &DMIDECODE,
    &GRUB,
    &SEABIOS,
    &OVMF,
    &IPXE,
    &BUSYBOX,
    &LINUX_TRIXIE,
    &LINUX_BOOKWORM,
    &LINUX_FORKY,
    &XEN,
    &GNUMACH,
    &MEMTEST,
    &LOADERS,
    &LLVM,
];
