//! INS and OUTS.

use guest_state::{
    Access, AccessKind, Gva, PagingState, Privilege, VcpuState, WalkError, rflags,
    translate_and_mark,
};
use machine::MemoryBus;
use vmx::{Event, IoExit};

use crate::board::Bus;
use crate::clock::Clock;
use crate::crash::Crash;
use crate::guest::Guest;
use crate::vcpu::Vcpu;

/// How many elements are moved before interrupts are looked at again.
const MOST_ELEMENTS: u64 = 256;

const RCX: u8 = 1;
const RSI: u8 = 6;
const RDI: u8 = 7;

impl Vcpu<'_> {
    /// Moves elements between a port and memory, as many as there are, up to a limit.
    ///
    /// The processor has checked segment and privileges for the first element; what a page fault
    /// would stop is found here.
    pub(crate) fn serve_string_io(
        &mut self,
        io: IoExit,
        guest: &mut Guest,
        clock: &Clock,
    ) -> Result<(), Crash> {
        let Some(string) = io.string else { return Ok(()) };
        let state = self.state()?;
        let mask = match string.info.address_bits() {
            16 => 0xFFFF,
            32 => 0xFFFF_FFFF,
            _ => u64::MAX,
        };
        let index = if io.is_in { RDI } else { RSI };
        let size = u64::from(io.size_bytes);
        let step = if state.rflags & rflags::DF != 0 { size.wrapping_neg() } else { size };
        let count = if string.is_repeated { self.register(RCX) & mask } else { 1 };
        let mut linear = string.linear;
        let mut done = 0;
        let mut fault = None;
        while done < count.min(MOST_ELEMENTS) {
            match self.move_element(io, linear, &state, guest, clock) {
                Ok(()) => {}
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
            linear = Gva::new(linear.as_u64().wrapping_add(step));
            self.add(index, step, mask);
            if string.is_repeated {
                self.add(RCX, u64::MAX, mask);
            }
            done += 1;
        }
        match fault {
            Some(WalkError::PageFault(fault)) => {
                self.context.cr2 = fault.address.as_u64();
                self.raise(Event::exception_with(14, fault.error_code))
            }
            Some(WalkError::NonCanonical(_)) => self.raise(Event::GENERAL_PROTECTION),
            Some(WalkError::Table(error)) => Err(Crash::PageTables(error)),
            // The instruction is executed again for the rest.
            _ if done < count => Ok(()),
            _ => {
                self.vmcs.skip_instruction();
                Ok(())
            }
        }
    }

    fn move_element(
        &mut self,
        io: IoExit,
        linear: Gva,
        state: &VcpuState,
        guest: &mut Guest,
        clock: &Clock,
    ) -> Result<(), WalkError> {
        let paging = PagingState::new(state, u32::from(self.caps.widths.physical));
        let is_user = state.ss.access.dpl() == 3;
        let access = Access {
            kind: if io.is_in { AccessKind::Write } else { AccessKind::Read },
            privilege: if is_user { Privilege::User } else { Privilege::Supervisor },
        };
        let size = usize::from(io.size_bytes);
        let Guest { devices, board, .. } = guest;
        let ram = board.ram;
        let mut gpas = [None; 4];
        for (offset, gpa) in (0..).zip(gpas.iter_mut().take(size)) {
            let at = Gva::new(linear.as_u64().wrapping_add(offset));
            *gpa = Some(translate_and_mark(&ram, &paging, at, access)?.gpa);
        }
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..size];
        let gpas = gpas.into_iter().flatten();
        let now = clock.now();
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

    /// Adds to a register within the address size; the rest of it stays, but for 32 bits, which
    /// clear the upper half.
    fn add(&mut self, register: u8, value: u64, mask: u64) {
        let old = self.register(register);
        let new = old.wrapping_add(value) & mask;
        let kept = if mask == 0xFFFF { old & !mask } else { 0 };
        self.set_register(register, kept | new);
    }
}
