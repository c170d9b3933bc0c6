//! Witnesses for the rules on the guest's state and on its MSR-load list.

use vmx::{EptVpidCaps, MsrEntry, field};

use crate::case::{BEYOND, Case, NOT_CANONICAL, witnesses};

/// Gives the entry a list of one MSR.
fn msr(case: &mut Case, list: &'static [MsrEntry]) {
    case.set(field::ENTRY_MSR_LOAD_COUNT, list.len() as u64);
    case.context.entry_msrs = Some(list);
}

const LSTAR: &[MsrEntry] = &[MsrEntry { index: 0xC000_0082, reserved: 0, value: 0x1000 }];
const FS_BASE: &[MsrEntry] = &[LSTAR[0], MsrEntry { index: 0xC000_0100, reserved: 0, value: 0 }];
const X2APIC: &[MsrEntry] = &[MsrEntry { index: 0x80B, reserved: 0, value: 0 }];
const SMM_MONITOR: &[MsrEntry] = &[MsrEntry { index: 0x9B, reserved: 0, value: 0 }];
const RESERVED: &[MsrEntry] = &[MsrEntry { reserved: 1, ..LSTAR[0] }];
const BAD_LSTAR: &[MsrEntry] = &[MsrEntry { value: NOT_CANONICAL, ..LSTAR[0] }];

