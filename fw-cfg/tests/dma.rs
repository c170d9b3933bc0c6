//! Transfers, as QEMU's `docs/specs/fw_cfg.rst` says them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fw_cfg::{FwCfg, Key};
use guest_state::{Gpa, GuestMemory, WordMemory};
use proptest::prelude::*;

const ERROR: u32 = 1 << 0;
const READ: u32 = 1 << 1;
const SKIP: u32 = 1 << 2;
const SELECT: u32 = 1 << 3;
const WRITE: u32 = 1 << 4;

/// Where memory starts, how long it is, and where the descriptor lies.
const BASE: u64 = 0x1000;
const SIZE: usize = 0x1000;
const DESCRIPTOR: u64 = BASE + 0x800;

struct Guest<'a> {
    memory: WordMemory<'a>,
    device: FwCfg<'static>,
}

/// Runs a test on memory full of 0x55 and a device with two files: 0x20 "ro", 0x21 "rw".
fn with_guest(test: impl FnOnce(&mut Guest<'_>)) {
    let words: Vec<AtomicU64> =
        (0..SIZE / 8).map(|_| AtomicU64::new(0x5555_5555_5555_5555)).collect();
    let device = FwCfg::builder()
        .file("ro", b"read-only".to_vec())
        .unwrap()
        .writable_file("rw", b"writable".to_vec())
        .unwrap()
        .build();
    let memory = WordMemory::new(Gpa::new(BASE), &words);
    test(&mut Guest { memory, device });
}

impl Guest<'_> {
    /// Puts a descriptor into memory.
    fn describe(&self, at: u64, control: u32, length: u32, address: u64) {
        let fields: [&[u8]; 3] =
            [&control.to_be_bytes(), &length.to_be_bytes(), &address.to_be_bytes()];
        self.memory.write(Gpa::new(at), &fields.concat()).unwrap();
    }

    /// Starts what the descriptor says.
    fn trigger(&mut self, at: u64) {
        let [high @ .., a, b, c, d] = at.to_be_bytes();
        if high != [0; 4] {
            assert!(self.device.write(0x514, &high).is_none());
        }
        let transfer = self.device.write(0x518, &[a, b, c, d]).unwrap();
        self.device.dma(transfer, &self.memory);
    }

    /// Does a whole transfer and returns the control field afterwards.
    fn transfer(&mut self, control: u32, length: u32, address: u64) -> u32 {
        self.describe(DESCRIPTOR, control, length, address);
        self.trigger(DESCRIPTOR);
        let mut after = [0; 4];
        self.memory.read(Gpa::new(DESCRIPTOR), &mut after).unwrap();
        u32::from_be_bytes(after)
    }

    fn bytes<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.read(Gpa::new(at), &mut bytes).unwrap();
        bytes
    }
}

const fn select(key: u32) -> u32 {
    key << 16 | SELECT
}

#[test]
fn a_read_copies_the_item_and_clears_the_control_field() {
    with_guest(|guest| {
        assert_eq!(guest.transfer(select(0x20) | READ, 9, BASE), 0);
        assert_eq!(&guest.bytes(BASE), b"read-onlyUUU");
    });
}

#[test]
fn transfers_without_selection_go_on_where_the_last_one_ended() {
    with_guest(|guest| {
        guest.device.select(Key(0x20));
        assert_eq!(guest.transfer(READ, 2, BASE), 0);
        assert_eq!(guest.transfer(SKIP, 3, 0), 0);
        assert_eq!(guest.transfer(READ, 2, BASE + 2), 0);
        assert_eq!(&guest.bytes(BASE), b"reonU");
        let mut rest = [0; 3];
        guest.device.read_data(&mut rest);
        assert_eq!(&rest, b"ly\0");
    });
}

#[test]
fn a_selection_alone_selects() {
    with_guest(|guest| {
        assert_eq!(guest.transfer(select(0x21), 0, 0), 0);
        let mut first = [0];
        guest.device.read_data(&mut first);
        assert_eq!(&first, b"w");
    });
}

#[test]
fn reads_past_the_end_give_zeros() {
    with_guest(|guest| {
        assert_eq!(guest.transfer(select(0x20) | READ, 12, BASE), 0);
        assert_eq!(&guest.bytes(BASE), b"read-only\0\0\0U");
        assert_eq!(guest.transfer(READ, 2, BASE), 0);
        assert_eq!(&guest.bytes(BASE), b"\0\0ad");
        assert_eq!(guest.transfer(select(0x77) | READ, 2, BASE + 2), 0);
        assert_eq!(&guest.bytes(BASE), b"\0\0\0\0-");
    });
}

