//! The way into the guest and out of it.
//!
//! What a round trip costs is counted in instructions. From the exit to the entry that answers it
//! the stub executes 33 besides the handler's own: only the nine registers that a function may
//! change are saved and loaded, and RBX, which CPUID answers in; the other five stay where they are
//! and every function keeps them by itself.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::context::{GuestContext, ScratchRegisters};
use super::operation::CurrentVmcs;
use crate::{Error, ExitReason, InstructionError, VmFail, field};

/// Whether a handler on the fast path answered an exit.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// It did: the guest goes on.
    Resume = 0,
    /// It did not: [`CurrentVmcs::run`] returns.
    Leave = 1,
}

/// What a handler on the fast path is given besides the registers.
#[derive(Debug)]
pub struct FastExit<'a, 'v, C> {
    /// The VMCS that exited.
    pub vmcs: &'a mut CurrentVmcs<'v>,
    /// What the caller of [`CurrentVmcs::run`] gave.
    pub data: &'a mut C,
}

/// A handler on the fast path, for [`CurrentVmcs::run`].
pub type Handler<C> =
    for<'a, 'v> extern "sysv64" fn(&mut ScratchRegisters, &mut FastExit<'a, 'v, C>) -> OnExit;

/// The handler that answers no exit: [`CurrentVmcs::run`] returns on each.
#[must_use]
pub extern "sysv64" fn leave_every_exit<C>(
    _: &mut ScratchRegisters,
    _: &mut FastExit<'_, '_, C>,
) -> OnExit {
    OnExit::Leave
}

impl CurrentVmcs<'_> {
    /// Enters the guest, and returns at the first exit that `handler` does not answer.
    ///
    /// Each exit calls `handler` first, with ten registers and `data`; as long as it
    /// says [`OnExit::Resume`], the guest goes on at once. On return `guest` holds all registers.
    /// [`leave_every_exit`] makes it return at each exit.
    ///
    /// The stub keeps the guest's registers (all 15, RSP is in the VMCS), CR2, x87 and SSE state
    /// apart from the host's, whose MXCSR and x87 control word come back. It sets HOST_RSP and
    /// HOST_RIP by itself. Host code may use SSE freely, not AVX: the upper halves of the YMM
    /// registers, XCR0, the debug registers but DR7, and MSRs that the VMCS does not switch stay the
    /// guest's. While `handler` runs, CR2 and the x87 state do as well: a handler must neither cause
    /// a page fault nor use x87 or MMX.
    ///
    /// After an exit interrupts are off (RFLAGS is 2).
    ///
    /// # Errors
    /// [`Error::Instruction`] if VMLAUNCH or VMRESUME fails: no exit happened. An entry that fails
    /// later, on the guest's state, does exit, with reason 33, 34 or 41.
    ///
    /// # Safety
    /// 1. Every address in the VMCS points to what the SDM wants there, which nothing else uses
    ///    against its rules: bitmaps, the EPT tables and every page that they map, MSR lists,
    ///    virtual-APIC page and others.
    /// 2. The host state leads back here: CR3, descriptor tables, segment selectors and bases are
    ///    those that this code runs with, or as good. HOST_RSP and HOST_RIP were not written.
    /// 3. CR4.OSFXSR is set.
    /// 4. What the guest does to state that is not switched, and what MSR lists load, breaks nothing
    ///    of the host.
    /// 5. `guest.fx` is an area that FXRSTOR64 takes: one that [`FxState::new`](super::FxState::new) made or that an exit
    ///    stored.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VMLAUNCH/VMRESUME—Launch/Resume Virtual Machine".
    #[inline]
    pub unsafe fn run<C>(
        &mut self,
        guest: &mut GuestContext,
        handler: Handler<C>,
        data: &mut C,
    ) -> Result<(), Error> {
        let launched = self.is_launched();
        let host_rsp = &raw mut self.vmcs.host_rsp;
        let mut exit = FastExit { vmcs: self, data };
        let exit: *mut FastExit<'_, '_, C> = &raw mut exit;
        // SAFETY:
        // 1. `self` proves root operation with a current VMCS; the caller answers for its content.
        // 2. `guest` is valid for reads and writes and 16-byte aligned by its type.
        // 3. The stub calls `handler` with `guest` and `exit`, whose types are those that `handler`
        //    takes: the scratch registers are at offset 0 of `GuestContext`. Nothing else uses
        //    either meanwhile.
        // 4. `host_rsp` is read and written only before the first entry, before any call of
        //    `handler`, so that the borrow within `exit` is not disturbed.
        let status = unsafe {
            enter_guest(guest, handler as *const (), exit.cast(), launched.into(), host_rsp)
        };
        match status {
            0 => {
                // An entry that failed while it loaded the guest leaves the VMCS as it was.
                if !launched && !ExitReason(self.get(field::EXIT_REASON)).is_entry_failure() {
                    self.set_launched();
                }
                Ok(())
            }
            1 => Err(entry_failed(launched, VmFail::Invalid)),
            _ => {
                let number = self.get(field::INSTRUCTION_ERROR);
                Err(entry_failed(launched, VmFail::Valid(InstructionError(number))))
            }
        }
    }
}

