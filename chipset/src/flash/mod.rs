//! Parallel NOR flash with the command set of Intel and Sharp.

mod geometry;
mod query;

use bitflags::bitflags;

pub use geometry::{FlashBus, FlashGeometry, FlashGeometryError};
use query::BUFFER_BYTES;

bitflags! {
    /// The status register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Status: u8 {
        /// SR.1: the block is locked.
        const LOCKED = 1 << 1;
        /// SR.4: not programmed.
        const PROGRAM_ERROR = 1 << 4;
        /// SR.5: not erased.
        const ERASE_ERROR = 1 << 5;
        /// SR.7: the write state machine is ready.
        const READY = 1 << 7;
        /// SR.4 and SR.5: commands in an order that means nothing.
        const SEQUENCE_ERROR = 1 << 4 | 1 << 5;
    }
}

/// The commands.
mod command {
    pub(super) const LOCK: u8 = 0x01;
    pub(super) const PROGRAM: u8 = 0x10;
    pub(super) const BLOCK_ERASE: u8 = 0x20;
    pub(super) const PROGRAM_OTHER: u8 = 0x40;
    pub(super) const CLEAR_STATUS: u8 = 0x50;
    pub(super) const LOCK_SETUP: u8 = 0x60;
    pub(super) const READ_STATUS: u8 = 0x70;
    pub(super) const READ_IDENTIFIER: u8 = 0x90;
    pub(super) const READ_QUERY: u8 = 0x98;
    pub(super) const CONFIRM: u8 = 0xD0;
    pub(super) const WRITE_TO_BUFFER: u8 = 0xE8;
}

const BUFFER: usize = BUFFER_BYTES as usize;

/// What becomes of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the array is the machine's, and changes only if it changes it"]
pub enum FlashEffect<'f> {
    /// Bits are cleared: each byte of the array becomes the AND of itself and of the byte here.
    Program {
        /// Where in the array.
        offset: u32,
        /// What with.
        bytes: &'f [u8],
    },
    /// Bits are set: each byte becomes FFh.
    Erase {
        /// Where in the array; the start of a block.
        offset: u32,
        /// How much.
        size_bytes: u32,
    },
}

impl FlashEffect<'_> {
    /// Carries it out on the array. What lies behind its end is left out.
    pub fn apply(self, array: &mut [u8]) {
        let from = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        match self {
            Self::Program { offset, bytes } => {
                array.iter_mut().skip(from(offset)).zip(bytes).for_each(|(old, new)| *old &= new);
            }
            Self::Erase { offset, size_bytes } => {
                array.iter_mut().skip(from(offset)).take(from(size_bytes)).for_each(|b| *b = 0xFF);
            }
        }
    }
}

/// What reads show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Array,
    Status,
    Identifier,
    Query,
}

/// What the next cycle is, unless it is a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Command,
    Program,
    Erase { block: u32 },
    Lock { block: u32 },
    Count { block: u32 },
    Data { block: u32, start: Option<u32>, total_bytes: u32, left: u32, is_sound: bool },
    Confirm { block: u32, start: u32, total_bytes: u32, is_sound: bool },
}

/// A bank of flash: CFI with primary vendor command set 0001h.
///
/// The array is not in here, but where the guest can read it as memory: while
/// [`shows_array`](Self::shows_array) says so, reads may go there directly, and need not come here at
/// all. Writes always do; what they change comes back as a [`FlashEffect`].
///
/// | command | then | reads show | |
/// |---|---|---|---|
/// | FFh | | the array | read array |
/// | 70h | | status | read status register |
/// | 50h | | the array | clear status register |
/// | 90h | | identifier codes | 0, 1: no manufacturer, no chip; 2 from a block's start: bit 0, locked |
/// | 98h | | query structure | from 10h "QRY" |
/// | 10h, 40h | data | status | program one bus width |
/// | 20h | D0h in the same block | status | erase a block |
/// | E8h | count less one, data, D0h | status | program up to 256 bytes within a block |
/// | 60h | 01h or D0h | status | lock or unlock a block; a reset unlocks all |
///
/// Any other command shows the array. Everything takes no time, so that nothing is ever busy or to be
/// suspended. Errors stay in the status register until it is cleared:
///
/// | bits | when |
/// |---|---|
/// | SR.4, SR.5 | a sequence that means nothing: D0h missing or for another block, a count beyond the buffer, buffered data outside of its block or of its count |
/// | SR.1, SR.4 | a program in a locked block |
/// | SR.1, SR.5 | an erase of a locked block |
///
/// One cycle writes the whole bus or some lanes of it; its command is that of the first byte, and all
/// chips get the same. Addresses of commands within a chip count its width. In lanes of a 16-bit chip
/// the upper byte of status, codes and query is zero.
///
/// # Source
/// Intel 290667, "3 Volt Intel StrataFlash Memory (J3)": command definitions, status register, flow
/// charts; Intel 290645, "Write State Machine Current/Next States", for what follows what; JESD68.01
/// for the query structure.
#[derive(Clone, Debug)]
pub struct CfiFlash {
    geometry: FlashGeometry,
    shown: Shown,
    expected: Expected,
    status: Status,
    /// What the status register is when it has been cleared.
    cleared: Status,
    locked: [u64; (FlashGeometry::MOST_BLOCKS / 64) as usize],
    buffer: [u8; BUFFER],
}

