//! Cycles of the bus to a bank of flash, from bytes: beside a reading that collects the cycles of a
//! command, and looks at them when the last one has come.

use chipset::{CfiFlash, FlashBus, FlashGeometry};

use crate::Bytes;

const BLOCK: u32 = 0x1000;
const BLOCKS: u32 = 3;
const BUSES: [FlashBus; 5] =
    [FlashBus::X8, FlashBus::X16, FlashBus::TwoX8, FlashBus::TwoX16, FlashBus::FourX8];
/// Offsets within a block.
const PLACES: [u32; 16] =
    [0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0xF8, 0x100, 0x101, 0x108, BLOCK - 4, BLOCK - 2, BLOCK - 1];
const READY: u8 = 0x80;
const SEQUENCE_ERROR: u8 = 0x30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Array,
    Status,
    Identifier,
    Query,
}

/// The plain reading.
struct Plain {
    bus: usize,
    chip: usize,
    array: Vec<u8>,
    locked: [bool; BLOCKS as usize],
    status: u8,
    cleared: u8,
    shown: Shown,
    /// The cycles of the command that is not complete.
    cycles: Vec<(usize, Vec<u8>)>,
}

/// Sends cycles to a bank of flash.
///
/// The first byte chooses the bus, and what clearing the status leaves. Each cycle takes three: where,
/// what, and how wide it is.
///
/// # Panics
/// If the flash is wrong.
pub fn flash(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let how = bytes.byte();
    let bus = BUSES[usize::from(how % 5)];
    let Ok(geometry) = FlashGeometry::new(BLOCKS * BLOCK, BLOCK, bus) else {
        panic!("there is no such flash")
    };
    let mut flash = CfiFlash::new(geometry);
    if how >= 0x80 {
        flash = flash.with_ready_cleared();
    }
    let mut array: Vec<u8> = (0..BLOCKS * BLOCK).map(|at| at.to_le_bytes()[0] | 0x41).collect();
    let mut plain = Plain {
        bus: bus.bytes() as usize,
        chip: bus.chip_bytes() as usize,
        array: array.clone(),
        locked: [false; BLOCKS as usize],
        status: READY,
        cleared: if how >= 0x80 { 0 } else { READY },
        shown: Shown::Array,
        cycles: Vec::new(),
    };
    while !bytes.is_empty() {
        let (place, value, width) = (bytes.byte(), bytes.byte(), bytes.byte());
        // There are three blocks, and what is behind the last one.
        let offset = u32::from(place >> 4) % 4 * BLOCK + PLACES[usize::from(place & 15)];
        let data = &[value, width >> 3, value ^ width, 0x55][..usize::from(width % 5).min(4)];
        if let Some(effect) = flash.write(offset, data) {
            effect.apply(&mut array);
        }
        plain.cycle(offset as usize, data);
        assert!(array == plain.array, "the arrays differ");
        assert_eq!(flash.shows_array(), plain.shown == Shown::Array);
        let block = offset / BLOCK * BLOCK;
        for at in [0, block, offset, block + 2 * bus.bytes(), 0x10 * bus.bytes()] {
            plain.compare(flash.read(at), at as usize);
        }
    }
    flash.reset();
    assert!(flash.shows_array());
}

impl Plain {
    fn cycle(&mut self, offset: usize, data: &[u8]) {
        let lanes = self.bus - offset % self.bus;
        let data = &data[..data.len().min(lanes)];
        if data.is_empty() || offset >= self.array.len() {
            return;
        }
        if self.cycles.is_empty() {
            self.shown = match data[0] {
                0x10 | 0x20 | 0x40 | 0x60 | 0x70 | 0xE8 => Shown::Status,
                0x90 => Shown::Identifier,
                0x98 => Shown::Query,
                _ => Shown::Array,
            };
            match data[0] {
                0x50 => self.status = self.cleared,
                0xE8 => self.status |= READY,
                _ => {}
            }
        }
        self.cycles.push((offset, data.to_vec()));
        if self.cycles.len() == self.length() {
            let cycles = std::mem::take(&mut self.cycles);
            if cycles.len() > 1 {
                self.status |= READY | self.carry_out(&cycles).err().unwrap_or(0);
            }
        }
    }

