//! Ports that only virtual machines have: text for the developer, and the end of a run.

/// A debug console port: 402h, where firmware looks for one, or E9h.
///
/// It reads as E9h, by which firmware knows that somebody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugPort;

impl DebugPort {
    /// What the port reads as.
    pub const SIGNATURE: u8 = 0xE9;

    /// A debug console port.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Reads the port: always [`DebugPort::SIGNATURE`].
    #[must_use]
    pub const fn read(&self) -> u8 {
        Self::SIGNATURE
    }

    /// Writes the port; the byte to show.
    #[must_use = "the byte is for the debug console"]
    pub const fn write(&self, value: u8) -> u8 {
        value
    }
}

/// The status with which a guest ends the program that runs it: always odd, so never success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the guest asked for the end of the run"]
pub struct ExitStatus(u8);

impl ExitStatus {
    /// The eight bits that a process can end with.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The debug exit port, F4h: a write of `v` ends the run with `(v << 1) | 1`.
///
/// A process ends with eight bits, so bit 7 of `v` is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugExit;

impl DebugExit {
    /// A debug exit port.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Reads the port: nothing answers.
    #[must_use]
    pub const fn read(&self) -> u8 {
        0xFF
    }

    /// Writes the port; the status to end the run with.
    pub const fn write(&self, value: u8) -> ExitStatus {
        ExitStatus((value << 1) | 1)
    }
}
