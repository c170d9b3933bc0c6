//! Names, lengths and values, with the checks that [`acpi_tables::aml`] leaves to assertions.

use alloc::vec::Vec;

use acpi_tables::aml::{Arg, EISAName, Local, Package, Path};
use acpi_tables::{Aml, AmlSink};

use crate::Error;

/// What a PkgLength of four bytes can count, less room for a name and itself.
pub(super) const MAX_BLOCK_BYTES: usize = (1 << 28) - 16;

/// Returns an EISA hardware id such as `PNP0A03`.
///
/// # Errors
/// [`Error::EisaId`]: it is not three capital letters and four hexadecimal digits.
pub fn eisa_id(id: &'static str) -> Result<EISAName, Error> {
    let bytes = id.as_bytes();
    let (maker, product) = bytes.split_at_checked(3).ok_or(Error::EisaId(id))?;
    let is_id = maker.iter().all(u8::is_ascii_uppercase)
        && product.len() == 4
        && product.iter().all(u8::is_ascii_hexdigit);
    if is_id { Ok(EISAName::new(id)) } else { Err(Error::EisaId(id)) }
}

/// Returns a path such as `\_SB_.PCI0` or `COM1`, each segment with four characters.
///
/// # Errors
/// [`Error::AmlName`]: a segment is none; its first four bytes are given.
pub fn path(path: &str) -> Result<Path, Error> {
    let relative = path.strip_prefix('\\').unwrap_or(path);
    let mut count = 0;
    for segment in relative.split('.') {
        let bytes = segment.as_bytes();
        let mut first = [0; 4];
        first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let is_whole = bytes.len() == first.len();
        name_seg(first).ok().filter(|_| is_whole).ok_or(Error::AmlName(first))?;
        count += 1;
    }
    if count > usize::from(u8::MAX) {
        return Err(Error::AmlLength { length: count });
    }
    Ok(Path::new(path))
}

/// Returns an argument of a method, `Arg0` to `Arg6`.
///
/// # Errors
/// [`Error::OutOfRange`]: there is none of this number.
pub fn argument(number: u8) -> Result<Arg, Error> {
    let out_of_range = Error::OutOfRange { field: "argument", value: number.into(), max: 6 };
    (number <= 6).then_some(Arg(number)).ok_or(out_of_range)
}

/// Returns a variable of a method, `Local0` to `Local7`.
///
/// # Errors
/// [`Error::OutOfRange`]: there is none of this number.
pub fn local(number: u8) -> Result<Local, Error> {
    let out_of_range = Error::OutOfRange { field: "variable", value: number.into(), max: 7 };
    (number <= 7).then_some(Local(number)).ok_or(out_of_range)
}

/// A text in AML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a str);

/// Returns a text.
///
/// # Errors
/// [`Error::Invalid`]: it has a character that is not ASCII, or a zero.
pub fn text(text: &str) -> Result<Text<'_>, Error> {
    match text.bytes().find(|byte| !byte.is_ascii() || *byte == 0) {
        Some(value) => Err(Error::Invalid { field: "character of a text", value: value.into() }),
        None => Ok(Text(text)),
    }
}

impl Aml for Text<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        const STRING_PREFIX: u8 = 0x0D;
        sink.byte(STRING_PREFIX);
        sink.vec(self.0.as_bytes());
        sink.byte(0);
    }
}

/// Returns a package, `Package () { elements }`.
///
/// # Errors
/// [`Error::AmlLength`]: there are more than 255 elements.
pub fn package<'a>(elements: &[&'a dyn Aml]) -> Result<Package<'a>, Error> {
    let length = elements.len();
    if length > usize::from(u8::MAX) {
        return Err(Error::AmlLength { length });
    }
    Ok(Package::new(elements.to_vec()))
}

/// Checks a name's segment: four of `A`-`Z`, `_` and, but for the first, `0`-`9`.
pub(super) fn name_seg(name: [u8; 4]) -> Result<[u8; 4], Error> {
    let [lead, rest @ ..] = name;
    let is_lead = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let is_seg = is_lead(lead) && rest.iter().all(|&byte| is_lead(byte) || byte.is_ascii_digit());
    is_seg.then_some(name).ok_or(Error::AmlName(name))
}

/// Appends the PkgLength of a block with `length` bytes after it: it counts itself, too.
///
/// One byte has six bits for it. Of more, the first has their number in bits 7:6 and the lowest
/// four bits of the length, the others eight bits each.
///
/// # Source
/// ACPI 6.5, "Package Length Encoding".
pub(super) fn push_package_length(bytes: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    check_length(length)?;
    let more = match length {
        ..0x3F => 0,
        0x3F..0xFFE => 1,
        0xFFE..0xF_FFFD => 2,
        _ => 3,
    };
    let total = u32::try_from(length + 1 + more).map_err(|_| Error::AmlLength { length })?;
    if more == 0 {
        bytes.push(total.to_le_bytes()[0]);
        return Ok(());
    }
    let lead = [0, 1 << 6, 2 << 6, 3 << 6][more];
    bytes.push(lead | (total.to_le_bytes()[0] & 0xF));
    bytes.extend_from_slice(&(total >> 4).to_le_bytes()[..more]);
    Ok(())
}

pub(super) fn check_length(length: usize) -> Result<(), Error> {
    if length > MAX_BLOCK_BYTES {
        return Err(Error::AmlLength { length });
    }
    Ok(())
}