    /// How many cycles the command takes, as far as is known.
    fn length(&self) -> usize {
        match self.cycles[0].1[0] {
            0x10 | 0x20 | 0x40 | 0x60 => 2,
            0xE8 => match self.cycles.get(1) {
                Some(count) if self.fits(count) => 3 + self.words(count),
                _ => 2,
            },
            _ => 1,
        }
    }

    /// How many times the bus' width a buffered program has.
    fn words(&self, (_, data): &(usize, Vec<u8>)) -> usize {
        let high = if self.chip == 2 { data.get(1).copied().unwrap_or(0) } else { 0 };
        usize::from(data[0]) + usize::from(high) * 256 + 1
    }

    fn fits(&self, count: &(usize, Vec<u8>)) -> bool {
        block(count.0) == block(self.cycles[0].0) && self.words(count) * self.bus <= 256
    }

    /// Carries a whole command out, or says which errors it makes.
    fn carry_out(&mut self, cycles: &[(usize, Vec<u8>)]) -> Result<(), u8> {
        let (setup, last) = (&cycles[0], &cycles[cycles.len() - 1]);
        let home = block(setup.0);
        let is_locked = |error: u8, locked: bool| if locked { Err(error | 2) } else { Ok(()) };
        let check = |sound: bool| if sound { Ok(()) } else { Err(SEQUENCE_ERROR) };
        match setup.1[0] {
            0x20 => {
                check(last.1[0] == 0xD0 && block(last.0) == home)?;
                is_locked(0x20, self.locked[home])?;
                self.array[home * BLOCK as usize..][..BLOCK as usize].fill(0xFF);
            }
            0x60 => {
                check([1, 0xD0].contains(&last.1[0]) && block(last.0) == home)?;
                self.locked[home] = last.1[0] == 1;
            }
            0xE8 => {
                check(cycles.len() > 2)?;
                let start = cycles[2].0 / self.bus * self.bus;
                let end = start + (cycles.len() - 3) * self.bus;
                let sound = |cycle: &(usize, Vec<u8>)| {
                    (start..end).contains(&cycle.0) && block(cycle.0) == home
                };
                let words = &cycles[2..cycles.len() - 1];
                check(words.iter().all(sound) && block(end - 1) == home)?;
                check(last.1[0] == 0xD0 && block(last.0) == home)?;
                is_locked(0x10, self.locked[home])?;
                // What is written to a byte of the buffer last counts.
                let mut buffer = vec![0xFF; end - start];
                for (offset, data) in words {
                    buffer[offset - start..][..data.len()].copy_from_slice(data);
                }
                self.clear(start, &buffer);
            }
            _ => {
                is_locked(0x10, self.locked[block(last.0)])?;
                self.clear(last.0, &last.1);
            }
        }
        Ok(())
    }

    fn clear(&mut self, offset: usize, data: &[u8]) {
        for (at, byte) in data.iter().enumerate() {
            self.array[offset + at] &= byte;
        }
    }

    fn compare(&self, read: Option<u8>, at: usize) {
        assert_eq!(read.is_none(), self.shown == Shown::Array);
        let Some(read) = read else { return };
        let is_locked = self.locked.get(block(at)).copied().unwrap_or(false);
        let address = at % BLOCK as usize / self.bus;
        let expected = match (self.shown, address) {
            _ if !at.is_multiple_of(self.chip) => 0,
            (Shown::Status, _) => self.status,
            // Identifier codes come again every 256 addresses.
            (Shown::Identifier, _) if address & 0xFF == 2 => is_locked.into(),
            (Shown::Query, 2) => is_locked.into(),
            (Shown::Identifier, _) => 0,
            (Shown::Query, 0x10) if block(at) == 0 => b'Q',
            _ => return,
        };
        assert_eq!(read, expected, "{at:#x}");
    }
}

fn block(offset: usize) -> usize {
    offset / BLOCK as usize
}
