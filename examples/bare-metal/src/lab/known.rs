//! What is known of Bochs: the rules that it treats differently, and those that no run reaches.

use std::collections::{BTreeMap, BTreeSet};

use vmx::RuleId;

use super::judge::{Difference, Direction, find};

/// The committed lists.
const DIFFERENCES: &str = include_str!("differences.txt");
const UNVERIFIED: &str = include_str!("unverified.txt");

/// How often a difference explains something, on a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The model.
    pub model: &'static str,
    /// The rule and the direction.
    pub difference: Difference,
    /// How often, with as many entries as on every change and as in a full run.
    pub counts: [usize; 2],
}

/// Returns the rules that Bochs is known to treat differently.
///
/// # Errors
/// The first line that is not understood, names no rule, or has another title than the rule.
pub fn differences() -> Result<Vec<Known>, String> {
    lines(DIFFERENCES).map(|line| difference(line).ok_or_else(|| line.to_owned())).collect()
}

fn difference(line: &'static str) -> Option<Known> {
    let (head, rest) = line.split_once('|')?;
    let (title, why) = rest.split_once('|')?;
    let [model, rule, direction, first, second] =
        head.split_ascii_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let rule = RuleId::parse(rule)?;
    let is_title = find(rule)?.title == title.trim() && !why.trim().is_empty();
    is_title.then_some(Known {
        model,
        difference: (rule, Direction::parse(direction)?),
        counts: [first.parse().ok()?, second.parse().ok()?],
    })
}

/// Returns the differences that may explain something on a model.
#[must_use]
pub fn of_model(known: &[Known], model: &str) -> BTreeSet<Difference> {
    known.iter().filter(|known| known.model == model).map(|known| known.difference).collect()
}

/// Returns the rules that no full run reaches, each with the reason.
///
/// # Errors
/// The first line that is not understood.
pub fn unverified() -> Result<BTreeMap<RuleId, &'static str>, String> {
    lines(UNVERIFIED)
        .map(|line| {
            let (rule, why) = line.split_once(':').ok_or_else(|| line.to_owned())?;
            let rule = RuleId::parse(rule).ok_or_else(|| line.to_owned())?;
            Ok((rule, why.trim()))
        })
        .collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
