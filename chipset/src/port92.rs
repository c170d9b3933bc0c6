//! System control port A at port 92h.

use crate::Reset;

/// System control port A, port 92h: the fast A20 gate and the fast INIT.
///
/// | bit | meaning |
/// |---|---|
/// | 0 | a change from 0 to 1 is an INIT |
/// | 1 | fast A20 gate; address line 20 is free if this or [`I8042::a20`](crate::I8042::a20) is set |
/// | 2, 5 | read as one |
///
/// # Source
/// Intel 82371SB (PIIX3), "Port 92 Register".
#[derive(Clone, Debug, Default)]
pub struct Port92 {
    value: u8,
}

impl Port92 {
    const INIT: u8 = 1 << 0;
    const A20: u8 = 1 << 1;
    const ALWAYS_SET: u8 = 0x24;

    /// The port at power-on, its A20 gate closed.
    #[must_use]
    pub const fn new() -> Self {
        Self { value: 0 }
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads the port.
    #[must_use]
    pub const fn read(&self) -> u8 {
        self.value | Self::ALWAYS_SET
    }

    /// Writes the port; the reset asked for, if this write asks for one.
    #[must_use = "a reset happens only if the machine carries it out"]
    pub const fn write(&mut self, value: u8) -> Option<Reset> {
        let rising = value & !self.value & Self::INIT != 0;
        self.value = value & (Self::INIT | Self::A20);
        if rising { Some(Reset::Init) } else { None }
    }

    /// Whether this port frees address line 20.
    #[must_use]
    pub const fn a20(&self) -> bool {
        self.value & Self::A20 != 0
    }
}
