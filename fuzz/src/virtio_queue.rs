//! Virtqueues, from bytes: a driver that writes descriptors, rings and anything else, against a
//! reading of the rings that knows only bytes.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;

use guest_state::{Gpa, GuestMemory, WordMemory};
use virtio::{Chain, Features, Queue, QueueSetup};

use crate::Bytes;

const BASE: u64 = 0x1000;
const SIZE: usize = 0x800;
const MOST: u16 = 16;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// Does with a queue what `data` says: a byte for each step, and what the step takes.
///
/// # Panics
/// If the queue finds in the rings what is not there, does not find what is there, or writes other
/// bytes than it has to.
pub fn virtio_queue(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let words: Vec<AtomicU64> = (0..SIZE / 8).map(|_| AtomicU64::new(0)).collect();
    let memory = WordMemory::new(Gpa::new(BASE), &words);
    let mut queue = Queue::new(MOST);
    let mut model = Model::default();
    start(&mut bytes, &mut queue, &mut model, &memory);
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 | 1 => write_descriptor(&mut bytes, &model, &memory),
            2 => {
                // One more chain, as a driver offers it.
                let index = get(&memory, model.setup.available.as_u64().wrapping_add(2), 2);
                let slot = index % u64::from(model.setup.size.max(1));
                let head = u16::from(bytes.byte() % 17);
                let available = model.setup.available.as_u64();
                put(&memory, available.wrapping_add(4 + 2 * slot), &head.to_le_bytes());
                let next = u16::try_from((index + 1) & 0xFFFF).unwrap_or(0);
                put(&memory, available.wrapping_add(2), &next.to_le_bytes());
            }
            3 | 4 => pop(&mut queue, &mut model, &memory),
            5 => push(&mut bytes, &mut queue, &mut model, &memory),
            6 => {
                let at = BASE + bytes.number() % SIZE as u64;
                put(&memory, at, &[bytes.byte(), bytes.byte()]);
            }
            _ => {
                if bytes.byte().is_multiple_of(4) {
                    start(&mut bytes, &mut queue, &mut model, &memory);
                } else {
                    // At which index the driver wants an interrupt, and whether at all.
                    let available = model.setup.available.as_u64();
                    let end = available.wrapping_add(4 + 2 * u64::from(model.setup.size));
                    let wanted = model.next_used.wrapping_add(u16::from(bytes.byte() % 2));
                    put(&memory, end, &wanted.to_le_bytes());
                    put(&memory, available, &[bytes.byte() % 2, 0]);
                }
            }
        }
    }
}

/// What a queue has to know, and no more.
#[derive(Default)]
struct Model {
    setup: QueueSetup,
    is_enabled: bool,
    has_indirect: bool,
    has_events: bool,
    next_available: u16,
    next_used: u16,
    taken: VecDeque<u16>,
}

/// A buffer: address, length, whether the device writes it.
type Buffer = (u64, u32, bool);

impl Model {
    /// The next chain by head and buffers; `None` in it if there is none, `Err` if a rule is broken.
    fn next(&self, memory: &WordMemory<'_>) -> Result<Option<(u16, Vec<Buffer>)>, ()> {
        let available = self.setup.available.as_u64();
        if !self.is_enabled {
            return Ok(None);
        }
        let index = try_get(memory, available + 2, 2)?;
        let waiting = (index + 0x1_0000 - u64::from(self.next_available)) & 0xFFFF;
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > self.setup.size.into() || self.taken.len() >= self.setup.size.into() {
            return Err(());
        }
        let slot = u64::from(self.next_available % self.setup.size);
        let head = try_get(memory, available + 4 + 2 * slot, 2)?;
        let table = (self.setup.descriptors.as_u64(), self.setup.size.into());
        let buffers = self.follow(memory, table, head, Vec::new(), false)?;
        Ok(Some((u16::try_from(head).map_err(drop)?, buffers)))
    }

    fn follow(
        &self,
        memory: &WordMemory<'_>,
        table: (u64, u64),
        index: u64,
        mut before: Vec<Buffer>,
        is_indirect: bool,
    ) -> Result<Vec<Buffer>, ()> {
        if index >= table.1 {
            return Err(());
        }
        let at = table.0.checked_add(16 * index).ok_or(())?;
        let addr = try_get(memory, at, 8)?;
        let len = try_get(memory, at + 8, 4)?;
        let flags = u16::try_from(try_get(memory, at + 12, 2)?).map_err(drop)?;
        addr.checked_add(len).ok_or(())?;
        if flags & INDIRECT != 0 {
            let is_table = len != 0 && len % 16 == 0;
            if is_indirect || !self.has_indirect || flags & NEXT != 0 || !is_table {
                return Err(());
            }
            return self.follow(memory, (addr, len / 16), 0, before, true);
        }
        let is_writable = flags & WRITE != 0;
        let goes_back = !is_writable && before.iter().any(|buffer| buffer.2);
        let total: u64 = before.iter().map(|buffer| u64::from(buffer.1)).sum();
        if before.len() >= self.setup.size.into() || goes_back || total + len > 0xFFFF_FFFF {
            return Err(());
        }
        before.push((addr, u32::try_from(len).map_err(drop)?, is_writable));
        if flags & NEXT == 0 {
            return Ok(before);
        }
        let next = try_get(memory, at + 14, 2)?;
        self.follow(memory, table, next, before, is_indirect)
    }
}

