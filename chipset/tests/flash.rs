//! Flash behind a driver that was written from the flow charts of the data sheet, beside a plain
//! array of bytes that programming can only clear bits of.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use chipset::{CfiFlash, FlashBus, FlashEffect, FlashGeometry, FlashGeometryError};
use proptest::prelude::*;

const ALL_BUSES: [FlashBus; 5] =
    [FlashBus::X8, FlashBus::X16, FlashBus::TwoX8, FlashBus::TwoX16, FlashBus::FourX8];
const BLOCK: u32 = 0x1000;
const BLOCKS: u32 = 5;
const SR_LOCKED: u8 = 0x02;
const SR_PROGRAM: u8 = 0x10;
const SR_ERASE: u8 = 0x20;
const SR_READY: u8 = 0x80;

/// A bank of flash with its array, as a machine has it.
struct Bank {
    flash: CfiFlash,
    array: Vec<u8>,
}

impl Bank {
    fn new(bus: FlashBus) -> Self {
        let geometry = FlashGeometry::new(BLOCKS * BLOCK, BLOCK, bus).unwrap();
        let array = (0..BLOCKS * BLOCK).map(|at| at.to_le_bytes()[0] ^ 0x5A).collect();
        Self { flash: CfiFlash::new(geometry), array }
    }

    fn cycle(&mut self, offset: u32, data: &[u8]) {
        if let Some(effect) = self.flash.write(offset, data) {
            effect.apply(&mut self.array);
        }
    }

    fn byte(&self, offset: u32) -> u8 {
        self.flash.read(offset).unwrap_or_else(|| self.array[usize::try_from(offset).unwrap()])
    }
}

/// A driver, which knows the bus and what the chips say of themselves.
struct Driver {
    bank: Bank,
    /// The bus, and a chip, in bytes.
    bus: u32,
    chip: u32,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    command_set: u16,
    size_bytes: u32,
    block_bytes: u32,
    blocks: u32,
    buffer_bytes: u32,
}

impl Driver {
    fn new(bus: FlashBus) -> Self {
        Self { bank: Bank::new(bus), bus: bus.bytes(), chip: bus.chip_bytes() }
    }

    fn chips(&self) -> u32 {
        self.bus / self.chip
    }

    /// A value for each of the chips, as wide as the bus.
    fn for_all(&self, value: u16) -> Vec<u8> {
        let one = &value.to_le_bytes()[..usize::try_from(self.chip).unwrap()];
        one.repeat(usize::try_from(self.chips()).unwrap())
    }

    fn command(&mut self, offset: u32, command: u8) {
        let data = self.for_all(command.into());
        self.bank.cycle(offset, &data);
    }

    /// Reads a register at an address of the chips, which must agree, and be zero above 8 bits.
    fn register(&self, base: u32, address: u32) -> u8 {
        let at = base + address * self.bus;
        let lanes: Vec<u8> = (at..at + self.bus).map(|at| self.bank.byte(at)).collect();
        assert_eq!(lanes, self.for_all(lanes[0].into()), "{address:#x}");
        lanes[0]
    }

    /// "Read query": where it is told, for one chip, times the number of chips.
    fn query(&mut self) -> Told {
        self.command(0x55 * self.bus, 0x98);
        let byte = |address| self.register(0, address);
        let word = |address| u16::from(byte(address)) | u16::from(byte(address + 1)) << 8;
        assert_eq!([byte(0x10), byte(0x11), byte(0x12)], *b"QRY");
        let table = word(0x15).into();
        assert_eq!([byte(table), byte(table + 1), byte(table + 2)], *b"PRI");
        assert_eq!(byte(0x2C), 1, "one region of blocks");
        let told = Told {
            command_set: word(0x13),
            size_bytes: (1 << byte(0x27)) * self.chips(),
            block_bytes: u32::from(word(0x2F)) * 256 * self.chips(),
            blocks: u32::from(word(0x2D)) + 1,
            buffer_bytes: (1 << word(0x2A)) * self.chips(),
        };
        self.command(0, 0xFF);
        told
    }

