//! Exits: why the guest came back, and what the VMCS says about it.

mod instruction_info;
mod qualification;
mod reason;

pub use instruction_info::{InstructionInfo, TableInstruction};
pub use qualification::{
    ApicAccess, ApicAccessKind, CrAccess, DrAccess, EptAccess, EptViolation, GuestPaging, IoExit,
    StringIo, TaskSwitch, TaskSwitchSource,
};
pub use reason::{BasicReason, ExitReason};

use guest_state::{Gpa, Gva};

use crate::access::VmcsAccess;
use crate::{EventKind, InterruptionInfo, VmFail, field};

/// An exit, taken apart. Every exit reason has a variant; one that is in no public list is
/// [`Unknown`](Self::Unknown).
///
/// A variant without fields is an instruction or event of which the VMCS says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "a variant without words is the instruction of its name")]
pub enum Exit {
    /// An exception or an NMI that the exception bitmap or the pin-based controls let exit.
    Exception {
        event: InterruptionInfo,
        /// The error code, where the exception has one.
        error_code: Option<u32>,
        /// The faulting linear address for #PF, DR6's new bits for #DB.
        qualification: u64,
    },
    /// An external interrupt.
    ExternalInterrupt {
        /// The vector, if the exit acknowledged the interrupt.
        vector: Option<u8>,
    },
    TripleFault,
    /// INIT arrived.
    Init,
    /// A start-up IPI arrived.
    Sipi {
        vector: u8,
    },
    IoSmi,
    OtherSmi,
    /// An interrupt is possible now.
    InterruptWindow,
    /// An NMI is possible now.
    NmiWindow,
    TaskSwitch(TaskSwitch),
    Cpuid,
    Getsec,
    Hlt,
    Invd,
    Invlpg {
        linear: Gva,
    },
    Rdpmc,
    Rdtsc,
    Rsm,
    Vmcall,
    /// VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, VMXON, INVEPT, INVVPID or INVPCID, as the reason
    /// says; also RDRAND, RDSEED, TPAUSE, UMWAIT, LOADIWKEY, XSAVES, XRSTORS and the accesses to
    /// GDTR, IDTR, LDTR and TR.
    Operand {
        reason: BasicReason,
        /// The displacement of a memory operand.
        displacement: u64,
        info: InstructionInfo,
    },
    Vmlaunch,
    Vmresume,
    Vmxoff,
    CrAccess(CrAccess),
    DrAccess(DrAccess),
    Io(IoExit),
    Rdmsr,
    Wrmsr,
    /// The entry failed: the guest's state breaks a rule.
    EntryFailureGuestState {
        /// 2 for the PDPTEs, 3 for NMI injection, 4 for the link pointer, else 0.
        qualification: u64,
    },
    /// The entry failed: an entry of the MSR-load list can't be loaded.
    EntryFailureMsr {
        /// Which, from 1.
        entry: u64,
    },
    EntryFailureMachineCheck,
    Mwait,
    MonitorTrapFlag,
    Monitor,
    Pause,
    TprBelowThreshold,
    ApicAccess(ApicAccess),
    /// The guest ended an interrupt whose EOI-exit bit is set.
    VirtualizedEoi {
        vector: u8,
    },
    EptViolation(EptViolation),
    EptMisconfiguration {
        gpa: Gpa,
    },
    Rdtscp,
    PreemptionTimer,
    Wbinvd,
    Xsetbv,
    /// A write to the virtual-APIC page that needs more than the processor does.
    ApicWrite {
        /// The offset of the register within the page.
        offset: u16,
    },
    Vmfunc,
    Encls,
    PmlFull,
    Pconfig,
    /// Sub-page permissions could not be found or are misconfigured.
    Spp {
        /// Whether there was no entry; else it is misconfigured.
        is_miss: bool,
        gpa: Gpa,
    },
    Enclv,
    /// ENQCMD or ENQCMDS, as the reason says.
    PasidTranslation {
        reason: BasicReason,
    },
    BusLock,
    InstructionTimeout {
        /// Whether the guest's state is lost.
        context_is_invalid: bool,
    },
    Seamcall,
    Tdcall,
    /// RDMSRLIST, WRMSRLIST, URDMSR, UWRMSR, or RDMSR and WRMSRNS with an immediate operand, as the
    /// reason says.
    MsrExtension {
        reason: BasicReason,
        qualification: u64,
        info: InstructionInfo,
    },
    /// A reason that is in no public list.
    Unknown(BasicReason),
}

impl Exit {
    /// Takes apart the exit that `vmcs` describes; reads only the fields that the reason needs.
    ///
    /// # Errors
    /// As [`VmcsAccess::read`], if a field that the reason needs is lacking.
    #[inline]
    pub fn decode(vmcs: &impl VmcsAccess) -> Result<Self, VmFail> {
        Self::decode_reason(ExitReason(vmcs.read(field::EXIT_REASON)?), vmcs)
    }

