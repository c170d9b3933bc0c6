//! What each exit asks for.

use guest_state::{AccessRights, cr0, cr4, efer};
use machine::{Exception, Executed, execute};
use vmx::hardware::{CurrentVmcs, GuestContext, ScratchRegisters};
use vmx::{CrAccess, Event, EventKind, Exit, IoExit, VmcsAccess, field};

use crate::board::Bus;
use crate::cpu::reload_pdptes;
use crate::crash::Crash;
use crate::guest::Guest;
use crate::hardware::{allowed_components, halves, xcr0, xsetbv};
use crate::session::{Served, Session};

impl Session<'_> {
    /// Answers an exit with the registers that are at hand, if these are enough.
    pub(crate) fn serve(
        &mut self,
        exit: Exit,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &mut ScratchRegisters,
    ) -> Result<Served, Crash> {
        match exit {
            Exit::Cpuid => {
                let [leaf, subleaf] = [registers.rax, registers.rcx].map(|value| halves(value)[0]);
                [registers.rax, registers.rbx, registers.rcx, registers.rdx] =
                    self.cpu.cpuid(leaf, subleaf);
                vmcs.skip_instruction();
                return Ok(Served::Apart);
            }
            Exit::Io(io) if io.string.is_none() => self.serve_io(io, vmcs, registers),
            Exit::Io(_) | Exit::EptViolation(_) | Exit::CrAccess(_) => return Ok(Served::NeedsAll),
            Exit::Rdmsr => self.serve_rdmsr(vmcs, registers)?,
            Exit::Wrmsr => self.serve_wrmsr(vmcs, registers)?,
            Exit::Hlt => {
                vmcs.skip_instruction();
                self.cpu.is_halted = true;
            }
            Exit::Xsetbv => self.serve_xsetbv(vmcs, registers)?,
            // Caches are coherent: there is nothing to write back.
            Exit::Wbinvd | Exit::Invd => {
                vmcs.skip_instruction();
                return Ok(Served::Apart);
            }
            Exit::Rdpmc => self.cpu.raise(Event::GENERAL_PROTECTION)?,
            // These come in their time, and settling looks at everything anew.
            Exit::PreemptionTimer
            | Exit::InterruptWindow
            | Exit::NmiWindow
            | Exit::ExternalInterrupt { .. } => {}
            // An NMI of the host is nobody's.
            Exit::Exception { event, .. } if event.is(EventKind::Nmi) => {}
            Exit::TripleFault => return Err(Crash::TripleFault),
            // What CPUID does not offer.
            Exit::Vmcall
            | Exit::Vmlaunch
            | Exit::Vmresume
            | Exit::Vmxoff
            | Exit::Operand { .. }
            | Exit::Getsec
            | Exit::Rsm
            | Exit::Monitor
            | Exit::Mwait
            | Exit::Vmfunc
            | Exit::Encls
            | Exit::Enclv => self.cpu.raise(Event::INVALID_OPCODE)?,
            other => return Err(Crash::Exit(other)),
        }
        Ok(Served::Done)
    }

    /// Answers an exit that needs all registers.
    pub(crate) fn serve_with_all(
        &mut self,
        exit: Exit,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        match exit {
            Exit::Io(io) => self.serve_string_io(io, vmcs, context),
            Exit::EptViolation(_) => self.execute(vmcs, context),
            Exit::CrAccess(access) => self.serve_cr(access, vmcs, context),
            other => Err(Crash::Exit(other)),
        }
    }

    fn serve_io(
        &mut self,
        io: IoExit,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &mut ScratchRegisters,
    ) {
        let now = self.clock.now();
        let Guest { devices, board, .. } = &mut *self.guest;
        let size = usize::from(io.size_bytes);
        let mut bytes = registers.rax.to_le_bytes();
        if io.is_in {
            devices.port_read(io.port, size, &mut bytes[..size], now, board);
            let value = u64::from_le_bytes(bytes);
            // A read of 32 bits clears the upper half.
            registers.rax = if size == 4 { value & 0xFFFF_FFFF } else { value };
        } else {
            devices.port_write(io.port, size, &bytes[..size], now, board);
        }
        vmcs.skip_instruction();
    }

    /// Executes the instruction that touched what is not RAM.
    fn execute(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        let mut state = self.cpu.state(vmcs, context)?;
        let physical_bits = u32::from(self.cpu.caps.widths.physical);
        let now = self.clock.now();
        let Guest { devices, board, .. } = &mut *self.guest;
        let ram = board.ram;
        let mut bus = Bus { board, devices, now };
        let executed = execute(&mut state, physical_bits, &ram, &mut bus)?;
        *context = GuestContext::new(&state);
        vmcs.write(field::GUEST_RSP, state.general.rsp)?;
        vmcs.write(field::GUEST_RIP, state.rip)?;
        vmcs.write(field::GUEST_RFLAGS, state.rflags)?;
        match executed {
            Executed::Completed => {
                // What the end of an instruction does besides moving RIP on.
                vmx::skip_instruction(vmcs, 0)?;
                Ok(())
            }
            Executed::Repeating => Ok(()),
            Executed::Faulted(exception) => {
                if let Exception::PageFault(fault) = exception {
                    context.cr2 = fault.address.as_u64();
                }
                let (vector, error_code) = (exception.vector(), exception.error_code());
                self.cpu.raise(Event::Exception { vector, error_code })
            }
        }
    }

    fn serve_cr(
        &mut self,
        access: CrAccess,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        let old = vmx::read_guest_cr0(vmcs)?;
        match access {
            CrAccess::MovTo { cr: 0, register: from } => {
                return self.write_cr0(register(from, vmcs, context), vmcs, context);
            }
            CrAccess::Clts => return self.write_cr0(old & !cr0::TS, vmcs, context),
            CrAccess::Lmsw { source, .. } => {
                // It can set PE but not clear it.
                let low = u64::from(source & 0xF);
                return self.write_cr0(old & !0xE | low, vmcs, context);
            }
            CrAccess::MovTo { cr: 4, register: from } => {
                return self.write_cr4(register(from, vmcs, context), vmcs, context);
            }
            CrAccess::MovTo { cr: 8, register: from } => {
                let apic = &mut self.guest.board.apic;
                if apic.write_cr8(register(from, vmcs, context)).is_err() {
                    return self.cpu.raise(Event::GENERAL_PROTECTION);
                }
                apic.advance(self.clock.now());
            }
            CrAccess::MovFrom { cr: 8, register: to } => {
                set_register(to, self.guest.board.apic.cr8(), vmcs, context);
            }
            CrAccess::MovTo { .. } | CrAccess::MovFrom { .. } => {
                return Err(Crash::Exit(Exit::CrAccess(access)));
            }
        }
        vmcs.skip_instruction();
        Ok(())
    }

    /// # Source
    /// Intel SDM Vol. 2B, "MOV—Move to/from Control Registers", exceptions.
    fn write_cr0(
        &mut self,
        value: u64,
        vmcs: &mut CurrentVmcs<'_>,
        context: &GuestContext,
    ) -> Result<(), Crash> {
        let state = self.cpu.state(vmcs, context)?;
        let value = value | cr0::ET;
        let turns_on = value & cr0::PG != 0 && state.cr0 & cr0::PG == 0;
        let turns_off = value & cr0::PG == 0 && state.cr0 & cr0::PG != 0;
        let is_wrong = value >> 32 != 0
            || value & (cr0::PG | cr0::PE) == cr0::PG
            || value & (cr0::NW | cr0::CD) == cr0::NW
            || (turns_on
                && state.efer & efer::LME != 0
                && (state.cr4 & cr4::PAE == 0 || state.cs.access.is_64bit()))
            || (turns_off && state.is_64bit());
        if is_wrong {
            return self.cpu.raise(Event::GENERAL_PROTECTION);
        }
        vmx::write_guest_cr0(vmcs, &self.cpu.caps, value & !RESERVED_CR0)?;
        self.after_paging_change(vmcs, context)
    }

    fn write_cr4(
        &mut self,
        value: u64,
        vmcs: &mut CurrentVmcs<'_>,
        context: &GuestContext,
    ) -> Result<(), Crash> {
        let state = self.cpu.state(vmcs, context)?;
        let is_long = state.efer & efer::LMA != 0;
        // The guest's CPUID has none of these.
        let hidden = cr4::VMXE | cr4::LA57 | cr4::PKE | cr4::CET | cr4::PKS | 1 << 14;
        let is_wrong = value & !(self.cpu.caps.cr4_fixed1 & !hidden) != 0
            || (is_long && value & cr4::PAE == 0)
            || (value & cr4::PCIDE != 0 && !is_long);
        if is_wrong {
            return self.cpu.raise(Event::GENERAL_PROTECTION);
        }
        vmx::write_guest_cr4(vmcs, &self.cpu.caps, value)?;
        self.cpu.set_osxsave(value);
        self.after_paging_change(vmcs, context)
    }

    /// Ends a write to CR0 or CR4.
    fn after_paging_change(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        context: &GuestContext,
    ) -> Result<(), Crash> {
        reload_pdptes(&self.cpu.state(vmcs, context)?, vmcs, &self.guest.board)?;
        vmcs.skip_instruction();
        Ok(())
    }

    /// # Source
    /// Intel SDM Vol. 2D, "XSETBV—Set Extended Control Register".
    fn serve_xsetbv(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &ScratchRegisters,
    ) -> Result<(), Crash> {
        let value = registers.rdx << 32 | registers.rax & 0xFFFF_FFFF;
        let together = |set: u64| value & set == 0 || value & set == set;
        let [index, _] = halves(registers.rcx);
        let is_wrong = index != 0
            || value & xcr0::X87 == 0
            || value & !allowed_components() != 0
            || (value & xcr0::AVX != 0 && value & xcr0::SSE == 0)
            || (value & xcr0::AVX512 != 0 && value & xcr0::AVX == 0)
            || !together(xcr0::AVX512)
            || AccessRights(vmcs.get(field::GUEST_SS_ACCESS_RIGHTS)).dpl() != 0;
        if is_wrong {
            return self.cpu.raise(Event::GENERAL_PROTECTION);
        }
        // SAFETY: the guest could execute it, so CR4.OSXSAVE of the CPU is set in the guest, and
        // `enable_xsave` set it here; the checks above are the SDM's.
        unsafe { xsetbv(value) };
        self.cpu.follow_xcr0();
        vmcs.skip_instruction();
        Ok(())
    }
}

/// Returns a general-purpose register by its number.
pub(crate) fn register(number: u8, vmcs: &CurrentVmcs<'_>, context: &GuestContext) -> u64 {
    context.register(number).unwrap_or_else(|| vmcs.get(field::GUEST_RSP))
}

/// Sets a general-purpose register by its number.
pub(crate) fn set_register(
    number: u8,
    value: u64,
    vmcs: &mut CurrentVmcs<'_>,
    context: &mut GuestContext,
) {
    match context.register_mut(number) {
        Some(register) => *register = value,
        None => vmcs.set(field::GUEST_RSP, value),
    }
}

/// Bits that MOV to CR0 drops.
const RESERVED_CR0: u64 = 0x1FFA_FFC0;
