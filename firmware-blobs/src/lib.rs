#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "std", test))]
extern crate std;

mod bios;
mod bytes;
mod error;
mod guid;
mod guid_table;
mod identify;
#[cfg(feature = "std")]
mod installed;
mod known;
mod metadata;
mod option_rom;
mod volume;

pub use bios::{Bios, BiosDate, Maker};
pub use error::Error;
pub use guid::Guid;
pub use guid_table::{GuidEntry, GuidTable};
pub use identify::{Firmware, Flash, FlashPart, SecWidth, identify};
#[cfg(feature = "std")]
pub use installed::{NotInstalled, Wanted, find};
pub use known::{RELEASES, Release, release};
pub use metadata::{
    SevSection, SevSectionKind, SevSections, TdxAttributes, TdxSection, TdxSectionKind, TdxSections,
};
pub use option_rom::{CodeType, OptionRom, OptionRoms, PciRom};
pub use volume::{FfsFile, FfsFiles, Volume, Volumes};

/// The image that was embedded when the crate was built: the file that the variable
/// `HVKIT_EMBED_FIRMWARE` named then; `None` if it named none.
#[cfg(feature = "embed")]
pub static EMBEDDED: Option<&[u8]> = {
    #[cfg(embedded)]
    let image: Option<&[u8]> = Some(include_bytes!(env!("HVKIT_EMBEDDED_FIRMWARE")));
    #[cfg(not(embedded))]
    let image = None;
    image
};