    /// "Full status check": waits until ready, reads the errors, clears them, shows the array.
    fn finish(&mut self, offset: u32) -> Result<(), u8> {
        let at = offset / self.bus * self.bus;
        assert!(!self.bank.flash.shows_array());
        let status = self.register(at, 0);
        assert_eq!(status & SR_READY, SR_READY, "nothing takes time");
        self.command(0, 0x50);
        self.command(0, 0x70);
        assert_eq!(self.register(at, 0), SR_READY, "the errors are gone");
        self.command(0, 0xFF);
        if status == SR_READY { Ok(()) } else { Err(status & !SR_READY) }
    }

    /// "Block erase".
    fn erase(&mut self, block: u32) -> Result<(), u8> {
        self.command(block * BLOCK, 0x20);
        self.command(block * BLOCK, 0xD0);
        self.finish(block * BLOCK)
    }

    /// "Byte or word program", of some lanes of the bus.
    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), u8> {
        self.command(offset / self.bus * self.bus, 0x40);
        self.bank.cycle(offset, data);
        self.finish(offset)
    }

    /// "Write to buffer", of whole widths of the bus.
    fn program_buffered(&mut self, offset: u32, data: &[u8]) -> Result<(), u8> {
        let block = offset / BLOCK * BLOCK;
        self.command(block, 0xE8);
        assert_eq!(self.register(block, 0) & SR_READY, SR_READY, "the buffer is free");
        let cycles = data.len() / usize::try_from(self.bus).unwrap();
        let count = self.for_all(u16::try_from(cycles - 1).unwrap());
        self.bank.cycle(block, &count);
        for (at, data) in (offset..).step_by(self.bus as usize).zip(data.chunks(self.bus as usize))
        {
            self.bank.cycle(at, data);
        }
        self.command(block, 0xD0);
        self.finish(block)
    }

    /// "Block lock" and "clear block lock"; then what the identifier codes say.
    fn lock(&mut self, block: u32, locked: bool) -> u8 {
        self.command(block * BLOCK, 0x60);
        self.command(block * BLOCK, if locked { 0x01 } else { 0xD0 });
        assert_eq!(self.finish(block * BLOCK), Ok(()));
        self.command(0, 0x90);
        let status = self.register(block * BLOCK, 2);
        self.command(0, 0xFF);
        status
    }
}

#[test]
fn the_query_tells_the_bank_as_it_is() {
    for bus in ALL_BUSES {
        let told = Driver::new(bus).query();
        let expected = Told {
            command_set: 1,
            // The next power of two for each chip: the regions are exact.
            size_bytes: 8 * BLOCK,
            block_bytes: BLOCK,
            blocks: BLOCKS,
            buffer_bytes: 256,
        };
        assert_eq!(told, expected, "{bus:?}");
    }
}

#[test]
fn an_erased_block_is_ones_and_its_neighbours_stay() {
    for bus in ALL_BUSES {
        let mut driver = Driver::new(bus);
        let before = driver.bank.array.clone();
        assert_eq!(driver.erase(2), Ok(()));
        let block = 2 * BLOCK as usize..3 * BLOCK as usize;
        assert!(driver.bank.array[block.clone()].iter().all(|byte| *byte == 0xFF));
        assert_eq!(driver.bank.array[..block.start], before[..block.start]);
        assert_eq!(driver.bank.array[block.end..], before[block.end..]);
    }
}

#[test]
fn programming_clears_bits_and_sets_none() {
    let mut driver = Driver::new(FlashBus::X8);
    driver.erase(0).unwrap();
    driver.program(0x123, &[0xF0]).unwrap();
    driver.program(0x123, &[0x3C]).unwrap();
    assert_eq!(driver.bank.array[0x122..0x125], [0xFF, 0x30, 0xFF]);
    driver.program(0x123, &[0xFF]).unwrap();
    assert_eq!(driver.bank.array[0x123], 0x30);
}

