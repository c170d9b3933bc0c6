//! The exits that are answered without leaving the run stub.

use bare_metal_image::{GuestCpu, guest_cpuid};
use vmx::hardware::{FastExit, OnExit, ScratchRegisters};
use vmx::{BasicReason, field};

use crate::hardware::cpuid;

/// The four registers in which CPUID answers, as they stand in [`ScratchRegisters`].
type Answer = [u64; 4];

/// Leaves below this have a place in the table.
const LEAVES: usize = 0x18;

/// What is needed to answer at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastPath {
    /// What CPUID says, by leaf, where neither subleaf nor anything that changes counts.
    leaves: [Answer; LEAVES],
    /// Which of them count.
    is_known: [bool; LEAVES],
    /// How many exits were answered.
    pub(crate) answered: u64,
}

impl FastPath {
    /// Finds the answers for a guest's CPU.
    pub(crate) fn new(cpu: &GuestCpu) -> Self {
        let mut path = Self { leaves: [[0; 4]; LEAVES], is_known: [false; LEAVES], answered: 0 };
        for ((leaf, answer), is_known) in (0..).zip(&mut path.leaves).zip(&mut path.is_known) {
            let found = guest_cpuid(leaf, 0, cpuid(leaf, 0), cpu);
            *answer = [found.eax, found.ebx, found.ecx, found.edx].map(u64::from);
            *is_known = !matches!(leaf, 1 | 4 | 7 | 0xB | 0xD);
        }
        path
    }
}

/// Answers CPUID from the table; all else leaves the stub.
pub(crate) extern "sysv64" fn answer(
    registers: &mut ScratchRegisters,
    exit: &mut FastExit<'_, '_, FastPath>,
) -> OnExit {
    const CPUID: u32 = BasicReason::CPUID.0 as u32;
    if exit.vmcs.get(field::EXIT_REASON) != CPUID {
        return OnExit::Leave;
    }
    let [a, b, c, d, ..] = registers.rax.to_le_bytes();
    let leaf = u32::from_le_bytes([a, b, c, d]) as usize;
    let path = &mut *exit.data;
    let (Some(answer), Some(true)) = (path.leaves.get(leaf), path.is_known.get(leaf)) else {
        return OnExit::Leave;
    };
    [registers.rax, registers.rbx, registers.rcx, registers.rdx] = *answer;
    path.answered += 1;
    exit.vmcs.skip_instruction();
    OnExit::Resume
}
