//! AML: [`acpi_tables::aml`] encodes values and resources, behind constructors that check what
//! that crate asserts; names and blocks are framed here.
//!
//! Terms are collected as bytes and framed once per block, so that a scope of many devices takes
//! time in proportion to their number.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use acpi_tables::aml::{AddressSpace, AddressSpaceCacheable, EISAName, IO, ResourceTemplate};
use acpi_tables::{Aml, AmlSink};

use crate::Error;

/// What a PkgLength of four bytes can count, less room for a name and itself.
const MAX_BLOCK_BYTES: usize = (1 << 28) - 16;

const NAME_OP: u8 = 0x08;
const SCOPE_OP: u8 = 0x10;
const DEVICE_OP: [u8; 2] = [0x5B, 0x82];

/// An EISA hardware id such as `PNP0A03`.
pub(crate) fn eisa_id(id: &'static str) -> Result<EISAName, Error> {
    let bytes = id.as_bytes();
    let (maker, product) = bytes.split_at_checked(3).ok_or(Error::EisaId(id))?;
    let is_id = maker.iter().all(u8::is_ascii_uppercase)
        && product.len() == 4
        && product.iter().all(u8::is_ascii_hexdigit);
    if is_id { Ok(EISAName::new(id)) } else { Err(Error::EisaId(id)) }
}

/// AML that is there already.
struct Raw<'a>(&'a [u8]);

impl Aml for Raw<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(self.0);
    }
}

/// Encodes one object.
pub(crate) fn bytes_of(object: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.to_aml_bytes(&mut bytes);
    bytes
}

/// The terms within a table, a scope or a device.
#[derive(Default)]
pub(crate) struct Terms(Vec<u8>);

impl Terms {
    /// `Name (name, value)`
    pub(crate) fn name(&mut self, name: [u8; 4], value: &dyn Aml) -> Result<(), Error> {
        let name = name_seg(name)?;
        self.0.push(NAME_OP);
        self.0.extend_from_slice(&name);
        value.to_aml_bytes(&mut self.0);
        Ok(())
    }

    /// `Name (_HID, EisaId (id))`
    pub(crate) fn hid(&mut self, id: &'static str) -> Result<(), Error> {
        self.name(*b"_HID", &eisa_id(id)?)
    }

    /// `Name (_CRS, ResourceTemplate () { resources })`
    pub(crate) fn crs(&mut self, resources: &[u8]) -> Result<(), Error> {
        check_length(resources.len())?;
        let resources = Raw(resources);
        self.name(*b"_CRS", &ResourceTemplate::new([&resources as &dyn Aml].into()))
    }

    /// `Name (name, Package () { elements })`
    pub(crate) fn package(&mut self, name: [u8; 4], elements: &[&dyn Aml]) -> Result<(), Error> {
        self.name(name, &package(elements)?)
    }

    /// `Device (name) { terms }`
    pub(crate) fn device(&mut self, name: [u8; 4], terms: &Self) -> Result<(), Error> {
        self.block(&DEVICE_OP, &name_seg(name)?, terms)
    }

    /// `Scope (\_SB) { terms }`
    pub(crate) fn system_bus(&mut self, terms: &Self) -> Result<(), Error> {
        self.block(&[SCOPE_OP], b"\\_SB_", terms)
    }

    fn block(&mut self, opcode: &[u8], path: &[u8], terms: &Self) -> Result<(), Error> {
        self.0.extend_from_slice(opcode);
        push_package_length(&mut self.0, path.len() + terms.0.len())?;
        self.0.extend_from_slice(path);
        self.0.extend_from_slice(&terms.0);
        Ok(())
    }

