#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "acpi-builder")]
#[doc(inline)]
pub use acpi_builder;
#[cfg(feature = "boot-plan")]
#[doc(inline)]
pub use boot_plan;
#[cfg(feature = "chipset")]
#[doc(inline)]
pub use chipset;
#[cfg(feature = "elf-boot")]
#[doc(inline)]
pub use elf_boot;
#[cfg(feature = "ept")]
#[doc(inline)]
pub use ept;
#[cfg(feature = "firmware-blobs")]
#[doc(inline)]
pub use firmware_blobs;
#[cfg(feature = "fw-cfg")]
#[doc(inline)]
pub use fw_cfg;
#[cfg(feature = "guest-state")]
#[doc(inline)]
pub use guest_state;
#[cfg(feature = "hvmloader-core")]
#[doc(inline)]
pub use hvmloader_core;
#[cfg(feature = "machine")]
#[doc(inline)]
pub use machine;
#[cfg(feature = "smbios-builder")]
#[doc(inline)]
pub use smbios_builder;
#[cfg(feature = "virtio")]
#[doc(inline)]
pub use virtio;
#[cfg(feature = "vmx")]
#[doc(inline)]
pub use vmx;
