//! Rules on the guest's non-register state and PDPTEs.

use guest_state::{AccessRights, cr0, cr4, rflags};

use super::view::{Stop, Verdict, View, each};
use super::{Fault, Outcome, rule_table};
use crate::encoding::FieldWidth;
use crate::skip::DEBUGCTL_BTF;
use crate::{
    EntryControls, EventKind, Interruptibility, InterruptionInfo, PendingDebug, PinBasedControls,
    SecondaryControls, field,
};

const ACTIVE: u64 = 0;
const HLT: u64 = 1;
const SHUTDOWN: u64 = 2;
const WAIT_FOR_SIPI: u64 = 3;
const MACHINE_CHECK: u8 = 18;

const STI: u64 = 1 << 0;
const MOV_SS: u64 = 1 << 1;
const SMI: u64 = 1 << 2;
const NMI: u64 = 1 << 3;
const ENCLAVE: u64 = 1 << 4;

/// Reserved bits of the pending debug exceptions, but bit 11, which some processors have.
const PENDING_RESERVED: u64 = !0x1_FFFF | 1 << 15 | 1 << 13 | 0x7F << 4;
/// What must be 0 with RTM.
const PENDING_NOT_WITH_RTM: u64 = !0x1_FFFF | 7 << 13 | 0xFFF;
/// There is no VMCS to link to.
const NO_LINK: u64 = u64::MAX;

/// A PDPTE is present, and what is reserved in one that is, but for the bits above the physical
/// addresses.
const PDPTE_PRESENT: u64 = 1;
const PDPTE_RESERVED: u64 = 0xF << 5 | 3 << 1;

const _: () = assert!(
    STI | MOV_SS
        == (Interruptibility::BLOCKING_BY_STI.bits() | Interruptibility::BLOCKING_BY_MOV_SS.bits())
            as u64
);

