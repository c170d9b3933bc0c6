//! What this machine's KVM can do for a debugger, found out by trying.
//!
//! KVM says of itself only that it has the call. A KVM that interprets the guest may know debug
//! registers and no INT3; one inside of an interpreter it may be the other way round.

use std::sync::Arc;

use guest_state::{Gpa, GpaRange, GuestMemory, VcpuState};
use kvm_bindings::{
    KVM_CAP_SET_GUEST_DEBUG2, KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP,
    KVM_GUESTDBG_USE_HW_BP, KVM_GUESTDBG_USE_SW_BP, kvm_debug_exit_arch, kvm_guest_debug,
};
use kvm_ioctls::{Cap, VcpuExit};

use crate::cpu::BREAKPOINT_EXCEPTION;
use crate::failure::Failure;
use crate::power::Host;
use crate::registers;
use crate::sys::{Behind, Exit, HostMemory, Vcpu};

/// What works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Support {
    /// Stepping by one instruction.
    pub(super) steps: bool,
    /// Breakpoints in debug registers.
    pub(super) registers: bool,
    /// Watchpoints in debug registers.
    pub(super) watches: bool,
    /// INT3 in the place of instructions.
    pub(super) int3: bool,
    /// Keeping interrupts off while a CPU steps (Linux 5.16).
    pub(super) blocks_interrupts: bool,
}

/// The exception of steps and debug registers.
const DEBUG_EXCEPTION: u32 = 1;
/// DR7: DR0 on, for an instruction, or for a byte that is written.
const DR0_EXECUTES: u64 = 0x402;
const DR0_WRITES: u64 = 0x1_0402;

/// Where the program that is tried stands: two times NOP, then `mov [0x300], al`, INT3.
const CODE: u64 = 0x100;
const PROGRAM: [u8; 6] = [0x90, 0x90, 0xA2, 0x00, 0x03, 0xCC];
const STORE: u64 = CODE + 2;
const BREAK: u64 = CODE + 5;
const STORED: u64 = 0x300;
/// Where it comes to if nothing stops it, by the interrupt table: `out 0x80, al`, which is an exit.
const MISSED: u64 = 0x200;
const MISSED_PROGRAM: [u8; 2] = [0xE6, 0x80];
/// The entries of exceptions 1 and 3 in the interrupt table of real mode.
const ENTRIES: [u64; 2] = [4, 12];
const MEMORY_BYTES: u64 = 0x1_0000;

impl Support {
    /// Tries everything on a machine of its own.
    pub(super) fn of(host: &Host) -> Result<Self, Failure> {
        let end = Gpa::new(MEMORY_BYTES);
        let memory = HostMemory::new(end, None).map_err(Failure::host("allocate memory"))?;
        let [low, high, ..] = MISSED.to_le_bytes();
        let entries = ENTRIES.map(|at| (at, vec![low, high, 0, 0]));
        let programs = [(CODE, PROGRAM.to_vec()), (MISSED, MISSED_PROGRAM.to_vec())];
        for (at, bytes) in entries.into_iter().chain(programs) {
            memory
                .ram
                .write(Gpa::new(at), &bytes)
                .map_err(|error| Failure::Image(error.to_string()))?;
        }
        let vm = host.create_vm(Arc::new(memory), false)?;
        if !vm.fd().check_extension(Cap::SetGuestDebug) {
            return Ok(Self::default());
        }
        let flags = vm.fd().check_extension_raw(KVM_CAP_SET_GUEST_DEBUG2.into());
        let range = GpaRange::from_bounds(Gpa::ZERO, end).unwrap_or_default();
        vm.set_slot(0, range, Behind::Ram).map_err(Failure::host("set guest memory"))?;
        let mut vcpu = vm.create_vcpu(0).map_err(Failure::kvm("create a CPU"))?;

        let stops = |vcpu: &mut Vcpu, rip, control, dr: (u64, u64), exception, stop| {
            let mut debug =
                kvm_guest_debug { control: control | KVM_GUESTDBG_ENABLE, ..Default::default() };
            (debug.arch.debugreg[0], debug.arch.debugreg[7]) = dr;
            let stopped = try_to_stop(vcpu, rip, &debug)?;
            Ok(stopped.is_some_and(|at| at.exception == exception && at.pc == stop))
        };
        let steps =
            stops(&mut vcpu, CODE, KVM_GUESTDBG_SINGLESTEP, (0, 0), DEBUG_EXCEPTION, CODE + 1)?;
        let registers = stops(
            &mut vcpu,
            CODE,
            KVM_GUESTDBG_USE_HW_BP,
            (CODE + 1, DR0_EXECUTES),
            DEBUG_EXCEPTION,
            CODE + 1,
        )?;
        let watches = stops(
            &mut vcpu,
            STORE,
            KVM_GUESTDBG_USE_HW_BP,
            (STORED, DR0_WRITES),
            DEBUG_EXCEPTION,
            BREAK,
        )?;
        let int3 =
            stops(&mut vcpu, STORE, KVM_GUESTDBG_USE_SW_BP, (0, 0), BREAKPOINT_EXCEPTION, BREAK)?;
        let blocks_interrupts =
            u32::try_from(flags).is_ok_and(|flags| flags & KVM_GUESTDBG_BLOCKIRQ != 0);
        Ok(Self { steps, registers, watches, int3, blocks_interrupts })
    }

    /// Says what is missing without which a debugger is of no use.
    pub(super) const fn lack(self) -> Option<&'static str> {
        match self {
            Self { steps: false, .. } => {
                Some("this machine's KVM can't run a guest by single instructions: no --gdb")
            }
            Self { registers: false, int3: false, .. } => {
                Some("this machine's KVM stops at no breakpoint: no --gdb")
            }
            _ => None,
        }
    }
}

/// Runs from `rip` on, and returns where that was stopped for a debugger, if it was.
fn try_to_stop(
    vcpu: &mut Vcpu,
    rip: u64,
    debug: &kvm_guest_debug,
) -> Result<Option<kvm_debug_exit_arch>, Failure> {
    let mut state = VcpuState::reset(0);
    (state.cs.selector, state.cs.base) = (0, 0);
    state.rip = rip;
    state.general.rsp = MISSED;
    registers::load(vcpu.fd(), &state)?;
    vcpu.fd().set_guest_debug(debug).map_err(Failure::kvm("set up for a debugger"))?;
    Ok(match vcpu.run() {
        Ok(Exit::Other(VcpuExit::Debug(at))) => Some(at),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_neither_step_nor_break_is_refused_in_words() {
        let all = Support {
            steps: true,
            registers: true,
            watches: true,
            int3: true,
            blocks_interrupts: true,
        };
        assert_eq!(all.lack(), None);
        assert_eq!(Support { registers: false, watches: false, ..all }.lack(), None);
        assert_eq!(Support { int3: false, blocks_interrupts: false, ..all }.lack(), None);
        let lack = |support: Support| support.lack().unwrap();
        assert!(lack(Support { steps: false, ..all }).contains("single instructions"));
        assert!(lack(Support { registers: false, int3: false, ..all }).contains("no breakpoint"));
    }
}
