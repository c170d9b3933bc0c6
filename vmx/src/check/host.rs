//! Rules on the host's state.

use guest_state::{cr0, cr4, efer};

use super::exit_entry::CR4_FRED;
use super::view::{Stop, Verdict, View, each};
use super::{Outcome, rule_table};
use crate::caps::ControlSet;
use crate::encoding::{FieldAccess, FieldWidth};
use crate::{
    EntryControls, ExitControls, Natural, ReadWrite, SecondaryExitControls, VmcsField, field,
};

/// The bits of EFER that are not reserved on Intel's processors.
pub(super) const EFER_BITS: u64 = efer::SCE | efer::LME | efer::LMA | efer::NXE;
/// Bits of `IA32_S_CET`: reserved ones, and the two that are not both set.
const S_CET_RESERVED: u64 = 0xF << 6;
const S_CET_SUPPRESS: u64 = 1 << 10;
const S_CET_TRACKER: u64 = 1 << 11;
/// Reserved bits of `IA32_FRED_CONFIG`.
const FRED_CONFIG_RESERVED: u64 = 0x834;

rule_table! {
    REGISTERS: Host, "Checks on Host Control Registers, MSRs, and SSP", Outcome::InvalidHostState;

    1 "CR0 has its fixed bits as VMX operation wants them",
    |v| fixed_cr0(v, field::HOST_CR0, 0);

    2 "CR4 has its fixed bits as VMX operation wants them",
    |v| fixed_cr4(v, field::HOST_CR4);

    3 "CR4.CET needs CR0.WP",
    |v| cet_needs_wp(v, field::HOST_CR4, field::HOST_CR0);

    4 "CR3 has no bit beyond the physical addresses",
    |v| v.cr3(field::HOST_CR3);

    5 "IA32_SYSENTER_ESP is canonical",
    |v| v.canonical(field::HOST_SYSENTER_ESP);

    6 "IA32_SYSENTER_EIP is canonical",
    |v| v.canonical(field::HOST_SYSENTER_EIP);

    7 "reserved bits of IA32_PERF_GLOBAL_CTRL are 0",
    |v| if v.exit(ExitControls::LOAD_PERF_GLOBAL_CTRL)? {
        v.within(
            field::HOST_PERF_GLOBAL_CTRL,
            v.context.masks.perf_global_ctrl,
            "which performance counters the processor has",
        )
    } else {
        Ok(())
    };

    8 "each byte of IA32_PAT is 0, 1, 4, 5, 6 or 7",
    |v| if v.exit(ExitControls::LOAD_PAT)? { pat(v, field::HOST_PAT) } else { Ok(()) };

    9 "reserved bits of IA32_EFER are 0",
    |v| if v.exit(ExitControls::LOAD_EFER)? {
        v.zero(field::HOST_EFER, !EFER_BITS)
    } else {
        Ok(())
    };

    10 "IA32_EFER's LMA and LME are as the host address-space size",
    |v| {
        if !v.exit(ExitControls::LOAD_EFER)? {
            return Ok(());
        }
        let both = efer::LMA | efer::LME;
        let wanted = if v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? { both } else { 0 };
        let found = v.get(field::HOST_EFER)? & both;
        v.agree(found == wanted, field::HOST_EFER, field::EXIT_CONTROLS)
    };

    11 "IA32_S_CET has no reserved bits, not both SUPPRESS and TRACKER, and is canonical",
    |v| if loads_cet(v)? { s_cet(v, field::HOST_S_CET) } else { Ok(()) };

    12 "bits 1:0 of SSP are 0 and it is canonical",
    |v| {
        if !loads_cet(v)? {
            return Ok(());
        }
        v.zero(field::HOST_SSP, 3)?;
        v.canonical(field::HOST_SSP)
    };

    13 "IA32_INTERRUPT_SSP_TABLE_ADDR is canonical",
    |v| if loads_cet(v)? { v.canonical(field::HOST_INTERRUPT_SSP_TABLE) } else { Ok(()) };

    14 "bits 63:32 of IA32_S_CET and SSP of a 32-bit host are 0",
    |v| {
        if !loads_cet(v)? || v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? {
            return Ok(());
        }
        each([field::HOST_S_CET, field::HOST_SSP].map(|field| v.zero(field, !0xFFFF_FFFF)))
    };

    15 "bits 63:32 of IA32_PKRS are 0",
    |v| if v.exit(ExitControls::LOAD_PKRS)? {
        v.zero(field::HOST_PKRS, !0xFFFF_FFFF)
    } else {
        Ok(())
    };
}

