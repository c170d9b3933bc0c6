//! The flash that UEFI firmware keeps its variables in, as the guest's CPU and the backend see it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::sync::atomic::AtomicU64;

use guest_state::{Gpa, GpaRange, WordMemory};
use machine::{
    Backend, Backing, Devices, InterruptMessage, IoApic, Machine, Platform, Request, Start,
};
use proptest::prelude::*;

const CODE: [u8; 0x3000] = [0xF4; 0x3000];
const SIZE: usize = 0x2000;
const START: u64 = 0xFFFF_D000 - SIZE as u64;
static NO_WORDS: [AtomicU64; 0] = [];

/// A backend that has the array, and notes what it is told.
struct Board {
    ram: WordMemory<'static>,
    array: Vec<u8>,
    written: Vec<(u64, usize)>,
    remapped: Vec<Backing>,
}

fn offset(gpa: Gpa) -> usize {
    usize::try_from(gpa.as_u64() - START).unwrap()
}

impl Backend for Board {
    type Memory = WordMemory<'static>;

    fn memory(&self) -> &WordMemory<'static> {
        &self.ram
    }
    fn console(&mut self, _: u8) {}
    fn debug(&mut self, _: u8) {}
    fn interrupt(&mut self, _: InterruptMessage) {}
    fn rerouted(&mut self, _: &IoApic) {}
    fn remap(&mut self, range: GpaRange, backing: Backing) {
        assert_eq!(Some(range), GpaRange::new(Gpa::new(START), SIZE as u64));
        self.remapped.push(backing);
    }
    fn read_flash(&self, gpa: Gpa, data: &mut [u8]) {
        data.copy_from_slice(&self.array[offset(gpa)..][..data.len()]);
    }
    fn write_flash(&mut self, gpa: Gpa, data: &[u8]) {
        self.array[offset(gpa)..][..data.len()].copy_from_slice(data);
        self.written.push((gpa.as_u64() - START, data.len()));
    }
    fn request(&mut self, _: Request) {}
}

/// A guest with its flash.
struct Guest {
    devices: Devices<'static>,
    board: Board,
}

impl Guest {
    fn new() -> Self {
        static VARIABLES: [u8; SIZE] = [0xA5; SIZE];
        let start = Start::Uefi { code: &CODE, variables: &VARIABLES, kernel: None };
        let platform = Platform {
            memory_bytes: 64 << 20,
            cpus: 1,
            cpu_signature: 0,
            epoch_seconds: 0,
            disks: vec![],
            start,
        };
        let Machine { devices, .. } = platform.build().unwrap();
        let ram = WordMemory::new(Gpa::ZERO, &NO_WORDS);
        let array = VARIABLES.to_vec();
        Self { devices, board: Board { ram, array, written: Vec::new(), remapped: Vec::new() } }
    }

    fn write(&mut self, at: u64, data: &[u8]) {
        self.devices.memory_write(Gpa::new(START + at), data, &mut self.board);
    }

    /// Reads as a CPU does: from memory, where the array is shown, and else by an exit.
    fn read(&mut self, at: u64) -> u8 {
        match self.board.remapped.last() {
            None | Some(Backing::Rom) => self.board.array[usize::try_from(at).unwrap()],
            Some(_) => self.read_by_exit(at, 1)[0],
        }
    }

    fn read_by_exit(&mut self, at: u64, size: usize) -> Vec<u8> {
        let mut data = vec![0; size];
        self.devices.memory_read(Gpa::new(START + at), &mut data, &mut self.board);
        data
    }
}

/// What OVMF does: `OvmfPkg/QemuFlashFvbServicesRuntimeDxe`, read for facts.
#[test]
fn ovmf_finds_flash_and_writes_a_variable() {
    let mut guest = Guest::new();
    // The probe.
    assert_eq!(guest.read(0), 0xA5);
    guest.write(0, &[0x50]);
    assert_eq!(guest.read(0), 0xA5);
    guest.write(0, &[0x70]);
    assert_eq!(guest.read(0), 0x00);
    guest.write(0, &[0xFF]);
    assert_eq!(guest.read(0), 0xA5);
    assert_eq!(guest.board.remapped, [Backing::Device, Backing::Rom]);
    // Erase a block, program a few bytes of it one by one, back to the array.
    guest.write(0x1000, &[0x20]);
    guest.write(0x1000, &[0xD0]);
    for (at, byte) in (0x1010..).zip(*b"name") {
        guest.write(at, &[0x10]);
        guest.write(at, &[byte]);
        assert_eq!(guest.read(at), 0x80);
    }
    guest.write(0x1013, &[0xFF]);
    let mut expected = vec![0xA5; SIZE];
    expected[0x1000..].fill(0xFF);
    expected[0x1010..0x1014].copy_from_slice(b"name");
    assert_eq!(guest.board.array, expected);
    assert_eq!(guest.board.written[0], (0x1000, 0x1000));
    assert_eq!(guest.board.written[1..], [(0x1010, 1), (0x1011, 1), (0x1012, 1), (0x1013, 1)]);
    // One change back and forth, however long it was away.
    assert_eq!(guest.board.remapped[2..], [Backing::Device, Backing::Rom]);
}

