//! PCI interrupt lines: from a device's pin to a link, from a link to an IRQ.

use crate::Error;

/// IRQs that the PC's own devices have, which no link may share: 0, 1, 2, 8 and 13.
const FIXED_IRQS: u16 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 13;
/// A routing register that routes nowhere.
const UNROUTED: u8 = 0x80;

/// An interrupt pin of a PCI function.
///
/// # Source
/// PCI Local Bus Specification 3.0 §6.2.4, "Interrupt Pin".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterruptPin {
    /// INTA#, 1 in the register.
    A,
    /// INTB#, 2.
    B,
    /// INTC#, 3.
    C,
    /// INTD#, 4.
    D,
}

impl InterruptPin {
    /// All four, in order.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// Returns the pin that the register Interrupt Pin names; `None` for a function without one.
    #[must_use]
    pub const fn decode(register: u8) -> Option<Self> {
        match register {
            1 => Some(Self::A),
            2 => Some(Self::B),
            3 => Some(Self::C),
            4 => Some(Self::D),
            _ => None,
        }
    }

    /// Returns 0 for INTA# to 3 for INTD#.
    #[must_use]
    pub const fn index(self) -> u8 {
        match self {
            Self::A => 0,
            Self::B => 1,
            Self::C => 2,
            Self::D => 3,
        }
    }

    /// Returns the pin of a bridge that `device` on the bus behind it pulls by this pin.
    ///
    /// # Source
    /// PCI-to-PCI Bridge Architecture Specification 1.2 §9.1, "Interrupt Routing".
    #[must_use]
    pub const fn through_bridge(self, device: u8) -> Self {
        match (self.index() + (device & 3)) & 3 {
            0 => Self::A,
            1 => Self::B,
            2 => Self::C,
            _ => Self::D,
        }
    }
}

/// The four links of a PC's PCI bus, PIRQA to PIRQD, and the IRQ of each.
///
/// Pins are wired to links so that neighbours differ, like the stripes of a barber's pole: link
/// `(device + pin + offset) mod 4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PirqRouting {
    irqs: [Option<u8>; 4],
    offset: u8,
}

impl PirqRouting {
    /// hvmloader's IRQs: 5, 10 and 11, as bits.
    pub const XEN_IRQS: u16 = 0x0C20;
    /// INTA# of device 0 is on PIRQA: Xen's platform.
    pub const XEN_OFFSET: u8 = 0;
    /// INTA# of device 1 is on PIRQA: QEMU's platform with the 440FX.
    pub const I440FX_OFFSET: u8 = 3;

    /// Makes a routing of four IRQs; a link without one is not routed.
    ///
    /// # Errors
    /// [`Error::PciIrq`] for one above 15, or that the PC needs itself: 0, 1, 2, 8 or 13.
    pub fn new(irqs: [Option<u8>; 4], offset: u8) -> Result<Self, Error> {
        for irq in irqs.into_iter().flatten() {
            if irq > 15 || 1 << irq & FIXED_IRQS != 0 {
                return Err(Error::PciIrq { irq });
            }
        }
        Ok(Self { irqs, offset })
    }

    /// Deals the IRQs whose bits are set in `allowed` to the links in turn.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn deal(allowed: u16, offset: u8) -> Result<Self, Error> {
        let mut turn = (0..16).filter(|irq| allowed >> irq & 1 == 1).cycle();
        Self::new(core::array::from_fn(|_| turn.next()), offset)
    }

    /// Returns the number of the link, 0 for PIRQA, that a device's pin is wired to.
    #[must_use]
    pub const fn link(&self, device: u8, pin: InterruptPin) -> u8 {
        ((device & 3) + pin.index() + (self.offset & 3)) & 3
    }

    /// Returns the IRQ of a device's pin: what its register Interrupt Line is to hold.
    #[must_use]
    pub const fn irq(&self, device: u8, pin: InterruptPin) -> Option<u8> {
        self.irqs[self.link(device, pin) as usize]
    }

    /// Returns the registers PIRQRC\[A:D\] of a PIIX3 or PIIX4, at 60h to 63h.
    ///
    /// # Source
    /// Intel 82371SB (PIIX3), "PIRQRC\[A:D\]—PIRQX Route Control Registers".
    #[must_use]
    pub fn route_control(&self) -> [u8; 4] {
        self.irqs.map(|irq| irq.unwrap_or(UNROUTED))
    }

    /// Returns the IRQs that are level-triggered, as bits: the low byte is for port 4D0h, the high
    /// one for 4D1h.
    ///
    /// # Source
    /// Intel 82371SB (PIIX3), "ELCR1—Edge/Level Triggered Register", "ELCR2".
    #[must_use]
    pub fn elcr(&self) -> u16 {
        self.irqs.into_iter().flatten().fold(0, |bits, irq| bits | 1 << irq)
    }
}