impl CfiFlash {
    /// Makes a bank after power-on: it shows the array, and no block is locked.
    #[must_use]
    pub const fn new(geometry: FlashGeometry) -> Self {
        Self {
            geometry,
            shown: Shown::Array,
            expected: Expected::Command,
            status: Status::READY,
            cleared: Status::READY,
            locked: [0; (FlashGeometry::MOST_BLOCKS / 64) as usize],
            buffer: [0xFF; BUFFER],
        }
    }

    /// The same, but that clearing the status register clears SR.7 too, until the next program, erase
    /// or lock. No chip does that. QEMU's flash does, and OVMF knows flash by it: where it reads 80h
    /// after that, it keeps its variables in RAM.
    #[must_use]
    pub const fn with_ready_cleared(self) -> Self {
        Self { cleared: Status::empty(), ..self }
    }

    /// Returns to power-on.
    pub const fn reset(&mut self) {
        *self = Self { cleared: self.cleared, ..Self::new(self.geometry) };
    }

    /// What it looks like from the bus.
    #[must_use]
    pub const fn geometry(&self) -> FlashGeometry {
        self.geometry
    }

    /// Tells whether reads show the array, so that the guest may read it as memory.
    #[must_use]
    pub const fn shows_array(&self) -> bool {
        matches!(self.shown, Shown::Array)
    }

    /// Reads a byte of what is shown in place of the array; `None` while that is the array.
    #[must_use]
    pub fn read(&self, offset: u32) -> Option<u8> {
        let bus = self.geometry.bus();
        let block = self.geometry.block(offset);
        let block_start = block * self.geometry.block_bytes();
        let (address, block_address) = (offset / bus.bytes(), (offset - block_start) / bus.bytes());
        let value = match self.shown {
            Shown::Array => return None,
            Shown::Status => self.status.bits(),
            Shown::Identifier => query::identifier(block_address, self.is_locked(block)),
            Shown::Query => {
                query::query(self.geometry, address, block_address, self.is_locked(block))
            }
        };
        Some(if offset.is_multiple_of(bus.chip_bytes()) { value } else { 0 })
    }