#[test]
fn bits_are_cleared_and_not_set() {
    let mut guest = Guest::new();
    guest.write(8, &[0x40]);
    guest.write(8, &[0x3C]);
    assert_eq!(guest.board.array[7..10], [0xA5, 0x24, 0xA5]);
    // A buffer of four bytes, of which two were sent.
    for (at, byte) in [(0, 0xE8), (0, 3), (0x20, 0x0F), (0x23, 0xF0), (0x21, 0xFF), (0x22, 0xFF)] {
        guest.write(at, &[byte]);
    }
    guest.write(0, &[0xD0]);
    assert_eq!(guest.board.array[0x1F..0x25], [0xA5, 0x05, 0xA5, 0xA5, 0xA0, 0xA5]);
    assert_eq!(guest.board.written, [(8, 1), (0x20, 4)]);
}

#[test]
fn wide_accesses_are_a_cycle_for_each_byte() {
    let mut guest = Guest::new();
    // Two programs, and a command that is left.
    guest.write(0x10, &[0x10, 0x00, 0x10, 0x01, 0x98]);
    assert_eq!(guest.board.array[0x10..0x14], [0xA5, 0x00, 0xA5, 0x01]);
    assert_eq!(guest.board.remapped, [Backing::Device]);
    assert_eq!(guest.read_by_exit(0x10, 3), *b"QRY");
    // There and back within one write: nothing has changed for the guest.
    guest.write(0, &[0xFF]);
    guest.write(0x10, &[0x70, 0xFF]);
    assert_eq!(guest.board.remapped, [Backing::Device, Backing::Rom]);
}

#[test]
fn an_access_across_an_edge_is_the_flashs_as_far_as_it_goes() {
    let mut guest = Guest::new();
    let size = SIZE as u64;
    guest.write(size - 1, &[0x70, 0x98]);
    assert_eq!(guest.read_by_exit(size - 2, 4), [0x80, 0x80, 0xFF, 0xFF]);
    guest.devices.memory_write(Gpa::new(START - 1), &[0x98, 0x50], &mut guest.board);
    assert_eq!(guest.board.remapped, [Backing::Device, Backing::Rom]);
    // A read that was on its way when the array was shown again.
    assert_eq!(guest.read_by_exit(0, 2), [0xA5, 0xA5]);
    guest.devices.memory_write(Gpa::new(u64::MAX), &[0x70, 0x70], &mut guest.board);
    let mut data = [0; 2];
    guest.devices.memory_read(Gpa::new(u64::MAX), &mut data, &mut guest.board);
    assert_eq!((data, guest.board.remapped.len()), ([0xFF; 2], 2));
}

#[test]
fn a_reset_shows_the_array_which_stays_as_it_is() {
    let mut guest = Guest::new();
    for byte in [0x10, 0x00, 0x20] {
        guest.write(0, &[byte]);
    }
    guest.devices.reset();
    guest.board.remapped.clear();
    assert_eq!(guest.read_by_exit(0, 1), [0x00]);
    guest.write(0, &[0xD0]);
    assert_eq!(guest.board.written, [(0, 1)]);
    assert_eq!(guest.board.remapped, []);
}

proptest! {
    /// Whatever is written where, in any width: what reads find is the array exactly while the guest
    /// is said to see it, and only whole programs within a block and whole blocks are written.
    #[test]
    fn any_writes_leave_flash_in_order(
        writes in prop::collection::vec((0..SIZE as u64 + 8, prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0x10, 0x20, 0xD0, 0xE8, 0x70, 0xFF, 3])],
            1..9,
        )), 1..100),
    ) {
        let mut guest = Guest::new();
        for (at, data) in writes {
            guest.devices.memory_write(Gpa::new(START - 4 + at), &data, &mut guest.board);
        }
        for (at, size) in &guest.board.written {
            let last = at + *size as u64 - 1;
            prop_assert!(last < SIZE as u64 && at / 0x1000 == last / 0x1000);
            prop_assert!(*size <= 256 || *size == 0x1000);
        }
        for pair in guest.board.remapped.windows(2) {
            prop_assert!(pair[0] != pair[1]);
        }
        if guest.board.remapped.last() != Some(&Backing::Device) {
            let found = guest.read_by_exit(0, SIZE);
            prop_assert!(found == guest.board.array);
        }
        guest.write(0, &[0xFF; 300]);
        prop_assert!(guest.board.remapped.last() != Some(&Backing::Device));
    }
}
