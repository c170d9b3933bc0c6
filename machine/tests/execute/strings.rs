//! String instructions: elements, directions, repetition and what stops it.

use guest_state::rflags::{DF, TF};
use machine::{Exception, Executed, REPEAT_LIMIT};

use crate::rig::{CODE, PRESENT, Rig, Seen, USER, WRITABLE};

const FROM: u64 = 0x8000;
const TO: u64 = 0xFEE0_0000;

fn prepared() -> Rig {
    let mut rig = Rig::long();
    let bytes: Vec<u8> = (0..=255).collect();
    rig.bus.put(FROM, &bytes);
    (rig.cpu.general.rsi, rig.cpu.general.rdi) = (FROM, TO);
    rig.cpu.general.rax = 0xA7A6_A5A4_A3A2_A1A0;
    rig
}

#[test]
fn one_element_of_each_width_and_direction() {
    for (bytes, size) in
        [(&[0xA4][..], 1), (&[0x66, 0xA5][..], 2), (&[0xA5][..], 4), (&[0x48, 0xA5][..], 8)]
    {
        for down in [false, true] {
            let mut rig = prepared();
            rig.cpu.general.rcx = 7;
            rig.cpu.rflags = 2 | if down { DF } else { 0 };
            assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
            let moved: Vec<u8> = (0..size).collect();
            let seen = [Seen::Read(FROM, size.into()), Seen::Write(TO, moved)];
            assert_eq!(rig.bus.seen, seen);
            let step = i64::from(size) * if down { -1 } else { 1 };
            assert_eq!(rig.cpu.general.rsi, FROM.wrapping_add_signed(step));
            assert_eq!(rig.cpu.general.rdi, TO.wrapping_add_signed(step));
            assert_eq!(rig.cpu.general.rcx, 7, "not repeated");
            assert_eq!(rig.cpu.rip, CODE + bytes.len() as u64);
        }
    }
}

#[test]
fn load_and_store_use_the_accumulator() {
    for (bytes, loaded) in [
        (&[0xAC][..], 0xA7A6_A5A4_A3A2_A100),
        (&[0x66, 0xAD][..], 0xA7A6_A5A4_A3A2_0100),
        (&[0xAD][..], 0x0302_0100),
        (&[0x48, 0xAD][..], 0x0706_0504_0302_0100),
    ] {
        let mut rig = prepared();
        assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
        assert_eq!(rig.cpu.general.rax, loaded);
        assert_eq!(rig.cpu.general.rdi, TO);
    }
    for (bytes, stored) in [
        (&[0xAA][..], &[0xA0][..]),
        (&[0x66, 0xAB][..], &[0xA0, 0xA1][..]),
        (&[0xAB][..], &[0xA0, 0xA1, 0xA2, 0xA3][..]),
        (&[0x48, 0xAB][..], &[0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7][..]),
    ] {
        let mut rig = prepared();
        assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
        assert_eq!(rig.bus.seen, [Seen::Write(TO, stored.to_vec())]);
        assert_eq!(rig.cpu.general.rsi, FROM);
        assert_eq!(rig.cpu.general.rdi, TO + stored.len() as u64);
    }
}

#[test]
fn repetition_moves_all_in_either_direction() {
    for (down, first) in [(false, 0), (true, 9)] {
        let mut rig = prepared();
        rig.cpu.rflags = 2 | if down { DF } else { 0 };
        (rig.cpu.general.rcx, rig.cpu.general.rsi) = (10, FROM + 4 * first);
        rig.cpu.general.rdi = TO + 4 * first;
        rig.completes(|a| a.rep().movsd());
        let moved: Vec<u8> = (0..40).collect();
        assert_eq!(rig.bus.get(TO, 44), [&moved[..], &[0; 4]].concat());
        let end = if down { u64::MAX - 3 } else { 40 };
        assert_eq!(rig.cpu.general.rsi, FROM.wrapping_add(end));
        assert_eq!(rig.cpu.general.rdi, TO.wrapping_add(end));
        assert_eq!(rig.cpu.general.rcx, 0);
        assert_eq!(rig.bus.seen.len(), 20, "one access an element");
    }
}

/// REPNE repeats these as REP does.
#[test]
fn both_prefixes_repeat() {
    for prefix in [0xF2, 0xF3] {
        let mut rig = prepared();
        rig.cpu.general.rcx = 3;
        assert_eq!(rig.bytes(&[prefix, 0xAA]), Ok(Executed::Completed));
        assert_eq!(rig.bus.get(TO, 4), [0xA0, 0xA0, 0xA0, 0]);
    }
}

#[test]
fn count_of_zero_does_nothing() {
    let mut rig = prepared();
    // Nothing is mapped there either.
    (rig.cpu.general.rsi, rig.cpu.general.rdi) = (1 << 40, 1 << 41);
    let general = rig.cpu.general;
    rig.completes(|a| a.rep().movsb());
    assert_eq!(rig.bus.seen, []);
    assert_eq!(rig.cpu.general, general);
}

