#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot;
mod draft;
mod elf;
mod error;
mod file;
mod gdt;
mod identify;
mod kernel;
mod linux;
mod long_mode;
mod multiboot;
mod plan;
mod protocol;
mod pvh;
mod relocation;
mod shown;
mod tag;
mod unpack;

pub use boot::{Boot, Image, Module, Start};
pub use elf::{ElfImage, ElfSegment, Note};
pub use error::Error;
pub use identify::{Format, Identified, Refusal, Way, identify};
pub use linux::LinuxImage;
pub use plan::plan_boot;
pub use protocol::Protocol;
pub use relocation::Relocation;
pub use shown::FirstBytes;
pub use tag::{Apm, ColorFields, Framebuffer, SetupData, Tag};
pub use unpack::{Compression, Packed};
