//! A guest in 64-bit mode that makes one access, wherever its page tables and EPT lead it.

use core::sync::atomic::{AtomicU64, Ordering};

use ept::{EptAccess, EptPointer, Vpid};
use guest_state::{Gpa, GuestMemory, Hpa, VcpuState, WordMemory};
use vmx::hardware::{CurrentVmcs, GuestContext, InvEpt, invept};
use vmx::{
    BasicReason, ControlWishes, Controls, EntryControls, ExitControls, ExitReason, HostState,
    PrimaryControls, SecondaryControls, VmFail, VmcsAccess, Wish, field, write_guest_state,
};

use crate::memory::HostMemory;

/// What goes wrong with the lab itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    #[error("host memory")]
    Memory(#[from] boot_plan::Error),
    #[error("guest memory")]
    Access(#[from] guest_state::AccessError),
    #[error("VMX")]
    Vmx(#[from] vmx::Error),
    #[error("VMCS")]
    Vmcs(#[from] VmFail),
    #[error("extended page tables")]
    Ept(#[from] ept::Error),
}

/// An access of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Fetch,
}

impl Access {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Fetch];

    /// Returns the bit of the exit qualification that says so.
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u64
    }

    /// Returns where it goes: writes spare what is read and fetched.
    pub(crate) fn target(self, gpa: Gpa) -> Gpa {
        let offset = if self == Self::Write { WRITTEN_OFFSET } else { 0 };
        gpa.checked_add(offset).unwrap_or(gpa)
    }

    /// Returns where the guest's code for it is.
    const fn code(self) -> u64 {
        CODE + 0x20 * self as u64
    }
}

/// What came of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was made, and found what it should.
    Done,
    /// It was made, and found something else.
    Elsewhere,
    /// An EPT violation, with the lowest nine bits of the exit qualification.
    Violation(Gpa, EptAccess),
    /// An EPT misconfiguration.
    Misconfigured(Gpa),
    /// Another exit.
    Other(u32, u64),
}

/// Where the guest has its code and its page tables: low memory, mapped one to one.
const CODE: u64 = 0x1000;
const PML4: u64 = 0x2000;
const PDPT: u64 = 0x3000;
const LOW_PD: u64 = 0x4000;
/// The page table whose 512 entries, each for 2 MiB, lead to the windows.
pub(crate) const WINDOW_PD: u64 = 0x5000;
/// Present, writable, accessed, dirty; with the size bit too. Nothing of the guest's own tables has
/// to be written.
const TABLE: u64 = 0x63;
const LARGE_PAGE: u64 = 0xE3;
/// The linear address of the first window.
const WINDOWS: u64 = 0x4000_0000;
pub(crate) const WINDOW_BYTES: u64 = 1 << 21;

/// `mov al, [rdi]; vmcall`.
const READ: [u8; 5] = [0x8A, 0x07, 0x0F, 0x01, 0xC1];
/// `mov [rdi + 0x40], al; vmcall`.
const WRITE: [u8; 6] = [0x88, 0x47, 0x40, 0x0F, 0x01, 0xC1];
/// `jmp rdi`.
const FETCH: [u8; 2] = [0xFF, 0xE7];
/// `mov [rsi], rbx`: what goes between two accesses to edit the entry that they go by.
const EDIT: [u8; 3] = [0x48, 0x89, 0x1E];
/// The instruction of an access, without the VMCALL behind it.
const READ_BYTES: usize = 2;
const WRITE_BYTES: usize = 3;
/// Where the code is that accesses, edits and accesses again, and that leaves before the second time.
const AGAIN: u64 = 0x400;
const LEAVE: u64 = 0x800;
/// `vmcall`: what is fetched, and what is read.
const DATA: [u8; 3] = [0x0F, 0x01, 0xC1];
/// Where the page with the data is in its 2 MiB.
pub(crate) const DATA_OFFSET: u64 = 0x3000;
const WRITTEN_OFFSET: u64 = 0x40;

