//! Instructions with one memory operand or none.

use guest_state::{AccessKind, GuestMemory};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::address::Span;
use super::alu;
use super::fetch::Fetched;
use super::registers::{Gpr, Width};
use super::{Exception, Executor, MemoryBus, Stop};

/// An operand whose address, if it has one, was checked.
#[derive(Clone, Copy, Debug)]
enum Operand {
    Register(Gpr),
    Memory(Span),
    /// An immediate, or the selector of a segment register.
    Value(u64),
}

/// An operand, and how wide it is.
type Sized = (Operand, Width);

impl<M: GuestMemory, B: MemoryBus> Executor<'_, M, B> {
    /// Executes an instruction, apart from moving RIP behind it.
    pub(super) fn run(&mut self, fetched: &Fetched) -> Result<(), Stop> {
        use Mnemonic::{
            Add, And, Bt, Btc, Btr, Bts, Cmp, Cmpxchg, Dec, Inc, Mov, Movsx, Movsxd, Movzx, Neg,
            Not, Or, Sub, Test, Ud0, Ud1, Ud2, Xadd, Xchg, Xor,
        };
        const READ: AccessKind = AccessKind::Read;
        const WRITE: AccessKind = AccessKind::Write;
        match fetched.instruction.mnemonic() {
            Mov => self.mov(fetched),
            Movzx | Movsx | Movsxd => self.extend(fetched),
            Add | Sub | And | Or | Xor => {
                let (to, width) = self.operand(fetched, 0, WRITE)?;
                let (from, _) = self.operand(fetched, 1, READ)?;
                let (a, b) = (self.load(to), self.load(from) & width.mask());
                let flags = &mut self.cpu.rflags;
                let result = match fetched.instruction.mnemonic() {
                    Add => alu::add(flags, width, a, b),
                    Sub => alu::sub(flags, width, a, b),
                    And => alu::logic(flags, width, a & b),
                    Or => alu::logic(flags, width, a | b),
                    _ => alu::logic(flags, width, a ^ b),
                };
                self.store(to, result);
                Ok(())
            }
            Cmp | Test => {
                let (first, width) = self.operand(fetched, 0, READ)?;
                let (second, _) = self.operand(fetched, 1, READ)?;
                let (a, b) = (self.load(first), self.load(second) & width.mask());
                let flags = &mut self.cpu.rflags;
                match fetched.instruction.mnemonic() {
                    Cmp => alu::sub(flags, width, a, b),
                    _ => alu::logic(flags, width, a & b),
                };
                Ok(())
            }
            Inc | Dec | Neg | Not => {
                let (operand, width) = self.operand(fetched, 0, WRITE)?;
                let value = self.load(operand);
                let flags = &mut self.cpu.rflags;
                let result = match fetched.instruction.mnemonic() {
                    Inc => alu::step(flags, width, value, true),
                    Dec => alu::step(flags, width, value, false),
                    Neg => alu::sub(flags, width, 0, value),
                    _ => !value & width.mask(),
                };
                self.store(operand, result);
                Ok(())
            }
            Xchg => {
                let (first, _) = self.operand(fetched, 0, WRITE)?;
                let (second, _) = self.operand(fetched, 1, WRITE)?;
                let (a, b) = (self.load(first), self.load(second));
                self.store(first, b);
                self.store(second, a);
                Ok(())
            }
            Xadd => {
                let (to, width) = self.operand(fetched, 0, WRITE)?;
                let (from, _) = self.operand(fetched, 1, WRITE)?;
                let (a, b) = (self.load(to), self.load(from));
                let sum = alu::add(&mut self.cpu.rflags, width, a, b);
                self.store(from, a);
                self.store(to, sum);
                Ok(())
            }
            Cmpxchg => self.compare_exchange(fetched),
            Bt | Bts | Btr | Btc => self.bit(fetched),
            Ud0 | Ud1 | Ud2 => Err(Exception::InvalidOpcode.into()),
            _ => Err(fetched.unsupported()),
        }
    }

    fn mov(&mut self, fetched: &Fetched) -> Result<(), Stop> {
        let (to, _) = self.operand(fetched, 0, AccessKind::Write)?;
        let instruction = &fetched.instruction;
        let from = match (instruction.op_kind(1), instruction.op_register(1)) {
            (
                OpKind::Register,
                register @ (Register::ES
                | Register::CS
                | Register::SS
                | Register::DS
                | Register::FS
                | Register::GS),
            ) => Operand::Value(u64::from(self.segment(register).selector)),
            _ => self.operand(fetched, 1, AccessKind::Read)?.0,
        };
        let value = self.load(from);
        self.store(to, value);
        Ok(())
    }

    fn extend(&mut self, fetched: &Fetched) -> Result<(), Stop> {
        let (to, _) = self.operand(fetched, 0, AccessKind::Write)?;
        let (from, width) = self.operand(fetched, 1, AccessKind::Read)?;
        let value = self.load(from);
        let value = match fetched.instruction.mnemonic() {
            Mnemonic::Movzx => value,
            _ => width.sign_extend(value),
        };
        self.store(to, value);
        Ok(())
    }

    /// Memory is written whether it is equal or not, as the CPU does. A register is not: measured, a
    /// comparison of 32 bits that fails leaves its upper half.
    fn compare_exchange(&mut self, fetched: &Fetched) -> Result<(), Stop> {
        let (to, width) = self.operand(fetched, 0, AccessKind::Write)?;
        let (from, _) = self.operand(fetched, 1, AccessKind::Read)?;
        let accumulator = Gpr::new(Gpr::RAX, width);
        let expected = accumulator.read(&self.cpu.general);
        let (found, new) = (self.load(to), self.load(from));
        alu::sub(&mut self.cpu.rflags, width, expected, found);
        if expected == found {
            self.store(to, new);
        } else {
            if matches!(to, Operand::Memory(_)) {
                self.store(to, found);
            }
            accumulator.write(&mut self.cpu.general, found);
        }
        Ok(())
    }

    fn bit(&mut self, fetched: &Fetched) -> Result<(), Stop> {
        let instruction = &fetched.instruction;
        let mnemonic = instruction.mnemonic();
        let kind = if mnemonic == Mnemonic::Bt { AccessKind::Read } else { AccessKind::Write };
        let (index, index_width) = self.operand(fetched, 1, AccessKind::Read)?;
        let index = match index {
            Operand::Register(gpr) => index_width.sign_extend(gpr.read(&self.cpu.general)),
            other => self.load(other),
        };
        let (operand, width) = match (instruction.op_kind(0), instruction.op_kind(1)) {
            // A bit in a register counts from the operand on, to either side.
            (OpKind::Memory, OpKind::Register) => {
                let width = self.width(fetched, 0)?;
                let units = index.cast_signed() >> width.bits().ilog2();
                let bytes = units.cast_unsigned().wrapping_mul(width.bytes() as u64);
                let at = self.effective(instruction).plus(bytes);
                (Operand::Memory(self.resolve(at, width, kind)?), width)
            }
            _ => self.operand(fetched, 0, kind)?,
        };
        let bit = u32::try_from(index & u64::from(width.bits() - 1)).unwrap_or(0);
        let value = self.load(operand);
        alu::bit_test(&mut self.cpu.rflags, value, bit);
        let result = match mnemonic {
            Mnemonic::Bts => value | 1 << bit,
            Mnemonic::Btr => value & !(1 << bit),
            Mnemonic::Btc => value ^ 1 << bit,
            _ => return Ok(()),
        };
        self.store(operand, result);
        Ok(())
    }

    /// Prepares an operand: what can fault does so here.
    fn operand(&self, fetched: &Fetched, index: u32, kind: AccessKind) -> Result<Sized, Stop> {
        let instruction = &fetched.instruction;
        let width = self.width(fetched, index)?;
        let operand = match instruction.op_kind(index) {
            OpKind::Register => Operand::Register(
                Gpr::decode(instruction.op_register(index)).ok_or(fetched.unsupported())?,
            ),
            OpKind::Memory => {
                let at = self.effective(instruction);
                Operand::Memory(self.resolve(at, width, kind)?)
            }
            _ => Operand::Value(instruction.immediate(index)),
        };
        Ok((operand, width))
    }

    fn width(&self, fetched: &Fetched, index: u32) -> Result<Width, Stop> {
        let instruction = &fetched.instruction;
        width_of(instruction, index).ok_or(fetched.unsupported())
    }

    fn load(&mut self, operand: Operand) -> u64 {
        match operand {
            Operand::Register(gpr) => gpr.read(&self.cpu.general),
            Operand::Memory(span) => self.read(span),
            Operand::Value(value) => value,
        }
    }

    fn store(&mut self, operand: Operand, value: u64) {
        match operand {
            Operand::Register(gpr) => gpr.write(&mut self.cpu.general, value),
            Operand::Memory(span) => self.write(span, value),
            Operand::Value(_) => {}
        }
    }
}

/// How wide an operand is; `None` for operands that are not general.
fn width_of(instruction: &Instruction, index: u32) -> Option<Width> {
    match instruction.op_kind(index) {
        OpKind::Register => Gpr::decode(instruction.op_register(index)).map(Gpr::width),
        OpKind::Memory => Width::of_memory(instruction.memory_size()),
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate64
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64
        | OpKind::Immediate32to64 => width_of(instruction, 0),
        _ => None,
    }
}