witnesses! {
    G1: |c| { c.set(field::GUEST_CR0, 0xE000_0031); } => |c| c.off(field::GUEST_CR0, 1 << 5);
    G2: |c| c.secondary(7) => |c| c.off(field::GUEST_CR0, 1);
    G3: |_| () => |c| c.off(field::GUEST_CR4, 1 << 13);
    G4: |c| { c.on(field::GUEST_CR4, 1 << 23); c.on(field::GUEST_CR0, 1 << 16); }
        => |c| c.off(field::GUEST_CR0, 1 << 16);
    G5: |c| c.set(field::GUEST_DEBUGCTL, 0xFFC7) => |c| c.set(field::GUEST_DEBUGCTL, 1 << 3);
    G6: |c| c.secondary(7) => |c| c.off(field::GUEST_CR0, 1 << 31);
    G7: |_| () => |c| c.off(field::GUEST_CR4, 1 << 5);
    G8: |c| c.guest32() => |c| c.on(field::GUEST_CR4, 1 << 17);
    G9: |c| c.set(field::GUEST_CR3, BEYOND - 1) => |c| c.on(field::GUEST_CR3, 1 << 63);
    G10: |c| c.set(field::GUEST_DR7, 0xFFFF_FFFF) => |c| c.on(field::GUEST_DR7, 1 << 32);
    G11: |_| () => |c| c.set(field::GUEST_SYSENTER_ESP, NOT_CANONICAL);
    G12: |_| () => |c| c.set(field::GUEST_SYSENTER_EIP, NOT_CANONICAL);
    G13: |c| { c.entry(13); c.set(field::GUEST_PERF_GLOBAL_CTRL, 0x7_0000_0000); }
        => |c| c.set(field::GUEST_PERF_GLOBAL_CTRL, 1 << 63);
    G14: |_| () => |c| c.set(field::GUEST_PAT, 0x0300_0000_0000_0000);
    G15: |_| () => |c| c.on(field::GUEST_EFER, 1 << 12);
    G16: |_| () => |c| c.off(field::GUEST_EFER, 0x500);
    G17: |_| () => |c| c.off(field::GUEST_EFER, 0x100);
    G18: |c| { c.entry(16); c.set(field::GUEST_BNDCFGS, 0x1003); }
        => |c| c.on(field::GUEST_BNDCFGS, 1 << 2);
    G19: |c| { c.entry(18); c.set(field::GUEST_RTIT_CTL, 0xF); }
        => |c| c.set(field::GUEST_RTIT_CTL, 0x10);
    G20: |c| { c.entry(20); c.set(field::GUEST_S_CET, 0x3F); }
        => |c| c.on(field::GUEST_S_CET, 1 << 6);
    G21: |c| { c.entry(22); c.set(field::GUEST_PKRS, 0xFFFF_FFFF); }
        => |c| c.set(field::GUEST_PKRS, 1 << 32);
    G22: |c| { c.entry(21); c.set(field::GUEST_LBR_CTL, 0xF); }
        => |c| c.set(field::GUEST_LBR_CTL, 0x10);
    G23: |c| { c.entry(19); c.set(field::GUEST_UINV, 0xFF); }
        => |c| c.set(field::GUEST_UINV, 0x100);
    G24: |c| { c.entry(24); c.set(field::GUEST_SPEC_CTRL, 7); }
        => |c| c.set(field::GUEST_SPEC_CTRL, 8);
    G25: |c| { c.entry(23); c.on(field::GUEST_CR4, 1 << 32); c.set(field::GUEST_FRED_SSP3, 8); }
        => |c| c.set(field::GUEST_FRED_SSP3, 4);

    S1: |_| () => |c| c.on(field::GUEST_TR_SELECTOR, 4);
    S2: |c| ldt(c) => |c| c.on(field::GUEST_LDTR_SELECTOR, 4);
    S3: |_| () => |c| c.on(field::GUEST_CS_SELECTOR, 3);
    S4: |c| c.v8086() => |c| c.set(field::GUEST_FS_BASE, 0x1_2340);
    S5: |_| () => |c| c.set(field::GUEST_FS_BASE, NOT_CANONICAL);
    S6: |c| ldt(c) => |c| c.set(field::GUEST_LDTR_BASE, NOT_CANONICAL);
    S7: |_| () => |c| c.set(field::GUEST_CS_BASE, 1 << 32);
    S8: |_| () => |c| c.set(field::GUEST_ES_BASE, 1 << 32);
    S9: |c| c.v8086() => |c| c.set(field::GUEST_GS_LIMIT, 0xFFFE);
    S10: |c| c.v8086() => |c| c.set(field::GUEST_DS_ACCESS_RIGHTS, 0x93);
    S11: |c| { c.real_mode(); c.set(field::GUEST_CS_ACCESS_RIGHTS, 0xC093); }
        => |c| c.set(field::GUEST_CS_ACCESS_RIGHTS, 0xC09A);
    S12: |c| c.set(field::GUEST_SS_ACCESS_RIGHTS, 0xC097)
        => |c| c.set(field::GUEST_SS_ACCESS_RIGHTS, 0xC091);
    S13: |_| () => |c| c.off(field::GUEST_DS_ACCESS_RIGHTS, 1);
    S14: |c| c.set(field::GUEST_ES_ACCESS_RIGHTS, 0xC09B)
        => |c| c.set(field::GUEST_ES_ACCESS_RIGHTS, 0xC099);
    S15: |_| () => |c| c.off(field::GUEST_FS_ACCESS_RIGHTS, 1 << 4);
    S16: |c| { c.real_mode(); c.set(field::GUEST_CS_ACCESS_RIGHTS, 0xC093); }
        => |c| c.on(field::GUEST_CS_ACCESS_RIGHTS, 3 << 5);
    S17: |_| () => |c| c.on(field::GUEST_CS_ACCESS_RIGHTS, 3 << 5);
    S18: |c| c.set(field::GUEST_CS_ACCESS_RIGHTS, 0xA09F)
        => |c| c.on(field::GUEST_CS_ACCESS_RIGHTS, 1 << 5);
    S19: |c| user(c) => |c| c.off(field::GUEST_SS_ACCESS_RIGHTS, 3 << 5);
    S20: |c| c.real_mode() => |c| c.on(field::GUEST_SS_ACCESS_RIGHTS, 3 << 5);
    S21: |_| () => |c| c.on(field::GUEST_DS_SELECTOR, 3);
    S22: |_| () => |c| c.off(field::GUEST_GS_ACCESS_RIGHTS, 1 << 7);
    S23: |_| () => |c| c.on(field::GUEST_CS_ACCESS_RIGHTS, 1 << 11);
    S24: |_| () => |c| c.on(field::GUEST_CS_ACCESS_RIGHTS, 1 << 14);
    S25: |_| () => |c| c.set(field::GUEST_DS_LIMIT, 0xFFFF_F7FF);
    S26: |_| () => |c| c.off(field::GUEST_SS_ACCESS_RIGHTS, 1 << 15);
    S27: |_| () => |c| c.on(field::GUEST_SS_ACCESS_RIGHTS, 1 << 17);
    S28: |c| { c.guest32(); c.set(field::GUEST_TR_ACCESS_RIGHTS, 0x83); }
        => |c| c.set(field::GUEST_TR_ACCESS_RIGHTS, 0x89);
    S29: |_| () => |c| c.on(field::GUEST_TR_ACCESS_RIGHTS, 1 << 4);
    S30: |_| () => |c| c.off(field::GUEST_TR_ACCESS_RIGHTS, 1 << 7);
    S31: |_| () => |c| c.on(field::GUEST_TR_ACCESS_RIGHTS, 1 << 8);
    S32: |_| () => |c| c.on(field::GUEST_TR_ACCESS_RIGHTS, 1 << 15);
    S33: |_| () => |c| c.on(field::GUEST_TR_ACCESS_RIGHTS, 1 << 16);
    S34: |c| ldt(c) => |c| c.on(field::GUEST_LDTR_ACCESS_RIGHTS, 1);
    S35: |c| ldt(c) => |c| c.on(field::GUEST_LDTR_ACCESS_RIGHTS, 1 << 4);
    S36: |c| ldt(c) => |c| c.off(field::GUEST_LDTR_ACCESS_RIGHTS, 1 << 7);
    S37: |c| ldt(c) => |c| c.on(field::GUEST_LDTR_ACCESS_RIGHTS, 1 << 31);
    S38: |c| ldt(c) => |c| c.set(field::GUEST_LDTR_LIMIT, 0x10_0000);
    S39: |c| { c.on(field::GUEST_CR4, 1 << 32); user(c); }
        => |c| c.on(field::GUEST_RFLAGS, 3 << 12);

    D1: |_| () => |c| c.set(field::GUEST_GDTR_BASE, NOT_CANONICAL);
    D2: |_| () => |c| c.set(field::GUEST_IDTR_BASE, NOT_CANONICAL);
    D3: |_| () => |c| c.set(field::GUEST_GDTR_LIMIT, 0x1_0000);
    D4: |_| () => |c| c.set(field::GUEST_IDTR_LIMIT, 0x8000_0000);

    R1: |c| { c.guest32(); c.set(field::GUEST_RIP, 0xFFFF_FFFF); }
        => |c| c.set(field::GUEST_RIP, 1 << 32);
    R2: |c| c.set(field::GUEST_RIP, 0x0000_8000_0000_0000)
        => |c| c.set(field::GUEST_RIP, 0x0001_0000_0000_0000);
    R3: |c| c.set(field::GUEST_RFLAGS, 0x3D_7ED7 & !0x100) => |c| c.on(field::GUEST_RFLAGS, 1 << 15);
    R4: |_| () => |c| c.off(field::GUEST_RFLAGS, 2);
    R5: |c| c.v8086() => |c| { c.entry(9); };
    R6: |c| { c.v8086(); c.secondary(7); } => |c| c.off(field::GUEST_CR0, 1);
    R7: |c| c.inject(0, 0x30, 0) => |c| c.off(field::GUEST_RFLAGS, 1 << 9);
    R8: |c| { c.entry(20); c.set(field::GUEST_SSP, 0x1004); } => |c| c.set(field::GUEST_SSP, 0x1001);
    R9: |c| { c.entry(20); c.set(field::GUEST_SSP, NOT_CANONICAL); }
        => |c| c.set(field::GUEST_SSP, 1 << 48);

    M1: |c| c.set(field::GUEST_ACTIVITY_STATE, 1) => |c| c.caps.misc &= !(1 << 6);
    M2: |c| c.set(field::GUEST_ACTIVITY_STATE, 1) => |c| user(c);
    M3: |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 1)
        => |c| c.set(field::GUEST_ACTIVITY_STATE, 1);
    M4: |c| { c.set(field::GUEST_ACTIVITY_STATE, 1); c.inject(3, 18, 0); } => |c| c.inject(3, 6, 0);
    M5: |c| { c.set(field::GUEST_ACTIVITY_STATE, 2); c.inject(2, 2, 0); }
        => |c| c.inject(0, 0x12, 0);
    M6: |c| c.set(field::GUEST_ACTIVITY_STATE, 3) => |c| c.inject(2, 2, 0);
    M7: |c| smm(c) => |c| c.set(field::GUEST_ACTIVITY_STATE, 3);
    M8: |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 0x18)
        => |c| c.on(field::GUEST_INTERRUPTIBILITY_STATE, 1 << 5);
    M9: |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 2)
        => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 3);
    M10: |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 1)
        => |c| c.off(field::GUEST_RFLAGS, 1 << 9);
    M11: |c| c.inject(0, 0x30, 0) => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 1);
    M12: |c| c.inject(2, 2, 0) => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 2);
    M14: |_| () => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 4);
    M15: |c| smm(c) => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 0);
    M16: |c| { c.pin(3); c.pin(5); c.inject(2, 2, 0); }
        => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 8);
    M17: |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 0x10)
        => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 0x12);
    M18: |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 0x580F)
        => |c| c.on(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 4);
    M19: |c| {
        c.on(field::GUEST_RFLAGS, 1 << 8);
        c.set(field::GUEST_INTERRUPTIBILITY_STATE, 1);
        c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 14);
    } => |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
    M20: |c| {
        c.on(field::GUEST_RFLAGS, 1 << 8);
        c.set(field::GUEST_DEBUGCTL, 2);
        c.set(field::GUEST_ACTIVITY_STATE, 1);
    } => |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 14);
    M21: |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 16 | 1 << 12)
        => |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 16);
    M22: |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 16 | 1 << 12)
        => |c| c.context.has_rtm = Some(false);
    M23: |c| c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 16 | 1 << 12)
        => |c| c.set(field::GUEST_INTERRUPTIBILITY_STATE, 2);
    M24: |c| c.set(field::VMCS_LINK_POINTER, 0x8000) => |c| c.set(field::VMCS_LINK_POINTER, 0x8800);
    M25: |c| c.set(field::VMCS_LINK_POINTER, 0x8000) => |c| c.set(field::VMCS_LINK_POINTER, BEYOND);
    M26: |c| { c.secondary(14); c.set(field::VMCS_LINK_POINTER, 0x8000); c.context.link_revision = Some(0x9234_5678); }
        => |c| c.context.link_revision = Some(0x1234_5678);
    M27: |c| c.set(field::VMCS_LINK_POINTER, 0x8000) => |c| c.set(field::VMCS_LINK_POINTER, 0x7000);
    M28: |c| { c.context.in_smm = Some(true); c.set(field::VMCS_LINK_POINTER, 0x7000); }
        => |c| c.set(field::VMCS_LINK_POINTER, 0x6000);

    P1: |c| { c.pae(); c.set(field::GUEST_PDPTE2, 0x1001); c.set(field::GUEST_PDPTE3, 0x1E6); }
        => |c| c.set(field::GUEST_PDPTE2, 0x1003);
    P2: |c| {
        c.pae();
        c.off(field::SECONDARY_CONTROLS, 2);
        c.caps.ept_vpid = EptVpidCaps::empty();
        c.context.pdptes = Some([0x1001, 0, 0x1E6, 0]);
    } => |c| c.context.pdptes = Some([0x1001, BEYOND | 1, 0, 0]);

    L1: |c| msr(c, LSTAR) => |c| msr(c, FS_BASE);
    L2: |c| msr(c, LSTAR) => |c| msr(c, X2APIC);
    L3: |c| { c.context.in_smm = Some(true); msr(c, SMM_MONITOR); }
        => |c| c.context.in_smm = Some(false);
    L5: |c| msr(c, LSTAR) => |c| msr(c, RESERVED);
    L6: |c| msr(c, LSTAR) => |c| msr(c, BAD_LSTAR);
}

/// Gives the guest a usable LDTR.
fn ldt(case: &mut Case) {
    case.set(field::GUEST_LDTR_ACCESS_RIGHTS, 0x82);
    case.set(field::GUEST_LDTR_LIMIT, 0xFFFF);
    case.set(field::GUEST_LDTR_SELECTOR, 0x30);
}

/// Puts the guest at privilege level 3.
fn user(case: &mut Case) {
    case.on(field::GUEST_CS_SELECTOR, 3);
    case.on(field::GUEST_SS_SELECTOR, 3);
    case.on(field::GUEST_CS_ACCESS_RIGHTS, 3 << 5);
    case.on(field::GUEST_SS_ACCESS_RIGHTS, 3 << 5);
}

/// Makes it an entry to SMM.
fn smm(case: &mut Case) {
    case.context.in_smm = Some(true);
    case.entry(10);
    case.set(field::GUEST_INTERRUPTIBILITY_STATE, 4);
}
