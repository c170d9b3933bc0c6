//! Arithmetic, with its flags. Operands have no bits beyond their width.
//!
//! # Source
//! Intel SDM Vol. 1, "EFLAGS Cross-Reference"; Vol. 2, "Flags Affected" of each instruction.

use guest_state::rflags::{AF, CF, OF, PF, SF, ZF};

use super::registers::Width;

pub(super) const fn add(flags: &mut u64, width: Width, a: u64, b: u64) -> u64 {
    let sum = a.wrapping_add(b) & width.mask();
    set(flags, CF, sum < a);
    set(flags, OF, (a ^ sum) & (b ^ sum) & width.sign() != 0);
    set(flags, AF, (a ^ b ^ sum) & 1 << 4 != 0);
    set_result(flags, width, sum);
    sum
}

pub(super) const fn sub(flags: &mut u64, width: Width, a: u64, b: u64) -> u64 {
    let difference = a.wrapping_sub(b) & width.mask();
    set(flags, CF, a < b);
    set(flags, OF, (a ^ b) & (a ^ difference) & width.sign() != 0);
    set(flags, AF, (a ^ b ^ difference) & 1 << 4 != 0);
    set_result(flags, width, difference);
    difference
}

/// Adds or subtracts one. The carry stays as it is.
pub(super) const fn step(flags: &mut u64, width: Width, a: u64, up: bool) -> u64 {
    let carry = *flags & CF;
    let result = if up { add(flags, width, a, 1) } else { sub(flags, width, a, 1) };
    *flags = *flags & !CF | carry;
    result
}

/// Sets the flags of AND, OR, XOR and TEST. AF, which is undefined, becomes zero.
pub(super) const fn logic(flags: &mut u64, width: Width, result: u64) -> u64 {
    *flags &= !(CF | OF | AF);
    set_result(flags, width, result);
    result
}

/// A bit of a value, to CF. The other flags are undefined, or, as ZF, stay: here all stay.
pub(super) const fn bit_test(flags: &mut u64, value: u64, bit: u32) {
    set(flags, CF, value >> bit & 1 != 0);
}

const fn set_result(flags: &mut u64, width: Width, result: u64) {
    let [low, ..] = result.to_le_bytes();
    set(flags, ZF, result == 0);
    set(flags, SF, result & width.sign() != 0);
    set(flags, PF, low.count_ones() % 2 == 0);
}

const fn set(flags: &mut u64, flag: u64, value: bool) {
    *flags = if value { *flags | flag } else { *flags & !flag };
}
