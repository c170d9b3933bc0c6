//! Every rule of the entry checker has a witness that holds and one that breaks. That each would
//! notice its rule turned round is tested in `src/check/negation.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

mod case;
mod control_witnesses;
mod guest_witnesses;
mod host_witnesses;
mod outcomes;
mod partial;

use std::collections::BTreeMap;

use case::{Case, NEVER_BROKEN, Witness};
use vmx::{Finding, RuleId, rules};

fn witnesses() -> impl Iterator<Item = &'static Witness> {
    [control_witnesses::ALL, host_witnesses::ALL, guest_witnesses::ALL].into_iter().flatten()
}

#[test]
fn there_are_224_rules_in_twelve_sections() {
    let mut sections = BTreeMap::<String, Vec<u8>>::new();
    for rule in rules() {
        let id = rule.id.to_string();
        sections.entry(id[..1].to_owned()).or_default().push(rule.id.number);
        assert_eq!(RuleId::parse(&id), Some(rule.id));
        assert!(!rule.wanted.is_empty() && !rule.wanted.contains("  "), "{id}");
    }
    let sizes = [
        ("B", 7),
        ("E", 51),
        ("X", 7),
        ("N", 16),
        ("H", 28),
        ("G", 25),
        ("S", 39),
        ("D", 4),
        ("R", 9),
        ("M", 28),
        ("P", 3),
        ("L", 7),
    ];
    assert_eq!(sizes.iter().map(|(_, size)| u32::from(*size)).sum::<u32>(), 224);
    for (letter, size) in sizes {
        assert_eq!(sections[letter], (1..=size).collect::<Vec<u8>>(), "{letter}");
    }
    assert_eq!(sections.len(), sizes.len());
    assert_eq!(RuleId::parse("S40"), None);
    assert_eq!(RuleId::parse("Z1"), None);
    assert_eq!(RuleId::parse(""), None);
}

#[test]
fn the_state_to_start_from_breaks_no_rule() {
    for (rule, finding) in Case::new().check().findings() {
        let undecided = NEVER_BROKEN.contains(&rule.id.to_string().as_str());
        assert!(finding == Finding::Holds || undecided, "{}: {finding:?}", rule.id);
    }
}

#[test]
fn every_rule_has_a_witness_that_holds_and_one_that_breaks() {
    for witness in witnesses() {
        assert!(witness.is_shown(), "{}", witness.rule);
    }
    for rule in rules() {
        let id = rule.id.to_string();
        let has_witness = witnesses().any(|witness| witness.rule == id);
        assert_ne!(has_witness, NEVER_BROKEN.contains(&id.as_str()), "{id}");
    }
}

#[test]
fn in_a_state_in_which_one_rule_holds_all_others_do() {
    for witness in witnesses() {
        let mut case = Case::new();
        (witness.holds)(&mut case);
        for other in rules() {
            let found = case.finding(other.id);
            let undecided = NEVER_BROKEN.contains(&other.id.to_string().as_str());
            let expected =
                found == Finding::Holds || (undecided && matches!(found, Finding::NotDecidable(_)));
            assert!(expected, "the state for {}: {} {found:?}", witness.rule, other.id);
        }
    }
}
