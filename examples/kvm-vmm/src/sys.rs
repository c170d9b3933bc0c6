//! All unsafe code of this program: memory slots, what KVM leaves in `kvm_run`, and kicks here; files
//! that are mapped, and where they are, in the modules within.
#![allow(unsafe_code)]

mod file;
mod memory;

use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_state::GpaRange;
use kvm_bindings::{
    KVM_EXIT_IO_OUT, KVM_MEM_READONLY, KVMIO, kvm_interrupt, kvm_run, kvm_userspace_memory_region,
    kvm_xsave,
};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd, VmFd};
use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileMemory};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

pub(crate) use file::MappedFile;
pub(crate) use memory::HostMemory;

ioctl_iow_nr!(KVM_INTERRUPT, KVMIO, 0x86, kvm_interrupt);

/// Which memory stands behind a slot, at the slot's own guest address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Nothing,
    Ram,
    RamReadOnly,
    Rom,
}

/// A virtual machine that keeps the memory alive which its slots show.
#[derive(Debug)]
pub(crate) struct Vm {
    fd: VmFd,
    memory: Arc<HostMemory>,
}

impl Vm {
    pub(crate) const fn new(fd: VmFd, memory: Arc<HostMemory>) -> Self {
        Self { fd, memory }
    }

    pub(crate) const fn fd(&self) -> &VmFd {
        &self.fd
    }

    pub(crate) const fn memory(&self) -> &Arc<HostMemory> {
        &self.memory
    }

    /// Puts memory behind the guest addresses `range` as slot `slot`; a slot that has something
    /// already must be given nothing first.
    pub(crate) fn set_slot(&self, slot: u32, range: GpaRange, behind: Behind) -> io::Result<()> {
        let no_such_memory = || io::Error::other(format!("no host memory for {range}"));
        let size = usize::try_from(range.size_bytes()).map_err(io::Error::other)?;
        let host = match behind {
            Behind::Nothing => None,
            Behind::Ram | Behind::RamReadOnly => {
                let at = GuestAddress(range.start().as_u64());
                Some(self.memory.ram.get_slice(at, size).map_err(io::Error::other)?)
            }
            Behind::Rom => {
                let holder = self.memory.roms.iter().find(|(rom, _)| rom.contains_range(range));
                let (rom, bytes) = holder.ok_or_else(no_such_memory)?;
                let offset = range.start().offset_from(rom.start()).ok_or_else(no_such_memory)?;
                let offset = usize::try_from(offset).map_err(io::Error::other)?;
                Some(bytes.get_slice(offset, size).map_err(io::Error::other)?)
            }
        };
        let region = kvm_userspace_memory_region {
            slot,
            flags: if matches!(behind, Behind::RamReadOnly | Behind::Rom) {
                KVM_MEM_READONLY
            } else {
                0
            },
            guest_phys_addr: range.start().as_u64(),
            memory_size: if host.is_some() { range.size_bytes() } else { 0 },
            userspace_addr: host.map_or(0, |slice| slice.ptr_guard().as_ptr() as u64),
        };
        // SAFETY: the region is `size` bytes of a mapping that `self.memory` owns:
        // 1. It stays mapped while a CPU can touch it: this `Vm` and every `Vcpu` made from it
        //    hold the `Arc`, and KVM touches guest memory only while one of them runs.
        // 2. Nobody holds Rust references into it: both mapping types give volatile access only.
        unsafe { self.fd.set_user_memory_region(region) }.map_err(Into::into)
    }

    /// Makes CPU `index`.
    pub(crate) fn create_vcpu(&self, index: u32) -> Result<Vcpu, kvm_ioctls::Error> {
        let fd = self.fd.create_vcpu(index.into())?;
        Ok(Vcpu { fd, _memory: Arc::clone(&self.memory) })
    }
}

/// A virtual CPU that keeps the guest's memory alive.
#[derive(Debug)]
pub(crate) struct Vcpu {
    fd: VcpuFd,
    _memory: Arc<HostMemory>,
}