#[test]
fn a_locked_block_stays_as_it_is_until_it_is_unlocked_or_reset() {
    let mut driver = Driver::new(FlashBus::TwoX16);
    let before = driver.bank.array.clone();
    assert_eq!(driver.lock(3, true), 1);
    assert_eq!(driver.erase(3), Err(SR_ERASE | SR_LOCKED));
    assert_eq!(driver.program(3 * BLOCK, &[0; 4]), Err(SR_PROGRAM | SR_LOCKED));
    assert_eq!(driver.program_buffered(3 * BLOCK, &[0; 64]), Err(SR_PROGRAM | SR_LOCKED));
    assert_eq!(driver.bank.array, before);
    assert_eq!(driver.erase(2), Ok(()));
    assert_eq!(driver.lock(3, false), 0);
    assert_eq!(driver.program(3 * BLOCK, &[0; 4]), Ok(()));
    assert_eq!(driver.lock(4, true), 1);
    driver.bank.flash.reset();
    assert_eq!(driver.erase(4), Ok(()));
}

#[test]
fn sequences_that_mean_nothing_are_errors_and_change_nothing() {
    const BOTH: u8 = SR_ERASE | SR_PROGRAM;
    let mut driver = Driver::new(FlashBus::X8);
    let before = driver.bank.array.clone();
    for cycles in [
        // No confirmation; one for another block.
        &[(0, 0x20), (0, 0xFF)][..],
        &[(0, 0x20), (BLOCK, 0xD0)],
        &[(0, 0x60), (0, 0x00)],
        &[(0, 0x60), (BLOCK, 0x01)],
        // A count for another block.
        &[(0, 0xE8), (BLOCK, 0)],
        // No confirmation of the buffer; one for another block.
        &[(0, 0xE8), (0, 0), (0, 0x00), (0, 0xFF)],
        &[(0, 0xE8), (0, 0), (0, 0x00), (BLOCK, 0xD0)],
        // Data outside of the count, and outside of the block. They are no commands.
        &[(0, 0xE8), (0, 1), (8, 0x20), (10, 0xD0), (0, 0xD0)],
        &[(0, 0xE8), (0, 1), (8, 0x20), (7, 0xD0), (0, 0xD0)],
        &[(0, 0xE8), (0, 1), (BLOCK, 0x20), (BLOCK + 1, 0xD0), (0, 0xD0)],
        &[(0, 0xE8), (0, 1), (BLOCK - 1, 0x20), (BLOCK, 0xD0), (0, 0xD0)],
        &[(0, 0xE8), (0, 1), (BLOCK - 1, 0x20), (BLOCK - 1, 0xD0), (0, 0xD0)],
        &[(BLOCK, 0xE8), (BLOCK, 1), (BLOCK - 1, 0x20), (BLOCK, 0xD0), (BLOCK, 0xD0)],
    ] {
        for &(offset, value) in cycles {
            driver.bank.cycle(offset, &[value]);
        }
        assert_eq!(driver.finish(0), Err(BOTH), "{cycles:x?}");
        assert_eq!(driver.bank.array, before, "{cycles:x?}");
    }
    let mut wide = Driver::new(FlashBus::TwoX16);
    wide.command(0, 0xE8);
    // 65 times 4 bytes.
    let count = wide.for_all(64);
    wide.bank.cycle(0, &count);
    assert_eq!(wide.finish(0), Err(BOTH));
    // What goes right afterwards does so.
    assert_eq!(wide.erase(0), Ok(()));
}

#[test]
fn errors_stay_until_they_are_cleared() {
    let mut bank = Bank::new(FlashBus::X8);
    for command in [0x20, 0xFF] {
        bank.cycle(0, &[command]);
    }
    assert_eq!(bank.byte(0), 0xB0);
    bank.cycle(0, &[0xFF]);
    for command in [0x10, 0xFF, 0x70] {
        bank.cycle(0, &[command]);
    }
    assert_eq!(bank.byte(0), 0xB0);
    bank.cycle(0, &[0x50]);
    assert_eq!(bank.byte(0), bank.array[0]);
}