#[test]
fn a_writable_file_is_overwritten_in_place() {
    with_guest(|guest| {
        guest.memory.write(Gpa::new(BASE), b"WXYZ").unwrap();
        assert_eq!(guest.transfer(select(0x21) | SKIP, 2, 0), 0);
        assert_eq!(guest.transfer(WRITE, 4, BASE), 0);
        assert_eq!(guest.device.file("rw"), Some(&b"wrWXYZle"[..]));
        assert_eq!(guest.transfer(WRITE, 2, BASE), 0);
        assert_eq!(guest.device.file("rw"), Some(&b"wrWXYZWX"[..]));
        assert_eq!(guest.transfer(WRITE, 1, BASE), ERROR);
    });
}

#[test]
fn writes_that_do_not_fit_or_are_not_allowed_are_dropped_whole() {
    with_guest(|guest| {
        assert_eq!(guest.transfer(select(0x21) | WRITE, 9, BASE), ERROR);
        assert_eq!(guest.transfer(select(0x21) | WRITE, u32::MAX, BASE), ERROR);
        assert_eq!(guest.transfer(select(0x20) | WRITE, 1, BASE), ERROR);
        assert_eq!(guest.transfer(select(0x4020) | WRITE, 1, BASE), ERROR);
        assert_eq!(guest.transfer(select(0x00) | WRITE, 1, BASE), ERROR);
        assert_eq!(guest.transfer(select(0x19) | WRITE, 1, BASE), ERROR);
        assert_eq!(guest.transfer(select(0x77) | WRITE, 1, BASE), ERROR);
        assert_eq!(guest.device.file("rw"), Some(&b"writable"[..]));
        assert_eq!(guest.device.file("ro"), Some(&b"read-only"[..]));
    });
}

#[test]
fn reading_comes_before_writing_and_writing_before_skipping() {
    with_guest(|guest| {
        assert_eq!(guest.transfer(select(0x21) | READ | WRITE | SKIP, 2, BASE), 0);
        assert_eq!(&guest.bytes(BASE), b"wrU");
        guest.memory.write(Gpa::new(BASE), b"Z").unwrap();
        assert_eq!(guest.transfer(select(0x21) | WRITE | SKIP, 1, BASE), 0);
        assert_eq!(guest.device.file("rw"), Some(&b"Zritable"[..]));
    });
}

#[test]
fn the_descriptor_may_lie_above_4_gib_and_the_register_is_zero_afterwards() {
    let words = [const { AtomicU64::new(0) }; 8];
    let high = WordMemory::new(Gpa::new(0x2_0000_0000), &words);
    with_guest(|guest| {
        let descriptor: [&[u8]; 3] =
            [&(select(0x20) | READ).to_be_bytes(), &[0, 0, 0, 4], &[0, 0, 0, 2, 0, 0, 0, 32]];
        high.write(Gpa::new(0x2_0000_0000), &descriptor.concat()).unwrap();
        assert!(guest.device.write(0x514, &[0, 0, 0, 2]).is_none());
        let transfer = guest.device.write(0x518, &[0; 4]).unwrap();
        assert_eq!(transfer.descriptor(), Gpa::new(0x2_0000_0000));
        guest.device.dma(transfer, &high);
        let mut bytes = [0; 4];
        high.read(Gpa::new(0x2_0000_0020), &mut bytes).unwrap();
        assert_eq!(&bytes, b"read");
        // The high half has to be written again.
        let transfer = guest.device.write(0x518, &[0, 0, 0, 8]).unwrap();
        assert_eq!(transfer.descriptor(), Gpa::new(8));
    });
}

#[test]
fn a_descriptor_need_not_be_aligned() {
    with_guest(|guest| {
        guest.describe(DESCRIPTOR + 1, select(0x20) | READ, 4, BASE);
        guest.trigger(DESCRIPTOR + 1);
        assert_eq!(&guest.bytes(BASE), b"readU");
        assert_eq!(guest.bytes(DESCRIPTOR + 1), [0; 4]);
    });
}

#[test]
fn addresses_outside_memory_set_the_error_bit() {
    with_guest(|guest| {
        for address in [0, BASE + SIZE as u64 - 4, u64::MAX, u64::MAX - 8, 1 << 63] {
            assert_eq!(guest.transfer(select(0x20) | READ, 9, address), ERROR);
            assert_eq!(guest.transfer(select(0x21) | WRITE, 8, address), ERROR);
        }
        assert_eq!(guest.transfer(select(0x77) | READ, 1, u64::MAX), ERROR);
        assert_eq!(guest.transfer(select(0x77) | READ, 0x2000, BASE), ERROR);
    });
}

#[test]
fn a_descriptor_outside_memory_does_nothing() {
    with_guest(|guest| {
        guest.device.select(Key(0x21));
        let before = guest.device.clone();
        for at in [0, BASE - 1, BASE + SIZE as u64 - 15, u64::MAX, u64::MAX - 15] {
            guest.trigger(at);
        }
        assert_eq!(guest.device, before);
        // The control field alone can be reached, and says so.
        guest.trigger(BASE + SIZE as u64 - 8);
        assert_eq!(guest.bytes(BASE + SIZE as u64 - 8), [0, 0, 0, 1]);
    });
}

