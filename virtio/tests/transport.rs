//! A device as a PCI function: configuration space, features, status, interrupts.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    ACKNOWLEDGE, BASE, DRIVER, DRIVER_OK, Driver, EVENT_IDX, FEATURES_OK, INDIRECT_DESC,
    MEMORY_BYTES, NEEDS_RESET, VERSION_1, memory, words,
};
use guest_state::{Gpa, GpaRange};
use virtio::{Blk, BlkConfig, Effect, Error, Rng, RngRequest, VirtioPci};

const DATA: u64 = BASE + 0x1_0000;
const ALL: u8 = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

fn rng() -> Driver<Rng> {
    Driver::find(VirtioPci::new(Rng))
}

fn config(function: &mut VirtioPci<Rng>, register: u8, size: usize) -> u32 {
    let mut bytes = [0; 4];
    function.config_read(register, &mut bytes[..size]);
    u32::from_le_bytes(bytes)
}

#[test]
fn the_function_says_who_it_is() {
    let mut function = VirtioPci::new(Rng);
    assert_eq!(config(&mut function, 0x00, 4), 0x1044_1AF4);
    assert_eq!(config(&mut function, 0x08, 4), 0xFF00_0001);
    assert_eq!(config(&mut function, 0x2C, 4), 0x1044_1AF4);
    assert_eq!(config(&mut function, 0x3C, 2), 0x0100, "INTA#");
    let disk = Blk::new(BlkConfig { sectors: 1, readonly: false, id: [0; 20] });
    let mut bytes = [0; 4];
    VirtioPci::new(disk).config_read(0, &mut bytes);
    assert_eq!(u32::from_le_bytes(bytes), 0x1042_1AF4);
}

#[test]
fn the_bar_is_sized_placed_and_switched_on() {
    let mut function = VirtioPci::new(Rng);
    assert_eq!(function.config_write(0x10, &[0xFF; 4]), Effect::None);
    assert_eq!(config(&mut function, 0x10, 4), 0xFFFF_C000);
    assert_eq!(function.config_write(0x10, &0xFEB0_1234_u32.to_le_bytes()), Effect::None);
    assert_eq!(config(&mut function, 0x10, 4), 0xFEB0_0000);
    assert_eq!(function.bar(), None);
    assert_eq!(function.config_write(0x04, &[2, 0]), Effect::None);
    let range = GpaRange::new(Gpa::new(0xFEB0_0000), 0x4000);
    assert_eq!(function.bar(), range);
    // The others have no bits.
    for register in [0x14, 0x18, 0x1C, 0x20, 0x24, 0x30] {
        assert_eq!(function.config_write(register, &[0xFF; 4]), Effect::None);
        assert_eq!(config(&mut function, register, 4), 0);
    }
    function.reset();
    assert_eq!((function.bar(), config(&mut function, 0x10, 4)), (None, 0));
    function.assign(0xFEB0_0000, 11);
    assert_eq!((function.bar(), config(&mut function, 0x3C, 1)), (range, 11));
}

#[test]
fn features_are_agreed_on_or_not() {
    let mut driver = rng();
    let offered = driver.offered();
    assert_eq!(offered, VERSION_1 | EVENT_IDX | INDIRECT_DESC);
    for (features, agreed) in [
        (VERSION_1, true),
        (offered, true),
        (0, false),
        (EVENT_IDX, false),
        (VERSION_1 | 1, false),
        (VERSION_1 | 1 << 63, false),
    ] {
        assert_eq!(driver.negotiate(features), agreed, "{features:#x}");
        // Without an agreement there is no start; with one there is no change of mind.
        let before = driver.status();
        let _ = driver.write(0x14, 1, ALL.into());
        assert_eq!(driver.status(), if agreed { ALL } else { before });
        driver.accept(0);
        assert_eq!(driver.read(0x0C, 4), if agreed { features >> 32 } else { 0 });
    }
    // Bits beyond the 64 are read as zero and not taken.
    let _ = driver.write(0x14, 1, 0);
    let _ = driver.write(0x00, 4, 2);
    assert_eq!(driver.read(0x04, 4), 0);
    let _ = driver.write(0x08, 4, 7);
    let _ = driver.write(0x0C, 4, 0xFFFF_FFFF);
    assert_eq!(driver.read(0x0C, 4), 0);
}

#[test]
fn nothing_is_taken_before_the_driver_is_ready() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    assert!(driver.negotiate(VERSION_1));
    let ring = common::Ring::at(memory, BASE, 8);
    driver.set_queue(0, 8, ring.desc, ring.avail, ring.used);
    ring.chain(0, &[(DATA, 16, true)]);
    ring.offer(0);
    assert!(driver.function.take_request(&memory).is_none());
    assert_eq!(driver.write(0x14, 1, ALL.into()), Effect::Requests);
    // Nor while it may not reach memory.
    assert_eq!(driver.function.config_write(0x04, &[2, 0]), Effect::None);
    assert!(driver.function.take_request(&memory).is_none());
    assert_eq!(driver.function.config_write(0x04, &[6, 0]), Effect::Requests);
    let request = driver.function.take_request(&memory).unwrap();
    driver.function.complete(request, &[7; 16], &memory);
    assert_eq!((ring.used_index(), ring.bytes(DATA, 16)), (1, vec![7; 16]));
}