#[cold]
fn entry_failed(launched: bool, failure: VmFail) -> Error {
    let instruction = if launched { "VMRESUME" } else { "VMLAUNCH" };
    Error::Instruction { instruction, failure }
}

/// Enters the guest; returns 0 after an exit that the handler did not answer, 1 for VMfailInvalid,
/// 2 for VMfailValid.
///
/// The frame, upward from HOST_RSP, which is 16-byte aligned: the context (0), the handler's second
/// argument (8), the handler (16), MXCSR (24) and x87 control word (28) of the host, then the six
/// registers that a System V function keeps, and the return address.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_guest(
    guest: *mut GuestContext,
    handler: *const (),
    exit: *mut (),
    launched: u64,
    host_rsp: *mut u64,
) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 40",
        "mov [rsp], rdi",
        "mov [rsp + 8], rdx",
        "mov [rsp + 16], rsi",
        "stmxcsr [rsp + 24]",
        "fnstcw [rsp + 28]",
        // The stack of the last run, or another?
        "cmp [r8], rsp",
        "je 2f",
        "mov eax, {host_rsp}",
        "vmwrite rax, rsp",
        "jbe 5f",
        "mov eax, {host_rip}",
        "lea rdx, [rip + 4f]",
        "vmwrite rax, rdx",
        "jbe 5f",
        "mov [r8], rsp",
        "2:",
        "mov rax, [rdi + {cr2}]",
        "mov cr2, rax",
        "fxrstor64 [rdi + {fx}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "test rcx, rcx",
        "mov rax, [rdi + {rax}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rsi, [rdi + {rsi}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]",
        "mov r10, [rdi + {r10}]",
        "mov r11, [rdi + {r11}]",
        "mov rdi, [rdi + {rdi}]",
        "jnz 3f",
        "vmlaunch",
        "jmp 6f",
        "3:",
        "vmresume",
        "jmp 6f",
        // HOST_RIP.
        "4:",
        "push rax",
        "mov rax, [rsp + 8]",
        "mov [rax + {rbx}], rbx",
        "mov [rax + {rcx}], rcx",
        "mov [rax + {rdx}], rdx",
        "mov [rax + {rsi}], rsi",
        "mov [rax + {rdi}], rdi",
        "mov [rax + {r8}], r8",
        "mov [rax + {r9}], r9",
        "mov [rax + {r10}], r10",
        "mov [rax + {r11}], r11",
        "pop qword ptr [rax + {rax}]",
        "fxsave64 [rax + {fx}]",
        "ldmxcsr [rsp + 24]",
        "mov rdi, rax",
        "mov rsi, [rsp + 8]",
        "call [rsp + 16]",
        "test eax, eax",
        "mov rdi, [rsp]",
        "jnz 7f",
        "fxrstor64 [rdi + {fx}]",
        "mov rax, [rdi + {rax}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rsi, [rdi + {rsi}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]",
        "mov r10, [rdi + {r10}]",
        "mov r11, [rdi + {r11}]",
        "mov rdi, [rdi + {rdi}]",
        "vmresume",
        "jmp 6f",
        // A VMWRITE failed before anything of the guest was loaded.
        "5:",
        "setc al",
        "setz cl",
        "jmp 9f",
        // The entry failed. The context holds the scratch registers and the x87 and SSE state.
        "6:",
        "setc al",
        "setz cl",
        "mov rdi, [rsp]",
        "jmp 8f",
        // The handler leaves.
        "7:",
        "xor eax, eax",
        "xor ecx, ecx",
        "8:",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "mov rdx, cr2",
        "mov [rdi + {cr2}], rdx",
        "fninit",
        "fldcw [rsp + 28]",
        "ldmxcsr [rsp + 24]",
        "9:",
        "movzx eax, al",
        "movzx ecx, cl",
        "lea eax, [eax + 2 * ecx]",
        "add rsp, 40",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        host_rsp = const field::HOST_RSP.encoding().as_u32(),
        host_rip = const field::HOST_RIP.encoding().as_u32(),
        rax = const offset_of!(GuestContext, scratch.rax),
        rcx = const offset_of!(GuestContext, scratch.rcx),
        rdx = const offset_of!(GuestContext, scratch.rdx),
        rsi = const offset_of!(GuestContext, scratch.rsi),
        rdi = const offset_of!(GuestContext, scratch.rdi),
        r8 = const offset_of!(GuestContext, scratch.r8),
        r9 = const offset_of!(GuestContext, scratch.r9),
        r10 = const offset_of!(GuestContext, scratch.r10),
        r11 = const offset_of!(GuestContext, scratch.r11),
        rbx = const offset_of!(GuestContext, scratch.rbx),
        rbp = const offset_of!(GuestContext, rbp),
        r12 = const offset_of!(GuestContext, r12),
        r13 = const offset_of!(GuestContext, r13),
        r14 = const offset_of!(GuestContext, r14),
        r15 = const offset_of!(GuestContext, r15),
        cr2 = const offset_of!(GuestContext, cr2),
        fx = const offset_of!(GuestContext, fx),
    )
}

const _: () = assert!(offset_of!(GuestContext, scratch) == 0);
const _: () = assert!(offset_of!(GuestContext, fx).is_multiple_of(16));