/// Why a CPU stopped, with what `kvm-ioctls` leaves out: the width of port accesses and the data
/// of internal errors.
#[derive(Debug)]
pub(crate) enum Exit<'a> {
    /// It reads `data.len() / size` elements from a port.
    PortRead { port: u16, size: usize, data: &'a mut [u8] },
    /// It writes them.
    PortWrite { port: u16, size: usize, data: &'a [u8] },
    /// KVM can't go on.
    InternalError { suberror: u32, instruction: Option<Vec<u8>>, data: Vec<u64> },
    /// Anything else, as `kvm-ioctls` has it.
    Other(VcpuExit<'a>),
}

impl Vcpu {
    pub(crate) const fn fd(&self) -> &VcpuFd {
        &self.fd
    }

    /// Runs the guest until something needs us.
    pub(crate) fn run(&mut self) -> Result<Exit<'_>, kvm_ioctls::Error> {
        enum Kind {
            Port { port: u16, data: *mut u8, length: usize },
            InternalError,
        }
        let kind = match self.enter()? {
            VcpuExit::IoIn(port, data) => {
                Kind::Port { port, data: data.as_mut_ptr(), length: data.len() }
            }
            VcpuExit::IoOut(port, data) => {
                Kind::Port { port, data: data.as_ptr().cast_mut(), length: data.len() }
            }
            VcpuExit::InternalError => Kind::InternalError,
            other => {
                // SAFETY: only the lifetime changes, from that of the reborrow in the line of
                // `run` to that of `self`, from which it was borrowed. The borrow checker can't
                // see that this arm returns and the others no longer use theirs.
                let other = unsafe { std::mem::transmute::<VcpuExit<'_>, VcpuExit<'_>>(other) };
                return Ok(Exit::Other(other));
            }
        };
        match kind {
            Kind::Port { port, data, length } => {
                // SAFETY: the exit reason was KVM_EXIT_IO, so `io` is what the union holds.
                let io = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.io };
                let size = usize::from(io.size);
                // SAFETY:
                // 1. Valid for reads and writes of `length` bytes: it is the slice that
                //    `kvm-ioctls` made of the page of `kvm_run` that KVM reserves for port data.
                // 2. Alive and unaliased for the returned lifetime: the mapping lives as long as
                //    `self.fd`, which stays mutably borrowed; the slice that it came from is gone.
                let data = unsafe { std::slice::from_raw_parts_mut(data, length) };
                Ok(if u32::from(io.direction) == KVM_EXIT_IO_OUT {
                    Exit::PortWrite { port, size, data }
                } else {
                    Exit::PortRead { port, size, data }
                })
            }
            Kind::InternalError => Ok(internal_error(self.fd.get_kvm_run())),
        }
    }

    /// Calls KVM_RUN, unless this thread was kicked since the last call.
    fn enter(&mut self) -> Result<VcpuExit<'_>, kvm_ioctls::Error> {
        // From here on a kick reaches `immediate_exit`; one that came before is seen below.
        RUN.set(ptr::from_mut(self.fd.get_kvm_run()));
        let kicked = KICKED.get();
        if kicked {
            self.fd.set_kvm_immediate_exit(1);
        }
        let result = self.fd.run();
        RUN.set(ptr::null_mut());
        result
    }

    /// Has the next [`run`](Self::run) finish what KVM has begun for the guest, and not enter it.
    pub(crate) fn stay_out(&mut self) {
        KICKED.set(true);
    }

    /// Lets the CPU enter the guest again after a kick, which the caller has acted on.
    pub(crate) fn forget_kick(&mut self) {
        KICKED.set(false);
        self.fd.set_kvm_immediate_exit(0);
    }

    /// Has KVM leave the general registers in `kvm_run` at each exit, which it must be able to.
    pub(crate) fn keep_registers(&mut self) {
        self.fd.set_sync_valid_reg(SyncReg::Register);
    }

    /// Returns the instruction pointer as KVM left it at the last exit.
    pub(crate) fn kept_rip(&self) -> u64 {
        self.fd.sync_regs().regs.rip
    }

    /// Tells whether the CPU would take an external interrupt now.
    pub(crate) fn takes_interrupt(&mut self) -> bool {
        self.fd.get_kvm_run().ready_for_interrupt_injection != 0
    }

    /// Asks for an exit as soon as the CPU would take an external interrupt, or for none.
    pub(crate) fn request_interrupt_window(&mut self, wanted: bool) {
        self.fd.get_kvm_run().request_interrupt_window = wanted.into();
    }

    /// Injects an interrupt of the 8259s.
    pub(crate) fn inject(&self, vector: u8) -> io::Result<()> {
        let interrupt = kvm_interrupt { irq: vector.into() };
        // SAFETY: KVM_INTERRUPT reads a `kvm_interrupt`, which lives until the call is over.
        match unsafe { ioctl_with_ref(&self.fd, KVM_INTERRUPT(), &interrupt) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Loads extended state: x87, SSE and what else the CPU saves with XSAVE.
pub(crate) fn set_xsave(vcpu: &VcpuFd, state: &kvm_xsave) -> Result<(), kvm_ioctls::Error> {
    // SAFETY: KVM reads as many bytes as `kvm_xsave` has, unless this process has asked the kernel
    // for dynamically enabled features (AMX) for its guests, which it never does.
    unsafe { vcpu.set_xsave(state) }
}

fn internal_error(run: &kvm_run) -> Exit<'static> {
    const EMULATION: u32 = 1;
    const HAS_INSTRUCTION_BYTES: u64 = 1;
    // SAFETY: the exit reason was KVM_EXIT_INTERNAL_ERROR, so `internal` is what the union holds.
    let internal = unsafe { run.__bindgen_anon_1.internal };
    let count = (internal.ndata as usize).min(internal.data.len());
    let mut instruction = None;
    if internal.suberror == EMULATION && count >= 3 {
        // SAFETY: the same memory, seen as the struct that KVM fills in for this suberror; both
        // are plain integers, for which any bytes will do.
        let failure = unsafe { run.__bindgen_anon_1.emulation_failure };
        // SAFETY: as above; the union has one member.
        let bytes = unsafe { failure.__bindgen_anon_1.__bindgen_anon_1 };
        if failure.flags & HAS_INSTRUCTION_BYTES != 0 {
            let length = usize::from(bytes.insn_size).min(bytes.insn_bytes.len());
            instruction = Some(bytes.insn_bytes[..length].to_vec());
        }
    }
    Exit::InternalError {
        suberror: internal.suberror,
        instruction,
        data: internal.data[..count].to_vec(),
    }
}

thread_local! {
    /// The `kvm_run` of the CPU that this thread has in the guest, or null.
    static RUN: Cell<*mut kvm_run> = const { Cell::new(ptr::null_mut()) };
    /// Whether this thread was kicked since it last entered the guest.
    static KICKED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the current KVM_RUN of this thread return at once, or the next one not begin.
extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    KICKED.set(true);
    let run = RUN.get();
    if !run.is_null() {
        // SAFETY: `Vcpu::run` keeps `RUN` null unless the `kvm_run` of a CPU that it borrows
        // mutably is mapped there, so the field is within one allocation.
        let immediate_exit = unsafe { &raw mut (*run).immediate_exit };
        // SAFETY: as above it is mapped and writable; a volatile store of one byte may interrupt
        // anything.
        unsafe { immediate_exit.write_volatile(1) };
    }
}

/// The threads that run CPUs, so that others can make them leave the guest.
#[derive(Debug, Default)]
pub(crate) struct Kicks {
    /// By the number of the CPU that they run.
    threads: Mutex<Vec<(usize, libc::pthread_t)>>,
}

impl Kicks {
    fn signal() -> libc::c_int {
        libc::SIGRTMIN()
    }

    /// Installs the signal handler; once is enough for the process.
    pub(crate) fn install() -> io::Result<()> {
        vmm_sys_util::signal::register_signal_handler(Self::signal(), on_kick).map_err(Into::into)
    }

    /// Makes this thread the one that runs CPU `cpu` and can be kicked, until the result is dropped.
    pub(crate) fn enter(&self, cpu: usize) -> Kickable<'_> {
        KICKED.set(false);
        // SAFETY: it takes nothing and can't fail.
        let thread = unsafe { libc::pthread_self() };
        self.threads().push((cpu, thread));
        Kickable { kicks: self, thread }
    }

    /// Makes every CPU leave the guest.
    pub(crate) fn kick_all(&self) {
        self.kick_if(|_| true);
    }

    /// Makes CPU `cpu` leave the guest.
    pub(crate) fn kick(&self, cpu: usize) {
        self.kick_if(|other| other == cpu);
    }

    fn kick_if(&self, wanted: impl Fn(usize) -> bool) {
        for &(_, thread) in self.threads().iter().filter(|(cpu, _)| wanted(*cpu)) {
            // SAFETY: the thread is alive: `Kickable` takes it off the list before its thread
            // ends, and the list is locked.
            unsafe { libc::pthread_kill(thread, Self::signal()) };
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<(usize, libc::pthread_t)>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that others can kick out of the guest.
#[derive(Debug)]
pub(crate) struct Kickable<'k> {
    kicks: &'k Kicks,
    thread: libc::pthread_t,
}

impl Drop for Kickable<'_> {
    fn drop(&mut self) {
        self.kicks.threads().retain(|(_, thread)| *thread != self.thread);
    }
}
