//! Debian's kernels: stable names for what is in a package, and the ELF file inside a bzImage.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// Gives the kernel unpacked in `root` the names `vmlinuz`, `vmlinux` and `modules`.
pub(crate) fn finish(root: &Path) -> Result<()> {
    // Debian 13 moved the modules under usr, and its successor the kernel to the modules.
    let folders = [root.join("usr/lib/modules"), root.join("lib/modules")];
    let folder = folders.iter().find(|folder| folder.exists()).context("no modules")?;
    let modules = only_entry(folder, "")?;
    let beside = modules.join("vmlinuz");
    let image = match beside.exists() {
        true => beside,
        false => only_entry(&root.join("boot"), "vmlinuz-")?,
    };
    let elf = vmlinux(&fs::read(&image)?).context(image.display().to_string())?;
    fs::write(root.join("vmlinux"), elf)?;
    symlink(image.strip_prefix(root)?, root.join("vmlinuz"))?;
    symlink(modules.strip_prefix(root)?, root.join("modules"))?;
    Ok(())
}

/// Unpacks the Xen in `root` to `xen`.
pub(crate) fn finish_xen(root: &Path) -> Result<()> {
    unpack(&root.join("boot/xen-4.20-amd64.gz"), &root.join("xen"))
}

/// Unpacks the GNU Mach in `root` to `gnumach`.
pub(crate) fn finish_gnumach(root: &Path) -> Result<()> {
    unpack(&only_entry(&root.join("boot"), "gnumach-")?, &root.join("gnumach"))
}

/// Unpacks a file. Debian has gzip on every system.
fn unpack(packed: &Path, to: &Path) -> Result<()> {
    let mut gzip = process::command("gzip");
    let unpacked = fs::File::create(to)?;
    gzip.arg("-dc").arg(packed).stdout(unpacked);
    let status = gzip.status().context("gzip")?;
    ensure!(status.success(), "{}: gzip: {status}", packed.display());
    Ok(())
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    match <[_; 1]>::try_from(found) {
        Ok([only]) => Ok(only),
        Err(found) => bail!("{} of {prefix}* in {}", found.len(), folder.display()),
    }
}

/// The kernel's ELF file, decompressed from the bzImage around it.
///
/// # Source
///
/// The Linux/x86 Boot Protocol, "Details of Header Fields": `setup_sects`, `payload_offset` and
/// `payload_length`. The last four bytes of the payload are the size that it unpacks to.
fn vmlinux(image: &[u8]) -> Result<Vec<u8>> {
    ensure!(image.get(0x202..0x206) == Some(b"HdrS"), "not a bzImage");
    let setup_sectors = match image.get(0x1f1).copied() {
        Some(0) | None => 4,
        Some(sectors) => usize::from(sectors),
    };
    let offset = word(image, 0x248)?.checked_add((setup_sectors + 1) * 512);
    let payload = offset
        .and_then(|offset| image.get(offset..)?.get(..word(image, 0x24c).ok()?))
        .context("the payload lies outside the file")?;
    let size_at = payload.len().checked_sub(4).context("the payload is empty")?;
    let (packed, size) = (&payload[..size_at], word(payload, size_at)?);

    let mut elf = Vec::new();
    let size_limit = u64::try_from(size)?;
    if packed.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed)?;
        decoder.by_ref().take(size_limit).read_to_end(&mut elf)?;
    } else if packed.starts_with(&[0x02, 0x21, 0x4c, 0x18]) {
        lz4_flex::frame::FrameDecoder::new(packed).take(size_limit).read_to_end(&mut elf)?;
    } else {
        bail!("the payload is neither zstd nor LZ4");
    }
    ensure!(elf.len() == size, "the payload unpacks to {} bytes, not {size}", elf.len());
    ensure!(elf.starts_with(b"\x7fELF"), "the payload is not an ELF file");
    Ok(elf)
}

fn word(bytes: &[u8], at: usize) -> Result<usize> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).context("the file is cut")?;
    Ok(usize::try_from(u32::from_le_bytes(*word))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELF: &[u8] = b"\x7fELF and so on";

    /// A bzImage with one setup sector and this payload, followed by this size.
    fn image(payload: &[u8], size: usize) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        let length = u32::try_from(payload.len() + 4).unwrap();
        image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        image.extend(payload);
        image.extend(u32::try_from(size).unwrap().to_le_bytes());
        image
    }

    /// One block of literals in LZ4's legacy frame.
    fn lz4(data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap();
        [&[0x02, 0x21, 0x4c, 0x18, length + 1, 0, 0, 0, length << 4], data].concat()
    }

    /// One raw block in a zstd frame (RFC 8878, "Frame_Header", "Block_Header").
    fn zstd(data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap();
        [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, length, (length << 3) | 1, 0, 0], data].concat()
    }

    #[test]
    fn the_elf_file_comes_out_of_either_compression() {
        assert_eq!(vmlinux(&image(&lz4(ELF), ELF.len())).unwrap(), ELF);
        assert_eq!(vmlinux(&image(&zstd(ELF), ELF.len())).unwrap(), ELF);
    }

    #[test]
    fn a_payload_that_is_cut_or_of_another_size_is_refused() {
        let whole = image(&lz4(ELF), ELF.len());
        for length in 0..whole.len() {
            assert!(vmlinux(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(vmlinux(&image(&lz4(ELF), ELF.len() + 1)).is_err());
        assert!(vmlinux(&image(&lz4(b"no ELF file"), 11)).is_err());
        assert!(vmlinux(&image(ELF, ELF.len())).is_err(), "not compressed");
    }
}
