//! The pair of 8259A interrupt controllers.

/// A port of the interrupt controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PicPort {
    /// 20h: ICW1, OCW2, OCW3; request or service register.
    PrimaryCommand,
    /// 21h: ICW2 to ICW4; mask register.
    PrimaryData,
    /// A0h.
    SecondaryCommand,
    /// A1h.
    SecondaryData,
    /// 4D0h: which of IRQ 0 to 7 are level-triggered.
    PrimaryElcr,
    /// 4D1h: which of IRQ 8 to 15 are level-triggered.
    SecondaryElcr,
}

/// The two 8259A interrupt controllers of a PC, the second cascaded to the first's IRQ 2.
///
/// An edge is remembered until it is acknowledged, even if the line falls before; the datasheet
/// would have it forgotten, and a spurious interrupt taken in its place. Other hypervisors remember
/// too, and guests depend on it where lines are pulsed.
///
/// # Examples
/// ```
/// # use chipset::{Pic, PicPort};
/// let mut pic = Pic::new();
/// for value in [0x11, 0x20, 0x04, 0x01] {
///     // ICW1 goes to the command port, ICW2 to ICW4 to the data port.
///     let port = if value == 0x11 { PicPort::PrimaryCommand } else { PicPort::PrimaryData };
///     pic.write(port, value);
/// }
/// pic.set_irq(4, true);
/// assert!(pic.output());
/// assert_eq!(pic.acknowledge(), 0x24);
/// ```
///
/// # Source
/// Intel 8259A (231468), "Programming the 8259A"; 82371SB (PIIX3), "ELCR1, ELCR2 - Edge/Level
/// Control Registers".
#[derive(Clone, Debug)]
pub struct Pic {
    primary: Chip,
    secondary: Chip,
}

impl Default for Pic {
    fn default() -> Self {
        Self::new()
    }
}

impl Pic {
    const CASCADE: u8 = 2;
    /// The line that an 8259A names when the request is gone by the time of the acknowledgement.
    const SPURIOUS: u8 = 7;

    /// The pair at power-on.
    #[must_use]
    pub const fn new() -> Self {
        // IRQ 0, 1, 2, 8 and 13 are edge-triggered on every PC.
        Self { primary: Chip::new(0xF8), secondary: Chip::new(0xDE) }
    }

    /// Returns to the state at power-on. The levels of the lines stay as they are.
    pub fn reset(&mut self) {
        self.primary.reset();
        self.secondary.reset();
        self.update_cascade();
    }

    /// Sets the level of IRQ 0 to 15. Line 2 is the cascade and, like those past 15, not there.
    pub fn set_irq(&mut self, line: u8, level: bool) {
        match line {
            Self::CASCADE => {}
            0..=7 => self.primary.set_line(line, level),
            8..=15 => {
                self.secondary.set_line(line - 8, level);
                self.update_cascade();
            }
            _ => {}
        }
    }

    /// The INT output to the processor.
    #[must_use]
    pub fn output(&self) -> bool {
        self.primary.pending().is_some()
    }

    /// Acknowledges the interrupt as the processor's INTA cycles do; the vector.
    ///
    /// If no request is left the vector is that of IRQ 7 or 15, the spurious interrupt.
    #[must_use = "the acknowledged interrupt is the processor's to take"]
    pub fn acknowledge(&mut self) -> u8 {
        let line = self.primary.acknowledge();
        if line != Some(Self::CASCADE) {
            return self.primary.vector(line.unwrap_or(Self::SPURIOUS));
        }
        let line = self.secondary.acknowledge();
        // INT falls during the acknowledgement and rises again if there is more to do.
        self.primary.set_line(Self::CASCADE, false);
        self.update_cascade();
        self.secondary.vector(line.unwrap_or(Self::SPURIOUS))
    }

