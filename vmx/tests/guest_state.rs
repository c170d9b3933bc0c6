//! A CPU's state in the VMCS, and read back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use std::sync::atomic::AtomicU64;

use guest_state::{Activity, Gpa, VcpuState, WordMemory, cr0, cr4, efer};
use vmx::{
    EntryControls, PrimaryControls, SecondaryControls, VmcsAccess, VmcsSnapshot, VmxCaps, field,
    read_guest_cr0, read_guest_state, read_pdptes, uses_pae_paging, write_guest_cr0,
    write_guest_cr4, write_guest_state, write_pdptes,
};

fn caps() -> &'static VmxCaps {
    VmxCaps::model("tigerlake").unwrap()
}

fn vmcs(unrestricted: bool) -> VmcsSnapshot {
    let mut vmcs = VmcsSnapshot::zeroed(caps());
    let primary = PrimaryControls::ACTIVATE_SECONDARY_CONTROLS;
    vmcs.write(field::PRIMARY_CONTROLS, primary.bits()).unwrap();
    let mut secondary = SecondaryControls::ENABLE_EPT;
    secondary.set(SecondaryControls::UNRESTRICTED_GUEST, unrestricted);
    vmcs.write(field::SECONDARY_CONTROLS, secondary.bits()).unwrap();
    vmcs
}

#[test]
fn the_reset_state_enters_as_the_manual_wants_it() {
    let mut vmcs = vmcs(true);
    write_guest_state(&mut vmcs, caps(), &VcpuState::reset(0)).unwrap();
    // NE and ET, with NE, CD and NW hidden; VMXE, hidden.
    assert_eq!(vmcs.read(field::GUEST_CR0), Ok(0x30));
    assert_eq!(vmcs.read(field::CR0_GUEST_HOST_MASK), Ok(0x6000_0020));
    assert_eq!(vmcs.read(field::CR0_READ_SHADOW), Ok(0x6000_0010));
    assert_eq!(vmcs.read(field::GUEST_CR4), Ok(0x2000));
    assert_eq!(vmcs.read(field::CR4_GUEST_HOST_MASK), Ok(0x2000));
    assert_eq!(vmcs.read(field::CR4_READ_SHADOW), Ok(0));
    assert_eq!(vmcs.read(field::GUEST_CS_BASE), Ok(0xFFFF_0000));
    assert_eq!(vmcs.read(field::GUEST_CS_ACCESS_RIGHTS), Ok(0x9B));
    assert_eq!(vmcs.read(field::GUEST_LDTR_ACCESS_RIGHTS), Ok(0x82));
    assert_eq!(vmcs.read(field::GUEST_TR_ACCESS_RIGHTS), Ok(0x8B));
    assert_eq!(vmcs.read(field::GUEST_DR7), Ok(0x400));
    assert_eq!(vmcs.read(field::VMCS_LINK_POINTER), Ok(u64::MAX));
    assert_eq!(vmcs.read(field::ENTRY_CONTROLS), Ok(0));
}

/// What the VMCS does not hold; the round trip starts with it.
fn rest_of(state: &VcpuState) -> VcpuState {
    let mut rest = VcpuState::reset(0);
    let rsp = rest.general.rsp;
    rest.general = state.general;
    rest.general.rsp = rsp;
    rest.cr2 = state.cr2;
    rest.cr8 = state.cr8;
    rest.xcr0 = state.xcr0;
    rest.pkru = state.pkru;
    rest.debug.dr6 = state.debug.dr6;
    rest.debug.address = state.debug.address;
    rest.fpu = state.fpu;
    rest.msrs = state.msrs;
    rest
}

#[test]
fn a_state_comes_back_as_it_went_in() {
    let mut long = VcpuState::long_mode(0xFFFF_8000_0010_0000, Gpa::new(0x9000));
    long.general.rsp = 0xFFFF_8000_0020_0000;
    long.rflags = 0x202;
    long.msrs.sysenter_eip = 0xFFFF_8000_0030_0000;
    long.msrs.pat = 0x0007_0406_0007_0401;
    let mut halted = VcpuState::flat32(0x10_0000);
    halted.activity = Activity::Halted;
    let waiting = VcpuState::reset_application_processor(0);
    for state in [VcpuState::reset(0), long, halted, waiting] {
        let mut vmcs = vmcs(true);
        write_guest_state(&mut vmcs, caps(), &state).unwrap();
        let mut back = rest_of(&state);
        read_guest_state(&vmcs, &mut back).unwrap();
        state.for_each_difference(&back, |name, was, is| panic!("{name}: {was:#x}, {is:#x}"));
    }
}

