//! Ports, MSRs and physical memory: all the unsafe code of hvmloader but for its heap.

use core::arch::asm;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use guest_state::{AccessError, Gpa, GpaRange, GuestMemory, WordMemory};
use hvkit_hvmloader::{Cpuid, Pc};

const DEBUG: u16 = 0xE9;
const DEBUG_EXIT: u16 = 0xF4;

/// What ring 0 does for UD1, by number: see `entry.s`.
mod service {
    pub(super) const READ_MSR: u64 = 0;
    pub(super) const WRITE_MSR: u64 = 1;
    pub(super) const GO_TO_THE_BIOS: u64 = 2;
    pub(super) const CPUID: u64 = 3;
}

/// The machine that hvmloader runs on.
pub(crate) struct Hardware {
    memory: Memory,
}

impl Hardware {
    /// Takes all of the first 4 GiB but for hvmloader's own part, of which the linker script says
    /// where it ends. To be called once.
    pub(crate) fn new() -> Self {
        let own = Self::own();
        let words = |start: u64, end: u64| {
            let count = usize::try_from((end - start) / 8).unwrap_or(0);
            let first = usize::try_from(start).unwrap_or(0);
            // SAFETY:
            // 1. Valid: `ring0.s` maps the first 4 GiB one to one, and nothing unmaps them. Where
            //    no memory is, accesses don't fault.
            // 2. Aligned: both ranges begin on pages; not null: the lower one begins at 1000h.
            // 3. Initialized and not written but as atomics: all bytes are values of an integer,
            //    no reference of Rust's leads there, since all that is Rust's is in `own`, and the
            //    other CPUs wait for their SIPI.
            // 4. Not larger than isize::MAX: 4 GiB at the most.
            let words = unsafe {
                core::slice::from_raw_parts(ptr::with_exposed_provenance::<AtomicU64>(first), count)
            };
            WordMemory::new(Gpa::new(start), words)
        };
        let memory = Memory {
            below: words(0x1000, own.start().as_u64()),
            above: words(own.end().as_u64(), 1 << 32),
        };
        Self { memory }
    }

    /// Returns what hvmloader itself occupies: code, data, heap and stacks.
    pub(crate) fn own() -> GpaRange {
        // SAFETY: `hvmloader.ld` defines both symbols; only their addresses are used.
        unsafe extern "C" {
            static image_start: u8;
            static image_end: u8;
        }
        let (start, end) = (&raw const image_start, &raw const image_end);
        let [start, end] = [start, end].map(|at| Gpa::new(at.addr() as u64));
        GpaRange::from_bounds(start, end).unwrap_or_default()
    }
}

impl Pc for Hardware {
    type Memory = Memory;

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn in8(&mut self, port: u16) -> u8 {
        let value;
        // SAFETY: the I/O bitmap allows every port, and reading a port touches no memory.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack));
        }
        value
    }

    fn out8(&mut self, port: u16, value: u8) {
        outb(port, value);
    }

    fn in32(&mut self, port: u16) -> u32 {
        let value;
        // SAFETY: the I/O bitmap allows every port, and reading a port touches no memory.
        unsafe {
            asm!("in eax, dx", out("eax") value, in("dx") port, options(nomem, nostack));
        }
        value
    }

    fn out32(&mut self, port: u16, value: u32) {
        // SAFETY: the I/O bitmap allows every port. No device is told to write to memory; the
        // chipset may put RAM in ROM's place, of which no reference of Rust's knows.
        unsafe {
            asm!("out dx, eax", in("eax") value, in("dx") port, options(nostack));
        }
    }

    fn write_register(&mut self, gpa: Gpa, value: u32) {
        let own = Self::own();
        let end = gpa.checked_add(4).filter(|end| end.as_u64() <= 1 << 32);
        let is_outside = end.is_some_and(|end| end <= own.start() || gpa >= own.end());
        if !is_outside {
            return;
        }
        // SAFETY: the address is mapped, as for `new`, and none of hvmloader's own. The assembler
        // does what a volatile store would, which may not be to address zero.
        unsafe {
            asm!("mov dword ptr [{}], {:e}", in(reg) gpa.as_u64(), in(reg) value, options(nostack));
        }
    }

    fn cpuid(&self, leaf: u32) -> Cpuid {
        let (eax, ebx, ecx, edx);
        // SAFETY: CPUID touches no memory. The service keeps all registers but those four and R8.
        unsafe {
            asm!(
                ".byte 0x0f, 0xb9, 0xc0",
                inout("rax") service::CPUID => eax,
                inout("rsi") u64::from(leaf) => ebx,
                out("rcx") ecx,
                out("rdx") edx,
                out("r8") _,
            );
        }
        Cpuid { eax: low(eax), ebx: low(ebx), ecx: low(ecx), edx: low(edx) }
    }

    fn read_msr(&mut self, msr: u32) -> u64 {
        let value;
        // SAFETY: reading an MSR touches no memory; one that is not there ends in `ring0.s`, which
        // does not come back. The service keeps all registers but RAX and RDX.
        unsafe {
            asm!(
                ".byte 0x0f, 0xb9, 0xc0",
                inout("rax") service::READ_MSR => value,
                in("ecx") msr,
                out("rdx") _,
            );
        }
        value
    }

    fn write_msr(&mut self, msr: u32, value: u64) {
        // SAFETY: the MSRs that hvmloader writes say how memory is cached, not what it holds. The
        // service keeps all registers but RAX and RDX.
        unsafe {
            asm!(
                ".byte 0x0f, 0xb9, 0xc0",
                inout("rax") service::WRITE_MSR => _,
                in("ecx") msr,
                in("rsi") value,
                out("rdx") _,
            );
        }
    }
}

