//! Events into the guest: what to inject, what to wait for, and what an exit cut short.

mod double_fault;
mod plan;

pub use double_fault::{AfterFault, after_fault};
pub use plan::{EventPlan, PendingEvents};

use crate::access::VmcsAccess;
use crate::{
    BasicReason, EventKind, ExitReason, Interruptibility, InterruptionInfo, PinBasedControls,
    VmFail, field,
};

/// An event for the guest.
///
/// # Source
/// Intel SDM Vol. 3C, "VM-Entry Controls for Event Injection".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// An interrupt from an interrupt controller.
    ExternalInterrupt {
        /// The vector.
        vector: u8,
    },
    /// A non-maskable interrupt.
    Nmi,
    /// A hardware exception.
    Exception {
        /// The vector, at most 31.
        vector: u8,
        /// The error code, for exceptions that have one. A guest in real mode gets none.
        error_code: Option<u32>,
    },
    /// INT n.
    SoftwareInterrupt {
        /// The vector.
        vector: u8,
        /// The length of the instruction in bytes.
        length: u8,
    },
    /// INT1.
    PrivilegedSoftwareException {
        /// The length of the instruction in bytes.
        length: u8,
    },
    /// INT3 or INTO.
    SoftwareException {
        /// 3 or 4.
        vector: u8,
        /// The length of the instruction in bytes.
        length: u8,
    },
}

impl Event {
    /// #DF, with its error code 0.
    pub const DOUBLE_FAULT: Self = Self::exception_with(8, 0);
    /// #UD.
    pub const INVALID_OPCODE: Self = Self::exception(6);
    /// #GP(0).
    pub const GENERAL_PROTECTION: Self = Self::exception_with(13, 0);

    /// Makes a hardware exception without an error code.
    #[must_use]
    pub const fn exception(vector: u8) -> Self {
        Self::Exception { vector, error_code: None }
    }

    /// Makes a hardware exception with an error code.
    #[must_use]
    pub const fn exception_with(vector: u8, error_code: u32) -> Self {
        Self::Exception { vector, error_code: Some(error_code) }
    }

    /// Makes an event of its description, error code and instruction length; `None` for a
    /// description that is not valid or of a kind that cannot be injected.
    #[must_use]
    pub const fn decode(info: InterruptionInfo, error_code: u32, length: u8) -> Option<Self> {
        if !info.is_valid() {
            return None;
        }
        let vector = info.vector();
        Some(match info.kind() {
            EventKind::ExternalInterrupt => Self::ExternalInterrupt { vector },
            EventKind::Nmi => Self::Nmi,
            EventKind::HardwareException => Self::Exception {
                vector,
                error_code: if info.has_error_code() { Some(error_code) } else { None },
            },
            EventKind::SoftwareInterrupt => Self::SoftwareInterrupt { vector, length },
            EventKind::PrivilegedSoftwareException => Self::PrivilegedSoftwareException { length },
            EventKind::SoftwareException => Self::SoftwareException { vector, length },
            EventKind::Reserved | EventKind::Other => return None,
        })
    }

    /// Returns the description for an entry into a guest whose CR0.PE is `protected`.
    ///
    /// In real mode no exception has an error code.
    #[must_use]
    pub const fn info(self, protected: bool) -> InterruptionInfo {
        match self {
            Self::ExternalInterrupt { vector } => {
                InterruptionInfo::new(EventKind::ExternalInterrupt, vector)
            }
            Self::Nmi => InterruptionInfo::new(EventKind::Nmi, 2),
            Self::Exception { vector, error_code } => {
                let info = InterruptionInfo::new(EventKind::HardwareException, vector);
                if error_code.is_some() && protected { info.with_error_code() } else { info }
            }
            Self::SoftwareInterrupt { vector, .. } => {
                InterruptionInfo::new(EventKind::SoftwareInterrupt, vector)
            }
            Self::PrivilegedSoftwareException { .. } => {
                InterruptionInfo::new(EventKind::PrivilegedSoftwareException, 1)
            }
            Self::SoftwareException { vector, .. } => {
                InterruptionInfo::new(EventKind::SoftwareException, vector)
            }
        }
    }