rule_table! {
    SEGMENTS: Host, "Checks on Host Segment and Descriptor-Table Registers",
        Outcome::InvalidHostState;

    16 "RPL and TI of the selectors are 0",
    |v| each([
        field::HOST_CS_SELECTOR,
        field::HOST_SS_SELECTOR,
        field::HOST_DS_SELECTOR,
        field::HOST_ES_SELECTOR,
        field::HOST_FS_SELECTOR,
        field::HOST_GS_SELECTOR,
        field::HOST_TR_SELECTOR,
    ].map(|field| v.zero(field, 7)));

    17 "the CS selector is not 0",
    |v| v.demand(v.get(field::HOST_CS_SELECTOR)? != 0, field::HOST_CS_SELECTOR);

    18 "the TR selector is not 0",
    |v| v.demand(v.get(field::HOST_TR_SELECTOR)? != 0, field::HOST_TR_SELECTOR);

    19 "the SS selector of a 32-bit host is not 0",
    |v| if v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? {
        Ok(())
    } else {
        v.demand(v.get(field::HOST_SS_SELECTOR)? != 0, field::HOST_SS_SELECTOR)
    };

    20 "the bases of FS and GS are canonical",
    |v| each([field::HOST_FS_BASE, field::HOST_GS_BASE].map(|field| v.canonical(field)));

    21 "the base of TR is canonical",
    |v| v.canonical(field::HOST_TR_BASE);

    22 "the bases of GDTR and IDTR are canonical",
    |v| each([field::HOST_GDTR_BASE, field::HOST_IDTR_BASE].map(|field| v.canonical(field)));
}

rule_table! {
    ADDRESS_SPACE: Host, "Checks Related to Address-Space Size", Outcome::InvalidHostState;

    23 "a host in IA-32e mode has the host address-space size 1",
    |v| if v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? {
        Ok(())
    } else {
        v.demand(!host_lma(v)?, field::EXIT_CONTROLS)
    };

    24 "a host outside of IA-32e mode has the host address-space size 0 and no IA-32e guest",
    |v| {
        let guest = v.is_ia32e_guest()?;
        if !v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? && !guest {
            return Ok(());
        }
        let lma = host_lma(v)?;
        if guest { v.demand(lma, field::ENTRY_CONTROLS) } else { v.demand(lma, field::EXIT_CONTROLS) }
    };

    25 "with the host address-space size 0 there is no IA-32e guest, CR4.PCIDE and CR4.FRED are 0 \
        and RIP has 32 bits",
    |v| if v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? {
        Ok(())
    } else {
        each([
            v.zero(field::ENTRY_CONTROLS, EntryControls::IA32E_MODE_GUEST.as_u64()),
            v.zero(field::HOST_CR4, cr4::PCIDE | CR4_FRED),
            v.zero(field::HOST_RIP, !0xFFFF_FFFF),
        ])
    };

    26 "with the host address-space size 1 CR4.PAE is 1 and RIP is canonical",
    |v| if v.exit(ExitControls::HOST_ADDRESS_SPACE_SIZE)? {
        each([v.ones(field::HOST_CR4, cr4::PAE), v.canonical(field::HOST_RIP)])
    } else {
        Ok(())
    };
}

