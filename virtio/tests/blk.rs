//! A disk: what a driver asks, and what it gets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{BASE, Driver, EVENT_IDX, MEMORY_BYTES, Ring, VERSION_1, memory, words};
use virtio::{
    Blk, BlkConfig, BlkOperation, BlkStatus, BlockBackend, BlockError, Effect, Error, VirtioPci,
};

const HEADER: u64 = BASE + 0x1_0000;
const DATA: u64 = BASE + 0x1_1000;
const STATUS: u64 = BASE + 0x1_0800;

const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

const FLUSH_FEATURE: u64 = 1 << 9;

/// A disk in memory, which may break.
#[derive(Debug, Default)]
struct Backend {
    bytes: Vec<u8>,
    flushes: usize,
    discarded: Vec<(u64, u64)>,
    is_broken: bool,
}

impl Backend {
    fn range(&mut self, offset: u64, size: usize) -> Result<&mut [u8], BlockError> {
        if self.is_broken {
            return Err(BlockError);
        }
        let start = usize::try_from(offset).unwrap();
        // What is asked for lies within: that is promised.
        Ok(&mut self.bytes[start..start + size])
    }
}

impl BlockBackend for Backend {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), BlockError> {
        buffer.copy_from_slice(self.range(offset, buffer.len())?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.range(offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        self.flushes += 1;
        if self.is_broken { Err(BlockError) } else { Ok(()) }
    }

    fn discard(&mut self, offset: u64, size_bytes: u64) -> Result<(), BlockError> {
        self.range(offset, usize::try_from(size_bytes).unwrap())?;
        self.discarded.push((offset, size_bytes));
        Ok(())
    }
}

struct Disk<'m> {
    driver: Driver<Blk>,
    ring: Ring<'m>,
    backend: Backend,
}

impl<'m> Disk<'m> {
    fn new(
        words: &'m [std::sync::atomic::AtomicU64],
        sectors: u64,
        readonly: bool,
        features: u64,
    ) -> Self {
        let config = BlkConfig { sectors, readonly, id: *b"serial number\0\0\0\0\0\0\0" };
        let mut driver = Driver::find(VirtioPci::new(Blk::new(config)));
        let ring = driver.start(VERSION_1 | features, memory(words), BASE, 16);
        let bytes = (0..sectors * 512).map(|at| (at / 512 * 31 + at).to_le_bytes()[0]).collect();
        Self { driver, ring, backend: Backend { bytes, ..Backend::default() } }
    }

    fn serve(&mut self) {
        let memory = &self.ring.memory;
        while let Some(request) = self.driver.function.take_request(memory) {
            let ended = request.carry_out(memory, &mut self.backend);
            self.driver.function.complete(request, ended, memory);
        }
    }

    /// Sends a request with these buffers between header and status; returns the status and how many
    /// bytes the device says that it wrote.
    fn ask(&mut self, kind: u32, sector: u64, buffers: &[(u64, u32, bool)]) -> (u8, u32) {
        let header = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        self.ring.fill(HEADER, &header);
        self.ring.fill(STATUS, &[0xFF]);
        let mut chain = vec![(HEADER, 16, false)];
        chain.extend(buffers);
        chain.push((STATUS, 1, true));
        self.ring.chain(0, &chain);
        self.offer()
    }

    fn offer(&mut self) -> (u8, u32) {
        let index = self.ring.used_index();
        self.ring.offer(0);
        assert_eq!(self.driver.notify(0), Effect::Requests);
        self.serve();
        assert_eq!(
            self.ring.used_index(),
            index.wrapping_add(1),
            "{:?}",
            self.driver.function.error()
        );
        let (head, written) = self.ring.used_at(index);
        assert_eq!(head, 0);
        (self.ring.bytes(STATUS, 1)[0], written)
    }
}

#[test]
fn a_driver_reads_what_kind_of_disk_it_is() {
    let words = words();
    let mut disk = Disk::new(&words, 0x1234, false, 0);
    let driver = &mut disk.driver;
    assert_eq!(driver.offered() & 0xFF_FFFF, 1 << 1 | 1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14);
    assert_eq!(driver.read_device(0, 8), 0x1234);
    assert_eq!((driver.read_device(8, 4), driver.read_device(12, 4)), (0x8_0000, 126));
    assert_eq!(driver.read_device(20, 4), 512);
    assert_eq!((driver.read_device(36, 4), driver.read_device(40, 4)), (0x2_0000, 1));
    assert_eq!((driver.read_device(48, 4), driver.read_device(52, 4)), (0x2_0000, 1));
    // Byte by byte, and past the end.
    let bytes: Vec<_> = (0..64).map(|at| driver.read_device(at, 1)).collect();
    assert_eq!(bytes[..4], [0x34, 0x12, 0, 0]);
    assert_eq!(bytes[60..], [0; 4]);
    let mut readonly = Disk::new(&words, 8, true, 0);
    assert_eq!(readonly.driver.offered() & 0xFF_FFFF, 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 9);
    assert_eq!(readonly.driver.read_device(36, 4), 0);
}

