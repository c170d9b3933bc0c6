//! INS and OUTS.

use guest_state::{
    Access, AccessKind, Gva, PagingState, Privilege, VcpuState, WalkError, rflags,
    translate_and_mark,
};
use machine::MemoryBus;
use vmx::hardware::{CurrentVmcs, GuestContext};
use vmx::{Event, IoExit};

use crate::board::Bus;
use crate::crash::Crash;
use crate::exits::{register, set_register};
use crate::guest::Guest;
use crate::session::Session;

/// How many elements are moved before interrupts are looked at again.
const MOST_ELEMENTS: u64 = 256;

const RCX: u8 = 1;
const RSI: u8 = 6;
const RDI: u8 = 7;

impl Session<'_> {
    /// Moves elements between a port and memory, as many as there are, up to a limit.
    ///
    /// The processor has checked segment and privileges for the first element; what a page fault
    /// would stop is found here.
    pub(crate) fn serve_string_io(
        &mut self,
        io: IoExit,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        let Some(string) = io.string else { return Ok(()) };
        let state = self.cpu.state(vmcs, context)?;
        let mask = match string.info.address_bits() {
            16 => 0xFFFF,
            32 => 0xFFFF_FFFF,
            _ => u64::MAX,
        };
        let index = if io.is_in { RDI } else { RSI };
        let size = u64::from(io.size_bytes);
        let step = if state.rflags & rflags::DF != 0 { size.wrapping_neg() } else { size };
        let count = if string.is_repeated { register(RCX, vmcs, context) & mask } else { 1 };
        let mut linear = string.linear;
        let mut done = 0;
        let mut fault = None;
        while done < count.min(MOST_ELEMENTS) {
            match self.move_element(io, linear, &state) {
                Ok(()) => {}
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
            linear = Gva::new(linear.as_u64().wrapping_add(step));
            add(index, step, mask, vmcs, context);
            if string.is_repeated {
                add(RCX, u64::MAX, mask, vmcs, context);
            }
            done += 1;
        }
        match fault {
            Some(WalkError::PageFault(fault)) => {
                context.cr2 = fault.address.as_u64();
                self.cpu.raise(Event::exception_with(14, fault.error_code))
            }
            Some(WalkError::NonCanonical(_)) => self.cpu.raise(Event::GENERAL_PROTECTION),
            Some(WalkError::Table(error)) => Err(Crash::PageTables(error)),
            // The instruction is executed again for the rest.
            _ if done < count => Ok(()),
            _ => {
                vmcs.skip_instruction();
                Ok(())
            }
        }
    }

    fn move_element(
        &mut self,
        io: IoExit,
        linear: Gva,
        state: &VcpuState,
    ) -> Result<(), WalkError> {
        let paging = PagingState::new(state, u32::from(self.cpu.caps.widths.physical));
        let is_user = state.ss.access.dpl() == 3;
        let access = Access {
            kind: if io.is_in { AccessKind::Write } else { AccessKind::Read },
            privilege: if is_user { Privilege::User } else { Privilege::Supervisor },
        };
        let size = usize::from(io.size_bytes);
        let now = self.clock.now();
        let Guest { devices, board, .. } = &mut *self.guest;
        let ram = board.ram;
        let mut gpas = [None; 4];
        for (offset, gpa) in (0..).zip(gpas.iter_mut().take(size)) {
            let at = Gva::new(linear.as_u64().wrapping_add(offset));
            *gpa = Some(translate_and_mark(&ram, &paging, at, access)?.gpa);
        }
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..size];
        let gpas = gpas.into_iter().flatten();
        if io.is_in {
            devices.port_read(io.port, size, bytes, now, board);
            let mut bus = Bus { board, devices, now };
            gpas.zip(bytes.iter()).for_each(|(gpa, byte)| bus.write(gpa, &[*byte]));
        } else {
            let mut bus = Bus { board, devices, now };
            gpas.zip(bytes.iter_mut())
                .for_each(|(gpa, byte)| bus.read(gpa, core::slice::from_mut(byte)));
            devices.port_write(io.port, size, bytes, now, board);
        }
        Ok(())
    }
}

/// Adds to a register within the address size; the rest of it stays, but for 32 bits, which
/// clear the upper half.
fn add(number: u8, value: u64, mask: u64, vmcs: &mut CurrentVmcs<'_>, context: &mut GuestContext) {
    let old = register(number, vmcs, context);
    let new = old.wrapping_add(value) & mask;
    let kept = if mask == 0xFFFF { old & !mask } else { 0 };
    set_register(number, kept | new, vmcs, context);
}
