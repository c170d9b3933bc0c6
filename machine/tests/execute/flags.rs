//! The executor's arithmetic against an oracle of wide integers, and its bits against an array.

use guest_state::rflags::{AF, CF, OF, PF, SF, ZF};
use machine::Executed;
use proptest::prelude::*;

use crate::rig::{Rig, Seen};

const DATA: u64 = 0x8000;
const ALL: u64 = CF | PF | AF | ZF | SF | OF;

/// The widths in bits.
const WIDTHS: [u32; 4] = [8, 16, 32, 64];

/// What an instruction computes, and which flags it defines.
struct Expected {
    result: u128,
    flags: u64,
    defined: u64,
}

fn modulus(bits: u32) -> i128 {
    1 << bits
}

/// A value as a signed number.
fn signed(value: u64, bits: u32) -> i128 {
    let value = i128::from(value);
    if value >= modulus(bits) / 2 { value - modulus(bits) } else { value }
}

/// Flags of a result that lies anywhere: only its value modulo the width counts.
fn result_flags(result: i128, bits: u32) -> (u128, u64) {
    let wrapped = result.rem_euclid(modulus(bits));
    let mut flags = 0;
    if wrapped == 0 {
        flags |= ZF;
    }
    if wrapped >= modulus(bits) / 2 {
        flags |= SF;
    }
    let ones = (0..8).filter(|bit| wrapped / (1 << bit) % 2 == 1).count();
    if ones % 2 == 0 {
        flags |= PF;
    }
    (wrapped.unsigned_abs(), flags)
}

fn in_range(value: i128, bits: u32) -> bool {
    -modulus(bits) / 2 <= value && value < modulus(bits) / 2
}

/// ADD and SUB by the definition: carry is an unsigned result out of range, overflow a signed one,
/// auxiliary carry a lowest digit out of range.
fn arithmetic(a: u64, b: u64, bits: u32, sign: i128) -> Expected {
    let unsigned = i128::from(a) + sign * i128::from(b);
    let (result, mut flags) = result_flags(unsigned, bits);
    if !(0..modulus(bits)).contains(&unsigned) {
        flags |= CF;
    }
    if !in_range(signed(a, bits) + sign * signed(b, bits), bits) {
        flags |= OF;
    }
    if !(0..16).contains(&(i128::from(a % 16) + sign * i128::from(b % 16))) {
        flags |= AF;
    }
    Expected { result, flags, defined: ALL }
}

/// AND, OR and XOR bit by bit.
fn logic(a: u64, b: u64, bits: u32, gate: fn(bool, bool) -> bool) -> Expected {
    let result = (0..bits).fold(0_i128, |result, bit| {
        let on = gate(a >> bit & 1 == 1, b >> bit & 1 == 1);
        result + if on { 1 << bit } else { 0 }
    });
    let (result, flags) = result_flags(result, bits);
    Expected { result, flags, defined: ALL & !AF }
}

