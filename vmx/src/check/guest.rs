//! Rules on the guest's control and debug registers, MSRs, RIP, RFLAGS and SSP.

use guest_state::{AccessRights, cr0, cr4, efer, rflags};

use super::exit_entry::CR4_FRED;
use super::host::{EFER_BITS, SPEC_CTRL, cet_needs_wp, fixed_cr0, fixed_cr4, fred, pat, s_cet};
use super::view::{Stop, Verdict, View, each};
use super::{Outcome, rule_table};
use crate::encoding::{FieldAccess, FieldWidth};
use crate::{EntryControls, EventKind, Need, VmcsField, field};

/// The bits of `IA32_DEBUGCTL` that any processor has.
const DEBUGCTL_KNOWN: u64 = 0xFFC7;
/// Those that every processor has: LBR and BTF.
const DEBUGCTL_ALWAYS: u64 = 0x3;
/// Reserved bits of RFLAGS.
const RFLAGS_RESERVED: u64 = !0x3F_FFFF | 1 << 15 | 1 << 5 | 1 << 3;
/// Reserved bits of `IA32_BNDCFGS`.
const BNDCFGS_RESERVED: u64 = 0xFFC;

rule_table! {
    REGISTERS: Guest, "Checks on Guest Control Registers, Debug Registers, and MSRs",
        Outcome::GuestState;

    1 "CR0 has its fixed bits as VMX operation wants them (PE and PG apart, if unrestricted)",
    |v| {
        let exempt = if v.is_unrestricted()? { cr0::PE | cr0::PG } else { 0 };
        fixed_cr0(v, field::GUEST_CR0, exempt)
    };

    2 "CR0.PG needs CR0.PE",
    |v| {
        let value = v.get(field::GUEST_CR0)?;
        v.demand(value & cr0::PG == 0 || value & cr0::PE != 0, field::GUEST_CR0)
    };

    3 "CR4 has its fixed bits as VMX operation wants them",
    |v| fixed_cr4(v, field::GUEST_CR4);

    4 "CR4.CET needs CR0.WP",
    |v| cet_needs_wp(v, field::GUEST_CR4, field::GUEST_CR0);

    5 "reserved bits of IA32_DEBUGCTL are 0",
    |v| {
        if !v.entry(EntryControls::LOAD_DEBUG_CONTROLS)? {
            return Ok(());
        }
        v.zero(field::GUEST_DEBUGCTL, !DEBUGCTL_KNOWN)?;
        if v.get(field::GUEST_DEBUGCTL)? & !DEBUGCTL_ALWAYS == 0 {
            return Ok(());
        }
        let mask = v.context.masks.debugctl;
        v.within(field::GUEST_DEBUGCTL, mask, "which bits of IA32_DEBUGCTL the processor has")
    };

    6 "an IA-32e guest has CR0.PG",
    |v| if v.is_ia32e_guest()? { v.ones(field::GUEST_CR0, cr0::PG) } else { Ok(()) };

    7 "an IA-32e guest has CR4.PAE",
    |v| if v.is_ia32e_guest()? { v.ones(field::GUEST_CR4, cr4::PAE) } else { Ok(()) };

    8 "only an IA-32e guest has CR4.PCIDE",
    |v| if v.is_ia32e_guest()? { Ok(()) } else { v.zero(field::GUEST_CR4, cr4::PCIDE) };

    9 "CR3 has no bit beyond the physical addresses",
    |v| v.cr3(field::GUEST_CR3);

    10 "bits 63:32 of DR7 are 0",
    |v| if v.entry(EntryControls::LOAD_DEBUG_CONTROLS)? {
        v.zero(field::GUEST_DR7, !0xFFFF_FFFF)
    } else {
        Ok(())
    };

    11 "IA32_SYSENTER_ESP is canonical",
    |v| v.canonical(field::GUEST_SYSENTER_ESP);

    12 "IA32_SYSENTER_EIP is canonical",
    |v| v.canonical(field::GUEST_SYSENTER_EIP);

    13 "reserved bits of IA32_PERF_GLOBAL_CTRL are 0",
    |v| if v.entry(EntryControls::LOAD_PERF_GLOBAL_CTRL)? {
        v.within(
            field::GUEST_PERF_GLOBAL_CTRL,
            v.context.masks.perf_global_ctrl,
            "which performance counters the processor has",
        )
    } else {
        Ok(())
    };

    14 "each byte of IA32_PAT is 0, 1, 4, 5, 6 or 7",
    |v| if v.entry(EntryControls::LOAD_PAT)? { pat(v, field::GUEST_PAT) } else { Ok(()) };

    15 "reserved bits of IA32_EFER are 0",
    |v| if v.entry(EntryControls::LOAD_EFER)? {
        v.zero(field::GUEST_EFER, !EFER_BITS)
    } else {
        Ok(())
    };

    16 "IA32_EFER.LMA is as the IA-32e-mode-guest control",
    |v| {
        if !v.entry(EntryControls::LOAD_EFER)? {
            return Ok(());
        }
        let lma = v.get(field::GUEST_EFER)? & efer::LMA != 0;
        v.agree(lma == v.is_ia32e_guest()?, field::GUEST_EFER, field::ENTRY_CONTROLS)
    };

    17 "with CR0.PG IA32_EFER's LMA and LME are the same",
    |v| {
        if !v.entry(EntryControls::LOAD_EFER)? || v.get(field::GUEST_CR0)? & cr0::PG == 0 {
            return Ok(());
        }
        let value = v.get(field::GUEST_EFER)?;
        let same = (value & efer::LMA != 0) == (value & efer::LME != 0);
        v.agree(same, field::GUEST_EFER, field::GUEST_CR0)
    };

    18 "bits 11:2 of IA32_BNDCFGS are 0 and its base is canonical",
    |v| {
        if !v.entry(EntryControls::LOAD_BNDCFGS)? {
            return Ok(());
        }
        v.zero(field::GUEST_BNDCFGS, BNDCFGS_RESERVED)?;
        v.canonical_value(field::GUEST_BNDCFGS, v.get(field::GUEST_BNDCFGS)? & !0xFFF)
    };

    19 "reserved bits of IA32_RTIT_CTL are 0",
    |v| if v.entry(EntryControls::LOAD_RTIT_CTL)? {
        let mask = v.context.masks.rtit_ctl;
        v.within(field::GUEST_RTIT_CTL, mask, "which bits of IA32_RTIT_CTL the processor has")
    } else {
        Ok(())
    };

    20 "IA32_S_CET has no reserved bits, not both SUPPRESS and TRACKER, and it and \
        IA32_INTERRUPT_SSP_TABLE_ADDR are canonical",
    |v| {
        if !v.entry(EntryControls::LOAD_CET_STATE)? {
            return Ok(());
        }
        each([s_cet(v, field::GUEST_S_CET), v.canonical(field::GUEST_INTERRUPT_SSP_TABLE)])?;
        if v.get(field::GUEST_S_CET)? >> 32 == 0 || v.is_ia32e_guest()? {
            return Ok(());
        }
        Err(Stop::Undecidable("bits 63:32 of IA32_S_CET may be reserved outside of IA-32e mode"))
    };

    21 "bits 63:32 of IA32_PKRS are 0",
    |v| if v.entry(EntryControls::LOAD_PKRS)? {
        v.zero(field::GUEST_PKRS, !0xFFFF_FFFF)
    } else {
        Ok(())
    };

    22 "reserved bits of IA32_LBR_CTL are 0",
    |v| if v.entry(EntryControls::LOAD_LBR_CTL)? {
        let mask = v.context.masks.lbr_ctl;
        v.within(field::GUEST_LBR_CTL, mask, "which bits of IA32_LBR_CTL the processor has")
    } else {
        Ok(())
    };

    23 "bits 15:8 of UINV are 0",
    |v| if v.entry(EntryControls::LOAD_UINV)? {
        v.zero(field::GUEST_UINV, 0xFF00)
    } else {
        Ok(())
    };

    24 "reserved bits of IA32_SPEC_CTRL are 0",
    |v| if v.entry(EntryControls::LOAD_SPEC_CTRL)? {
        v.within(field::GUEST_SPEC_CTRL, v.context.masks.spec_ctrl, SPEC_CTRL)
    } else {
        Ok(())
    };

    25 "only an IA-32e guest has CR4.FRED, and the FRED MSRs have no reserved bits and are canonical",
    |v| {
        let bit = if v.is_ia32e_guest()? {
            Ok(())
        } else {
            v.zero(field::GUEST_CR4, CR4_FRED)
        };
        let msrs = if v.entry(EntryControls::LOAD_FRED)? {
            fred(
                v,
                field::GUEST_FRED_CONFIG,
                [field::GUEST_FRED_RSP1, field::GUEST_FRED_RSP2, field::GUEST_FRED_RSP3],
                [field::GUEST_FRED_SSP1, field::GUEST_FRED_SSP2, field::GUEST_FRED_SSP3],
            )
        } else {
            Ok(())
        };
        each([bit, msrs])
    };
}