rule_table! {
    NON_REGISTER: NonRegister, "Checks on Guest Non-Register State", Outcome::GuestState;

    1 "the activity state is one that IA32_VMX_MISC lists",
    |v| {
        let state = v.get(field::GUEST_ACTIVITY_STATE)?;
        let number = <u32 as FieldWidth>::from_raw(state);
        let holds = state == ACTIVE || (state <= WAIT_FOR_SIPI && v.caps()?.allows_activity(number));
        v.demand(holds, field::GUEST_ACTIVITY_STATE)
    };

    2 "a guest that is in HLT has DPL 0 of SS",
    |v| {
        if v.get(field::GUEST_ACTIVITY_STATE)? != HLT {
            return Ok(());
        }
        let access = <u32 as FieldWidth>::from_raw(v.get(field::GUEST_SS_ACCESS_RIGHTS)?);
        let holds = AccessRights(access).dpl() == 0;
        v.agree(holds, field::GUEST_ACTIVITY_STATE, field::GUEST_SS_ACCESS_RIGHTS)
    };

    3 "a guest with blocking by STI or MOV SS is active",
    |v| {
        let holds = blocking(v)? & (STI | MOV_SS) == 0
            || v.get(field::GUEST_ACTIVITY_STATE)? == ACTIVE;
        v.agree(holds, field::GUEST_ACTIVITY_STATE, field::GUEST_INTERRUPTIBILITY_STATE)
    };

    4 "a guest in HLT takes only interrupts, NMI, #DB, #MC and a pending MTF exit",
    |v| inactive(v, HLT, |event| match event.kind() {
        EventKind::ExternalInterrupt | EventKind::Nmi => true,
        EventKind::HardwareException => matches!(event.vector(), 1 | MACHINE_CHECK),
        EventKind::Other => event.vector() == 0,
        _ => false,
    });

    5 "a guest in shutdown takes only NMI and #MC",
    |v| inactive(v, SHUTDOWN, |event| match event.kind() {
        EventKind::Nmi => true,
        EventKind::HardwareException => event.vector() == MACHINE_CHECK,
        _ => false,
    });

    6 "a guest that waits for a SIPI takes no event", |v| inactive(v, WAIT_FOR_SIPI, |_| false);

    7 "an entry to SMM does not wait for a SIPI",
    |v| {
        let holds = !v.entry(EntryControls::ENTRY_TO_SMM)?
            || v.get(field::GUEST_ACTIVITY_STATE)? != WAIT_FOR_SIPI;
        v.demand(holds, field::GUEST_ACTIVITY_STATE)
    };

    8 "bits 31:5 of the interruptibility state are 0",
    |v| v.zero(field::GUEST_INTERRUPTIBILITY_STATE, !0x1F);

    9 "there is not both blocking by STI and by MOV SS",
    |v| {
        let both = blocking(v)? & (STI | MOV_SS) == STI | MOV_SS;
        v.demand(!both, field::GUEST_INTERRUPTIBILITY_STATE)
    };

    10 "there is no blocking by STI without RFLAGS.IF",
    |v| {
        let holds = blocking(v)? & STI == 0 || v.get(field::GUEST_RFLAGS)? & rflags::IF != 0;
        v.agree(holds, field::GUEST_INTERRUPTIBILITY_STATE, field::GUEST_RFLAGS)
    };

    11 "an external interrupt is not injected into blocking by STI or MOV SS",
    |v| if injects(v, EventKind::ExternalInterrupt)? {
        v.zero(field::GUEST_INTERRUPTIBILITY_STATE, STI | MOV_SS)
    } else {
        Ok(())
    };

    12 "an NMI is not injected into blocking by MOV SS",
    |v| if injects(v, EventKind::Nmi)? {
        v.zero(field::GUEST_INTERRUPTIBILITY_STATE, MOV_SS)
    } else {
        Ok(())
    };

    13 "an NMI is not injected into blocking by STI" => Outcome::GuestNmiInjection,
    |v| {
        if !injects(v, EventKind::Nmi)? || blocking(v)? & STI == 0 {
            return Ok(());
        }
        Err(Stop::Undecidable("a processor may refuse an NMI in blocking by STI, or take it"))
    };

    14 "outside of SMM there is no blocking by SMI",
    |v| {
        let holds = blocking(v)? & SMI == 0 || v.in_smm()?;
        v.demand(holds, field::GUEST_INTERRUPTIBILITY_STATE)
    };

    15 "an entry to SMM blocks SMIs",
    |v| if v.entry(EntryControls::ENTRY_TO_SMM)? {
        v.ones(field::GUEST_INTERRUPTIBILITY_STATE, SMI)
    } else {
        Ok(())
    };

    16 "with virtual NMIs an NMI is not injected into blocking by NMI",
    |v| if injects(v, EventKind::Nmi)? && v.pin(PinBasedControls::VIRTUAL_NMIS)? {
        v.zero(field::GUEST_INTERRUPTIBILITY_STATE, NMI)
    } else {
        Ok(())
    };

    17 "enclave interruption needs SGX, and no blocking by MOV SS",
    |v| {
        if blocking(v)? & ENCLAVE == 0 {
            return Ok(());
        }
        v.zero(field::GUEST_INTERRUPTIBILITY_STATE, MOV_SS)?;
        let has_sgx = v.known(v.context.has_sgx, "whether the processor has SGX")?;
        v.demand(has_sgx, field::GUEST_INTERRUPTIBILITY_STATE)
    };

    18 "bits 11:4, 13, 15 and 63:17 of the pending debug exceptions are 0",
    |v| {
        v.zero(field::GUEST_PENDING_DEBUG_EXCEPTIONS, PENDING_RESERVED)?;
        if pending(v)? & PendingDebug::BUS_LOCK.bits() == 0 {
            return Ok(());
        }
        match v.context.has_bus_lock_detect {
            Some(true) => Ok(()),
            Some(false) => {
                v.zero(field::GUEST_PENDING_DEBUG_EXCEPTIONS, PendingDebug::BUS_LOCK.bits())
            }
            None => Err(Stop::Undecidable("bit 11 is reserved but where bus locks can raise #DB")),
        }
    };

    19 "BS is pending in a shadow or in HLT, with RFLAGS.TF and without IA32_DEBUGCTL.BTF",
    |v| single_step(v, true);

    20 "BS is not pending in a shadow or in HLT, without RFLAGS.TF or with IA32_DEBUGCTL.BTF",
    |v| single_step(v, false);

    21 "with RTM bits 11:0, 15:13 and 63:17 of the pending debug exceptions are 0 and bit 12 is 1",
    |v| rtm(v, |v| each([
        v.zero(field::GUEST_PENDING_DEBUG_EXCEPTIONS, PENDING_NOT_WITH_RTM),
        v.ones(
            field::GUEST_PENDING_DEBUG_EXCEPTIONS,
            PendingDebug::ENABLED_BREAKPOINT.bits(),
        ),
    ]));

    22 "RTM is pending only where the processor has it",
    |v| rtm(v, |v| {
        let has_rtm = v.known(v.context.has_rtm, "whether the processor has RTM")?;
        v.demand(has_rtm, field::GUEST_PENDING_DEBUG_EXCEPTIONS)
    });

    23 "RTM is not pending with blocking by MOV SS",
    |v| rtm(v, |v| v.zero(field::GUEST_INTERRUPTIBILITY_STATE, MOV_SS));

    24 "the VMCS link pointer is 4 KiB-aligned, or all ones" => Outcome::GuestLinkPointer,
    |v| link(v, |v, _| v.zero(field::VMCS_LINK_POINTER, 0xFFF));

    25 "the VMCS link pointer is within the physical addresses" => Outcome::GuestLinkPointer,
    |v| link(v, |v, _| v.physical(field::VMCS_LINK_POINTER));

    26 "the linked VMCS has the processor's revision, and is a shadow VMCS as the control says"
        => Outcome::GuestLinkPointer,
    |v| link(v, |v, _| {
        let words = "the first four bytes of the linked VMCS";
        let found = v.known(v.context.link_revision, words)?;
        let shadow = v.secondary(SecondaryControls::VMCS_SHADOWING)?;
        let wanted = v.caps()?.revision_id().0 | u32::from(shadow) << 31;
        v.demand(found == wanted, field::VMCS_LINK_POINTER)
    });

    27 "the VMCS link pointer is not the current VMCS (outside of SMM, or for an entry to SMM)"
        => Outcome::GuestLinkPointer,
    |v| link(v, |v, pointer| {
        if v.in_smm()? && !v.entry(EntryControls::ENTRY_TO_SMM)? {
            return Ok(());
        }
        let current = v.known(v.context.current_vmcs, "the address of the current VMCS")?;
        v.demand(pointer != current, field::VMCS_LINK_POINTER)
    });

    28 "the VMCS link pointer is not the executive-VMCS pointer (in SMM, but for an entry to SMM)"
        => Outcome::GuestLinkPointer,
    |v| link(v, |v, pointer| {
        if !v.in_smm()? || v.entry(EntryControls::ENTRY_TO_SMM)? {
            return Ok(());
        }
        let executive = v.known(v.context.vmxon_pointer, "the executive-VMCS pointer")?;
        v.demand(pointer != executive, field::VMCS_LINK_POINTER)
    });
}