/// An instruction with operands [rbx] and rcx, or [rbx] alone.
fn encode(opcode: u8, digit: Option<u8>, bits: u32) -> Vec<u8> {
    let mut bytes = match bits {
        16 => vec![0x66],
        64 => vec![0x48],
        _ => vec![],
    };
    let wide = u8::from(bits != 8);
    bytes.push(opcode | wide);
    bytes.push(digit.unwrap_or(1) << 3 | 3);
    bytes
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Executes and compares, with memory behind the operand untouched.
fn check(
    bytes: &[u8],
    (a, b): (u64, u64),
    bits: u32,
    before: u64,
    expected: &Expected,
    writes: bool,
) -> Result<(), TestCaseError> {
    const REST: u64 = 0xA5A5_A5A5_A5A5_A5A5;
    let mut rig = Rig::long();
    rig.bus.put_u64(DATA, a & mask(bits) | REST & !mask(bits));
    rig.cpu.general.rbx = DATA;
    rig.cpu.general.rcx = b & mask(bits) | REST & !mask(bits);
    rig.cpu.rflags = 2 | before;
    prop_assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
    let result = if writes { u64::try_from(expected.result).unwrap_or(0) } else { a & mask(bits) };
    prop_assert_eq!(rig.bus.get_u64(DATA), result | REST & !mask(bits));
    prop_assert_eq!(
        rig.cpu.rflags & !(ALL & !expected.defined),
        2 | expected.flags & expected.defined | before & !ALL & !expected.defined
    );
    let read = Seen::Read(DATA, usize::try_from(bits / 8).unwrap_or(0));
    prop_assert_eq!(&rig.bus.seen[0], &read);
    prop_assert_eq!(rig.bus.seen.len(), if writes { 2 } else { 1 });
    Ok(())
}

/// Values where carries and signs change, and any others.
fn value() -> impl Strategy<Value = u64> {
    let edge = prop::sample::select(vec![
        0,
        1,
        0xF,
        0x10,
        0x7F,
        0x80,
        0xFF,
        0x7FFF,
        0x8000,
        0xFFFF,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFF,
        i64::MAX.cast_unsigned(),
        1 << 63,
        u64::MAX,
    ]);
    prop_oneof![edge, any::<u64>()]
}

fn width() -> impl Strategy<Value = u32> {
    prop::sample::select(WIDTHS.to_vec())
}

fn before() -> impl Strategy<Value = u64> {
    any::<u64>().prop_map(|flags| flags & ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn two_operands(a in value(), b in value(), bits in width(), before in before()) {
        let (a, b) = (a & mask(bits), b & mask(bits));
        for (opcode, expected, writes) in [
            (0x00, arithmetic(a, b, bits, 1), true),
            (0x28, arithmetic(a, b, bits, -1), true),
            (0x38, arithmetic(a, b, bits, -1), false),
            (0x20, logic(a, b, bits, |a, b| a && b), true),
            (0x08, logic(a, b, bits, |a, b| a || b), true),
            (0x30, logic(a, b, bits, |a, b| a != b), true),
            (0x84, logic(a, b, bits, |a, b| a && b), false),
        ] {
            check(&encode(opcode, None, bits), (a, b), bits, before, &expected, writes)?;
        }
    }

    #[test]
    fn one_operand(a in value(), bits in width(), before in before()) {
        let a = a & mask(bits);
        let keeps_carry = |expected: Expected| Expected {
            flags: expected.flags & !CF | before & CF,
            ..expected
        };
        let not = logic(a, mask(bits), bits, |a, b| a != b);
        for (opcode, digit, expected) in [
            (0xFE, 0, keeps_carry(arithmetic(a, 1, bits, 1))),
            (0xFE, 1, keeps_carry(arithmetic(a, 1, bits, -1))),
            (0xF6, 3, arithmetic(0, a, bits, -1)),
            (0xF6, 2, Expected { flags: before, defined: ALL, ..not }),
        ] {
            check(&encode(opcode, Some(digit), bits), (a, 0), bits, before, &expected, true)?;
        }
    }

    /// XADD and CMPXCHG, with their second results.
    #[test]
    fn exchanges(a in value(), b in value(), accumulator in value(), bits in width(), same: bool) {
        let (a, b) = (a & mask(bits), b & mask(bits));
        let accumulator = if same { a } else { accumulator & mask(bits) };
        let prefix: &[u8] = match bits { 16 => &[0x66], 64 => &[0x48], _ => &[] };
        let wide = u8::from(bits != 8);
        let run = |opcode: u8| {
            let mut rig = Rig::long();
            rig.bus.put_u64(DATA, a);
            rig.cpu.general.rbx = DATA;
            rig.cpu.general.rcx = b | 0x1111_1111_1111_1111 & !mask(bits);
            rig.cpu.general.rax = accumulator | 0x2222_2222_2222_2222 & !mask(bits);
            let bytes = [prefix, &[0x0F, opcode | wide, 0x0B]].concat();
            (rig.bytes(&bytes), rig)
        };
        // A write of 32 bits clears the upper half, of less keeps it.
        let over = |old: u64, new: u64| if bits == 32 { new } else { old & !mask(bits) | new };

        let (executed, rig) = run(0xC0);
        let sum = arithmetic(a, b, bits, 1);
        prop_assert_eq!(executed, Ok(Executed::Completed));
        prop_assert_eq!(u128::from(rig.bus.get_u64(DATA)), sum.result);
        prop_assert_eq!(rig.cpu.general.rcx, over(0x1111_1111_1111_1111, a));
        prop_assert_eq!(rig.cpu.rflags & ALL, sum.flags);

        let (executed, rig) = run(0xB0);
        let compared = arithmetic(accumulator, a, bits, -1);
        prop_assert_eq!(executed, Ok(Executed::Completed));
        prop_assert_eq!(rig.cpu.rflags & ALL, compared.flags);
        let equal = accumulator == a;
        prop_assert_eq!(rig.bus.get_u64(DATA), if equal { b } else { a });
        let untouched = accumulator | 0x2222_2222_2222_2222 & !mask(bits);
        let loaded = over(0x2222_2222_2222_2222, a);
        prop_assert_eq!(rig.cpu.general.rax, if equal { untouched } else { loaded });
        prop_assert_eq!(rig.bus.seen.len(), 2, "written either way");
    }

    /// A bit in memory is a bit of an array that begins at the operand and extends to both sides.
    #[test]
    fn bits_in_memory_are_an_array(
        offset in -4_000_i64..4_000, fill: u8, index in 1_usize..4, by_register: bool,
    ) {
        let bits = WIDTHS[index];
        let size = i64::from(bits);
        let offset = if by_register { offset } else { offset.rem_euclid(256) };
        for (opcode, digit, change) in [
            (0xA3, 4, None),
            (0xAB, 5, Some(true)),
            (0xB3, 6, Some(false)),
            (0xBB, 7, None),
        ] {
            let mut rig = Rig::long();
            rig.bus.put(DATA - 1_000, &[fill; 2_000]);
            rig.cpu.general.rbx = DATA;
            rig.cpu.general.rcx = offset.cast_unsigned() & mask(bits);
            rig.cpu.rflags = 2 | ALL & !CF;
            let prefix: &[u8] = match bits { 16 => &[0x66], 64 => &[0x48], _ => &[] };
            let [immediate, ..] = offset.to_le_bytes();
            let bytes = if by_register {
                [prefix, &[0x0F, opcode, 0x0B]].concat()
            } else {
                [prefix, &[0x0F, 0xBA, digit << 3 | 3, immediate]].concat()
            };
            prop_assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
            // An immediate stays within its operand.
            let at = if by_register { offset } else { offset.rem_euclid(size) };
            let byte = DATA.wrapping_add_signed(at.div_euclid(8));
            let bit = at.rem_euclid(8);
            let was = fill >> bit & 1 == 1;
            let is = match (opcode, change) {
                (0xBB, _) => !was,
                (_, Some(value)) => value,
                _ => was,
            };
            prop_assert_eq!(rig.cpu.rflags & CF != 0, was);
            prop_assert_eq!(rig.cpu.rflags & ZF, ZF, "not affected");
            let expected = fill & !(1 << bit) | u8::from(is) << bit;
            for other in DATA - 1_000..DATA + 1_000 {
                let expected = if other == byte { expected } else { fill };
                prop_assert_eq!(rig.bus.get(other, 1)[0], expected, "at {:#x}", other);
            }
            prop_assert_eq!(rig.bus.seen.len(), if opcode == 0xA3 { 1 } else { 2 });
        }
    }
}
