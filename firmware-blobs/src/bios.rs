//! BIOS images: flat ROMs that end at the reset vector.

use core::fmt;

use crate::bytes::array;

/// Where the reset vector is, from the end of the image.
pub(crate) const RESET_FROM_END: usize = 16;
const DATE_FROM_END: usize = 11;
/// A far jump with a segment and an offset of 16 bits.
const FAR_JUMP: u8 = 0xEA;
/// The segment at which a PC's BIOS runs.
const BIOS_SEGMENT: u16 = 0xF000;

/// Who made a BIOS.
///
/// Known by texts in it, once its structure says that it is a BIOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maker {
    /// SeaBIOS.
    SeaBios,
    /// The Bochs project.
    Bochs,
}

/// The date that a BIOS has behind its reset vector, as `MM/DD/YY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BiosDate(pub [u8; 8]);

impl fmt::Display for BiosDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

/// A BIOS: its last 16 bytes jump to code in the segment F000h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bios {
    /// The offset in the segment F000h to which the reset vector jumps.
    pub entry: u16,
    /// The date, if there is one.
    pub date: Option<BiosDate>,
    /// The model byte of the PC, the last but one: FCh for an AT.
    pub model: u8,
    /// Who made it, if that is known.
    pub maker: Option<Maker>,
}

impl Bios {
    /// Reads the end of an image; `None` if no PC's BIOS ends so.
    ///
    /// # Source
    /// IBM, "Personal Computer AT Technical Reference", the system BIOS' last bytes: a far jump, the
    /// release date, the model byte.
    #[must_use]
    pub fn new(image: &[u8]) -> Option<Self> {
        let at = image.len().checked_sub(RESET_FROM_END)?;
        let [jump, low, high, segment @ ..] = array::<5>(image, at)?;
        if jump != FAR_JUMP || u16::from_le_bytes(segment) != BIOS_SEGMENT {
            return None;
        }
        let date: [u8; 8] = array(image, image.len() - DATE_FROM_END)?;
        let is_date = date.iter().enumerate().all(|(index, byte)| match index {
            2 | 5 => *byte == b'/',
            _ => byte.is_ascii_digit(),
        });
        let model = *image.get(image.len() - 2)?;
        let has = |text: &[u8]| image.windows(text.len()).any(|window| window == text);
        let maker = if has(b"SeaBIOS (version ") {
            Some(Maker::SeaBios)
        } else if has(b"The Bochs Project") {
            Some(Maker::Bochs)
        } else {
            None
        };
        let entry = u16::from_le_bytes([low, high]);
        Some(Self { entry, date: is_date.then_some(BiosDate(date)), model, maker })
    }
}

/// Tells whether an image is qboot: 64 KiB whose reset vector is a near jump back, then no-operations.
pub(crate) fn is_qboot(image: &[u8]) -> bool {
    const SIZE_BYTES: usize = 0x1_0000;
    const NEAR_JUMP: u8 = 0xE9;
    let Some(end) = image.last_chunk::<RESET_FROM_END>() else { return false };
    let [jump, low, high, rest @ ..] = end;
    let is_filler = |byte: &u8| matches!(byte, 0x66 | 0x90);
    image.len() == SIZE_BYTES
        && *jump == NEAR_JUMP
        && i16::from_le_bytes([*low, *high]) < 0
        && rest.iter().all(is_filler)
}
