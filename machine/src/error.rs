//! Why a platform can't be built.

/// Why a platform can't be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The memory can't be laid out, or the plan contradicts itself.
    #[error(transparent)]
    Plan(#[from] boot_plan::Error),
    /// The kernel can't be started.
    #[error(transparent)]
    Kernel(#[from] elf_boot::Error),
    /// The firmware can't be placed.
    #[error(transparent)]
    Firmware(#[from] hvmloader_core::Error),
    /// The variables are no flash.
    #[error(transparent)]
    Flash(#[from] chipset::FlashGeometryError),
    /// The ACPI tables can't be built.
    #[error("can't build the ACPI tables")]
    Tables(#[from] acpi_builder::Error),
    /// The SMBIOS tables can't be built.
    #[error("can't build the SMBIOS tables")]
    Smbios(#[from] smbios_builder::Error),
    /// A machine has no place for so many disks.
    #[error("{count} disks, more than the {most} that a machine has places for")]
    TooManyDisks {
        /// How many there are.
        count: usize,
        /// How many there can be.
        most: usize,
    },
    /// The firmware configuration can't be built.
    #[error("can't build the firmware configuration")]
    FwCfg(#[from] fw_cfg::Error),
    /// A kernel, initrd or command line for firmware to start is longer than it can be told.
    #[error("{size_bytes} bytes, more than firmware can be told of")]
    TooLong {
        /// How long it is.
        size_bytes: usize,
    },
}
