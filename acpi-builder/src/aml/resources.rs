//! Resources of devices.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use acpi_tables::aml::{AddressSpace, AddressSpaceCacheable, IO, Interrupt, Memory32Fixed};
use acpi_tables::{Aml, AmlSink};
use guest_state::GpaRange;

use crate::{Error, IntiFlags};

/// What a device takes: the contents of its `_CRS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources(Vec<u8>);

impl Resources {
    /// Lists nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, resource: &dyn Aml) {
        resource.to_aml_bytes(&mut self.0);
    }

    /// Returns the resources encoded, without an end tag.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds `IO (Decode16, port, port, 1, size_bytes)`.
    ///
    /// # Errors
    /// [`Error::IoPorts`]: the block is empty, starts at port 0 or reaches past port 0xffff.
    pub fn ports(mut self, port: u16, size_bytes: u8) -> Result<Self, Error> {
        self.push(&io_ports(port, size_bytes)?);
        Ok(self)
    }

    /// Adds `IRQNoFlags () { irq }`: an ISA interrupt, edge-triggered, active high, not shared.
    ///
    /// # Errors
    /// [`Error::IsaIrq`]: it is above 15.
    pub fn isa_irq(mut self, irq: u8) -> Result<Self, Error> {
        self.push(&IrqNoFlags::new(irq)?);
        Ok(self)
    }

    /// Adds `Interrupt (ResourceConsumer, ...) { gsi }`.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the flags don't say whether it is edge or level, high or low.
    pub fn interrupt(mut self, gsi: u32, flags: IntiFlags, shared: bool) -> Result<Self, Error> {
        let (edge, low) = match flags {
            IntiFlags::EDGE_HIGH => (true, false),
            IntiFlags::EDGE_LOW => (true, true),
            IntiFlags::LEVEL_HIGH => (false, false),
            IntiFlags::LEVEL_LOW => (false, true),
            IntiFlags(value) => {
                return Err(Error::Invalid { field: "kind of interrupt", value: value.into() });
            }
        };
        self.push(&Interrupt::new(true, edge, low, shared, gsi));
        Ok(self)
    }

    /// Adds `Memory32Fixed (ReadWrite, start, size)`.
    ///
    /// # Errors
    /// [`Error::EmptyRange`], [`Error::OutOfRange`]: the range is empty or not below 4 GiB.
    pub fn memory32(mut self, range: GpaRange) -> Result<Self, Error> {
        let field = "memory of a device";
        let start = range.start();
        let last = range.last().ok_or(Error::EmptyRange { field, start })?.as_u64();
        let max = u64::from(u32::MAX);
        let out_of_range = Error::OutOfRange { field, value: last, max };
        let word = |number: u64| u32::try_from(number).map_err(|_| out_of_range);
        word(last)?;
        self.push(&Memory32Fixed::new(true, word(start.as_u64())?, word(range.size_bytes())?));
        Ok(self)
    }

    /// Adds `QWordMemory (ResourceProducer, ..., Cacheable, ReadOnly, ...)`.
    ///
    /// # Errors
    /// [`Error::EmptyRange`]: the range is empty.
    pub fn shared_memory64(mut self, range: GpaRange) -> Result<Self, Error> {
        let (field, start) = ("memory of a device", range.start());
        let last = range.last().ok_or(Error::EmptyRange { field, start })?.as_u64();
        let cacheable = AddressSpaceCacheable::Cacheable;
        self.push(&AddressSpace::new_memory(cacheable, false, start.as_u64(), last, None));
        Ok(self)
    }
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
