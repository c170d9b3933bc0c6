//! The entry checker: which rule a VMCS breaks, before the processor says "error 7".
//!
//! The rules are data: each has an identifier, the words of what it wants, the title of the SDM's
//! section and what an entry does that breaks it. A rule is a function of a [`View`], which says
//! what holds, what is broken and with which field, and what it would need to know.

mod basic;
mod context;
mod execution;
mod exit_entry;
mod guest;
mod host;
mod msr_load;
#[cfg(test)]
mod negation;
mod nonregister;
mod outcome;
mod segments;
mod view;

pub use context::{EntryContext, EntryInstruction, MsrMasks};
use outcome::Admissible;
pub use outcome::{Outcome, OutcomeSet};

use core::fmt;

use view::{Stop, Verdict, View};

use crate::access::VmcsAccess;
use crate::{FieldEncoding, VmcsSnapshot, VmxCaps};

/// The section of the rules that a rule belongs to; with a number it is the rule's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// Basic checks of the instruction.
    Basic,
    /// VM-execution control fields.
    Execution,
    /// VM-exit control fields.
    Exit,
    /// VM-entry control fields.
    Entry,
    /// The host's state.
    Host,
    /// The guest's control and debug registers and MSRs.
    Guest,
    /// The guest's segment registers.
    Segments,
    /// The guest's descriptor-table registers.
    DescriptorTables,
    /// The guest's RIP, RFLAGS and SSP.
    Rip,
    /// The guest's non-register state.
    NonRegister,
    /// The guest's page-directory-pointer-table entries.
    Pdptes,
    /// The entry's MSR-load list.
    MsrLoad,
}

/// The identifier of a rule: `S12`, for example. It stays the same from version to version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The section.
    pub section: Section,
    /// The number within, from 1.
    pub number: u8,
}

impl RuleId {
    /// Makes the identifier of its letter and number, as `S12` reads; `None` if there is no such
    /// rule.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut characters = text.chars();
        let letter = characters.next()?;
        let number = characters.as_str().parse().ok()?;
        let known = |rule: &&Rule| rule.id.number == number && rule.id.letter() == letter;
        rules().find(known).map(|rule| rule.id)
    }

    const fn letter(self) -> char {
        match self.section {
            Section::Basic => 'B',
            Section::Execution => 'E',
            Section::Exit => 'X',
            Section::Entry => 'N',
            Section::Host => 'H',
            Section::Guest => 'G',
            Section::Segments => 'S',
            Section::DescriptorTables => 'D',
            Section::Rip => 'R',
            Section::NonRegister => 'M',
            Section::Pdptes => 'P',
            Section::MsrLoad => 'L',
        }
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.letter(), self.number)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A rule that a VM entry checks.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its identifier.
    pub id: RuleId,
    /// What it wants, in words.
    pub wanted: &'static str,
    /// The title of the section of the Intel SDM, Vol. 3C, chapter "VM Entries".
    pub title: &'static str,
    /// What an entry does that breaks it.
    pub outcome: Outcome,
    predicate: fn(&View<'_>) -> Verdict,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({}, {:?})", self.id, self.wanted)
    }
}

/// Makes a table of rules: number, what it wants, predicate; the outcome only where it differs.
macro_rules! rule_table {
    (
        $name:ident: $section:ident, $title:literal, $outcome:expr;
        $($number:literal $wanted:literal $(=> $other:expr)?, $predicate:expr;)+
    ) => {
        pub(super) const $name: &[crate::check::Rule] = &[$(
            crate::check::Rule {
                id: crate::check::RuleId {
                    section: crate::check::Section::$section,
                    number: $number,
                },
                wanted: $wanted,
                title: $title,
                outcome: rule_table!(@outcome $outcome $(, $other)?),
                predicate: $predicate,
            },
        )+];
    };
    (@outcome $outcome:expr) => { $outcome };
    (@outcome $outcome:expr, $other:expr) => { $other };
}
pub(crate) use rule_table;

/// The tables, in the order in which rules are listed.
const TABLES: &[&[Rule]] = &[
    basic::BASIC,
    execution::EXECUTION,
    exit_entry::EXIT,
    exit_entry::ENTRY,
    host::REGISTERS,
    host::SEGMENTS,
    host::ADDRESS_SPACE,
    host::EXTENDED,
    guest::REGISTERS,
    segments::SEGMENTS,
    segments::DESCRIPTOR_TABLES,
    guest::RIP,
    nonregister::NON_REGISTER,
    nonregister::PDPTES,
    msr_load::MSR_LOAD,
];

/// Returns all rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> + Clone {
    TABLES.iter().copied().flatten()
}

/// What a check found of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds, or does not apply to this VMCS.
    Holds,
    /// It is broken.
    Broken(Fault),
    /// It could not be checked, for lack of something.
    NotCheckable(Need),
    /// Whether the processor enforces it depends on the model, as these words say.
    NotDecidable(&'static str),
}

/// With which value a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field; `None` for what is not in the VMCS.
    pub field: Option<FieldEncoding>,
    /// Its value.
    pub value: u64,
    /// The bits that are wrong, where it is a matter of bits; else 0.
    pub bits: u64,
    /// Another field that it does not agree with.
    pub other: Option<(FieldEncoding, u64)>,
    /// The number of the entry of an MSR list, from 1, and the MSR's number.
    pub entry: Option<(u32, u32)>,
}

