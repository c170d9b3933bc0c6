//! What a local APIC refuses, and the errors that it records.

use thiserror::Error;

/// Why a write or read of an MSR or of CR8 is refused. Each is a general-protection fault, #GP(0),
/// that the guest receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum GeneralProtection {
    /// The local APIC has no such register in the mode it is in.
    #[error("no local APIC register at MSR {index:#x}")]
    NoRegister {
        /// The MSR's number.
        index: u32,
    },
    /// The register can't be written.
    #[error("local APIC register at MSR {index:#x} is read-only")]
    ReadOnly {
        /// The MSR's number.
        index: u32,
    },
    /// The register can't be read.
    #[error("local APIC register at MSR {index:#x} is write-only")]
    WriteOnly {
        /// The MSR's number.
        index: u32,
    },
    /// The value sets bits that must be zero.
    #[error("value {value:#x} has reserved bits {reserved:#x}")]
    ReservedBits {
        /// The value written.
        value: u64,
        /// Those of its bits that must be zero.
        reserved: u64,
    },
    /// `IA32_APIC_BASE` can't take the local APIC from the mode it is in to the one written.
    #[error("local APIC can't change its mode by writing {value:#x} over {current:#x}")]
    ModeChange {
        /// The value there.
        current: u64,
        /// The value written.
        value: u64,
    },
}

/// Refuses a value with bits outside of `allowed`.
pub(super) const fn check_reserved(value: u64, allowed: u64) -> Result<(), GeneralProtection> {
    match value & !allowed {
        0 => Ok(()),
        reserved => Err(GeneralProtection::ReservedBits { value, reserved }),
    }
}

/// The error status register and the errors that it will show next.
///
/// | bit | error |
/// |---|---|
/// | 5 | an illegal vector was to be sent |
/// | 6 | an illegal vector was received |
/// | 7 | a register was accessed that is not there |
///
/// # Source
/// Intel SDM Vol. 3A, "Error Handling".
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ErrorStatus {
    shown: u32,
    recorded: u32,
    /// Whether an interrupt told of what is recorded. A write to the register arms the next.
    told: bool,
}

impl ErrorStatus {
    pub(super) const SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
    pub(super) const RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
    pub(super) const ILLEGAL_REGISTER: u32 = 1 << 7;

    pub(super) const fn new() -> Self {
        Self { shown: 0, recorded: 0, told: false }
    }

    pub(super) const fn read(self) -> u32 {
        self.shown
    }

    /// Shows what was recorded since the last write.
    pub(super) const fn write(&mut self) {
        *self = Self { shown: self.recorded, ..Self::new() };
    }

    /// Records an error; whether its interrupt is due.
    pub(super) const fn record(&mut self, error: u32) -> bool {
        self.recorded |= error;
        let due = !self.told;
        self.told = true;
        due
    }
}
