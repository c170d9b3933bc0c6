//! What exit qualifications say, one type for each reason that has one.

use guest_state::{Gpa, Gva};

use super::InstructionInfo;

/// An access to a control register.
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for Control-Register Accesses".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrAccess {
    /// MOV to CR.
    MovTo {
        /// The number of the control register.
        cr: u8,
        /// The number of the general-purpose register.
        register: u8,
    },
    /// MOV from CR.
    MovFrom {
        /// The number of the control register.
        cr: u8,
        /// The number of the general-purpose register.
        register: u8,
    },
    /// CLTS.
    Clts,
    /// LMSW.
    Lmsw {
        /// The operand.
        source: u16,
        /// Whether it came from memory; the exit's linear address is then that of the operand.
        from_memory: bool,
    },
}

impl CrAccess {
    /// Takes apart an exit qualification.
    #[must_use]
    pub const fn decode(qualification: u64) -> Self {
        let [low, register, source0, source1, ..] = qualification.to_le_bytes();
        let (cr, register) = (low & 0xF, register & 0xF);
        match low >> 4 & 3 {
            0 => Self::MovTo { cr, register },
            1 => Self::MovFrom { cr, register },
            2 => Self::Clts,
            _ => Self::Lmsw {
                source: u16::from_le_bytes([source0, source1]),
                from_memory: low & 1 << 6 != 0,
            },
        }
    }
}

/// MOV to or from a debug register.
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for MOV DR".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DrAccess {
    /// The number of the debug register.
    pub dr: u8,
    /// The number of the general-purpose register.
    pub register: u8,
    /// Whether the debug register is read.
    pub is_read: bool,
}

impl DrAccess {
    /// Takes apart an exit qualification.
    #[must_use]
    pub const fn decode(qualification: u64) -> Self {
        let [low, register, ..] = qualification.to_le_bytes();
        Self { dr: low & 7, register: register & 0xF, is_read: low & 1 << 4 != 0 }
    }
}

/// IN, OUT, INS or OUTS.
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for I/O Instructions".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IoExit {
    /// The port.
    pub port: u16,
    /// 1, 2 or 4.
    pub size_bytes: u8,
    /// Whether it is IN or INS.
    pub is_in: bool,
    /// What is more to say of INS and OUTS.
    pub string: Option<StringIo>,
}

/// What is more to say of INS and OUTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StringIo {
    /// Whether there is a REP prefix. One exit is one iteration, unless the program does more.
    pub is_repeated: bool,
    /// The linear address of the memory operand, segment base included.
    pub linear: Gva,
    /// Address size and segment; means nothing where
    /// [`reports_string_io`](crate::VmxCaps::reports_string_io) is false.
    pub info: InstructionInfo,
}

impl IoExit {
    /// Takes apart an exit qualification; `linear` and `info` count only for INS and OUTS.
    #[must_use]
    pub const fn decode(qualification: u64, linear: u64, info: u32) -> Self {
        let [low, _, port0, port1, ..] = qualification.to_le_bytes();
        let string = StringIo {
            is_repeated: low & 1 << 5 != 0,
            linear: Gva::new(linear),
            info: InstructionInfo(info),
        };
        Self {
            port: u16::from_le_bytes([port0, port1]),
            size_bytes: match low & 7 {
                0 => 1,
                1 => 2,
                _ => 4,
            },
            is_in: low & 1 << 3 != 0,
            string: if low & 1 << 4 != 0 { Some(string) } else { None },
        }
    }
}

/// An access that EPT does not allow.
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for EPT Violations".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EptViolation {
    /// The guest-physical address.
    pub gpa: Gpa,
    /// The guest-linear address that led there, if one did.
    pub linear: Option<Gva>,
    /// What was tried and what is allowed.
    pub access: EptAccess,
}

/// The exit qualification of an EPT violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EptAccess(pub u64);