#[test]
fn a_guest_that_is_not_unrestricted_keeps_protection_and_paging() {
    let mut vmcs = vmcs(false);
    write_guest_state(&mut vmcs, caps(), &VcpuState::flat32(0)).unwrap();
    let real = vmcs.read(field::GUEST_CR0).unwrap();
    assert_eq!(real & (cr0::PE | cr0::PG | cr0::NE), cr0::PE | cr0::PG | cr0::NE);
    let mask = vmcs.read(field::CR0_GUEST_HOST_MASK).unwrap();
    assert_eq!(mask & (cr0::PE | cr0::PG), cr0::PE | cr0::PG);
    assert_eq!(read_guest_cr0(&vmcs), Ok(cr0::PE | cr0::ET));
}

#[test]
fn switching_paging_on_with_lme_makes_the_guest_long_mode_and_off_ends_it() {
    let mut vmcs = vmcs(true);
    let mut state = VcpuState::flat32(0);
    state.efer = efer::LME;
    write_guest_state(&mut vmcs, caps(), &state).unwrap();
    let is_long = |vmcs: &VmcsSnapshot| {
        let entry = EntryControls::from_bits_retain(vmcs.read(field::ENTRY_CONTROLS).unwrap());
        let lma = vmcs.read(field::GUEST_EFER).unwrap() & efer::LMA != 0;
        assert_eq!(entry.contains(EntryControls::IA32E_MODE_GUEST), lma);
        lma
    };
    assert!(!is_long(&vmcs));
    write_guest_cr4(&mut vmcs, caps(), cr4::PAE).unwrap();
    write_guest_cr0(&mut vmcs, caps(), cr0::PG | cr0::PE | cr0::ET).unwrap();
    assert!(is_long(&vmcs));
    write_guest_cr0(&mut vmcs, caps(), cr0::PE | cr0::ET).unwrap();
    assert!(!is_long(&vmcs));
    assert_eq!(vmcs.read(field::GUEST_EFER), Ok(efer::LME));
    assert_eq!(vmcs.read(field::GUEST_CR4), Ok(cr4::PAE | cr4::VMXE));
}

#[test]
fn a_segment_that_is_not_present_is_unusable() {
    let mut vmcs = vmcs(true);
    let mut state = VcpuState::flat32(0);
    state.gs = guest_state::Segment::default();
    write_guest_state(&mut vmcs, caps(), &state).unwrap();
    assert_eq!(vmcs.read(field::GUEST_GS_ACCESS_RIGHTS), Ok(0x1_0000));
    assert_eq!(vmcs.read(field::GUEST_DS_ACCESS_RIGHTS), Ok(0xC093));
}

#[test]
fn pae_paging_is_neither_32_bit_nor_long_mode_paging() {
    let mut state = VcpuState::flat32(0);
    assert!(!uses_pae_paging(&state));
    state.cr0 |= cr0::PG;
    assert!(!uses_pae_paging(&state));
    state.cr4 |= cr4::PAE;
    assert!(uses_pae_paging(&state));
    assert!(!uses_pae_paging(&VcpuState::long_mode(0, Gpa::new(0))));
}

#[test]
fn pdptes_are_the_four_entries_at_cr3() {
    let words: Vec<_> = (0..512).map(AtomicU64::new).collect();
    let memory = WordMemory::new(Gpa::new(0x1000), &words);
    // The low five bits of CR3 are no part of the address.
    assert_eq!(read_pdptes(&memory, 0x1020 | 0x18), Ok([4, 5, 6, 7]));
    assert!(read_pdptes(&memory, 0x1FF0).is_ok());
    assert!(read_pdptes(&memory, 0x2000).is_err());
    let mut vmcs = vmcs(true);
    write_pdptes(&mut vmcs, [1, 2, 3, 4]).unwrap();
    assert_eq!(vmcs.read(field::GUEST_PDPTE0), Ok(1));
    assert_eq!(vmcs.read(field::GUEST_PDPTE3), Ok(4));
}
