//! The device's end of a virtqueue: good rings, and each way to break one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{BASE, INDIRECT, MEMORY_BYTES, NEXT, Ring, WRITE, memory, words};
use guest_state::{AccessError, Gpa};
use virtio::{Error, Features, Queue, QueueSetup, RingPart, Segment};

const SIZE: u16 = 8;
/// Where buffers and indirect tables are.
const DATA: u64 = BASE + 0x1_0000;
const TABLE: u64 = BASE + 0x2_0000;

fn setup(ring: &Ring<'_>) -> QueueSetup {
    QueueSetup {
        size: ring.size,
        descriptors: Gpa::new(ring.desc),
        available: Gpa::new(ring.avail),
        used: Gpa::new(ring.used),
    }
}

fn queue(ring: &Ring<'_>, features: Features) -> Queue {
    let mut queue = Queue::new(256);
    queue.set_up(setup(ring));
    queue.enable(features).unwrap();
    queue
}

/// What the device makes of a ring that `make` has written.
fn pop(features: Features, make: impl FnOnce(&Ring<'_>)) -> Result<Option<u16>, Error> {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    make(&ring);
    let chain = queue(&ring, features).pop(&ring.memory)?;
    Ok(chain.map(|chain| chain.head))
}

fn segment(at: u64, size_bytes: u32) -> Segment {
    Segment { gpa: Gpa::new(at), size_bytes }
}

#[test]
fn chains_come_in_the_order_in_which_they_were_offered() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = queue(&ring, Features::empty());
    ring.chain(0, &[(DATA, 16, false), (DATA + 0x100, 32, true), (DATA + 0x200, 1, true)]);
    ring.chain(5, &[(DATA + 0x300, 7, true)]);
    assert_eq!(queue.pop(&ring.memory), Ok(None));
    ring.offer(5);
    ring.offer(0);
    let first = queue.pop(&ring.memory).unwrap().unwrap();
    assert_eq!((first.head, first.readable.size_bytes()), (5, 0));
    assert_eq!(first.writable.segments(), [segment(DATA + 0x300, 7)]);
    let second = queue.pop(&ring.memory).unwrap().unwrap();
    assert_eq!(second.head, 0);
    assert_eq!(second.readable.segments(), [segment(DATA, 16)]);
    assert_eq!(second.writable.segments(), [segment(DATA + 0x100, 32), segment(DATA + 0x200, 1)]);
    assert_eq!(queue.pop(&ring.memory), Ok(None));
    // In another order.
    assert_eq!(queue.push(0, 33, &ring.memory), Ok(true));
    assert_eq!(ring.used_index(), 1);
    assert_eq!(queue.push(5, 7, &ring.memory), Ok(true));
    assert_eq!((ring.used_at(0), ring.used_at(1), ring.used_index()), ((0, 33), (5, 7), 2));
}

#[test]
fn indices_run_past_their_end_and_begin_again() {
    for size in [1, 2, 8, 256] {
        let words = words();
        let ring = Ring::at(memory(&words), BASE, size);
        let mut queue = queue(&ring, Features::EVENT_IDX);
        ring.chain(0, &[(DATA, 16, false)]);
        for round in 0..70_000_u32 {
            let index = u16::try_from(round % 0x1_0000).unwrap();
            assert_eq!(queue.pop(&ring.memory), Ok(None));
            assert_eq!(ring.avail_event(), index);
            ring.offer(0);
            ring.set_used_event(index.wrapping_add(u16::from(round % 3 == 0)));
            assert_eq!(queue.pop(&ring.memory).unwrap().map(|chain| chain.head), Some(0));
            let wanted = queue.push(0, round, &ring.memory).unwrap();
            assert_eq!(wanted, round % 3 != 0, "in round {round}");
            assert_eq!(ring.used_at(index), (0, round));
            assert_eq!(ring.used_index(), index.wrapping_add(1));
        }
    }
}

#[test]
fn the_drivers_flag_turns_interrupts_off_unless_both_have_event_indices() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    for (features, flag, wanted) in [
        (Features::empty(), 0, true),
        (Features::empty(), 1, false),
        (Features::EVENT_IDX, 1, true),
    ] {
        let mut queue = queue(&ring, features);
        ring.put_u16(ring.avail, flag);
        ring.set_used_event(0);
        ring.put_u16(ring.avail + 2, 0);
        ring.chain(0, &[(DATA, 16, false)]);
        ring.offer(0);
        assert!(queue.pop(&ring.memory).unwrap().is_some());
        assert_eq!(queue.push(0, 0, &ring.memory), Ok(wanted), "{features:?}, flag {flag}");
    }
}