rule_table! {
    RIP: Rip, "Checks on Guest RIP, RFLAGS, and SSP", Outcome::GuestState;

    1 "bits 63:32 of RIP are 0 outside of 64-bit mode",
    |v| if is_64bit_guest(v)? { Ok(()) } else { v.zero(field::GUEST_RIP, !0xFFFF_FFFF) };

    2 "the bits of RIP above the linear addresses are all the same in 64-bit mode",
    |v| if is_64bit_guest(v)? { upper_bits_same(v, field::GUEST_RIP) } else { Ok(()) };

    3 "bits 63:22, 15, 5 and 3 of RFLAGS are 0",
    |v| v.zero(field::GUEST_RFLAGS, RFLAGS_RESERVED);

    4 "bit 1 of RFLAGS is 1",
    |v| v.ones(field::GUEST_RFLAGS, rflags::RESERVED_1);

    5 "RFLAGS.VM of an IA-32e guest is 0",
    |v| if v.is_ia32e_guest()? { v.zero(field::GUEST_RFLAGS, rflags::VM) } else { Ok(()) };

    6 "RFLAGS.VM is 0 without CR0.PE",
    |v| {
        let holds = v.get(field::GUEST_RFLAGS)? & rflags::VM == 0
            || v.get(field::GUEST_CR0)? & cr0::PE != 0;
        v.agree(holds, field::GUEST_RFLAGS, field::GUEST_CR0)
    };

    7 "RFLAGS.IF is 1 if an external interrupt is injected",
    |v| match v.injected()? {
        Some(event) if event.kind() == EventKind::ExternalInterrupt => {
            v.ones(field::GUEST_RFLAGS, rflags::IF)
        }
        _ => Ok(()),
    };

    8 "bits 1:0 of SSP are 0",
    |v| if v.entry(EntryControls::LOAD_CET_STATE)? { v.zero(field::GUEST_SSP, 3) } else { Ok(()) };

    9 "bits 63:32 of SSP are 0 outside of 64-bit mode, those above the linear addresses the same in it",
    |v| {
        if !v.entry(EntryControls::LOAD_CET_STATE)? {
            Ok(())
        } else if is_64bit_guest(v)? {
            upper_bits_same(v, field::GUEST_SSP)
        } else {
            v.zero(field::GUEST_SSP, !0xFFFF_FFFF)
        }
    };
}

/// Tells whether the guest will be in 64-bit mode.
fn is_64bit_guest(v: &View<'_>) -> Result<bool, Stop> {
    if !v.is_ia32e_guest()? {
        return Ok(false);
    }
    let access = <u32 as FieldWidth>::from_raw(v.get(field::GUEST_CS_ACCESS_RIGHTS)?);
    Ok(AccessRights(access).is_64bit())
}

/// Demands that the bits from the width of linear addresses up are the same, which is less than to
/// be canonical: the bit below them may differ.
fn upper_bits_same<W: FieldWidth, A: FieldAccess>(v: &View<'_>, field: VmcsField<W, A>) -> Verdict {
    let value = v.get(field)?;
    let same = |bits: u8| {
        let upper = value.checked_shr(bits.into()).unwrap_or(0);
        upper == 0 || upper == u64::MAX.checked_shr(bits.into()).unwrap_or(0)
    };
    match v.caps() {
        Ok(caps) => v.demand(same(caps.widths.linear), field),
        Err(_) if same(48) => Ok(()),
        Err(_) if same(57) => Err(Stop::Lacks(Need::Capabilities)),
        Err(_) => v.broken(field, 0),
    }
}
