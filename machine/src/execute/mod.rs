//! An instruction executor, for accesses that a hypervisor must carry out itself.

mod address;
mod alu;
mod fetch;
mod plain;
mod registers;
mod string;

use core::fmt;

use guest_state::{
    Gpa, GuestMemory, Gva, PageFault, PagingState, VcpuState, WalkError, cr0, efer, rflags,
};

/// Guest-physical memory as an instruction sees it: RAM, ROM and devices.
///
/// An access lies within a page of 4 KiB, and has the width that the guest's instruction gave it,
/// unless that crosses from one page to the next. Every byte of the guest's instructions and
/// operands comes from here; only its page tables do not.
pub trait MemoryBus {
    /// Reads an operand. Where nothing is, all bits are ones.
    fn read(&mut self, gpa: Gpa, data: &mut [u8]);

    /// Writes an operand. Where nothing takes it, it is dropped.
    fn write(&mut self, gpa: Gpa, data: &[u8]);

    /// Reads bytes of an instruction, up to 15 and perhaps some that lie behind it.
    fn fetch(&mut self, gpa: Gpa, data: &mut [u8]) {
        self.read(gpa, data);
    }
}

/// What became of an instruction.
///
/// The blocking of interrupts by STI or MOV SS ends with it, unless it faulted. If RFLAGS.TF is set,
/// the guest is owed a single-step trap, likewise unless it faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the guest must receive an exception"]
pub enum Executed {
    /// It is done, and the guest's RIP behind it.
    Completed,
    /// It is a repeated string instruction that has more to do. The guest's registers say how
    /// much, and its RIP is still there: execute it again, after taking interrupts.
    Repeating,
    /// It faulted, and changed nothing, apart from what a repeated string instruction had done
    /// before.
    Faulted(Exception),
}

/// An exception that the guest is to receive, at the instruction that faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exception {
    /// #UD.
    InvalidOpcode,
    /// #SS, with an error code of zero.
    StackFault,
    /// #GP, with an error code of zero.
    GeneralProtection,
    /// #PF, with its error code; the address goes to CR2.
    PageFault(PageFault),
    /// #AC, with an error code of zero.
    AlignmentCheck,
}

impl Exception {
    /// Returns the vector.
    #[must_use]
    pub const fn vector(self) -> u8 {
        match self {
            Self::InvalidOpcode => 6,
            Self::StackFault => 12,
            Self::GeneralProtection => 13,
            Self::PageFault(_) => 14,
            Self::AlignmentCheck => 17,
        }
    }

    /// Returns the error code that goes onto the stack. In real mode none does.
    #[must_use]
    pub const fn error_code(self) -> Option<u32> {
        match self {
            Self::InvalidOpcode => None,
            Self::StackFault | Self::GeneralProtection | Self::AlignmentCheck => Some(0),
            Self::PageFault(fault) => Some(fault.error_code),
        }
    }
}

/// The bytes of an instruction, as many as were fetched.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstructionBytes {
    bytes: [u8; fetch::MAX_BYTES],
    length: usize,
}

impl InstructionBytes {
    /// Returns the bytes; those behind the instruction are whatever follows it.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Display for InstructionBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.as_slice().iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for InstructionBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstructionBytes({self})")
    }
}

/// Why an instruction can't be executed. The guest's state is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The executor does not know the instruction.
    #[error("no execution of instruction {bytes} at {rip:#x}")]
    Unsupported {
        /// The instruction.
        bytes: InstructionBytes,
        /// The guest's RIP.
        rip: u64,
    },
    /// The guest's page tables lie where it has no memory.
    #[error("no translation of {address}")]
    Translation {
        /// The linear address.
        address: Gva,
        /// Why it has none.
        #[source]
        source: WalkError,
    },
}