/// Appends the number of bits of a field, which has the form of a PkgLength, itself not counted.
pub(super) fn push_bits(bytes: &mut Vec<u8>, bits: u32) -> Result<(), Error> {
    let more = match bits {
        ..0x40 => 0,
        0x40..0x1000 => 1,
        0x1000..0x10_0000 => 2,
        0x10_0000..0x1000_0000 => 3,
        _ => {
            return Err(Error::OutOfRange {
                field: "number of bits",
                value: bits.into(),
                max: 0xFFF_FFFF,
            });
        }
    };
    let [low, ..] = bits.to_le_bytes();
    if more == 0 {
        bytes.push(low);
        return Ok(());
    }
    bytes.push([0, 1 << 6, 2 << 6, 3 << 6][more] | low & 0xF);
    bytes.extend_from_slice(&(bits >> 4).to_le_bytes()[..more]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aml::bytes_of;

    /// Decodes a PkgLength as the specification says, and returns it with its own size.
    fn decode(bytes: &[u8]) -> (usize, usize) {
        let more = usize::from(bytes[0] >> 6);
        if more == 0 {
            return (usize::from(bytes[0] & 0x3F), 1);
        }
        assert_eq!(bytes[0] & 0x30, 0, "reserved bits");
        let high = (1..=more).rev().fold(0, |value, i| value << 8 | usize::from(bytes[i]));
        (high << 4 | usize::from(bytes[0] & 0xF), 1 + more)
    }

    #[test]
    fn package_length_counts_itself_in_as_few_bytes_as_it_can() {
        for (largest, size) in [(0x3F, 1), (0xFFF, 2), (0xF_FFFF, 3)] {
            for length in [largest - size - 1, largest - size, largest - size + 1] {
                let mut bytes = Vec::new();
                push_package_length(&mut bytes, length).unwrap();
                let expected = size + usize::from(length > largest - size);
                assert_eq!(decode(&bytes), (length + expected, expected), "{length:#x}");
                assert_eq!(bytes.len(), expected);
            }
        }
        let mut bytes = Vec::new();
        let length = MAX_BLOCK_BYTES + 1;
        assert_eq!(push_package_length(&mut bytes, length), Err(Error::AmlLength { length }));
    }

    #[test]
    fn names_that_aml_cannot_have_are_refused() {
        for name in [*b"PCI0", *b"_SB_", *b"C12F"] {
            assert_eq!(name_seg(name), Ok(name));
        }
        for name in [*b"0PCI", *b"pci0", *b"PC 0", *b"PCI.", [0xC3, 0xA4, b'A', b'B']] {
            assert_eq!(name_seg(name), Err(Error::AmlName(name)));
        }
    }

    #[test]
    fn hardware_ids_are_packed_as_eisa_has_it() {
        assert_eq!(bytes_of(&eisa_id("PNP0A03").unwrap()), [0x0C, 0x41, 0xD0, 0x0A, 0x03]);
        for id in ["", "PNP", "PNP0A0", "PNP0A033", "pnp0A03", "PNP0A0G", "PNÄ0A03"] {
            assert_eq!(eisa_id(id).err(), Some(Error::EisaId(id)));
        }
    }

    #[test]
    fn paths_have_whole_segments() {
        let bytes = |text| path(text).map(|path| bytes_of(&path));
        assert_eq!(bytes("COM1").unwrap(), b"COM1");
        assert_eq!(bytes("\\_SB_.PCI0").unwrap(), b"\\\x2E_SB_PCI0");
        assert_eq!(bytes("A___.B___.C___").unwrap(), b"\x2F\x03A___B___C___");
        for (text, first) in [
            ("", [0; 4]),
            ("\\", [0; 4]),
            ("_SB", *b"_SB\0"),
            ("_SB_.", [0; 4]),
            ("_SB_.PCI01", *b"PCI0"),
            ("^COM1", *b"^COM"),
        ] {
            assert_eq!(bytes(text), Err(Error::AmlName(first)), "{text:?}");
        }
        let long = "ABCD.".repeat(255) + "ABCD";
        assert_eq!(bytes(&long), Err(Error::AmlLength { length: 256 }));
    }

    #[test]
    fn numbers_of_variables_and_characters_are_checked() {
        assert_eq!(bytes_of(&argument(6).unwrap()), [0x6E]);
        assert_eq!(bytes_of(&local(7).unwrap()), [0x67]);
        assert!(argument(7).is_err() && local(8).is_err());
        assert_eq!(bytes_of(&text("A b").unwrap()), *b"\x0DA b\0");
        assert!(text("A\0").is_err() && text("Ä").is_err());
    }

    #[test]
    fn bits_are_counted_in_as_few_bytes_as_can_be() {
        for (bits, expected) in [
            (0x3F, &[0x3F][..]),
            (0x40, &[0x40, 0x04]),
            (0xFFF, &[0x4F, 0xFF]),
            (0x1000, &[0x80, 0x00, 0x01]),
            (0xFFF_FFFF, &[0xCF, 0xFF, 0xFF, 0xFF]),
        ] {
            let mut bytes = Vec::new();
            push_bits(&mut bytes, bits).unwrap();
            assert_eq!(bytes, expected, "{bits:#x}");
        }
        assert!(push_bits(&mut Vec::new(), 0x1000_0000).is_err());
    }

    #[test]
    fn a_package_has_at_most_255_elements() {
        let elements = [&0_u8 as &dyn Aml; 256];
        assert!(package(&elements[..255]).is_ok());
        assert_eq!(package(&elements).err(), Some(Error::AmlLength { length: 256 }));
    }
}
