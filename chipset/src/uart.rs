//! The 16550A serial port.

use bitflags::bitflags;

use crate::queue::ByteQueue;

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct InterruptEnable: u8 {
        const RECEIVED_DATA = 1 << 0;
        const TRANSMITTER_EMPTY = 1 << 1;
        const LINE_STATUS = 1 << 2;
        const MODEM_STATUS = 1 << 3;
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct ModemControl: u8 {
        const DTR = 1 << 0;
        const RTS = 1 << 1;
        const OUT1 = 1 << 2;
        const OUT2 = 1 << 3;
        const LOOPBACK = 1 << 4;
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct LineStatus: u8 {
        const DATA_READY = 1 << 0;
        const OVERRUN = 1 << 1;
        const TRANSMITTER_HOLDING_EMPTY = 1 << 5;
        const TRANSMITTER_EMPTY = 1 << 6;
    }

    /// The modem's lines into the serial port, at their bits of the modem status register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ModemLines: u8 {
        /// The other side lets us send.
        const CLEAR_TO_SEND = 1 << 4;
        /// The other side is there.
        const DATA_SET_READY = 1 << 5;
        /// The telephone rings.
        const RING = 1 << 6;
        /// There is a carrier.
        const CARRIER_DETECT = 1 << 7;
    }
}

impl ModemLines {
    /// What a terminal that is plugged in and switched on shows.
    pub const CONNECTED: Self =
        Self::CLEAR_TO_SEND.union(Self::DATA_SET_READY).union(Self::CARRIER_DETECT);
}

/// What the interrupt identification register names, in the chip's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Cause {
    ModemStatus = 0x00,
    None = 0x01,
    TransmitterEmpty = 0x02,
    ReceivedData = 0x04,
    LineStatus = 0x06,
    CharacterTimeout = 0x0C,
}

const FIFO_BYTES: usize = 16;

/// A 16550A serial port, eight byte-wide registers.
///
/// | offset | read | write |
/// |---|---|---|
/// | 0 | received byte (divisor low) | byte to transmit (divisor low) |
/// | 1 | interrupt enable (divisor high) | the same |
/// | 2 | interrupt identification | FIFO control |
/// | 3 | line control | the same |
/// | 4 | modem control | the same |
/// | 5 | line status | - |
/// | 6 | modem status | - |
/// | 7 | scratch | the same |
///
/// Bit 7 of line control shows the divisor at offsets 0 and 1.
///
/// The line is infinitely fast. A byte leaves with the write that transmits it, so the transmitter
/// is always empty again; and the four character times after which a FIFO below its trigger level
/// interrupts are zero.
///
/// # Examples
/// ```
/// # use chipset::Uart16550;
/// let mut uart = Uart16550::new();
/// assert_eq!(uart.write(0, b'!'), Some(b'!'));
///
/// assert_eq!(uart.write(1, 0x01), None); // interrupt on received data
/// uart.receive(b'x');
/// assert!(uart.interrupt());
/// assert_eq!(uart.read(0), b'x');
/// assert!(!uart.interrupt());
/// ```
///
/// # Source
/// National Semiconductor PC16550D, "Registers" and "FIFO Interrupt Mode Operation".
#[derive(Clone, Debug)]
pub struct Uart16550 {
    interrupt_enable: InterruptEnable,
    line_control: u8,
    modem_control: ModemControl,
    modem_lines: ModemLines,
    /// Bits 0 to 3 of the modem status register: what changed since it was last read.
    modem_changes: u8,
    scratch: u8,
    divisor: [u8; 2],
    received: ByteQueue<FIFO_BYTES>,
    fifo_enabled: bool,
    trigger_level: usize,
    overrun: bool,
    /// The transmitter-empty interrupt: set when the transmitter becomes empty, cleared when the
    /// guest has been told.
    transmitter_empty: bool,
}

impl Default for Uart16550 {
    fn default() -> Self {
        Self::new()
    }
}

