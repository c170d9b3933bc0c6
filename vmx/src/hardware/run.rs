//! The way into the guest and out of it, and the loop around both.
//!
//! What a round trip costs is counted in instructions. From an exit to the entry that answers it the
//! stub executes 26, and two to find the handler. The guest's registers lie at the lower end of the
//! stub's frame, where HOST_RSP points, so that they are stored and loaded without a register that
//! points to them. Only the nine that a function may change are, and RBX, which CPUID answers in;
//! the other five stay where they are, and every function keeps them by itself.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::context::{GuestContext, ScratchRegisters};
use super::operation::CurrentVmcs;
use crate::{Error, ExitReason, InstructionError, VmFail, field};

/// What a handler did with an exit.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// It passes it on: [`ExitHandler::on_exit`] to [`ExitHandler::on_exit_with_all`], that to the
    /// caller of [`CurrentVmcs::run`].
    PassOn = 0,
    /// It answered it: the guest goes on.
    Resume = 1,
}

/// What answers the exits of a guest.
///
/// `()` answers none: with it [`CurrentVmcs::run`] returns at every exit.
pub trait ExitHandler {
    /// Answers an exit with the registers that a function may change, and RBX.
    ///
    /// Every exit comes here. CR2, the x87 state and MXCSR are still the guest's: the function must
    /// not cause a page fault, use x87 or MMX, or calculate in floating point. It may move data in
    /// XMM registers.
    fn on_exit(&mut self, vmcs: &mut CurrentVmcs<'_>, registers: &mut ScratchRegisters) -> OnExit;

    /// Answers an exit with all registers: one for which [`on_exit`](Self::on_exit) said
    /// [`OnExit::PassOn`].
    fn on_exit_with_all(&mut self, vmcs: &mut CurrentVmcs<'_>, guest: &mut GuestContext) -> OnExit;
}

impl ExitHandler for () {
    fn on_exit(&mut self, _: &mut CurrentVmcs<'_>, _: &mut ScratchRegisters) -> OnExit {
        OnExit::PassOn
    }

    fn on_exit_with_all(&mut self, _: &mut CurrentVmcs<'_>, _: &mut GuestContext) -> OnExit {
        OnExit::PassOn
    }
}

/// What the stub calls at an exit.
///
/// It gets its frame as third and RCX as fourth argument. In that register RCX is at the call: so the
/// subleaf of a CPUID need not be loaded again.
///
/// # Safety
/// 1. `frame` is the stub's, and what `calls` in it points to, a handler of type `H` among it, nothing
///    else uses during the call.
/// 2. `rcx` is the guest's RCX.
unsafe extern "sysv64" fn on_exit<H: ExitHandler>(
    _rdi: u64,
    _rsi: u64,
    frame: &mut Frame<'_>,
    rcx: u64,
) -> OnExit {
    frame.context.scratch.rcx = rcx;
    // SAFETY: the caller's promise.
    let handler = unsafe { &mut *frame.calls.handler.cast::<H>() };
    handler.on_exit(&mut frame.calls.vmcs, &mut frame.context.scratch)
}

/// What the stub calls if that passes the exit on.
///
/// # Safety
/// As for [`on_exit`], without RCX.
unsafe extern "sysv64" fn on_exit_with_all<H: ExitHandler>(frame: &mut Frame<'_>) -> OnExit {
    // SAFETY: the caller's promise.
    let handler = unsafe { &mut *frame.calls.handler.cast::<H>() };
    handler.on_exit_with_all(&mut frame.calls.vmcs, &mut frame.context)
}

impl CurrentVmcs<'_> {
    /// Runs the guest, and returns at the first exit that `handler` leaves it with.
    ///
    /// Each exit calls [`ExitHandler::on_exit`]; as long as that says [`OnExit::Resume`], the guest
    /// goes on at once. What it can't answer goes to [`ExitHandler::on_exit_with_all`]. On return
    /// `guest` holds all registers.
    ///
    /// The stub keeps the guest's registers (all 15, RSP is in the VMCS), CR2, x87 and SSE state
    /// apart from the host's, whose MXCSR and x87 control word come back. It sets HOST_RSP and
    /// HOST_RIP by itself. Host code may use SSE freely, not AVX: the upper halves of the YMM
    /// registers, XCR0, the debug registers but DR7, and MSRs that the VMCS does not switch stay the
    /// guest's.
    ///
    /// After an exit interrupts are off (RFLAGS is 2).
    ///
    /// # Errors
    /// [`Error::Instruction`] if VMLAUNCH or VMRESUME fails: that was no exit. An entry that fails
    /// later, on the guest's state, does exit, with reason 33, 34 or 41.
    ///
    /// # Safety
    /// 1. Every address in the VMCS points to what the SDM wants there, which nothing else uses
    ///    against its rules: bitmaps, the EPT tables and every page that they map, MSR lists,
    ///    virtual-APIC page and others. The handler keeps it so.
    /// 2. The host state leads back here: CR3, descriptor tables, segment selectors and bases are
    ///    those that this code runs with, or as good. HOST_RSP and HOST_RIP were not written.
    /// 3. CR4.OSFXSR is set.
    /// 4. What the guest does to state that is not switched, and what MSR lists load, breaks nothing
    ///    of the host.
    /// 5. `guest.fx` is an area that FXRSTOR64 takes: one that [`FxState::new`](super::FxState::new)
    ///    made or that an exit stored. The handler keeps it so.
    /// 6. The handler makes no other VMCS current.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "VMLAUNCH/VMRESUME—Launch/Resume Virtual Machine".
    pub unsafe fn run<H: ExitHandler>(
        &mut self,
        guest: &mut GuestContext,
        handler: &mut H,
    ) -> Result<(), Error> {
        // The stub resumes. So the first exit, after which a VMCS is launched or not, is served here.
        while !self.is_launched() {
            // SAFETY: the caller's promises, and `()` changes nothing.
            unsafe { self.enter(guest, &mut ()) }?;
            // An entry that failed while it loaded the guest leaves the VMCS as it was.
            if !ExitReason(self.get(field::EXIT_REASON)).is_entry_failure() {
                self.set_launched();
            }
            if handler.on_exit(self, &mut guest.scratch) == OnExit::PassOn
                && handler.on_exit_with_all(self, guest) == OnExit::PassOn
            {
                return Ok(());
            }
        }
        // SAFETY: the caller's promises.
        unsafe { self.enter(guest, handler) }
    }

    /// Enters the guest by VMLAUNCH or VMRESUME, and again by VMRESUME until `handler` leaves.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    unsafe fn enter<H: ExitHandler>(
        &mut self,
        guest: &mut GuestContext,
        handler: &mut H,
    ) -> Result<(), Error> {
        let launched = self.is_launched();
        let host_rsp = &raw mut self.vmcs.host_rsp;
        let calls = Calls {
            handler: (&raw mut *handler).cast(),
            on_exit: on_exit::<H> as *const (),
            on_exit_with_all: on_exit_with_all::<H> as *const (),
            vmcs: self.reborrow(),
        };
        // SAFETY:
        // 1. `self` proves root operation with a current VMCS; the caller answers for its content.
        // 2. `guest` is valid for reads and writes.
        // 3. The stub calls both functions with its frame, into which it moves `calls`: the pointer to
        //    `handler`, of the type that the functions were made for, and the VMCS. Nothing else uses
        //    them meanwhile.
        // 4. `host_rsp` is read and written only before the first entry, before any call, so that
        //    nobody who uses `vmcs` is disturbed.
        let status = unsafe { enter_guest(guest, &calls, launched.into(), host_rsp) };
        match status {
            0 => Ok(()),
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

/// What the stub calls, and with what.
#[repr(C)]
struct Calls<'v> {
    handler: *mut (),
    on_exit: *const (),
    on_exit_with_all: *const (),
    vmcs: CurrentVmcs<'v>,
}

/// The frame of the stub, upward from HOST_RSP, which is 16-byte aligned. Above it are the six
/// registers that a System V function keeps, and the return address.
#[repr(C)]
struct Frame<'v> {
    context: GuestContext,
    /// Where `context` came from and goes to.
    guest: *mut GuestContext,
    calls: Calls<'v>,
    /// The host's.
    mxcsr: u32,
    x87_control: u32,
}

/// How much the stack pointer moves for the frame: a word more than it takes, since the seven above
/// are no multiple of 16 bytes.
const FRAME_BYTES: usize = size_of::<Frame>() + 8;

/// Enters the guest; returns 0 after an exit that the handler left with, 1 for VMfailInvalid, 2 for
/// VMfailValid.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_guest(
    guest: *mut GuestContext,
    calls: *const Calls<'_>,
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
        "sub rsp, {frame}",
        "mov [rsp + {guest}], rdi",
        "movups xmm0, [rsi]",
        "movups [rsp + {handler}], xmm0",
        "movups xmm0, [rsi + 16]",
        "movups [rsp + {handler} + 16], xmm0",
        "mov rsi, [rsi + 32]",
        "mov [rsp + {handler} + 32], rsi",
        "stmxcsr [rsp + {mxcsr}]",
        "fnstcw [rsp + {x87_control}]",
        // The stack of the last run, or another?
        "cmp [rcx], rsp",
        "je 2f",
        "mov eax, {host_rsp}",
        "vmwrite rax, rsp",
        "jbe 5f",
        "mov eax, {host_rip}",
        "lea r8, [rip + 4f]",
        "vmwrite rax, r8",
        "jbe 5f",
        "mov [rcx], rsp",
        "2:",
        "mov rsi, rdi",
        "mov rdi, rsp",
        "mov ecx, {words}",
        "rep movsq",
        "test rdx, rdx",
        "jnz 9f",
        "mov rax, [rsp + {cr2}]",
        "mov cr2, rax",
        "fxrstor64 [rsp + {fx}]",
        "mov rax, [rsp + {rax}]",
        "mov rbx, [rsp + {rbx}]",
        "mov rcx, [rsp + {rcx}]",
        "mov rdx, [rsp + {rdx}]",
        "mov rsi, [rsp + {rsi}]",
        "mov rdi, [rsp + {rdi}]",
        "mov rbp, [rsp + {rbp}]",
        "mov r8, [rsp + {r8}]",
        "mov r9, [rsp + {r9}]",
        "mov r10, [rsp + {r10}]",
        "mov r11, [rsp + {r11}]",
        "mov r12, [rsp + {r12}]",
        "mov r13, [rsp + {r13}]",
        "mov r14, [rsp + {r14}]",
        "mov r15, [rsp + {r15}]",
        "vmlaunch",
        "jmp 6f",
        // HOST_RIP.
        "4:",
        "mov [rsp + {rax}], rax",
        "mov [rsp + {rbx}], rbx",
        "mov [rsp + {rdx}], rdx",
        "mov [rsp + {rsi}], rsi",
        "mov [rsp + {rdi}], rdi",
        "mov [rsp + {r8}], r8",
        "mov [rsp + {r9}], r9",
        "mov [rsp + {r10}], r10",
        "mov [rsp + {r11}], r11",
        "fxsave64 [rsp + {fx}]",
        "mov rdx, rsp",
        "call [rsp + {on_exit}]",
        "test eax, eax",
        "jz 7f",
        "3:",
        "fxrstor64 [rsp + {fx}]",
        "mov rax, [rsp + {rax}]",
        "mov rbx, [rsp + {rbx}]",
        "mov rcx, [rsp + {rcx}]",
        "mov rdx, [rsp + {rdx}]",
        "mov rsi, [rsp + {rsi}]",
        "mov rdi, [rsp + {rdi}]",
        "mov r8, [rsp + {r8}]",
        "mov r9, [rsp + {r9}]",
        "mov r10, [rsp + {r10}]",
        "mov r11, [rsp + {r11}]",
        "vmresume",
        "jmp 6f",
        // The handler wants all registers.
        "7:",
        "mov [rsp + {rbp}], rbp",
        "mov [rsp + {r12}], r12",
        "mov [rsp + {r13}], r13",
        "mov [rsp + {r14}], r14",
        "mov [rsp + {r15}], r15",
        "mov rax, cr2",
        "mov [rsp + {cr2}], rax",
        "fninit",
        "fldcw [rsp + {x87_control}]",
        "ldmxcsr [rsp + {mxcsr}]",
        "mov rdi, rsp",
        "call [rsp + {on_exit_with_all}]",
        "test eax, eax",
        "jz 8f",
        "9:",
        "mov rax, [rsp + {cr2}]",
        "mov cr2, rax",
        "mov rbp, [rsp + {rbp}]",
        "mov r12, [rsp + {r12}]",
        "mov r13, [rsp + {r13}]",
        "mov r14, [rsp + {r14}]",
        "mov r15, [rsp + {r15}]",
        "jmp 3b",
        // The handler leaves, and the host's x87 and SSE settings are back.
        "8:",
        "xor ebx, ebx",
        "jmp 12f",
        // A VMWRITE failed before anything of the guest was loaded.
        "5:",
        "setc bl",
        "setz cl",
        "movzx ebx, bl",
        "movzx ecx, cl",
        "lea ebx, [ebx + 2 * ecx]",
        "jmp 13f",
        // The entry failed. The frame has all registers but those that stayed in the processor.
        "6:",
        "mov [rsp + {rbp}], rbp",
        "mov [rsp + {r12}], r12",
        "mov [rsp + {r13}], r13",
        "mov [rsp + {r14}], r14",
        "mov [rsp + {r15}], r15",
        "mov rax, cr2",
        "mov [rsp + {cr2}], rax",
        "setc bl",
        "setz cl",
        "movzx ebx, bl",
        "movzx ecx, cl",
        "lea ebx, [ebx + 2 * ecx]",
        "fninit",
        "fldcw [rsp + {x87_control}]",
        "ldmxcsr [rsp + {mxcsr}]",
        "12:",
        "mov rsi, rsp",
        "mov rdi, [rsp + {guest}]",
        "mov ecx, {words}",
        "rep movsq",
        "13:",
        "mov eax, ebx",
        "add rsp, {frame}",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        frame = const FRAME_BYTES,
        words = const size_of::<GuestContext>() / 8,
        guest = const offset_of!(Frame, guest),
        handler = const offset_of!(Frame, calls.handler),
        on_exit = const offset_of!(Frame, calls.on_exit),
        on_exit_with_all = const offset_of!(Frame, calls.on_exit_with_all),
        mxcsr = const offset_of!(Frame, mxcsr),
        x87_control = const offset_of!(Frame, x87_control),
        host_rsp = const field::HOST_RSP.encoding().as_u32(),
        host_rip = const field::HOST_RIP.encoding().as_u32(),
        rax = const offset_of!(Frame, context.scratch.rax),
        rbx = const offset_of!(Frame, context.scratch.rbx),
        rcx = const offset_of!(Frame, context.scratch.rcx),
        rdx = const offset_of!(Frame, context.scratch.rdx),
        rsi = const offset_of!(Frame, context.scratch.rsi),
        rdi = const offset_of!(Frame, context.scratch.rdi),
        r8 = const offset_of!(Frame, context.scratch.r8),
        r9 = const offset_of!(Frame, context.scratch.r9),
        r10 = const offset_of!(Frame, context.scratch.r10),
        r11 = const offset_of!(Frame, context.scratch.r11),
        rbp = const offset_of!(Frame, context.rbp),
        r12 = const offset_of!(Frame, context.r12),
        r13 = const offset_of!(Frame, context.r13),
        r14 = const offset_of!(Frame, context.r14),
        r15 = const offset_of!(Frame, context.r15),
        cr2 = const offset_of!(Frame, context.cr2),
        fx = const offset_of!(Frame, context.fx),
    )
}

const _: () = assert!(offset_of!(Frame, context) == 0);
const _: () = assert!(offset_of!(Frame, calls.handler) == offset_of!(Frame, calls));
const _: () = assert!(size_of::<Calls>() == 40);
const _: () = assert!(offset_of!(GuestContext, scratch) == 0);
const _: () = assert!(offset_of!(Frame, context.fx).is_multiple_of(16));
// The seven words above the frame, and the frame, are a multiple of 16 bytes.
const _: () = assert!((FRAME_BYTES + 7 * 8).is_multiple_of(16));
