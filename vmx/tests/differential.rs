//! The entry checker against entries that were made on an emulator.
//!
//! The data are 4,300 entries on each of three processors of Bochs 3.0: from states that enter (real
//! mode, 32-bit paging, PAE paging, 64-bit, virtual-8086) one to three fields were changed at
//! random, the entry made, and what it did written down. Entries that could have harmed the
//! hypervisor which made them were left out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use vmx::{
    EntryCheck, EntryContext, EntryInstruction, FieldEncoding, Finding, Outcome, Rule, RuleId,
    Section, VmcsSnapshot, VmxCaps, field, rules,
};

const DATA: [(&str, &str); 3] = [
    ("corei5_arrandale_m520", include_str!("data/bochs/corei5_arrandale_m520.txt")),
    ("corei7_haswell_4770", include_str!("data/bochs/corei7_haswell_4770.txt")),
    ("tigerlake", include_str!("data/bochs/tigerlake.txt")),
];

/// Which way the emulator differs from the manual.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// It enters where the rule is broken.
    Looser,
    /// It refuses where the rule holds.
    Stricter,
}

/// A rule that the emulator treats differently from the manual.
struct Difference {
    rule: &'static str,
    direction: Direction,
    /// How often that alone explains what it did, on each of the three processors.
    counts: [usize; 3],
}

/// The rules, their directions, and how often. Any other count fails.
const DIFFERENCES: &[Difference] = &[
    // A guest in real mode may be given an error code, where IA32_VMX_BASIC[56] is 1.
    Difference { rule: "N6", direction: Direction::Looser, counts: [0, 0, 22] },
    // So may kinds other than hardware exceptions.
    Difference { rule: "N7", direction: Direction::Looser, counts: [0, 0, 1] },
    // The size of an MSR list, 16 times its length, is taken in 32 bits.
    Difference { rule: "N13", direction: Direction::Stricter, counts: [0, 1, 0] },
    // An entry to SMM from outside is refused with the guest's state.
    Difference { rule: "N14", direction: Direction::Looser, counts: [24, 9, 11] },
    // Reserved bits of IA32_DEBUGCTL are not checked.
    Difference { rule: "G5", direction: Direction::Looser, counts: [6, 2, 3] },
    // What is injected into HLT is not checked.
    Difference { rule: "M4", direction: Direction::Looser, counts: [9, 9, 23] },
    // An NMI in blocking by STI is refused with qualification 0, not 3.
    Difference { rule: "M13", direction: Direction::Stricter, counts: [5, 6, 6] },
    // Blocking by NMI is not checked when an NMI is injected.
    Difference { rule: "M16", direction: Direction::Looser, counts: [11, 7, 9] },
    // Of the pending debug exceptions only bits 31:0 are read.
    Difference { rule: "M18", direction: Direction::Looser, counts: [7, 8, 12] },
    // Whether BS is as a single step makes it is not checked.
    Difference { rule: "M19", direction: Direction::Looser, counts: [15, 8, 23] },
    Difference { rule: "M20", direction: Direction::Looser, counts: [11, 7, 8] },
];

/// A case: what was changed, and what the entry did.
struct Case {
    line: usize,
    vmcs: VmcsSnapshot,
    does: Outcome,
    virtual_tpr_is_known: bool,
}

fn number(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

fn assignment(text: &str) -> (FieldEncoding, u64) {
    let (encoding, value) = text.split_once('=').unwrap();
    (FieldEncoding::new(u32::try_from(number(encoding)).unwrap()), number(value))
}

fn outcome(word: &str) -> Outcome {
    match word {
        "7" => Outcome::InvalidControls,
        "8" => Outcome::InvalidHostState,
        "33.0" => Outcome::GuestState,
        "33.2" => Outcome::GuestPdptes,
        "33.3" => Outcome::GuestNmiInjection,
        "33.4" => Outcome::GuestLinkPointer,
        "34" => Outcome::MsrLoading,
        "ok" => Outcome::Success,
        other => panic!("{other}"),
    }
}

fn cases(text: &str, caps: &VmxCaps) -> Vec<Case> {
    let mut bases = Vec::new();
    let mut cases = Vec::new();
    for (line, words) in text.lines().enumerate() {
        let mut words = words.split_whitespace();
        match words.next() {
            None | Some("#") => {}
            Some("base") => bases.push(VmcsSnapshot::zeroed(caps)),
            Some(word) if word.contains('=') => {
                let (encoding, value) = assignment(word);
                assert!(bases.last_mut().unwrap().set(encoding, value));
            }
            Some(base) => {
                let mut vmcs = bases[base.parse::<usize>().unwrap()];
                let does = outcome(words.next().unwrap());
                let mut virtual_tpr_is_known = true;
                for (encoding, value) in words.map(assignment) {
                    assert!(vmcs.set(encoding, value));
                    virtual_tpr_is_known &= encoding != field::VIRTUAL_APIC_ADDRESS.encoding();
                }
                cases.push(Case { line: line + 1, vmcs, does, virtual_tpr_is_known });
            }
        }
    }
    cases
}

fn context(case: &Case) -> EntryContext<'static> {
    EntryContext {
        is_protected: Some(true),
        cpl: Some(0),
        has_current_vmcs: Some(true),
        is_shadow_vmcs: Some(false),
        blocked_by_mov_ss: Some(false),
        instruction: Some(EntryInstruction::Resume),
        is_launched: Some(true),
        host_lma: Some(true),
        virtual_tpr: case.virtual_tpr_is_known.then_some(0),
        has_sgx: Some(false),
        has_rtm: Some(false),
        ..EntryContext::OUTSIDE_SMM
    }
}

