//! One channel of the 8254, in ticks of its clock.

/// What the output does, bits 3:1 of the control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    InterruptOnTerminalCount,
    OneShot,
    RateGenerator,
    SquareWave,
    SoftwareStrobe,
    HardwareStrobe,
}

impl Mode {
    const fn decode(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::InterruptOnTerminalCount,
            1 => Self::OneShot,
            // Modes 2 and 3 ignore their upper bit.
            2 | 6 => Self::RateGenerator,
            3 | 7 => Self::SquareWave,
            4 => Self::SoftwareStrobe,
            _ => Self::HardwareStrobe,
        }
    }

    /// Whether the count starts over by itself.
    const fn is_periodic(self) -> bool {
        matches!(self, Self::RateGenerator | Self::SquareWave)
    }

    /// Whether only a rising gate starts the count.
    const fn is_gate_started(self) -> bool {
        matches!(self, Self::OneShot | Self::HardwareStrobe)
    }
}

/// Which bytes of the count are read and written, bits 5:4 of the control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Low,
    High,
    Both,
}

/// Whether and since when the channel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// Not since the control word: the count, or the gate that starts it, is awaited.
    No,
    /// The count was loaded at this tick, which can be the next one.
    Since(u64),
    /// The gate stopped the count this many ticks after it was loaded.
    Stopped(u64),
}

#[derive(Clone, Debug)]
pub(super) struct Channel {
    /// The present tick.
    tick: u64,
    mode: Mode,
    access: Access,
    bcd: bool,
    /// Bits 5:0 of the control word, for the status byte.
    control: u8,
    gate: bool,
    counting: Counting,
    /// The count being counted down, 1 to 65,536.
    count: u32,
    /// The count written last, which a periodic mode takes up at the end of a period.
    next_count: u32,
    /// When it does so.
    reload_at: Option<u64>,
    low_byte_written: Option<u8>,
    high_byte_next: bool,
    latched_count: Option<u16>,
    latched_status: Option<u8>,
    output: bool,
    rose: bool,
}

impl Channel {
    pub(super) const fn new(gate: bool) -> Self {
        Self {
            tick: 0,
            mode: Mode::InterruptOnTerminalCount,
            access: Access::Both,
            bcd: false,
            control: 0x30,
            gate,
            counting: Counting::No,
            count: 0x1_0000,
            next_count: 0x1_0000,
            reload_at: None,
            low_byte_written: None,
            high_byte_next: false,
            latched_count: None,
            latched_status: None,
            output: false,
            rose: false,
        }
    }

    pub(super) const fn output(&self) -> bool {
        self.output
    }

    pub(super) const fn take_rise(&mut self) -> bool {
        let rose = self.rose;
        self.rose = false;
        rose
    }

    /// The tick at which the output rises next.
    pub(super) fn next_rise(&self) -> Option<u64> {
        let Counting::Since(loaded) = self.counting else {
            return None;
        };
        let rise = match self.mode {
            Mode::InterruptOnTerminalCount | Mode::OneShot => u64::from(self.count),
            Mode::SoftwareStrobe | Mode::HardwareStrobe => u64::from(self.count) + 1,
            Mode::RateGenerator | Mode::SquareWave => {
                let period = self.period();
                (self.elapsed() / period).saturating_add(1).saturating_mul(period)
            }
        };
        let at = loaded.saturating_add(rise);
        (at > self.tick).then_some(at)
    }

    pub(super) fn advance(&mut self, tick: u64) {
        if let Some(reload) = self.reload_at
            && tick >= reload
        {
            self.advance_to(reload);
            self.load_at(reload);
        }
        self.advance_to(tick);
    }

    /// Advances to a tick at or before which no new count is taken up.
    fn advance_to(&mut self, tick: u64) {
        self.rose |= self.next_rise().is_some_and(|rise| rise <= tick);
        self.tick = self.tick.max(tick);
        self.output = self.computed_output();
    }

    pub(super) fn write_control(&mut self, value: u8) {
        self.access = match (value >> 4) & 3 {
            0 => return self.latch_count(),
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Both,
        };
        self.mode = Mode::decode(value >> 1);
        self.bcd = value & 1 != 0;
        self.control = value & 0x3F;
        self.counting = Counting::No;
        self.reload_at = None;
        self.low_byte_written = None;
        self.high_byte_next = false;
        self.latched_count = None;
        self.latched_status = None;
        self.set_output(self.mode != Mode::InterruptOnTerminalCount);
    }

    pub(super) fn write(&mut self, value: u8) {
        let bytes = match (self.access, self.low_byte_written.take()) {
            (Access::Low, _) => [value, 0],
            (Access::High, _) => [0, value],
            (Access::Both, Some(low)) => [low, value],
            (Access::Both, None) => {
                self.low_byte_written = Some(value);
                if self.mode == Mode::InterruptOnTerminalCount {
                    // Half a count stops the old one.
                    self.counting = Counting::No;
                    self.set_output(false);
                }
                return;
            }
        };
        self.next_count = self.decode(u16::from_le_bytes(bytes));
        self.take_up_count();
    }

    fn take_up_count(&mut self) {
        let next_tick = self.tick.saturating_add(1);
        match self.counting {
            _ if self.mode.is_gate_started() => {}
            Counting::Since(loaded) if self.mode.is_periodic() => {
                // At the end of the period. A square wave would already do so after its half.
                let periods = self.elapsed() / self.period() + 1;
                self.reload_at = Some(loaded.saturating_add(periods * self.period()));
            }
            // The gate that starts the count again takes up the new one.
            Counting::Stopped(_) if self.mode.is_periodic() => {}
            _ if self.gate => self.load_at(next_tick),
            _ => {
                self.count = self.next_count;
                self.counting = Counting::Stopped(0);
            }
        }
        self.set_output(self.computed_output());
    }