    /// Reads a port.
    #[must_use]
    pub fn read(&mut self, port: PicPort) -> u8 {
        let value = match port {
            PicPort::PrimaryCommand => self.primary.read_command(),
            PicPort::PrimaryData => self.primary.read_data(),
            PicPort::SecondaryCommand => self.secondary.read_command(),
            PicPort::SecondaryData => self.secondary.read_data(),
            PicPort::PrimaryElcr => self.primary.level_triggered,
            PicPort::SecondaryElcr => self.secondary.level_triggered,
        };
        // A poll acknowledges.
        self.update_cascade();
        value
    }

    /// Writes a port.
    pub fn write(&mut self, port: PicPort, value: u8) {
        match port {
            PicPort::PrimaryCommand => {
                self.primary.write_command(value);
                if self.primary.data_is == DataIs::Icw2 {
                    // ICW1 forgot the edge of a second controller that still asks for service.
                    self.primary.set_line(Self::CASCADE, false);
                }
            }
            PicPort::PrimaryData => self.primary.write_data(value),
            PicPort::SecondaryCommand => self.secondary.write_command(value),
            PicPort::SecondaryData => self.secondary.write_data(value),
            PicPort::PrimaryElcr => self.primary.set_level_triggered(value),
            PicPort::SecondaryElcr => self.secondary.set_level_triggered(value),
        }
        self.update_cascade();
    }

    fn update_cascade(&mut self) {
        self.primary.set_line(Self::CASCADE, self.secondary.pending().is_some());
    }
}

/// What the next write to the data port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataIs {
    Mask,
    Icw2,
    Icw3,
    Icw4,
}

/// One 8259A. A bit of each mask stands for a line.
#[derive(Clone, Debug)]
struct Chip {
    lines: u8,
    /// Edges not yet acknowledged, on edge-triggered lines.
    edges: u8,
    in_service: u8,
    mask: u8,
    level_triggered: u8,
    level_writable: u8,
    vector_base: u8,
    /// The line of lowest priority; the next one has the highest.
    lowest: u8,
    data_is: DataIs,
    single: bool,
    expects_icw4: bool,
    auto_eoi: bool,
    rotate_on_auto_eoi: bool,
    special_mask: bool,
    special_fully_nested: bool,
    read_in_service: bool,
    poll: bool,
}

impl Chip {
    const fn new(level_writable: u8) -> Self {
        Self {
            lines: 0,
            edges: 0,
            in_service: 0,
            mask: 0,
            level_triggered: 0,
            level_writable,
            vector_base: 0,
            lowest: 7,
            data_is: DataIs::Mask,
            single: false,
            expects_icw4: false,
            auto_eoi: false,
            rotate_on_auto_eoi: false,
            special_mask: false,
            special_fully_nested: false,
            read_in_service: false,
            poll: false,
        }
    }

    const fn reset(&mut self) {
        let lines = self.lines;
        *self = Self::new(self.level_writable);
        self.lines = lines;
    }

    const fn set_line(&mut self, line: u8, level: bool) {
        let bit = 1 << (line & 7);
        if !level {
            self.lines &= !bit;
            return;
        }
        if self.lines & bit == 0 {
            self.edges |= bit & !self.level_triggered;
        }
        self.lines |= bit;
    }

    const fn set_level_triggered(&mut self, value: u8) {
        self.level_triggered = value & self.level_writable;
        self.edges &= !self.level_triggered;
    }

    const fn requests(&self) -> u8 {
        self.edges | (self.lines & self.level_triggered)
    }

    /// How many lines come before this one.
    const fn rank(&self, line: u8) -> u8 {
        line.wrapping_sub(self.lowest).wrapping_sub(1) & 7
    }

    fn highest(&self, lines: u8) -> Option<u8> {
        (0..8).filter(|line| lines & (1 << line) != 0).min_by_key(|&line| self.rank(line))
    }

    /// The line to interrupt the processor for.
    fn pending(&self) -> Option<u8> {
        let line = self.highest(self.requests() & !self.mask)?;
        let mut blocking = self.in_service;
        if self.special_mask {
            blocking &= !self.mask;
        }
        if self.special_fully_nested {
            // The second controller may interrupt while it is served, for a line of higher priority.
            blocking &= !(1 << Pic::CASCADE);
        }
        match self.highest(blocking) {
            Some(served) if self.rank(served) <= self.rank(line) => None,
            _ => Some(line),
        }
    }

