//! What an image is.

use core::fmt;

use crate::bios::{RESET_FROM_END, is_qboot};
use crate::bytes::array;
use crate::{Bios, Error, FfsFile, GuidTable, Maker, OptionRom, Volume, Volumes};

/// The mark of EDK II's reset vector, 20 bytes before the end.
const VTF: &[u8; 4] = b"VTF\0";
const VTF_FROM_END: usize = 20;

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Firmware<'a> {
    /// A PC's BIOS: SeaBIOS, Bochs' or another. Ends at 4 GiB, and its last 128 KiB at 1 MiB too.
    Bios(Bios),
    /// qboot, which starts a kernel from the configuration device and is nothing else. Placed as a
    /// BIOS.
    Qboot,
    /// OVMF: UEFI for virtual machines.
    Ovmf(Flash<'a>),
    /// OVMF as Xen builds it: its reset vector is an entry for PVH, and it has no GUID table.
    OvmfXen,
    /// OVMF as Cloud Hypervisor builds it: an ELF around it brings a PVH entry.
    CloudHv,
    /// An ELF that is no flash image: a firmware that starts as a kernel does, by PVH, as
    /// rust-hypervisor-firmware. The crate elf-boot starts it.
    Elf,
    /// An IGVM file, which says itself what goes where.
    Igvm,
    /// An option ROM.
    OptionRom(OptionRom<'a>),
}

/// Which parts of OVMF's flash an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashPart {
    /// Variables and code in one, which ends at 4 GiB.
    Both {
        /// How long the variables are, which come first.
        variables_bytes: usize,
    },
    /// The code, which ends at 4 GiB.
    Code,
    /// The variables, which end where the code begins.
    Variables,
}

/// What the security phase, OVMF's first, runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecWidth {
    /// 32-bit code.
    Ia32,
    /// 64-bit code.
    X64,
}

/// An image of OVMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flash<'a> {
    /// Which parts it is.
    pub part: FlashPart,
    /// What its security phase runs as; `None` for variables, and if no such code was found.
    pub sec: Option<SecWidth>,
    /// What it tells a VMM.
    pub table: Option<GuidTable<'a>>,
}

/// Says what an image is.
///
/// # Errors
/// [`Error::Empty`], [`Error::Unknown`]; others where the image is of a kind that is known but not as
/// it should be.
pub fn identify(image: &[u8]) -> Result<Firmware<'_>, Error> {
    if image.is_empty() {
        return Err(Error::Empty);
    }
    let vtf = image.len().checked_sub(VTF_FROM_END).and_then(|at| array(image, at));
    let has_vtf = vtf.as_ref() == Some(VTF);
    if image.starts_with(b"\x7FELF") {
        return Ok(if has_vtf { Firmware::CloudHv } else { Firmware::Elf });
    }
    if image.starts_with(b"IGVM") {
        return Ok(Firmware::Igvm);
    }
    if Volume::begins_at(image, 0) {
        return flash(image, has_vtf);
    }
    if has_vtf {
        return Ok(Firmware::OvmfXen);
    }
    if let Some(bios) = Bios::new(image) {
        return Ok(Firmware::Bios(bios));
    }
    if is_qboot(image) {
        return Ok(Firmware::Qboot);
    }
    if image.starts_with(&[0x55, 0xAA]) {
        return OptionRom::at(image, 0).map(Firmware::OptionRom);
    }
    let start: [u8; 4] = core::array::from_fn(|at| image.get(at).copied().unwrap_or_default());
    Err(Error::Unknown { size_bytes: image.len(), start: u32::from_le_bytes(start) })
}

