//! The keyboard controller at ports 60h and 64h.

mod keyboard;

use bitflags::bitflags;

use crate::{Nanos, Reset};
use keyboard::Keyboard;

bitflags! {
    /// The controller's configuration byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Config: u8 {
        const KEYBOARD_INTERRUPT = 1 << 0;
        const AUXILIARY_INTERRUPT = 1 << 1;
        const SYSTEM_FLAG = 1 << 2;
        const KEYBOARD_DISABLED = 1 << 4;
        const AUXILIARY_DISABLED = 1 << 5;
        const TRANSLATE = 1 << 6;
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Status: u8 {
        const OUTPUT_FULL = 1 << 0;
        const SYSTEM_FLAG = 1 << 2;
        const LAST_WRITE_WAS_COMMAND = 1 << 3;
        const NOT_INHIBITED = 1 << 4;
    }

    /// The controller's output port, lines and not an I/O port.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct OutputPort: u8 {
        const NOT_RESET = 1 << 0;
        const A20 = 1 << 1;
        const KEYBOARD_INTERRUPT = 1 << 4;
        /// The idle keyboard's clock and data.
        const KEYBOARD_LINES = 0b11 << 6;
    }
}

/// What the next byte written to the data port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataFor {
    Keyboard,
    Config,
    OutputPort,
    /// To come back as if the keyboard had sent it.
    OutputBuffer,
    /// A device on the auxiliary port, where there is none.
    Auxiliary,
    /// A byte of the controller's memory that means nothing here.
    Nothing,
}

/// A byte in the output buffer, with where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Empty,
    Answer(u8),
    Key(u8),
}

/// An 8042 keyboard controller with a keyboard whose keys nobody presses, and no mouse.
///
/// | offset | port | read | write |
/// |---|---|---|---|
/// | [`DATA`](Self::DATA) | 60h | output buffer | byte for the keyboard, or a command's argument |
/// | [`STATUS`](Self::STATUS) | 64h | status | command |
///
/// The keyboard answers its commands, so that drivers find one at once instead of waiting for time
/// to run out. It sends 20 µs after its last byte was read: IRQ 1 is an edge, and needs a moment in
/// between for the next byte to make one.
///
/// At power-on address line 20 is free, the keyboard interrupts and its codes are translated: a
/// guest that starts without firmware finds what firmware would have left.
///
/// # Source
/// IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller" and
/// "Keyboards (101- and 102-Key)".
#[derive(Clone, Debug)]
pub struct I8042 {
    config: Config,
    output_port: OutputPort,
    output: Output,
    /// An answer that waits until the guest has read the keyboard's byte.
    answer: Option<u8>,
    data_for: DataFor,
    last_write_was_command: bool,
    keyboard: Keyboard,
    /// When the keyboard may send again.
    keyboard_ready: Nanos,
}

impl Default for I8042 {
    fn default() -> Self {
        Self::new()
    }
}

impl I8042 {
    /// Offset of the data port from port 60h.
    pub const DATA: u8 = 0;
    /// Offset of the status and command port from port 60h.
    pub const STATUS: u8 = 4;

    /// What the controller says instead of a device that does not answer.
    const NO_ANSWER: u8 = 0xFE;
    /// The interval between two bytes of the keyboard.
    const BYTE_TIME: Nanos = Nanos::from_micros(20);

