//! x86 as gdb sees it, with registers in one of two layouts.
//!
//! gdb takes guests for 64-bit ones, as its description says. `set architecture i8086` or `i386` has it
//! expect the registers of a 32-bit CPU, and disassemble code of that kind: then `monitor 32-bit` has us
//! send these.

use gdbstub::arch::{Arch, Registers};
use gdbstub_arch::x86::X86_64_SSE;
use gdbstub_arch::x86::reg::id::X86_64CoreRegId;
use gdbstub_arch::x86::reg::{X86_64CoreRegs, X86CoreRegs, X86SegmentRegs, X87FpuInternalRegs};
use guest_state::VcpuState;

/// How many bytes a 64-bit CPU's registers take at least.
const WIDE_BYTES: usize = 0x218;

/// The architecture.
pub(super) enum X86 {}

impl Arch for X86 {
    type Usize = u64;
    type Registers = Layout;
    type BreakpointKind = usize;
    type RegId = X86_64CoreRegId;

    fn target_description_xml() -> Option<&'static str> {
        X86_64_SSE::target_description_xml()
    }
}

/// The registers.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub(super) enum Layout {
    Wide(X86_64CoreRegs),
    Narrow(X86CoreRegs),
}

impl Default for Layout {
    fn default() -> Self {
        Self::Wide(X86_64CoreRegs::default())
    }
}

impl Registers for Layout {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        match self {
            Self::Wide(regs) => regs.rip,
            Self::Narrow(regs) => regs.eip.into(),
        }
    }

    fn gdb_serialize(&self, write_byte: impl FnMut(Option<u8>)) {
        match self {
            Self::Wide(regs) => regs.gdb_serialize(write_byte),
            Self::Narrow(regs) => regs.gdb_serialize(write_byte),
        }
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        *self = if bytes.len() < WIDE_BYTES {
            let mut regs = X86CoreRegs::default();
            regs.gdb_deserialize(bytes)?;
            Self::Narrow(regs)
        } else {
            let mut regs = X86_64CoreRegs::default();
            regs.gdb_deserialize(bytes)?;
            Self::Wide(regs)
        };
        Ok(())
    }
}

/// Returns by how much the address of the next instruction is more than RIP. gdb knows nothing of
/// segments; only where code is found lies in one that matters, in real mode above all.
const fn code_base(state: &VcpuState) -> u64 {
    if state.is_64bit() { 0 } else { state.cs.base }
}

/// Shows a state to gdb.
pub(super) fn to_gdb(state: &VcpuState, narrow: bool) -> Layout {
    let wide = to_wide(state);
    if !narrow {
        return Layout::Wide(wide);
    }
    let [eax, ebx, ecx, edx, esi, edi, ebp, esp, ..] = wide.regs.map(low_half);
    let mut xmm = [0; 8];
    xmm.copy_from_slice(&wide.xmm[..8]);
    let X86_64CoreRegs { eflags, segments, st, fpu, mxcsr, .. } = wide;
    let eip = low_half(wide.rip);
    Layout::Narrow(X86CoreRegs {
        eax,
        ecx,
        edx,
        ebx,
        esp,
        ebp,
        esi,
        edi,
        eip,
        eflags,
        segments,
        st,
        fpu,
        xmm,
        mxcsr,
    })
}

/// The state with what gdb changed; `None` if that can't be: a selector alone makes no segment.
pub(super) fn from_gdb(old: &VcpuState, regs: &Layout) -> Option<VcpuState> {
    match regs {
        Layout::Wide(regs) => from_wide(old, regs),
        Layout::Narrow(regs) => {
            let mut wide = to_wide(old);
            let n = regs;
            let low = [n.eax, n.ebx, n.ecx, n.edx, n.esi, n.edi, n.ebp, n.esp];
            for (register, low) in wide.regs.iter_mut().zip(low) {
                *register = *register & !0xFFFF_FFFF | u64::from(low);
            }
            wide.rip = wide.rip & !0xFFFF_FFFF | u64::from(n.eip);
            wide.xmm[..8].copy_from_slice(&n.xmm);
            wide.eflags = n.eflags;
            wide.segments = n.segments.clone();
            wide.st = n.st;
            wide.fpu = n.fpu.clone();
            wide.mxcsr = n.mxcsr;
            from_wide(old, &wide)
        }
    }
}

