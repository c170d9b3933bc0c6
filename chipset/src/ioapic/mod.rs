//! The I/O APIC.

mod message;
mod redirection;

use core::ops::Deref;

pub use message::{
    DeliveryMode, DestinationMode, InterruptMessage, MsiMessage, Polarity, TriggerMode,
};
pub use redirection::RedirectionEntry;

/// Which I/O APIC to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoApicVersion {
    /// 11h, the 82093AA: interrupts end by the local APIC's broadcast alone.
    V11,
    /// 20h: an EOI register, too, for local APICs that suppress the broadcast.
    V20,
}

impl IoApicVersion {
    const fn number(self) -> u32 {
        match self {
            Self::V11 => 0x11,
            Self::V20 => 0x20,
        }
    }
}

const PINS: usize = 24;

/// Up to 24 interrupts to deliver; a slice by [`Deref`].
#[derive(Clone, Copy, Debug)]
#[must_use = "interrupts are lost if they are not delivered"]
pub struct Messages {
    messages: [InterruptMessage; PINS],
    len: usize,
}

impl Messages {
    const fn new() -> Self {
        Self { messages: [RedirectionEntry::RESET.message(); PINS], len: 0 }
    }

    fn push(&mut self, message: InterruptMessage) {
        if let Some(free) = self.messages.get_mut(self.len) {
            *free = message;
            self.len += 1;
        }
    }
}

impl Deref for Messages {
    type Target = [InterruptMessage];

    fn deref(&self) -> &[InterruptMessage] {
        &self.messages[..self.len]
    }
}

impl IntoIterator for Messages {
    type Item = InterruptMessage;
    type IntoIter = core::iter::Take<core::array::IntoIter<InterruptMessage, PINS>>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages.into_iter().take(self.len)
    }
}

/// What a write to the I/O APIC brought about.
#[derive(Clone, Copy, Debug)]
#[must_use = "interrupts are lost if they are not delivered"]
pub struct IoApicEffects {
    /// Interrupts to deliver.
    pub messages: Messages,
    /// The pin whose [`IoApic::redirection`] the guest changed, if it changed one.
    pub rerouted: Option<u8>,
}

/// An I/O APIC with 24 pins.
///
/// | offset | register |
/// |---|---|
/// | 00h | IOREGSEL, the register to show in IOWIN |
/// | 10h | IOWIN |
/// | 40h | EOI: the vector whose interrupts end (version 20h) |
///
/// All are accessed with 32 bits. Others read as all ones.
///
/// A pin's level is whether it is active, whatever its polarity: guests are told different stories
/// about the polarity of the same line, and believe them. The polarity bit is kept and means
/// nothing.
///
/// # Examples
/// ```
/// # use chipset::{IoApic, IoApicVersion};
/// let mut ioapic = IoApic::new(IoApicVersion::V20);
/// let _ = ioapic.write(0x00, 0x10 + 2 * 4); // pin 4, lower half
/// let effects = ioapic.write(0x10, 0x0000_0034); // edge, unmasked, vector 34h
/// assert_eq!(effects.rerouted, Some(4));
///
/// let message = ioapic.set_irq(4, true).unwrap();
/// assert_eq!(message.to_msi().address, 0xFEE0_0000);
/// assert_eq!(message.to_msi().data, 0x34);
/// ```
///
/// # Source
/// Intel 82093AA (290566), "Register Description"; the EOI register from the ICH's "I/O APIC
/// Registers".
#[derive(Clone, Debug)]
pub struct IoApic {
    version: IoApicVersion,
    selected: u8,
    id: u32,
    entries: [RedirectionEntry; PINS],
    levels: [bool; PINS],
}

impl IoApic {
    /// The number of pins.
    pub const PINS: u8 = 24;

    const SELECT: u16 = 0x00;
    const WINDOW: u16 = 0x10;
    const EOI: u16 = 0x40;

    const ID: u8 = 0x00;
    const VERSION: u8 = 0x01;
    const ARBITRATION: u8 = 0x02;
    const FIRST_ENTRY: u8 = 0x10;

    const ID_WRITABLE: u32 = 0x0F00_0000;

    /// An I/O APIC at power-on: all pins masked, ID 0.
    #[must_use]
    pub const fn new(version: IoApicVersion) -> Self {
        Self {
            version,
            selected: 0,
            id: 0,
            entries: [RedirectionEntry::RESET; PINS],
            levels: [false; PINS],
        }
    }

