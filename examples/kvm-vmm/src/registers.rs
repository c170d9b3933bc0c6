//! A CPU's state to KVM and back.

use guest_state::{
    AccessRights, Activity, DescriptorTable, FIXED_MTRRS, GeneralRegisters, Segment, VariableMtrr,
    VcpuState,
};
use kvm_bindings::{
    KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_RUNNABLE,
    KVM_MP_STATE_UNINITIALIZED, Msrs, kvm_debugregs, kvm_dtable, kvm_mp_state, kvm_msr_entry,
    kvm_regs, kvm_segment, kvm_sregs, kvm_xcr, kvm_xcrs,
};
use kvm_ioctls::VcpuFd;

use crate::failure::Failure;
use crate::fpu;

/// Where an MSR stands in the state.
type Field = fn(&mut VcpuState) -> &mut u64;

/// The MSRs that are read one by one and have a field of their own, apart from the MTRRs.
const MSRS: [(u32, Field); 15] = [
    (0x10, |s| &mut s.msrs.tsc),
    (0x48, |s| &mut s.msrs.spec_ctrl),
    (0x174, |s| &mut s.msrs.sysenter_cs),
    (0x175, |s| &mut s.msrs.sysenter_esp),
    (0x176, |s| &mut s.msrs.sysenter_eip),
    (0x1A0, |s| &mut s.msrs.misc_enable),
    (0x1D9, |s| &mut s.msrs.debugctl),
    (0x277, |s| &mut s.msrs.pat),
    (0x2FF, |s| &mut s.msrs.mtrrs.default_type),
    (0xDA0, |s| &mut s.msrs.xss),
    (0xC000_0081, |s| &mut s.msrs.star),
    (0xC000_0082, |s| &mut s.msrs.lstar),
    (0xC000_0083, |s| &mut s.msrs.cstar),
    (0xC000_0084, |s| &mut s.msrs.fmask),
    (0xC000_0102, |s| &mut s.msrs.kernel_gs_base),
];
const TSC_AUX: u32 = 0xC000_0103;
const FIRST_VARIABLE_MTRR: u32 = 0x200;

/// Loads a fresh vCPU with the registers of `state`.
///
/// Registers in which `state` is as after a reset are left as KVM set them: KVM's own reset state
/// differs from the SDM's in places that no guest depends on, and the calls that are not made are
/// time that a guest starts earlier.
pub(crate) fn load(vcpu: &VcpuFd, state: &VcpuState) -> Result<(), Failure> {
    let reset = VcpuState::reset(0);
    if state.activity != Activity::Active {
        let mp_state = match state.activity {
            Activity::Halted => KVM_MP_STATE_HALTED,
            _ => KVM_MP_STATE_UNINITIALIZED,
        };
        vcpu.set_mp_state(kvm_mp_state { mp_state }).map_err(Failure::kvm("set activity"))?;
    }
    let mut sregs = vcpu.get_sregs().map_err(Failure::kvm("get system registers"))?;
    write_sregs(state, &mut sregs);
    vcpu.set_sregs(&sregs).map_err(Failure::kvm("set system registers"))?;
    vcpu.set_regs(&to_regs(state)).map_err(Failure::kvm("set general registers"))?;
    if state.fpu != reset.fpu {
        fpu::load(vcpu, &state.fpu)?;
    }
    if state.debug != reset.debug {
        let mut debug =
            kvm_debugregs { dr6: state.debug.dr6, dr7: state.debug.dr7, ..Default::default() };
        debug.db = state.debug.address;
        vcpu.set_debug_regs(&debug).map_err(Failure::kvm("set debug registers"))?;
    }
    if state.xcr0 != reset.xcr0 {
        let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..Default::default() };
        xcrs.xcrs[0] = kvm_xcr { xcr: 0, value: state.xcr0, ..Default::default() };
        vcpu.set_xcrs(&xcrs).map_err(Failure::kvm("set XCR0"))?;
    }
    set_changed_msrs(vcpu, state, &reset)
}