rule_table! {
    PDPTES: Pdptes, "Checks on Guest Page-Directory-Pointer-Table Entries", Outcome::GuestPdptes;

    1 "present PDPTE fields have no reserved bits (PAE paging, EPT)",
    |v| {
        if !uses_pae_paging(v)? || !v.secondary(SecondaryControls::ENABLE_EPT)? {
            return Ok(());
        }
        each([
            field::GUEST_PDPTE0,
            field::GUEST_PDPTE1,
            field::GUEST_PDPTE2,
            field::GUEST_PDPTE3,
        ].map(|field| {
            if v.get(field)? & PDPTE_PRESENT == 0 {
                return Ok(());
            }
            v.zero(field, PDPTE_RESERVED)?;
            v.physical(field)
        }))
    };

    2 "present PDPTEs in memory at CR3 have no reserved bits (PAE paging, no EPT)",
    |v| {
        if !uses_pae_paging(v)? || v.secondary(SecondaryControls::ENABLE_EPT)? {
            return Ok(());
        }
        let pdptes = v.known(v.context.pdptes, "the PDPTEs in memory at CR3")?;
        each(pdptes.map(|pdpte| {
            let reserved = !v.caps()?.widths.physical_mask() | PDPTE_RESERVED;
            if pdpte & PDPTE_PRESENT == 0 || pdpte & reserved == 0 {
                return Ok(());
            }
            Err(Stop::Broken(Fault {
                field: Some(field::GUEST_CR3.encoding()),
                value: pdpte,
                bits: pdpte & reserved,
                other: None,
                entry: None,
            }))
        }))
    };

    3 "PDPTEs that are not present, and those of a guest without PAE paging, are not checked"
        => Outcome::Success,
    |_| Err(Stop::Undecidable("it says what other rules leave out"));
}

