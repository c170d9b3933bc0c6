//! What KVM sets on a new CPU, register by register, beside what the SDM says.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use guest_state::{Gpa, VcpuState};

use crate::power::Host;
use crate::registers;
use crate::sys::HostMemory;

/// Where KVM departs from the SDM: the register, KVM's value if it is always the same, and whether
/// every KVM does it.
const DEVIATIONS: [(&str, Option<u128>, Always); 6] = [
    // A CPU of family 6, until the caller's CPUID says another.
    ("rdx", Some(0x600), Always::Yes),
    // As FNINIT leaves it.
    ("fcw", Some(0x37F), Always::Yes),
    // All empty, as FNINIT leaves it: KVM knows the abridged tag word only.
    ("ftw", Some(0xFFFF), Always::Yes),
    // Fast strings are on. Model dependent in the SDM.
    ("misc_enable", Some(1), Always::Yes),
    // It counts from the CPU's creation on.
    ("tsc", None, Always::No),
    // kvm-amd: an available TSS, which SVM does not mind.
    ("tr.access", Some(0x83), Always::No),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Always {
    Yes,
    No,
}

#[test]
fn kvm_departs_from_the_sdm_only_where_it_is_known_to() {
    let host = Host::open().unwrap();
    let memory = Arc::new(HostMemory::new(Gpa::new(1 << 20), None).unwrap());
    let vm = host.create_vm(memory, false).unwrap();
    let vcpu = vm.create_vcpu(0).unwrap();
    let found = registers::read(vcpu.fd()).unwrap();
    let mut departures = Vec::new();
    VcpuState::reset(host.cpu_signature()).for_each_difference(&found, |name, ours, theirs| {
        println!("{name}: SDM {ours:#x}, KVM {theirs:#x}");
        departures.push((name, theirs));
    });
    for (name, theirs) in &departures {
        let known = DEVIATIONS.iter().find(|(known, ..)| known == name);
        let (_, value, _) = known.unwrap_or_else(|| panic!("{name} is {theirs:#x}"));
        assert!(value.is_none_or(|value| value == *theirs), "{name} is {theirs:#x}");
    }
    for (name, ..) in DEVIATIONS.iter().filter(|(_, _, always)| *always == Always::Yes) {
        assert!(departures.iter().any(|(found, _)| found == name), "{name} is as in the SDM");
    }
}

#[test]
fn every_register_that_is_loaded_is_read_back() {
    let host = Host::open().unwrap();
    let memory = Arc::new(HostMemory::new(Gpa::new(1 << 20), None).unwrap());
    let vm = host.create_vm(memory, false).unwrap();
    let mut state = VcpuState::long_mode(0x1234, Gpa::new(0x5000));
    state.general.r13 = 0xDEAD_BEEF;
    state.fpu.xmm[7] = 0x0123_4567_89AB_CDEF_0011_2233_4455_6677;
    state.fpu.fcw = 0x37F;
    state.fpu.mxcsr = 0x1FA0;
    state.debug.address[2] = 0x7000;
    state.msrs.lstar = 0xFFFF_8000_0000_1000;
    state.msrs.mtrrs.default_type = 0x806;
    let vcpus = host.create_vcpus(&vm, &[state], false).unwrap();
    let found = registers::read(vcpus[0].fd()).unwrap();
    let mut differences = Vec::new();
    // The TSC runs, and KVM has its own value for what was left as after a reset.
    let known = ["tsc", "misc_enable", "ftw"];
    state.for_each_difference(&found, |name, ours, theirs| {
        if !known.contains(&name) {
            differences.push(format!("{name}: loaded {ours:#x}, read {theirs:#x}"));
        }
    });
    assert_eq!(differences, Vec::<String>::new());
}
