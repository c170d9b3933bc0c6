//! The guest's CPU: the controls of its VMCS, and what no VMCS holds of it.

use alloc::boxed::Box;

use bare_metal_image::{CpuidAnswer, CpuidTable, GuestCpu, guest_cpuid};
use guest_state::{Msrs, VcpuState, cr4};
use vmx::hardware::{CurrentVmcs, GuestContext};
use vmx::{
    AfterFault, ControlWishes, Controls, EntryControls, Error, Event, ExitControls, HostState,
    MsrBitmap, PendingEvents, PinBasedControls, PrimaryControls, SecondaryControls, VmFail,
    VmcsAccess, VmxCaps, Wish, after_fault, field, read_guest_state, uses_pae_paging,
    write_guest_state, write_pdptes,
};

use crate::board::Board;
use crate::crash::Crash;
use crate::hardware::cpuid;

/// MSRs that the guest has for itself: no exit, and nothing of the host uses them.
///
/// FS.base and GS.base, and the three of SYSENTER, are in the VMCS.
const OWN_MSRS: [u32; 11] = [
    0x174,
    0x175,
    0x176,
    0xC000_0081,
    0xC000_0082,
    0xC000_0083,
    0xC000_0084,
    0xC000_0100,
    0xC000_0101,
    0xC000_0102,
    0xC000_0103,
];

/// Finds the controls for a guest that runs in any mode, in memory of its own.
pub(crate) fn solve_controls(caps: &VmxCaps) -> Result<Controls, Error> {
    let wishes = ControlWishes {
        pin_based: Wish::required(
            PinBasedControls::EXTERNAL_INTERRUPT_EXITING
                | PinBasedControls::NMI_EXITING
                | PinBasedControls::VIRTUAL_NMIS
                | PinBasedControls::ACTIVATE_PREEMPTION_TIMER,
        ),
        primary: Wish::required(
            PrimaryControls::HLT_EXITING
                | PrimaryControls::CR8_LOAD_EXITING
                | PrimaryControls::CR8_STORE_EXITING
                | PrimaryControls::UNCONDITIONAL_IO_EXITING
                | PrimaryControls::USE_TSC_OFFSETTING
                | PrimaryControls::USE_MSR_BITMAPS
                | PrimaryControls::MWAIT_EXITING
                | PrimaryControls::MONITOR_EXITING
                | PrimaryControls::RDPMC_EXITING,
        )
        .forbidden(PrimaryControls::CR3_LOAD_EXITING | PrimaryControls::CR3_STORE_EXITING),
        secondary: Wish::required(
            SecondaryControls::ENABLE_EPT | SecondaryControls::UNRESTRICTED_GUEST,
        )
        .wanted(SecondaryControls::ENABLE_RDTSCP | SecondaryControls::ENABLE_INVPCID),
        exit: Wish::required(
            ExitControls::HOST_ADDRESS_SPACE_SIZE
                | ExitControls::SAVE_EFER
                | ExitControls::LOAD_EFER
                | ExitControls::SAVE_PAT
                | ExitControls::LOAD_PAT
                | ExitControls::SAVE_DEBUG_CONTROLS
                | ExitControls::SAVE_PREEMPTION_TIMER
                | ExitControls::ACKNOWLEDGE_INTERRUPT,
        ),
        entry: Wish::required(
            EntryControls::LOAD_EFER | EntryControls::LOAD_PAT | EntryControls::LOAD_DEBUG_CONTROLS,
        ),
        ..ControlWishes::default()
    };
    // Old processors lack many of these. What to say first is what explains the rest.
    for control in [SecondaryControls::ENABLE_EPT, SecondaryControls::UNRESTRICTED_GUEST] {
        Wish::required(control).solve(caps)?;
    }
    Controls::solve(&wishes, caps)
}

/// Fills a VMCS with everything but the guest's registers.
pub(crate) fn prepare(
    vmcs: &mut CurrentVmcs<'_>,
    controls: &Controls,
    host: &HostState,
    board: &Board,
) -> Result<(), VmFail> {
    controls.write(vmcs)?;
    host.write(vmcs)?;
    let mut bitmap = Box::new(MsrBitmap::all_exit());
    for msr in OWN_MSRS {
        bitmap.set_exit(msr, false);
    }
    // Mapped one to one, and never freed: the VMCS uses it for good.
    let bitmap = core::ptr::from_mut(Box::leak(bitmap)) as u64;
    vmcs.write(field::MSR_BITMAPS, bitmap)?;
    vmcs.write(field::EPT_POINTER, board.ept.pointer().bits())?;
    vmcs.write(field::EXCEPTION_BITMAP, 0)?;
    vmcs.write(field::PAGE_FAULT_ERROR_CODE_MASK, 0)?;
    vmcs.write(field::PAGE_FAULT_ERROR_CODE_MATCH, 0)?;
    vmcs.write(field::CR3_TARGET_COUNT, 0)?;
    vmcs.write(field::TSC_OFFSET, 0)?;
    for count in
        [field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_COUNT]
    {
        vmcs.write(count, 0)?;
    }
    Ok(())
}

