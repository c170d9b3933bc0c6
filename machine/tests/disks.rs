//! Disks: where a guest finds them, and how requests and interrupts go.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU64, Ordering};

use boot_plan::MemoryMap;
use elf_boot::{Boot, Image};
use guest_state::{Gpa, GpaRange, GuestMemory, WordMemory};
use machine::{
    Backend, Backing, BlkConfig, BlkRequest, BlkStatus, BlockBackend, BlockError, Devices, Error,
    InterruptMessage, IoApic, Machine, Nanos, Platform, Request, Start, Tables,
};

const NOW: Nanos = Nanos::new(0);
/// Where the disks of a guest without firmware are.
const BAR: u64 = 0xFEB0_0000;
const IO_APIC: u64 = 0xFEC0_0000;

struct Board<'m> {
    memory: WordMemory<'m>,
    messages: Vec<InterruptMessage>,
    requests: Vec<(usize, BlkRequest)>,
}

impl<'m> Backend for Board<'m> {
    type Memory = WordMemory<'m>;

    fn memory(&self) -> &WordMemory<'m> {
        &self.memory
    }
    fn console(&mut self, _: u8) {}
    fn debug(&mut self, _: u8) {}
    fn interrupt(&mut self, message: InterruptMessage) {
        self.messages.push(message);
    }
    fn rerouted(&mut self, _: &IoApic) {}
    fn remap(&mut self, _: GpaRange, _: Backing) {}
    fn request(&mut self, _: Request) {}
    fn disk(&mut self, disk: usize, request: BlkRequest) {
        self.requests.push((disk, request));
    }
}

/// A disk of one letter.
struct Letter(u8);

impl BlockBackend for Letter {
    fn read_at(&mut self, _: u64, buffer: &mut [u8]) -> Result<(), BlockError> {
        buffer.fill(self.0);
        Ok(())
    }
    fn write_at(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        Err(BlockError)
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }
}

const DISK: BlkConfig = BlkConfig { sectors: 8, readonly: true, id: [0; 20] };

/// A machine with a flat Multiboot kernel, which starts directly.
fn direct(kernel: &[u8], disks: usize) -> Result<Machine<'_>, Error> {
    let start = Start::Kernel { boot: Boot::new(Image::new(kernel)), protocol: None };
    let disks = vec![DISK; disks];
    let (memory_bytes, cpus) = (64 << 20, 1);
    Platform { memory_bytes, cpus, cpu_signature: 0, epoch_seconds: 0, disks, start }.build()
}

fn kernel() -> Vec<u8> {
    let flags = 1 << 16;
    let sum = 0x1BAD_B002_u32.wrapping_add(flags).wrapping_neg();
    let (at, entry) = (0x10_0000, 0x10_0020);
    let words = [0x1BAD_B002, flags, sum, at, at, 0, 0, entry];
    let mut file: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    file.resize(0x100, 0xF4);
    file
}

struct Guest<'d, 'm> {
    devices: Devices<'d>,
    board: Board<'m>,
}

impl<'d, 'm> Guest<'d, 'm> {
    fn new(machine: Machine<'d>, words: &'m [AtomicU64]) -> Self {
        let memory = WordMemory::new(Gpa::ZERO, words);
        let board = Board { memory, messages: Vec::new(), requests: Vec::new() };
        Self { devices: machine.devices, board }
    }

    fn select(&mut self, device: u32, register: u32) {
        let address = 1 << 31 | device << 11 | register & 0xFC;
        self.devices.port_write(0xCF8, 4, &address.to_le_bytes(), NOW, &mut self.board);
    }

    fn config(&mut self, device: u32, register: u32) -> u32 {
        self.select(device, register);
        let mut value = [0; 4];
        self.devices.port_read(0xCFC, 4, &mut value, NOW, &mut self.board);
        u32::from_le_bytes(value)
    }

    fn set_config(&mut self, device: u32, register: u32, value: u32) {
        self.select(device, register);
        self.devices.port_write(0xCFC, 4, &value.to_le_bytes(), NOW, &mut self.board);
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        self.devices.memory_write(Gpa::new(at), bytes, &mut self.board);
    }

    fn read(&mut self, at: u64) -> u8 {
        let mut byte = [0];
        self.devices.memory_read(Gpa::new(at), &mut byte, &mut self.board);
        byte[0]
    }