#[test]
fn indirect_tables_are_followed_from_the_end_of_a_chain() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = queue(&ring, Features::INDIRECT_DESC);
    ring.descriptor(3, (DATA, 4, NEXT, 6));
    ring.descriptor(6, (TABLE, 48, INDIRECT, 0));
    ring.chain_at(TABLE, 0, &[(DATA + 8, 5, false), (DATA + 16, 6, true), (DATA + 24, 7, true)]);
    ring.offer(3);
    let chain = queue.pop(&ring.memory).unwrap().unwrap();
    assert_eq!(chain.head, 3);
    assert_eq!(chain.readable.segments(), [segment(DATA, 4), segment(DATA + 8, 5)]);
    assert_eq!(chain.writable.segments(), [segment(DATA + 16, 6), segment(DATA + 24, 7)]);
}

#[test]
fn a_chain_may_have_as_many_buffers_as_the_queue_has_entries() {
    let buffers: Vec<_> = (0..8).map(|index| (DATA + index * 8, 8, true)).collect();
    assert_eq!(
        pop(Features::empty(), |ring| {
            ring.chain(0, &buffers);
            ring.offer(0);
        }),
        Ok(Some(0))
    );
}

#[test]
fn buffers_are_one_run_of_bytes() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = queue(&ring, Features::empty());
    ring.chain(0, &[(DATA, 3, false), (DATA + 0x100, 0, false), (DATA + 0x200, 5, false)]);
    ring.fill(DATA, b"abc");
    ring.fill(DATA + 0x200, b"defgh");
    ring.offer(0);
    let buffers = queue.pop(&ring.memory).unwrap().unwrap().readable;
    for from in 0..=8_usize {
        for to in from..=8 {
            let mut bytes = vec![0; to - from];
            buffers.read(from as u64, &mut bytes, &ring.memory).unwrap();
            assert_eq!(bytes, &b"abcdefgh"[from..to]);
        }
        let (first, second) = buffers.clone().split_at(from as u64).unwrap();
        assert_eq!((first.size_bytes(), second.size_bytes()), (from as u64, 8 - from as u64));
        let mut bytes = [0; 8];
        first.read(0, &mut bytes[..from], &ring.memory).unwrap();
        second.read(0, &mut bytes[from..], &ring.memory).unwrap();
        assert_eq!(&bytes, b"abcdefgh");
    }
    let short = Error::TooShort { size_bytes: 8, least: 9 };
    assert_eq!(buffers.read(8, &mut [0], &ring.memory), Err(short));
    assert_eq!(buffers.clone().split_at(9), Err(short));
    buffers.write(2, b"XYZ", &ring.memory).unwrap();
    assert_eq!(
        (ring.bytes(DATA, 3), ring.bytes(DATA + 0x200, 5)),
        (b"abX".into(), b"YZfgh".into())
    );
}

#[test]
fn a_queue_that_is_off_has_nothing_and_takes_nothing() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = Queue::new(8);
    queue.set_up(setup(&ring));
    ring.offer(0);
    assert_eq!(queue.pop(&ring.memory), Ok(None));
    assert_eq!(queue.push(0, 0, &ring.memory), Ok(false));
    assert_eq!(ring.used_index(), 0);
}

#[test]
fn a_queue_that_is_on_does_not_move() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = queue(&ring, Features::empty());
    queue.set_up(QueueSetup::default());
    assert_eq!(queue.setup(), setup(&ring));
    queue.reset();
    assert!(!queue.is_enabled());
    assert_eq!(queue.setup(), QueueSetup { size: 256, ..QueueSetup::default() });
}

#[test]
fn a_size_that_is_no_power_of_two_or_too_large_is_refused() {
    let words = words();
    for size in [0, 3, 6, 512, 0x8000, 0xFFFF] {
        let mut queue = Queue::new(300);
        queue.set_up(QueueSetup { size, ..setup(&Ring::at(memory(&words), BASE, 8)) });
        assert_eq!(queue.enable(Features::empty()), Err(Error::QueueSize { size, most: 256 }));
        assert!(!queue.is_enabled());
    }
}

#[test]
fn parts_that_are_not_aligned_or_leave_the_address_space_are_refused() {
    let words = words();
    let good = setup(&Ring::at(memory(&words), BASE, 8));
    let gpa = Gpa::new;
    for (part, setup) in [
        (RingPart::Descriptors, QueueSetup { descriptors: gpa(BASE + 8), ..good }),
        (RingPart::Descriptors, QueueSetup { descriptors: gpa(u64::MAX - 0x7F), ..good }),
        (RingPart::Available, QueueSetup { available: gpa(BASE + 1), ..good }),
        (RingPart::Available, QueueSetup { available: gpa(u64::MAX - 0x11), ..good }),
        (RingPart::Used, QueueSetup { used: gpa(BASE + 2), ..good }),
        (RingPart::Used, QueueSetup { used: gpa(u64::MAX - 0x3), ..good }),
    ] {
        let mut queue = Queue::new(8);
        queue.set_up(setup);
        let error = queue.enable(Features::empty()).unwrap_err();
        assert!(matches!(error, Error::RingAddress { part: found, .. } if found == part));
    }
}

