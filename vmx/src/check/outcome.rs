//! What an entry does that breaks rules.

use core::fmt;

use super::{Finding, Rule, Section};
use crate::InstructionError;

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// #UD.
    InvalidOpcode,
    /// #GP(0).
    GeneralProtection,
    /// VMfailInvalid.
    FailInvalid,
    /// VMfailValid with error 26: events blocked by MOV SS.
    BlockedByMovSs,
    /// VMfailValid with error 4: VMLAUNCH with non-clear VMCS.
    NotClear,
    /// VMfailValid with error 5: VMRESUME with non-launched VMCS.
    NotLaunched,
    /// VMfailValid with error 7: invalid control fields.
    InvalidControls,
    /// VMfailValid with error 8: invalid host-state fields.
    InvalidHostState,
    /// An exit with reason 33, qualification 0: invalid guest state.
    GuestState,
    /// An exit with reason 33, qualification 2: invalid PDPTEs.
    GuestPdptes,
    /// An exit with reason 33, qualification 3: NMI injection into blocking by STI.
    GuestNmiInjection,
    /// An exit with reason 33, qualification 4: invalid VMCS link pointer.
    GuestLinkPointer,
    /// An exit with reason 34: MSR loading; its qualification is the number of the entry.
    MsrLoading,
    /// The guest runs.
    Success,
}

impl Outcome {
    /// Every outcome, in the order of the stages of an entry.
    pub const ALL: [Self; 14] = [
        Self::InvalidOpcode,
        Self::GeneralProtection,
        Self::FailInvalid,
        Self::BlockedByMovSs,
        Self::NotClear,
        Self::NotLaunched,
        Self::InvalidControls,
        Self::InvalidHostState,
        Self::GuestState,
        Self::GuestPdptes,
        Self::GuestNmiInjection,
        Self::GuestLinkPointer,
        Self::MsrLoading,
        Self::Success,
    ];

    /// Returns the number in the VM-instruction error field, if the instruction fails with one.
    #[must_use]
    pub const fn instruction_error(self) -> Option<InstructionError> {
        match self {
            Self::BlockedByMovSs => Some(InstructionError::BLOCKED_BY_MOV_SS),
            Self::NotClear => Some(InstructionError::LAUNCH_NOT_CLEAR),
            Self::NotLaunched => Some(InstructionError::RESUME_NOT_LAUNCHED),
            Self::InvalidControls => Some(InstructionError::ENTRY_CONTROLS),
            Self::InvalidHostState => Some(InstructionError::ENTRY_HOST_STATE),
            _ => None,
        }
    }

    /// Returns the exit qualification, if the entry fails on the guest's state.
    #[must_use]
    pub const fn guest_qualification(self) -> Option<u64> {
        match self {
            Self::GuestState => Some(0),
            Self::GuestPdptes => Some(2),
            Self::GuestNmiInjection => Some(3),
            Self::GuestLinkPointer => Some(4),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.instruction_error() {
            return write!(f, "VMfailValid with {error}");
        }
        if let Some(qualification) = self.guest_qualification() {
            return write!(
                f,
                "VM exit 0x80000021 (invalid guest state), qualification {qualification}"
            );
        }
        f.write_str(match self {
            Self::InvalidOpcode => "#UD",
            Self::GeneralProtection => "#GP(0)",
            Self::FailInvalid => "VMfailInvalid",
            Self::MsrLoading => "VM exit 0x80000022 (MSR loading)",
            _ => "the guest runs",
        })
    }
}

/// A set of outcomes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct OutcomeSet(u16);

impl OutcomeSet {
    /// Adds an outcome.
    pub const fn insert(&mut self, outcome: Outcome) {
        self.0 |= 1 << outcome as u16;
    }

    /// Tells whether an outcome is in the set.
    #[must_use]
    pub const fn contains(self, outcome: Outcome) -> bool {
        self.0 & 1 << outcome as u16 != 0
    }

    /// Returns the outcomes, in the order of the stages of an entry.
    pub fn iter(self) -> impl Iterator<Item = Outcome> {
        Outcome::ALL.into_iter().filter(move |outcome| self.contains(*outcome))
    }
}

impl fmt::Debug for OutcomeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Returns the stage of the entry at which a rule is checked. A stage is reached only if none
/// before it failed; within a stage the order is open. The basic checks have an order of their own.
///
/// # Source
/// Intel SDM Vol. 3C, chapter "VM Entries", the steps of a VM entry; "Basic VM-Entry Checks".
const fn stage(rule: &Rule) -> u8 {
    match rule.id.section {
        Section::Basic => rule.id.number,
        Section::Execution | Section::Exit | Section::Entry | Section::Host => 100,
        Section::Guest
        | Section::Segments
        | Section::DescriptorTables
        | Section::Rip
        | Section::NonRegister
        | Section::Pdptes => 101,
        Section::MsrLoad => 102,
    }
}

/// What an entry may do by the findings so far, which come in the order of the rules.
#[derive(Debug, Default)]
pub(super) struct Admissible {
    outcomes: OutcomeSet,
    stage: u8,
    /// Whether a rule of the stage is broken.
    failed: bool,
    /// Whether a rule of a stage before is: then no later one counts.
    is_over: bool,
}

impl Admissible {
    pub(super) fn add(&mut self, rule: &Rule, finding: &Finding) {
        let stage = stage(rule);
        if stage != self.stage {
            self.is_over |= self.failed;
            self.stage = stage;
        }
        match finding {
            Finding::Holds => {}
            // What a rule that cannot fail leads to is no stage's failure.
            _ if self.is_over || rule.outcome == Outcome::Success => {}
            Finding::Broken(_) => {
                self.failed = true;
                self.outcomes.insert(rule.outcome);
            }
            Finding::NotCheckable(_) | Finding::NotDecidable(_) => {
                self.outcomes.insert(rule.outcome);
            }
        }
    }

    pub(super) fn outcomes(mut self) -> OutcomeSet {
        if !self.failed {
            self.outcomes.insert(Outcome::Success);
        }
        self.outcomes
    }
}