    fn acknowledge(&mut self) -> Option<u8> {
        let line = self.pending()?;
        let bit = 1 << line;
        self.edges &= !bit;
        if !self.auto_eoi {
            self.in_service |= bit;
        } else if self.rotate_on_auto_eoi {
            self.lowest = line;
        }
        Some(line)
    }

    const fn vector(&self, line: u8) -> u8 {
        self.vector_base | line
    }

    fn read_command(&mut self) -> u8 {
        if self.poll {
            self.answer_poll()
        } else if self.read_in_service {
            self.in_service
        } else {
            self.requests()
        }
    }

    fn read_data(&mut self) -> u8 {
        if self.poll { self.answer_poll() } else { self.mask }
    }

    fn answer_poll(&mut self) -> u8 {
        const INTERRUPT: u8 = 1 << 7;
        self.poll = false;
        self.acknowledge().map_or(0, |line| INTERRUPT | line)
    }

    fn write_command(&mut self, value: u8) {
        const ICW1: u8 = 1 << 4;
        const OCW3: u8 = 1 << 3;
        if value & ICW1 != 0 {
            self.initialize(value);
        } else if value & OCW3 != 0 {
            self.write_ocw3(value);
        } else {
            self.write_ocw2(value >> 5, value & 7);
        }
    }

    /// ICW1. Its bit 3 would make every line level-triggered; PCs have the ELCR for that.
    const fn initialize(&mut self, icw1: u8) {
        let fresh = Self::new(self.level_writable);
        *self = Self {
            lines: self.lines,
            level_triggered: self.level_triggered,
            vector_base: self.vector_base,
            data_is: DataIs::Icw2,
            expects_icw4: icw1 & (1 << 0) != 0,
            single: icw1 & (1 << 1) != 0,
            ..fresh
        };
    }

    const fn write_data(&mut self, value: u8) {
        self.data_is = match self.data_is {
            DataIs::Mask => {
                self.mask = value;
                DataIs::Mask
            }
            DataIs::Icw2 => {
                self.vector_base = value & 0xF8;
                if !self.single {
                    DataIs::Icw3
                } else if self.expects_icw4 {
                    DataIs::Icw4
                } else {
                    DataIs::Mask
                }
            }
            // ICW3 tells how the chips are cascaded, which is not for software to choose.
            DataIs::Icw3 if self.expects_icw4 => DataIs::Icw4,
            DataIs::Icw3 => DataIs::Mask,
            DataIs::Icw4 => {
                self.auto_eoi = value & (1 << 1) != 0;
                self.special_fully_nested = value & (1 << 4) != 0;
                DataIs::Mask
            }
        };
    }

    fn write_ocw2(&mut self, command: u8, line: u8) {
        match command {
            0b000 => self.rotate_on_auto_eoi = false,
            0b100 => self.rotate_on_auto_eoi = true,
            0b001 => {
                self.end_highest();
            }
            0b101 => {
                if let Some(line) = self.end_highest() {
                    self.lowest = line;
                }
            }
            0b011 => self.in_service &= !(1 << line),
            0b111 => {
                self.in_service &= !(1 << line);
                self.lowest = line;
            }
            0b110 => self.lowest = line,
            _ => {}
        }
    }

    /// A non-specific end of interrupt; the line that it ended.
    fn end_highest(&mut self) -> Option<u8> {
        let mut candidates = self.in_service;
        if self.special_mask {
            candidates &= !self.mask;
        }
        let line = self.highest(candidates)?;
        self.in_service &= !(1 << line);
        Some(line)
    }

    const fn write_ocw3(&mut self, value: u8) {
        self.poll = value & (1 << 2) != 0;
        match value & 0b11 {
            0b10 => self.read_in_service = false,
            0b11 => self.read_in_service = true,
            _ => {}
        }
        match (value >> 5) & 0b11 {
            0b10 => self.special_mask = false,
            0b11 => self.special_mask = true,
            _ => {}
        }
    }
}