// Hostile rings.

fn not_mapped(gpa: u64, size_bytes: u64) -> Error {
    Error::Memory(AccessError::NotMapped { gpa: Gpa::new(gpa), size_bytes })
}

#[test]
fn an_available_index_that_jumps_is_refused() {
    for found in [9, 0x8000, 0xFFFF] {
        let jumped = pop(Features::EVENT_IDX, |ring| ring.put_u16(ring.avail + 2, found));
        assert_eq!(jumped, Err(Error::AvailableIndex { next: 0, found, size: SIZE }));
    }
    let all = pop(Features::empty(), |ring| {
        ring.chain(0, &[(DATA, 1, false)]);
        ring.put_u16(ring.avail + 2, 8);
    });
    assert_eq!(all, Ok(Some(0)));
}

#[test]
fn chains_that_were_not_given_back_are_not_taken_again_without_end() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = queue(&ring, Features::empty());
    ring.chain(0, &[(DATA, 16, false)]);
    for _ in 0..SIZE {
        ring.offer(0);
        assert!(queue.pop(&ring.memory).unwrap().is_some());
    }
    ring.offer(0);
    assert_eq!(queue.pop(&ring.memory), Err(Error::TooManyInFlight { size: SIZE }));
}

#[test]
fn heads_and_successors_out_of_range_are_refused() {
    for index in [8, 9, 0xFFFF] {
        let error = Err(Error::DescriptorIndex { index, entries: 8 });
        assert_eq!(pop(Features::empty(), |ring| ring.offer(index)), error);
        let next = |ring: &Ring<'_>| {
            ring.descriptor(0, (DATA, 1, NEXT, index));
            ring.offer(0);
        };
        assert_eq!(pop(Features::empty(), next), error);
    }
    let within_indirect = |ring: &Ring<'_>| {
        ring.descriptor(0, (TABLE, 32, INDIRECT, 0));
        ring.descriptor_at(TABLE, 0, (DATA, 1, NEXT, 2));
        ring.offer(0);
    };
    let error = Err(Error::DescriptorIndex { index: 2, entries: 2 });
    assert_eq!(pop(Features::INDIRECT_DESC, within_indirect), error);
}

#[test]
fn loops_end() {
    let error = Err(Error::ChainTooLong { size: SIZE });
    for (second, third) in [(0, 0), (1, 0), (1, 1), (2, 1)] {
        let looped = pop(Features::empty(), |ring| {
            ring.descriptor(0, (DATA, 1, NEXT, second));
            ring.descriptor(1, (DATA, 1, NEXT, third));
            ring.descriptor(2, (DATA, 1, NEXT, 0));
            ring.offer(0);
        });
        assert_eq!(looped, error);
    }
    // Buffers of no length are no way to go on.
    let empty = pop(Features::empty(), |ring| {
        ring.descriptor(0, (DATA, 0, NEXT, 0));
        ring.offer(0);
    });
    assert_eq!(empty, error);
    let indirect = pop(Features::INDIRECT_DESC, |ring| {
        ring.descriptor(0, (TABLE, 16, INDIRECT, 0));
        ring.descriptor_at(TABLE, 0, (DATA, 1, NEXT, 0));
        ring.offer(0);
    });
    assert_eq!(indirect, error);
}

#[test]
fn an_indirect_table_makes_no_chain_longer_than_the_queue() {
    let chain = |count| {
        pop(Features::INDIRECT_DESC, |ring| {
            let buffers: Vec<_> = (0..count).map(|index| (DATA + index * 8, 8, true)).collect();
            ring.descriptor(0, (TABLE, u32::try_from(count * 16).unwrap(), INDIRECT, 0));
            ring.chain_at(TABLE, 0, &buffers);
            ring.offer(0);
        })
    };
    assert_eq!(chain(8), Ok(Some(0)));
    assert_eq!(chain(9), Err(Error::ChainTooLong { size: SIZE }));
}

#[test]
fn an_indirect_table_within_an_indirect_table_is_refused() {
    let nested = pop(Features::INDIRECT_DESC, |ring| {
        ring.descriptor(0, (TABLE, 32, INDIRECT, 0));
        ring.descriptor_at(TABLE, 0, (DATA, 1, NEXT, 1));
        ring.descriptor_at(TABLE, 1, (TABLE, 32, INDIRECT, 0));
        ring.offer(0);
    });
    assert_eq!(nested, Err(Error::NestedIndirect));
}