    /// Takes apart an exit of a reason that is read already.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_reason(reason: ExitReason, vmcs: &impl VmcsAccess) -> Result<Self, VmFail> {
        let basic = reason.basic();
        let qualification = || vmcs.read(field::EXIT_QUALIFICATION);
        let info = || vmcs.read(field::EXIT_INSTRUCTION_INFO).map(InstructionInfo);
        Ok(match basic {
            BasicReason::EXCEPTION_OR_NMI => {
                let event = InterruptionInfo(vmcs.read(field::EXIT_INTERRUPTION_INFO)?);
                let error_code = match event.has_error_code() {
                    true => Some(vmcs.read(field::EXIT_INTERRUPTION_ERROR_CODE)?),
                    false => None,
                };
                Self::Exception { event, error_code, qualification: qualification()? }
            }
            BasicReason::EXTERNAL_INTERRUPT => {
                let event = InterruptionInfo(vmcs.read(field::EXIT_INTERRUPTION_INFO)?);
                Self::ExternalInterrupt { vector: event.is_valid().then_some(event.vector()) }
            }
            BasicReason::TRIPLE_FAULT => Self::TripleFault,
            BasicReason::INIT => Self::Init,
            BasicReason::SIPI => Self::Sipi { vector: low_byte(qualification()?) },
            BasicReason::IO_SMI => Self::IoSmi,
            BasicReason::OTHER_SMI => Self::OtherSmi,
            BasicReason::INTERRUPT_WINDOW => Self::InterruptWindow,
            BasicReason::NMI_WINDOW => Self::NmiWindow,
            BasicReason::TASK_SWITCH => Self::TaskSwitch(TaskSwitch::decode(qualification()?)),
            BasicReason::CPUID => Self::Cpuid,
            BasicReason::GETSEC => Self::Getsec,
            BasicReason::HLT => Self::Hlt,
            BasicReason::INVD => Self::Invd,
            BasicReason::INVLPG => Self::Invlpg { linear: Gva::new(qualification()?) },
            BasicReason::RDPMC => Self::Rdpmc,
            BasicReason::RDTSC => Self::Rdtsc,
            BasicReason::RSM => Self::Rsm,
            BasicReason::VMCALL => Self::Vmcall,
            BasicReason::VMLAUNCH => Self::Vmlaunch,
            BasicReason::VMRESUME => Self::Vmresume,
            BasicReason::VMXOFF => Self::Vmxoff,
            BasicReason::VMCLEAR
            | BasicReason::VMPTRLD
            | BasicReason::VMPTRST
            | BasicReason::VMREAD
            | BasicReason::VMWRITE
            | BasicReason::VMXON
            | BasicReason::INVEPT
            | BasicReason::INVVPID
            | BasicReason::INVPCID
            | BasicReason::GDTR_IDTR_ACCESS
            | BasicReason::LDTR_TR_ACCESS
            | BasicReason::RDRAND
            | BasicReason::RDSEED
            | BasicReason::UMWAIT
            | BasicReason::TPAUSE
            | BasicReason::LOADIWKEY
            | BasicReason::XSAVES
            | BasicReason::XRSTORS => {
                Self::Operand { reason: basic, displacement: qualification()?, info: info()? }
            }
            BasicReason::CR_ACCESS => Self::CrAccess(CrAccess::decode(qualification()?)),
            BasicReason::DR_ACCESS => Self::DrAccess(DrAccess::decode(qualification()?)),
            BasicReason::IO => Self::Io(decode_io(qualification()?, vmcs)?),
            BasicReason::RDMSR => Self::Rdmsr,
            BasicReason::WRMSR => Self::Wrmsr,
            BasicReason::ENTRY_FAILURE_GUEST_STATE => {
                Self::EntryFailureGuestState { qualification: qualification()? }
            }
            BasicReason::ENTRY_FAILURE_MSR => Self::EntryFailureMsr { entry: qualification()? },
            BasicReason::ENTRY_FAILURE_MACHINE_CHECK => Self::EntryFailureMachineCheck,
            BasicReason::MWAIT => Self::Mwait,
            BasicReason::MONITOR_TRAP_FLAG => Self::MonitorTrapFlag,
            BasicReason::MONITOR => Self::Monitor,
            BasicReason::PAUSE => Self::Pause,
            BasicReason::TPR_BELOW_THRESHOLD => Self::TprBelowThreshold,
            BasicReason::APIC_ACCESS => Self::ApicAccess(ApicAccess::decode(qualification()?)),
            BasicReason::VIRTUALIZED_EOI => {
                Self::VirtualizedEoi { vector: low_byte(qualification()?) }
            }
            BasicReason::EPT_VIOLATION => {
                let access = EptAccess(qualification()?);
                let linear = match access.has_linear() {
                    true => Some(Gva::new(vmcs.read(field::GUEST_LINEAR_ADDRESS)?)),
                    false => None,
                };
                let gpa = Gpa::new(vmcs.read(field::GUEST_PHYSICAL_ADDRESS)?);
                Self::EptViolation(EptViolation { gpa, linear, access })
            }
            BasicReason::EPT_MISCONFIGURATION => {
                let gpa = Gpa::new(vmcs.read(field::GUEST_PHYSICAL_ADDRESS)?);
                Self::EptMisconfiguration { gpa }
            }
            BasicReason::RDTSCP => Self::Rdtscp,
            BasicReason::PREEMPTION_TIMER => Self::PreemptionTimer,
            BasicReason::WBINVD => Self::Wbinvd,
            BasicReason::XSETBV => Self::Xsetbv,
            BasicReason::APIC_WRITE => {
                let [low, high, ..] = qualification()?.to_le_bytes();
                Self::ApicWrite { offset: u16::from_le_bytes([low, high & 0xF]) }
            }
            BasicReason::VMFUNC => Self::Vmfunc,
            BasicReason::ENCLS => Self::Encls,
            BasicReason::PML_FULL => Self::PmlFull,
            BasicReason::PCONFIG => Self::Pconfig,
            BasicReason::SPP => Self::Spp {
                is_miss: qualification()? & 1 << 11 != 0,
                gpa: Gpa::new(vmcs.read(field::GUEST_PHYSICAL_ADDRESS)?),
            },
            BasicReason::ENCLV => Self::Enclv,
            BasicReason::ENQCMD_PASID | BasicReason::ENQCMDS_PASID => {
                Self::PasidTranslation { reason: basic }
            }
            BasicReason::BUS_LOCK => Self::BusLock,
            BasicReason::INSTRUCTION_TIMEOUT => {
                Self::InstructionTimeout { context_is_invalid: qualification()? & 1 != 0 }
            }
            BasicReason::SEAMCALL => Self::Seamcall,
            BasicReason::TDCALL => Self::Tdcall,
            BasicReason::RDMSRLIST
            | BasicReason::WRMSRLIST
            | BasicReason::URDMSR
            | BasicReason::UWRMSR
            | BasicReason::RDMSR_IMMEDIATE
            | BasicReason::WRMSRNS_IMMEDIATE => {
                Self::MsrExtension { reason: basic, qualification: qualification()?, info: info()? }
            }
            other => Self::Unknown(other),
        })
    }
}

