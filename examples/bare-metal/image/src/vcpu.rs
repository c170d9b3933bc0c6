//! The guest's CPU: its VMCS, the registers that no VMCS holds, and the events that wait for it.

use alloc::boxed::Box;

use bare_metal_image::GuestCpu;
use guest_state::{Hpa, Msrs, VcpuState};
use vmx::hardware::{CurrentVmcs, GuestContext};
use vmx::{
    AfterFault, ControlWishes, Controls, EntryControls, Error, Event, ExitControls, HostState,
    MsrBitmap, PendingEvents, PinBasedControls, PrimaryControls, SecondaryControls, VmFail,
    VmcsAccess, VmxCaps, Wish, after_fault, field, read_guest_state, uses_pae_paging,
    write_guest_state, write_pdptes,
};

use crate::board::Board;
use crate::crash::Crash;
use crate::fast::FastPath;

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

/// The CPU of a guest.
pub(crate) struct Vcpu<'v> {
    pub(crate) vmcs: CurrentVmcs<'v>,
    pub(crate) caps: VmxCaps,
    pub(crate) context: GuestContext,
    /// MSRs whose accesses exit and that are nobody else's.
    pub(crate) msrs: Msrs,
    pub(crate) pending: PendingEvents,
    pub(crate) is_halted: bool,
    /// What the guest's CPUID is made from.
    pub(crate) cpu: GuestCpu,
    pub(crate) fast: FastPath,
}

impl<'v> Vcpu<'v> {
    /// Fills the VMCS with everything but the guest's registers.
    pub(crate) fn new(
        mut vmcs: CurrentVmcs<'v>,
        controls: &Controls,
        host: &HostState,
        board: &Board,
        tsc_hertz: u64,
    ) -> Result<Self, VmFail> {
        let caps = *vmcs.caps();
        controls.write(&mut vmcs)?;
        host.write(&mut vmcs)?;
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
        let state = VcpuState::reset(0);
        let has = |control| controls.secondary.contains(control);
        let cpu = GuestCpu {
            apic_id: board.apic.config().id,
            tsc_hertz: u32::try_from(tsc_hertz).unwrap_or(u32::MAX),
            osxsave: false,
            has_invpcid: has(SecondaryControls::ENABLE_INVPCID),
            has_rdtscp: has(SecondaryControls::ENABLE_RDTSCP),
        };
        Ok(Self {
            vmcs,
            caps,
            context: GuestContext::new(&state),
            msrs: state.msrs,
            pending: PendingEvents::default(),
            is_halted: false,
            cpu,
            fast: FastPath::new(&cpu),
        })
    }

    /// Gives the CPU all registers anew.
    pub(crate) fn load(&mut self, state: &VcpuState) -> Result<(), VmFail> {
        write_guest_state(&mut self.vmcs, &self.caps, state)?;
        self.context = GuestContext::new(state);
        self.msrs = state.msrs;
        self.pending = PendingEvents::default();
        self.is_halted = false;
        Ok(())
    }

    /// Reads all registers.
    pub(crate) fn state(&self) -> Result<VcpuState, VmFail> {
        let mut state = VcpuState::reset(0);
        state.msrs = self.msrs;
        read_guest_state(&self.vmcs, &mut state)?;
        self.context.save(&mut state);
        Ok(state)
    }

    /// Returns a general-purpose register by its number.
    pub(crate) fn register(&self, number: u8) -> u64 {
        self.context.register(number).unwrap_or_else(|| self.vmcs.get(field::GUEST_RSP))
    }

    /// Sets a general-purpose register by its number.
    pub(crate) fn set_register(&mut self, number: u8, value: u64) {
        match self.context.register_mut(number) {
            Some(register) => *register = value,
            None => self.vmcs.set(field::GUEST_RSP, value),
        }
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

    /// Loads the PDPTEs anew, where the guest uses PAE paging.
    pub(crate) fn reload_pdptes(&mut self, board: &Board) -> Result<(), Crash> {
        let state = self.state()?;
        if uses_pae_paging(&state) {
            let pdptes = vmx::read_pdptes(&board.ram, state.cr3).map_err(Crash::PageTables)?;
            write_pdptes(&mut self.vmcs, pdptes)?;
        }
        Ok(())
    }

    /// Returns the physical address of the VMCS, for messages.
    pub(crate) fn region(&self) -> Hpa {
        self.vmcs.region()
    }
}