    /// Writes in one cycle of the bus. What would be behind the bus' last lane, or behind the end of
    /// the array, is not written.
    pub fn write(&mut self, offset: u32, data: &[u8]) -> Option<FlashEffect<'_>> {
        let bus = self.geometry.bus().bytes();
        let lanes = usize::try_from(bus - offset % bus).unwrap_or(0);
        let data = data.get(..lanes).unwrap_or(data);
        let &[command, ..] = data else { return None };
        if offset >= self.geometry.size_bytes() {
            return None;
        }
        let block = self.geometry.block(offset);
        match core::mem::replace(&mut self.expected, Expected::Command) {
            Expected::Command => {
                self.command(command, block);
                None
            }
            Expected::Program => {
                self.finish();
                if self.is_locked(block) {
                    self.status |= Status::PROGRAM_ERROR | Status::LOCKED;
                    return None;
                }
                let bytes = self.buffer.get_mut(..data.len())?;
                bytes.copy_from_slice(data);
                Some(FlashEffect::Program { offset, bytes })
            }
            Expected::Erase { block: setup } => {
                self.finish();
                if command != command::CONFIRM || block != setup {
                    self.status |= Status::SEQUENCE_ERROR;
                } else if self.is_locked(block) {
                    self.status |= Status::ERASE_ERROR | Status::LOCKED;
                } else {
                    let size_bytes = self.geometry.block_bytes();
                    return Some(FlashEffect::Erase { offset: block * size_bytes, size_bytes });
                }
                None
            }
            Expected::Lock { block: setup } => {
                self.finish();
                match command {
                    command::LOCK | command::CONFIRM if block == setup => {
                        self.set_locked(block, command == command::LOCK);
                    }
                    _ => self.status |= Status::SEQUENCE_ERROR,
                }
                None
            }
            Expected::Count { block: setup } => {
                self.count(data, block == setup, block);
                None
            }
            Expected::Data { block: setup, start, total_bytes, left, is_sound } => {
                let start = start.unwrap_or(offset - offset % bus);
                let is_sound = self.buffer_data(offset, data, start, total_bytes)
                    && block == setup
                    && is_sound;
                self.expected = match left.checked_sub(1) {
                    None | Some(0) => {
                        Expected::Confirm { block: setup, start, total_bytes, is_sound }
                    }
                    Some(left) => {
                        let start = Some(start);
                        Expected::Data { block: setup, start, total_bytes, left, is_sound }
                    }
                };
                None
            }
            Expected::Confirm { block: setup, start, total_bytes, is_sound } => {
                self.finish();
                let last = start.saturating_add(total_bytes - 1);
                let is_sound = is_sound
                    && command == command::CONFIRM
                    && block == setup
                    && self.geometry.block(last) == setup;
                if !is_sound {
                    self.status |= Status::SEQUENCE_ERROR;
                } else if self.is_locked(setup) {
                    self.status |= Status::PROGRAM_ERROR | Status::LOCKED;
                } else {
                    let bytes = self.buffer.get(..usize::try_from(total_bytes).ok()?)?;
                    return Some(FlashEffect::Program { offset: start, bytes });
                }
                None
            }
        }
    }

    /// Begins with a command.
    const fn command(&mut self, command: u8, block: u32) {
        // What takes more cycles shows the status from now on.
        self.shown = Shown::Status;
        match command {
            command::PROGRAM | command::PROGRAM_OTHER => self.expected = Expected::Program,
            command::BLOCK_ERASE => self.expected = Expected::Erase { block },
            command::LOCK_SETUP => self.expected = Expected::Lock { block },
            command::WRITE_TO_BUFFER => {
                // The extended status register: the buffer is free.
                self.status = self.status.union(Status::READY);
                self.expected = Expected::Count { block };
            }
            command::READ_STATUS => {}
            command::READ_IDENTIFIER => self.shown = Shown::Identifier,
            command::READ_QUERY => self.shown = Shown::Query,
            command::CLEAR_STATUS => {
                self.status = self.cleared;
                self.shown = Shown::Array;
            }
            _ => self.shown = Shown::Array,
        }
    }

    /// Takes the count of a buffered program: how often each chip's width will be written, less one.
    fn count(&mut self, data: &[u8], is_same_block: bool, block: u32) {
        let bus = self.geometry.bus();
        // As wide as a chip, of which the first one counts for all.
        let less_one = match (bus.chip_bytes(), data) {
            (1, &[low, ..]) | (_, &[low]) => u32::from(low),
            (_, &[low, high, ..]) => u32::from(u16::from_le_bytes([low, high])),
            (_, []) => u32::MAX,
        };
        let cycles = less_one.saturating_add(1);
        let total_bytes = cycles.saturating_mul(bus.bytes());
        if !is_same_block || total_bytes > BUFFER_BYTES {
            self.finish();
            self.status |= Status::SEQUENCE_ERROR;
            return;
        }
        self.buffer = [0xFF; BUFFER];
        let (start, left, is_sound) = (None, cycles, true);
        self.expected = Expected::Data { block, start, total_bytes, left, is_sound };
    }

    /// Puts data into the write buffer; false if it is for elsewhere than the buffer is.
    fn buffer_data(&mut self, offset: u32, data: &[u8], start: u32, total_bytes: u32) -> bool {
        let Some(at) = offset.checked_sub(start).filter(|at| *at < total_bytes) else {
            return false;
        };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.buffer.iter_mut().skip(at).zip(data).for_each(|(old, new)| *old = *new);
        true
    }

    /// Ends what took several cycles.
    fn finish(&mut self) {
        self.status |= Status::READY;
    }

    fn is_locked(&self, block: u32) -> bool {
        let (word, bit) = (block / 64, block % 64);
        let word = usize::try_from(word).ok().and_then(|word| self.locked.get(word));
        word.is_some_and(|word| word & 1 << bit != 0)
    }

    fn set_locked(&mut self, block: u32, is_locked: bool) {
        let (word, bit) = (block / 64, block % 64);
        let word = usize::try_from(word).ok().and_then(|word| self.locked.get_mut(word));
        if let Some(word) = word {
            *word = *word & !(1 << bit) | u64::from(is_locked) << bit;
        }
    }
}