/// The guest, and the processor's VMCS for it.
pub(crate) struct Bench<'v> {
    vmcs: CurrentVmcs<'v>,
    context: GuestContext,
    low: WordMemory<'static>,
    /// Where the guest's low memory lies: 2 MiB.
    pub(crate) low_at: Hpa,
    data: WordMemory<'static>,
    /// Where the data lies: 2 MiB, aligned.
    pub(crate) data_at: Hpa,
    written: u8,
}

impl<'v> Bench<'v> {
    pub(crate) fn new(
        mut vmcs: CurrentVmcs<'v>,
        host_state: &HostState,
        host: &mut HostMemory,
    ) -> Result<Self, LabError> {
        let (low_at, low) = host.guest_ram(WINDOW_BYTES)?;
        let (data_at, data) = host.guest_ram(WINDOW_BYTES)?;
        let low = WordMemory::new(Gpa::ZERO, low);
        let put = |at: u64, value: u64| low.write(Gpa::new(at), &value.to_le_bytes());
        for (access, code, once) in [
            (Access::Read, &READ[..], &READ[..READ_BYTES]),
            (Access::Write, &WRITE[..], &WRITE[..WRITE_BYTES]),
            (Access::Fetch, &FETCH[..], &[]),
        ] {
            let at = access.code();
            low.write(Gpa::new(at), code)?;
            low.write(Gpa::new(at + AGAIN), &[once, &EDIT, code].concat())?;
            low.write(Gpa::new(at + LEAVE), &[once, &EDIT, &DATA].concat())?;
        }
        put(PML4, PDPT | TABLE)?;
        put(PDPT, LOW_PD | TABLE)?;
        put(PDPT + 8, WINDOW_PD | TABLE)?;
        put(LOW_PD, LARGE_PAGE)?;
        let caps = *vmcs.caps();
        let wishes = ControlWishes {
            primary: Wish::required(PrimaryControls::HLT_EXITING)
                .forbidden(PrimaryControls::CR3_LOAD_EXITING | PrimaryControls::CR3_STORE_EXITING),
            secondary: Wish::required(
                SecondaryControls::ENABLE_EPT | SecondaryControls::ENABLE_VPID,
            ),
            exit: Wish::required(
                ExitControls::HOST_ADDRESS_SPACE_SIZE
                    | ExitControls::LOAD_EFER
                    | ExitControls::SAVE_EFER,
            ),
            entry: Wish::required(EntryControls::LOAD_EFER),
            ..ControlWishes::default()
        };
        Controls::solve(&wishes, &caps)?.write(&mut vmcs)?;
        host_state.write(&mut vmcs)?;
        // No exception is the guest's own.
        vmcs.write(field::EXCEPTION_BITMAP, u32::MAX)?;
        vmcs.write(field::VPID, Vpid::new(1).map_or(0, Vpid::get))?;
        let state = VcpuState::long_mode(CODE, Gpa::new(PML4));
        write_guest_state(&mut vmcs, &caps, &state)?;
        let context = GuestContext::new(&state);
        let data = WordMemory::new(Gpa::ZERO, data);
        let bench = Self { vmcs, context, low, low_at, data, data_at, written: 0 };
        bench.put_data(DATA_OFFSET)?;
        Ok(bench)
    }

    pub(crate) fn caps(&self) -> &vmx::VmxCaps {
        self.vmcs.caps()
    }

    /// Puts what the guest reads and fetches at an offset in the data.
    pub(crate) fn put_data(&self, offset: u64) -> Result<(), LabError> {
        Ok(self.data.write(Gpa::new(offset), &DATA)?)
    }

    /// Lets a window lead to the 2 MiB around `gpa`; returns the linear address of `gpa` in it.
    pub(crate) fn open_window(&self, window: u64, gpa: Gpa) -> Result<u64, LabError> {
        let base = gpa.as_u64() & !(WINDOW_BYTES - 1);
        let entry = base | LARGE_PAGE;
        self.low.write(Gpa::new(WINDOW_PD + 8 * window), &entry.to_le_bytes())?;
        Ok(WINDOWS + window * WINDOW_BYTES + (gpa.as_u64() - base))
    }

    /// Has the guest use these tables.
    pub(crate) fn use_tables(&mut self, pointer: EptPointer) -> Result<(), LabError> {
        Ok(self.vmcs.write(field::EPT_POINTER, pointer.bits())?)
    }