    /// Returns to the state at power-on. The levels of the pins stay as they are.
    pub const fn reset(&mut self) {
        let levels = self.levels;
        *self = Self::new(self.version);
        self.levels = levels;
    }

    /// What a pin does; `None` from pin 24.
    #[must_use]
    pub fn redirection(&self, pin: u8) -> Option<RedirectionEntry> {
        self.entries.get(usize::from(pin)).copied()
    }

    /// What each pin does, from pin 0.
    pub fn redirections(&self) -> impl Iterator<Item = RedirectionEntry> {
        self.entries.into_iter()
    }

    /// Sets a pin active or inactive; the interrupt that this makes. Pins from 24 are not there.
    #[must_use = "the interrupt is lost if it is not delivered"]
    pub fn set_irq(&mut self, pin: u8, active: bool) -> Option<InterruptMessage> {
        let index = usize::from(pin);
        let entry = *self.entries.get(index)?;
        let became_active = active && !self.levels[index];
        self.levels[index] = active;
        match entry.trigger_mode() {
            // An edge that is masked is gone.
            TriggerMode::Edge => (became_active && !entry.is_masked()).then(|| entry.message()),
            TriggerMode::Level => self.service_level(index),
        }
    }

    /// Ends the interrupts of a vector, as a local APIC tells all I/O APICs when a level's
    /// interrupt ends; those of pins that are still active come again.
    pub fn eoi(&mut self, vector: u8) -> Messages {
        let mut messages = Messages::new();
        for index in 0..PINS {
            let entry = &mut self.entries[index];
            if entry.remote_irr() && entry.vector() == vector {
                entry.set_remote_irr(false);
                if let Some(message) = self.service_level(index) {
                    messages.push(message);
                }
            }
        }
        messages
    }

    /// Reads a register, given as its offset from the I/O APIC's address.
    #[must_use]
    pub const fn read(&self, offset: u16) -> u32 {
        match offset {
            Self::SELECT => self.selected as u32,
            Self::WINDOW => self.read_window(),
            _ => u32::MAX,
        }
    }

    /// Writes a register, given as its offset from the I/O APIC's address.
    pub fn write(&mut self, offset: u16, value: u32) -> IoApicEffects {
        let mut effects = IoApicEffects { messages: Messages::new(), rerouted: None };
        let [low, ..] = value.to_le_bytes();
        match (offset, self.selected) {
            (Self::SELECT, _) => self.selected = low,
            (Self::WINDOW, Self::ID) => self.id = value & Self::ID_WRITABLE,
            (Self::WINDOW, _) => self.write_entry(value, &mut effects),
            (Self::EOI, _) if self.version == IoApicVersion::V20 => {
                effects.messages = self.eoi(low);
            }
            _ => {}
        }
        effects
    }

    const fn read_window(&self) -> u32 {
        match self.selected {
            // Arbitration follows the ID.
            Self::ID | Self::ARBITRATION => self.id,
            Self::VERSION => (Self::PINS as u32 - 1) << 16 | self.version.number(),
            _ => match self.selected_entry() {
                Some((pin, upper)) => {
                    let [a, b, c, d, e, f, g, h] = self.entries[pin as usize].bits().to_le_bytes();
                    u32::from_le_bytes(if upper { [e, f, g, h] } else { [a, b, c, d] })
                }
                None => u32::MAX,
            },
        }
    }

    /// The pin whose entry is selected, and whether it is the upper half.
    const fn selected_entry(&self) -> Option<(u8, bool)> {
        let Some(half) = self.selected.checked_sub(Self::FIRST_ENTRY) else {
            return None;
        };
        if half < 2 * Self::PINS { Some((half / 2, half % 2 != 0)) } else { None }
    }

    fn write_entry(&mut self, value: u32, effects: &mut IoApicEffects) {
        let Some((pin, upper)) = self.selected_entry() else {
            return;
        };
        let index = usize::from(pin);
        let before = self.entries[index];
        self.entries[index].write(upper, value);
        if self.entries[index].route() != before.route() {
            effects.rerouted = Some(pin);
        }
        if let Some(message) = self.service_level(index) {
            effects.messages.push(message);
        }
    }

    /// Sends the interrupt of a level that is active, not masked and not yet sent.
    fn service_level(&mut self, index: usize) -> Option<InterruptMessage> {
        let entry = &mut self.entries[index];
        let due = self.levels[index]
            && entry.trigger_mode() == TriggerMode::Level
            && !entry.is_masked()
            && !entry.remote_irr();
        if !due {
            return None;
        }
        entry.set_remote_irr(true);
        Some(entry.message())
    }
}
