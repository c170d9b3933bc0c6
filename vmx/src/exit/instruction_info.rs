//! What the VMCS says of an instruction's operands.

/// The VM-exit instruction-information field.
///
/// | bits | meaning |
/// |---|---|
/// | 1:0 | scale of the index |
/// | 6:3 | register 1 |
/// | 9:7 | address size |
/// | 10 | the operand is register 1, not memory |
/// | 12:11 | operand size |
/// | 17:15 | segment |
/// | 21:18, 22 | index register, none |
/// | 26:23, 27 | base register, none |
/// | 31:28 | register 2, or 29:28 which instruction |
///
/// Which of them mean something depends on the instruction.
///
/// # Source
/// Intel SDM Vol. 3C, "Information for VM Exits Due to Instruction Execution".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct InstructionInfo(pub u32);

impl InstructionInfo {
    const fn bits(self, low: u32, mask: u32) -> u8 {
        let [field, ..] = (self.0 >> low & mask).to_le_bytes();
        field
    }

    /// Returns the factor of the index register: 1, 2, 4 or 8.
    #[must_use]
    pub const fn scale(self) -> u8 {
        1 << self.bits(0, 3)
    }

    /// Returns the number of the first register.
    #[must_use]
    pub const fn register1(self) -> u8 {
        self.bits(3, 0xF)
    }

    /// Returns the address size in bits: 16, 32 or 64.
    #[must_use]
    pub const fn address_bits(self) -> u8 {
        match self.bits(7, 7) {
            0 => 16,
            1 => 32,
            _ => 64,
        }
    }

    /// Returns the operand size in bits: 16, 32 or 64.
    #[must_use]
    pub const fn operand_bits(self) -> u8 {
        match self.bits(11, 3) {
            0 => 16,
            1 => 32,
            _ => 64,
        }
    }

    /// Tells whether the operand is the first register, not memory.
    #[must_use]
    pub const fn is_register(self) -> bool {
        self.0 & 1 << 10 != 0
    }

    /// Returns the number of the segment: ES, CS, SS, DS, FS, GS.
    #[must_use]
    pub const fn segment(self) -> u8 {
        self.bits(15, 7)
    }

    /// Returns the number of the index register, if there is one.
    #[must_use]
    pub const fn index(self) -> Option<u8> {
        if self.0 & 1 << 22 != 0 { None } else { Some(self.bits(18, 0xF)) }
    }

    /// Returns the number of the base register, if there is one.
    #[must_use]
    pub const fn base(self) -> Option<u8> {
        if self.0 & 1 << 27 != 0 { None } else { Some(self.bits(23, 0xF)) }
    }

    /// Returns the number of the second register.
    #[must_use]
    pub const fn register2(self) -> u8 {
        self.bits(28, 0xF)
    }

    /// Returns which instruction accessed GDTR or IDTR, for exits of that reason.
    #[must_use]
    pub const fn gdtr_idtr_access(self) -> TableInstruction {
        match self.bits(28, 3) {
            0 => TableInstruction::Sgdt,
            1 => TableInstruction::Sidt,
            2 => TableInstruction::Lgdt,
            _ => TableInstruction::Lidt,
        }
    }

    /// Returns which instruction accessed LDTR or TR, for exits of that reason.
    #[must_use]
    pub const fn ldtr_tr_access(self) -> TableInstruction {
        match self.bits(28, 3) {
            0 => TableInstruction::Sldt,
            1 => TableInstruction::Str,
            2 => TableInstruction::Lldt,
            _ => TableInstruction::Ltr,
        }
    }

    /// Returns the offset of the memory operand within its segment.
    ///
    /// `displacement` is the exit qualification, `register` gives the value of a register by its
    /// number.
    #[must_use]
    pub fn effective_address(self, displacement: u64, register: impl Fn(u8) -> u64) -> u64 {
        let base = self.base().map_or(0, &register);
        let index = self.index().map_or(0, &register).wrapping_mul(self.scale().into());
        let address = base.wrapping_add(index).wrapping_add(displacement);
        match self.address_bits() {
            16 => address & 0xFFFF,
            32 => address & 0xFFFF_FFFF,
            _ => address,
        }
    }
}

/// The instructions that access descriptor-table registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the instruction of its name")]
pub enum TableInstruction {
    Sgdt,
    Sidt,
    Lgdt,
    Lidt,
    Sldt,
    Str,
    Lldt,
    Ltr,
}
