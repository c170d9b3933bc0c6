//! The list of targets, for those who run them by name.

use crate as bodies;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its program and of its corpus.
    pub name: &'static str,
    /// What it runs.
    pub body: fn(&[u8]),
    /// How many percent of their lines the committed corpus covers, at least.
    pub at_least: u8,
    /// The sources that it is about, from the root of the repository: files, or folders with all that
    /// is in them. Coverage is counted in these.
    pub about: &'static [&'static str],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "exits",
        body: bodies::exits,
        at_least: 96,
        about: &[
            "vmx/src/exit/mod.rs",
            "vmx/src/exit/qualification.rs",
            "vmx/src/exit/instruction_info.rs",
            "vmx/src/exit/reason.rs",
            "vmx/src/skip.rs",
        ],
    },
    Target {
        name: "dumps",
        body: bodies::dumps,
        at_least: 87,
        about: &[
            "examples/vmcs-doctor/src/dump",
            "examples/vmcs-doctor/src/report.rs",
            "examples/vmcs-doctor/src/words.rs",
            "vmx/src/snapshot_text.rs",
            "vmx/src/check",
        ],
    },
    Target {
        name: "capabilities",
        body: bodies::capabilities,
        at_least: 92,
        about: &["vmx/src/caps", "vmx/src/solve.rs"],
    },
    Target {
        name: "ept_edits",
        body: bodies::ept_edits,
        at_least: 88,
        about: &[
            "ept/src/apply.rs",
            "ept/src/debt.rs",
            "ept/src/edit.rs",
            "ept/src/entry.rs",
            "ept/src/leaves.rs",
            "ept/src/level.rs",
            "ept/src/table.rs",
            "ept/src/walk.rs",
        ],
    },
    Target {
        name: "acpi_validate",
        body: bodies::acpi_validate,
        at_least: 97,
        about: &["acpi-builder/src/validate"],
    },
    Target {
        name: "smbios_parse",
        body: bodies::smbios_parse,
        at_least: 97,
        about: &[
            "smbios-builder/src/anchor.rs",
            "smbios-builder/src/parse.rs",
            "smbios-builder/src/print.rs",
            "smbios-builder/src/validate.rs",
        ],
    },
    Target {
        name: "table_loader",
        body: bodies::table_loader,
        at_least: 87,
        about: &[
            "fw-cfg/src/file_name.rs",
            "fw-cfg/src/loader_run.rs",
            "fw-cfg/src/table_loader.rs",
        ],
    },
    Target {
        name: "fw_cfg_dma",
        body: bodies::fw_cfg_dma,
        at_least: 96,
        about: &["fw-cfg/src/device.rs", "fw-cfg/src/dma.rs"],
    },
    Target { name: "flash", body: bodies::flash, at_least: 93, about: &["chipset/src/flash"] },
    Target {
        name: "virtio_queue",
        body: bodies::virtio_queue,
        at_least: 96,
        about: &["virtio/src/queue"],
    },
    Target {
        name: "elf",
        body: bodies::elf,
        at_least: 92,
        about: &[
            "elf-boot/src/elf",
            "elf-boot/src/identify.rs",
            "elf-boot/src/linux/vmlinux.rs",
            "elf-boot/src/pvh.rs",
        ],
    },
    Target {
        name: "notes",
        body: bodies::notes,
        at_least: 93,
        about: &["elf-boot/src/elf/notes.rs"],
    },
    Target {
        name: "bzimage",
        body: bodies::bzimage,
        at_least: 89,
        about: &[
            "elf-boot/src/linux/bzimage.rs",
            "elf-boot/src/linux/describe.rs",
            "elf-boot/src/linux/mod.rs",
            "elf-boot/src/linux/setup_data.rs",
            "elf-boot/src/linux/setup_header.rs",
            "elf-boot/src/linux/zero_page.rs",
            "elf-boot/src/unpack",
        ],
    },
    Target {
        name: "multiboot",
        body: bodies::multiboot,
        at_least: 96,
        about: &["elf-boot/src/multiboot"],
    },
    Target {
        name: "option_rom",
        body: bodies::option_rom,
        at_least: 98,
        about: &["firmware-blobs/src/option_rom.rs"],
    },
    Target {
        name: "guid_table",
        body: bodies::guid_table,
        at_least: 95,
        about: &[
            "firmware-blobs/src/guid_table.rs",
            "firmware-blobs/src/metadata.rs",
            "firmware-blobs/src/volume.rs",
        ],
    },
    Target {
        name: "hvmloader_plans",
        body: bodies::hvmloader_plans,
        at_least: 89,
        about: &[
            "hvmloader-core/src/pci",
            "hvmloader-core/src/pci.rs",
            "hvmloader-core/src/mtrr.rs",
        ],
    },
];
