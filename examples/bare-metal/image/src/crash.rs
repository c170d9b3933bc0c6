//! Why a guest could not go on, and what is known of it.

use core::fmt::{self, Write};

use guest_state::{
    Access, AccessError, AccessKind, Gva, PagingState, Privilege, VcpuState, translate,
};
use machine::ExecuteError;
use vmx::{Exit, VmFail};

use crate::board::{Board, BoardError};

/// Why a guest could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Crash {
    #[error("triple fault")]
    TripleFault,
    #[error("halted with interrupts off: nothing can wake it")]
    Halted,
    #[error("an instruction that touches device memory")]
    Execute(#[from] ExecuteError),
    #[error("the guest's page tables are not in its memory")]
    PageTables(#[source] AccessError),
    #[error("the processor refuses to enter the guest: {0:?}")]
    EntryFailure(Exit),
    #[error("unexpected exit: {0:x?}")]
    Exit(Exit),
    #[error("VMX")]
    Vmx(#[from] vmx::Error),
    #[error("VMCS")]
    Vmcs(#[from] VmFail),
    #[error("guest memory can't be mapped")]
    Board(#[from] BoardError),
    #[error("guest memory")]
    Memory(#[from] boot_plan::Error),
}

/// The longest instruction of an x86 CPU.
const MOST_INSTRUCTION_BYTES: usize = 15;

/// Writes why the guest crashed, with its registers and its next instruction.
pub(crate) fn report(
    out: &mut impl Write,
    crash: &Crash,
    state: Option<&VcpuState>,
    board: &Board,
) -> fmt::Result {
    writeln!(out, "cpu 0: {}", InFull(crash))?;
    let Some(state) = state else { return Ok(()) };
    writeln!(out, "  {}", state.in_words())?;
    write!(out, "{}", state.table())?;
    let linear = state.cs.base.wrapping_add(state.rip);
    let bytes = (0..MOST_INSTRUCTION_BYTES as u64)
        .map_while(|at| byte_at(state, board, linear.wrapping_add(at)));
    let mut bytes = bytes.peekable();
    if bytes.peek().is_none() {
        return writeln!(out, "  no instruction bytes at {linear:#x}");
    }
    write!(out, "  instruction bytes at {linear:#x}:")?;
    bytes.try_for_each(|byte| write!(out, " {byte:02x}"))?;
    writeln!(out)
}

fn byte_at(state: &VcpuState, board: &Board, linear: u64) -> Option<u8> {
    let paging = PagingState::new(state, 52);
    let access = Access { kind: AccessKind::Execute, privilege: Privilege::Supervisor };
    let found = translate(&board.ram, &paging, Gva::new(linear), access).ok()?;
    let mut byte = [0];
    board.peek(found.gpa, &mut byte).ok()?;
    Some(byte[0])
}

/// An error with all its causes, in one line.
pub(crate) struct InFull<'e>(pub(crate) &'e dyn core::error::Error);

impl fmt::Display for InFull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
