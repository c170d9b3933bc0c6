//! The interrupt command register: interrupts from one processor to others.

use super::LocalApic;
use crate::{DeliveryMode, DestinationMode, InterruptMessage, TriggerMode};

/// Whom an interprocessor interrupt is for, if not the message's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shorthand {
    /// The destination decides.
    Destination,
    /// The sender alone.
    SelfOnly,
    /// All, the sender too.
    All,
    /// All but the sender.
    AllButSelf,
}

/// An interprocessor interrupt to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the interrupt is lost if it is not delivered"]
pub struct Ipi {
    /// What to deliver.
    pub message: InterruptMessage,
    /// Whom to deliver it to.
    pub shorthand: Shorthand,
}

impl Ipi {
    /// Tells whether the interrupt is for a processor, by its local APIC and by whether it is the
    /// sender.
    ///
    /// Of the processors that a [`DeliveryMode::LOWEST_PRIORITY`] is for,
    /// [`lowest_priority`](super::lowest_priority) chooses one.
    #[must_use]
    pub fn is_for(&self, apic: &LocalApic, is_sender: bool) -> bool {
        match self.shorthand {
            Shorthand::Destination => apic.matches(&self.message),
            Shorthand::SelfOnly => is_sender,
            Shorthand::All => apic.mode() != super::ApicMode::Disabled,
            Shorthand::AllButSelf => !is_sender && apic.mode() != super::ApicMode::Disabled,
        }
    }
}

/// The interrupt command register.
///
/// | bits | meaning |
/// |---|---|
/// | 7:0 | vector |
/// | 10:8 | delivery mode |
/// | 11 | destination mode, 1 logical |
/// | 12 | delivery status, always idle here (xAPIC) |
/// | 14 | level: 0 de-asserts INIT |
/// | 15 | trigger mode: 1 with the above |
/// | 19:18 | shorthand |
/// | 63:56 or 63:32 | destination, of an xAPIC or x2APIC |
///
/// # Source
/// Intel SDM Vol. 3A, "Interrupt Command Register (ICR)" and "ICR Operation in x2APIC Mode".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InterruptCommand(u64);

impl InterruptCommand {
    const LOW: u64 = 0x000C_CFFF;
    const STATUS: u64 = 1 << 12;
    const LEVEL: u64 = 1 << 14;
    const TRIGGER_LEVEL: u64 = 1 << 15;

    /// What may be set in x2APIC mode. The delivery status is gone from it, but CPUs take it.
    pub(super) const X2APIC_DEFINED: u64 = 0xFFFF_FFFF_0000_0000 | Self::LOW | Self::STATUS;

    pub(super) const fn new() -> Self {
        Self(0)
    }

    /// The command of these bits; those that have no meaning are dropped.
    pub(super) const fn of(bits: u64) -> Self {
        Self(bits & !(0xFFFF_FFFF & !Self::LOW))
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn halves(self) -> (u32, u32) {
        let [a, b, c, d, e, f, g, h] = self.0.to_le_bytes();
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }

    pub(super) const fn set(&mut self, value: u64) {
        *self = Self::of(value);
    }

    pub(super) const fn set_low(&mut self, value: u32) {
        self.set(self.0 & !0xFFFF_FFFF | value as u64);
    }

    /// Sets the upper half of an xAPIC's register: eight bits of destination.
    pub(super) const fn set_high(&mut self, value: u32) {
        self.set(self.0 & 0xFFFF_FFFF | ((value & 0xFF00_0000) as u64) << 32);
    }

    /// What the register asks to send, whatever its vector; nothing where it says what has no
    /// meaning: a reserved delivery mode, or the de-assertion of INIT.
    pub(super) fn ipi(self, is_x2apic: bool) -> Option<Ipi> {
        let [vector, mode, bits16, _, rest @ ..] = self.0.to_le_bytes();
        let delivery_mode = DeliveryMode::new(mode);
        let de_asserts = self.0 & Self::LEVEL == 0 && self.0 & Self::TRIGGER_LEVEL != 0;
        match delivery_mode {
            DeliveryMode::INIT if de_asserts => return None,
            DeliveryMode::FIXED
            | DeliveryMode::LOWEST_PRIORITY
            | DeliveryMode::SMI
            | DeliveryMode::NMI
            | DeliveryMode::INIT
            | DeliveryMode::STARTUP => {}
            _ => return None,
        }
        let destination = if is_x2apic {
            u32::from_le_bytes(rest)
        } else {
            InterruptMessage::widen_destination(rest[3])
        };
        let destination_mode = if self.0 & 1 << 11 == 0 {
            DestinationMode::Physical
        } else {
            DestinationMode::Logical
        };
        let shorthand = match bits16 >> 2 & 3 {
            0 => Shorthand::Destination,
            1 => Shorthand::SelfOnly,
            2 => Shorthand::All,
            _ => Shorthand::AllButSelf,
        };
        let message = InterruptMessage {
            vector,
            delivery_mode,
            destination,
            destination_mode,
            // Processors have sent nothing but edges since the Pentium 4.
            trigger_mode: TriggerMode::Edge,
        };
        Some(Ipi { message, shorthand })
    }
}
