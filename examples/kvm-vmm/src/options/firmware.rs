//! The options that are about firmware.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Options;

/// Which firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// SeaBIOS, from where packages put it.
    SeaBios,
    /// OVMF, likewise.
    Ovmf,
    /// This file.
    File(PathBuf),
}

impl Firmware {
    /// Reads the value of `--firmware`.
    pub(super) fn parse(value: OsString) -> Self {
        match value.to_str() {
            Some("seabios") => Self::SeaBios,
            Some("ovmf") => Self::Ovmf,
            _ => Self::File(value.into()),
        }
    }
}

/// Refuses what makes no sense, alone or together.
pub(super) fn check(options: &Options) -> Result<(), String> {
    let firmware = options.firmware.as_ref();
    let refused = if firmware.is_some() && options.protocol.is_some() {
        "--protocol starts a kernel directly: not with --firmware"
    } else if firmware == Some(&Firmware::SeaBios) && options.kernel.is_some() {
        "--kernel: a BIOS starts no kernel; OVMF does"
    } else if firmware == Some(&Firmware::Ovmf) && options.via_hvmloader.is_some() {
        "--via-hvmloader starts a BIOS: not with --firmware ovmf"
    } else if firmware.is_none() && options.via_hvmloader.is_some() {
        "--via-hvmloader brings firmware to its place: only with --firmware"
    } else if options.firmware_vars.is_some() && matches!(firmware, None | Some(Firmware::SeaBios))
    {
        "--firmware-vars is OVMF's: only with --firmware ovmf, or its file"
    } else {
        return Ok(());
    };
    Err(refused.to_owned())
}
