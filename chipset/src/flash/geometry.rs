//! What a bank of flash chips looks like from the bus.

/// How chips share a bus. All chips of a bank get the same command at once, each in its own lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlashBus {
    /// One chip of 8 bits on a bus of 8 bits, as QEMU's PC has its firmware.
    X8,
    /// One chip of 16 bits on a bus of 16 bits.
    X16,
    /// Two chips of 8 bits on a bus of 16 bits.
    TwoX8,
    /// Two chips of 16 bits on a bus of 32 bits, as QEMU's machines of ARM have it.
    TwoX16,
    /// Four chips of 8 bits on a bus of 32 bits.
    FourX8,
}

impl FlashBus {
    /// The bus width in bytes: what one cycle writes at most.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::X8 => 1,
            Self::X16 | Self::TwoX8 => 2,
            Self::TwoX16 | Self::FourX8 => 4,
        }
    }

    /// The width of each chip in bytes.
    #[must_use]
    pub const fn chip_bytes(self) -> u32 {
        match self {
            Self::X8 | Self::TwoX8 | Self::FourX8 => 1,
            Self::X16 | Self::TwoX16 => 2,
        }
    }

    /// The number of chips.
    #[must_use]
    pub const fn chips(self) -> u32 {
        self.bytes() / self.chip_bytes()
    }
}

/// The size of a bank of flash, and of the blocks that it is erased in, all of its chips together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlashGeometry {
    size_bytes: u32,
    block_bytes: u32,
    bus: FlashBus,
}

/// A size of flash or of its blocks that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no flash: {size_bytes:#x} bytes in blocks of {block_bytes:#x}; blocks are a power of two from \
     0x1000 to 0x1000000, and there are 1 to 2048"
)]
pub struct FlashGeometryError {
    /// The size in bytes.
    pub size_bytes: u32,
    /// The size of a block in bytes.
    pub block_bytes: u32,
}

impl FlashGeometry {
    /// The most blocks that there can be.
    pub const MOST_BLOCKS: u32 = 2048;
    const LEAST_BLOCK_BYTES: u32 = 0x1000;
    const MOST_BLOCK_BYTES: u32 = 0x100_0000;

    /// Takes a size, and the size of each block: a power of two.
    ///
    /// # Errors
    /// [`FlashGeometryError`] unless blocks have from 4 KiB to 16 MiB, and the flash is 1 to 2,048
    /// whole ones.
    pub const fn new(
        size_bytes: u32,
        block_bytes: u32,
        bus: FlashBus,
    ) -> Result<Self, FlashGeometryError> {
        let sound = block_bytes.is_power_of_two()
            && block_bytes >= Self::LEAST_BLOCK_BYTES
            && block_bytes <= Self::MOST_BLOCK_BYTES
            && size_bytes != 0
            && size_bytes.is_multiple_of(block_bytes)
            && size_bytes / block_bytes <= Self::MOST_BLOCKS;
        if sound {
            Ok(Self { size_bytes, block_bytes, bus })
        } else {
            Err(FlashGeometryError { size_bytes, block_bytes })
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn size_bytes(self) -> u32 {
        self.size_bytes
    }

    /// The size of a block in bytes.
    #[must_use]
    pub const fn block_bytes(self) -> u32 {
        self.block_bytes
    }

    /// How the chips share the bus.
    #[must_use]
    pub const fn bus(self) -> FlashBus {
        self.bus
    }

    /// The number of blocks.
    pub(super) const fn blocks(self) -> u32 {
        self.size_bytes / self.block_bytes
    }

    /// The number of the block that holds an offset.
    pub(super) const fn block(self, offset: u32) -> u32 {
        offset / self.block_bytes
    }
}
