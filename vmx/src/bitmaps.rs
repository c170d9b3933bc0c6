//! The bitmaps that say which MSRs and ports exit.

use core::fmt;

/// The MSR bitmap: which RDMSR and WRMSR exit. An MSR in neither of its two ranges always exits.
///
/// | offset | for |
/// |---|---|
/// | 0 | reads of 0 to 1FFFh |
/// | 1024 | reads of C000_0000h to C000_1FFFh |
/// | 2048 | writes of 0 to 1FFFh |
/// | 3072 | writes of C000_0000h to C000_1FFFh |
///
/// # Source
/// Intel SDM Vol. 3C, "MSR-Bitmap Address".
#[repr(C, align(4096))]
#[derive(Clone, PartialEq, Eq)]
pub struct MsrBitmap([u8; 4096]);

const WRITES: usize = 2048;

impl MsrBitmap {
    /// Makes a bitmap with which every MSR exits.
    #[must_use]
    pub const fn all_exit() -> Self {
        Self([0xFF; 4096])
    }

    /// Makes a bitmap with which no MSR of the two ranges exits.
    #[must_use]
    pub const fn none_exit() -> Self {
        Self([0; 4096])
    }

    /// Sets whether reads of `msr` exit. Returns false, and does nothing, for an MSR outside of
    /// both ranges.
    pub fn set_read_exit(&mut self, msr: u32, exits: bool) -> bool {
        set_bit(&mut self.0, Self::position(msr), exits)
    }

    /// Sets whether writes of `msr` exit. Returns false, and does nothing, for an MSR outside of
    /// both ranges.
    pub fn set_write_exit(&mut self, msr: u32, exits: bool) -> bool {
        let position = Self::position(msr).map(|(byte, bit)| (byte + WRITES, bit));
        set_bit(&mut self.0, position, exits)
    }

    /// Sets whether reads and writes of `msr` exit, as the two above.
    pub fn set_exit(&mut self, msr: u32, exits: bool) -> bool {
        self.set_read_exit(msr, exits) && self.set_write_exit(msr, exits)
    }

    /// Tells whether a read of `msr` exits.
    #[must_use]
    pub fn read_exits(&self, msr: u32) -> bool {
        Self::position(msr).is_none_or(|position| get_bit(&self.0, position))
    }

    /// Tells whether a write of `msr` exits.
    #[must_use]
    pub fn write_exits(&self, msr: u32) -> bool {
        Self::position(msr).is_none_or(|(byte, bit)| get_bit(&self.0, (byte + WRITES, bit)))
    }

    fn position(msr: u32) -> Option<(usize, u32)> {
        let index = match msr {
            0..=0x1FFF => msr,
            0xC000_0000..=0xC000_1FFF => msr - 0xC000_0000 + 8 * 1024,
            _ => return None,
        };
        Some((usize::try_from(index / 8).ok()?, index % 8))
    }
}

/// The I/O bitmaps A and B, one after the other: which ports exit.
///
/// An access of several bytes exits if any of its ports does, or if it passes FFFFh.
///
/// # Source
/// Intel SDM Vol. 3C, "I/O-Bitmap Addresses".
#[repr(C, align(4096))]
#[derive(Clone, PartialEq, Eq)]
pub struct IoBitmaps([u8; 8192]);

impl IoBitmaps {
    /// How far bitmap B lies behind bitmap A, in bytes.
    pub const B_OFFSET: u64 = 4096;

    /// Makes bitmaps with which every port exits.
    #[must_use]
    pub const fn all_exit() -> Self {
        Self([0xFF; 8192])
    }

    /// Makes bitmaps with which no port exits.
    #[must_use]
    pub const fn none_exit() -> Self {
        Self([0; 8192])
    }

    /// Sets whether `port` exits.
    pub fn set_exit(&mut self, port: u16, exits: bool) {
        set_bit(&mut self.0, Some(Self::position(port)), exits);
    }

    /// Tells whether an access of `size_bytes` at `port` exits.
    #[must_use]
    pub fn exits(&self, port: u16, size_bytes: u8) -> bool {
        (0..size_bytes).any(|offset| {
            let port = port.checked_add(offset.into());
            port.is_none_or(|port| get_bit(&self.0, Self::position(port)))
        })
    }

    fn position(port: u16) -> (usize, u32) {
        (usize::from(port / 8), u32::from(port % 8))
    }
}

fn set_bit(bytes: &mut [u8], position: Option<(usize, u32)>, value: bool) -> bool {
    let Some((byte, bit)) = position else {
        return false;
    };
    let Some(slot) = bytes.get_mut(byte) else {
        return false;
    };
    *slot = *slot & !(1 << bit) | u8::from(value) << bit;
    true
}

fn get_bit(bytes: &[u8], (byte, bit): (usize, u32)) -> bool {
    bytes.get(byte).is_some_and(|byte| byte >> bit & 1 != 0)
}

impl fmt::Debug for MsrBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        write!(f, "MsrBitmap({set} of 32768 bits set)")
    }
}

impl fmt::Debug for IoBitmaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        write!(f, "IoBitmaps({set} of 65536 bits set)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quarter_of_the_msr_bitmap_has_its_range() {
        let mut bitmap = MsrBitmap::none_exit();
        assert!(bitmap.set_read_exit(0x10, true));
        assert!(bitmap.set_read_exit(0xC000_0080, true));
        assert!(bitmap.set_write_exit(0x1B, true));
        assert!(bitmap.set_write_exit(0xC000_1FFF, true));
        let set: [_; 4] = [(2, 0), (1024 + 16, 0), (2048 + 3, 3), (4095, 7)];
        for (byte, value) in bitmap.0.iter().enumerate() {
            let bit = set.iter().find(|(at, _)| *at == byte);
            assert_eq!(*value, bit.map_or(0, |(_, bit)| 1 << bit), "byte {byte}");
        }
    }

    #[test]
    fn an_msr_outside_of_both_ranges_always_exits() {
        let mut bitmap = MsrBitmap::none_exit();
        for msr in [0x2000, 0xBFFF_FFFF, 0xC000_2000, u32::MAX] {
            assert!(!bitmap.set_exit(msr, false));
            assert!(bitmap.read_exits(msr) && bitmap.write_exits(msr));
        }
        assert!(!bitmap.read_exits(0x1FFF) && !bitmap.write_exits(0xC000_1FFF));
    }

    #[test]
    fn each_of_the_65536_ports_has_one_bit() {
        for port in 0..=u16::MAX {
            let mut bitmaps = IoBitmaps::none_exit();
            bitmaps.set_exit(port, true);
            let byte = usize::from(port) / 8;
            assert_eq!(bitmaps.0[byte], 1 << (port % 8));
            bitmaps.0[byte] = 0;
            if port % 4099 == 0 {
                assert_eq!(bitmaps, IoBitmaps::none_exit());
            }
        }
    }

    #[test]
    fn a_wide_access_exits_if_any_of_its_ports_does() {
        let mut bitmaps = IoBitmaps::none_exit();
        bitmaps.set_exit(0x63, true);
        assert!(bitmaps.exits(0x60, 4));
        assert!(!bitmaps.exits(0x60, 2));
        assert!(bitmaps.exits(0xFFFE, 4));
        assert!(!bitmaps.exits(0xFFFE, 2));
    }
}
