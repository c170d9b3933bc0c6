//! What each exit asks for.

use bare_metal_image::guest_cpuid;
use guest_state::{cr0, cr4, efer};
use machine::{Exception, Executed, execute};
use vmx::{CrAccess, Event, EventKind, Exit, IoExit, VmcsAccess, field};

use crate::board::Bus;
use crate::clock::Clock;
use crate::crash::Crash;
use crate::guest::Guest;
use crate::hardware::{cpuid, halves, xsetbv};
use crate::vcpu::Vcpu;

impl Vcpu<'_> {
    /// Answers an exit.
    pub(crate) fn serve(
        &mut self,
        exit: Exit,
        guest: &mut Guest,
        clock: &Clock,
    ) -> Result<(), Crash> {
        match exit {
            Exit::Cpuid => self.serve_cpuid(),
            Exit::Io(io) => return self.serve_io(io, guest, clock),
            Exit::EptViolation(_) => return self.execute(guest, clock),
            Exit::Rdmsr => return self.serve_rdmsr(guest, clock),
            Exit::Wrmsr => return self.serve_wrmsr(guest, clock),
            Exit::CrAccess(access) => return self.serve_cr(access, guest, clock),
            Exit::Hlt => {
                self.vmcs.skip_instruction();
                self.is_halted = true;
            }
            Exit::Xsetbv => return self.serve_xsetbv(),
            // Caches are coherent: there is nothing to write back.
            Exit::Wbinvd | Exit::Invd => self.vmcs.skip_instruction(),
            Exit::Rdpmc => return self.raise(Event::GENERAL_PROTECTION),
            // These come in their time, and the loop looks at everything anew.
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
            | Exit::Enclv => return self.raise(Event::INVALID_OPCODE),
            other => return Err(Crash::Exit(other)),
        }
        Ok(())
    }

    fn serve_cpuid(&mut self) {
        let [leaf, _] = halves(self.context.scratch.rax);
        let [subleaf, _] = halves(self.context.scratch.rcx);
        self.cpu.osxsave = self.vmcs.get(field::GUEST_CR4) & cr4::OSXSAVE != 0;
        let found = guest_cpuid(leaf, subleaf, cpuid(leaf, subleaf), &self.cpu);
        self.context.scratch.rax = found.eax.into();
        self.context.scratch.rbx = found.ebx.into();
        self.context.scratch.rcx = found.ecx.into();
        self.context.scratch.rdx = found.edx.into();
        self.vmcs.skip_instruction();
    }

    fn serve_io(&mut self, io: IoExit, guest: &mut Guest, clock: &Clock) -> Result<(), Crash> {
        if io.string.is_some() {
            return self.serve_string_io(io, guest, clock);
        }
        let Guest { devices, board, .. } = guest;
        let size = usize::from(io.size_bytes);
        let mut bytes = self.context.scratch.rax.to_le_bytes();
        if io.is_in {
            devices.port_read(io.port, size, &mut bytes[..size], clock.now(), board);
            let value = u64::from_le_bytes(bytes);
            // A read of 32 bits clears the upper half.
            self.context.scratch.rax = if size == 4 { value & 0xFFFF_FFFF } else { value };
        } else {
            devices.port_write(io.port, size, &bytes[..size], clock.now(), board);
        }
        self.vmcs.skip_instruction();
        Ok(())
    }

    /// Executes the instruction that touched what is not RAM.
    fn execute(&mut self, guest: &mut Guest, clock: &Clock) -> Result<(), Crash> {
        let Guest { devices, board, .. } = guest;
        let mut state = self.state()?;
        let physical_bits = u32::from(self.caps.widths.physical);
        let ram = board.ram;
        let mut bus = Bus { board, devices, now: clock.now() };
        let executed = execute(&mut state, physical_bits, &ram, &mut bus)?;
        self.context = vmx::hardware::GuestContext::new(&state);
        self.vmcs.write(field::GUEST_RSP, state.general.rsp)?;
        self.vmcs.write(field::GUEST_RIP, state.rip)?;
        self.vmcs.write(field::GUEST_RFLAGS, state.rflags)?;
        match executed {
            Executed::Completed => {
                // What the end of an instruction does besides moving RIP on.
                vmx::skip_instruction(&mut self.vmcs, 0)?;
                Ok(())
            }
            Executed::Repeating => Ok(()),
            Executed::Faulted(exception) => {
                if let Exception::PageFault(fault) = exception {
                    self.context.cr2 = fault.address.as_u64();
                }
                let (vector, error_code) = (exception.vector(), exception.error_code());
                self.raise(Event::Exception { vector, error_code })
            }
        }
    }

    fn serve_cr(
        &mut self,
        access: CrAccess,
        guest: &mut Guest,
        clock: &Clock,
    ) -> Result<(), Crash> {
        let old = vmx::read_guest_cr0(&self.vmcs)?;
        match access {
            CrAccess::MovTo { cr: 0, register } => {
                return self.write_cr0(self.register(register), guest);
            }
            CrAccess::Clts => return self.write_cr0(old & !cr0::TS, guest),
            CrAccess::Lmsw { source, .. } => {
                // It can set PE but not clear it.
                let low = u64::from(source & 0xF);
                return self.write_cr0(old & !0xE | low, guest);
            }
            CrAccess::MovTo { cr: 4, register } => {
                return self.write_cr4(self.register(register), guest);
            }
            CrAccess::MovTo { cr: 8, register } => {
                if guest.board.apic.write_cr8(self.register(register)).is_err() {
                    return self.raise(Event::GENERAL_PROTECTION);
                }
                guest.board.apic.advance(clock.now());
            }
            CrAccess::MovFrom { cr: 8, register } => {
                self.set_register(register, guest.board.apic.cr8());
            }
            CrAccess::MovTo { .. } | CrAccess::MovFrom { .. } => {
                return Err(Crash::Exit(Exit::CrAccess(access)));
            }
        }
        self.vmcs.skip_instruction();
        Ok(())
    }

    /// # Source
    /// Intel SDM Vol. 2B, "MOV—Move to/from Control Registers", exceptions.
    fn write_cr0(&mut self, value: u64, guest: &Guest) -> Result<(), Crash> {
        let state = self.state()?;
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
            return self.raise(Event::GENERAL_PROTECTION);
        }
        vmx::write_guest_cr0(&mut self.vmcs, &self.caps, value & !RESERVED_CR0)?;
        self.reload_pdptes(&guest.board)?;
        self.vmcs.skip_instruction();
        Ok(())
    }

    fn write_cr4(&mut self, value: u64, guest: &Guest) -> Result<(), Crash> {
        let state = self.state()?;
        let is_long = state.efer & efer::LMA != 0;
        // The guest's CPUID has none of these.
        let hidden = cr4::VMXE | cr4::LA57 | cr4::PKE | cr4::CET | cr4::PKS | 1 << 14;
        let is_wrong = value & !(self.caps.cr4_fixed1 & !hidden) != 0
            || (is_long && value & cr4::PAE == 0)
            || (value & cr4::PCIDE != 0 && !is_long);
        if is_wrong {
            return self.raise(Event::GENERAL_PROTECTION);
        }
        vmx::write_guest_cr4(&mut self.vmcs, &self.caps, value)?;
        self.reload_pdptes(&guest.board)?;
        self.vmcs.skip_instruction();
        Ok(())
    }

    /// # Source
    /// Intel SDM Vol. 2D, "XSETBV—Set Extended Control Register".
    fn serve_xsetbv(&mut self) -> Result<(), Crash> {
        const X87: u64 = 1 << 0;
        const SSE: u64 = 1 << 1;
        const AVX: u64 = 1 << 2;
        const BOUND: u64 = 3 << 3;
        const AVX512: u64 = 7 << 5;
        let value = self.context.scratch.rdx << 32 | self.context.scratch.rax & 0xFFFF_FFFF;
        let listed = cpuid(0xD, 0);
        let allowed =
            (u64::from(listed.edx) << 32 | u64::from(listed.eax)) & (X87 | SSE | AVX | AVX512);
        let together = |set: u64| value & set == 0 || value & set == set;
        let [index, _] = halves(self.context.scratch.rcx);
        let is_wrong = index != 0
            || value & X87 == 0
            || value & !allowed != 0
            || (value & AVX != 0 && value & SSE == 0)
            || (value & AVX512 != 0 && value & AVX == 0)
            || !together(AVX512)
            || !together(BOUND)
            || self.state()?.ss.access.dpl() != 0;
        if is_wrong {
            return self.raise(Event::GENERAL_PROTECTION);
        }
        // SAFETY: the guest could execute it, so CR4.OSXSAVE of the CPU is set in the guest, and
        // `enable_xsave` set it here; the checks above are the SDM's.
        unsafe { xsetbv(value) };
        self.vmcs.skip_instruction();
        Ok(())
    }
}

/// Bits that MOV to CR0 drops.
const RESERVED_CR0: u64 = 0x1FFA_FFC0;