fn set_changed_msrs(vcpu: &VcpuFd, state: &VcpuState, reset: &VcpuState) -> Result<(), Failure> {
    let (mut state, mut reset) = (*state, *reset);
    let mut changed = Vec::new();
    let mut add = |index, data, before| {
        if data != before {
            changed.push(kvm_msr_entry { index, data, ..Default::default() });
        }
    };
    for (index, field) in MSRS {
        add(index, *field(&mut state), *field(&mut reset));
    }
    let (ours, theirs) = (&state.msrs.mtrrs, &reset.msrs.mtrrs);
    for (at, (_, index, ..)) in FIXED_MTRRS.iter().enumerate() {
        add(*index, ours.fixed[at], theirs.fixed[at]);
    }
    for (index, (new, old)) in (0..).zip(ours.variable.iter().zip(theirs.variable)) {
        add(FIRST_VARIABLE_MTRR + 2 * index, new.base, old.base);
        add(FIRST_VARIABLE_MTRR + 2 * index + 1, new.mask, old.mask);
    }
    add(TSC_AUX, state.msrs.tsc_aux, reset.msrs.tsc_aux);
    if changed.is_empty() {
        return Ok(());
    }
    let count = changed.len();
    let msrs = Msrs::from_entries(&changed)
        .map_err(|_| Failure::Image(format!("{count} MSRs are more than KVM takes at once")))?;
    let done = vcpu.set_msrs(&msrs).map_err(Failure::kvm("set MSRs"))?;
    match changed.get(done) {
        None => Ok(()),
        Some(refused) => Err(Failure::Image(format!(
            "KVM refuses the value {:#x} for MSR {:#x}",
            refused.data, refused.index
        ))),
    }
}

/// Reads the registers that a debugger shows: general, control and segment registers, x87 and SSE, and
/// what the CPU does.
pub(crate) fn read_core(vcpu: &VcpuFd) -> Result<VcpuState, Failure> {
    let mut state = VcpuState::reset(0);
    let regs = vcpu.get_regs().map_err(Failure::kvm("get general registers"))?;
    let sregs = vcpu.get_sregs().map_err(Failure::kvm("get system registers"))?;
    read_regs(&mut state, &regs);
    read_sregs(&mut state, &sregs);
    state.fpu = fpu::read(vcpu)?;
    if let Ok(mp_state) = vcpu.get_mp_state() {
        state.activity = match mp_state.mp_state {
            KVM_MP_STATE_RUNNABLE => Activity::Active,
            KVM_MP_STATE_HALTED => Activity::Halted,
            KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED => Activity::WaitForSipi,
            _ => Activity::Shutdown,
        };
    }
    Ok(state)
}

/// Writes those of the general, x87 and SSE registers that are other than before.
pub(crate) fn write_general(
    vcpu: &VcpuFd,
    old: &VcpuState,
    new: &VcpuState,
) -> Result<(), Failure> {
    if to_regs(old) != to_regs(new) {
        vcpu.set_regs(&to_regs(new)).map_err(Failure::kvm("set general registers"))?;
    }
    if old.fpu != new.fpu {
        fpu::load(vcpu, &new.fpu)?;
    }
    Ok(())
}

/// Reads all registers that KVM gives.
///
/// What it does not give (SMBASE, PKRU, the shadow stack, MSRs that the CPU lacks) is as after a
/// reset.
pub(crate) fn read(vcpu: &VcpuFd) -> Result<VcpuState, Failure> {
    let mut state = read_core(vcpu)?;
    let debug = vcpu.get_debug_regs().map_err(Failure::kvm("get debug registers"))?;
    state.debug.address = debug.db;
    state.debug.dr6 = debug.dr6;
    state.debug.dr7 = debug.dr7;
    if let Ok(xcrs) = vcpu.get_xcrs() {
        state.xcr0 = xcrs.xcrs[0].value;
    }
    for (index, field) in MSRS {
        if let Some(value) = read_msr(vcpu, index) {
            *field(&mut state) = value;
        }
    }
    if let Some(value) = read_msr(vcpu, TSC_AUX) {
        state.msrs.tsc_aux = value;
    }
    for (at, (_, index, ..)) in FIXED_MTRRS.iter().enumerate() {
        state.msrs.mtrrs.fixed[at] = read_msr(vcpu, *index).unwrap_or_default();
    }
    for (index, range) in (0..).zip(&mut state.msrs.mtrrs.variable) {
        let base = read_msr(vcpu, FIRST_VARIABLE_MTRR + 2 * index).unwrap_or_default();
        let mask = read_msr(vcpu, FIRST_VARIABLE_MTRR + 2 * index + 1).unwrap_or_default();
        *range = VariableMtrr { base, mask };
    }
    Ok(state)
}