fn blocking(v: &View<'_>) -> Result<u64, Stop> {
    v.get(field::GUEST_INTERRUPTIBILITY_STATE)
}

fn pending(v: &View<'_>) -> Result<u64, Stop> {
    v.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS)
}

fn injects(v: &View<'_>, kind: EventKind) -> Result<bool, Stop> {
    Ok(v.injected()?.is_some_and(|event| event.kind() == kind))
}

/// Demands that a guest in `state` is injected only what `takes` says.
fn inactive(v: &View<'_>, state: u64, takes: impl Fn(InterruptionInfo) -> bool) -> Verdict {
    match v.injected()? {
        Some(event) if v.get(field::GUEST_ACTIVITY_STATE)? == state => {
            v.agree(takes(event), field::GUEST_ACTIVITY_STATE, field::ENTRY_INTERRUPTION_INFO)
        }
        _ => Ok(()),
    }
}

/// Demands of BS to be as a single step at the end of a shadow, or in HLT, makes it: this rule where
/// one `steps`, the other where none does.
fn single_step(v: &View<'_>, steps: bool) -> Verdict {
    if blocking(v)? & (STI | MOV_SS) == 0 && v.get(field::GUEST_ACTIVITY_STATE)? != HLT {
        return Ok(());
    }
    let trap = v.get(field::GUEST_RFLAGS)? & rflags::TF != 0
        && v.get(field::GUEST_DEBUGCTL)? & DEBUGCTL_BTF == 0;
    if trap != steps {
        return Ok(());
    }
    let found = pending(v)? & PendingDebug::SINGLE_STEP.bits() != 0;
    v.agree(found == steps, field::GUEST_PENDING_DEBUG_EXCEPTIONS, field::GUEST_RFLAGS)
}

/// Applies a rule if RTM is pending.
fn rtm(v: &View<'_>, rule: impl Fn(&View<'_>) -> Verdict) -> Verdict {
    if pending(v)? & PendingDebug::RTM.bits() != 0 { rule(v) } else { Ok(()) }
}

/// Applies a rule on the VMCS link pointer, if there is one.
fn link(v: &View<'_>, rule: impl Fn(&View<'_>, u64) -> Verdict) -> Verdict {
    match v.get(field::VMCS_LINK_POINTER)? {
        NO_LINK => Ok(()),
        pointer => rule(v, pointer),
    }
}

fn uses_pae_paging(v: &View<'_>) -> Result<bool, Stop> {
    Ok(v.get(field::GUEST_CR0)? & cr0::PG != 0
        && v.get(field::GUEST_CR4)? & cr4::PAE != 0
        && !v.is_ia32e_guest()?)
}