/// Shows what was found, in words.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, bits, other, entry } = self;
        match (field, entry) {
            (_, Some((number, msr))) => write!(f, "entry {number}, MSR {msr:#x}, is {value:#x}")?,
            (Some(field), None) => write!(f, "{field} is {value:#x}")?,
            (None, None) => write!(f, "it is {value}")?,
        }
        if *bits != 0 {
            write!(f, " (bits {bits:#x})")?;
        }
        match other {
            Some((field, value)) => write!(f, ", {field} is {value:#x}"),
            None => Ok(()),
        }
    }
}

/// What a rule needs that was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// A field that the snapshot lacks.
    Field(FieldEncoding),
    /// The processor's capabilities.
    Capabilities,
    /// Something of the [`EntryContext`], in words.
    Context(&'static str),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(f, "the field \"{field}\""),
            Self::Capabilities => f.write_str("the processor's capabilities"),
            Self::Context(words) => f.write_str(words),
        }
    }
}

/// A check of a VMCS: what each rule says, evaluated when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct EntryCheck<'a> {
    view: View<'a>,
}

/// Checks `vmcs` for an entry on a processor of these capabilities, outside of SMM.
///
/// # Examples
/// ```
/// use vmx::{VmcsSnapshot, VmxCaps, check, field};
///
/// let caps = VmxCaps::model("tigerlake").unwrap();
/// let mut vmcs = VmcsSnapshot::new();
/// vmcs.set(field::GUEST_RFLAGS.encoding(), 0);
/// let check = check(&vmcs, caps);
/// let (rule, fault) = check.broken().next().unwrap();
/// assert_eq!(rule.id.to_string(), "R4");
/// assert_eq!(fault.field, Some(field::GUEST_RFLAGS.encoding()));
/// ```
#[must_use]
pub fn check<'a>(vmcs: &'a VmcsSnapshot, caps: &'a VmxCaps) -> EntryCheck<'a> {
    EntryCheck::new(vmcs, Some(caps), EntryContext::OUTSIDE_SMM)
}

/// Copies the fields of `vmcs`, the processor's own for example, and calls `report` with each rule
/// that is broken. Returns what the entry does by them.
///
/// # Examples
/// After an entry that failed:
/// ```
/// # use vmx::{VmcsSnapshot, VmxCaps, check_live, EntryContext};
/// # let (vmcs, caps) = (VmcsSnapshot::new(), VmxCaps::model("tigerlake").unwrap());
/// check_live(&vmcs, caps, EntryContext::OUTSIDE_SMM, |rule, fault| {
///     println!("{}: {fault}; wanted: {}", rule.id, rule.wanted);
/// });
/// ```
pub fn check_live(
    vmcs: &impl VmcsAccess,
    caps: &VmxCaps,
    context: EntryContext<'_>,
    mut report: impl FnMut(&'static Rule, Fault),
) -> OutcomeSet {
    let snapshot = VmcsSnapshot::of(vmcs);
    EntryCheck::new(&snapshot, Some(caps), context).report(|rule, finding| {
        if let Finding::Broken(fault) = finding {
            report(rule, *fault);
        }
    })
}

impl<'a> EntryCheck<'a> {
    /// Checks `vmcs` on a processor of `caps`, with what is known of its surroundings. Without
    /// capabilities, rules that need them are checked as far as they hold on every processor.
    #[must_use]
    pub fn new(
        vmcs: &'a VmcsSnapshot,
        caps: Option<&'a VmxCaps>,
        context: EntryContext<'a>,
    ) -> Self {
        Self { view: View::new(vmcs, caps, context) }
    }

    /// Checks one rule.
    #[must_use]
    pub fn check(&self, rule: &Rule) -> Finding {
        let verdict = (rule.predicate)(&self.view);
        #[cfg(test)]
        let verdict = negation::turned_round(rule.id, verdict);
        match verdict {
            Ok(()) => Finding::Holds,
            Err(Stop::Broken(fault)) => Finding::Broken(fault),
            Err(Stop::Lacks(need)) => Finding::NotCheckable(need),
            Err(Stop::Undecidable(why)) => Finding::NotDecidable(why),
        }
    }

    /// Checks all rules, in order.
    pub fn findings(&self) -> impl Iterator<Item = (&'static Rule, Finding)> {
        rules().map(|rule| (rule, self.check(rule)))
    }

    /// Checks all rules, in order, calls `report` with each finding, and returns the
    /// [outcomes](Self::outcomes): both in one go.
    pub fn report(&self, mut report: impl FnMut(&'static Rule, &Finding)) -> OutcomeSet {
        let mut admissible = Admissible::default();
        for (rule, finding) in self.findings() {
            report(rule, &finding);
            admissible.add(rule, &finding);
        }
        admissible.outcomes()
    }

    /// Returns the rules that are broken.
    pub fn broken(&self) -> impl Iterator<Item = (&'static Rule, Fault)> {
        self.findings().filter_map(|(rule, finding)| match finding {
            Finding::Broken(fault) => Some((rule, fault)),
            _ => None,
        })
    }

    /// Returns what the entry may do by the SDM, which leaves the order of most checks open.
    ///
    /// A rule that could not be checked or decided counts as maybe broken: what it would lead to is
    /// in the set as well.
    #[must_use]
    pub fn outcomes(&self) -> OutcomeSet {
        self.report(|_, _| {})
    }
}
