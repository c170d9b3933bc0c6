//! Rings and requests made at random, beside a reading of the specification that is as plain as can
//! be: it follows a chain by recursion, and a disk is bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{BASE, INDIRECT, MEMORY_BYTES, NEXT, Ring, WRITE, memory, words};
use guest_state::{Gpa, GuestMemory};
use proptest::prelude::*;
use virtio::{Features, Queue, QueueSetup, Segment};

const SIZE: u16 = 8;
const TABLE: u64 = BASE + 0x1000;

type Fields = (u64, u32, u16, u16);

/// The buffers of a chain, as (address, length, writable), or `None` if a rule is broken.
fn oracle(
    ring: &Ring<'_>,
    table: (u64, u32),
    index: u16,
    before: &[(u64, u32, bool)],
    indirect: bool,
) -> Option<Vec<(u64, u32, bool)>> {
    if u32::from(index) >= table.1 {
        return None;
    }
    let at = table.0.checked_add(16 * u64::from(index))?;
    let mut bytes = [0; 16];
    ring.memory.read(Gpa::new(at), &mut bytes).ok()?;
    let addr = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let len = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    let flags = u16::from_le_bytes(bytes[12..14].try_into().unwrap());
    let next = u16::from_le_bytes(bytes[14..].try_into().unwrap());
    addr.checked_add(len.into())?;
    if flags & INDIRECT != 0 {
        let is_table = len != 0 && len % 16 == 0;
        if indirect || flags & NEXT != 0 || !is_table {
            return None;
        }
        return oracle(ring, (addr, len / 16), 0, before, true);
    }
    let mut buffers = before.to_vec();
    buffers.push((addr, len, flags & WRITE != 0));
    let total: u64 = buffers.iter().map(|buffer| u64::from(buffer.1)).sum();
    let first_writable = buffers.iter().position(|buffer| buffer.2).unwrap_or(buffers.len());
    let is_ordered = buffers[first_writable..].iter().all(|buffer| buffer.2);
    if buffers.len() > SIZE.into() || total > u32::MAX.into() || !is_ordered {
        return None;
    }
    if flags & NEXT == 0 { Some(buffers) } else { oracle(ring, table, next, &buffers, indirect) }
}

/// Descriptors of which most make sense.
fn descriptor() -> impl Strategy<Value = Fields> {
    let addr = prop_oneof![
        8 => BASE + 0x2000..BASE + 0x3000,
        4 => (0..3_u64).prop_map(|index| TABLE + 16 * index),
        1 => any::<u64>(),
        1 => (0..64_u64).prop_map(|below| u64::MAX - below),
    ];
    let len = prop_oneof![
        6 => 0..600_u32,
        4 => (1..6_u32).prop_map(|count| 16 * count),
        1 => any::<u32>(),
    ];
    let flags = prop_oneof![3 => Just(NEXT), 2 => Just(WRITE), 2 => Just(NEXT | WRITE), 2 => Just(INDIRECT), 1 => 0..8_u16];
    let next = prop_oneof![10 => 0..SIZE, 1 => any::<u16>()];
    (addr, len, flags, next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn chains_are_what_the_specification_says(
        table in prop::collection::vec(descriptor(), usize::from(SIZE)),
        indirect in prop::collection::vec(descriptor(), 8),
        head in 0..SIZE + 1,
    ) {
        let words = words();
        let ring = Ring::at(memory(&words), BASE, SIZE);
        for (index, fields) in (0..).zip(&table) {
            ring.descriptor(index, *fields);
        }
        for (index, fields) in (0..).zip(&indirect) {
            ring.descriptor_at(TABLE, index, *fields);
        }
        ring.offer(head);
        let mut queue = Queue::new(SIZE);
        queue.set_up(QueueSetup {
            size: SIZE,
            descriptors: Gpa::new(ring.desc),
            available: Gpa::new(ring.avail),
            used: Gpa::new(ring.used),
        });
        queue.enable(Features::INDIRECT_DESC).unwrap();
        let expected = oracle(&ring, (ring.desc, SIZE.into()), head, &[], false);
        let found = queue.pop(&ring.memory).ok().flatten().map(|chain| {
            let all = |segments: &[Segment], writable| -> Vec<_> {
                segments.iter().map(|one| (one.gpa.as_u64(), one.size_bytes, writable)).collect()
            };
            let mut buffers = all(chain.readable.segments(), false);
            buffers.extend(all(chain.writable.segments(), true));
            buffers
        });
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_a_driver_writes_to_a_function_it_stays_one(
        accesses in prop::collection::vec((any::<u8>(), 0..0x4100_u32, any::<u64>(), 0..9_usize), 0..200),
        noise in prop::collection::vec(any::<u64>(), 512),
    ) {
        use virtio::{Blk, BlkConfig, BlkStatus, Effect, VirtioPci};
        let words = words();
        let memory = memory(&words);
        for (at, value) in (0..).zip(&noise) {
            memory.store_u64(Gpa::new(BASE + 8 * at), *value, std::sync::atomic::Ordering::Relaxed).unwrap();
        }
        let mut function = VirtioPci::new(Blk::new(BlkConfig { sectors: 8, readonly: false, id: [0; 20] }));
        for (what, offset, value, size) in accesses {
            let register = what.wrapping_mul(7);
            // Half of the accesses are to the common configuration, half of the values small.
            let offset = if what & 1 == 0 { offset & 0x3F } else { offset };
            let value = if what & 2 == 0 { value & 0xF } else { BASE + value % MEMORY_BYTES as u64 };
            let mut bytes = value.to_le_bytes();
            let effect = match what % 5 {
                0 => function.config_write(register, &bytes[..size.min(4)]),
                1 => { function.config_read(register, &mut bytes[..size.min(4)]); Effect::None }
                2 => { function.bar_read(offset, &mut bytes[..size]); Effect::None }
                _ => function.bar_write(offset, &bytes[..size]),
            };
            if effect == Effect::Requests {
                while let Some(request) = function.take_request(&memory) {
                    function.complete(request, Ok(BlkStatus::Ok), &memory);
                }
            }
        }
    }
}
