//! The configuration device, from bytes: port accesses and DMA descriptors, against a model that
//! knows items as bytes and memory as bytes.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use fw_cfg::{FwCfg, Key};
use guest_state::{Gpa, GuestMemory, WordMemory};

use crate::Bytes;

const BASE: u64 = 0x1000;
const SIZE: usize = 0x800;

const ERROR: u32 = 1;
const READ: u32 = 2;
const SKIP: u32 = 4;
const SELECT: u32 = 8;
const WRITE: u32 = 16;

/// Does with the device what `data` says: a byte for each step, and what the step takes.
///
/// After each step the guest's memory is what the model has, and so are registers and files.
///
/// # Panics
/// If the device does what `docs/specs/fw_cfg.rst` of QEMU does not say.
pub fn fw_cfg_dma(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let words: Vec<AtomicU64> =
        (0..SIZE / 8).map(|_| AtomicU64::new(0x5555_5555_5555_5555)).collect();
    let memory = WordMemory::new(Gpa::new(BASE), &words);
    let mut device = FwCfg::builder()
        .item(Key::UUID, [0xA5; 16].to_vec())
        .and_then(|device| device.file("a/long", (0..=255).collect::<Vec<u8>>()))
        .and_then(|device| device.file("b/empty", Vec::new()))
        .and_then(|device| device.writable_file("c/writable", vec![0xC3; 40]))
        .expect("these can be")
        .build();
    let mut model = Model::new();
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 => {
                let key = key(&mut bytes);
                assert!(device.write(0x510, &key.to_le_bytes()).is_none());
                model.select(key);
            }
            1 => {
                let mut buffer = vec![0x77; usize::from(bytes.byte())];
                device.read_data(&mut buffer);
                assert_eq!(buffer, model.take(buffer.len()));
            }
            2..=4 => dma(&mut bytes, &mut device, &memory, &mut model),
            5 => {
                let port = 0x50E + u16::from(bytes.byte() % 18);
                let value: Vec<u8> = (0..bytes.byte() % 9).map(|_| bytes.byte()).collect();
                let transfer = device.write(port, &value);
                assert_eq!(transfer.is_some(), port == 0x518 && value.len() == 4);
                model.write(port, &value);
                if let Some(transfer) = transfer {
                    let at = u64::from(std::mem::take(&mut model.high)) << 32 | be(&value);
                    assert_eq!(transfer.descriptor().as_u64(), at);
                    device.dma(transfer, &memory);
                    model.dma(at, &contents(&memory));
                }
            }
            6 => {
                let port = 0x50E + u16::from(bytes.byte() % 18);
                let mut buffer = vec![0x77; usize::from(bytes.byte() % 9)];
                device.read(port, &mut buffer);
                assert_eq!(buffer, model.read(port, buffer.len()));
            }
            _ => {
                device.reset();
                model.select(0);
                model.high = 0;
            }
        }
        assert!(contents(&memory) == model.memory, "memory is not what the model has");
    }
    check_files(&mut device, &model);
}

/// A key: mostly one of an item, with the bit that means nothing at times.
fn key(bytes: &mut Bytes<'_>) -> u16 {
    let byte = bytes.byte();
    let key = [0, 1, 2, 0x19, 0x20, 0x21, 0x22, 0x23][usize::from(byte % 8)];
    match byte >> 6 {
        0 => key | 0x4000,
        1 => key | u16::from(bytes.byte()) << 8,
        _ => key,
    }
}

