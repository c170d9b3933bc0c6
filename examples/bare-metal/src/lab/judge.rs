//! What a run shows: where the processor and the checker agree, and what explains the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bare_metal_image::lab::{Lab, Observed, Record};
use vmx::{Outcome, Rule, RuleId, Section, rules};

use super::messages;
use super::run::Report;

/// Which way the processor differs from the checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// It enters, or refuses for less, where the checker says that the rule is broken.
    Looser,
    /// It refuses, or names the rule in its log, where the checker says that it holds or is open.
    Stricter,
}

impl Direction {
    /// Reads the word that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Looser, Self::Stricter].into_iter().find(|known| known.to_string() == word)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Looser => "looser",
            Self::Stricter => "stricter",
        })
    }
}

/// A rule and the way in which it is treated differently.
pub type Difference = (RuleId, Direction);

/// What a run shows.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// How many entries did what.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// How often a rule alone was broken and the processor did what that leads to.
    pub alone: BTreeMap<RuleId, usize>,
    /// The same where other rules were broken or open too.
    pub in_company: BTreeMap<RuleId, usize>,
    /// How often a known difference explains what the processor did.
    pub differences: BTreeMap<Difference, usize>,
    /// What nothing explains.
    pub unexplained: Vec<String>,
    /// Of the refused entries, how many have a line in Bochs' log that names a rule which the
    /// checker says is broken or open.
    pub named: usize,
    /// How many have a line that names another.
    pub named_otherwise: usize,
    /// How many have none.
    pub unnamed: usize,
    /// Lines that are not known, and how often they came.
    pub unmapped: BTreeMap<String, usize>,
}

impl Judgement {
    /// Judges a run; `known` are the differences that may explain something.
    #[must_use]
    pub fn new(report: &Report, known: &BTreeSet<Difference>) -> Self {
        let mut judgement = Self::default();
        for (place, record) in report.records.iter().enumerate() {
            judgement.judge(record, report.log_of(place), known);
        }
        judgement
    }

    fn judge(&mut self, record: &Record, log: &[(u64, String)], known: &BTreeSet<Difference>) {
        let observed = match record.observed {
            Observed::Outcome(observed) => observed,
            Observed::Exit(34, _) => return self.other_entry(record, log, known),
            _ => return self.unexplained(record, log),
        };
        *self.outcomes.entry(observed).or_default() += 1;
        let said = self.said(observed, record, log);
        let agrees = record.predicted.contains(&observed);
        let stricter = said.iter().find(|rule| known.contains(&(**rule, Direction::Stricter)));
        let names_another = !said.is_empty() && !self.speaks_of(record, &said);
        match (agrees, names_another) {
            (true, false) => self.hit(record, observed, &said),
            (_, true) if stricter.is_some() => {
                self.count(stricter.copied(), Direction::Stricter);
            }
            (true, true) => self.unexplained(record, log),
            (false, _) => {
                let looser = explanation(record, observed, known);
                let stricter = stricter.copied().filter(|rule| record.open.contains(rule));
                if let Some(looser) = looser {
                    looser.into_iter().for_each(|r| self.count(Some(r), Direction::Looser));
                } else if stricter.is_some() {
                    self.count(stricter, Direction::Stricter);
                } else {
                    self.unexplained(record, log);
                }
            }
        }
    }

    /// Judges an MSR list that failed at another entry than the checker says: at a later one, if a
    /// rule is taken looser.
    fn other_entry(
        &mut self,
        record: &Record,
        log: &[(u64, String)],
        known: &BTreeSet<Difference>,
    ) {
        *self.outcomes.entry(Outcome::MsrLoading).or_default() += 1;
        let mut loose = record.broken.iter().filter(|rule| {
            rule.section == Section::MsrLoad && known.contains(&(**rule, Direction::Looser))
        });
        match loose.next() {
            Some(rule) if allowed(record, &[*rule]).contains(&Outcome::MsrLoading) => {
                self.count(Some(*rule), Direction::Looser);
            }
            _ => self.unexplained(record, log),
        }
    }

    /// Returns the rules that Bochs' log names of a refused entry.
    fn said(&mut self, observed: Outcome, record: &Record, log: &[(u64, String)]) -> Vec<RuleId> {
        if observed == Outcome::Success {
            return Vec::new();
        }
        let mut lines = log.iter().map(|(_, line)| line).filter(|line| messages::is_refusal(line));
        let first = lines.next();
        let names = first.and_then(|line| messages::rules(line));
        let said: Vec<_> = names.unwrap_or_default().split(' ').filter_map(RuleId::parse).collect();
        match (first, said.is_empty()) {
            (None, _) => self.unnamed += 1,
            (Some(line), true) => *self.unmapped.entry(line.clone()).or_default() += 1,
            _ if self.speaks_of(record, &said) => self.named += 1,
            _ => self.named_otherwise += 1,
        }
        said
    }

    /// Tells whether one of these rules is broken or open.
    fn speaks_of(&self, record: &Record, said: &[RuleId]) -> bool {
        said.iter().any(|rule| record.broken.contains(rule) || record.open.contains(rule))
    }