    /// Starts the driver of a disk with a queue of 4 at 1000h, and asks for a sector to 3000h.
    fn ask(&mut self, device: u32, bar: u64) {
        self.set_config(device, 0x04, 6);
        self.write(bar + 0x14, &[0]);
        self.write(bar + 0x14, &[3]);
        self.write(bar + 0x08, &1_u32.to_le_bytes());
        self.write(bar + 0x0C, &1_u32.to_le_bytes());
        self.write(bar + 0x14, &[0xB]);
        self.write(bar + 0x16, &0_u16.to_le_bytes());
        self.write(bar + 0x18, &4_u16.to_le_bytes());
        for (register, address) in [(0x20, 0x1000_u64), (0x28, 0x1100), (0x30, 0x1200)] {
            self.write(bar + register, &address.to_le_bytes()[..4]);
        }
        self.write(bar + 0x1C, &1_u16.to_le_bytes());
        self.write(bar + 0x14, &[0xF]);
        let memory = self.board.memory;
        memory.fill(Gpa::new(0x1100), 0x200, 0).unwrap();
        memory.fill(Gpa::new(0x2000), 16, 0).unwrap(); // a read of sector 0
        for (index, (at, size, flags)) in
            (0_u64..).zip([(0x2000_u64, 16_u32, 1_u16), (0x3000, 512, 3), (0x4000, 1, 2)])
        {
            let next = u16::try_from(index + 1).unwrap();
            let bytes = [
                &at.to_le_bytes()[..],
                &size.to_le_bytes(),
                &flags.to_le_bytes(),
                &next.to_le_bytes(),
            ];
            memory.write(Gpa::new(0x1000 + 16 * index), &bytes.concat()).unwrap();
        }
        memory.store_u16(Gpa::new(0x1102), 1, Ordering::SeqCst).unwrap();
        self.write(bar + 0x3000, &[0, 0]);
    }

    fn serve(&mut self, letter: u8) {
        for (disk, request) in core::mem::take(&mut self.board.requests) {
            let ended = request.carry_out(&self.board.memory, &mut Letter(letter));
            assert_eq!(ended, Ok(BlkStatus::Ok));
            self.devices.complete(disk, request, ended, &mut self.board);
        }
    }
}

fn words() -> Vec<AtomicU64> {
    (0..0x1000).map(|_| AtomicU64::new(0)).collect()
}

#[test]
fn disks_follow_the_bridges_and_have_a_place_where_no_firmware_gives_them_one() {
    let (kernel, words) = (kernel(), words());
    let mut guest = Guest::new(direct(&kernel, 3).unwrap(), &words);
    for device in 2..5 {
        assert_eq!(guest.config(device, 0), 0x1042_1AF4);
        let bar = 0xFEB0_0000 + (device - 2) * 0x4000;
        assert_eq!((guest.config(device, 0x10), guest.config(device, 4) & 3), (bar, 2));
    }
    assert_eq!(guest.config(5, 0), u32::MAX);
    // INTA# of devices 2 to 4 is PIRQB to PIRQD.
    let lines: Vec<_> = (2..5).map(|device| guest.config(device, 0x3C) & 0xFFFF).collect();
    assert_eq!(lines, [0x010A, 0x010B, 0x010B]);
    assert_eq!(guest.config(1, 0x60), 0x0B0B_0A0A);
    // All that is so again after a reset.
    guest.set_config(3, 0x10, 0xC000_0000);
    guest.set_config(1, 0x60, 0x8080_8080);
    guest.devices.reset();
    assert_eq!((guest.config(3, 0x10), guest.config(1, 0x60)), (0xFEB0_4000, 0x0B0B_0A0A));
}

#[test]
fn a_machine_without_disks_has_none() {
    let (kernel, words) = (kernel(), words());
    let mut guest = Guest::new(direct(&kernel, 0).unwrap(), &words);
    assert_eq!((guest.config(2, 0), guest.config(1, 0x60)), (u32::MAX, 0x8080_8080));
    assert_eq!(guest.read(BAR), 0xFF);
    let memory = MemoryMap::pc(64 << 20).unwrap();
    let tables = |disks| Tables::with_disks(1, &memory, disks).unwrap().acpi;
    assert_eq!(tables(0).tables().bytes(), Tables::new(1, &memory).unwrap().acpi.tables().bytes());
    assert_ne!(tables(0).tables().bytes(), tables(1).tables().bytes());
}

