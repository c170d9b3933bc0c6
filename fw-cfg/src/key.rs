//! The numbers by which a guest selects items.

use core::fmt;

/// What a guest writes to the selector to choose an item.
///
/// Bit 15 marks items of one architecture, here x86. Bit 14 once asked for write access and means
/// nothing now. The rest is the item's number.
///
/// # Source
/// QEMU `docs/specs/fw_cfg.rst`, "Firmware Configuration Items".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Key(pub u16);

impl Key {
    /// "QEMU".
    pub const SIGNATURE: Self = Self(0x00);
    /// Feature bits, 4 bytes.
    pub const ID: Self = Self(0x01);
    /// The machine's UUID, 16 bytes.
    pub const UUID: Self = Self(0x02);
    /// Guest memory in bytes, 8 bytes.
    pub const RAM_SIZE: Self = Self(0x03);
    /// Whether there is no graphics, 2 bytes.
    pub const NOGRAPHIC: Self = Self(0x04);
    /// How many processors start, 2 bytes.
    pub const NB_CPUS: Self = Self(0x05);
    /// Where to load a Linux kernel's protected-mode part, 4 bytes.
    pub const KERNEL_ADDR: Self = Self(0x07);
    /// The length of [`KERNEL_DATA`](Self::KERNEL_DATA), 4 bytes.
    pub const KERNEL_SIZE: Self = Self(0x08);
    /// Where to load the initrd, 4 bytes.
    pub const INITRD_ADDR: Self = Self(0x0A);
    /// The length of [`INITRD_DATA`](Self::INITRD_DATA), 4 bytes.
    pub const INITRD_SIZE: Self = Self(0x0B);
    /// Whether to show a boot menu, 2 bytes.
    pub const BOOT_MENU: Self = Self(0x0E);
    /// One more than the largest APIC id that a processor may have, 2 bytes.
    pub const MAX_CPUS: Self = Self(0x0F);
    /// A Linux kernel's protected-mode part.
    pub const KERNEL_DATA: Self = Self(0x11);
    /// The initrd.
    pub const INITRD_DATA: Self = Self(0x12);
    /// Where to load the command line, 4 bytes.
    pub const CMDLINE_ADDR: Self = Self(0x13);
    /// The length of [`CMDLINE_DATA`](Self::CMDLINE_DATA), 4 bytes.
    pub const CMDLINE_SIZE: Self = Self(0x14);
    /// The kernel's command line, with a zero byte behind it.
    pub const CMDLINE_DATA: Self = Self(0x15);
    /// Where to load a Linux kernel's real-mode part, 4 bytes.
    pub const SETUP_ADDR: Self = Self(0x16);
    /// The length of [`SETUP_DATA`](Self::SETUP_DATA), 4 bytes.
    pub const SETUP_SIZE: Self = Self(0x17);
    /// A Linux kernel's real-mode part.
    pub const SETUP_DATA: Self = Self(0x18);
    /// The file directory.
    pub const FILE_DIR: Self = Self(0x19);
    /// The first file.
    pub const FILE_FIRST: Self = Self(0x20);
    /// Whether the timer's ISA interrupt 0 arrives at I/O APIC input 2, 1 byte.
    pub const IRQ0_OVERRIDE: Self = Self(0x8002);

    /// The last number that an item can have.
    pub(crate) const LAST_NUMBER: u16 = 0x3FFF;

    const WRITE_CHANNEL: u16 = 1 << 14;

    /// Returns the key without the bit that means nothing.
    pub(crate) const fn of_item(self) -> Self {
        Self(self.0 & !Self::WRITE_CHANNEL)
    }

    /// Tells whether the builder leaves the key to its user.
    pub(crate) fn is_free(self) -> bool {
        let of_device = [Self::SIGNATURE, Self::ID, Self::FILE_DIR].contains(&self);
        let of_file = (Self::FILE_FIRST.0..=Self::LAST_NUMBER).contains(&self.0);
        self == self.of_item() && !of_device && !of_file
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}
