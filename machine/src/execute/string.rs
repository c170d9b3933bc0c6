//! String instructions.

use guest_state::{AccessKind, GuestMemory, rflags};
use iced_x86::{Code, Instruction, OpKind, Register};

use super::address::Effective;
use super::registers::{Gpr, Width};
use super::{Executed, Executor, MemoryBus, Mode, REPEAT_LIMIT, Stop};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Load,
    Store,
    Move,
}

/// A string instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct StringInstruction {
    operation: Operation,
    width: Width,
    /// The width of RSI, RDI and RCX.
    address: Width,
    source: Register,
    repeats: bool,
}

impl StringInstruction {
    pub(super) fn decode(instruction: &Instruction) -> Option<Self> {
        let (operation, width) = match instruction.code() {
            Code::Lodsb_AL_m8 => (Operation::Load, Width::Bits8),
            Code::Lodsw_AX_m16 => (Operation::Load, Width::Bits16),
            Code::Lodsd_EAX_m32 => (Operation::Load, Width::Bits32),
            Code::Lodsq_RAX_m64 => (Operation::Load, Width::Bits64),
            Code::Stosb_m8_AL => (Operation::Store, Width::Bits8),
            Code::Stosw_m16_AX => (Operation::Store, Width::Bits16),
            Code::Stosd_m32_EAX => (Operation::Store, Width::Bits32),
            Code::Stosq_m64_RAX => (Operation::Store, Width::Bits64),
            Code::Movsb_m8_m8 => (Operation::Move, Width::Bits8),
            Code::Movsw_m16_m16 => (Operation::Move, Width::Bits16),
            Code::Movsd_m32_m32 => (Operation::Move, Width::Bits32),
            Code::Movsq_m64_m64 => (Operation::Move, Width::Bits64),
            _ => return None,
        };
        let memory = if operation == Operation::Load { 1 } else { 0 };
        let address = match instruction.op_kind(memory) {
            OpKind::MemorySegSI | OpKind::MemoryESDI => Width::Bits16,
            OpKind::MemorySegESI | OpKind::MemoryESEDI => Width::Bits32,
            OpKind::MemorySegRSI | OpKind::MemoryESRDI => Width::Bits64,
            _ => return None,
        };
        let source = instruction.memory_segment();
        let repeats = instruction.has_rep_prefix() || instruction.has_repne_prefix();
        Some(Self { operation, width, address, source, repeats })
    }
}

impl<M: GuestMemory, B: MemoryBus> Executor<'_, M, B> {
    /// Executes a string instruction as far as it may go at once.
    pub(super) fn repeat(&mut self, string: StringInstruction) -> Result<Executed, Stop> {
        if !string.repeats {
            self.element(string)?;
            return Ok(Executed::Completed);
        }
        let counter = Gpr::new(Gpr::RCX, string.address);
        // A single step traps after each element.
        let limit = if self.cpu.rflags & rflags::TF != 0 { 1 } else { REPEAT_LIMIT };
        for _ in 0..limit {
            let count = counter.read(&self.cpu.general);
            if count == 0 {
                return Ok(Executed::Completed);
            }
            self.element(string)?;
            counter.write(&mut self.cpu.general, count - 1);
        }
        let done = counter.read(&self.cpu.general) == 0;
        Ok(if done { Executed::Completed } else { Executed::Repeating })
    }

    /// Loads, stores or moves one element. Both addresses are checked before either is accessed.
    fn element(&mut self, string: StringInstruction) -> Result<(), Stop> {
        let accumulator = Gpr::new(Gpr::RAX, string.width);
        let source = Gpr::new(Gpr::RSI, string.address);
        let destination = Gpr::new(Gpr::RDI, string.address);
        let segment = match string.source {
            named @ (Register::FS | Register::GS) => named,
            _ if self.mode == Mode::Long => Register::DS,
            named => named,
        };
        match string.operation {
            Operation::Load => {
                let from = self.element_at(string, segment, source);
                let from = self.resolve(from, string.width, AccessKind::Read)?;
                let value = self.read(from);
                accumulator.write(&mut self.cpu.general, value);
                self.pass(string, source);
            }
            Operation::Store => {
                let to = self.element_at(string, Register::ES, destination);
                let to = self.resolve(to, string.width, AccessKind::Write)?;
                self.write(to, accumulator.read(&self.cpu.general));
                self.pass(string, destination);
            }
            Operation::Move => {
                let from = self.element_at(string, segment, source);
                let from = self.resolve(from, string.width, AccessKind::Read)?;
                let to = self.element_at(string, Register::ES, destination);
                let to = self.resolve(to, string.width, AccessKind::Write)?;
                let value = self.read(from);
                self.write(to, value);
                self.pass(string, source);
                self.pass(string, destination);
            }
        }
        Ok(())
    }

    const fn element_at(
        &self,
        string: StringInstruction,
        segment: Register,
        index: Gpr,
    ) -> Effective {
        Effective { segment, offset: index.read(&self.cpu.general), width: string.address }
    }

    /// Takes an index register to the next element.
    const fn pass(&mut self, string: StringInstruction, index: Gpr) {
        let at = index.read(&self.cpu.general);
        let bytes = string.width.bytes() as u64;
        let down = self.cpu.rflags & rflags::DF != 0;
        let next = if down { at.wrapping_sub(bytes) } else { at.wrapping_add(bytes) };
        index.write(&mut self.cpu.general, next);
    }
}
