//! Rules turned round, to see that the tests notice each.

use std::cell::Cell;
use std::thread_local;
use std::vec::Vec;

use super::view::{Stop, Verdict};
use super::{Fault, Finding, RuleId, rules};
use crate::case::{Case, NEVER_BROKEN};
use crate::{control_witnesses, guest_witnesses, host_witnesses};

thread_local! {
    /// The rule whose predicate says the opposite on this thread.
    static NEGATED: Cell<Option<RuleId>> = const { Cell::new(None) };
}

/// Returns what a rule says, or the opposite if it is the one that is turned round.
pub(super) fn turned_round(rule: RuleId, verdict: Verdict) -> Verdict {
    if NEGATED.get() != Some(rule) {
        return verdict;
    }
    match verdict {
        Ok(()) => {
            let fault = Fault { field: None, value: 0, bits: 0, other: None, entry: None };
            Err(Stop::Broken(fault))
        }
        Err(Stop::Broken(_)) => Ok(()),
        other => other,
    }
}

fn id(name: &str) -> RuleId {
    RuleId::parse(name).unwrap()
}

/// Tells whether a state that should break no rule breaks none.
fn is_healthy(case: &Case) -> bool {
    let never_broken = NEVER_BROKEN.map(id);
    case.check().findings().all(|(rule, finding)| match finding {
        Finding::Holds => true,
        Finding::NotDecidable(_) => never_broken.contains(&rule.id),
        _ => false,
    })
}

/// Returns the rules that, turned round, leave `passes` true.
fn unnoticed(passes: impl Fn() -> bool) -> Vec<RuleId> {
    assert!(passes());
    let mut unnoticed = Vec::new();
    for rule in rules() {
        NEGATED.set(Some(rule.id));
        if passes() {
            unnoticed.push(rule.id);
        }
        NEGATED.set(None);
    }
    unnoticed
}

/// But for the rules that no state breaks for certain, and so have none.
#[test]
fn a_witness_notices_any_rule_turned_round() {
    let witnesses = || {
        [control_witnesses::ALL, host_witnesses::ALL, guest_witnesses::ALL].into_iter().flatten()
    };
    let mut never_broken = NEVER_BROKEN.map(id);
    never_broken.sort();
    assert_eq!(unnoticed(|| witnesses().all(|witness| witness.is_shown())), never_broken);
}

/// But for P3, which says what other rules leave out: there is nothing to turn round.
#[test]
fn the_state_that_breaks_no_rule_notices_any_rule_turned_round() {
    assert_eq!(unnoticed(|| is_healthy(&Case::new())), [id("P3")]);
}
