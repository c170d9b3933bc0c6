//! What I/O APICs and processors send to local APICs.

/// How the interrupt is delivered, bits 10:8 of a redirection entry, of an MSI's data, and of a
/// local APIC's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct DeliveryMode(u8);

impl DeliveryMode {
    /// To all processors of the destination.
    pub const FIXED: Self = Self(0);
    /// To the processor of the destination that runs at the lowest priority.
    pub const LOWEST_PRIORITY: Self = Self(1);
    /// A system management interrupt.
    pub const SMI: Self = Self(2);
    /// A non-maskable interrupt.
    pub const NMI: Self = Self(4);
    /// INIT.
    pub const INIT: Self = Self(5);
    /// Start-up, from one processor to another: the vector is the page to start at.
    pub const STARTUP: Self = Self(6);
    /// The vector comes from the 8259A pair.
    pub const EXT_INT: Self = Self(7);

    /// A delivery mode by its three bits; others are dropped. 3 is reserved, and so is 6 but between
    /// processors.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        Self(bits & 7)
    }

    /// The three bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// What a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestinationMode {
    /// A local APIC's ID.
    Physical,
    /// A set of processors, as their logical destination registers say.
    Logical,
}

/// When an input interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TriggerMode {
    /// When it becomes active.
    Edge,
    /// While it is active, once until the end of the interrupt.
    Level,
}

/// The electrical level at which an input is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// Active high.
    High,
    /// Active low.
    Low,
}

/// An interrupt to deliver to local APICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the interrupt is lost if it is not delivered"]
pub struct InterruptMessage {
    /// The vector, of meaning with [`DeliveryMode::FIXED`] and [`DeliveryMode::LOWEST_PRIORITY`].
    pub vector: u8,
    /// How to deliver it.
    pub delivery_mode: DeliveryMode,
    /// Whom to deliver it to: eight bits from an I/O APIC or an xAPIC, 32 from an x2APIC, and
    /// [`InterruptMessage::EVERYONE`] where either sets them all.
    pub destination: u32,
    /// What `destination` is.
    pub destination_mode: DestinationMode,
    /// Whether its end must be told to [`IoApic::eoi`](crate::IoApic::eoi).
    pub trigger_mode: TriggerMode,
}

/// An interrupt as the write that a PCI device would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MsiMessage {
    /// The address written to, FEExxxxxh.
    pub address: u64,
    /// The value written.
    pub data: u32,
}

impl InterruptMessage {
    /// The destination that is every processor, physical or logical.
    pub const EVERYONE: u32 = u32::MAX;

    /// A destination of eight bits as one of 32.
    pub(crate) const fn widen_destination(destination: u8) -> u32 {
        if destination == u8::MAX { Self::EVERYONE } else { destination as u32 }
    }

    /// The same interrupt as an address and data. They have room for the destination's lower eight
    /// bits, which are all that an I/O APIC uses.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Message Signalled Interrupts".
    #[must_use]
    pub const fn to_msi(self) -> MsiMessage {
        const BASE: u64 = 0xFEE0_0000;
        const REDIRECTION_HINT: u64 = 1 << 3;
        const LOGICAL: u64 = 1 << 2;
        const ASSERT: u32 = 1 << 14;
        const LEVEL: u32 = 1 << 15;
        let hint = match self.delivery_mode {
            DeliveryMode::LOWEST_PRIORITY => REDIRECTION_HINT,
            _ => 0,
        };
        let logical = match self.destination_mode {
            DestinationMode::Physical => 0,
            DestinationMode::Logical => LOGICAL,
        };
        let trigger = match self.trigger_mode {
            TriggerMode::Edge => 0,
            TriggerMode::Level => LEVEL | ASSERT,
        };
        MsiMessage {
            address: BASE | (self.destination.to_le_bytes()[0] as u64) << 12 | hint | logical,
            data: trigger | (self.delivery_mode.bits() as u32) << 8 | self.vector as u32,
        }
    }
}