    /// Returns how many bytes they take.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops all terms behind the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Returns them encoded.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Checks a name's segment: four of `A`-`Z`, `_` and, but for the first, `0`-`9`.
fn name_seg(name: [u8; 4]) -> Result<[u8; 4], Error> {
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
fn push_package_length(bytes: &mut Vec<u8>, length: usize) -> Result<(), Error> {
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

fn check_length(length: usize) -> Result<(), Error> {
    if length > MAX_BLOCK_BYTES {
        return Err(Error::AmlLength { length });
    }
    Ok(())
}

/// `Package () { elements }`
pub(crate) fn package<'a>(
    elements: &[&'a dyn Aml],
) -> Result<acpi_tables::aml::Package<'a>, Error> {
    let length = elements.len();
    if length > usize::from(u8::MAX) {
        return Err(Error::AmlLength { length });
    }
    Ok(acpi_tables::aml::Package::new(elements.to_vec()))
}

/// `IO (Decode16, port, port, 1, size_bytes)`
pub(crate) fn io_ports(port: u16, size_bytes: u8) -> Result<IO, Error> {
    let last = u16::from(size_bytes).checked_sub(1).and_then(|more| port.checked_add(more));
    if port == 0 || last.is_none() {
        return Err(Error::IoPorts { port, size_bytes: size_bytes.into() });
    }
    Ok(IO::new(port, port, 1, size_bytes))
}

/// `IRQNoFlags () { irq }`: an ISA interrupt, edge-triggered, active high, not shared.
pub(crate) struct IrqNoFlags {
    mask: u16,
}

impl IrqNoFlags {
    pub(crate) fn new(irq: u8) -> Result<Self, Error> {
        match 1_u16.checked_shl(irq.into()) {
            Some(mask) => Ok(Self { mask }),
            None => Err(Error::IsaIrq { irq }),
        }
    }
}

impl Aml for IrqNoFlags {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        /// "IRQ Descriptor": a small resource, item 4 with 2 bytes.
        const TAG: u8 = 4 << 3 | 2;
        sink.byte(TAG);
        sink.word(self.mask);
    }
}

/// `WordBusNumber (ResourceProducer, MinFixed, MaxFixed, , ...)`
pub(crate) fn bus_numbers(buses: &RangeInclusive<u8>) -> Result<AddressSpace<u16>, Error> {
    let (first, last) = (*buses.start(), *buses.end());
    if first > last {
        return Err(Error::PciBuses { first, last });
    }
    Ok(AddressSpace::new_bus_number(first.into(), last.into()))
}

/// `WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, ...)`
pub(crate) fn io_window(ports: &RangeInclusive<u16>) -> Result<AddressSpace<u16>, Error> {
    const FIRST_CONFIG_PORT: u16 = 0xCF8;
    const LAST_CONFIG_PORT: u16 = 0xCFF;
    let (first, last) = (*ports.start(), *ports.end());
    // A window without the configuration ports is never so long that its length wraps.
    if first > last || (first <= LAST_CONFIG_PORT && last >= FIRST_CONFIG_PORT) {
        return Err(Error::PciIoWindow { first, last });
    }
    Ok(AddressSpace::new_io(first, last, None))
}

/// `DWordMemory (ResourceProducer, ..., NonCacheable, ReadWrite, ...)`
pub(crate) fn memory32_window(addresses: &RangeInclusive<u32>) -> Result<AddressSpace<u32>, Error> {
    let (first, last) = (*addresses.start(), *addresses.end());
    if first > last || (first == 0 && last == u32::MAX) {
        return Err(Error::PciMemoryWindow { first: first.into(), last: last.into() });
    }
    Ok(AddressSpace::new_memory(AddressSpaceCacheable::NotCacheable, true, first, last, None))
}

/// `QWordMemory (ResourceProducer, ..., NonCacheable, ReadWrite, ...)`
pub(crate) fn memory64_window(addresses: &RangeInclusive<u64>) -> Result<AddressSpace<u64>, Error> {
    let (first, last) = (*addresses.start(), *addresses.end());
    if first > last || (first == 0 && last == u64::MAX) {
        return Err(Error::PciMemoryWindow { first, last });
    }
    Ok(AddressSpace::new_memory(AddressSpaceCacheable::NotCacheable, true, first, last, None))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_package_has_at_most_255_elements() {
        let elements = [&0_u8 as &dyn Aml; 256];
        assert!(package(&elements[..255]).is_ok());
        assert_eq!(package(&elements).err(), Some(Error::AmlLength { length: 256 }));
    }
}
