//! AML: [`acpi_tables::aml`] encodes values and resources, behind constructors that check what
//! that crate asserts; names and blocks are framed here.
//!
//! Terms are collected as bytes and framed once per block, so that a scope of many devices takes
//! time in proportion to their number.
//!
//! ```
//! use acpi_builder::aml::{Resources, Terms};
//! use acpi_builder::{Ssdt, Table};
//!
//! let mut beacon = Terms::new();
//! beacon.text(*b"_HID", "HVKT0001")?;
//! beacon.crs(&Resources::new().ports(0x510, 2)?)?;
//! let mut bus = Terms::new();
//! bus.device(*b"BECN", &beacon)?;
//! let mut table = Terms::new();
//! table.scope("\\_SB_", &bus)?;
//! let ssdt = Ssdt { aml: table.into_bytes() }.build()?;
//! # Ok::<(), acpi_builder::Error>(())
//! ```

mod encoding;
mod resources;

use alloc::vec::Vec;

use acpi_tables::aml::ResourceTemplate;
pub use acpi_tables::{Aml, AmlSink, aml as objects};

use crate::{Error, RegionSpace};
pub use encoding::{Text, argument, eisa_id, local, package, path, text};
use encoding::{check_length, name_seg, push_bits, push_package_length};
pub use resources::Resources;
pub(crate) use resources::{bus_numbers, io_ports, io_window, memory32_window, memory64_window};

const NAME_OP: u8 = 0x08;
const SCOPE_OP: u8 = 0x10;
const METHOD_OP: u8 = 0x14;
const OP_REGION_OP: [u8; 2] = [0x5B, 0x80];
const FIELD_OP: [u8; 2] = [0x5B, 0x81];
const DEVICE_OP: [u8; 2] = [0x5B, 0x82];
const POWER_RES_OP: [u8; 2] = [0x5B, 0x84];

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

/// "AccessType" and "UpdateRule" of a field, without a lock: how its register is accessed, other
/// bits being preserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldAccess {
    /// Byte by byte.
    Byte = 1,
    /// By 16 bits.
    Word = 2,
    /// By 32 bits.
    Dword = 3,
    /// By 64 bits.
    Qword = 4,
}

/// The terms within a table, a scope, a device or a method.
///
/// Values are anything that is [`Aml`]: numbers, what the functions of this module return, and all
/// of [`objects`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(Vec<u8>);

impl Aml for Terms {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

impl Terms {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any term.
    pub fn term(&mut self, term: &dyn Aml) {
        term.to_aml_bytes(&mut self.0);
    }

    /// Adds `Name (name, value)`.
    ///
    /// # Errors
    /// [`Error::AmlName`]: the name is none.
    pub fn name(&mut self, name: [u8; 4], value: &dyn Aml) -> Result<(), Error> {
        let name = name_seg(name)?;
        self.0.push(NAME_OP);
        self.0.extend_from_slice(&name);
        value.to_aml_bytes(&mut self.0);
        Ok(())
    }

    /// Adds `Name (name, "value")`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::Invalid`]: the name is none, or the text not ASCII.
    pub fn text(&mut self, name: [u8; 4], value: &str) -> Result<(), Error> {
        self.name(name, &text(value)?)
    }

    /// Adds `Name (_HID, EisaId (id))`.
    ///
    /// # Errors
    /// [`Error::EisaId`]: the id is none.
    pub fn hid(&mut self, id: &'static str) -> Result<(), Error> {
        self.name(*b"_HID", &eisa_id(id)?)
    }

    /// Adds `Name (_CRS, ResourceTemplate () { resources })`.
    ///
    /// # Errors
    /// [`Error::AmlLength`]: they are too long.
    pub fn crs(&mut self, resources: &Resources) -> Result<(), Error> {
        check_length(resources.as_bytes().len())?;
        let resources = Raw(resources.as_bytes());
        self.name(*b"_CRS", &ResourceTemplate::new([&resources as &dyn Aml].into()))
    }

