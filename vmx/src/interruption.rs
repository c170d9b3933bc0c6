//! The format in which the VMCS describes events.

use core::fmt;

/// What kind of event it is: bits 10:8.
///
/// # Source
/// Intel SDM Vol. 3C, "VM-Entry Controls for Event Injection".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// An interrupt from an interrupt controller.
    ExternalInterrupt = 0,
    /// Not used by any event.
    Reserved = 1,
    /// A non-maskable interrupt.
    Nmi = 2,
    /// A hardware exception, #PF for example.
    HardwareException = 3,
    /// INT n.
    SoftwareInterrupt = 4,
    /// INT1.
    PrivilegedSoftwareException = 5,
    /// INT3 or INTO.
    SoftwareException = 6,
    /// SYSCALL and SYSENTER of a FRED guest; at an entry with vector 0, a pending MTF exit.
    Other = 7,
}

impl EventKind {
    /// Tells whether an instruction raised the event on purpose, so that its length matters.
    #[must_use]
    pub const fn is_software(self) -> bool {
        matches!(
            self,
            Self::SoftwareInterrupt | Self::PrivilegedSoftwareException | Self::SoftwareException
        )
    }
}

/// The description of an event: of the one to inject, of the one that exited, or of the one whose
/// delivery an exit cut short.
///
/// | bits | meaning |
/// |---|---|
/// | 7:0 | vector |
/// | 10:8 | kind |
/// | 11 | there is an error code |
/// | 12 | at an exit: an IRET had ended blocking by NMI |
/// | 13 | nested exception (FRED) |
/// | 31 | valid |
///
/// # Source
/// Intel SDM Vol. 3C, "VM-Entry Controls for Event Injection", "Information for VM Exits Due to
/// Vectored Events" and "Information for VM Exits That Occur During Event Delivery".
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct InterruptionInfo(pub u32);

impl InterruptionInfo {
    /// There is no event.
    pub const NONE: Self = Self(0);

    /// Makes a valid description without an error code.
    #[must_use]
    pub const fn new(kind: EventKind, vector: u8) -> Self {
        Self(1 << 31 | (kind as u32) << 8 | vector as u32)
    }

    /// Says that there is an error code.
    #[must_use]
    pub const fn with_error_code(self) -> Self {
        Self(self.0 | 1 << 11)
    }

    /// Tells whether there is an event at all; all else means nothing if not.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 & 1 << 31 != 0
    }

    /// Returns the vector.
    #[must_use]
    pub const fn vector(self) -> u8 {
        let [vector, ..] = self.0.to_le_bytes();
        vector
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(self) -> EventKind {
        match self.0 >> 8 & 7 {
            0 => EventKind::ExternalInterrupt,
            1 => EventKind::Reserved,
            2 => EventKind::Nmi,
            3 => EventKind::HardwareException,
            4 => EventKind::SoftwareInterrupt,
            5 => EventKind::PrivilegedSoftwareException,
            6 => EventKind::SoftwareException,
            _ => EventKind::Other,
        }
    }

    /// Tells whether there is an error code.
    #[must_use]
    pub const fn has_error_code(self) -> bool {
        self.0 & 1 << 11 != 0
    }

    /// Tells whether the event came after an IRET that had ended blocking by NMI.
    #[must_use]
    pub const fn nmi_unblocked_by_iret(self) -> bool {
        self.0 & 1 << 12 != 0
    }

    /// Tells whether this is a valid event of `kind`.
    #[must_use]
    pub const fn is(self, kind: EventKind) -> bool {
        self.is_valid() && self.0 >> 8 & 7 == kind as u32
    }
}

impl fmt::Debug for InterruptionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_valid() {
            return write!(f, "InterruptionInfo({:#x}, not valid)", self.0);
        }
        write!(f, "InterruptionInfo({:#x}, {:?} {})", self.0, self.kind(), self.vector())
    }
}