    /// Makes the processor forget translations.
    pub(crate) fn invalidate(what: ept::Invept) -> Result<(), VmFail> {
        let scope = match what {
            ept::Invept::SingleContext(pointer) => InvEpt::SingleContext { eptp: pointer.bits() },
            ept::Invept::AllContexts => InvEpt::AllContexts,
        };
        // SAFETY: a bench is made in VMX root operation, which ends with the image; a CPU with EPT
        // has INVEPT.
        unsafe { invept(scope) }
    }

    /// Lets the guest make an access at a linear address, whose data is at `offset` in the data.
    pub(crate) fn access(
        &mut self,
        access: Access,
        linear: u64,
        offset: u64,
    ) -> Result<Seen, LabError> {
        self.run(access, access.code(), linear, offset)
    }

    /// Lets the guest make a read or a write, put `bits` into the entry at the linear address `entry`,
    /// as another CPU might meanwhile, and then make the access `again` or leave.
    pub(crate) fn access_and_edit(
        &mut self,
        access: Access,
        linear: u64,
        (entry, bits): (u64, u64),
        again: bool,
    ) -> Result<Seen, LabError> {
        self.context.scratch.rsi = entry;
        self.context.scratch.rbx = bits;
        let code = access.code() + if again { AGAIN } else { LEAVE };
        self.run(access, code, linear, DATA_OFFSET)
    }

    fn run(
        &mut self,
        access: Access,
        code: u64,
        linear: u64,
        offset: u64,
    ) -> Result<Seen, LabError> {
        self.written = self.written.wrapping_add(1);
        self.context.scratch.rdi = linear;
        self.context.scratch.rax = self.written.into();
        self.vmcs.set(field::GUEST_RIP, code);
        self.vmcs.set(field::GUEST_RFLAGS, 2);
        // SAFETY:
        // 1. EPT leads to the guest's own memory and to the data. Where a case changes an entry, the
        //    lab enters only if the walker of `ept` says that the access is refused or goes to the
        //    data as before; if it is wrong about that, the lab's own memory may be written to, and
        //    the case is a difference or the end of the lab.
        // 2. The host state was taken from the registers that this code runs with.
        // 3. `boot.s` set CR4.OSFXSR.
        // 4. The guest executes nothing but the pieces of code above.
        // 5. The area comes from `GuestContext::new`.
        // 6. `()` does nothing.
        unsafe { self.vmcs.run(&mut self.context, &mut ()) }?;
        let reason = ExitReason(self.vmcs.get(field::EXIT_REASON));
        let qualification = self.vmcs.get(field::EXIT_QUALIFICATION);
        let gpa = || self.vmcs.read(field::GUEST_PHYSICAL_ADDRESS).map(Gpa::new);
        Ok(match reason.basic() {
            BasicReason::VMCALL if self.found(access, linear, offset)? => Seen::Done,
            BasicReason::VMCALL => Seen::Elsewhere,
            BasicReason::EPT_VIOLATION => Seen::Violation(gpa()?, EptAccess(qualification & 0x1FF)),
            BasicReason::EPT_MISCONFIGURATION => Seen::Misconfigured(gpa()?),
            _ => Seen::Other(reason.0, qualification),
        })
    }

    /// Tells whether the access went to the data.
    fn found(&self, access: Access, linear: u64, offset: u64) -> Result<bool, LabError> {
        let mut byte = [0];
        self.data.read(Gpa::new(offset + WRITTEN_OFFSET), &mut byte)?;
        let [al, ..] = self.context.scratch.rax.to_le_bytes();
        Ok(match access {
            Access::Read => al == DATA[0],
            Access::Write => byte == [self.written],
            Access::Fetch => self.vmcs.get(field::GUEST_RIP) == linear,
        })
    }
}

/// Returns an entry of a table.
pub(crate) fn load(slot: &AtomicU64) -> u64 {
    slot.load(Ordering::SeqCst)
}

/// Sets an entry of a table, right or wrong.
pub(crate) fn store(slot: &AtomicU64, value: u64) {
    slot.store(value, Ordering::SeqCst);
}