/// How OVMF finds out whether it has flash: `OvmfPkg/QemuFlashFvbServicesRuntimeDxe`, read for facts.
#[test]
fn ovmf_finds_flash_where_clearing_the_status_clears_the_ready_bit() {
    for (cleared, status) in [(false, SR_READY), (true, 0)] {
        let Bank { flash, array } = Bank::new(FlashBus::X8);
        let flash = if cleared { flash.with_ready_cleared() } else { flash };
        let mut bank = Bank { flash, array };
        let original = bank.byte(0x10);
        bank.cycle(0x10, &[0x50]);
        assert_eq!(bank.byte(0x10), original, "no RAM");
        bank.cycle(0x10, &[0x70]);
        assert_eq!(bank.byte(0x10), status);
        bank.cycle(0x10, &[0xFF]);
        // The first operation is ready again, and so is the flash after a reset.
        bank.cycle(0x10, &[0x10]);
        bank.cycle(0x10, &[0xFF]);
        assert_eq!(bank.byte(0x10), SR_READY);
        bank.cycle(0x10, &[0x50]);
        bank.flash.reset();
        bank.cycle(0x10, &[0x70]);
        assert_eq!(bank.byte(0x10), SR_READY);
    }
}

#[test]
fn flash_has_whole_blocks_and_not_too_many() {
    let new = |size, block| FlashGeometry::new(size, block, FlashBus::X8).is_ok();
    for (size, block) in
        [(0x1000, 0x1000), (0x80_0000, 0x1000), (0x8_4000, 0x1000), (1 << 31, 1 << 24)]
    {
        assert!(new(size, block), "{size:#x} {block:#x}");
    }
    let wrong =
        [(0, 0x1000), (0x1800, 0x1000), (0x1000, 0x800), (0x3000, 0x3000), (0x80_1000, 0x1000)];
    for (size, block) in wrong.into_iter().chain([(0x1000, 0), (1 << 31, 1 << 25)]) {
        assert!(!new(size, block), "{size:#x} {block:#x}");
    }
    let error = FlashGeometry::new(1, 2, FlashBus::X8).unwrap_err();
    assert_eq!(error, FlashGeometryError { size_bytes: 1, block_bytes: 2 });
}

/// What a driver may do.
#[derive(Clone, Debug)]
enum Operation {
    Erase(u32),
    Program(u32, Vec<u8>),
    Buffered(u32, Vec<u8>),
    Lock(u32, bool),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let offset = 0..BLOCKS * BLOCK;
    let bytes = |most| prop::collection::vec(any::<u8>(), 1..=most);
    let operation = prop_oneof![
        1 => (0..BLOCKS).prop_map(Operation::Erase),
        4 => (offset.clone(), bytes(4)).prop_map(|(at, bytes)| Operation::Program(at, bytes)),
        4 => (offset, bytes(256)).prop_map(|(at, bytes)| Operation::Buffered(at, bytes)),
        1 => (0..BLOCKS, any::<bool>()).prop_map(|(at, locked)| Operation::Lock(at, locked)),
    ];
    prop::collection::vec(operation, 1..30)
}