rule_table! {
    EXTENDED: Host, "Checks on Host Control Registers, MSRs, and SSP", Outcome::InvalidHostState;

    27 "reserved bits of IA32_SPEC_CTRL are 0",
    |v| if v.secondary_exit(SecondaryExitControls::LOAD_SPEC_CTRL)? {
        v.within(field::HOST_SPEC_CTRL, v.context.masks.spec_ctrl, SPEC_CTRL)
    } else {
        Ok(())
    };

    28 "the FRED MSRs have no reserved bits and are canonical",
    |v| if v.secondary_exit(SecondaryExitControls::LOAD_FRED)? {
        fred(
            v,
            field::HOST_FRED_CONFIG,
            [field::HOST_FRED_RSP1, field::HOST_FRED_RSP2, field::HOST_FRED_RSP3],
            [field::HOST_FRED_SSP1, field::HOST_FRED_SSP2, field::HOST_FRED_SSP3],
        )
    } else {
        Ok(())
    };
}

pub(super) const SPEC_CTRL: &str = "which bits of IA32_SPEC_CTRL the processor has";

fn loads_cet(v: &View<'_>) -> Result<bool, Stop> {
    v.exit(ExitControls::LOAD_CET_STATE)
}

fn host_lma(v: &View<'_>) -> Result<bool, Stop> {
    v.known(v.context.host_lma, "IA32_EFER.LMA of the host")
}

/// Demands of CR0 its fixed bits, but for those of `exempt`. NW and CD are not checked: no
/// transition loads them.
pub(super) fn fixed_cr0(
    v: &View<'_>,
    field: VmcsField<Natural, ReadWrite>,
    exempt: u64,
) -> Verdict {
    let caps = v.caps()?;
    v.fixed(field, caps.cr0_fixed0 & !exempt, !caps.cr0_fixed1 & !(cr0::NW | cr0::CD))
}

pub(super) fn fixed_cr4(v: &View<'_>, field: VmcsField<Natural, ReadWrite>) -> Verdict {
    let caps = v.caps()?;
    v.fixed(field, caps.cr4_fixed0, !caps.cr4_fixed1)
}

pub(super) fn cet_needs_wp(
    v: &View<'_>,
    cr4_field: VmcsField<Natural, ReadWrite>,
    cr0_field: VmcsField<Natural, ReadWrite>,
) -> Verdict {
    let holds = v.get(cr4_field)? & cr4::CET == 0 || v.get(cr0_field)? & cr0::WP != 0;
    v.agree(holds, cr4_field, cr0_field)
}

/// Demands that each byte is a memory type that a PAT entry can have.
pub(super) fn pat<A: FieldAccess>(v: &View<'_>, field: VmcsField<u64, A>) -> Verdict {
    let legal = |byte| matches!(byte, 0 | 1 | 4..=7);
    v.demand(v.get(field)?.to_le_bytes().into_iter().all(legal), field)
}

pub(super) fn s_cet<W: FieldWidth, A: FieldAccess>(
    v: &View<'_>,
    field: VmcsField<W, A>,
) -> Verdict {
    v.zero(field, S_CET_RESERVED)?;
    let both = S_CET_SUPPRESS | S_CET_TRACKER;
    if v.get(field)? & both == both {
        return v.broken(field, both);
    }
    v.canonical(field)
}

pub(super) fn fred(
    v: &View<'_>,
    config: VmcsField<u64, ReadWrite>,
    stacks: [VmcsField<u64, ReadWrite>; 3],
    shadow_stacks: [VmcsField<u64, ReadWrite>; 3],
) -> Verdict {
    let aligned = |field, reserved| {
        v.zero(field, reserved)?;
        v.canonical(field)
    };
    each([
        aligned(config, FRED_CONFIG_RESERVED),
        each(stacks.map(|field| aligned(field, 0x3F))),
        each(shadow_stacks.map(|field| aligned(field, 7))),
    ])
}