    /// Returns the length of the instruction that raised the event, if one did.
    #[must_use]
    pub const fn instruction_length(self) -> Option<u8> {
        match self {
            Self::SoftwareInterrupt { length, .. }
            | Self::PrivilegedSoftwareException { length }
            | Self::SoftwareException { length, .. } => Some(length),
            Self::ExternalInterrupt { .. } | Self::Nmi | Self::Exception { .. } => None,
        }
    }

    /// Returns the error code, if there is one.
    #[must_use]
    pub const fn error_code(self) -> Option<u32> {
        match self {
            Self::Exception { error_code, .. } => error_code,
            _ => None,
        }
    }
}

/// Returns the event whose delivery the exit cut short, if there is one: it must be injected again,
/// or the guest loses it.
///
/// # Errors
/// As [`VmcsAccess::read`].
///
/// # Source
/// Intel SDM Vol. 3C, "Information for VM Exits That Occur During Event Delivery".
pub fn interrupted_event(vmcs: &impl VmcsAccess) -> Result<Option<Event>, VmFail> {
    let info = InterruptionInfo(vmcs.read(field::IDT_VECTORING_INFO)?);
    if !info.is_valid() {
        return Ok(None);
    }
    let error_code = match info.has_error_code() {
        true => vmcs.read(field::IDT_VECTORING_ERROR_CODE)?,
        false => 0,
    };
    let length = match info.kind().is_software() {
        true => vmcs.read(field::EXIT_INSTRUCTION_LENGTH)?,
        false => 0,
    };
    let [length, ..] = length.to_le_bytes();
    Ok(Event::decode(info, error_code, length))
}

/// Sets blocking by NMI again where the exit says that an IRET ended it just before: the IRET will
/// be executed again, and until then no NMI may come. To be called on each exit of a guest with
/// virtual NMIs, or whose NMIs the hypervisor injects.
///
/// # Errors
/// As [`VmcsAccess::read`] and [`VmcsAccess::write`].
///
/// # Source
/// Intel SDM Vol. 3C, "Information About NMI Unblocking Due to IRET".
pub fn restore_nmi_blocking(vmcs: &mut impl VmcsAccess) -> Result<(), VmFail> {
    const DOUBLE_FAULT: u8 = 8;
    let reason = ExitReason(vmcs.read(field::EXIT_REASON)?).basic();
    let unblocked = match reason {
        BasicReason::EXCEPTION_OR_NMI => {
            let event = InterruptionInfo(vmcs.read(field::EXIT_INTERRUPTION_INFO)?);
            event.is(EventKind::HardwareException)
                && event.vector() != DOUBLE_FAULT
                && event.nmi_unblocked_by_iret()
        }
        BasicReason::EPT_VIOLATION
        | BasicReason::PML_FULL
        | BasicReason::SPP
        | BasicReason::INSTRUCTION_TIMEOUT => vmcs.read(field::EXIT_QUALIFICATION)? & 1 << 12 != 0,
        _ => false,
    };
    // While an event is delivered the bit means nothing.
    if !unblocked || InterruptionInfo(vmcs.read(field::IDT_VECTORING_INFO)?).is_valid() {
        return Ok(());
    }
    let state = vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE)?;
    let state = Interruptibility::from_bits_retain(state) | Interruptibility::BLOCKING_BY_NMI;
    vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, state.bits())
}

/// Tells whether the pin-based controls give the guest virtual NMIs.
pub(crate) fn has_virtual_nmis(vmcs: &impl VmcsAccess) -> Result<bool, VmFail> {
    let controls = PinBasedControls::from_bits_retain(vmcs.read(field::PIN_BASED_CONTROLS)?);
    Ok(controls.contains(PinBasedControls::VIRTUAL_NMIS))
}
