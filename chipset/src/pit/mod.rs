//! The 8254 interval timer and port 61h.

mod channel;

use crate::Nanos;
use crate::time::Frequency;
use channel::Channel;

/// The 8254 interval timer, ports 40h to 43h, with the part of port 61h that belongs to it.
///
/// | offset | read | write |
/// |---|---|---|
/// | 0, 1, 2 | count or status of a channel | count of a channel |
/// | 3 | - | control word |
///
/// All six modes work, in binary and in BCD, with latches and read-back. Channel 0 makes IRQ 0,
/// channel 2 the speaker's tone; only channel 2 has a gate, bit 0 of port 61h.
///
/// In mode 2 the output is low for less than a microsecond, so IRQ 0 is offered as an edge:
/// [`take_edge`](Self::take_edge) says that it rose, and the machine pulses its line low and high.
/// Edges missed between two calls are one.
///
/// # Examples
/// ```
/// # use chipset::{Nanos, Pit};
/// let mut pit = Pit::new();
/// let start = Nanos::ZERO;
/// pit.write(3, 0x34, start); // channel 0, both bytes, mode 2
/// pit.write(0, 0xA9, start); // 1193 ticks, a millisecond
/// pit.write(0, 0x04, start);
///
/// let deadline = pit.deadline().unwrap();
/// pit.advance(deadline);
/// assert!(pit.take_edge());
/// assert_eq!(deadline.get() / 1_000, 1_000); // µs
/// ```
///
/// # Source
/// Intel 8254 (231164), "Operational Description" and "Mode Definitions"; 82371SB (PIIX3), "NMISC -
/// NMI Status and Control Register" for port 61h.
#[derive(Clone, Debug)]
pub struct Pit {
    channels: [Channel; 3],
    /// The bits of port 61h that are written: gate, speaker and two error enables.
    port61: u8,
    edge: bool,
}

impl Default for Pit {
    fn default() -> Self {
        Self::new()
    }
}

impl Pit {
    const GATE: u8 = 1 << 0;
    const REFRESH: u8 = 1 << 4;
    const OUTPUT: u8 = 1 << 5;
    const PORT61_WRITABLE: u8 = 0x0F;
    /// PCs program channel 1 with this count, for a memory refresh every 15 µs.
    const REFRESH_TICKS: u64 = 18;

    /// A timer at power-on: no channel counts.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            channels: [Channel::new(true), Channel::new(true), Channel::new(false)],
            port61: 0,
            edge: false,
        }
    }

    /// Returns to the state at power-on.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// The level of channel 0's output, as of the last call that had a `now`.
    #[must_use]
    pub const fn interrupt(&self) -> bool {
        self.channels[0].output()
    }

    /// Whether channel 0's output rose since this was last asked.
    #[must_use = "the edge is IRQ 0's"]
    pub const fn take_edge(&mut self) -> bool {
        let edge = self.edge;
        self.edge = false;
        edge
    }

    /// Whether the speaker is switched to channel 2, bit 1 of port 61h.
    #[must_use]
    pub const fn speaker(&self) -> bool {
        self.port61 & 0b10 != 0
    }

    /// The moment at which channel 0's output rises next.
    ///
    /// A guest may ask for one every 1.7 µs: the machine should not follow a faster pace than it
    /// can afford.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.channels[0].next_rise().map(|tick| Frequency::PIT.moment(tick))
    }

    /// Brings the timer up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let tick = Frequency::PIT.ticks(now);
        for channel in &mut self.channels {
            channel.advance(tick);
        }
        self.note_edge();
    }

    /// Reads a register; the control word and offsets past it read as all ones.
    #[must_use]
    pub fn read(&mut self, offset: u8, now: Nanos) -> u8 {
        self.advance(now);
        self.channels.get_mut(usize::from(offset)).map_or(0xFF, Channel::read)
    }

    /// Writes a register.
    pub fn write(&mut self, offset: u8, value: u8, now: Nanos) {
        self.advance(now);
        match offset {
            0..=2 => self.channels[usize::from(offset)].write(value),
            3 => self.write_control(value),
            _ => {}
        }
        self.note_edge();
    }

    /// Reads port 61h.
    ///
    /// | bit | meaning |
    /// |---|---|
    /// | 0 | channel 2's gate |
    /// | 1 | speaker on |
    /// | 4 | changes with every memory refresh, 15 µs |
    /// | 5 | channel 2's output |
    #[must_use]
    pub fn read_port61(&mut self, now: Nanos) -> u8 {
        self.advance(now);
        let mut value = self.port61;
        let refreshes = Frequency::PIT.ticks(now) / Self::REFRESH_TICKS;
        if !refreshes.is_multiple_of(2) {
            value |= Self::REFRESH;
        }
        if self.channels[2].output() {
            value |= Self::OUTPUT;
        }
        value
    }

    /// Writes port 61h.
    pub fn write_port61(&mut self, value: u8, now: Nanos) {
        self.advance(now);
        self.port61 = value & Self::PORT61_WRITABLE;
        self.channels[2].set_gate(value & Self::GATE != 0);
    }

    fn write_control(&mut self, value: u8) {
        const READ_BACK: u8 = 3;
        match value >> 6 {
            READ_BACK => self.read_back(value),
            channel => self.channels[usize::from(channel)].write_control(value),
        }
    }

    fn read_back(&mut self, value: u8) {
        const NOT_COUNT: u8 = 1 << 5;
        const NOT_STATUS: u8 = 1 << 4;
        for (index, channel) in self.channels.iter_mut().enumerate() {
            if value & (0b10 << index) == 0 {
                continue;
            }
            if value & NOT_COUNT == 0 {
                channel.latch_count();
            }
            if value & NOT_STATUS == 0 {
                channel.latch_status();
            }
        }
    }

    const fn note_edge(&mut self) {
        if self.channels[0].take_rise() {
            self.edge = true;
        }
    }
}
