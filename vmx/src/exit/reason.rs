//! Why the guest exited: the number, and what else the field says.

use core::fmt;

/// The exit-reason field, whole.
///
/// | bits | meaning |
/// |---|---|
/// | 15:0 | basic reason |
/// | 25 | a shadow stack was left busy too early |
/// | 26 | a bus lock was asserted |
/// | 27 | the exit came from enclave mode |
/// | 28 | an MTF exit is pending |
/// | 29 | the exit came from VMX root operation |
/// | 31 | the entry failed |
///
/// # Source
/// Intel SDM Vol. 3C, "Basic VM-Exit Information".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ExitReason(pub u32);

impl ExitReason {
    /// Returns the basic reason, bits 15:0.
    #[must_use]
    #[inline]
    pub const fn basic(self) -> BasicReason {
        let [low, high, ..] = self.0.to_le_bytes();
        BasicReason(u16::from_le_bytes([low, high]))
    }

    /// Tells whether a shadow stack was left busy too early.
    #[must_use]
    pub const fn left_shadow_stack_busy(self) -> bool {
        self.0 & 1 << 25 != 0
    }

    /// Tells whether a bus lock was asserted.
    #[must_use]
    pub const fn asserted_bus_lock(self) -> bool {
        self.0 & 1 << 26 != 0
    }

    /// Tells whether the exit came from enclave mode.
    #[must_use]
    pub const fn from_enclave(self) -> bool {
        self.0 & 1 << 27 != 0
    }

    /// Tells whether an MTF exit is pending.
    #[must_use]
    pub const fn has_pending_mtf(self) -> bool {
        self.0 & 1 << 28 != 0
    }

    /// Tells whether the exit came from VMX root operation: an SMM exit.
    #[must_use]
    pub const fn from_root(self) -> bool {
        self.0 & 1 << 29 != 0
    }