#[test]
fn what_is_written_is_read_back() {
    let words = words();
    let mut disk = Disk::new(&words, 64, false, FLUSH_FEATURE | EVENT_IDX);
    let before = disk.backend.bytes.clone();
    assert_eq!(disk.ask(IN, 3, &[(DATA, 1024, true)]), (OK, 1025));
    assert_eq!(disk.ring.bytes(DATA, 1024), before[3 * 512..5 * 512]);
    disk.ring.fill(DATA, &[0xA5; 512]);
    disk.ring.fill(DATA + 0x800, &[0x5A; 512]);
    let buffers = [(DATA, 512, false), (DATA + 0x800, 512, false)];
    assert_eq!(disk.ask(OUT, 62, &buffers), (OK, 1));
    assert_eq!(disk.backend.bytes[62 * 512..63 * 512], [0xA5; 512]);
    assert_eq!(disk.backend.bytes[63 * 512..], [0x5A; 512]);
    assert_eq!(disk.backend.bytes[..62 * 512], before[..62 * 512]);
    assert_eq!(disk.ask(IN, 62, &[(DATA + 0x1000, 1024, true)]), (OK, 1025));
    assert_eq!(disk.ring.bytes(DATA + 0x1000, 512), [0xA5; 512]);
    assert_eq!(disk.backend.flushes, 0);
    assert_eq!(disk.ask(FLUSH, 0, &[]), (OK, 1));
    assert_eq!(disk.backend.flushes, 1);
}

#[test]
fn long_transfers_are_whole() {
    let words = words();
    let mut disk = Disk::new(&words, 512, false, FLUSH_FEATURE);
    let before = disk.backend.bytes.clone();
    // 130 KiB, in pieces that no chunk fits.
    let buffers = [(DATA, 1, true), (DATA + 1, 66_047, true), (DATA + 66_048, 67_072, true)];
    assert_eq!(disk.ask(IN, 1, &buffers), (OK, 133_121));
    assert_eq!(disk.ring.bytes(DATA, 133_120), before[512..512 + 133_120]);
    let there = buffers.map(|(at, size, _)| (at, size, false));
    assert_eq!(disk.ask(OUT, 200, &there), (OK, 1));
    assert_eq!(disk.backend.bytes[200 * 512..200 * 512 + 133_120], before[512..512 + 133_120]);
}

#[test]
fn writes_of_a_driver_that_never_flushes_last_at_once() {
    let words = words();
    let mut disk = Disk::new(&words, 8, false, 0);
    assert_eq!(disk.ask(OUT, 0, &[(DATA, 512, false)]), (OK, 1));
    assert_eq!(disk.backend.flushes, 1);
}

#[test]
fn nothing_beyond_the_disk_is_touched() {
    let words = words();
    let mut disk = Disk::new(&words, 8, false, FLUSH_FEATURE);
    let before = disk.backend.bytes.clone();
    for sector in [7, 8, 9, 1 << 40, u64::MAX / 512, u64::MAX / 512 + 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(disk.ask(IN, sector, &[(DATA, 1024, true)]), (IOERR, 0), "{sector:#x}");
        assert_eq!(disk.ask(OUT, sector, &[(DATA, 1024, false)]), (IOERR, 1), "{sector:#x}");
    }
    for size in [1, 511, 513] {
        assert_eq!(disk.ask(IN, 0, &[(DATA, size, true)]), (IOERR, 0));
        assert_eq!(disk.ask(OUT, 0, &[(DATA, size, false)]), (IOERR, 1));
    }
    // No sector at all is a request that can be carried out.
    assert_eq!(disk.ask(IN, 8, &[]), (OK, 1));
    assert_eq!(disk.ask(IN, 9, &[]), (IOERR, 1));
    assert_eq!(disk.backend.bytes, before);
}

#[test]
fn a_request_is_no_longer_than_a_disk_says() {
    let words = words();
    let mut disk = Disk::new(&words, 1, false, FLUSH_FEATURE);
    // The backend is not asked, which would fail for a disk of 512 bytes.
    let huge: Vec<_> = (0..14).map(|_| (DATA, 0x1000_0000, true)).collect();
    assert_eq!(disk.ask(IN, 0, &huge), (IOERR, 0));
}

