//! A PCI host bridge reached through the configuration ports 0xcf8 and 0xcfc.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use acpi_tables::Aml;
use acpi_tables::aml::Package;

use crate::aml::{
    Resources, Terms, bus_numbers, eisa_id, io_ports, io_window, memory32_window, memory64_window,
    package,
};
use crate::pci_express::append_osc;
use crate::{Error, PciExpressControl};

/// One of the four interrupt pins of a PCI device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterruptPin {
    /// INTA#.
    A,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
}

/// Where the interrupt of one pin of one device on the root bus arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PciRoute {
    /// The device number on the root bus, 0 to 31.
    pub device: u8,
    /// The pin.
    pub pin: InterruptPin,
    /// The global system interrupt.
    pub gsi: u32,
}

/// Describes a PCI host bridge: what lies behind it, for the guest to assign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PciRoot {
    /// The buses below it, the first of which is the root bus.
    pub buses: RangeInclusive<u8>,
    /// I/O ports that it forwards, without 0xcf8 to 0xcff, which it takes itself.
    pub io_windows: Vec<RangeInclusive<u16>>,
    /// Guest-physical addresses below 4 GiB that it forwards.
    pub memory32_windows: Vec<RangeInclusive<u32>>,
    /// Guest-physical addresses anywhere that it forwards.
    pub memory64_windows: Vec<RangeInclusive<u64>>,
    /// Where the interrupts of its devices arrive.
    pub routes: Vec<PciRoute>,
    /// On a bridge of PCI Express, what a guest may control by itself. The configuration spaces are
    /// then those of an [`Mcfg`](crate::Mcfg).
    pub express: Option<PciExpressControl>,
}

impl PciRoot {
    /// Describes a bridge to buses 0 to 255 that forwards all I/O ports and one memory window.
    #[must_use]
    pub fn new(memory_window: RangeInclusive<u32>) -> Self {
        Self {
            buses: 0..=0xFF,
            io_windows: [0..=0xCF7, 0xD00..=0xFFFF].into(),
            memory32_windows: [memory_window].into(),
            memory64_windows: Vec::new(),
            routes: Vec::new(),
            express: None,
        }
    }

    /// Appends the bridge's own objects; the devices behind it come after them.
    pub(crate) fn append_objects(&self, terms: &mut Terms) -> Result<(), Error> {
        if self.express.is_some() {
            terms.hid("PNP0A08")?;
            terms.name(*b"_CID", &eisa_id("PNP0A03")?)?;
        } else {
            terms.hid("PNP0A03")?;
        }
        terms.name(*b"_UID", &0_u8)?;
        terms.name(*b"_BBN", self.buses.start())?;
        terms.crs(&self.resources()?)?;
        if let Some(control) = self.express {
            append_osc(control, terms)?;
        }
        if self.routes.is_empty() {
            return Ok(());
        }
        self.append_routes(terms)
    }

    fn resources(&self) -> Result<Resources, Error> {
        let mut resources = Resources::new();
        resources.push(&bus_numbers(&self.buses)?);
        resources.push(&io_ports(0xCF8, 8)?);
        for window in &self.io_windows {
            resources.push(&io_window(window)?);
        }
        for window in &self.memory32_windows {
            resources.push(&memory32_window(window)?);
        }
        for window in &self.memory64_windows {
            resources.push(&memory64_window(window)?);
        }
        Ok(resources)
    }

    /// Appends `_PRT`: packages of address, pin, source (none: a fixed interrupt) and interrupt.
    ///
    /// # Source
    /// ACPI 6.5, "_PRT (PCI Routing Table)".
    fn append_routes(&self, terms: &mut Terms) -> Result<(), Error> {
        const ALL_FUNCTIONS: u32 = 0xFFFF;
        const NO_SOURCE: u8 = 0;
        let mut seen = [[false; 4]; 32];
        let mut fields = Vec::with_capacity(self.routes.len());
        for &PciRoute { device, pin, gsi } in &self.routes {
            let pins = seen.get_mut(usize::from(device)).ok_or(Error::PciDevice { device })?;
            if core::mem::replace(&mut pins[pin as usize], true) {
                return Err(Error::DuplicatePciRoute { device });
            }
            fields.push((u32::from(device) << 16 | ALL_FUNCTIONS, pin as u8, gsi));
        }
        let mut routes: Vec<Package<'_>> = Vec::with_capacity(fields.len());
        for (address, pin, gsi) in &fields {
            routes.push(package(&[address, pin, &NO_SOURCE, gsi])?);
        }
        let elements: Vec<&dyn Aml> = routes.iter().map(|route| route as &dyn Aml).collect();
        terms.package(*b"_PRT", &elements)
    }
}