    /// Tells whether the entry failed, so that the guest did not run.
    #[must_use]
    #[inline]
    pub const fn is_entry_failure(self) -> bool {
        self.0 & 1 << 31 != 0
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitReason({:#x})", self.0)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.basic())?;
        for (holds, text) in [
            (self.is_entry_failure(), "entry failed"),
            (self.left_shadow_stack_busy(), "shadow stack left busy"),
            (self.asserted_bus_lock(), "bus lock"),
            (self.from_enclave(), "from enclave mode"),
            (self.has_pending_mtf(), "pending MTF exit"),
            (self.from_root(), "from VMX root operation"),
        ] {
            if holds {
                write!(f, ", {text}")?;
            }
        }
        Ok(())
    }
}

/// The basic exit reason. Any number is one, known or not.
///
/// # Source
/// Intel SDM Vol. 3D, "VMX Basic Exit Reasons".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct BasicReason(pub u16);

macro_rules! basic_reasons {
    ($($number:literal $constant:ident: $name:literal;)+) => {
        impl BasicReason {
            $(
                #[doc = concat!($name, ".")]
                pub const $constant: Self = Self($number);
            )+

            /// Returns what the SDM calls the reason, or `None` for a number that it does not list.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}

basic_reasons! {
    0 EXCEPTION_OR_NMI: "exception or NMI";
    1 EXTERNAL_INTERRUPT: "external interrupt";
    2 TRIPLE_FAULT: "triple fault";
    3 INIT: "INIT signal";
    4 SIPI: "start-up IPI";
    5 IO_SMI: "I/O SMI";
    6 OTHER_SMI: "other SMI";
    7 INTERRUPT_WINDOW: "interrupt window";
    8 NMI_WINDOW: "NMI window";
    9 TASK_SWITCH: "task switch";
    10 CPUID: "CPUID";
    11 GETSEC: "GETSEC";
    12 HLT: "HLT";
    13 INVD: "INVD";
    14 INVLPG: "INVLPG";
    15 RDPMC: "RDPMC";
    16 RDTSC: "RDTSC";
    17 RSM: "RSM";
    18 VMCALL: "VMCALL";
    19 VMCLEAR: "VMCLEAR";
    20 VMLAUNCH: "VMLAUNCH";
    21 VMPTRLD: "VMPTRLD";
    22 VMPTRST: "VMPTRST";
    23 VMREAD: "VMREAD";
    24 VMRESUME: "VMRESUME";
    25 VMWRITE: "VMWRITE";
    26 VMXOFF: "VMXOFF";
    27 VMXON: "VMXON";
    28 CR_ACCESS: "control-register access";
    29 DR_ACCESS: "MOV DR";
    30 IO: "I/O instruction";
    31 RDMSR: "RDMSR";
    32 WRMSR: "WRMSR";
    33 ENTRY_FAILURE_GUEST_STATE: "VM-entry failure due to invalid guest state";
    34 ENTRY_FAILURE_MSR: "VM-entry failure due to MSR loading";
    36 MWAIT: "MWAIT";
    37 MONITOR_TRAP_FLAG: "monitor trap flag";
    39 MONITOR: "MONITOR";
    40 PAUSE: "PAUSE";
    41 ENTRY_FAILURE_MACHINE_CHECK: "VM-entry failure due to machine-check event";
    43 TPR_BELOW_THRESHOLD: "TPR below threshold";
    44 APIC_ACCESS: "APIC access";
    45 VIRTUALIZED_EOI: "virtualized EOI";
    46 GDTR_IDTR_ACCESS: "access to GDTR or IDTR";
    47 LDTR_TR_ACCESS: "access to LDTR or TR";
    48 EPT_VIOLATION: "EPT violation";
    49 EPT_MISCONFIGURATION: "EPT misconfiguration";
    50 INVEPT: "INVEPT";
    51 RDTSCP: "RDTSCP";
    52 PREEMPTION_TIMER: "VMX-preemption timer expired";
    53 INVVPID: "INVVPID";
    54 WBINVD: "WBINVD or WBNOINVD";
    55 XSETBV: "XSETBV";
    56 APIC_WRITE: "APIC write";
    57 RDRAND: "RDRAND";
    58 INVPCID: "INVPCID";
    59 VMFUNC: "VMFUNC";
    60 ENCLS: "ENCLS";
    61 RDSEED: "RDSEED";
    62 PML_FULL: "page-modification log full";
    63 XSAVES: "XSAVES";
    64 XRSTORS: "XRSTORS";
    65 PCONFIG: "PCONFIG";
    66 SPP: "SPP-related event";
    67 UMWAIT: "UMWAIT";
    68 TPAUSE: "TPAUSE";
    69 LOADIWKEY: "LOADIWKEY";
    70 ENCLV: "ENCLV";
    72 ENQCMD_PASID: "ENQCMD PASID translation failure";
    73 ENQCMDS_PASID: "ENQCMDS PASID translation failure";
    74 BUS_LOCK: "bus lock";
    75 INSTRUCTION_TIMEOUT: "instruction timeout";
    76 SEAMCALL: "SEAMCALL";
    77 TDCALL: "TDCALL";
    78 RDMSRLIST: "RDMSRLIST";
    79 WRMSRLIST: "WRMSRLIST";
    80 URDMSR: "URDMSR";
    81 UWRMSR: "UWRMSR";
    84 RDMSR_IMMEDIATE: "RDMSR with an immediate operand";
    85 WRMSRNS_IMMEDIATE: "WRMSRNS with an immediate operand";
}

impl BasicReason {
    /// Tells whether the exit is due to the attempt to execute an instruction, whose length the
    /// VMCS then gives.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Information for VM Exits Due to Instruction Execution".
    #[must_use]
    pub const fn is_instruction(self) -> bool {
        matches!(
            self.0,
            10..=32 | 36 | 39 | 40 | 46 | 47 | 50 | 51 | 53..=55 | 57..=61 | 63..=65 | 67..=70
                | 72 | 73 | 76..=81 | 84 | 85
        )
    }
}

impl fmt::Debug for BasicReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicReason({})", self.0)
    }
}

impl fmt::Display for BasicReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "exit reason {}", self.0),
        }
    }
}
