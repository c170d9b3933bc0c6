//! What the image says of a case, in a line.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use vmx::{FieldEncoding, Outcome, RuleId};

/// What the processor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// One of the outcomes that the checker knows; [`Outcome::MsrLoading`] only with the number of
    /// an entry that the checker names.
    Outcome(Outcome),
    /// VMfailValid with another number.
    Error(u32),
    /// A failed entry with another reason or qualification.
    Exit(u32, u64),
}

/// A case and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number of the case.
    pub number: u32,
    /// The state that it was made from.
    pub base: usize,
    /// The time-stamp counter before the entry, which in Bochs is its clock.
    pub ticks: u64,
    /// What the processor did.
    pub observed: Observed,
    /// What the checker says it may do.
    pub predicted: Vec<Outcome>,
    /// The rules that the checker says are broken.
    pub broken: Vec<RuleId>,
    /// The rules of which it says that they can't be checked or decided.
    pub open: Vec<RuleId>,
    /// The fields that were changed.
    pub changes: Vec<(FieldEncoding, u64)>,
    /// What was changed besides fields, in words without spaces.
    pub around: Vec<String>,
}

/// Outcomes and their letters.
const LETTERS: [(Outcome, char); 14] = [
    (Outcome::InvalidOpcode, 'u'),
    (Outcome::GeneralProtection, 'g'),
    (Outcome::FailInvalid, 'i'),
    (Outcome::BlockedByMovSs, 'b'),
    (Outcome::NotClear, 'c'),
    (Outcome::NotLaunched, 'l'),
    (Outcome::InvalidControls, '7'),
    (Outcome::InvalidHostState, '8'),
    (Outcome::GuestState, '0'),
    (Outcome::GuestPdptes, '2'),
    (Outcome::GuestNmiInjection, '3'),
    (Outcome::GuestLinkPointer, '4'),
    (Outcome::MsrLoading, 'm'),
    (Outcome::Success, 's'),
];

fn letter(outcome: Outcome) -> char {
    LETTERS.into_iter().find(|(known, _)| *known == outcome).map_or('?', |(_, letter)| letter)
}

fn outcome(letter: char) -> Option<Outcome> {
    LETTERS.into_iter().find(|(_, known)| *known == letter).map(|(outcome, _)| outcome)
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Outcome(outcome) => write!(f, "{}", letter(outcome)),
            Self::Error(number) => write!(f, "e,{number:x}"),
            Self::Exit(reason, qualification) => write!(f, "x,{reason:x},{qualification:x}"),
        }
    }
}

/// Writes the line that [`Record::parse`] reads.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, base, ticks, observed, predicted, broken, open, changes, around } = self;
        write!(f, "case {number:x} {base:x} {ticks:x} {observed} ")?;
        predicted.iter().try_for_each(|outcome| write!(f, "{}", letter(*outcome)))?;
        for rules in [broken, open] {
            f.write_str(" -")?;
            rules.iter().try_for_each(|rule| write!(f, "{rule},"))?;
        }
        changes
            .iter()
            .try_for_each(|(field, value)| write!(f, " {:x}={value:x}", field.as_u32()))?;
        around.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

impl Record {
    /// Reads what the image wrote; `None` for any other line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("case ")?.split_ascii_whitespace();
        let mut word = || words.next();
        let number = u32::from_str_radix(word()?, 16).ok()?;
        let base = usize::from_str_radix(word()?, 16).ok()?;
        let ticks = hex(word()?)?;
        let observed = parse_observed(word()?)?;
        let predicted = word()?.chars().map(outcome).collect::<Option<_>>()?;
        let broken = parse_rules(word()?)?;
        let open = parse_rules(word()?)?;
        let (mut changes, mut around) = (Vec::new(), Vec::new());
        for word in words {
            match parse_change(word) {
                Some(change) => changes.push(change),
                None => around.push(word.into()),
            }
        }
        Some(Self { number, base, ticks, observed, predicted, broken, open, changes, around })
    }

    /// Says all changes, with the names of the fields.
    #[must_use]
    pub fn changes_in_words(&self) -> String {
        let words = self
            .changes
            .iter()
            .map(|(field, value)| match field.info() {
                Some(info) => alloc::format!("{}={value:#x}", info.constant),
                None => alloc::format!("{:#x}={value:#x}", field.as_u32()),
            })
            .chain(self.around.iter().cloned());
        words.collect::<Vec<_>>().join(" ")
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn parse_observed(text: &str) -> Option<Observed> {
    let (kind, rest) = text.split_once(',').unwrap_or((text, ""));
    match kind {
        "e" => u32::from_str_radix(rest, 16).ok().map(Observed::Error),
        "x" => {
            let (reason, qualification) = rest.split_once(',')?;
            let reason = u32::from_str_radix(reason, 16).ok()?;
            Some(Observed::Exit(reason, hex(qualification)?))
        }
        _ => kind.chars().next().and_then(outcome).map(Observed::Outcome),
    }
}

fn parse_rules(text: &str) -> Option<Vec<RuleId>> {
    let names = text.strip_prefix('-')?.split(',').filter(|name| !name.is_empty());
    names.map(RuleId::parse).collect()
}

fn parse_change(text: &str) -> Option<(FieldEncoding, u64)> {
    let (field, value) = text.split_once('=')?;
    let field = FieldEncoding::new(u32::from_str_radix(field, 16).ok()?);
    Some((field, hex(value)?))
}