proptest! {
    /// The driver's errors and the array are those of the plainest flash that there is.
    #[test]
    fn what_a_driver_does_comes_out_as_in_a_plain_array(
        bus in prop::sample::select(ALL_BUSES.to_vec()), operations in operations(),
    ) {
        let mut driver = Driver::new(bus);
        let mut plain = driver.bank.array.clone();
        let mut locked = [false; BLOCKS as usize];
        for operation in operations {
            let (result, at, bytes) = match operation {
                Operation::Erase(block) => {
                    let start = (block * BLOCK) as usize;
                    let done = driver.erase(block);
                    if locked[block as usize] {
                        prop_assert_eq!(done, Err(SR_ERASE | SR_LOCKED));
                    } else {
                        prop_assert_eq!(done, Ok(()));
                        plain[start..start + BLOCK as usize].fill(0xFF);
                    }
                    continue;
                }
                Operation::Lock(block, lock) => {
                    prop_assert_eq!(driver.lock(block, lock), u8::from(lock));
                    locked[block as usize] = lock;
                    continue;
                }
                Operation::Program(at, mut bytes) => {
                    bytes.truncate((bus.bytes() - at % bus.bytes()) as usize);
                    (driver.program(at, &bytes), at, bytes)
                }
                Operation::Buffered(at, mut bytes) => {
                    let at = at / bus.bytes() * bus.bytes();
                    bytes.resize(bytes.len().next_multiple_of(bus.bytes() as usize), 0xA5);
                    // What lies behind the last block is for other chips.
                    bytes.truncate((BLOCKS * BLOCK - at) as usize);
                    (driver.program_buffered(at, &bytes), at, bytes)
                }
            };
            let block = at / BLOCK;
            let last = (at + u32::try_from(bytes.len()).unwrap() - 1) / BLOCK;
            if last != block {
                prop_assert_eq!(result, Err(SR_ERASE | SR_PROGRAM));
            } else if locked[block as usize] {
                prop_assert_eq!(result, Err(SR_PROGRAM | SR_LOCKED));
            } else {
                prop_assert_eq!(result, Ok(()));
                for (old, new) in plain[at as usize..].iter_mut().zip(bytes) {
                    *old &= new;
                }
            }
            prop_assert!(driver.bank.array == plain);
        }
    }

    /// No sequence of cycles reaches beyond a block, or a locked one.
    #[test]
    fn any_cycles_keep_within_a_block_that_is_not_locked(
        bus in prop::sample::select(ALL_BUSES.to_vec()),
        cycles in prop::collection::vec(cycle(), 1..200),
    ) {
        let geometry = FlashGeometry::new(BLOCKS * BLOCK, BLOCK, bus).unwrap();
        let mut flash = CfiFlash::new(geometry);
        for (offset, data) in cycles {
            let before = flash.clone();
            let is_locked = |offset: u32| {
                let mut copy = before.clone();
                // Out of whatever it is in.
                for _ in 0..260 {
                    let _ = copy.write(0, &[0xFF]);
                }
                let _ = copy.write(0, &[0x90]);
                copy.read(offset / BLOCK * BLOCK + 2 * bus.bytes()) == Some(1)
            };
            match flash.write(offset, &data) {
                None => {}
                Some(FlashEffect::Erase { offset, size_bytes }) => {
                    prop_assert!(offset.is_multiple_of(BLOCK) && size_bytes == BLOCK);
                    prop_assert!(offset < BLOCKS * BLOCK && !is_locked(offset));
                }
                Some(FlashEffect::Program { offset, bytes }) => {
                    prop_assert!((1..=256).contains(&bytes.len()));
                    let last = offset + u32::try_from(bytes.len()).unwrap() - 1;
                    prop_assert!(last < BLOCKS * BLOCK && last / BLOCK == offset / BLOCK);
                    prop_assert!(!is_locked(offset));
                }
            }
            prop_assert_eq!(flash.read(offset).is_none(), flash.shows_array());
            let mut copy = flash.clone();
            for _ in 0..260 {
                let _ = copy.write(0, &[0xFF]);
            }
            prop_assert!(copy.shows_array());
        }
    }
}

/// A cycle of the bus: mostly a command, mostly near the start of a block.
fn cycle() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let command = prop::sample::select(vec![
        0x01, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xD0, 0xE8, 0xFF, 0, 1, 2,
    ]);
    let first = prop_oneof![9 => command, 1 => any::<u8>()];
    let offset = prop_oneof![
        8 => (0..2 * BLOCKS).prop_map(|half| half * BLOCK / 2 + half % 2 * (BLOCK / 2 - 1)),
        2 => 0..BLOCKS * BLOCK + 8,
        1 => any::<u32>(),
    ];
    let data = (first, prop::collection::vec(any::<u8>(), 0..9));
    (offset, data).prop_map(|(offset, (first, mut data))| {
        if let Some(byte) = data.first_mut() {
            *byte = first;
        }
        (offset, data)
    })
}
