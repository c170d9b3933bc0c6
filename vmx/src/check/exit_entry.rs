//! Rules on the VM-exit and VM-entry control fields, the event to inject included.

use guest_state::cr0;

use super::view::{Stop, Verdict, View, each};
use super::{Outcome, rule_table};
use crate::caps::ControlSet;
use crate::{
    EntryControls, EventKind, ExitControls, InterruptionInfo, PinBasedControls, PrimaryControls,
    ReadWrite, SecondaryExitControls, VmcsField, field,
};

/// CR4.FRED.
pub(super) const CR4_FRED: u64 = 1 << 32;
/// `IA32_VMX_BASIC`: events can be injected as nested exceptions.
const BASIC_NESTED_EXCEPTION: u64 = 1 << 58;
/// The exceptions that have an error code. Whether 21, #CP, is one depends on the model.
const WITH_ERROR_CODE: u32 = 1 << 8 | 0x1F << 10 | 1 << 17;
const CONTROL_PROTECTION: u8 = 21;

rule_table! {
    EXIT: Exit, "VM-Exit Control Fields", Outcome::InvalidControls;

    1 "reserved bits of the primary exit controls are as IA32_VMX_(TRUE_)EXIT_CTLS says",
    |v| v.allowed::<ExitControls, _, _>(field::EXIT_CONTROLS);

    2 "reserved bits of the secondary exit controls are 0, as IA32_VMX_EXIT_CTLS2 says",
    |v| if v.exit(ExitControls::ACTIVATE_SECONDARY_CONTROLS)? {
        v.allowed::<SecondaryExitControls, _, _>(field::SECONDARY_EXIT_CONTROLS)
    } else {
        Ok(())
    };

    3 "saving the VMX-preemption timer needs the timer",
    |v| if v.pin(PinBasedControls::ACTIVATE_PREEMPTION_TIMER)? {
        Ok(())
    } else {
        v.zero(field::EXIT_CONTROLS, ExitControls::SAVE_PREEMPTION_TIMER.as_u64())
    };

    4 "the exit's MSR-store list is 16-byte aligned",
    |v| aligned_list(v, field::EXIT_MSR_STORE_ADDRESS, field::EXIT_MSR_STORE_COUNT);

    5 "the exit's MSR-store list is within the physical addresses",
    |v| list_within(v, field::EXIT_MSR_STORE_ADDRESS, field::EXIT_MSR_STORE_COUNT);

    6 "the exit's MSR-load list is 16-byte aligned",
    |v| aligned_list(v, field::EXIT_MSR_LOAD_ADDRESS, field::EXIT_MSR_LOAD_COUNT);

    7 "the exit's MSR-load list is within the physical addresses",
    |v| list_within(v, field::EXIT_MSR_LOAD_ADDRESS, field::EXIT_MSR_LOAD_COUNT);
}