#[test]
fn address_size_decides_the_width_of_all_three_registers() {
    let mut rig = prepared();
    rig.cpu.general.rcx = 0xFFFF_FFFF_0000_0002;
    rig.cpu.general.rsi = 0xFFFF_FFFF_0000_8000;
    rig.cpu.general.rdi = 0xFFFF_FFFF_FEE0_0000;
    assert_eq!(rig.bytes(&[0x67, 0xF3, 0xA4]), Ok(Executed::Completed));
    assert_eq!(rig.bus.get(TO, 3), [0, 1, 0]);
    let general = rig.cpu.general;
    assert_eq!((general.rcx, general.rsi, general.rdi), (0, FROM + 2, TO + 2));

    let mut rig = Rig::real();
    rig.cpu.general.rcx = 0x1234_0002;
    (rig.cpu.general.rdi, rig.cpu.general.rax) = (0x5678_FFFF, 0x5A);
    rig.cpu.es.base = 0x3_0000;
    assert_eq!(rig.bytes(&[0xF3, 0xAA]), Ok(Executed::Completed));
    let seen = [Seen::Write(0x3_FFFF, vec![0x5A]), Seen::Write(0x3_0000, vec![0x5A])];
    assert_eq!(rig.bus.seen, seen, "DI wraps within its segment");
    assert_eq!(rig.cpu.general.rdi, 0x5678_0001);
    assert_eq!(rig.cpu.general.rcx, 0x1234_0000);
}

/// The source can be overridden, the destination is always ES.
#[test]
fn segments_of_strings() {
    let mut rig = Rig::real();
    (rig.cpu.ds.base, rig.cpu.es.base) = (0x1_0000, 0x2_0000);
    (rig.cpu.ss.base, rig.cpu.fs.base) = (0x3_0000, 0x4_0000);
    for bytes in [&[0xA4][..], &[0x36, 0xA4][..], &[0x64, 0xA4][..]] {
        assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
    }
    let seen: Vec<Seen> = [(0x1_0000, 0), (0x3_0000, 1), (0x4_0000, 2)]
        .into_iter()
        .flat_map(|(from, at)| [Seen::Read(from + at, 1), Seen::Write(0x2_0000 + at, vec![0])])
        .collect();
    assert_eq!(rig.bus.seen, seen);

    let mut rig = prepared();
    (rig.cpu.es.base, rig.cpu.ds.base, rig.cpu.gs.base) = (1, 2, 0x100);
    assert_eq!(rig.bytes(&[0x65, 0xA4]), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [Seen::Read(FROM + 0x100, 1), Seen::Write(TO, vec![0])]);
}

#[test]
fn long_repetition_comes_back_for_interrupts() {
    let mut rig = Rig::flat32();
    rig.cpu.general.rcx = 2 * REPEAT_LIMIT + 5;
    rig.cpu.general.rdi = 0x10_0000;
    rig.cpu.general.rax = 0x5A;
    for left in [REPEAT_LIMIT + 5, 5] {
        assert_eq!(rig.bytes(&[0xF3, 0xAA]), Ok(Executed::Repeating));
        assert_eq!((rig.cpu.general.rcx, rig.cpu.rip), (left, CODE));
    }
    assert_eq!(rig.step(), Ok(Executed::Completed));
    assert_eq!(rig.cpu.rip, CODE + 2);
    assert_eq!(rig.bus.seen.len() as u64, 2 * REPEAT_LIMIT + 5);
    // Exactly the limit is done at once.
    (rig.cpu.rip, rig.cpu.general.rcx) = (CODE, REPEAT_LIMIT);
    assert_eq!(rig.step(), Ok(Executed::Completed));
}

#[test]
fn single_step_stops_after_each_element() {
    let mut rig = prepared();
    rig.cpu.rflags = 2 | TF;
    rig.cpu.general.rcx = 2;
    assert_eq!(rig.bytes(&[0xF3, 0xA4]), Ok(Executed::Repeating));
    assert_eq!(rig.cpu.general.rcx, 1);
    assert_eq!(rig.step(), Ok(Executed::Completed));
    assert_eq!(rig.cpu.general.rcx, 0);
}

/// A fault in the middle keeps what was done, and the instruction can go on from there.
#[test]
fn fault_keeps_progress_and_restarts() {
    let mut rig = prepared();
    rig.cpu.general.rcx = 8;
    rig.cpu.general.rdi = 0x1_FFFC; // the page behind is not mapped
    let result = rig.bytes(&[0xF3, 0xA4]);
    let Ok(Executed::Faulted(Exception::PageFault(fault))) = result else {
        panic!("{result:?}");
    };
    assert_eq!((fault.address.as_u64(), fault.error_code), (0x2_0000, 2));
    let general = rig.cpu.general;
    assert_eq!((general.rcx, general.rsi, general.rdi), (4, FROM + 4, 0x2_0000));
    assert_eq!(rig.cpu.rip, CODE);
    assert_eq!(rig.bus.seen.len(), 8, "the element that faulted was not read");
    rig.tables.map(0x2_0000, 0x1_0000, PRESENT | WRITABLE | USER);
    assert_eq!(rig.step(), Ok(Executed::Completed));
    assert_eq!(rig.bus.get(0x1_FFFC, 4), [0, 1, 2, 3]);
    assert_eq!(rig.bus.get(0x1_0000, 4), [4, 5, 6, 7]);
}

#[test]
fn elements_cross_pages() {
    let mut rig = prepared();
    rig.tables.map(0x9000, 0xB000, PRESENT | WRITABLE | USER);
    (rig.cpu.general.rdi, rig.cpu.general.rcx) = (0x8FFE, 2);
    rig.completes(|a| a.rep().movsd());
    assert_eq!(rig.bus.get(0x8FFE, 2), [0, 1]);
    assert_eq!(rig.bus.get(0xB000, 6), [2, 3, 4, 5, 6, 7]);
}