#[test]
fn a_read_gives_a_mebibyte_of_zeros_and_no_more() {
    const MIB: u64 = 1 << 20;
    let words: Vec<AtomicU64> = (0..3 * MIB / 8).map(|_| AtomicU64::new(u64::MAX)).collect();
    let memory = WordMemory::new(Gpa::new(0), &words);
    let mut device = FwCfg::builder().file("f", b"abc").unwrap().build();
    let mut read = |length: u32| {
        let descriptor: [&[u8]; 3] =
            [&(select(0x20) | READ).to_be_bytes(), &length.to_be_bytes(), &MIB.to_be_bytes()];
        memory.write(Gpa::new(0), &descriptor.concat()).unwrap();
        let transfer = device.write(0x518, &[0; 4]).unwrap();
        device.dma(transfer, &memory);
        let mut control = [0; 4];
        memory.read(Gpa::new(0), &mut control).unwrap();
        u32::from_be_bytes(control)
    };
    let ones = |word: &AtomicU64| word.load(Relaxed) == u64::MAX;
    for length in [u32::MAX, 1 << 31, (1 << 20) + 4] {
        assert_eq!(read(length), ERROR);
        assert!(words[2..].iter().all(ones), "{length:#x}");
    }
    assert_eq!(read((1 << 20) + 3), 0);
    let mut bytes = vec![1; (1 << 20) + 4];
    memory.read(Gpa::new(MIB), &mut bytes).unwrap();
    assert_eq!(&bytes[..3], b"abc");
    assert!(bytes[3..(1 << 20) + 3].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[(1 << 20) + 3], 0xFF);
    assert!(words[(2 << 20) / 8 + 1..].iter().all(ones));
}

/// The device as the specification tells it, on plain vectors.
struct Model {
    memory: Vec<u8>,
    ro: Vec<u8>,
    rw: Vec<u8>,
    key: u16,
    offset: usize,
}

impl Model {
    fn item(&mut self) -> Option<&mut Vec<u8>> {
        match self.key & 0xBFFF {
            0x20 => Some(&mut self.ro),
            0x21 => Some(&mut self.rw),
            _ => None,
        }
    }

    /// Carries a transfer out and returns the control field.
    fn transfer(&mut self, control: u32, length: u32, address: u64) -> u32 {
        if control & SELECT != 0 {
            self.key = (control >> 16) as u16;
            self.offset = 0;
        }
        let length = length as usize;
        let offset = self.offset;
        let len = self.item().map_or(0, |item| item.len());
        let place = usize::try_from(address.wrapping_sub(BASE))
            .ok()
            .filter(|place| place.saturating_add(length) <= self.memory.len());
        if length == 0 {
            return 0;
        }
        let advanced = offset.saturating_add(length).min(len);
        if control & READ != 0 {
            let Some(place) = place else { return ERROR };
            for i in 0..length {
                let byte = self.item().and_then(|item| item.get(offset + i).copied());
                self.memory[place + i] = byte.unwrap_or(0);
            }
        } else if control & WRITE != 0 {
            let (Some(place), true) = (place, self.key & 0xBFFF == 0x21) else {
                return ERROR;
            };
            if offset + length > len {
                return ERROR;
            }
            let bytes = self.memory[place..place + length].to_vec();
            self.rw[offset..offset + length].copy_from_slice(&bytes);
        } else if control & SKIP == 0 {
            return 0;
        }
        self.offset = advanced;
        0
    }
}

fn any_length() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..20, 1 => any::<u32>()]
}

fn any_address() -> impl Strategy<Value = u64> {
    // Below the descriptor, so that a transfer can't change the next one, and across both ends.
    prop_oneof![6 => BASE..BASE + 0x600, 1 => BASE - 16..BASE, 1 => any::<u64>()]
}

proptest! {
    #[test]
    fn any_transfers_do_what_the_specification_says(
        transfers in prop::collection::vec(
            (0_u32..32, 0x1E_u32..0x24, any_length(), any_address()),
            1..30,
        ),
    ) {
        with_guest(|guest| {
            let mut model = Model {
                memory: vec![0x55; SIZE],
                ro: b"read-only".to_vec(),
                rw: b"writable".to_vec(),
                key: 0,
                offset: 0,
            };
            // The model has no item 0, 0x1E or 0x1F; the device has a signature to begin with.
            guest.device.select(Key(0x1F));
            for (flags, key, length, address) in transfers {
                let control = key << 16 | flags;
                let expected = model.transfer(control, length, address);
                assert_eq!(guest.transfer(control, length, address), expected);
                assert_eq!(guest.device.file("rw").unwrap(), model.rw);
                if expected == 0 {
                    let memory: [u8; 0x800] = guest.bytes(BASE);
                    assert_eq!(memory, model.memory[..0x800]);
                } else {
                    // How much of a failed transfer was carried out is not said.
                    model.memory[..0x800].copy_from_slice(&guest.bytes::<0x800>(BASE));
                }
            }
        });
    }
}
