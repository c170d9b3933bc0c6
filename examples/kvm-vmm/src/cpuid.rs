//! The CPUID that a guest gets: what KVM supports, with the parts that differ from CPU to CPU.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::Kvm;
use machine::Xen;

use crate::failure::Failure;

/// Returns what KVM supports on this host.
pub(crate) fn supported(kvm: &Kvm) -> Result<CpuId, Failure> {
    kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(Failure::kvm("get supported CPUID"))
}

/// Returns leaf 1, EAX: family, model and stepping.
pub(crate) fn signature(cpuid: &CpuId) -> u32 {
    cpuid.as_slice().iter().find(|entry| entry.function == 1).map_or(0, |entry| entry.eax)
}

/// Returns the same with Xen as the hypervisor, and not KVM.
pub(crate) fn with_xen(supported: &CpuId) -> Result<CpuId, Failure> {
    const HYPERVISORS: std::ops::Range<u32> = 0x4000_0000..0x4001_0000;
    let others = supported.as_slice().iter().copied();
    let xens = Xen::leaves().map(|(function, [eax, ebx, ecx, edx])| kvm_cpuid_entry2 {
        function,
        eax,
        ebx,
        ecx,
        edx,
        ..Default::default()
    });
    let others = others.filter(|entry| !HYPERVISORS.contains(&entry.function));
    let entries: Vec<_> = others.chain(xens).collect();
    CpuId::from_entries(&entries)
        .map_err(|_| Failure::kvm("list CPUID leaves")(kvm_ioctls::Error::new(libc::E2BIG)))
}

/// Returns the leaves of CPU `index` of `count`, whose APIC id is its index.
pub(crate) fn for_cpu(supported: &CpuId, index: u32, count: u32) -> CpuId {
    let mut cpuid = supported.clone();
    // The number of APIC ids that a package spans: a power of two.
    let span = count.next_power_of_two();
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ebx = entry.ebx & 0x0000_FFFF | (span & 0xFF) << 16 | index << 24;
                // HTT says that the count in EBX means something.
                entry.edx = entry.edx & !(1 << 28) | u32::from(count > 1) << 28;
            }
            // Extended topology: one thread a core, all cores in one package.
            0xB | 0x1F => {
                entry.edx = index;
                (entry.eax, entry.ebx, entry.ecx) = match entry.index {
                    0 => (0, 1, 1 << 8),
                    1 => (span.trailing_zeros(), count, 2 << 8 | 1),
                    level => (0, 0, level),
                };
            }
            _ => {}
        }
    }
    cpuid
}