/// An image that begins with a firmware volume.
fn flash(image: &[u8], has_vtf: bool) -> Result<Firmware<'_>, Error> {
    let first = Volume::at(image, 0)?;
    let has_variables = first.file_system == Volume::NV_DATA;
    // Behind the variables there may be bytes that no volume has; the code begins with one.
    const BLOCK_BYTES: usize = 0x1000;
    let code = match has_variables {
        false => Some(0),
        true => (first.bytes.len()..image.len())
            .step_by(BLOCK_BYTES)
            .find(|offset| Volume::begins_at(image, *offset)),
    };
    let part = match code {
        None => FlashPart::Variables,
        Some(0) => FlashPart::Code,
        Some(variables_bytes) => FlashPart::Both { variables_bytes },
    };
    let table = GuidTable::find(image)?;
    if part != FlashPart::Variables && !has_vtf {
        let offset = image.len().saturating_sub(RESET_FROM_END);
        return Err(Error::Signature { what: "reset vector", offset });
    }
    if part != FlashPart::Variables && table.is_none() && is_pvh_reset(image) {
        return Ok(Firmware::OvmfXen);
    }
    let sec = code.and_then(|code| sec_width(image.get(code..)?));
    Ok(Firmware::Ovmf(Flash { part, sec, table }))
}

/// Tells whether the code at 4 GiB - 48 is a jump, as in the images that Xen enters there.
fn is_pvh_reset(image: &[u8]) -> bool {
    const NEAR_JUMP: u8 = 0xE9;
    const ENTRY_FROM_END: usize = 48;
    let at = image.len().checked_sub(ENTRY_FROM_END);
    at.and_then(|at| image.get(at)) == Some(&NEAR_JUMP)
}

/// Finds the security core among the volumes, and what machine it is for.
fn sec_width(code: &[u8]) -> Option<SecWidth> {
    let files = Volumes::new(code).flat_map(|volume| volume.files());
    let mut cores = files.filter(|file| file.file_type == FfsFile::SECURITY_CORE);
    cores.find_map(|core| match core.machine()? {
        0x14C => Some(SecWidth::Ia32),
        0x8664 => Some(SecWidth::X64),
        _ => None,
    })
}

impl fmt::Display for Firmware<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bios(bios) => {
                f.write_str(match bios.maker {
                    Some(Maker::SeaBios) => "SeaBIOS",
                    Some(Maker::Bochs) => "Bochs BIOS",
                    None => "BIOS",
                })?;
                write!(f, ", entered at f000:{:04x}", bios.entry)?;
                bios.date.map_or(Ok(()), |date| write!(f, ", dated {date}"))
            }
            Self::Qboot => f.write_str("qboot"),
            Self::Ovmf(flash) => write!(f, "OVMF, {flash}"),
            Self::OvmfXen => f.write_str("OVMF for Xen, entered by PVH"),
            Self::CloudHv => f.write_str("OVMF for Cloud Hypervisor, an ELF"),
            Self::Elf => f.write_str("an ELF, no flash image"),
            Self::Igvm => f.write_str("an IGVM file"),
            Self::OptionRom(rom) => {
                let kind = match (rom.is_vga(), rom.is_ipxe()) {
                    (true, _) => "VGA BIOS",
                    (_, true) => "iPXE option ROM",
                    _ => "option ROM",
                };
                f.write_str(kind)?;
                match rom.pci {
                    Some(pci) => write!(f, " for PCI {:04x}:{:04x}", pci.vendor, pci.device),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Flash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            FlashPart::Both { variables_bytes } => {
                write!(f, "variables of {variables_bytes:#x} bytes and code")?;
            }
            FlashPart::Code => f.write_str("code")?,
            FlashPart::Variables => f.write_str("variables")?,
        }
        match self.sec {
            Some(SecWidth::Ia32) => f.write_str(", 32-bit security phase")?,
            Some(SecWidth::X64) => f.write_str(", 64-bit security phase")?,
            None => {}
        }
        let has = |guid| self.table.is_some_and(|table| table.get(guid).is_some());
        for (guid, what) in [
            (GuidTable::SEV_METADATA, ", SEV-SNP metadata"),
            (GuidTable::TDX_METADATA, ", TDX metadata"),
            (GuidTable::IGVM_PARAMETERS, ", IGVM parameters"),
        ] {
            if has(guid) {
                f.write_str(what)?;
            }
        }
        Ok(())
    }
}
