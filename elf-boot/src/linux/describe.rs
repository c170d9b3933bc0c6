//! What a bzImage says of itself, for people and programs that ask.

use super::{BzImage, SetupHeader};
use crate::Error;
use crate::file::part;
use crate::unpack::{Compression, Packed};

/// A Linux kernel as bzImage, or anything else with a setup header.
///
/// # The 16-bit entry
///
/// A BIOS loader starts this image in real mode, which `plan_boot` does not: what the setup code
/// asks for, a BIOS answers. The first [`setup_bytes`](Self::setup_bytes) of the file go to a
/// 64 KiB block below 1 MiB, of segment X, the rest to the preferred address. The entry is at
/// X+20h:0, with DS, ES, FS, GS and SS = X, SP at the end of the heap and interrupts off.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header", "Running the Kernel".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinuxImage<'a> {
    /// Version of the boot protocol: major and minor byte, such as 020Fh.
    pub version: u16,
    /// What the kernel calls itself.
    pub kernel_version: Option<&'a [u8]>,
    /// Length of boot sector and setup code.
    pub setup_bytes: u64,
    /// Length of the kernel proper, which follows.
    pub kernel_bytes: u64,
    /// `loadflags`: 0 loaded high, 1 KASLR, 5 quiet, 6 keeps its segments, 7 can use a heap.
    pub load_flags: u8,
    /// `xloadflags` (2.12): 0 64-bit entry, 1 above 4 GiB, 2 and 3 EFI handover of 32 and 64 bits,
    /// 4 kexec on EFI, 5 and 6 5-level paging known and on.
    pub extended_load_flags: u16,
    /// Where the kernel wants to be.
    pub preferred_address: u64,
    /// How much memory it takes from there on; where it does not say (before 2.10), a guess.
    pub init_bytes: u64,
    /// What its address is to be a multiple of (2.05).
    pub alignment: u32,
    /// What will do; at most `alignment` (2.10).
    pub least_alignment: u32,
    /// Whether it may be placed elsewhere (2.05).
    pub is_relocatable: bool,
    /// The highest address that the last byte of the initrd may have.
    pub last_initrd_address: u32,
    /// How long the command line may be, without its final zero.
    pub command_line_bytes: u32,
    /// The highest type that `setup_data` may have (2.15).
    pub setup_type_max: Option<u32>,
    /// The kernel inside, compressed (2.08).
    pub packed: Option<Packed<'a>>,
}

impl<'a> BzImage<'a> {
    pub(crate) fn describe(&self) -> LinuxImage<'a> {
        let header = &self.header;
        let (preferred_address, init_bytes) = self.preference();
        let alignment = if header.has(0x0205) { header.kernel_alignment.get() } else { 0 };
        let least_alignment = match header.least_alignment {
            shift @ 1..=31 if header.has(0x020A) => (1 << shift).min(alignment),
            _ => alignment,
        };
        LinuxImage {
            version: header.version.get(),
            kernel_version: self.kernel_version(),
            setup_bytes: self.offset,
            kernel_bytes: self.kernel.len() as u64,
            load_flags: header.load_flags,
            extended_load_flags: header.extended_flags(),
            preferred_address,
            init_bytes,
            alignment,
            least_alignment,
            is_relocatable: self.is_relocatable(),
            last_initrd_address: header.last_initrd_address(),
            command_line_bytes: header.most_command_line_bytes(),
            setup_type_max: self.setup_type_max(),
            packed: self.packed().ok(),
        }
    }

    fn kernel_version(&self) -> Option<&'a [u8]> {
        let offset = usize::from(self.header.kernel_version.get());
        let setup = self.file.get(..usize::try_from(self.offset).ok()?)?;
        let text = setup.get(offset.checked_add(0x200)?..).filter(|_| offset != 0)?;
        text.split(|&byte| byte == 0).next().filter(|text| !text.is_empty())
    }

    /// Returns the kernel inside.
    ///
    /// # Source
    /// Linux `Documentation/arch/x86/boot.rst`, `payload_offset` and `payload_length`: the last
    /// four bytes are the size that the payload unpacks to.
    pub(crate) fn packed(&self) -> Result<Packed<'a>, Error> {
        let header: &SetupHeader = &self.header;
        if !header.has(0x0208) {
            return Err(Error::NotElf);
        }
        let (offset, size) = (header.payload_offset.get(), header.payload_bytes.get());
        let payload = part(self.kernel, "payload ends", offset.into(), size.into())?;
        let Some((stream, declared)) = payload.split_last_chunk() else {
            return Err(Error::NotElf);
        };
        let compression = Compression::of(payload).ok_or(Error::NotElf)?;
        // gzip has the size as its own last field.
        let bytes = if compression == Compression::Gzip { payload } else { stream };
        Ok(Packed { compression, size_bytes: Some(u32::from_le_bytes(*declared)), bytes })
    }

    /// Returns what the kernel info says of the types of setup data.
    ///
    /// # Source
    /// Linux `Documentation/arch/x86/boot.rst`, "The kernel_info": "LToP", its size, the size with
    /// what follows, `setup_type_max`.
    pub(super) fn setup_type_max(&self) -> Option<u32> {
        let offset = self.header.kernel_info_offset.get();
        if !self.header.has(0x020F) || self.header.end() < 0x26C || offset == 0 {
            return None;
        }
        let info = part(self.kernel, "kernel info ends", offset.into(), 16).ok()?;
        let word = |at: usize| info.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
        let is_sound = info.starts_with(b"LToP") && word(4)? >= 16;
        word(12).filter(|_| is_sound)
    }
}
