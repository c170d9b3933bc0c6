//! What a platform can tell a Multiboot kernel besides memory, modules and command line.

/// A piece of boot information that only the platform knows.
///
/// EFI's tags are not among them: they belong to a start by UEFI firmware.
///
/// # Source
/// Multiboot2 Specification, "Boot information format"; Multiboot Specification, "Boot
/// information format".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tag<'a> {
    /// Which BIOS disk the kernel came from. A partition that does not count is FFh.
    BootDevice {
        /// The number that INT 13h knows it by.
        drive: u8,
        /// The partition.
        partition: u8,
        /// The partition within that.
        sub_partition: u8,
    },
    /// What VESA's BIOS extension says of the current mode.
    Vbe {
        /// The mode's number.
        mode: u16,
        /// The protected-mode interface: segment, offset and length.
        interface: [u16; 3],
        /// What function 00h returned.
        control_info: &'a [u8; 512],
        /// What function 01h returned for the mode.
        mode_info: &'a [u8; 256],
    },
    /// What the screen shows is at this address.
    Framebuffer(Framebuffer),
    /// What the APM BIOS says of itself.
    Apm(Apm),
    /// A copy of the SMBIOS structures (Multiboot2 only).
    Smbios {
        /// Version of the specification.
        major: u8,
        /// Its minor part.
        minor: u8,
        /// The table.
        table: &'a [u8],
    },
    /// What a DHCP server answered (Multiboot2 only).
    Network(
        /// The DHCPACK packet.
        &'a [u8],
    ),
}

/// A framebuffer. One with a palette can't be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Where it begins.
    pub address: u64,
    /// Bytes from one line to the next.
    pub pitch_bytes: u32,
    /// Pixels of a line, or characters.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bits of a pixel, or of a character with its attribute: 16.
    pub bits: u8,
    /// What a pixel is made of; `None` for text in EGA's form.
    pub color: Option<ColorFields>,
}

/// Where the colours are in a pixel: position of the lowest bit, and number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the colour of its name")]
pub struct ColorFields {
    pub red: (u8, u8),
    pub green: (u8, u8),
    pub blue: (u8, u8),
}

/// The APM BIOS, as its installation check and its connections return it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apm {
    /// Version.
    pub version: u16,
    /// 32-bit code segment.
    pub code_segment: u16,
    /// Entry point in it.
    pub offset: u32,
    /// 16-bit code segment.
    pub code_segment_16: u16,
    /// Data segment.
    pub data_segment: u16,
    /// Flags.
    pub flags: u16,
    /// Length of the 32-bit code segment.
    pub code_segment_bytes: u16,
    /// Length of the 16-bit code segment.
    pub code_segment_16_bytes: u16,
    /// Length of the data segment.
    pub data_segment_bytes: u16,
}

/// An entry of Linux' list `setup_data`.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, `setup_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetupData<'a> {
    /// What the bytes are, such as 9, `SETUP_RNG_SEED`.
    pub kind: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}
