//! Power-on: memory, a virtual machine, and its CPUs with their registers.

use std::sync::Arc;

use boot_plan::{BootPlan, MemoryMap};
use guest_state::{MemoryKind, VcpuState};
use kvm_bindings::{CpuId, KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X86_USER_SPACE_MSR, kvm_enable_cap};
use kvm_ioctls::{
    Cap, Error as Errno, Kvm, MsrExitReason, MsrFilterDefaultAction, MsrFilterRange,
    MsrFilterRangeFlags, VmFd,
};
use machine::Xen;

use crate::failure::Failure;
use crate::files::MappedFiles;
use crate::registers;
use crate::sys::{HostMemory, Vcpu, Vm};
use crate::{cpuid, failure};

/// Three pages that KVM uses on Intel CPUs without unrestricted guest, and one for page tables:
/// above the local APIC, below any firmware.
const TSS_ADDRESS: usize = 0xFEFF_D000;
const IDENTITY_MAP_ADDRESS: u64 = 0xFEFF_C000;
/// The pins of an I/O APIC that is outside of KVM.
const IO_APIC_PINS: u64 = 24;

/// What every power-on needs: an open `/dev/kvm`, and what it can do.
#[derive(Debug)]
pub(crate) struct Host {
    kvm: Kvm,
    cpuid: CpuId,
}

impl Host {
    /// Opens `/dev/kvm`.
    pub(crate) fn open() -> Result<Self, Failure> {
        let kvm = Kvm::new().map_err(|error| Failure::NoKvm(no_kvm(error)))?;
        if kvm.get_api_version() != 12 {
            return Err(Failure::NoKvm("it is not KVM's device".to_owned()));
        }
        for (capability, name) in [
            (Cap::SplitIrqchip, "split interrupt controller (Linux 4.4)"),
            (Cap::ImmediateExit, "immediate exit (Linux 4.12)"),
        ] {
            if !kvm.check_extension(capability) {
                return Err(Failure::NoKvm(format!("this kernel's KVM has no {name}")));
            }
        }
        let cpuid = cpuid::supported(&kvm)?;
        Ok(Self { kvm, cpuid })
    }

    /// Returns CPUID leaf 1, EAX, of the CPUs that guests get.
    pub(crate) fn cpu_signature(&self) -> u32 {
        cpuid::signature(&self.cpuid)
    }

    /// Tells whether KVM can leave a CPU's registers where we see them, at each exit (Linux 4.17).
    pub(crate) fn keeps_registers(&self) -> bool {
        self.kvm.check_extension(Cap::SyncRegs)
    }

    /// Makes a virtual machine around `memory`, without memory slots and CPUs. If it is to show the
    /// guest Xen, writes to Xen's MSR come as exits.
    pub(crate) fn create_vm(
        &self,
        memory: Arc<HostMemory>,
        shows_xen: bool,
    ) -> Result<Vm, Failure> {
        let fd = self.kvm.create_vm().map_err(Failure::kvm("create a virtual machine"))?;
        fd.set_identity_map_address(IDENTITY_MAP_ADDRESS)
            .map_err(Failure::kvm("set the identity map"))?;
        fd.set_tss_address(TSS_ADDRESS).map_err(Failure::kvm("set the TSS"))?;
        let mut split = kvm_enable_cap { cap: KVM_CAP_SPLIT_IRQCHIP, ..Default::default() };
        split.args[0] = IO_APIC_PINS;
        fd.enable_cap(&split).map_err(Failure::kvm("split the interrupt controller"))?;
        if shows_xen {
            pass_on_hypercall_msr(&fd)?;
        }
        Ok(Vm::new(fd, memory))
    }

    /// Makes its CPUs with the registers of `states`.
    pub(crate) fn create_vcpus(
        &self,
        vm: &Vm,
        states: &[VcpuState],
        shows_xen: bool,
    ) -> Result<Vec<Vcpu>, Failure> {
        let cpuid = if shows_xen { &cpuid::with_xen(&self.cpuid)? } else { &self.cpuid };
        let count = u32::try_from(states.len()).unwrap_or(u32::MAX);
        let mut vcpus = Vec::with_capacity(states.len());
        for (index, state) in (0..count).zip(states) {
            let vcpu = vm.create_vcpu(index).map_err(Failure::kvm("create a CPU"))?;
            let leaves = cpuid::for_cpu(cpuid, index, count);
            vcpu.fd().set_cpuid2(&leaves).map_err(Failure::kvm("set CPUID"))?;
            // What waits for its SIPI waits so from the start.
            if index == 0 {
                registers::load(vcpu.fd(), state)?;
            }
            vcpus.push(vcpu);
        }
        Ok(vcpus)
    }
}

/// Has KVM pass on what the guest writes to Xen's MSR, which KVM takes for one of Hyper-V's.
fn pass_on_hypercall_msr(vm: &VmFd) -> Result<(), Failure> {
    const DENIED: [u8; 1] = [0];
    let mut exits = kvm_enable_cap { cap: KVM_CAP_X86_USER_SPACE_MSR, ..Default::default() };
    exits.args[0] = MsrExitReason::Filter.bits().into();
    vm.enable_cap(&exits).map_err(Failure::kvm("pass on accesses to MSRs (Linux 5.10)"))?;
    let range = MsrFilterRange {
        flags: MsrFilterRangeFlags::WRITE,
        base: Xen::HYPERCALL_MSR,
        msr_count: 1,
        bitmap: &DENIED,
    };
    vm.set_msr_filter(MsrFilterDefaultAction::ALLOW, &[range])
        .map_err(Failure::kvm("pass on writes to an MSR"))
}

/// Allocates fresh memory for a plan, and puts into it what the plan says: pages of `files` as they
/// are, all else as copies.
pub(crate) fn allocate(
    plan: &BootPlan<'_>,
    files: &MappedFiles<'_>,
) -> Result<HostMemory, Failure> {
    let ram = plan.memory.ranges(MemoryKind::RAM);
    let end = ram.map(|range| range.end()).max().unwrap_or_default();
    // The map's last range of RAM may be cut short by what the machine keeps at its end.
    let listed = plan.memory.regions().iter().map(|region| region.range.end());
    let low_end = listed.filter(|end| *end <= MemoryMap::PC_HOLE_START).max().unwrap_or_default();
    let high_end = (end > MemoryMap::PC_HOLE_END).then_some(end);
    let mut memory =
        HostMemory::new(low_end, high_end).map_err(Failure::host("allocate memory"))?;
    for rom in plan.roms() {
        memory.add_rom(rom).map_err(Failure::host("allocate ROM"))?;
    }
    let mut mapped = Ok(());
    let applied = plan.apply_rest(&memory.ram, |placement| {
        files.place(&memory, placement).unwrap_or_else(|error| {
            // There may be nothing now where there was memory: not to be written.
            mapped = Err(error);
            0..usize::MAX
        })
    });
    mapped.map_err(Failure::host("map a file into guest memory"))?;
    applied.map_err(|error| Failure::Image(failure::in_full(&error)))?;
    Ok(memory)
}

fn no_kvm(error: Errno) -> String {
    let advice = match error.errno() {
        libc::ENOENT => {
            "load the module kvm_intel or kvm_amd, and see that virtualization is on in the \
             firmware set-up"
        }
        libc::EACCES => "it takes the rights of its group: add yourself to the group kvm",
        _ => "it can't be opened",
    };
    format!("{error}; {advice}")
}