#[test]
fn a_readonly_disk_stays_as_it_is() {
    let words = words();
    let mut disk = Disk::new(&words, 8, true, FLUSH_FEATURE);
    let before = disk.backend.bytes.clone();
    disk.ring.fill(DATA, &range(0, 8, 0));
    assert_eq!(disk.ask(OUT, 0, &[(DATA, 512, false)]), (IOERR, 1));
    assert_eq!(disk.ask(DISCARD, 0, &[(DATA, 16, false)]), (IOERR, 1));
    assert_eq!(disk.ask(WRITE_ZEROES, 0, &[(DATA, 16, false)]), (IOERR, 1));
    assert_eq!(disk.ask(IN, 0, &[(DATA, 512, true)]), (OK, 513));
    assert_eq!(disk.ask(FLUSH, 0, &[]), (OK, 1));
    assert_eq!((disk.backend.bytes == before, disk.backend.discarded.len()), (true, 0));
}

/// A range to discard or clear: sector, number of sectors, flags.
fn range(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
}

#[test]
fn ranges_are_discarded_and_cleared() {
    let words = words();
    let mut disk = Disk::new(&words, 64, false, FLUSH_FEATURE);
    let before = disk.backend.bytes.clone();
    let mut ask = |kind, range: Vec<u8>| {
        disk.ring.fill(DATA, &range);
        disk.ask(kind, 0, &[(DATA, u32::try_from(range.len()).unwrap(), false)])
    };
    assert_eq!(ask(DISCARD, range(3, 5, 0)), (OK, 1));
    assert_eq!(ask(WRITE_ZEROES, range(10, 20, 1)), (OK, 1));
    assert_eq!(ask(DISCARD, range(3, 5, 1)), (UNSUPP, 1), "no such flag");
    assert_eq!(ask(WRITE_ZEROES, range(3, 5, 2)), (UNSUPP, 1));
    for (sector, sectors) in [(63, 2), (64, 1), (u64::MAX, 1), (0, u32::MAX)] {
        for kind in [DISCARD, WRITE_ZEROES] {
            assert_eq!(ask(kind, range(sector, sectors, 0)), (IOERR, 1), "{sector:#x}");
        }
    }
    assert_eq!(ask(DISCARD, [range(0, 1, 0), range(1, 1, 0)].concat()), (IOERR, 1), "two of them");
    assert_eq!(ask(DISCARD, vec![0; 15]), (IOERR, 1));
    assert_eq!(disk.backend.discarded, [(3 * 512, 5 * 512)]);
    let cleared: Vec<u8> = [&before[..10 * 512], &[0; 20 * 512], &before[30 * 512..]].concat();
    assert_eq!(disk.backend.bytes, cleared);
}

#[test]
fn the_serial_number_is_as_long_as_there_is_room() {
    let words = words();
    let mut disk = Disk::new(&words, 8, false, 0);
    assert_eq!(disk.ask(GET_ID, 0, &[(DATA, 20, true)]), (OK, 21));
    assert_eq!(disk.ring.bytes(DATA, 20), b"serial number\0\0\0\0\0\0\0");
    disk.ring.fill(DATA, &[0xEE; 64]);
    // What lies between it and the status was not written.
    assert_eq!(disk.ask(GET_ID, 0, &[(DATA, 32, true)]), (OK, 20));
    assert_eq!(disk.ring.bytes(DATA + 20, 2), [0xEE; 2]);
    assert_eq!(disk.ask(GET_ID, 0, &[(DATA, 6, true)]), (OK, 7));
    assert_eq!(disk.ring.bytes(DATA, 6), b"serial");
}

#[test]
fn unknown_requests_are_said_to_be_unknown() {
    let words = words();
    let mut disk = Disk::new(&words, 8, false, 0);
    for kind in [2, 3, 5, 7, 9, 10, 12, 14, 15, 0x8000_0000, u32::MAX] {
        assert_eq!(disk.ask(kind, 0, &[]), (UNSUPP, 1), "{kind}");
        assert_eq!(disk.ask(kind, 0, &[(DATA, 512, true)]), (UNSUPP, 0), "{kind}");
    }
}

#[test]
fn a_backend_that_fails_is_an_error_of_the_request_alone() {
    let words = words();
    let mut disk = Disk::new(&words, 64, false, FLUSH_FEATURE);
    disk.ring.fill(DATA, &range(0, 8, 0));
    disk.backend.is_broken = true;
    for (kind, buffers) in [
        (OUT, &[(DATA, 512, false)][..]),
        (FLUSH, &[]),
        (DISCARD, &[(DATA, 16, false)]),
        (WRITE_ZEROES, &[(DATA, 16, false)]),
    ] {
        assert_eq!(disk.ask(kind, 0, buffers), (IOERR, 1), "{kind}");
    }
    assert_eq!(disk.ask(IN, 0, &[(DATA + 0x1000, 512, true)]), (IOERR, 0));
    disk.backend.is_broken = false;
    assert_eq!(disk.ask(IN, 0, &[(DATA + 0x1000, 512, true)]), (OK, 513));
    assert_eq!(disk.driver.function.error(), None);
}