    /// Counts the rules that explain a refusal: one alone only if no open rule explains it as well, and
    /// the log names no other.
    fn hit(&mut self, record: &Record, observed: Outcome, said: &[RuleId]) {
        let leads_here = |rule: &&RuleId| outcome_of(**rule) == observed;
        let responsible: Vec<_> = record.broken.iter().filter(leads_here).collect();
        let is_named = |rule: &RuleId| said.is_empty() || said.contains(rule);
        let is_alone = record.broken.len() == 1
            && record.broken.iter().all(is_named)
            && !record.open.iter().any(|rule| leads_here(&rule) && is_named(rule));
        let hits = if is_alone { &mut self.alone } else { &mut self.in_company };
        responsible.into_iter().for_each(|rule| *hits.entry(*rule).or_default() += 1);
    }

    fn count(&mut self, rule: Option<RuleId>, direction: Direction) {
        if let Some(rule) = rule {
            *self.differences.entry((rule, direction)).or_default() += 1;
        }
    }

    fn unexplained(&mut self, record: &Record, log: &[(u64, String)]) {
        let Record { number, base, observed, predicted, broken, open, .. } = record;
        let log: Vec<_> = log.iter().map(|(_, line)| line.as_str()).collect();
        self.unexplained.push(format!(
            "case {number}, {}: does {observed:?}, predicted {predicted:?}, broken {broken:?}, open \
             {open:?}, changed {}; log: {}",
            Lab::base_name(*base),
            record.changes_in_words(),
            log.join("; "),
        ));
    }
}

/// Returns the fewest rules, of those that the processor may take looser, without which the rest
/// leads to what it did.
fn explanation(
    record: &Record,
    observed: Outcome,
    known: &BTreeSet<Difference>,
) -> Option<Vec<RuleId>> {
    let is_known = |rule: &&RuleId| known.contains(&(**rule, Direction::Looser));
    let looser: Vec<RuleId> = record.broken.iter().filter(is_known).copied().collect();
    let few = looser.len().min(12);
    let subsets = (1..1_u32 << few).map(|bits| {
        let chosen = looser.iter().enumerate().filter(move |(place, _)| bits >> place & 1 != 0);
        chosen.map(|(_, rule)| *rule).collect::<Vec<_>>()
    });
    subsets
        .filter(|ignored| allowed(record, ignored).contains(&observed))
        .min_by_key(|ignored| ignored.len())
}

/// What an entry may do by the manual with some rules left out: of the instruction, of the controls
/// and the host's state, of the guest's state, of the MSR list, the first of these that has a broken
/// rule.
fn allowed(record: &Record, ignored: &[RuleId]) -> BTreeSet<Outcome> {
    let stage = |rule: &RuleId| match rule.section {
        Section::Basic => 0,
        Section::Execution | Section::Exit | Section::Entry | Section::Host => 1,
        Section::MsrLoad => 3,
        _ => 2,
    };
    let mut allowed = BTreeSet::new();
    for current in 0..4 {
        let here = |rules: &[RuleId]| {
            let rules = rules.iter().filter(|rule| stage(rule) == current);
            rules.filter(|rule| !ignored.contains(rule)).map(|rule| outcome_of(*rule)).collect()
        };
        let open: Vec<_> = here(&record.open);
        allowed.extend(open.into_iter().filter(|outcome| *outcome != Outcome::Success));
        let broken: Vec<_> = here(&record.broken);
        if !broken.is_empty() {
            allowed.extend(broken);
            return allowed;
        }
    }
    allowed.insert(Outcome::Success);
    allowed
}

fn outcome_of(rule: RuleId) -> Outcome {
    find(rule).map_or(Outcome::Success, |rule| rule.outcome)
}

/// Returns a rule by its identifier.
#[must_use]
pub fn find(id: RuleId) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

/// Prints the figures of a run.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.outcomes.values().sum();
        writeln!(f, "{total} entries")?;
        for (outcome, count) in &self.outcomes {
            writeln!(f, "  {count:>6}  {outcome}")?;
        }
        let list = |hits: &BTreeMap<RuleId, usize>| {
            let words: Vec<_> =
                hits.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
            words.join(", ")
        };
        writeln!(f, "{} rules broken alone: {}", self.alone.len(), list(&self.alone))?;
        writeln!(f, "{} in company: {}", self.in_company.len(), list(&self.in_company))?;
        let unmapped: usize = self.unmapped.values().sum();
        writeln!(
            f,
            "refused entries of which Bochs' log names a rule that is broken or open: {}, another: \
             {}, without a line: {}, with a line that is not known: {unmapped}",
            self.named, self.named_otherwise, self.unnamed
        )?;
        for (line, count) in &self.unmapped {
            writeln!(f, "  {count:>6}  {line}")?;
        }
        for ((rule, direction), count) in &self.differences {
            writeln!(f, "{rule} {direction} {count}")?;
        }
        self.unexplained.iter().try_for_each(|line| writeln!(f, "UNEXPLAINED {line}"))
    }
}
