//! Bochs and the entry checker, side by side over entries with something wrong in them. Needs Bochs.

#![cfg(feature = "entry-rules-rig")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bare_metal::lab::{
    Difference, Judgement, Known, LabRun, differences, find, of_model, run, unverified,
};
use vmx::{RuleId, rules};

const MODELS: [&str; 3] = ["corei5_arrandale_m520", "corei7_haswell_4770", "tigerlake"];
const SEED: u32 = 1;
/// What Bochs 3.0 does not check and 3.1 does: blocking by NMI when an NMI is injected.
const RIGHT_IN_3_1: [&str; 1] = ["M16"];

/// Enters as many cases on each model, and compares what nothing else explains with the known
/// differences; `column` says with which of their counts.
fn judge(count: u32, column: usize, known: &[Known], bochs: Option<&Path>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    let mut complaints = Vec::new();
    for model in MODELS {
        let lab = LabRun { model, seed: SEED, first: 0, count, dry: false, bochs };
        let report = run(&lab).unwrap();
        assert_eq!(report.records.len(), usize::try_from(count).unwrap(), "{model}");
        // Which fields there are is said by the capabilities.
        assert_eq!(report.remarks, [""; 0], "{model}");
        let judgement = Judgement::new(&report, &of_model(known, model));
        println!("{model}: {judgement}");
        complaints.extend(judgement.unexplained.iter().map(|line| format!("{model}: {line}")));
        complaints.extend(judgement.unmapped.keys().map(|line| format!("{model} logs {line}")));
        complaints.extend(wrong_counts(model, known, column, &judgement.differences));
        judgements.push(judgement);
    }
    println!("{}", hits(&judgements));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    judgements
}

fn all_known() -> Vec<Known> {
    differences().expect("a line of differences.txt")
}

/// A known difference that explains more or fewer entries than it should.
fn wrong_counts(
    model: &str,
    known: &[Known],
    column: usize,
    found: &BTreeMap<Difference, usize>,
) -> Vec<String> {
    let wanted = known.iter().filter(|known| known.model == model);
    wanted
        .filter_map(|Known { difference, counts, .. }| {
            let (rule, direction) = difference;
            let found = found.get(difference).copied().unwrap_or(0);
            let wrong = found != counts[column];
            wrong.then(|| format!("{model} {rule} {direction}: {found}, not {}", counts[column]))
        })
        .collect()
}

/// The rules that some model was seen to enforce when nothing else was broken, or else at all.
fn reached(judgements: &[Judgement]) -> [BTreeSet<RuleId>; 2] {
    let all = |hits: fn(&Judgement) -> &BTreeMap<RuleId, usize>| {
        judgements.iter().flat_map(|judgement| hits(judgement).keys().copied()).collect()
    };
    [all(|judgement| &judgement.alone), all(|judgement| &judgement.in_company)]
}

fn hits(judgements: &[Judgement]) -> String {
    let [alone, company] = reached(judgements);
    let only: Vec<_> = company.difference(&alone).collect();
    let never = rules().map(|rule| rule.id);
    let never: Vec<_> = never.filter(|id| !alone.contains(id) && !company.contains(id)).collect();
    format!(
        "of {} rules {} were broken alone and enforced by a model, {} only in company: {only:?}; no \
         run reaches {}: {never:?}",
        rules().count(),
        alone.len(),
        only.len(),
        never.len()
    )
}

#[test]
fn bochs_does_what_the_checker_says() {
    let [alone, _] = reached(&judge(2_000, 0, &all_known(), None));
    let unverified = unverified().expect("a line of unverified.txt");
    let stale: Vec<_> = alone.iter().filter(|rule| unverified.contains_key(rule)).collect();
    assert!(stale.is_empty(), "unverified.txt lists what was reached: {stale:?}");
}

/// Ten times as many; and what is reached is what the committed list leaves.
#[test]
#[ignore = "takes minutes"]
fn bochs_does_what_the_checker_says_in_a_full_run() {
    let [alone, _] = reached(&judge(20_000, 1, &all_known(), None));
    let unverified = unverified().expect("a line of unverified.txt");
    let missing = rules().map(|rule| rule.id).filter(|id| !alone.contains(id));
    let missing: BTreeSet<_> = missing.collect();
    let listed: BTreeSet<_> = unverified.keys().copied().collect();
    let text = |rules: &BTreeSet<RuleId>| {
        rules.iter().map(|rule| format!("\n{rule}: {}", find(*rule).unwrap().wanted)).collect()
    };
    let [found, wanted]: [String; 2] = [text(&missing), text(&listed)];
    assert_eq!(found, wanted, "not reached, and listed as such");
}

/// Bochs 3.1 of Debian's sid, whose path the variable HVKIT_BOCHS_SID gives: what differs is what
/// differs in 3.0, with the same counts, but for what was put right.
#[test]
#[ignore = "needs another Bochs"]
fn the_next_bochs_does_what_the_checker_says() {
    let bochs = std::env::var_os("HVKIT_BOCHS_SID").expect("the variable HVKIT_BOCHS_SID");
    let is_open = |known: &Known| !RIGHT_IN_3_1.contains(&known.difference.0.to_string().as_str());
    let known: Vec<_> = all_known().into_iter().filter(is_open).collect();
    judge(2_000, 0, &known, Some(Path::new(&bochs)));
}

/// Every difference is seen, in one run at least: a line that explains nothing goes.
#[test]
fn no_line_of_the_list_is_idle() {
    let known = all_known();
    let idle: Vec<_> = known.iter().filter(|known| known.counts == [0, 0]).collect();
    assert!(idle.is_empty(), "{idle:?}");
    let places: BTreeSet<_> = known.iter().map(|known| (known.model, known.difference)).collect();
    assert_eq!(places.len(), known.len(), "a line stands twice");
}