#[test]
fn an_indirect_table_with_a_successor_or_without_the_feature_is_refused() {
    let table = |flags| {
        move |ring: &Ring<'_>| {
            ring.descriptor(0, (TABLE, 16, flags, 1));
            ring.descriptor(1, (DATA, 1, 0, 0));
            ring.chain_at(TABLE, 0, &[(DATA, 1, false)]);
            ring.offer(0);
        }
    };
    let with_next = pop(Features::INDIRECT_DESC, table(INDIRECT | NEXT));
    assert_eq!(with_next, Err(Error::IndirectWithNext));
    let without = pop(Features::EVENT_IDX, table(INDIRECT));
    assert_eq!(without, Err(Error::IndirectNotNegotiated));
    // A table can't be written; the flag says nothing.
    assert_eq!(pop(Features::INDIRECT_DESC, table(INDIRECT | WRITE)), Ok(Some(0)));
}

#[test]
fn an_indirect_table_of_no_or_of_broken_descriptors_is_refused() {
    for size_bytes in [0, 8, 24, u32::MAX] {
        let table = pop(Features::INDIRECT_DESC, |ring| {
            ring.descriptor(0, (TABLE, size_bytes, INDIRECT, 0));
            ring.offer(0);
        });
        assert_eq!(table, Err(Error::IndirectSize { size_bytes }));
    }
    let gpa = Gpa::new(u64::MAX - 15);
    let past_the_end = pop(Features::INDIRECT_DESC, |ring| {
        ring.descriptor(0, (gpa.as_u64(), 32, INDIRECT, 0));
        ring.offer(0);
    });
    assert_eq!(past_the_end, Err(Error::BufferAddress { gpa, size_bytes: 32 }));
}

#[test]
fn writable_before_readable_is_refused() {
    for length in [0, 1] {
        let order = pop(Features::empty(), |ring| {
            ring.chain(0, &[(DATA, length, true), (DATA, 1, false)]);
            ring.offer(0);
        });
        assert_eq!(order, Err(Error::ReadableAfterWritable));
    }
}

#[test]
fn lengths_that_overflow_are_refused() {
    let gpa = Gpa::new(u64::MAX - 0xFF);
    let address = pop(Features::empty(), |ring| {
        ring.chain(0, &[(gpa.as_u64(), 0x101, true)]);
        ring.offer(0);
    });
    assert_eq!(address, Err(Error::BufferAddress { gpa, size_bytes: 0x101 }));
    let sum = |last| {
        pop(Features::empty(), |ring| {
            ring.chain(0, &[(DATA, 0x8000_0000, false), (DATA, last, true)]);
            ring.offer(0);
        })
    };
    assert_eq!(sum(0x8000_0000), Err(Error::ChainBytes));
    assert_eq!(sum(0x7FFF_FFFF), Ok(Some(0)));
}

#[test]
fn rings_and_tables_outside_of_memory_are_refused() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let outside = BASE + MEMORY_BYTES as u64;
    ring.chain(0, &[(DATA, 1, false)]);
    ring.offer(0);
    let mut available = queue(&Ring { avail: outside, ..ring }, Features::empty());
    assert_eq!(available.pop(&ring.memory), Err(not_mapped(outside + 2, 2)));
    let mut descriptors = queue(&Ring { desc: outside, ..ring }, Features::empty());
    assert_eq!(descriptors.pop(&ring.memory), Err(not_mapped(outside, 16)));
    let mut used = queue(&Ring { used: outside, ..ring }, Features::empty());
    assert!(used.pop(&ring.memory).unwrap().is_some());
    assert_eq!(used.push(0, 0, &ring.memory), Err(not_mapped(outside + 4, 8)));
    let table = pop(Features::INDIRECT_DESC, |ring| {
        ring.descriptor(0, (outside, 16, INDIRECT, 0));
        ring.offer(0);
    });
    assert_eq!(table, Err(not_mapped(outside, 16)));
}

#[test]
fn buffers_outside_of_memory_are_seen_when_they_are_used() {
    let words = words();
    let ring = Ring::at(memory(&words), BASE, SIZE);
    let mut queue = queue(&ring, Features::empty());
    let end = BASE + MEMORY_BYTES as u64;
    ring.chain(0, &[(end - 4, 8, false), (end, 1, true)]);
    ring.offer(0);
    let chain = queue.pop(&ring.memory).unwrap().unwrap();
    assert_eq!(chain.readable.read(0, &mut [0; 4], &ring.memory), Ok(()));
    assert_eq!(chain.readable.read(0, &mut [0; 5], &ring.memory), Err(not_mapped(end - 4, 5)));
    assert_eq!(chain.writable.write(0, &[0], &ring.memory), Err(not_mapped(end, 1)));
}