fn low_half(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn to_wide(state: &VcpuState) -> X86_64CoreRegs {
    let (g, fpu) = (&state.general, &state.fpu);
    X86_64CoreRegs {
        regs: [
            g.rax, g.rbx, g.rcx, g.rdx, g.rsi, g.rdi, g.rbp, g.rsp, g.r8, g.r9, g.r10, g.r11,
            g.r12, g.r13, g.r14, g.r15,
        ],
        eflags: low_half(state.rflags),
        rip: state.rip.wrapping_add(code_base(state)),
        segments: segments(state),
        st: fpu.st.map(|value| {
            let [a, b, c, d, e, f, g, h, i, j, ..] = value.to_le_bytes();
            [a, b, c, d, e, f, g, h, i, j]
        }),
        // The upper half of a pointer is its segment, for 32-bit code.
        fpu: X87FpuInternalRegs {
            fctrl: fpu.fcw.into(),
            fstat: fpu.fsw.into(),
            ftag: fpu.ftw.into(),
            fiseg: low_half(fpu.fip >> 32),
            fioff: low_half(fpu.fip),
            foseg: low_half(fpu.fdp >> 32),
            fooff: low_half(fpu.fdp),
            fop: fpu.fop.into(),
        },
        xmm: fpu.xmm,
        mxcsr: fpu.mxcsr,
    }
}

fn segments(state: &VcpuState) -> X86SegmentRegs {
    X86SegmentRegs {
        cs: state.cs.selector.into(),
        ss: state.ss.selector.into(),
        ds: state.ds.selector.into(),
        es: state.es.selector.into(),
        fs: state.fs.selector.into(),
        gs: state.gs.selector.into(),
    }
}

fn from_wide(old: &VcpuState, regs: &X86_64CoreRegs) -> Option<VcpuState> {
    if regs.segments != segments(old) {
        return None;
    }
    let mut new = *old;
    let g = &mut new.general;
    [
        g.rax, g.rbx, g.rcx, g.rdx, g.rsi, g.rdi, g.rbp, g.rsp, g.r8, g.r9, g.r10, g.r11, g.r12,
        g.r13, g.r14, g.r15,
    ] = regs.regs;
    new.rflags = old.rflags & !0xFFFF_FFFF | u64::from(regs.eflags);
    new.rip = regs.rip.wrapping_sub(code_base(old));
    let low = |word: u32| u16::try_from(word & 0xFFFF).unwrap_or(0);
    new.fpu.fcw = low(regs.fpu.fctrl);
    new.fpu.fsw = low(regs.fpu.fstat);
    new.fpu.ftw = low(regs.fpu.ftag);
    new.fpu.fop = low(regs.fpu.fop);
    new.fpu.fip = u64::from(regs.fpu.fiseg) << 32 | u64::from(regs.fpu.fioff);
    new.fpu.fdp = u64::from(regs.fpu.foseg) << 32 | u64::from(regs.fpu.fooff);
    for (register, bytes) in new.fpu.st.iter_mut().zip(regs.st) {
        let mut wide = [0; 16];
        wide[..10].copy_from_slice(&bytes);
        *register = u128::from_le_bytes(wide);
    }
    new.fpu.xmm = regs.xmm;
    new.fpu.mxcsr = regs.mxcsr;
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(regs: &Layout) -> Vec<u8> {
        let mut bytes = Vec::new();
        regs.gdb_serialize(|byte| bytes.push(byte.unwrap_or(0)));
        bytes
    }

    #[test]
    fn registers_come_back_as_they_went() {
        let mut state = VcpuState::reset(0x600);
        state.general.r13 = 0x1234_5678_9ABC_DEF0;
        state.general.rdi = 0x8234_5678_9ABC_DEF0;
        state.fpu.xmm[15] = 7 << 100;
        state.fpu.st[7] = 0x3FFF << 64 | 5;
        state.fpu.fip = 0xFFFF_8000_1234_5678;
        for narrow in [false, true] {
            let mut regs = Layout::default();
            regs.gdb_deserialize(&bytes(&to_gdb(&state, narrow))).unwrap();
            assert_eq!(from_gdb(&state, &regs), Some(state), "{narrow}");
        }
    }

    /// The sizes that gdb 13.1 names when it gets another one.
    #[test]
    fn layouts_are_as_large_as_gdb_expects() {
        let state = VcpuState::reset(0);
        assert_eq!(bytes(&to_gdb(&state, true)).len(), 308);
        assert_eq!(bytes(&to_gdb(&state, false)).len(), 536);
    }

    #[test]
    fn the_program_counter_is_where_code_is_found() {
        let wide = |state: &VcpuState| to_gdb(state, false);
        let mut state = VcpuState::reset(0);
        assert_eq!(wide(&state).pc(), 0xFFFF_FFF0);
        let Layout::Wide(mut regs) = wide(&state) else { unreachable!() };
        regs.rip = 0xFFFF_0010;
        assert_eq!(from_gdb(&state, &Layout::Wide(regs.clone())).unwrap().rip, 0x10);
        regs.segments.cs = 8;
        assert_eq!(from_gdb(&state, &Layout::Wide(regs)), None);
        // In 64-bit mode a base of CS counts for nothing.
        (state.efer, state.rip) = (guest_state::efer::LMA, 0x1000);
        state.cs.access = guest_state::AccessRights(0xA09B);
        assert_eq!(wide(&state).pc(), 0x1000);
    }
}