#[test]
fn more_disks_than_places_are_refused() {
    let kernel = kernel();
    assert!(direct(&kernel, 16).is_ok());
    assert_eq!(direct(&kernel, 17).unwrap_err(), Error::TooManyDisks { count: 17, most: 16 });
}

#[test]
fn firmware_finds_disks_unplaced() {
    let words = words();
    let image = vec![0xF4; 0x2_0000];
    let start = Start::Firmware { image: &image, floppy: None };
    let (memory_bytes, disks) = (64 << 20, vec![DISK]);
    let platform =
        Platform { memory_bytes, cpus: 1, cpu_signature: 0, epoch_seconds: 0, disks, start };
    let mut guest = Guest::new(platform.build().unwrap(), &words);
    assert_eq!((guest.config(2, 0x10), guest.config(2, 4) & 3), (0, 0));
    assert_eq!(guest.config(1, 0x60), 0x8080_8080);
    guest.set_config(2, 0x10, 0xE000_0000);
    guest.ask(2, 0xE000_0000);
    assert_eq!(guest.board.requests.len(), 1);
}

#[test]
fn a_request_comes_out_and_its_completion_interrupts_by_the_io_apic() {
    let (kernel, words) = (kernel(), words());
    let mut guest = Guest::new(direct(&kernel, 2).unwrap(), &words);
    // PIRQC of device 3 is pin 18: vector 51h, level-triggered, active low, to CPU 0.
    for (register, value) in [(0x10 + 2 * 18, 0xA051_u32), (0x11 + 2 * 18, 0)] {
        guest.write(IO_APIC, &u32::to_le_bytes(register));
        guest.write(IO_APIC + 0x10, &value.to_le_bytes());
    }
    guest.ask(3, BAR + 0x4000);
    assert_eq!(guest.board.requests.iter().map(|(disk, _)| *disk).collect::<Vec<_>>(), [1]);
    assert_eq!(guest.board.messages.len(), 0);
    guest.serve(b'L');
    let mut sector = [0; 512];
    guest.board.memory.read(Gpa::new(0x3000), &mut sector).unwrap();
    assert_eq!(sector, [b'L'; 512]);
    assert_eq!(guest.board.messages.iter().map(|one| one.vector).collect::<Vec<_>>(), [0x51]);
    // The level stays until the driver reads why.
    guest.devices.end_of_interrupt(0x51, &mut guest.board);
    assert_eq!(guest.board.messages.len(), 2);
    assert_eq!(guest.read(BAR + 0x4000 + 0x1000), 1);
    guest.devices.end_of_interrupt(0x51, &mut guest.board);
    assert_eq!(guest.board.messages.len(), 2);
}

#[test]
fn the_isa_bridge_routes_the_interrupt_to_the_8259s() {
    let (kernel, words) = (kernel(), words());
    let mut guest = Guest::new(direct(&kernel, 1).unwrap(), &words);
    let out = |guest: &mut Guest<'_, '_>, port, value| {
        guest.devices.port_write(port, 1, &[value], NOW, &mut guest.board);
    };
    // Both 8259s at vectors 20h and 28h, with only the cascade and IRQ 10 and 11 unmasked.
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xFB)] {
        out(&mut guest, port, value);
    }
    for (port, value) in [(0xA0, 0x11), (0xA1, 0x28), (0xA1, 2), (0xA1, 1), (0xA1, 0xF3)] {
        out(&mut guest, port, value);
    }
    guest.ask(2, BAR);
    assert!(!guest.devices.external_interrupt());
    guest.serve(b'L');
    assert!(guest.devices.external_interrupt());
    // It moves with the route.
    guest.set_config(1, 0x60, 0x8080_0B80);
    assert_eq!((guest.devices.external_interrupt(), guest.devices.acknowledge()), (true, 0x2B));
    assert_eq!(guest.read(BAR + 0x1000), 1);
    for (port, value) in [(0xA0, 0x20), (0x20, 0x20)] {
        out(&mut guest, port, value);
    }
    assert!(!guest.devices.external_interrupt());
}
