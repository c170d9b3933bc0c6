//! Why a guest could not go on, and what is known of it.

use alloc::string::String;
use core::fmt::{self, Write};

use guest_state::{
    Access, AccessError, AccessKind, Gva, PagingState, Privilege, VcpuState, translate,
};
use machine::ExecuteError;
use vmx::{Exit, VmFail};

use crate::board::{Board, BoardError};
use crate::say;

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

/// Says why the guest crashed, with its registers and its next instruction.
pub(crate) fn report(crash: &Crash, state: Option<&VcpuState>, board: &Board) {
    say!("cpu 0: {}", InFull(crash));
    let Some(state) = state else { return };
    say!("  {}", state.in_words());
    let mut table = String::new();
    let _ = write!(table, "{}", state.table());
    for line in table.lines() {
        say!("{line}");
    }
    let linear = state.cs.base.wrapping_add(state.rip);
    let mut bytes = String::new();
    for at in 0..MOST_INSTRUCTION_BYTES as u64 {
        match byte_at(state, board, linear.wrapping_add(at)) {
            Some(byte) => {
                let _ = write!(bytes, " {byte:02x}");
            }
            None => break,
        }
    }
    if bytes.is_empty() {
        say!("  no instruction bytes at {linear:#x}");
    } else {
        say!("  instruction bytes at {linear:#x}:{bytes}");
    }
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