#[test]
fn how_a_request_is_divided_into_buffers_says_nothing() {
    let words = words();
    let mut disk = Disk::new(&words, 8, false, FLUSH_FEATURE);
    let before = disk.backend.bytes.clone();
    // The header in three parts, the last of them with data; the status behind data.
    let header = [&OUT.to_le_bytes()[..], &[0; 4], &2_u64.to_le_bytes(), &[0xC3; 512]].concat();
    disk.ring.fill(HEADER, &header);
    let parts = [(HEADER, 1, false), (HEADER + 1, 10, false), (HEADER + 11, 517, false)];
    disk.ring.chain(0, &[parts[0], parts[1], parts[2], (STATUS, 1, true)]);
    assert_eq!(disk.offer(), (OK, 1));
    assert_eq!(disk.backend.bytes[1024..1536], [0xC3; 512]);
    disk.ring.fill(HEADER, &[&IN.to_le_bytes()[..], &[0; 4], &1_u64.to_le_bytes()].concat());
    disk.ring.chain(0, &[(HEADER, 16, false), (STATUS - 300, 301, true), (DATA, 212, true)]);
    // The status is the last byte of all.
    disk.ring.offer(0);
    disk.serve();
    assert_eq!(disk.ring.used_at(1), (0, 513));
    assert_eq!(disk.ring.bytes(STATUS - 300, 301), before[512..813]);
    assert_eq!(disk.ring.bytes(DATA, 211), before[813..1024]);
    assert_eq!(disk.ring.bytes(DATA + 211, 1), [OK]);
}

#[test]
fn requests_without_room_for_header_or_status_need_a_reset() {
    for chain in [
        &[(HEADER, 16, false)][..],
        &[(STATUS, 1, true)],
        &[(HEADER, 15, false), (STATUS, 1, true)],
        &[(HEADER, 16, false), (STATUS, 0, true)],
    ] {
        let words = words();
        let mut disk = Disk::new(&words, 8, false, 0);
        disk.ring.chain(0, chain);
        disk.ring.offer(0);
        disk.serve();
        assert!(matches!(disk.driver.function.error(), Some(Error::TooShort { .. })), "{chain:?}");
        assert_eq!(disk.ring.used_index(), 0);
    }
}

#[test]
fn buffers_outside_of_memory_need_a_reset() {
    let end = BASE + MEMORY_BYTES as u64;
    for (kind, chain) in [
        (IN, [(HEADER, 16, false), (end, 512, true), (STATUS, 1, true)]),
        (OUT, [(HEADER, 16, false), (end, 512, false), (STATUS, 1, true)]),
        (GET_ID, [(HEADER, 16, false), (end, 20, true), (STATUS, 1, true)]),
        (IN, [(HEADER, 16, false), (DATA, 512, true), (end, 1, true)]),
        (IN, [(end - 8, 16, false), (DATA, 512, true), (STATUS, 1, true)]),
    ] {
        let words = words();
        let mut disk = Disk::new(&words, 8, false, 0);
        disk.ring.fill(HEADER, &kind.to_le_bytes());
        disk.ring.chain(0, &chain);
        disk.ring.offer(0);
        disk.serve();
        assert!(matches!(disk.driver.function.error(), Some(Error::Memory(_))), "{chain:?}");
        assert_eq!((disk.ring.used_index(), disk.driver.read_isr()), (0, 2));
    }
}

#[test]
fn requests_are_completed_in_any_order() {
    let words = words();
    let mut disk = Disk::new(&words, 8, false, FLUSH_FEATURE);
    let memory = disk.ring.memory;
    disk.ring.fill(HEADER, &[0; 16]);
    for head in [0, 3, 6] {
        let at = DATA + u64::from(head) * 512;
        disk.ring.chain(head, &[(HEADER, 16, false), (at, 512, true), (at + 512, 1, true)]);
        disk.ring.offer(head);
    }
    let mut requests = Vec::new();
    while let Some(request) = disk.driver.function.take_request(&memory) {
        assert_eq!(request.operation(), BlkOperation::Read { offset: 0 });
        assert_eq!(request.data().size_bytes(), 512);
        requests.push(request);
    }
    for request in requests.into_iter().rev() {
        disk.driver.function.complete(request, Ok(BlkStatus::IoError), &memory);
    }
    let used: Vec<_> = (0..3).map(|index| disk.ring.used_at(index).0).collect();
    assert_eq!(used, [6, 3, 0]);
}