    /// A controller and keyboard at power-on.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            config: Config::KEYBOARD_INTERRUPT.union(Config::TRANSLATE),
            output_port: OutputPort::NOT_RESET
                .union(OutputPort::A20)
                .union(OutputPort::KEYBOARD_LINES),
            output: Output::Empty,
            answer: None,
            data_for: DataFor::Keyboard,
            last_write_was_command: false,
            keyboard: Keyboard::new(),
            keyboard_ready: Nanos::ZERO,
        }
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// The keyboard's interrupt, IRQ 1.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.output != Output::Empty && self.config.contains(Config::KEYBOARD_INTERRUPT)
    }

    /// Whether the controller frees address line 20; [`Port92::a20`](crate::Port92::a20) may do so
    /// too.
    #[must_use]
    pub const fn a20(&self) -> bool {
        self.output_port.contains(OutputPort::A20)
    }

    /// The moment at which the keyboard sends its next byte.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        (self.output == Output::Empty && self.keyboard_can_send()).then_some(self.keyboard_ready)
    }

    /// Brings the controller up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if self.output != Output::Empty {
            return;
        }
        if let Some(byte) = self.answer.take() {
            self.output = Output::Answer(byte);
        } else if self.keyboard_can_send()
            && now >= self.keyboard_ready
            && let Some(byte) = self.keyboard.send()
        {
            let translate = self.config.contains(Config::TRANSLATE);
            self.output = Output::Key(if translate { keyboard::translate(byte) } else { byte });
        }
    }

    /// Reads a port, given as its offset from port 60h; others read as all ones.
    #[must_use]
    pub fn read(&mut self, offset: u8, now: Nanos) -> u8 {
        self.advance(now);
        match offset {
            Self::DATA => self.read_data(now),
            Self::STATUS => self.status().bits(),
            _ => 0xFF,
        }
    }

    /// Writes a port, given as its offset from port 60h; the reset asked for, if this write asks for
    /// one.
    #[must_use = "a reset happens only if the machine carries it out"]
    pub fn write(&mut self, offset: u8, value: u8, now: Nanos) -> Option<Reset> {
        self.advance(now);
        let reset = match offset {
            Self::DATA => {
                self.last_write_was_command = false;
                self.write_data(value)
            }
            Self::STATUS => {
                self.last_write_was_command = true;
                self.command(value)
            }
            _ => None,
        };
        self.advance(now);
        reset
    }

    const fn keyboard_can_send(&self) -> bool {
        self.keyboard.has_byte() && !self.config.contains(Config::KEYBOARD_DISABLED)
    }

    fn status(&self) -> Status {
        let mut status = Status::NOT_INHIBITED;
        status.set(Status::OUTPUT_FULL, self.output != Output::Empty);
        status.set(Status::SYSTEM_FLAG, self.config.contains(Config::SYSTEM_FLAG));
        status.set(Status::LAST_WRITE_WAS_COMMAND, self.last_write_was_command);
        status
    }

    fn read_data(&mut self, now: Nanos) -> u8 {
        match core::mem::replace(&mut self.output, Output::Empty) {
            Output::Empty => 0,
            Output::Answer(byte) | Output::Key(byte) => {
                self.keyboard_ready = now.saturating_add(Self::BYTE_TIME);
                byte
            }
        }
    }

    fn write_data(&mut self, value: u8) -> Option<Reset> {
        match core::mem::replace(&mut self.data_for, DataFor::Keyboard) {
            DataFor::Keyboard => {
                // Talking to the keyboard needs its clock, so it is enabled again.
                self.config -= Config::KEYBOARD_DISABLED;
                self.keyboard.receive(value);
            }
            DataFor::Config => self.config = Config::from_bits_truncate(value),
            DataFor::OutputPort => {
                let lines = OutputPort::from_bits_truncate(value);
                self.output_port.set(OutputPort::A20, lines.contains(OutputPort::A20));
                if !lines.contains(OutputPort::NOT_RESET) {
                    return Some(Reset::Init);
                }
            }
            DataFor::OutputBuffer => self.answer(value),
            DataFor::Auxiliary => self.answer(Self::NO_ANSWER),
            DataFor::Nothing => {}
        }
        None
    }

    fn command(&mut self, command: u8) -> Option<Reset> {
        self.data_for = DataFor::Keyboard;
        match command {
            0x20 => self.answer(self.config.bits()),
            0x21..=0x3F => self.answer(0),
            0x60 => self.data_for = DataFor::Config,
            0x61..=0x7F => self.data_for = DataFor::Nothing,
            0xA7 => self.config |= Config::AUXILIARY_DISABLED,
            0xA8 => self.config -= Config::AUXILIARY_DISABLED,
            // The auxiliary port's test: its clock is stuck, which rules out a mouse.
            0xA9 => self.answer(0x01),
            0xAA => {
                self.config |= Config::SYSTEM_FLAG;
                self.answer(0x55);
            }
            0xAB => self.answer(0x00),
            0xAD => self.config |= Config::KEYBOARD_DISABLED,
            0xAE => self.config -= Config::KEYBOARD_DISABLED,
            // The input port: the keyboard lock is open.
            0xC0 => self.answer(0x80),
            0xD0 => self.answer(self.read_output_port()),
            0xD1 => self.data_for = DataFor::OutputPort,
            0xD2 => self.data_for = DataFor::OutputBuffer,
            0xD3 | 0xD4 => self.data_for = DataFor::Auxiliary,
            0xDD => self.output_port -= OutputPort::A20,
            0xDF => self.output_port |= OutputPort::A20,
            0xE0 => self.answer(0x00),
            // Pulses the output lines whose bits are zero; bit 0 is the processors' INIT.
            0xF0..=0xFF if command & 1 == 0 => return Some(Reset::Init),
            _ => {}
        }
        None
    }

    fn read_output_port(&self) -> u8 {
        let mut port = self.output_port;
        port.set(OutputPort::KEYBOARD_INTERRUPT, self.output != Output::Empty);
        port.bits()
    }

    /// Answers a command. An unread answer to an earlier one is lost.
    const fn answer(&mut self, byte: u8) {
        match self.output {
            Output::Key(_) => self.answer = Some(byte),
            Output::Empty | Output::Answer(_) => self.output = Output::Answer(byte),
        }
    }
}
