//! The setup header: what a kernel tells its loader, and the loader the kernel.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Error;
use crate::file::part;

/// The header as it stands at offset 1F1h of a bzImage and of the zero page. The version that
/// brought a field stands in parentheses where it is not 2.00.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct SetupHeader {
    /// Sectors of 512 bytes before the kernel proper, without the first one; 0 means 4.
    pub(super) setup_sectors: u8,
    _root_flags: U16,
    /// Length of the kernel proper in units of 16 bytes (2.04).
    pub(super) system_paragraphs: U32,
    _ram_size: U16,
    _video_mode: U16,
    _root_device: U16,
    /// [`SetupHeader::BOOT_FLAG`].
    pub(super) boot_flag: U16,
    /// A short jump over the header, which so tells where it ends.
    pub(super) jump: [u8; 2],
    /// [`SetupHeader::MAGIC`].
    pub(super) magic: [u8; 4],
    /// Major and minor, such as 020Fh.
    pub(super) version: U16,
    _real_mode_switch: U32,
    _start_system: U16,
    /// Where the kernel's version stands as text, in bytes from 200h; 0 if nowhere.
    pub(super) kernel_version: U16,
    /// Which loader this is.
    pub(super) loader_type: u8,
    /// What the real-mode part is told.
    pub(super) load_flags: u8,
    _setup_move_bytes: U16,
    _code32_start: U32,
    /// Address of the initrd, the low half.
    pub(super) ramdisk_address: U32,
    /// Length of the initrd, the low half.
    pub(super) ramdisk_bytes: U32,
    _boot_sector: U32,
    _heap_end: U16,
    _extended_loader: [u8; 2],
    /// Address of the command line, the low half (2.02).
    pub(super) command_line: U32,
    /// The highest address that the last byte of the initrd may have (2.03).
    pub(super) initrd_address_max: U32,
    /// What the load address has to be a multiple of (2.05).
    pub(super) kernel_alignment: U32,
    /// Whether the kernel may be loaded anywhere (2.05).
    pub(super) relocatable: u8,
    /// The binary logarithm of the least alignment that will do; 0 if unknown (2.10).
    pub(super) least_alignment: u8,
    /// What the kernel can do (2.12).
    pub(super) extended_load_flags: U16,
    /// How long the command line may be, without the final zero (2.06).
    pub(super) command_line_bytes: U32,
    _subarchitecture: U32,
    _subarchitecture_data: U64,
    /// Where the compressed kernel begins in the kernel proper (2.08).
    pub(super) payload_offset: U32,
    /// How long it is (2.08).
    pub(super) payload_bytes: U32,
    /// Where a list of further data begins; 0 if there is none (2.09).
    pub(super) setup_data: U64,
    /// Where the kernel wants to be loaded (2.10).
    pub(super) preferred_address: U64,
    /// How much memory, from its load address on, the kernel uses before it has read its memory
    /// map (2.10).
    pub(super) init_bytes: U32,
    _handover_offset: U32,
    /// Where the kernel info begins in the kernel proper; 0 if there is none (2.15).
    pub(super) kernel_info_offset: U32,
    /// What later versions add, as far as the zero page has room.
    _later: [u8; 0x290 - 0x26C],
}
const _: () = assert!(size_of::<SetupHeader>() == 0x290 - 0x1F1);

impl SetupHeader {
    pub(super) const BOOT_FLAG: u16 = 0xAA55;
    pub(super) const MAGIC: [u8; 4] = *b"HdrS";
    /// In `loader_type`: a loader without a number of its own.
    pub(super) const UNREGISTERED_LOADER: u8 = 0xFF;
    /// In `load_flags`: the kernel proper belongs at 1 MiB or above.
    pub(super) const LOADED_HIGH: u8 = 1 << 0;
    /// In `extended_load_flags`: there is a 64-bit entry at offset 200h.
    pub(super) const KERNEL_64: u16 = 1 << 0;
    /// In `extended_load_flags`: kernel, zero page, command line and initrd may lie above 4 GiB.
    pub(super) const ABOVE_4G: u16 = 1 << 1;

    /// Where it stands in the file and in the zero page.
    const OFFSET: u64 = 0x1F1;
    /// Where `magic` stands: what a short jump counts from.
    const MAGIC_OFFSET: u64 = 0x202;

    /// Tells whether a file has a setup header.
    pub(super) fn is_in(file: &[u8]) -> bool {
        part(file, "magic ends", Self::MAGIC_OFFSET, 4).is_ok_and(|magic| magic == Self::MAGIC)
    }

    /// Reads the header of a file up to the end that it gives itself; what lies behind is zero.
    ///
    /// An old kernel has code there, which is not to be taken for fields.
    pub(super) fn read(file: &[u8]) -> Result<Self, Error> {
        let mut header = Self::new_zeroed();
        let jump = part(file, "setup header's jump ends", Self::MAGIC_OFFSET - 2, 2)?;
        let end = Self::MAGIC_OFFSET + u64::from(jump[1]);
        let bytes = part(file, "setup header ends", Self::OFFSET, end - Self::OFFSET)?;
        for (field, &byte) in header.as_mut_bytes().iter_mut().zip(bytes) {
            *field = byte;
        }
        Ok(header)
    }

    /// Makes the header for an ELF, which has none, with the limits of current kernels.
    pub(super) fn of_elf() -> Self {
        Self {
            boot_flag: Self::BOOT_FLAG.into(),
            magic: Self::MAGIC,
            version: 0x020E.into(),
            load_flags: Self::LOADED_HIGH,
            initrd_address_max: 0x7FFF_FFFF.into(),
            command_line_bytes: 2047.into(),
            ..Self::new_zeroed()
        }
    }

    /// Returns the file offset at which the header says it ends.
    pub(super) fn end(&self) -> u64 {
        Self::MAGIC_OFFSET + u64::from(self.jump[1])
    }

    /// Tells whether the header has the fields that `version` brought.
    pub(super) fn has(&self, version: u16) -> bool {
        self.version.get() >= version
    }

    /// Checks that the header is as long as the fields of its version that are read here.
    ///
    /// # Source
    /// Linux `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header".
    pub(super) fn check_length(&self) -> Result<(), Error> {
        let needed_end = match self.version.get() {
            ..0x0202 => 0x224,
            0x0202 => 0x22C,
            0x0203..0x0205 => 0x230,
            0x0205 => 0x235,
            0x0206..0x0208 => 0x23C,
            0x0208 => 0x250,
            0x0209 => 0x258,
            _ => 0x264,
        };
        let end = self.end();
        if end < needed_end { Err(Error::SetupHeaderShort { end, needed_end }) } else { Ok(()) }
    }

    /// Returns how long the command line may be, without its final zero.
    pub(super) fn most_command_line_bytes(&self) -> u32 {
        if self.has(0x0206) { self.command_line_bytes.get() } else { 255 }
    }

    /// Returns the highest address that the last byte of the initrd may have.
    pub(super) fn last_initrd_address(&self) -> u32 {
        if self.has(0x0203) { self.initrd_address_max.get() } else { 0x37FF_FFFF }
    }

    /// Returns the flags that version 2.12 brought.
    pub(super) fn extended_flags(&self) -> u16 {
        if self.has(0x020C) { self.extended_load_flags.get() } else { 0 }
    }
}
