//! The host's descriptor tables on each processor, and its exceptions.

use alloc::boxed::Box;
use core::arch::{asm, global_asm};
use core::ptr;

use vmx::HostState;

use crate::hardware::{rdmsr, read_cr0, read_cr3, read_cr4};
use crate::output::finish;
use crate::say;

global_asm!(include_str!("exceptions.s"));

pub(crate) const CODE: u16 = 0x08;
const DATA: u16 = 0x10;
const TASK: u16 = 0x18;
/// The exit status of a host that failed.
const STATUS_FAILED: u8 = 69;

// SAFETY: `exceptions.s` defines it with this type, and nothing writes to it.
unsafe extern "C" {
    /// Thirty-two entries of 16 bytes, in `exceptions.s`.
    static host_exception_entries: [[u8; 16]; 32];
}

/// # Source
/// Intel SDM Vol. 3A, "Task Management in 64-bit Mode".
#[repr(C, packed)]
struct TaskState {
    _reserved0: u32,
    stack_pointers: [u64; 3],
    _reserved1: u64,
    interrupt_stacks: [u64; 7],
    _reserved2: u64,
    _reserved3: u16,
    io_map_base: u16,
}

const _: () = assert!(size_of::<TaskState>() == 104);

const STACK_BYTES: usize = 16 << 10;

#[repr(C, align(16))]
struct ExceptionStack([u8; STACK_BYTES]);

/// What one processor's descriptor-table registers point to.
#[derive(Debug)]
pub(crate) struct Tables {
    gdt: &'static [u64; 5],
    idt: &'static [[u64; 2]; 32],
    task: u64,
}

#[repr(C, packed)]
struct TableRegister {
    limit: u16,
    base: u64,
}

impl TableRegister {
    fn of<T>(table: &'static T) -> Self {
        let limit = u16::try_from(size_of::<T>() - 1).unwrap_or(u16::MAX);
        Self { limit, base: ptr::from_ref(table) as u64 }
    }
}

impl Tables {
    /// Makes tables for this processor and loads them: every exception gets a stack of its own.
    pub(crate) fn load() -> Self {
        let stack = Box::leak(Box::new(ExceptionStack([0; STACK_BYTES])));
        let stack_top = ptr::from_ref(stack) as u64 + STACK_BYTES as u64;
        let task = Box::leak(Box::new(TaskState {
            _reserved0: 0,
            stack_pointers: [0; 3],
            _reserved1: 0,
            interrupt_stacks: [stack_top; 7],
            _reserved2: 0,
            _reserved3: 0,
            io_map_base: 104,
        }));
        let task = ptr::from_ref(task) as u64;
        let gdt = Box::leak(Box::new([
            0,
            0x00AF_9B00_0000_FFFF,
            0x00CF_9300_0000_FFFF,
            // An available 64-bit TSS of 104 bytes.
            0x0000_8900_0000_0067 | (task & 0xFF_FFFF) << 16 | (task >> 24 & 0xFF) << 56,
            task >> 32,
        ]));
        let entries = &raw const host_exception_entries as u64;
        let idt = Box::leak(Box::new(core::array::from_fn(|vector| {
            let at = entries + vector as u64 * 16;
            // A 64-bit interrupt gate with stack 1.
            let low = at & 0xFFFF | u64::from(CODE) << 16 | 1 << 32 | 0x8E << 40;
            [low | (at >> 16 & 0xFFFF) << 48, at >> 32]
        })));
        let tables = Self { gdt, idt, task };
        tables.activate();
        tables
    }

    fn activate(&self) {
        let gdtr = TableRegister::of(self.gdt);
        let idtr = TableRegister::of(self.idt);
        // SAFETY:
        // 1. Both tables live for ever and are well-formed: code at 08h and data at 10h are as in
        //    the table that `boot.s` loaded, so that the selectors in use stay good.
        // 2. The TSS is available and lives for ever; LTR marks it busy in the GDT, which nobody
        //    holds a reference into but `self`, for its address alone.
        unsafe {
            asm!(
                "lgdt [{gdtr}]",
                "lidt [{idtr}]",
                "ltr {task:x}",
                gdtr = in(reg) &raw const gdtr,
                idtr = in(reg) &raw const idtr,
                task = in(reg) TASK,
                options(nostack),
            );
        }
    }

    /// Returns what an exit has to load so that this code goes on.
    pub(crate) fn host_state(&self) -> HostState {
        const EFER: u32 = 0xC000_0080;
        const PAT: u32 = 0x277;
        HostState {
            cr0: read_cr0(),
            cr3: read_cr3(),
            cr4: read_cr4(),
            // SAFETY: a CPU in long mode has EFER.
            efer: unsafe { rdmsr(EFER) },
            // SAFETY: every 64-bit CPU has PAT.
            pat: unsafe { rdmsr(PAT) },
            cs: CODE,
            ss: DATA,
            ds: DATA,
            es: DATA,
            tr: TASK,
            tr_base: self.task,
            gdtr_base: ptr::from_ref(self.gdt) as u64,
            idtr_base: ptr::from_ref(self.idt) as u64,
            ..HostState::default()
        }
    }
}

/// What `exceptions.s` leaves on the stack.
#[repr(C)]
#[derive(Debug)]
struct Frame {
    /// R15 down to RAX, as they were pushed.
    registers: [u64; 15],
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

const NAMES: [&str; 15] = [
    "r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rdi", "rsi", "rbp", "rbx", "rdx", "rcx",
    "rax",
];

#[unsafe(no_mangle)]
extern "C" fn host_exception(frame: &Frame) -> ! {
    let Frame { registers, vector, error_code, rip, cs, rflags, rsp, ss } = frame;
    let cr2: u64;
    // SAFETY: CPL is 0, and the instruction writes one register.
    unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) };
    say!("the hypervisor met exception {vector}, error code {error_code:#x}, at {rip:#x}");
    say!("  cs {cs:#x}  ss {ss:#x}  rsp {rsp:#018x}  rflags {rflags:#x}  cr2 {cr2:#x}");
    for (names, values) in NAMES.chunks(3).zip(registers.chunks(3)) {
        for (name, value) in names.iter().zip(values) {
            say!("  {name:>3} {value:#018x}");
        }
    }
    finish(STATUS_FAILED)
}