impl Uart16550 {
    const DIVISOR_LATCH: u8 = 1 << 7;

    /// A serial port at power-on, with a terminal plugged in.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            interrupt_enable: InterruptEnable::empty(),
            line_control: 0,
            modem_control: ModemControl::empty(),
            modem_lines: ModemLines::CONNECTED,
            modem_changes: 0,
            scratch: 0,
            divisor: [0; 2],
            received: ByteQueue::new(),
            fifo_enabled: false,
            trigger_level: 1,
            overrun: false,
            transmitter_empty: false,
        }
    }

    /// Returns to the state at power-on. The modem's lines stay as they are.
    pub const fn reset(&mut self) {
        let modem_lines = self.modem_lines;
        *self = Self::new();
        self.modem_lines = modem_lines;
    }

    /// The INTR output.
    ///
    /// On a PC a buffer behind it opens only while [`out2`](Self::out2) is set. Guests that never
    /// saw a real serial port forget to set it, so most virtual machines leave the buffer out.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.cause() != Cause::None
    }

    /// The OUT2 output, inactive in loopback.
    #[must_use]
    pub const fn out2(&self) -> bool {
        self.modem_control.contains(ModemControl::OUT2) && !self.loopback()
    }

    /// How many bytes [`receive`](Self::receive) takes before one is lost: up to 16, or 1 without
    /// FIFO, and none in loopback.
    #[must_use]
    pub const fn receive_room(&self) -> usize {
        if self.loopback() { 0 } else { self.capacity().saturating_sub(self.received.len()) }
    }

    /// Whether [`receive`](Self::receive) takes a byte without losing one.
    #[must_use]
    pub const fn can_receive(&self) -> bool {
        self.receive_room() != 0
    }

    /// Takes a byte from the terminal.
    ///
    /// Without room the byte overruns the receiver, as on a wire. In loopback the terminal is
    /// disconnected and the byte is lost.
    pub fn receive(&mut self, byte: u8) {
        if !self.loopback() {
            self.accept(byte);
        }
    }

    /// Sets the lines that come from the modem or terminal.
    pub fn set_modem_lines(&mut self, lines: ModemLines) {
        let before = self.modem_inputs();
        self.modem_lines = lines;
        self.note_modem_changes(before);
    }

    /// Reads a register; offsets past 7 read as all ones.
    #[must_use]
    pub fn read(&mut self, offset: u8) -> u8 {
        match offset {
            0 if self.divisor_latch() => self.divisor[0],
            1 if self.divisor_latch() => self.divisor[1],
            0 => self.received.pop().unwrap_or(0),
            1 => self.interrupt_enable.bits(),
            2 => self.read_interrupt_identification(),
            3 => self.line_control,
            4 => self.modem_control.bits(),
            5 => self.read_line_status(),
            6 => self.modem_inputs().bits() | core::mem::take(&mut self.modem_changes),
            7 => self.scratch,
            _ => 0xFF,
        }
    }

    /// Writes a register; the byte that leaves for the terminal, if one does.
    #[must_use = "a transmitted byte is for the terminal"]
    pub fn write(&mut self, offset: u8, value: u8) -> Option<u8> {
        match offset {
            0 if self.divisor_latch() => self.divisor[0] = value,
            1 if self.divisor_latch() => self.divisor[1] = value,
            0 => return self.transmit(value),
            1 => self.write_interrupt_enable(value),
            2 => self.write_fifo_control(value),
            3 => self.line_control = value,
            4 => {
                let before = self.modem_inputs();
                self.modem_control = ModemControl::from_bits_truncate(value);
                self.note_modem_changes(before);
            }
            7 => self.scratch = value,
            _ => {}
        }
        None
    }

    const fn divisor_latch(&self) -> bool {
        self.line_control & Self::DIVISOR_LATCH != 0
    }

    const fn loopback(&self) -> bool {
        self.modem_control.contains(ModemControl::LOOPBACK)
    }

    const fn capacity(&self) -> usize {
        if self.fifo_enabled { FIFO_BYTES } else { 1 }
    }

    fn transmit(&mut self, byte: u8) -> Option<u8> {
        // The byte fills the holding register and has left it before the guest can look.
        self.transmitter_empty = true;
        if self.loopback() {
            self.accept(byte);
            return None;
        }
        Some(byte)
    }

    fn accept(&mut self, byte: u8) {
        if self.received.len() >= self.capacity() {
            self.overrun = true;
            if self.fifo_enabled {
                return;
            }
            // A receiver buffer register, unlike the FIFO, is overwritten.
            self.received.clear();
        }
        self.received.push(byte);
    }

    fn cause(&self) -> Cause {
        let enabled = |flag| self.interrupt_enable.contains(flag);
        if enabled(InterruptEnable::LINE_STATUS) && self.overrun {
            Cause::LineStatus
        } else if enabled(InterruptEnable::RECEIVED_DATA) && !self.received.is_empty() {
            if self.received.len() >= self.trigger_level {
                Cause::ReceivedData
            } else {
                Cause::CharacterTimeout
            }
        } else if enabled(InterruptEnable::TRANSMITTER_EMPTY) && self.transmitter_empty {
            Cause::TransmitterEmpty
        } else if enabled(InterruptEnable::MODEM_STATUS) && self.modem_changes != 0 {
            Cause::ModemStatus
        } else {
            Cause::None
        }
    }

    fn read_interrupt_identification(&mut self) -> u8 {
        let cause = self.cause();
        if cause == Cause::TransmitterEmpty {
            self.transmitter_empty = false;
        }
        let fifos_enabled = if self.fifo_enabled { 0xC0 } else { 0 };
        cause as u8 | fifos_enabled
    }

    fn read_line_status(&mut self) -> u8 {
        let mut status = LineStatus::TRANSMITTER_HOLDING_EMPTY | LineStatus::TRANSMITTER_EMPTY;
        status.set(LineStatus::DATA_READY, !self.received.is_empty());
        status.set(LineStatus::OVERRUN, core::mem::take(&mut self.overrun));
        status.bits()
    }

    fn write_interrupt_enable(&mut self, value: u8) {
        let enable = InterruptEnable::from_bits_truncate(value);
        // Enabling the interrupt while the transmitter is empty, which it always is, interrupts:
        // drivers start a transmission so. Writing an enabled bit again changes nothing.
        let newly_enabled = enable.difference(self.interrupt_enable);
        if newly_enabled.contains(InterruptEnable::TRANSMITTER_EMPTY) {
            self.transmitter_empty = true;
        }
        self.interrupt_enable = enable;
    }

    fn write_fifo_control(&mut self, value: u8) {
        const ENABLE: u8 = 1 << 0;
        const CLEAR_RECEIVER: u8 = 1 << 1;
        let enable = value & ENABLE != 0;
        if enable != self.fifo_enabled || value & CLEAR_RECEIVER != 0 && enable {
            self.received.clear();
        }
        self.fifo_enabled = enable;
        self.trigger_level = match value >> 6 {
            _ if !enable => 1,
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        };
    }

    /// The upper half of the modem status register.
    fn modem_inputs(&self) -> ModemLines {
        if !self.loopback() {
            return self.modem_lines;
        }
        let mut lines = ModemLines::empty();
        let set = |flag| self.modem_control.contains(flag);
        lines.set(ModemLines::CLEAR_TO_SEND, set(ModemControl::RTS));
        lines.set(ModemLines::DATA_SET_READY, set(ModemControl::DTR));
        lines.set(ModemLines::RING, set(ModemControl::OUT1));
        lines.set(ModemLines::CARRIER_DETECT, set(ModemControl::OUT2));
        lines
    }

    fn note_modem_changes(&mut self, before: ModemLines) {
        let after = self.modem_inputs();
        // The ring indicator alone reports only its end.
        let changed = before.symmetric_difference(after) - (after & ModemLines::RING);
        self.modem_changes |= changed.bits() >> 4;
    }
}