    /// Adds `Name (name, Package () { elements })`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::AmlLength`]: the name is none, or there are too many elements.
    pub fn package(&mut self, name: [u8; 4], elements: &[&dyn Aml]) -> Result<(), Error> {
        self.name(name, &package(elements)?)
    }

    /// Adds `Device (name) { terms }`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::AmlLength`]: the name is none, or the terms are too long.
    pub fn device(&mut self, name: [u8; 4], terms: &Self) -> Result<(), Error> {
        self.block(&DEVICE_OP, &name_seg(name)?, terms)
    }

    /// Adds `Scope (path) { terms }`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::AmlLength`]: the path is none, or the terms are too long.
    pub fn scope(&mut self, scope: &str, terms: &Self) -> Result<(), Error> {
        self.block(&[SCOPE_OP], &bytes_of(&path(scope)?), terms)
    }

    /// Adds `Method (name, arguments, Serialized) { terms }`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::AmlLength`]: the name is none, or the terms are too long.
    /// [`Error::OutOfRange`]: there are more than seven arguments.
    pub fn method(&mut self, name: [u8; 4], arguments: u8, terms: &Self) -> Result<(), Error> {
        const SERIALIZED: u8 = 1 << 3;
        if arguments > 7 {
            let (field, value) = ("number of arguments", arguments.into());
            return Err(Error::OutOfRange { field, value, max: 7 });
        }
        let [a, b, c, d] = name_seg(name)?;
        self.block(&[METHOD_OP], &[a, b, c, d, SERIALIZED | arguments], terms)
    }

    /// Adds `PowerResource (name, level, order) { terms }`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::AmlLength`]: the name is none, or the terms are too long.
    pub fn power_resource(
        &mut self,
        name: [u8; 4],
        level: u8,
        order: u16,
        terms: &Self,
    ) -> Result<(), Error> {
        let [a, b, c, d] = name_seg(name)?;
        let [low, high] = order.to_le_bytes();
        self.block(&POWER_RES_OP, &[a, b, c, d, level, low, high], terms)
    }

    /// Adds `OperationRegion (name, space, offset, size)`.
    ///
    /// # Errors
    /// [`Error::AmlName`]: the name is none. [`Error::Invalid`]: the region is empty or leaves the
    /// address space.
    pub fn region(
        &mut self,
        name: [u8; 4],
        space: RegionSpace,
        offset: u64,
        size_bytes: u64,
    ) -> Result<(), Error> {
        let name = name_seg(name)?;
        if size_bytes.checked_sub(1).and_then(|more| offset.checked_add(more)).is_none() {
            return Err(Error::Invalid { field: "size of a region", value: size_bytes });
        }
        self.0.extend_from_slice(&OP_REGION_OP);
        self.0.extend_from_slice(&name);
        self.0.push(space.0);
        self.term(&offset);
        self.term(&size_bytes);
        Ok(())
    }

    /// Adds `Field (region, access, NoLock, Preserve) { name, bits, ... }`.
    ///
    /// # Errors
    /// [`Error::AmlName`], [`Error::AmlLength`], [`Error::OutOfRange`]: a name is none, or there
    /// are too many fields or bits.
    pub fn fields(
        &mut self,
        region: [u8; 4],
        access: FieldAccess,
        fields: &[([u8; 4], u32)],
    ) -> Result<(), Error> {
        let mut list = Self::new();
        for &(name, bits) in fields {
            list.0.extend_from_slice(&name_seg(name)?);
            push_bits(&mut list.0, bits)?;
        }
        let [a, b, c, d] = name_seg(region)?;
        self.block(&FIELD_OP, &[a, b, c, d, access as u8], &list)
    }

    fn block(&mut self, opcode: &[u8], head: &[u8], terms: &Self) -> Result<(), Error> {
        self.0.extend_from_slice(opcode);
        push_package_length(&mut self.0, head.len().saturating_add(terms.0.len()))?;
        self.0.extend_from_slice(head);
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

    /// Returns them encoded: what a definition block has behind its header.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
