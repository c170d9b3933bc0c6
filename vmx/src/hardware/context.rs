//! What the VMCS does not hold of a guest: most of its registers.

use core::fmt;

use guest_state::{GeneralRegisters, VcpuState};

/// The registers that a System V function may change, and RBX: what a handler on the fast path sees.
/// Those in which CPUID answers stand side by side.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register of its name")]
pub struct ScratchRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
}

/// The x87 and SSE state as FXSAVE64 stores it.
#[repr(C, align(16))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FxState(pub [u8; 512]);

/// What the VMCS does not hold of a guest but the run stub keeps: all general-purpose registers but
/// RSP, CR2, and the x87 and SSE state.
#[repr(C, align(16))]
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register of its name")]
pub struct GuestContext {
    pub scratch: ScratchRegisters,
    pub rbp: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub cr2: u64,
    /// The x87 and SSE state.
    pub fx: FxState,
}

impl GuestContext {
    /// Takes from `state` what the VMCS does not hold.
    #[must_use]
    pub fn new(state: &VcpuState) -> Self {
        let g = &state.general;
        Self {
            scratch: ScratchRegisters {
                rax: g.rax,
                rbx: g.rbx,
                rcx: g.rcx,
                rdx: g.rdx,
                rsi: g.rsi,
                rdi: g.rdi,
                r8: g.r8,
                r9: g.r9,
                r10: g.r10,
                r11: g.r11,
            },
            rbp: g.rbp,
            r12: g.r12,
            r13: g.r13,
            r14: g.r14,
            r15: g.r15,
            cr2: state.cr2,
            fx: FxState::new(&state.fpu),
        }
    }

    /// Writes to `state` what the VMCS does not hold; RSP is left as it is.
    pub fn save(&self, state: &mut VcpuState) {
        let s = &self.scratch;
        state.general = GeneralRegisters {
            rax: s.rax,
            rbx: s.rbx,
            rcx: s.rcx,
            rdx: s.rdx,
            rsi: s.rsi,
            rdi: s.rdi,
            rbp: self.rbp,
            rsp: state.general.rsp,
            r8: s.r8,
            r9: s.r9,
            r10: s.r10,
            r11: s.r11,
            r12: self.r12,
            r13: self.r13,
            r14: self.r14,
            r15: self.r15,
        };
        state.cr2 = self.cr2;
        state.fpu = self.fx.fpu();
    }

    /// Returns the register of this number, as ModRM and exit qualifications count them; `None` for
    /// 4, RSP, which is in the VMCS, and for numbers that are none.
    #[must_use]
    pub fn register(&self, number: u8) -> Option<u64> {
        let s = &self.scratch;
        Some(match number {
            0 => s.rax,
            1 => s.rcx,
            2 => s.rdx,
            3 => s.rbx,
            5 => self.rbp,
            6 => s.rsi,
            7 => s.rdi,
            8 => s.r8,
            9 => s.r9,
            10 => s.r10,
            11 => s.r11,
            12 => self.r12,
            13 => self.r13,
            14 => self.r14,
            15 => self.r15,
            _ => return None,
        })
    }

    /// Gives access to the register of this number, as [`register`](Self::register) counts.
    pub fn register_mut(&mut self, number: u8) -> Option<&mut u64> {
        let s = &mut self.scratch;
        Some(match number {
            0 => &mut s.rax,
            1 => &mut s.rcx,
            2 => &mut s.rdx,
            3 => &mut s.rbx,
            5 => &mut self.rbp,
            6 => &mut s.rsi,
            7 => &mut s.rdi,
            8 => &mut s.r8,
            9 => &mut s.r9,
            10 => &mut s.r10,
            11 => &mut s.r11,
            12 => &mut self.r12,
            13 => &mut self.r13,
            14 => &mut self.r14,
            15 => &mut self.r15,
            _ => return None,
        })
    }
}

impl fmt::Debug for FxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FxState({:x?})", self.fpu())
    }
}

impl fmt::Debug for GuestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scratch, rbp, r12, r13, r14, r15, cr2, fx: _ } = self;
        write!(
            f,
            "GuestContext {{ {scratch:x?}, rbp: {rbp:#x}, r12: {r12:#x}, \
             r13: {r13:#x}, r14: {r14:#x}, r15: {r15:#x}, cr2: {cr2:#x}, .. }}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state whose registers hold their numbers in the order of instruction encodings.
    fn numbered() -> VcpuState {
        let mut state = VcpuState::reset(0);
        state.general = GeneralRegisters {
            rax: 0,
            rcx: 1,
            rdx: 2,
            rbx: 3,
            rsp: 4,
            rbp: 5,
            rsi: 6,
            rdi: 7,
            r8: 8,
            r9: 9,
            r10: 10,
            r11: 11,
            r12: 12,
            r13: 13,
            r14: 14,
            r15: 15,
        };
        state.cr2 = 0x1000;
        state
    }

    #[test]
    fn registers_have_the_numbers_of_instruction_encodings() {
        let mut context = GuestContext::new(&numbered());
        for number in 0..=255 {
            let exists = number < 16 && number != 4;
            assert_eq!(context.register(number), exists.then_some(number.into()));
            assert_eq!(context.register_mut(number).copied(), context.register(number));
        }
    }

    #[test]
    fn all_registers_but_rsp_come_back() {
        let state = numbered();
        let mut back = VcpuState::reset(0);
        back.general.rsp = 4;
        GuestContext::new(&state).save(&mut back);
        assert_eq!(back, state);
    }
}