/// Puts a descriptor into memory, if there is room where it goes, and starts the transfer.
fn dma(bytes: &mut Bytes<'_>, device: &mut FwCfg<'_>, memory: &WordMemory<'_>, model: &mut Model) {
    let place = |bytes: &mut Bytes<'_>| match bytes.byte() % 8 {
        0 => bytes.number(),
        1 => BASE + SIZE as u64 - u64::from(bytes.byte() % 32),
        2 => BASE - u64::from(bytes.byte() % 32),
        _ => BASE + u64::from(bytes.byte()) * 8 + u64::from(bytes.byte() % 4),
    };
    let at = place(bytes);
    let flags = u32::from(bytes.byte() % 32);
    let key = if flags & SELECT != 0 { key(bytes) } else { 0 };
    let control = u32::from(key) << 16 | flags;
    let length = match bytes.byte() % 8 {
        0 => (bytes.number() & 0xFFFF_FFFF) as u32,
        _ => bytes.byte().into(),
    };
    let address = place(bytes);
    let descriptor =
        [&control.to_be_bytes()[..], &length.to_be_bytes(), &address.to_be_bytes()].concat();
    if memory.write(Gpa::new(at), &descriptor).is_ok() {
        model.put(at, &descriptor);
    }
    let [high, low] = [(at >> 32) as u32, at as u32].map(u32::to_be_bytes);
    assert!(device.write(0x514, &high).is_none());
    let transfer = device.write(0x518, &low).expect("a transfer is started");
    model.high = 0;
    assert_eq!(transfer.descriptor().as_u64(), at);
    device.dma(transfer, memory);
    model.dma(at, &contents(memory));
}

fn contents(memory: &WordMemory<'_>) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    memory.read(Gpa::new(BASE), &mut bytes).expect("all of it is there");
    bytes
}

/// The directory leads to each file, by the key that it gives, and to nothing else.
fn check_files(device: &mut FwCfg<'_>, model: &Model) {
    let mut read = |key: u16, count: usize| {
        device.select(Key(key));
        let mut bytes = vec![0; count];
        device.read_data(&mut bytes);
        bytes
    };
    let directory = read(0x19, 4 + 3 * 64 + 8);
    assert_eq!(directory[..4], 3_u32.to_be_bytes());
    assert_eq!(directory[4 + 3 * 64..], [0; 8]);
    let names = ["a/long", "b/empty", "c/writable"];
    for ((entry, name), key) in directory[4..].chunks(64).zip(names).zip(0x20..) {
        let file = &model.items[&key];
        assert_eq!(be(&entry[..4]), file.len() as u64);
        assert_eq!(be(&entry[4..6]), u64::from(key));
        assert_eq!(entry[8..].split(|byte| *byte == 0).next(), Some(name.as_bytes()));
        assert_eq!(&read(key, file.len()), file);
    }
    for name in names {
        assert_eq!(device.file(name), model.items.get(&key_of(name)).map(Vec::as_slice));
    }
    assert_eq!(model.items[&0x20], (0..=255).collect::<Vec<u8>>());
}

