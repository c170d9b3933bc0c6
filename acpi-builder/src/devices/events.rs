//! Devices that something happens to: buttons, and what reports events.

use alloc::string::String;
use alloc::vec::Vec;

use super::AmlDevice;
use crate::aml::objects::{Equal, If, Notify};
use crate::aml::{Resources, Terms, argument, path};
use crate::check::unique;
use crate::{Error, IntiFlags};

/// A power button that is a device, `PWRB`: notified with 80h when it is pressed.
///
/// # Source
/// ACPI 6.5, "Control Method Power Button".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerButton;

impl AmlDevice for PowerButton {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut terms = Terms::new();
        terms.hid("PNP0C0C")?;
        scope.device(*b"PWRB", &terms)
    }
}

/// A sleep button that is a device, `SLPB`: notified with 80h when it is pressed.
///
/// # Source
/// ACPI 6.5, "Control Method Sleep Button".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SleepButton;

impl AmlDevice for SleepButton {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        let mut terms = Terms::new();
        terms.hid("PNP0C0E")?;
        scope.device(*b"SLPB", &terms)
    }
}

/// An interrupt that stands for an event of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GedEvent {
    /// The global system interrupt.
    pub gsi: u32,
    /// Edge or level, high or low.
    pub flags: IntiFlags,
    /// The device that is notified, such as `\_SB_.PWRB`.
    pub device: String,
    /// With what: 80h for a button, or for a virtual machine's generation.
    pub value: u8,
}

/// A generic event device, `GED_`: on a hardware-reduced machine, how events are reported.
///
/// # Source
/// ACPI 6.5, "Generic Event Device".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenericEventDevice {
    /// The events, each with an interrupt of its own.
    pub events: Vec<GedEvent>,
}

impl AmlDevice for GenericEventDevice {
    fn append_to(&self, scope: &mut Terms) -> Result<(), Error> {
        unique("interrupt of an event", self.events.iter().map(|event| event.gsi.into()))?;
        let mut resources = Resources::new();
        let mut method = Terms::new();
        for event in &self.events {
            resources = resources.interrupt(event.gsi, event.flags, false)?;
            let (number, device) = (argument(0)?, path(&event.device)?);
            let notify = Notify::new(&device, &event.value);
            method.term(&If::new(&Equal::new(&number, &event.gsi), [&notify as _].into()));
        }
        let mut terms = Terms::new();
        terms.text(*b"_HID", "ACPI0013")?;
        terms.name(*b"_UID", &0_u8)?;
        terms.crs(&resources)?;
        terms.method(*b"_EVT", 1, &method)?;
        scope.device(*b"GED_", &terms)
    }
}