/// Executes the instruction at the guest's RIP, once.
///
/// Nothing is taken from the host or from a VM exit: the instruction is fetched through the guest's
/// page tables and decoded in the mode that its CS and EFER say. `physical_bits` is MAXPHYADDR.
/// Page tables are in `memory`, where accessed and dirty bits are set as the CPU does; all else is
/// behind `bus`.
///
/// MOV, MOVZX, MOVSX, MOVSXD, XCHG, XADD, CMPXCHG, ADD, SUB, CMP, AND, OR, XOR, TEST, INC, DEC, NEG,
/// NOT, BT, BTS, BTR, BTC, MOVS, STOS and LODS are known, in all their forms with general registers,
/// memory and immediates, with all prefixes; segment registers can be stored, not loaded. A repeated
/// string instruction returns after [`REPEAT_LIMIT`] elements. LOCK is as atomic as the bus makes a
/// read and a write that follow each other.
///
/// The first call builds the decoder's tables: 80 KiB of heap, in some 2,000 allocations, that stay.
/// Later calls allocate nothing.
///
/// # Errors
/// [`ExecuteError::Unsupported`] for other instructions, [`ExecuteError::Translation`] if the
/// guest's page tables can't be read.
///
/// # Examples
/// ```
/// # use core::sync::atomic::AtomicU64;
/// use guest_state::{Gpa, VcpuState, WordMemory};
/// use machine::{Executed, MemoryBus, execute};
///
/// struct Bus(Vec<u8>);
/// impl MemoryBus for Bus {
///     fn read(&mut self, gpa: Gpa, data: &mut [u8]) {
///         let code = [0xC7, 0x05, 0xB0, 0x00, 0xE0, 0xFE, 0, 0, 0, 0]; // mov dword [FEE000B0h], 0
///         let code = code.iter().skip(gpa.as_u64() as usize);
///         data.iter_mut().zip(code).for_each(|(to, from)| *to = *from);
///     }
///     fn write(&mut self, gpa: Gpa, data: &[u8]) {
///         assert_eq!(gpa, Gpa::new(0xFEE0_00B0));
///         self.0.extend(data);
///     }
/// }
///
/// let (mut cpu, mut bus) = (VcpuState::flat32(0), Bus(Vec::new()));
/// let no_tables = WordMemory::new(Gpa::ZERO, &[]);
/// assert_eq!(execute(&mut cpu, 46, &no_tables, &mut bus), Ok(Executed::Completed));
/// assert_eq!((cpu.rip, bus.0), (10, vec![0, 0, 0, 0]));
/// ```
///
/// # Source
/// Intel SDM Vol. 2, "Instruction Set Reference"; Vol. 1, "Operand Addressing"; Vol. 3A,
/// "Protection" and "Paging".
pub fn execute(
    cpu: &mut VcpuState,
    physical_bits: u32,
    memory: &impl GuestMemory,
    bus: &mut impl MemoryBus,
) -> Result<Executed, ExecuteError> {
    let mut executor = Executor {
        mode: Mode::of(cpu),
        paging: PagingState::new(cpu, physical_bits),
        cpu,
        memory,
        bus,
    };
    match executor.step() {
        Ok(executed) => Ok(executed),
        Err(Stop::Exception(exception)) => Ok(Executed::Faulted(exception)),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// How many elements of a repeated string instruction are executed at once.
pub const REPEAT_LIMIT: u64 = 256;

/// What ends an instruction early.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Exception(Exception),
    Error(ExecuteError),
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Self {
        Self::Exception(exception)
    }
}

/// How addresses are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Real mode: limits, but no access rights.
    Real,
    /// Virtual-8086 mode: the same, at CPL 3.
    Virtual8086,
    /// Protected and compatibility mode.
    Protected,
    /// 64-bit mode: no segments but FS and GS.
    Long,
}

impl Mode {
    const fn of(cpu: &VcpuState) -> Self {
        if cpu.cr0 & cr0::PE == 0 {
            Self::Real
        } else if cpu.efer & efer::LMA != 0 && cpu.cs.access.is_64bit() {
            Self::Long
        } else if cpu.rflags & rflags::VM != 0 {
            Self::Virtual8086
        } else {
            Self::Protected
        }
    }
}

/// An instruction being executed.
struct Executor<'a, M, B> {
    cpu: &'a mut VcpuState,
    mode: Mode,
    paging: PagingState,
    memory: &'a M,
    bus: &'a mut B,
}

impl<M: GuestMemory, B: MemoryBus> Executor<'_, M, B> {
    fn step(&mut self) -> Result<Executed, Stop> {
        let fetched = self.fetch()?;
        let executed = match fetched.string() {
            Some(string) => self.repeat(string)?,
            None => {
                self.run(&fetched)?;
                Executed::Completed
            }
        };
        if executed == Executed::Completed {
            self.cpu.rip = self.next_rip(&fetched);
            self.cpu.rflags &= !rflags::RF;
        }
        Ok(executed)
    }

    const fn cpl(&self) -> u32 {
        match self.mode {
            Mode::Real => 0,
            Mode::Virtual8086 => 3,
            // As VMX does: the CPL is SS's DPL.
            Mode::Protected | Mode::Long => self.cpu.ss.access.dpl(),
        }
    }
}
