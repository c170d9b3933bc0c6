//! General registers by number and width.

use guest_state::GeneralRegisters;
use iced_x86::{MemorySize, Register};

/// The width of an operand or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Bits8,
    Bits16,
    Bits32,
    Bits64,
}

impl Width {
    pub(super) const fn of_memory(size: MemorySize) -> Option<Self> {
        Some(match size {
            MemorySize::UInt8 | MemorySize::Int8 => Self::Bits8,
            MemorySize::UInt16 | MemorySize::Int16 => Self::Bits16,
            MemorySize::UInt32 | MemorySize::Int32 => Self::Bits32,
            MemorySize::UInt64 | MemorySize::Int64 => Self::Bits64,
            _ => return None,
        })
    }

    pub(super) const fn bytes(self) -> usize {
        1 << self as u32
    }

    pub(super) const fn bits(self) -> u32 {
        8 << self as u32
    }

    pub(super) const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    pub(super) const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }

    pub(super) const fn sign_extend(self, value: u64) -> u64 {
        let unused = 64 - self.bits();
        ((value << unused).cast_signed() >> unused).cast_unsigned()
    }
}

/// A general register, or the part of one that an instruction names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gpr {
    number: usize,
    width: Width,
    /// Bits 15:8: AH, CH, DH or BH.
    high: bool,
}

impl Gpr {
    pub(super) const RAX: usize = 0;
    pub(super) const RCX: usize = 1;
    pub(super) const RSI: usize = 6;
    pub(super) const RDI: usize = 7;

    pub(super) const fn new(number: usize, width: Width) -> Self {
        Self { number, width, high: false }
    }

    /// The register of the decoder's name, if it is a general one.
    pub(super) const fn decode(register: Register) -> Option<Self> {
        const SPL: usize = Register::SPL as usize;
        const AX: usize = Register::AX as usize;
        const EAX: usize = Register::EAX as usize;
        const RAX: usize = Register::RAX as usize;
        const R15: usize = Register::R15 as usize;
        let at = register as usize;
        Some(match at {
            1..=4 => Self::new(at - 1, Width::Bits8),
            5..=8 => Self { number: at - 5, width: Width::Bits8, high: true },
            SPL..AX => Self::new(4 + at - SPL, Width::Bits8),
            AX..EAX => Self::new(at - AX, Width::Bits16),
            EAX..RAX => Self::new(at - EAX, Width::Bits32),
            RAX..=R15 => Self::new(at - RAX, Width::Bits64),
            _ => return None,
        })
    }

    pub(super) const fn width(self) -> Width {
        self.width
    }

    /// Tells whether this is RSP or RBP, or a part of one, by which addresses are on the stack.
    pub(super) const fn is_of_stack(self) -> bool {
        matches!(self.number, 4 | 5)
    }

    pub(super) const fn read(self, registers: &GeneralRegisters) -> u64 {
        let whole = *select(registers, self.number);
        let value = if self.high { whole >> 8 } else { whole };
        value & self.width.mask()
    }

    /// Writes the register: 8 and 16 bits leave the others as they are, 32 bits clear the upper 32.
    pub(super) const fn write(self, registers: &mut GeneralRegisters, value: u64) {
        let whole = select_mut(registers, self.number);
        let shift = if self.high { 8 } else { 0 };
        let mask = match self.width {
            Width::Bits8 | Width::Bits16 => self.width.mask() << shift,
            Width::Bits32 | Width::Bits64 => u64::MAX,
        };
        *whole = *whole & !mask | (value & self.width.mask()) << shift;
    }
}

macro_rules! by_number {
    ($registers:expr, $number:expr, $($reference:tt)+) => {
        match $number {
            0 => $($reference)+ $registers.rax,
            1 => $($reference)+ $registers.rcx,
            2 => $($reference)+ $registers.rdx,
            3 => $($reference)+ $registers.rbx,
            4 => $($reference)+ $registers.rsp,
            5 => $($reference)+ $registers.rbp,
            6 => $($reference)+ $registers.rsi,
            7 => $($reference)+ $registers.rdi,
            8 => $($reference)+ $registers.r8,
            9 => $($reference)+ $registers.r9,
            10 => $($reference)+ $registers.r10,
            11 => $($reference)+ $registers.r11,
            12 => $($reference)+ $registers.r12,
            13 => $($reference)+ $registers.r13,
            14 => $($reference)+ $registers.r14,
            _ => $($reference)+ $registers.r15,
        }
    };
}

const fn select(registers: &GeneralRegisters, number: usize) -> &u64 {
    by_number!(registers, number, &)
}

const fn select_mut(registers: &mut GeneralRegisters, number: usize) -> &mut u64 {
    by_number!(registers, number, &mut)
}