    pub(super) fn set_gate(&mut self, gate: bool) {
        let rising = gate && !self.gate;
        let falling = !gate && self.gate;
        self.gate = gate;
        let next_tick = self.tick.saturating_add(1);
        match (self.mode, self.counting) {
            (Mode::OneShot | Mode::HardwareStrobe, _) if rising => self.load_at(next_tick),
            (Mode::OneShot | Mode::HardwareStrobe, _) => {}
            (Mode::RateGenerator | Mode::SquareWave, Counting::Stopped(_)) if rising => {
                self.load_at(next_tick);
            }
            (_, Counting::Stopped(elapsed)) if rising => {
                self.counting = Counting::Since(self.tick.saturating_sub(elapsed));
            }
            (_, Counting::Since(_)) if falling => {
                self.counting = Counting::Stopped(self.elapsed());
                self.reload_at = None;
            }
            _ => {}
        }
        self.set_output(self.computed_output());
    }

    pub(super) fn read(&mut self) -> u8 {
        if let Some(status) = self.latched_status.take() {
            return status;
        }
        let [low, high] = self.latched_count.unwrap_or_else(|| self.encoded_count()).to_le_bytes();
        let (byte, last) = match (self.access, self.high_byte_next) {
            (Access::Low, _) => (low, true),
            (Access::High, _) => (high, true),
            (Access::Both, false) => (low, false),
            (Access::Both, true) => (high, true),
        };
        self.high_byte_next = !last;
        if last {
            self.latched_count = None;
        }
        byte
    }

    pub(super) fn latch_count(&mut self) {
        if self.latched_count.is_none() {
            self.latched_count = Some(self.encoded_count());
        }
    }

    pub(super) fn latch_status(&mut self) {
        const OUTPUT: u8 = 1 << 7;
        const NULL_COUNT: u8 = 1 << 6;
        if self.latched_status.is_some() {
            return;
        }
        let null_count = self.reload_at.is_some()
            || match self.counting {
                Counting::No => true,
                Counting::Since(loaded) => loaded > self.tick,
                Counting::Stopped(_) => false,
            };
        let output = if self.output { OUTPUT } else { 0 };
        let null_count = if null_count { NULL_COUNT } else { 0 };
        self.latched_status = Some(output | null_count | self.control);
    }

    const fn load_at(&mut self, tick: u64) {
        self.count = self.next_count;
        self.counting = Counting::Since(tick);
        self.reload_at = None;
    }

    fn set_output(&mut self, level: bool) {
        self.rose |= level && !self.output;
        self.output = level;
    }

    /// Ticks counted down so far.
    const fn elapsed(&self) -> u64 {
        match self.counting {
            Counting::No => 0,
            Counting::Since(loaded) => self.tick.saturating_sub(loaded),
            Counting::Stopped(elapsed) => elapsed,
        }
    }

    /// A period of one tick is not allowed; it counts as two.
    fn period(&self) -> u64 {
        u64::from(self.count.max(2))
    }

    /// How long a square wave is high: the longer half of an odd period.
    fn high_ticks(&self) -> u64 {
        self.period().div_ceil(2)
    }

    fn computed_output(&self) -> bool {
        let elapsed = self.elapsed();
        let count = u64::from(self.count);
        match (self.mode, self.counting) {
            (Mode::InterruptOnTerminalCount, Counting::No) => false,
            (_, Counting::No) => true,
            (Mode::InterruptOnTerminalCount | Mode::OneShot, _) => elapsed >= count,
            (Mode::SoftwareStrobe | Mode::HardwareStrobe, _) => elapsed != count,
            (Mode::RateGenerator | Mode::SquareWave, Counting::Stopped(_)) => true,
            (Mode::RateGenerator, _) => elapsed % self.period() != self.period() - 1,
            (Mode::SquareWave, _) => elapsed % self.period() < self.high_ticks(),
        }
    }

    /// The counting element, as software reads it.
    fn encoded_count(&self) -> u16 {
        let elapsed = self.elapsed();
        let wrap = if self.bcd { 10_000 } else { 0x1_0000 };
        let count = u64::from(self.count);
        let value = match self.mode {
            Mode::RateGenerator => self.period() - elapsed % self.period(),
            Mode::SquareWave => {
                let into_period = elapsed % self.period();
                let into_half = into_period % self.high_ticks();
                (self.period() & !1) - 2 * into_half
            }
            // Having reached zero these count on from the top.
            _ => (count + wrap - elapsed % wrap) % wrap,
        };
        self.encode(value % wrap)
    }

    /// A count as written, zero standing for the largest, to a number of ticks.
    fn decode(&self, written: u16) -> u32 {
        if !self.bcd {
            return if written == 0 { 0x1_0000 } else { u32::from(written) };
        }
        let digit = |place: u32| u32::from(written >> (4 * place)) & 0xF;
        match digit(3) * 1_000 + digit(2) * 100 + digit(1) * 10 + digit(0) {
            0 => 10_000,
            count => count,
        }
    }

    fn encode(&self, value: u64) -> u16 {
        let value = if self.bcd {
            let digit = |unit: u64, place: u32| (value / unit % 10) << (4 * place);
            digit(1_000, 3) | digit(100, 2) | digit(10, 1) | digit(1, 0)
        } else {
            value
        };
        u16::try_from(value & 0xFFFF).unwrap_or(0)
    }
}