/// Sets the queue up anew, mostly in a way that can be.
fn start(bytes: &mut Bytes<'_>, queue: &mut Queue, model: &mut Model, memory: &WordMemory<'_>) {
    let what = bytes.byte();
    let mut setup = QueueSetup {
        size: 1 << (what & 7).min(5),
        descriptors: Gpa::new(BASE),
        available: Gpa::new(BASE + 0x200),
        used: Gpa::new(BASE + 0x240),
    };
    if what & 0x80 != 0 {
        setup.size = setup.size.wrapping_add(u16::from(bytes.byte()));
        setup.descriptors = Gpa::new(BASE.wrapping_add(bytes.number()));
        setup.available = Gpa::new(BASE.wrapping_add(bytes.number()));
        setup.used = Gpa::new(BASE.wrapping_add(bytes.number()));
    }
    let mut features = Features::empty();
    features.set(Features::INDIRECT_DESC, what & 8 != 0);
    features.set(Features::EVENT_IDX, what & 16 != 0);
    queue.reset();
    queue.set_up(setup);
    assert_eq!(queue.setup(), setup);
    let fits = |gpa: Gpa, alignment: u64, size_bytes: u64| {
        gpa.is_aligned(alignment) && gpa.as_u64().checked_add(size_bytes).is_some()
    };
    let entries = u64::from(setup.size);
    let can_be = setup.size.count_ones() == 1
        && setup.size <= MOST
        && fits(setup.descriptors, 16, 16 * entries)
        && fits(setup.available, 2, 6 + 2 * entries)
        && fits(setup.used, 4, 6 + 8 * entries);
    assert_eq!(queue.enable(features).is_ok(), can_be);
    assert_eq!(queue.is_enabled(), can_be);
    *model = Model {
        setup,
        is_enabled: can_be,
        has_indirect: what & 8 != 0,
        has_events: what & 16 != 0,
        ..Model::default()
    };
    // As a driver does.
    put(memory, setup.available.as_u64(), &[0; 4]);
    put(memory, setup.used.as_u64(), &[0; 4]);
}

/// Writes a descriptor to the table, or to where indirect tables are.
fn write_descriptor(bytes: &mut Bytes<'_>, model: &Model, memory: &WordMemory<'_>) {
    let (what, index) = (bytes.byte(), u64::from(bytes.byte() % 16));
    let table = if what & 1 == 0 { model.setup.descriptors.as_u64() } else { BASE + 0x400 };
    let addr = match what >> 1 & 3 {
        0 | 1 => BASE + 0x500 + 8 * u64::from(bytes.byte()),
        2 => BASE + 0x400 + 16 * u64::from(bytes.byte() % 4),
        _ => bytes.number(),
    };
    let len = match what >> 3 & 3 {
        0 | 1 => u64::from(bytes.byte()),
        2 => 16 * u64::from(bytes.byte() % 20),
        _ => bytes.number(),
    };
    let next = u16::from(bytes.byte() % 20);
    let mut descriptor = addr.to_le_bytes().to_vec();
    descriptor.extend(&len.to_le_bytes()[..4]);
    descriptor.extend(u16::from(what >> 5).to_le_bytes());
    descriptor.extend(next.to_le_bytes());
    put(memory, table.wrapping_add(16 * index), &descriptor);
}

fn pop(queue: &mut Queue, model: &mut Model, memory: &WordMemory<'_>) {
    let mut before = contents(memory);
    let expected = model.next(memory);
    let found = queue.pop(memory);
    match (&expected, found) {
        (Ok(None), Ok(None)) => {
            if model.is_enabled && model.has_events {
                // It asks to be told of the next chain.
                let end = model.setup.used.as_u64() + 4 + 8 * u64::from(model.setup.size);
                patch(&mut before, end, &model.next_available.to_le_bytes());
            }
        }
        (Ok(Some((head, buffers))), Ok(Some(chain))) => {
            assert_eq!(chain.head, *head);
            model.next_available = model.next_available.wrapping_add(1);
            model.taken.push_back(*head);
            check_buffers(&chain, buffers, &mut before, memory);
        }
        // Where the used ring is not in memory nobody can be told.
        (Ok(None), Err(_)) if model.has_events => {}
        (expected, found) => {
            assert!(expected.is_err() && found.is_err(), "{expected:?}, but {found:?}");
        }
    }
    assert!(contents(memory) == before, "memory is not what it has to be");
}

