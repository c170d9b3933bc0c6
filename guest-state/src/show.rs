//! A CPU's state for people to read.

use core::fmt::{self, Display, Formatter};

use crate::{Activity, Segment, VcpuState, cr0, cr4, efer};

impl VcpuState {
    /// Returns a value that says in one line in which mode the CPU is, and where.
    #[must_use]
    pub const fn in_words(&self) -> InWords<'_> {
        InWords(self)
    }

    /// Returns a value that prints the general, control and segment registers as a table.
    #[must_use]
    pub const fn table(&self) -> RegisterTable<'_> {
        RegisterTable(self)
    }
}

/// What a CPU does, in words; [`VcpuState::in_words`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct InWords<'a>(&'a VcpuState);

impl Display for InWords<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = self.0;
        match state.activity {
            Activity::Active => {}
            Activity::Halted => return write!(f, "halted"),
            Activity::Shutdown => return write!(f, "shut down"),
            Activity::WaitForSipi => return write!(f, "waits for its SIPI"),
        }
        let mode = match state {
            _ if state.cr0 & cr0::PE == 0 => "real mode",
            _ if state.is_64bit() => "64-bit mode",
            _ if state.cs.access.is_32bit() => "32-bit protected mode",
            _ => "16-bit protected mode",
        };
        let paging = match state {
            _ if state.cr0 & cr0::PG == 0 => "no paging",
            _ if state.efer & efer::LMA == 0 && state.cr4 & cr4::PAE == 0 => "32-bit paging",
            _ if state.efer & efer::LMA == 0 => "PAE paging",
            _ if state.cr4 & cr4::LA57 != 0 => "5-level paging",
            _ => "4-level paging",
        };
        let linear = state.cs.base.wrapping_add(state.rip);
        write!(f, "{mode}, {paging}, next instruction at {linear:#x}")
    }
}

/// The registers that programs know, as a table; [`VcpuState::table`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct RegisterTable<'a>(&'a VcpuState);

impl Display for RegisterTable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let g = &s.general;
        for row in [
            [("rax", g.rax), ("rbx", g.rbx), ("rcx", g.rcx), ("rdx", g.rdx)],
            [("rsi", g.rsi), ("rdi", g.rdi), ("rbp", g.rbp), ("rsp", g.rsp)],
            [("r8", g.r8), ("r9", g.r9), ("r10", g.r10), ("r11", g.r11)],
            [("r12", g.r12), ("r13", g.r13), ("r14", g.r14), ("r15", g.r15)],
            [("rip", s.rip), ("rflags", s.rflags), ("efer", s.efer), ("cr8", s.cr8)],
            [("cr0", s.cr0), ("cr2", s.cr2), ("cr3", s.cr3), ("cr4", s.cr4)],
        ] {
            for (name, value) in row {
                write!(f, "  {name:>6} {value:016x}")?;
            }
            writeln!(f)?;
        }
        for (name, segment) in [
            ("cs", s.cs),
            ("ds", s.ds),
            ("es", s.es),
            ("fs", s.fs),
            ("gs", s.gs),
            ("ss", s.ss),
            ("ldtr", s.ldtr),
            ("tr", s.tr),
        ] {
            let Segment { selector, base, limit, access } = segment;
            write!(f, "  {name:>6} {selector:04x}  base {base:016x}  limit {limit:08x}")?;
            if access.is_unusable() {
                writeln!(f, "  unusable")?;
            } else {
                writeln!(f, "  access {:04x}", access.0)?;
            }
        }
        for (name, table) in [("gdtr", s.gdtr), ("idtr", s.idtr)] {
            writeln!(f, "  {name:>6}       base {:016x}  limit {:08x}", table.base, table.limit)?;
        }
        Ok(())
    }
}