#[test]
fn the_interrupt_is_a_level_that_reading_its_reason_ends() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    let ring = driver.start(VERSION_1, memory, BASE, 8);
    ring.chain(0, &[(DATA, 16, true)]);
    ring.offer(0);
    assert_eq!(driver.notify(0), Effect::Requests);
    let request = driver.function.take_request(&memory).unwrap();
    assert!(!driver.function.interrupt());
    driver.function.complete(request, &[1], &memory);
    assert!(driver.function.interrupt());
    assert_eq!(config(&mut driver.function, 0x06, 1) & 8, 8, "the status register tells, too");
    // Switched off, it is there all the same.
    assert_eq!(driver.function.config_write(0x04, &[6, 4]), Effect::None);
    assert!(!driver.function.interrupt());
    assert_eq!(config(&mut driver.function, 0x06, 1) & 8, 8);
    assert_eq!(driver.function.config_write(0x04, &[6, 0]), Effect::None);
    assert!(driver.function.interrupt());
    assert_eq!(driver.read_isr(), 1);
    assert!(!driver.function.interrupt());
    assert_eq!(driver.read_isr(), 0);
}

#[test]
fn the_window_in_configuration_space_shows_the_registers() {
    let mut driver = rng();
    let window = driver.window;
    let at = |driver: &mut Driver<Rng>, offset: u32, size: u32| {
        assert_eq!(driver.function.config_write(window + 8, &offset.to_le_bytes()), Effect::None);
        assert_eq!(driver.function.config_write(window + 12, &size.to_le_bytes()), Effect::None);
    };
    at(&mut driver, 0x14, 1);
    assert_eq!(driver.function.config_write(window + 16, &[ACKNOWLEDGE]), Effect::None);
    assert_eq!(driver.status(), ACKNOWLEDGE);
    assert_eq!(config(&mut driver.function, window + 16, 1), 1);
    at(&mut driver, 0x12, 2);
    assert_eq!(config(&mut driver.function, window + 16, 2), 1, "one queue");
    // Of a wider access the first bytes count; a narrower one, or one to another BAR, goes nowhere.
    assert_eq!(config(&mut driver.function, window + 16, 4), 1);
    assert_eq!(config(&mut driver.function, window + 16, 1), 0);
    at(&mut driver, 0x16, 2);
    assert_eq!(driver.function.config_write(window + 16, &[0x55, 0x66, 0x77, 0x88]), Effect::None);
    assert_eq!(driver.function.config_write(window + 16, &[0x99]), Effect::None);
    assert_eq!(driver.read(0x16, 2), 0x6655);
    at(&mut driver, 0x12, 2);
    assert_eq!(driver.function.config_write(window + 4, &[1]), Effect::None);
    assert_eq!(config(&mut driver.function, window + 16, 2), 0);
    for (offset, size) in [(0x14, 3), (0x15, 2), (u32::MAX, 1), (0x4000, 4), (0x3FFE, 4)] {
        assert_eq!(driver.function.config_write(window + 4, &[0]), Effect::None);
        at(&mut driver, offset, size);
        for width in [1, 2, 3, 4] {
            let _ = driver.function.config_write(window + 16, &[0xFF; 4][..width]);
            driver.function.config_read(window + 16, &mut [0; 4][..width]);
        }
    }
}

#[test]
fn a_queue_is_looked_at_again_when_it_is_reset_and_set_up_anew() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    for start in [BASE, BASE + 0x1000] {
        let ring = driver.start(VERSION_1, memory, start, 8);
        assert_eq!(driver.read(0x1C, 2), 1);
        ring.chain(0, &[(DATA, 4, true)]);
        ring.offer(0);
        let request = driver.function.take_request(&memory).unwrap();
        driver.function.complete(request, b"abcdef", &memory);
        assert_eq!((ring.used_index(), ring.used_at(0)), (1, (0, 4)));
        assert_eq!(ring.bytes(DATA, 6), b"abcd\0\0");
    }
}

#[test]
fn a_driver_that_breaks_a_rule_is_told_until_it_resets_the_device() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    let ring = driver.start(VERSION_1, memory, BASE, 8);
    ring.offer(9);
    assert!(driver.function.take_request(&memory).is_none());
    let error = Error::DescriptorIndex { index: 9, entries: 8 };
    assert_eq!(driver.function.error(), Some(error));
    assert_eq!(driver.status(), ALL | NEEDS_RESET);
    assert!(driver.function.interrupt());
    assert_eq!(driver.read_isr(), 2, "a change of the configuration");
    // It looks at nothing, and the bit can't be cleared but by a reset.
    ring.chain(0, &[(DATA, 4, true)]);
    ring.offer(0);
    ring.put_u16(ring.avail + 4, 0);
    assert!(driver.function.take_request(&memory).is_none());
    let _ = driver.write(0x14, 1, ALL.into());
    assert_eq!(driver.status(), ALL | NEEDS_RESET);
    let ring = driver.start(VERSION_1, memory, BASE + 0x1000, 8);
    assert_eq!(driver.function.error(), None);
    ring.offer(0);
    ring.chain(0, &[(DATA, 4, true)]);
    assert!(driver.function.take_request(&memory).is_some());
}