rule_table! {
    ENTRY: Entry, "VM-Entry Control Fields", Outcome::InvalidControls;

    1 "reserved bits of the entry controls are as IA32_VMX_(TRUE_)ENTRY_CTLS says",
    |v| v.allowed::<EntryControls, _, _>(field::ENTRY_CONTROLS);

    2 "the event's kind is not 1, and 7 only with the monitor trap flag or FRED",
    |v| injected(v, |v, event| match event.kind() {
        EventKind::Reserved => v.broken(field::ENTRY_INTERRUPTION_INFO, 7 << 8),
        EventKind::Other => {
            let caps = v.caps()?;
            let known = caps.allows(PrimaryControls::MONITOR_TRAP_FLAG)
                || caps.allows(EntryControls::LOAD_FRED);
            v.demand(known, field::ENTRY_INTERRUPTION_INFO)
        }
        _ => Ok(()),
    });

    3 "an NMI has vector 2",
    |v| injected(v, |v, event| {
        let holds = event.kind() != EventKind::Nmi || event.vector() == 2;
        v.demand(holds, field::ENTRY_INTERRUPTION_INFO)
    });

    4 "a hardware exception has a vector of at most 31",
    |v| injected(v, |v, event| {
        let holds = event.kind() != EventKind::HardwareException || event.vector() <= 31;
        v.demand(holds, field::ENTRY_INTERRUPTION_INFO)
    });

    5 "an event of kind 7 has vector 0, or 1 or 2 for a FRED guest",
    |v| injected(v, |v, event| match (event.kind(), event.vector()) {
        (EventKind::Other, 0) => Ok(()),
        (EventKind::Other, 1 | 2) => {
            let fred = v.get(field::GUEST_CR4)? & CR4_FRED != 0;
            v.agree(fred, field::ENTRY_INTERRUPTION_INFO, field::GUEST_CR4)
        }
        (EventKind::Other, _) => v.broken(field::ENTRY_INTERRUPTION_INFO, 0),
        _ => Ok(()),
    });

    6 "no error code is delivered to an unrestricted guest in real mode",
    |v| injected(v, |v, event| {
        if !event.has_error_code() || !is_real_mode(v)? {
            return Ok(());
        }
        v.agree(false, field::ENTRY_INTERRUPTION_INFO, field::GUEST_CR0)
    });

    7 "only a hardware exception has an error code",
    |v| injected(v, |v, event| {
        let holds = !event.has_error_code() || event.kind() == EventKind::HardwareException;
        v.demand(holds, field::ENTRY_INTERRUPTION_INFO)
    });

    8 "exactly the exceptions 8, 10 to 14 and 17 have an error code, unless IA32_VMX_BASIC[56]",
    |v| injected(v, |v, event| {
        if event.kind() != EventKind::HardwareException || is_real_mode(v)? {
            return Ok(());
        }
        if WITH_ERROR_CODE >> (event.vector() & 31) & 1 == u32::from(event.has_error_code()) {
            return Ok(());
        }
        if v.caps()?.error_codes_are_free() {
            return Ok(());
        }
        if event.vector() == CONTROL_PROTECTION {
            return Err(Stop::Undecidable("whether #CP (21) has an error code depends on the model"));
        }
        v.broken(field::ENTRY_INTERRUPTION_INFO, 1 << 11)
    });

    9 "reserved bits 30:12 of the event are 0; bit 13 needs a hardware exception and \
        IA32_VMX_BASIC[58]",
    |v| injected(v, |v, event| {
        v.zero(field::ENTRY_INTERRUPTION_INFO, 0x7FFF_D000)?;
        if event.0 & 1 << 13 == 0 {
            return Ok(());
        }
        let nested = event.kind() == EventKind::HardwareException
            && v.caps()?.basic & BASIC_NESTED_EXCEPTION != 0;
        v.demand(nested, field::ENTRY_INTERRUPTION_INFO)
    });

    10 "bits 31:16 of an error code are 0",
    |v| injected(v, |v, event| match event.has_error_code() {
        true => v.zero(field::ENTRY_EXCEPTION_ERROR_CODE, 0xFFFF_0000),
        false => Ok(()),
    });

    11 "a software event's instruction length is 1 to 15, or 0 where IA32_VMX_MISC[30] says so",
    |v| injected(v, |v, event| {
        let counts = event.kind().is_software()
            || (event.kind() == EventKind::Other && matches!(event.vector(), 1 | 2));
        if !counts {
            return Ok(());
        }
        let holds = match v.get(field::ENTRY_INSTRUCTION_LENGTH)? {
            0 => v.caps()?.allows_zero_length_injection(),
            length => length <= 15,
        };
        v.demand(holds, field::ENTRY_INSTRUCTION_LENGTH)
    });

    12 "the entry's MSR-load list is 16-byte aligned",
    |v| aligned_list(v, field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT);

    13 "the entry's MSR-load list is within the physical addresses",
    |v| list_within(v, field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT);

    14 "outside of SMM there is no entry to SMM",
    |v| if v.entry(EntryControls::ENTRY_TO_SMM)? {
        let in_smm = v.in_smm()?;
        v.demand(in_smm, field::ENTRY_CONTROLS)
    } else {
        Ok(())
    };

    15 "outside of SMM the dual-monitor treatment is not deactivated",
    |v| if v.entry(EntryControls::DEACTIVATE_DUAL_MONITOR)? {
        let in_smm = v.in_smm()?;
        v.demand(in_smm, field::ENTRY_CONTROLS)
    } else {
        Ok(())
    };

    16 "entry to SMM and deactivate dual-monitor treatment are not both 1",
    |v| {
        let both = v.entry(EntryControls::ENTRY_TO_SMM)?
            && v.entry(EntryControls::DEACTIVATE_DUAL_MONITOR)?;
        v.demand(!both, field::ENTRY_CONTROLS)
    };
}

/// Applies a rule on the event to inject, if there is one.
fn injected(v: &View<'_>, rule: impl Fn(&View<'_>, InterruptionInfo) -> Verdict) -> Verdict {
    match v.injected()? {
        Some(event) => rule(v, event),
        None => Ok(()),
    }
}

/// Tells whether the guest is in real mode, which only an unrestricted one can be.
fn is_real_mode(v: &View<'_>) -> Result<bool, Stop> {
    Ok(v.is_unrestricted()? && v.get(field::GUEST_CR0)? & cr0::PE == 0)
}

fn aligned_list(
    v: &View<'_>,
    address: VmcsField<u64, ReadWrite>,
    count: VmcsField<u32, ReadWrite>,
) -> Verdict {
    if v.get(count)? == 0 { Ok(()) } else { v.zero(address, 0xF) }
}

fn list_within(
    v: &View<'_>,
    address: VmcsField<u64, ReadWrite>,
    count: VmcsField<u32, ReadWrite>,
) -> Verdict {
    let entries = u128::from(v.get(count)?);
    if entries == 0 {
        return Ok(());
    }
    let first = u128::from(v.get(address)?);
    each([v.physical_value(address, first), v.physical_value(address, first + 16 * entries - 1)])
}
