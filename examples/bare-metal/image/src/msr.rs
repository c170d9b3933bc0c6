//! MSRs whose accesses exit.

use guest_state::{FIXED_MTRRS, Mtrrs, cr0, efer};
use machine::{LocalApic, Xen};
use vmx::hardware::{CurrentVmcs, ScratchRegisters};
use vmx::{Event, VmcsAccess, field};

use crate::crash::Crash;
use crate::guest::Guest;
use crate::hardware::{halves, rdtsc};
use crate::session::Session;

/// The MSRs that are known here, by number.
mod number {
    pub(super) const PLATFORM_ID: u32 = 0x17;
    pub(super) const TSC: u32 = 0x10;
    pub(super) const APIC_BASE: u32 = 0x1B;
    pub(super) const FEATURE_CONTROL: u32 = 0x3A;
    pub(super) const MICROCODE: u32 = 0x8B;
    pub(super) const MICROCODE_UPDATE: u32 = 0x79;
    pub(super) const MTRR_CAP: u32 = 0xFE;
    pub(super) const MISC_ENABLE: u32 = 0x1A0;
    pub(super) const DEBUGCTL: u32 = 0x1D9;
    pub(super) const FIRST_VARIABLE_MTRR: u32 = 0x200;
    pub(super) const LAST_VARIABLE_MTRR: u32 = 0x20F;
    pub(super) const PAT: u32 = 0x277;
    pub(super) const MTRR_DEFAULT: u32 = 0x2FF;
    pub(super) const TSC_DEADLINE: u32 = 0x6E0;
    pub(super) const EFER: u32 = 0xC000_0080;
}

/// Eight variable ranges, fixed ranges, write-combining.
const MTRR_CAPABILITIES: u64 = 8 | 1 << 8 | 1 << 10;
/// Fast strings; no branch trace store, no precise sampling.
const MISC_ENABLE: u64 = 1 | 1 << 11 | 1 << 12;
/// Locked, without VMX.
const FEATURE_CONTROL: u64 = 1;

/// An access that the CPU answers with #GP.
struct Refused;

