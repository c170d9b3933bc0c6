//! The host bridge of the 440FX, function 00:00.0.

use super::{
    ConfigSpace, INTEL, PamAccess, PamRange, PamRanges, PciIdentity, QEMU_SUBSYSTEM, header,
};

/// The system management RAM register, 72h: who sees memory at A0000h to BFFFFh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Smram(u8);

impl Smram {
    const GLOBAL_ENABLE: u8 = 1 << 3;
    const LOCKED: u8 = 1 << 4;
    const CLOSED: u8 = 1 << 5;
    const OPEN: u8 = 1 << 6;
    /// C_BASE_SEG, the only base there is: A0000h.
    const BASE_SEGMENT: u8 = 0b010;

    /// Whether there is SMRAM at all.
    #[must_use]
    pub const fn is_enabled(self) -> bool {
        self.0 & Self::GLOBAL_ENABLE != 0
    }

    /// Whether memory shows outside of system management mode, too.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.is_enabled() && self.0 & Self::OPEN != 0
    }

    /// Whether data accesses go to the PCI bus even in system management mode.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    /// Whether SMRAM can no longer be opened until a reset.
    #[must_use]
    pub const fn is_locked(self) -> bool {
        self.0 & Self::LOCKED != 0
    }
}

/// The 440FX host bridge, 8086:1237 at 00:00.0, with its programmable attribute map.
///
/// It claims no memory and no ports: its base address registers are zero and stay so. Its subsystem
/// 1AF4:1100 tells SeaBIOS to look for firmware configuration.
///
/// # Examples
/// ```
/// # use chipset::{I440fx, PamAccess, PamRange};
/// let mut bridge = I440fx::new();
/// assert_eq!(bridge.pam(PamRange::FIRMWARE), PamAccess::empty()); // ROM
///
/// let changed = bridge.write(0x59, 0x30);
/// assert!(changed.iter().eq([PamRange::FIRMWARE]));
/// assert_eq!(bridge.pam(PamRange::FIRMWARE), PamAccess::READ | PamAccess::WRITE);
/// ```
///
/// # Source
/// Intel 82441FX (290549), "PAM - Programmable Attribute Map Registers" and "SMRAM - System
/// Management RAM Control Register".
#[derive(Clone, Debug)]
pub struct I440fx {
    config: ConfigSpace,
}

impl Default for I440fx {
    fn default() -> Self {
        Self::new()
    }
}

impl I440fx {
    const PAM_FIRST: u8 = 0x59;
    const PAM_LAST: u8 = 0x5F;
    const SMRAM: u8 = 0x72;

    /// The bridge at power-on.
    #[must_use]
    pub const fn new() -> Self {
        let identity = PciIdentity {
            vendor: INTEL,
            device: 0x1237,
            revision: 2,
            class: [0x06, 0x00, 0x00],
            subsystem: QEMU_SUBSYSTEM,
            multifunction: false,
        };
        let mut config = ConfigSpace::new(identity)
            // Memory and bus master always on; parity and system errors for software to choose.
            .with_register(header::COMMAND, 0x06, 0x40)
            .with_register(header::COMMAND + 1, 0x00, 0x01)
            .with_u16(header::STATUS, 0x0280)
            .with_clearable(header::STATUS + 1, 0xF9)
            .with_register(header::LATENCY_TIMER, 0x00, 0xF8)
            .with_register(Self::PAM_FIRST, 0x00, 0x30)
            .with_register(
                Self::SMRAM,
                Smram::BASE_SEGMENT,
                Smram::GLOBAL_ENABLE | Smram::LOCKED | Smram::CLOSED | Smram::OPEN,
            );
        let mut register = Self::PAM_FIRST + 1;
        while register <= Self::PAM_LAST {
            config = config.with_register(register, 0x00, 0x33);
            register += 1;
        }
        Self { config }
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads a configuration register.
    #[must_use]
    pub const fn read(&self, register: u8) -> u8 {
        self.config.read(register)
    }

    /// Writes a configuration register; the ranges whose [`pam`](Self::pam) changed.
    pub fn write(&mut self, register: u8, value: u8) -> PamRanges {
        let before = self.config.read(register);
        if register == Self::SMRAM {
            self.write_smram(Smram(before), value);
            return PamRanges::EMPTY;
        }
        self.config.write(register, value);
        let changed = before ^ self.config.read(register);
        PamRange::all()
            .filter(|range| {
                let (field_register, shift) = range.field();
                field_register == register && (changed >> shift) & 0xF != 0
            })
            .collect()
    }

    /// Where accesses to a range go.
    #[must_use]
    pub fn pam(&self, range: PamRange) -> PamAccess {
        let (register, shift) = range.field();
        PamAccess::from_bits_truncate(self.config.read(register) >> shift)
    }

    /// The system management RAM register.
    #[must_use]
    pub const fn smram(&self) -> Smram {
        Smram(self.config.read(Self::SMRAM))
    }

    const fn write_smram(&mut self, before: Smram, value: u8) {
        // Locking closes, and lasts until a reset.
        let locked = (before.0 | value) & Smram::LOCKED;
        let open = if locked == 0 { value & Smram::OPEN } else { 0 };
        self.config.write(Self::SMRAM, value & !Smram::OPEN | open | locked);
    }
}