/// Reads and writes what a chain has, as one run of bytes.
fn check_buffers(chain: &Chain, buffers: &[Buffer], before: &mut [u8], memory: &WordMemory<'_>) {
    let of = |is_writable| {
        let of = buffers.iter().filter(move |buffer| buffer.2 == is_writable);
        of.map(|buffer| (buffer.0, buffer.1)).collect::<Vec<_>>()
    };
    for (run, buffers) in [(&chain.readable, of(false)), (&chain.writable, of(true))] {
        let segments = run.segments().iter().map(|one| (one.gpa.as_u64(), one.size_bytes));
        assert_eq!(segments.collect::<Vec<_>>(), buffers);
        let total: u64 = buffers.iter().map(|buffer| u64::from(buffer.1)).sum();
        assert_eq!(run.size_bytes(), total);
        let places = buffers.iter().flat_map(|&(at, len)| (0..u64::from(len)).map(move |i| at + i));
        assert!(run.read(total, &mut [0], memory).is_err());
        // What is longer than memory is not all there.
        let Ok(size) = usize::try_from(total) else { continue };
        if size > 4 * SIZE {
            continue;
        }
        let places: Vec<_> = places.collect();
        let there: Vec<_> = places.iter().map(|at| before.get(offset(*at)).copied()).collect();
        let mut read = vec![0; size];
        let result = run.read(0, &mut read, memory);
        let expected: Option<Vec<_>> = there.iter().copied().collect();
        assert_eq!(result.is_ok(), expected.is_some());
        if let Some(expected) = expected {
            assert_eq!(read, expected);
            let at = total / 3;
            let (first, second) = run.clone().split_at(at).expect("it is not longer");
            let mut parts = vec![0; size];
            let (one, other) = parts.split_at_mut(size / 3);
            first.read(0, one, memory).expect("it was read before");
            second.read(0, other, memory).expect("it was read before");
            assert_eq!(parts, expected);
        }
    }
    // Written only if all of it is there: of the rest it is not said how much is.
    let places = of(true);
    let total = chain.writable.size_bytes();
    let are_there = places
        .iter()
        .all(|&(at, len)| at >= BASE && at.saturating_add(len.into()) <= BASE + SIZE as u64);
    if are_there && total <= SIZE as u64 {
        let size = usize::try_from(total).unwrap_or(0);
        chain.writable.write(0, &vec![0xEE; size], memory).expect("it is there");
        for (at, len) in places {
            patch(before, at, &vec![0xEE; len as usize]);
        }
    }
}

fn push(bytes: &mut Bytes<'_>, queue: &mut Queue, model: &mut Model, memory: &WordMemory<'_>) {
    let written = u32::from(bytes.byte());
    let Some(head) = model.taken.pop_front() else { return };
    let mut after = contents(memory);
    let setup = model.setup;
    let (used, size) = (setup.used.as_u64(), u64::from(setup.size));
    let slot = u64::from(model.next_used) % size;
    let entry = [u32::from(head).to_le_bytes(), written.to_le_bytes()].concat();
    let is_there = |at: u64, count: u64| at >= BASE && at + count <= BASE + SIZE as u64;
    let pushed = queue.push(head, written, memory);
    if !is_there(used + 4 + 8 * slot, 8) || !is_there(used + 2, 2) {
        assert!(pushed.is_err());
        // The driver is at fault: nothing more is to be known.
        *model = Model::default();
        queue.reset();
        return;
    }
    patch(&mut after, used + 4 + 8 * slot, &entry);
    let before = model.next_used;
    model.next_used = before.wrapping_add(1);
    patch(&mut after, used + 2, &model.next_used.to_le_bytes());
    assert!(contents(memory) == after, "memory is not what it has to be");
    let available = setup.available.as_u64();
    let wanted = match model.has_events {
        true => try_get(memory, available + 4 + 2 * size, 2).map(|event| event == before.into()),
        false => try_get(memory, available, 2).map(|flags| flags & 1 == 0),
    };
    assert_eq!(pushed.map_err(drop), wanted);
}

fn offset(at: u64) -> usize {
    at.checked_sub(BASE).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
}

fn contents(memory: &WordMemory<'_>) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    memory.read(Gpa::new(BASE), &mut bytes).expect("it is there");
    bytes
}

/// Writes where there is memory; a driver can't elsewhere.
fn put(memory: &WordMemory<'_>, at: u64, bytes: &[u8]) {
    let _ = memory.write(Gpa::new(at), bytes);
}

fn patch(memory: &mut [u8], at: u64, bytes: &[u8]) {
    if let Some(place) = memory.get_mut(offset(at)..).and_then(|rest| rest.get_mut(..bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

fn get(memory: &WordMemory<'_>, at: u64, count: usize) -> u64 {
    try_get(memory, at, count).unwrap_or(0)
}

fn try_get(memory: &WordMemory<'_>, at: u64, count: usize) -> Result<u64, ()> {
    let mut bytes = [0; 8];
    memory.read(Gpa::new(at), &mut bytes[..count]).map_err(drop)?;
    Ok(u64::from_le_bytes(bytes))
}