fn key_of(name: &str) -> u16 {
    0x20 + u16::from(name.as_bytes()[0] - b'a')
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What the device and the memory should be.
struct Model {
    /// Bytes by key.
    items: BTreeMap<u16, Vec<u8>>,
    selected: u16,
    offset: usize,
    high: u32,
    memory: Vec<u8>,
}

impl Model {
    fn new() -> Self {
        let mut directory = 3_u32.to_be_bytes().to_vec();
        for (name, length, key) in
            [("a/long", 256, 0x20), ("b/empty", 0, 0x21), ("c/writable", 40, 0x22)]
        {
            directory.extend(u32::to_be_bytes(length));
            directory.extend([0, key, 0, 0]);
            directory.extend(name.as_bytes());
            directory.resize(directory.len().next_multiple_of(64) + 4, 0);
        }
        let items = [
            (0, b"QEMU".to_vec()),
            (1, vec![3, 0, 0, 0]),
            (2, vec![0xA5; 16]),
            (0x19, directory),
            (0x20, (0..=255).collect()),
            (0x21, Vec::new()),
            (0x22, vec![0xC3; 40]),
        ];
        let (selected, offset, high, memory) = (0, 0, 0, vec![0x55; SIZE]);
        Self { items: items.into(), selected, offset, high, memory }
    }

    fn select(&mut self, key: u16) {
        (self.selected, self.offset) = (key & !0x4000, 0);
    }

    /// The next bytes of the item, then zeros.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let item = self.items.get(&self.selected).map_or(&[][..], Vec::as_slice);
        let bytes = (self.offset..self.offset + count).map(|at| item.get(at).copied().unwrap_or(0));
        let bytes = bytes.collect();
        self.offset = (self.offset + count).min(item.len());
        bytes
    }

    fn write(&mut self, port: u16, value: &[u8]) {
        match (port, value.len()) {
            (0x510, 2) => self.select(u16::from_le_bytes([value[0], value[1]])),
            (0x514, 4) => self.high = be(value) as u32,
            _ => {}
        }
    }

    fn read(&mut self, port: u16, width: usize) -> Vec<u8> {
        match port {
            0x510 | 0x511 if width == 1 => self.take(1),
            0x514..0x51C if usize::from(port) + width <= 0x51C => {
                let first = usize::from(port - 0x514);
                b"QEMU CFG"[first..first + width].to_vec()
            }
            _ => vec![0xFF; width],
        }
    }

    /// Where so many bytes are in memory, if all of them are.
    fn at(&self, gpa: u64, length: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(gpa.checked_sub(BASE)?).ok()?;
        (start.checked_add(length)? <= SIZE).then_some(start..start + length)
    }

    fn put(&mut self, gpa: u64, bytes: &[u8]) {
        let place = self.at(gpa, bytes.len()).expect("it was written");
        self.memory[place].copy_from_slice(bytes);
    }

    /// A transfer, after which memory is `after`.
    fn dma(&mut self, descriptor: u64, after: &[u8]) {
        let is_well = match self.at(descriptor, 16) {
            Some(place) => {
                let fields = self.memory[place].to_vec();
                let [control, length] = [0, 4].map(|at| be(&fields[at..at + 4]) as u32);
                self.transfer(control, length, be(&fields[8..]), descriptor, after)
            }
            None => false,
        };
        if self.at(descriptor, 4).is_some() {
            self.put(descriptor, &if is_well { 0 } else { ERROR }.to_be_bytes());
        }
    }

    /// Whether it goes well.
    fn transfer(
        &mut self,
        control: u32,
        length: u32,
        address: u64,
        own: u64,
        after: &[u8],
    ) -> bool {
        if control & SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        let count = length as usize;
        if count == 0 {
            return true;
        }
        if control & READ != 0 {
            let left = self.items.get(&self.selected).map_or(0, |item| item.len() - self.offset);
            let is_there = self.at(address, count).is_some();
            // Past its end an item gives zeros, but no endless ones.
            if is_there && count.saturating_sub(left) <= 1 << 20 {
                let bytes = self.take(count);
                self.put(address, &bytes);
                return true;
            }
            // What is refused may have begun: in the range that was asked for, and nowhere else.
            let (start, control) = (u128::from(address), own.wrapping_sub(BASE));
            for (place, (byte, now)) in self.memory.iter_mut().zip(after).enumerate() {
                let gpa = u128::from(BASE) + place as u128;
                let is_own = (control..control.saturating_add(4)).contains(&(place as u64));
                if (start..start + u128::from(length)).contains(&gpa) && !is_own {
                    *byte = *now;
                }
            }
            return false;
        }
        if control & WRITE != 0 {
            let source = self.at(address, count).map(|place| self.memory[place].to_vec());
            let item = self.items.get_mut(&self.selected).filter(|_| self.selected == 0x22);
            let place = item.and_then(|item| item.get_mut(self.offset..self.offset + count));
            let (Some(bytes), Some(place)) = (source, place) else { return false };
            place.copy_from_slice(&bytes);
            self.offset += count;
        } else if control & SKIP != 0 {
            let length = self.items.get(&self.selected).map_or(0, Vec::len);
            self.offset = self.offset.saturating_add(count).min(length);
        }
        true
    }
}