impl fmt::Write for Hardware {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        DebugPort.write_str(text)
    }
}

/// The debug port.
pub(crate) struct DebugPort;

impl fmt::Write for DebugPort {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the I/O bitmap allows every port, and `rep outsb` reads exactly the bytes of
        // `text`.
        unsafe {
            asm!(
                "rep outsb",
                inout("rsi") text.as_ptr() => _,
                inout("rcx") text.len() => _,
                in("dx") DEBUG,
                options(readonly, nostack),
            );
        }
        Ok(())
    }
}

/// Leaves hvmloader for the BIOS, for ever.
pub(crate) fn go_to_the_bios() -> ! {
    // SAFETY: it does not come back, so nothing of Rust's is ever looked at again.
    unsafe {
        asm!(".byte 0x0f, 0xb9, 0xc0", in("rax") service::GO_TO_THE_BIOS, options(noreturn));
    }
}

/// Ends the virtual machine with a failure: its status is `(value << 1) | 1`.
pub(crate) fn debug_exit(value: u8) -> ! {
    outb(DEBUG_EXIT, value);
    loop {
        core::hint::spin_loop();
    }
}

/// The lower half of a register; CPUID leaves zero in the upper one.
fn low(register: u64) -> u32 {
    u32::try_from(register).unwrap_or(u32::MAX)
}

fn outb(port: u16, value: u8) {
    // SAFETY: the I/O bitmap allows every port; no device is told to write to memory.
    unsafe {
        asm!("out dx, al", in("al") value, in("dx") port, options(nomem, nostack));
    }
}

/// The first 4 GiB, without their first page and without hvmloader's own part.
pub(crate) struct Memory {
    below: WordMemory<'static>,
    above: WordMemory<'static>,
}

impl Memory {
    fn part(&self, gpa: Gpa) -> &WordMemory<'static> {
        if gpa < self.below.range().end() { &self.below } else { &self.above }
    }
}

impl GuestMemory for Memory {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        self.part(gpa).read(gpa, buffer)
    }

    fn write(&self, gpa: Gpa, bytes: &[u8]) -> Result<(), AccessError> {
        self.part(gpa).write(gpa, bytes)
    }

    fn load_u16(&self, gpa: Gpa, ordering: Ordering) -> Result<u16, AccessError> {
        self.part(gpa).load_u16(gpa, ordering)
    }

    fn load_u32(&self, gpa: Gpa, ordering: Ordering) -> Result<u32, AccessError> {
        self.part(gpa).load_u32(gpa, ordering)
    }

    fn load_u64(&self, gpa: Gpa, ordering: Ordering) -> Result<u64, AccessError> {
        self.part(gpa).load_u64(gpa, ordering)
    }

    fn store_u16(&self, gpa: Gpa, value: u16, ordering: Ordering) -> Result<(), AccessError> {
        self.part(gpa).store_u16(gpa, value, ordering)
    }

    fn store_u32(&self, gpa: Gpa, value: u32, ordering: Ordering) -> Result<(), AccessError> {
        self.part(gpa).store_u32(gpa, value, ordering)
    }

    fn store_u64(&self, gpa: Gpa, value: u64, ordering: Ordering) -> Result<(), AccessError> {
        self.part(gpa).store_u64(gpa, value, ordering)
    }

    fn compare_exchange_u32(&self, gpa: Gpa, current: u32, new: u32) -> Result<u32, AccessError> {
        self.part(gpa).compare_exchange_u32(gpa, current, new)
    }

    fn compare_exchange_u64(&self, gpa: Gpa, current: u64, new: u64) -> Result<u64, AccessError> {
        self.part(gpa).compare_exchange_u64(gpa, current, new)
    }
}