#[test]
fn a_queue_that_can_not_be_is_an_error() {
    let words = words();
    let ring = common::Ring::at(memory(&words), BASE, 8);
    for (size, desc) in [(3, ring.desc), (0, ring.desc), (128, ring.desc), (8, ring.desc + 1)] {
        let mut driver = rng();
        assert!(driver.negotiate(VERSION_1));
        driver.set_queue(0, size, desc, ring.avail, ring.used);
        assert_eq!(driver.read(0x1C, 2), 0);
        assert!(size == 3 || driver.read(0x18, 2) == u64::from(size));
        assert_eq!(driver.read(0x18, 2) == 0, size == 3 || size == 0, "a power of two, or none");
        assert_ne!(driver.status() & NEEDS_RESET, 0, "{size} at {desc:#x}");
        assert!(!driver.function.interrupt(), "no driver listens yet");
    }
}

#[test]
fn buffers_outside_of_memory_need_a_reset() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    let ring = driver.start(VERSION_1, memory, BASE, 8);
    ring.chain(0, &[(BASE + MEMORY_BYTES as u64, 4, true)]);
    ring.offer(0);
    let request = driver.function.take_request(&memory).unwrap();
    driver.function.complete(request, &[0; 4], &memory);
    assert!(matches!(driver.function.error(), Some(Error::Memory(_))));
    assert_eq!((driver.status(), ring.used_index()), (ALL | NEEDS_RESET, 0));
}

#[test]
fn a_reset_ends_when_all_that_was_taken_is_completed_and_forgotten() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    let ring = driver.start(VERSION_1, memory, BASE, 8);
    ring.chain(0, &[(DATA, 4, true)]);
    ring.offer(0);
    ring.offer(0);
    let (first, second) = (
        driver.function.take_request(&memory).unwrap(),
        driver.function.take_request(&memory).unwrap(),
    );
    let _ = driver.write(0x14, 1, 0);
    assert_ne!(driver.status(), 0);
    driver.function.complete(first, b"late", &memory);
    assert_ne!(driver.status(), 0);
    driver.function.complete(second, b"late", &memory);
    assert_eq!(driver.status(), 0);
    assert_eq!((ring.used_index(), ring.bytes(DATA, 4)), (0, vec![0; 4]));
    assert!(!driver.function.interrupt());
}

#[test]
fn registers_that_are_not_there_read_as_zero_and_take_nothing() {
    let mut driver = rng();
    assert!(driver.negotiate(VERSION_1));
    let _ = driver.write(0x16, 2, 1); // the only queue is queue 0
    for at in (0x18..0x38).filter(|at| *at != 0x1A && *at != 0x1B) {
        let _ = driver.write(at, 1, 0xFF);
        let _ = driver.write(at & !3, 4, 0xFFFF_FFFF);
        let _ = driver.write(at & !1, 2, 0xFFFF);
        assert_eq!(driver.read(at, 1), 0, "at {at:#x}");
    }
    let mut bytes = [0x55; 8];
    for offset in [0x38, 0xFFF, 0x1001, 0x1FFF, 0x3004, 0x3FFF, 0x4000, u32::MAX] {
        driver.function.bar_read(offset, &mut bytes);
        assert_eq!(bytes, [0; 8], "at {offset:#x}");
        assert_eq!(driver.function.bar_write(offset, &[0xFF; 8]), Effect::None);
    }
    // No MSI-X.
    assert_eq!((driver.read(0x10, 2), driver.read(0x1A, 2)), (0xFFFF, 0xFFFF));
}

#[test]
fn a_request_for_random_bytes_gets_no_more_than_it_takes() {
    let words = words();
    let memory = memory(&words);
    let mut driver = rng();
    let ring = driver.start(VERSION_1 | INDIRECT_DESC, memory, BASE, 8);
    ring.chain(0, &[(DATA, 3, true), (DATA + 0x100, 6000, true)]);
    ring.offer(0);
    let request = driver.function.take_request(&memory).unwrap();
    assert_eq!(request.most_bytes(), RngRequest::MOST_BYTES);
    driver.function.complete(request, &[0xAB; 5000], &memory);
    assert_eq!(ring.used_at(0), (0, 4096));
    assert_eq!(ring.bytes(DATA, 4), [0xAB, 0xAB, 0xAB, 0]);
    assert_eq!(ring.bytes(DATA + 0x100 + 4092, 2), [0xAB, 0]);
    // Nothing to write to is nothing to ask for.
    ring.chain(0, &[(DATA, 3, false)]);
    ring.offer(0);
    assert!(driver.function.take_request(&memory).is_none());
    assert_eq!(driver.function.error(), Some(Error::TooShort { size_bytes: 0, least: 1 }));
}