fn decode_io(qualification: u64, vmcs: &impl VmcsAccess) -> Result<IoExit, VmFail> {
    if qualification & 1 << 4 == 0 {
        return Ok(IoExit::decode(qualification, 0, 0));
    }
    let linear = vmcs.read(field::GUEST_LINEAR_ADDRESS)?;
    let info = vmcs.read(field::EXIT_INSTRUCTION_INFO)?;
    Ok(IoExit::decode(qualification, linear, info))
}

const fn low_byte(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

/// Returns the length in bytes of the instruction that exited, or `None` where the SDM leaves the
/// field undefined: an EPT violation's, for example, must be found by decoding the instruction.
///
/// # Errors
/// As [`VmcsAccess::read`].
///
/// # Source
/// Intel SDM Vol. 3C, "Information for VM Exits Due to Instruction Execution", VM-exit instruction
/// length.
pub fn instruction_length(vmcs: &impl VmcsAccess) -> Result<Option<u8>, VmFail> {
    let reason = ExitReason(vmcs.read(field::EXIT_REASON)?).basic();
    let software = |info: u32| {
        let event = InterruptionInfo(info);
        event.is_valid() && event.kind().is_software()
    };
    let delivering = || vmcs.read(field::IDT_VECTORING_INFO).map(software);
    let is_defined = match reason {
        BasicReason::EXCEPTION_OR_NMI => {
            let event = InterruptionInfo(vmcs.read(field::EXIT_INTERRUPTION_INFO)?);
            let raised = [EventKind::SoftwareException, EventKind::PrivilegedSoftwareException];
            raised.into_iter().any(|kind| event.is(kind)) || delivering()?
        }
        BasicReason::TASK_SWITCH => {
            let switch = TaskSwitch::decode(vmcs.read(field::EXIT_QUALIFICATION)?);
            switch.source != TaskSwitchSource::TaskGate || delivering()?
        }
        BasicReason::APIC_ACCESS
        | BasicReason::EPT_VIOLATION
        | BasicReason::PML_FULL
        | BasicReason::SPP => delivering()?,
        other => other.is_instruction(),
    };
    if !is_defined {
        return Ok(None);
    }
    let [length, ..] = vmcs.read(field::EXIT_INSTRUCTION_LENGTH)?.to_le_bytes();
    Ok(Some(length))
}
