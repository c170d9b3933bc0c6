//! What a reset is, and the reset control register at port CF9h.

/// A reset that the guest asks for.
///
/// The chipset only reports the wish; what is reset, and how, is for the machine to say. Some
/// machines treat every kind as [`Reset::Hard`], as guests of virtual machines have come to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a reset happens only if the machine carries it out"]
pub enum Reset {
    /// INIT: the processors alone start again; memory and devices stay as they are.
    Init,
    /// The processors and all devices; memory keeps its content.
    Hard,
    /// Power off and on again.
    PowerCycle,
}

/// The reset control register, port CF9h.
///
/// | bit | meaning |
/// |---|---|
/// | 1 | the kind of reset: 0 INIT, 1 hard |
/// | 2 | a change from 0 to 1 resets |
/// | 3 | with a hard reset: switch the power off and on |
///
/// Port CF9h lies within the PCI configuration address at CF8h: byte accesses are this register,
/// accesses of four bytes are [`ConfigAddress`](crate::ConfigAddress).
///
/// # Source
/// Intel 82371SB (PIIX3), "RC - Reset Control Register"; bit 3 from the ICH's "RST_CNT - Reset
/// Control Register".
#[derive(Clone, Debug, Default)]
pub struct ResetControl {
    value: u8,
}

impl ResetControl {
    const HARD: u8 = 1 << 1;
    const TRIGGER: u8 = 1 << 2;
    const POWER_CYCLE: u8 = 1 << 3;
    const WRITABLE: u8 = Self::HARD | Self::TRIGGER | Self::POWER_CYCLE;

    /// The register at power-on.
    #[must_use]
    pub const fn new() -> Self {
        Self { value: 0 }
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads the register.
    #[must_use]
    pub const fn read(&self) -> u8 {
        self.value
    }

    /// Writes the register; the reset asked for, if this write asks for one.
    #[must_use = "a reset happens only if the machine carries it out"]
    pub const fn write(&mut self, value: u8) -> Option<Reset> {
        let rising = value & !self.value & Self::TRIGGER != 0;
        self.value = value & Self::WRITABLE;
        if !rising {
            None
        } else if value & Self::HARD == 0 {
            Some(Reset::Init)
        } else if value & Self::POWER_CYCLE == 0 {
            Some(Reset::Hard)
        } else {
            Some(Reset::PowerCycle)
        }
    }
}