impl EptAccess {
    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 != 0
    }

    /// Tells whether data was read.
    #[must_use]
    pub const fn is_read(self) -> bool {
        self.bit(0)
    }

    /// Tells whether data was written.
    #[must_use]
    pub const fn is_write(self) -> bool {
        self.bit(1)
    }

    /// Tells whether an instruction was fetched.
    #[must_use]
    pub const fn is_fetch(self) -> bool {
        self.bit(2)
    }

    /// Tells whether EPT lets the page be read.
    #[must_use]
    pub const fn may_read(self) -> bool {
        self.bit(3)
    }

    /// Tells whether EPT lets the page be written.
    #[must_use]
    pub const fn may_write(self) -> bool {
        self.bit(4)
    }

    /// Tells whether EPT lets the page be executed, by a supervisor at least.
    #[must_use]
    pub const fn may_execute(self) -> bool {
        self.bit(5)
    }

    /// Tells whether EPT lets the page be executed by a user, under mode-based execute control.
    #[must_use]
    pub const fn user_may_execute(self) -> bool {
        self.bit(6)
    }

    /// Tells whether the guest-linear address means something.
    #[must_use]
    pub const fn has_linear(self) -> bool {
        self.bit(7)
    }

    /// Tells whether the access was to what the linear address translates to, not to a paging
    /// structure on the way there.
    #[must_use]
    pub const fn is_to_translation(self) -> bool {
        self.bit(8)
    }

    /// Returns what the guest's own paging says of the linear address, or `None` if the access was
    /// to no translation.
    ///
    /// It means nothing where the processor lacks
    /// [`EptVpidCaps::ADVANCED_EXIT_INFORMATION`](crate::EptVpidCaps).
    #[must_use]
    pub const fn guest_paging(self) -> Option<GuestPaging> {
        if !self.has_linear() || !self.is_to_translation() {
            return None;
        }
        Some(GuestPaging {
            is_user: self.bit(9),
            is_writable: self.bit(10),
            is_execute_disabled: self.bit(11),
        })
    }

    /// Tells whether the access came after an IRET that had ended blocking by NMI.
    #[must_use]
    pub const fn nmi_unblocked_by_iret(self) -> bool {
        self.bit(12)
    }

    /// Tells whether this was a shadow-stack access.
    #[must_use]
    pub const fn is_shadow_stack(self) -> bool {
        self.bit(13)
    }

    /// Tells whether EPT marks the page as a supervisor shadow stack.
    #[must_use]
    pub const fn is_supervisor_shadow_stack_page(self) -> bool {
        self.bit(14)
    }

    /// Tells whether guest-paging verification failed.
    #[must_use]
    pub const fn failed_verification(self) -> bool {
        self.bit(15)
    }

    /// Tells whether the access belongs to no instruction, such as a trace write.
    #[must_use]
    pub const fn is_asynchronous(self) -> bool {
        self.bit(16)
    }
}

/// What the guest's own paging says of a linear address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GuestPaging {
    /// A user may use it.
    pub is_user: bool,
    /// It may be written.
    pub is_writable: bool,
    /// It may not be executed.
    pub is_execute_disabled: bool,
}

/// A task switch.
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for Task Switches".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskSwitch {
    /// The selector of the new task's TSS.
    pub selector: u16,
    /// What switches.
    pub source: TaskSwitchSource,
}

/// What switches tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the first three are the instructions of their names")]
pub enum TaskSwitchSource {
    Call,
    Iret,
    Jmp,
    /// An event whose IDT entry is a task gate.
    TaskGate,
}

impl TaskSwitch {
    /// Takes apart an exit qualification.
    #[must_use]
    pub const fn decode(qualification: u64) -> Self {
        let [selector0, selector1, _, high, ..] = qualification.to_le_bytes();
        Self {
            selector: u16::from_le_bytes([selector0, selector1]),
            source: match high >> 6 {
                0 => TaskSwitchSource::Call,
                1 => TaskSwitchSource::Iret,
                2 => TaskSwitchSource::Jmp,
                _ => TaskSwitchSource::TaskGate,
            },
        }
    }
}

/// An access to the APIC-access page.
///
/// # Source
/// Intel SDM Vol. 3C, "Exit Qualification for APIC-Access VM Exits from Linear Accesses and
/// Guest-Physical Accesses".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApicAccess {
    /// The offset within the page; undefined for guest-physical accesses.
    pub offset: u16,
    /// What was tried.
    pub kind: ApicAccessKind,
    /// Whether the access belongs to no instruction.
    pub is_asynchronous: bool,
}

/// What was tried with the APIC-access page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApicAccessKind {
    /// A read by an instruction.
    Read,
    /// A write by an instruction.
    Write,
    /// An instruction fetch.
    Fetch,
    /// A read or write by the delivery of an event.
    EventDelivery,
    /// MONITOR.
    Monitor,
    /// A guest-physical access by the delivery of an event.
    PhysicalEventDelivery,
    /// A guest-physical access by an instruction.
    PhysicalInstruction,
    /// A number that the SDM does not list.
    Unknown(u8),
}

impl ApicAccess {
    /// Takes apart an exit qualification.
    #[must_use]
    pub const fn decode(qualification: u64) -> Self {
        let [low, high, flags, ..] = qualification.to_le_bytes();
        Self {
            offset: u16::from_le_bytes([low, high & 0xF]),
            kind: match high >> 4 {
                0 => ApicAccessKind::Read,
                1 => ApicAccessKind::Write,
                2 => ApicAccessKind::Fetch,
                3 => ApicAccessKind::EventDelivery,
                4 => ApicAccessKind::Monitor,
                10 => ApicAccessKind::PhysicalEventDelivery,
                15 => ApicAccessKind::PhysicalInstruction,
                other => ApicAccessKind::Unknown(other),
            },
            is_asynchronous: flags & 1 != 0,
        }
    }
}