/// What an entry may do by the manual, told from the findings anew: of the controls and the host's
/// state, of the guest's state, of the MSR list, the first of these that has a broken rule.
fn allowed(findings: &[(&'static Rule, Finding)], ignored: &[RuleId]) -> BTreeSet<Outcome> {
    let stage = |rule: &Rule| match rule.id.section {
        Section::Basic => 0,
        Section::Execution | Section::Exit | Section::Entry | Section::Host => 1,
        Section::MsrLoad => 3,
        _ => 2,
    };
    let is_broken = |rule: &Rule, finding: &Finding| {
        matches!(finding, Finding::Broken(_)) && !ignored.contains(&rule.id)
    };
    let mut allowed = BTreeSet::new();
    for current in 0..4 {
        let here = || findings.iter().filter(|(rule, _)| stage(rule) == current);
        let unknown = here()
            .filter(|(_, f)| matches!(f, Finding::NotCheckable(_) | Finding::NotDecidable(_)))
            .filter(|(rule, _)| rule.outcome != Outcome::Success);
        allowed.extend(unknown.map(|(rule, _)| rule.outcome));
        let broken: Vec<_> = here().filter(|(rule, f)| is_broken(rule, f)).collect();
        if !broken.is_empty() {
            allowed.extend(broken.iter().map(|(rule, _)| rule.outcome));
            return allowed;
        }
    }
    allowed.insert(Outcome::Success);
    allowed
}

/// Tells whether a list of MSRs has 2^32 bytes or more.
fn has_huge_list(vmcs: &VmcsSnapshot) -> bool {
    [field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_COUNT]
        .into_iter()
        .any(|count| vmcs.get(count).unwrap() >= 1 << 28)
}

/// Returns the rule whose different treatment explains a case.
fn explanation(case: &Case, findings: &[(&'static Rule, Finding)]) -> Option<&'static str> {
    let id = |known: &Difference| RuleId::parse(known.rule).unwrap();
    let looser: Vec<_> =
        DIFFERENCES.iter().filter(|known| known.direction == Direction::Looser).collect();
    let ignored: Vec<_> = looser.iter().map(|known| id(known)).collect();
    if allowed(findings, &ignored).contains(&case.does) {
        let is_broken = |rule: RuleId| {
            findings.iter().any(|(r, f)| r.id == rule && matches!(f, Finding::Broken(_)))
        };
        return looser.into_iter().find(|known| is_broken(id(known))).map(|known| known.rule);
    }
    let nmi_in_sti = findings.iter().any(|(rule, finding)| {
        rule.id.to_string() == "M13" && matches!(finding, Finding::NotDecidable(_))
    });
    match case.does {
        Outcome::InvalidControls if has_huge_list(&case.vmcs) => Some("N13"),
        Outcome::GuestState if nmi_in_sti => Some("M13"),
        _ => None,
    }
}

#[test]
fn the_checker_says_what_the_emulator_does() {
    let mut found = BTreeMap::<&str, [usize; 3]>::new();
    let mut hits = BTreeMap::<RuleId, usize>::new();
    for (place, (model, text)) in DATA.into_iter().enumerate() {
        let caps = VmxCaps::model(model).unwrap();
        let cases = cases(text, caps);
        assert!(cases.len() > 4000, "{model}: {} cases", cases.len());
        for case in cases {
            let check = EntryCheck::new(&case.vmcs, Some(caps), context(&case));
            let findings: Vec<_> = check.findings().collect();
            assert_eq!(allowed(&findings, &[]), check.outcomes().iter().collect());
            for (rule, _) in check.broken() {
                *hits.entry(rule.id).or_default() += 1;
            }
            if !check.outcomes().contains(case.does) {
                let rule = explanation(&case, &findings);
                let Some(rule) = rule else {
                    let broken: Vec<_> = check.broken().map(|(rule, _)| rule.id).collect();
                    panic!("{model}:{}: broken {broken:?}, does {:?}", case.line, case.does);
                };
                found.entry(rule).or_default()[place] += 1;
            }
        }
    }
    let wanted: BTreeMap<_, _> =
        DIFFERENCES.iter().map(|known| (known.rule, known.counts)).collect();
    assert_eq!(found, wanted);

    let unreached: Vec<_> =
        rules().map(|rule| rule.id).filter(|id| !hits.contains_key(id)).collect();
    println!("broken at least once: {hits:?}");
    println!("not verified so: {unreached:?}");
    assert!(hits.len() >= 100, "{}", hits.len());
}

/// The test above can fail: a checker that does not know a rule disagrees with the emulator.
#[test]
fn a_checker_that_lacks_a_rule_is_noticed() {
    let (model, text) = DATA[2];
    let caps = VmxCaps::model(model).unwrap();
    let cases = cases(text, caps);
    for rule in ["E1", "X1", "N1", "H16", "G1", "S13", "S22", "R3", "M8", "D3"] {
        let id = RuleId::parse(rule).unwrap();
        let noticed = cases.iter().any(|case| {
            let check = EntryCheck::new(&case.vmcs, Some(caps), context(case));
            let others_hold = check
                .findings()
                .all(|(rule, finding)| rule.id == id || !matches!(finding, Finding::Broken(_)));
            let broken = check.broken().any(|(rule, _)| rule.id == id);
            others_hold && broken && case.does != Outcome::Success
        });
        assert!(noticed, "{rule}");
    }
}