/// What of a guest's CPU is neither in the VMCS nor in the run stub's context.
///
/// The table comes first, as in [`Session`](crate::session::Session).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Cpu {
    pub(crate) cpuid_table: CpuidTable,
    pub(crate) caps: VmxCaps,
    /// MSRs whose accesses exit and that are nobody else's.
    pub(crate) msrs: Msrs,
    pub(crate) pending: PendingEvents,
    pub(crate) is_halted: bool,
    /// What the guest's CPUID is made from.
    identity: GuestCpu,
}

impl Cpu {
    pub(crate) fn new(controls: &Controls, caps: &VmxCaps, board: &Board, tsc_hertz: u64) -> Self {
        let has = |control| controls.secondary.contains(control);
        let identity = GuestCpu {
            apic_id: board.apic.config().id,
            tsc_hertz: u32::try_from(tsc_hertz).unwrap_or(u32::MAX),
            osxsave: false,
            has_invpcid: has(SecondaryControls::ENABLE_INVPCID),
            has_rdtscp: has(SecondaryControls::ENABLE_RDTSCP),
        };
        Self {
            caps: *caps,
            msrs: VcpuState::reset(0).msrs,
            pending: PendingEvents::default(),
            is_halted: false,
            cpuid_table: CpuidTable::new(&identity, cpuid),
            identity,
        }
    }

    /// Gives the CPU all registers anew.
    pub(crate) fn load(
        &mut self,
        state: &VcpuState,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), VmFail> {
        write_guest_state(vmcs, &self.caps, state)?;
        // CPUID tells of it.
        let owned = vmcs.read(field::CR4_GUEST_HOST_MASK)? | cr4::OSXSAVE;
        vmcs.write(field::CR4_GUEST_HOST_MASK, owned)?;
        self.set_osxsave(state.cr4);
        *context = GuestContext::new(state);
        self.msrs = state.msrs;
        self.pending = PendingEvents::default();
        self.is_halted = false;
        Ok(())
    }

    /// Reads all registers.
    pub(crate) fn state(
        &self,
        vmcs: &CurrentVmcs<'_>,
        context: &GuestContext,
    ) -> Result<VcpuState, VmFail> {
        let mut state = VcpuState::reset(0);
        state.msrs = self.msrs;
        read_guest_state(vmcs, &mut state)?;
        context.save(&mut state);
        Ok(state)
    }

    /// Says what CPUID tells where the table has no place.
    #[cold]
    pub(crate) fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidAnswer {
        let found = guest_cpuid(leaf, subleaf, cpuid(leaf, subleaf), &self.identity);
        [found.eax, found.ebx, found.ecx, found.edx].map(u64::from)
    }

    /// Lets CPUID follow the guest's CR4.
    pub(crate) fn set_osxsave(&mut self, cr4: u64) {
        self.cpuid_table.set_osxsave(cr4 & cr4::OSXSAVE != 0);
    }

    /// Lets CPUID follow XCR0, which is the guest's.
    pub(crate) fn follow_xcr0(&mut self) {
        self.cpuid_table.follow_xcr0(&self.identity, cpuid);
    }

    /// Makes `fault` the next event, or what the double-fault table makes of it.
    pub(crate) fn raise(&mut self, fault: Event) -> Result<(), Crash> {
        match after_fault(self.pending.next.take(), fault) {
            AfterFault::Deliver { event, later } => {
                self.pending.next = Some(event);
                match later {
                    Some(Event::Nmi) => self.pending.nmi = true,
                    // An interrupt was acknowledged: it can't go back. It stays pending here.
                    Some(other) => self.pending.next = Some(other),
                    None => {}
                }
                Ok(())
            }
            AfterFault::Shutdown => Err(Crash::TripleFault),
        }
    }
}

/// Loads the PDPTEs anew, where the guest uses PAE paging.
pub(crate) fn reload_pdptes(
    state: &VcpuState,
    vmcs: &mut CurrentVmcs<'_>,
    board: &Board,
) -> Result<(), Crash> {
    if uses_pae_paging(state) {
        let pdptes = vmx::read_pdptes(&board.ram, state.cr3).map_err(Crash::PageTables)?;
        write_pdptes(vmcs, pdptes)?;
    }
    Ok(())
}
