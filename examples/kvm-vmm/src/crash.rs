//! What is known of a crash: the reason, the registers, the instruction.

use std::fmt::Write;

use guest_state::{Access, AccessKind, Gpa, Gva, PagingState, Privilege, VcpuState, translate};

use crate::board::Board;
use crate::registers;
use crate::sys::Vcpu;

/// The longest instruction of an x86 CPU.
const MOST_INSTRUCTION_BYTES: usize = 15;
/// As wide as physical addresses get: which bits are reserved matters little to a crash.
const PHYSICAL_BITS: u32 = 52;

/// Says all that is known, with the instruction bytes that KVM gave, or those in memory.
pub(crate) fn report(
    index: usize,
    vcpu: &Vcpu,
    board: &Board,
    reason: &str,
    instruction: Option<&[u8]>,
) -> String {
    let mut text = format!("cpu {index}: {reason}\n");
    let state = match registers::read(vcpu.fd()) {
        Ok(state) => state,
        Err(error) => return text + &format!("  registers unknown: {error}\n"),
    };
    let _ = write!(text, "  {}\n{}", state.in_words(), state.table());
    let bytes = match instruction {
        Some(bytes) => Ok(bytes.to_vec()),
        None => fetch(&state, board),
    };
    let linear = state.cs.base.wrapping_add(state.rip);
    let _ = match bytes {
        Ok(bytes) => {
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "  instruction bytes at {linear:#x}: {}", bytes.join(" "))
        }
        Err(why) => writeln!(text, "  no instruction bytes at {linear:#x}: {why}"),
    };
    text
}

/// Reads the bytes of the next instruction, as far as they can be fetched.
fn fetch(state: &VcpuState, board: &Board) -> Result<Vec<u8>, String> {
    let paging = PagingState::new(state, PHYSICAL_BITS);
    let access = Access { kind: AccessKind::Execute, privilege: Privilege::Supervisor };
    let mut bytes = Vec::new();
    let mut linear = state.cs.base.wrapping_add(state.rip);
    while bytes.len() < MOST_INSTRUCTION_BYTES {
        let found = translate(&board.vm.memory().ram, &paging, Gva::new(linear), access);
        let part = match found {
            Ok(found) => read(board, found.gpa, found.contiguous_bytes, bytes.len()),
            Err(error) => Err(crate::failure::in_full(&error)),
        };
        match part {
            Ok(part) => {
                linear = linear.wrapping_add(part.len() as u64);
                bytes.extend(part);
            }
            Err(why) if bytes.is_empty() => return Err(why),
            Err(_) => break,
        }
    }
    Ok(bytes)
}

fn read(board: &Board, gpa: Gpa, contiguous_bytes: u64, have: usize) -> Result<Vec<u8>, String> {
    let most = usize::try_from(contiguous_bytes).unwrap_or(usize::MAX);
    let mut part = vec![0; most.min(MOST_INSTRUCTION_BYTES - have)];
    board.view().peek(gpa, &mut part).map_err(|error| error.to_string())?;
    Ok(part)
}