impl Session<'_> {
    pub(crate) fn serve_rdmsr(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &mut ScratchRegisters,
    ) -> Result<(), Crash> {
        let [index, _] = halves(registers.rcx);
        match self.read_msr(index, vmcs) {
            Ok(value) => {
                let [low, high] = halves(value);
                registers.rax = low.into();
                registers.rdx = high.into();
                vmcs.skip_instruction();
                Ok(())
            }
            Err(Refused) => self.cpu.raise(Event::GENERAL_PROTECTION),
        }
    }

    pub(crate) fn serve_wrmsr(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &ScratchRegisters,
    ) -> Result<(), Crash> {
        let [index, _] = halves(registers.rcx);
        let value = registers.rdx << 32 | registers.rax & 0xFFFF_FFFF;
        match self.write_msr(index, value, vmcs) {
            Ok(()) => {
                vmcs.skip_instruction();
                Ok(())
            }
            Err(Refused) => self.cpu.raise(Event::GENERAL_PROTECTION),
        }
    }

    fn read_msr(&mut self, index: u32, vmcs: &CurrentVmcs<'_>) -> Result<u64, Refused> {
        let now = self.clock.now();
        let apic = &mut self.guest.board.apic;
        Ok(match index {
            number::TSC => rdtsc().wrapping_add(vmcs.get(field::TSC_OFFSET)),
            number::APIC_BASE => apic.base(),
            number::FEATURE_CONTROL => FEATURE_CONTROL,
            number::PLATFORM_ID | number::MICROCODE => 0,
            number::MTRR_CAP => MTRR_CAPABILITIES,
            number::MISC_ENABLE => MISC_ENABLE,
            number::DEBUGCTL => vmcs.get(field::GUEST_DEBUGCTL),
            number::PAT => vmcs.read(field::GUEST_PAT).map_err(|_| Refused)?,
            number::EFER => vmcs.read(field::GUEST_EFER).map_err(|_| Refused)?,
            number::TSC_DEADLINE => apic.tsc_deadline(now),
            LocalApic::FIRST_MSR..=LocalApic::LAST_MSR => {
                apic.read_msr(index, now).map_err(|_| Refused)?
            }
            _ => *mtrr(&mut self.cpu.msrs.mtrrs, index).ok_or(Refused)?,
        })
    }

    fn write_msr(
        &mut self,
        index: u32,
        value: u64,
        vmcs: &mut CurrentVmcs<'_>,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        let Guest { devices, board, .. } = &mut *self.guest;
        match index {
            number::TSC => {
                vmcs.set(field::TSC_OFFSET, value.wrapping_sub(rdtsc()));
                board.apic.set_tsc(value, now);
            }
            number::APIC_BASE => board.apic.write_base(value, now).map_err(|_| Refused)?,
            // There is no microcode to update, and nothing to switch.
            number::MICROCODE | number::MICROCODE_UPDATE | number::MISC_ENABLE => {}
            number::DEBUGCTL => {
                // Single-stepping on branches is all that there is.
                if value & !0x3 != 0 {
                    return Err(Refused);
                }
                vmcs.set(field::GUEST_DEBUGCTL, value);
            }
            number::PAT => {
                let is_type = |byte: u8| matches!(byte, 0 | 1 | 4 | 5 | 6 | 7);
                if !value.to_le_bytes().into_iter().all(is_type) {
                    return Err(Refused);
                }
                vmcs.write(field::GUEST_PAT, value).map_err(|_| Refused)?;
            }
            number::EFER => write_efer(value, vmcs)?,
            number::TSC_DEADLINE => {
                let tsc = rdtsc().wrapping_add(vmcs.get(field::TSC_OFFSET));
                board.apic.write_tsc_deadline(value, tsc, now);
            }
            LocalApic::FIRST_MSR..=LocalApic::LAST_MSR => {
                let effect = board.apic.write_msr(index, value, now).map_err(|_| Refused)?;
                board.apic_effect(effect, devices);
            }
            Xen::HYPERCALL_MSR if devices.write_hypercall_page(value, board) => {}
            number::MTRR_CAP => return Err(Refused),
            _ => *mtrr(&mut self.cpu.msrs.mtrrs, index).ok_or(Refused)? = value,
        }
        Ok(())
    }
}

/// # Source
/// Intel SDM Vol. 4, "IA32_EFER"; Vol. 3A, "Initializing IA-32e Mode".
fn write_efer(value: u64, vmcs: &mut CurrentVmcs<'_>) -> Result<(), Refused> {
    let old = vmcs.read(field::GUEST_EFER).map_err(|_| Refused)?;
    let known = efer::SCE | efer::LME | efer::LMA | efer::NXE;
    let is_paging = vmcs.get(field::GUEST_CR0) & cr0::PG != 0;
    if value & !known != 0 || (is_paging && (value ^ old) & efer::LME != 0) {
        return Err(Refused);
    }
    let new = value & !efer::LMA | old & efer::LMA;
    vmx::write_guest_efer(vmcs, new).map_err(|_| Refused)
}

/// Returns the memory type range register of this number.
fn mtrr(mtrrs: &mut Mtrrs, index: u32) -> Option<&mut u64> {
    match index {
        number::MTRR_DEFAULT => Some(&mut mtrrs.default_type),
        number::FIRST_VARIABLE_MTRR..=number::LAST_VARIABLE_MTRR => {
            let at = index - number::FIRST_VARIABLE_MTRR;
            let range = mtrrs.variable.get_mut(usize::try_from(at / 2).ok()?)?;
            Some(if at.is_multiple_of(2) { &mut range.base } else { &mut range.mask })
        }
        _ => {
            let at = FIXED_MTRRS.iter().position(|(_, number, ..)| *number == index)?;
            mtrrs.fixed.get_mut(at)
        }
    }
}
