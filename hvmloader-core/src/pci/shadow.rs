//! RAM in place of ROM between C_0000h and F_FFFFh.

use super::{PciConfig, PciFunction};

const I440FX: u32 = 0x1237_8086;
const Q35: u32 = 0x29C0_8086;

/// Has the host bridge put RAM, read and written, where ROM may be below 1 MiB.
///
/// False if the bridge is none whose registers are known here; then there may be RAM all the same,
/// as on Xen.
///
/// # Source
/// Intel 82441FX (290549), "PAM - Programmable Attribute Map Registers", at 59h to 5Fh; the Q35's
/// are the same at 90h to 96h.
pub fn open_shadow(config: &mut impl PciConfig) -> bool {
    let bridge = PciFunction::new(0, 0, 0);
    let first = match config.read(bridge, 0) {
        I440FX => 0x59,
        Q35 => 0x90,
        _ => return false,
    };
    for register in first..first + 7_u8 {
        // The first one is for F_0000h alone, in its upper half; the others are for two parts each.
        let wanted = if register == first { 0x30 } else { 0x33 };
        let word = register & !3;
        let shift = u32::from(register & 3) * 8;
        let before = config.read(bridge, word);
        config.write(bridge, word, before & !(0x33 << shift) | wanted << shift);
    }
    true
}
