//! Partial snapshots: what cannot be checked is never said to hold.

use vmx::{
    EntryCheck, EntryContext, Finding, Need, RuleId, VmcsSnapshot, check, check_live, field, rules,
};

use crate::case::{CAPS, Case};
use crate::witnesses;

#[test]
fn nothing_holds_of_an_empty_snapshot_and_nothing_is_broken() {
    let empty = VmcsSnapshot::new();
    for (rule, finding) in check(&empty, &CAPS).findings() {
        let unknown = matches!(finding, Finding::NotCheckable(_) | Finding::NotDecidable(_));
        assert!(unknown, "{}: {finding:?}", rule.id);
    }
}

#[test]
fn a_rule_names_the_field_that_it_lacks() {
    let mut case = Case::new();
    case.vmcs.remove(field::GUEST_SS_ACCESS_RIGHTS.encoding());
    let s12 = rules().find(|rule| rule.id.to_string() == "S12").unwrap();
    let need = Need::Field(field::GUEST_SS_ACCESS_RIGHTS.encoding());
    assert_eq!(case.check().check(s12), Finding::NotCheckable(need));
    assert_eq!(need.to_string(), "the field \"Guest SS access rights\"");
}

#[test]
fn a_rule_that_does_not_apply_needs_no_field() {
    let mut case = Case::new();
    case.vmcs.remove(field::VPID.encoding());
    case.vmcs.remove(field::TSC_MULTIPLIER.encoding());
    for id in ["E25", "E45"] {
        let rule = rules().find(|rule| rule.id.to_string() == id).unwrap();
        assert_eq!(case.check().check(rule), Finding::Holds, "{id}");
    }
}

#[test]
fn a_broken_rule_never_holds_for_lack_of_a_field() {
    for witness in witnesses() {
        let rule = RuleId::parse(witness.rule).unwrap();
        let mut case = Case::new();
        (witness.holds)(&mut case);
        (witness.breaks)(&mut case);
        for (field, _) in case.vmcs.fields() {
            let mut part = case.clone();
            part.vmcs.remove(field);
            assert_ne!(part.finding(rule), Finding::Holds, "{} without {field}", witness.rule);
        }
    }
}

#[test]
fn a_rule_that_holds_is_never_broken_for_lack_of_a_field() {
    for witness in witnesses() {
        let rule = RuleId::parse(witness.rule).unwrap();
        let mut case = Case::new();
        (witness.holds)(&mut case);
        for (field, _) in case.vmcs.fields() {
            let mut part = case.clone();
            part.vmcs.remove(field);
            let found = part.finding(rule);
            assert!(!matches!(found, Finding::Broken(_)), "{} without {field}", witness.rule);
        }
    }
}

#[test]
fn without_capabilities_a_rule_is_checked_as_far_as_it_holds_everywhere() {
    let mut case = Case::new();
    case.set(field::GUEST_SS_ACCESS_RIGHTS, 0xC091);
    case.set(field::HOST_TR_BASE, 1 << 60);
    case.set(field::HOST_GS_BASE, 1 << 50);
    case.set(field::GUEST_CR3, 1 << 60);
    let check = EntryCheck::new(&case.vmcs, None, EntryContext::OUTSIDE_SMM);
    let broken: Vec<_> = check.broken().map(|(rule, _)| rule.id.to_string()).collect();
    assert_eq!(broken, ["H21", "G9", "S12"]);
    // Bit 50 may be one of a linear address, where there are 57.
    let h20 = rules().find(|rule| rule.id.to_string() == "H20").unwrap();
    assert_eq!(check.check(h20), Finding::NotCheckable(Need::Capabilities));
    let e1 = rules().find(|rule| rule.id.to_string() == "E1").unwrap();
    assert_eq!(check.check(e1), Finding::NotCheckable(Need::Capabilities));
}

#[test]
fn a_live_vmcs_is_checked_as_its_snapshot() {
    let mut case = Case::new();
    case.set(field::GUEST_RFLAGS, 0);
    let mut reported = Vec::new();
    let outcomes = check_live(&case.vmcs, &case.caps, case.context, |rule, fault| {
        reported.push(format!("{}: {fault}", rule.id));
    });
    assert_eq!(reported, ["R4: Guest RFLAGS is 0x0 (bits 0x2)"]);
    assert_eq!(outcomes, case.check().outcomes());
}