fn read_msr(vcpu: &VcpuFd, index: u32) -> Option<u64> {
    let mut msrs = Msrs::from_entries(&[kvm_msr_entry { index, ..Default::default() }]).ok()?;
    (vcpu.get_msrs(&mut msrs).ok()? == 1).then(|| msrs.as_slice()[0].data)
}

fn to_regs(state: &VcpuState) -> kvm_regs {
    let g = &state.general;
    kvm_regs {
        rax: g.rax,
        rbx: g.rbx,
        rcx: g.rcx,
        rdx: g.rdx,
        rsi: g.rsi,
        rdi: g.rdi,
        rsp: g.rsp,
        rbp: g.rbp,
        r8: g.r8,
        r9: g.r9,
        r10: g.r10,
        r11: g.r11,
        r12: g.r12,
        r13: g.r13,
        r14: g.r14,
        r15: g.r15,
        rip: state.rip,
        rflags: state.rflags,
    }
}

fn read_regs(state: &mut VcpuState, regs: &kvm_regs) {
    state.general = GeneralRegisters {
        rax: regs.rax,
        rbx: regs.rbx,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        rbp: regs.rbp,
        rsp: regs.rsp,
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
    };
    state.rip = regs.rip;
    state.rflags = regs.rflags;
}

fn write_sregs(state: &VcpuState, sregs: &mut kvm_sregs) {
    sregs.cs = to_segment(state.cs);
    sregs.ds = to_segment(state.ds);
    sregs.es = to_segment(state.es);
    sregs.fs = to_segment(state.fs);
    sregs.gs = to_segment(state.gs);
    sregs.ss = to_segment(state.ss);
    sregs.ldt = to_segment(state.ldtr);
    sregs.tr = to_segment(state.tr);
    sregs.gdt = to_table(state.gdtr);
    sregs.idt = to_table(state.idtr);
    sregs.cr0 = state.cr0;
    sregs.cr2 = state.cr2;
    sregs.cr3 = state.cr3;
    sregs.cr4 = state.cr4;
    sregs.cr8 = state.cr8;
    sregs.efer = state.efer;
    sregs.apic_base = state.msrs.apic_base;
}

fn read_sregs(state: &mut VcpuState, sregs: &kvm_sregs) {
    state.cs = from_segment(&sregs.cs);
    state.ds = from_segment(&sregs.ds);
    state.es = from_segment(&sregs.es);
    state.fs = from_segment(&sregs.fs);
    state.gs = from_segment(&sregs.gs);
    state.ss = from_segment(&sregs.ss);
    state.ldtr = from_segment(&sregs.ldt);
    state.tr = from_segment(&sregs.tr);
    state.gdtr = DescriptorTable { base: sregs.gdt.base, limit: sregs.gdt.limit };
    state.idtr = DescriptorTable { base: sregs.idt.base, limit: sregs.idt.limit };
    state.cr0 = sregs.cr0;
    state.cr2 = sregs.cr2;
    state.cr3 = sregs.cr3;
    state.cr4 = sregs.cr4;
    state.cr8 = sregs.cr8;
    state.efer = sregs.efer;
    state.msrs.apic_base = sregs.apic_base;
}

fn to_table(table: DescriptorTable) -> kvm_dtable {
    kvm_dtable { base: table.base, limit: table.limit, ..Default::default() }
}

fn to_segment(segment: Segment) -> kvm_segment {
    let bits = segment.access.0;
    let bit = |at: u32| u8::from(bits >> at & 1 != 0);
    let [low, ..] = bits.to_le_bytes();
    kvm_segment {
        base: segment.base,
        limit: segment.limit,
        selector: segment.selector,
        type_: low & 0xF,
        present: bit(7),
        dpl: low >> 5 & 3,
        db: bit(14),
        s: bit(4),
        l: bit(13),
        g: bit(15),
        avl: bit(12),
        unusable: bit(16),
        padding: 0,
    }
}

fn from_segment(segment: &kvm_segment) -> Segment {
    let bit = |value: u8, at: u32| u32::from(value & 1) << at;
    Segment {
        selector: segment.selector,
        base: segment.base,
        limit: segment.limit,
        access: AccessRights(
            u32::from(segment.type_ & 0xF)
                | bit(segment.s, 4)
                | u32::from(segment.dpl & 3) << 5
                | bit(segment.present, 7)
                | bit(segment.avl, 12)
                | bit(segment.l, 13)
                | bit(segment.db, 14)
                | bit(segment.g, 15)
                | bit(segment.unusable, 16),
        ),
    }
}
