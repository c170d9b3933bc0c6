//! What the checker says an entry may do.

use vmx::{Outcome, field};

use crate::case::{Case, NOT_CANONICAL};

fn outcomes(change: impl Fn(&mut Case)) -> Vec<Outcome> {
    let mut case = Case::new();
    change(&mut case);
    case.check().outcomes().iter().collect()
}

#[test]
fn a_state_that_breaks_no_rule_enters() {
    assert_eq!(outcomes(|_| ()), [Outcome::Success]);
}

#[test]
fn a_broken_control_hides_a_broken_guest() {
    let found = outcomes(|c| {
        c.primary(0);
        c.set(field::GUEST_RFLAGS, 0);
    });
    assert_eq!(found, [Outcome::InvalidControls]);
}

#[test]
fn controls_and_host_are_checked_in_any_order() {
    let found = outcomes(|c| {
        c.primary(0);
        c.set(field::HOST_TR_BASE, NOT_CANONICAL);
    });
    assert_eq!(found, [Outcome::InvalidControls, Outcome::InvalidHostState]);
}

#[test]
fn two_broken_parts_of_the_guest_leave_the_qualification_open() {
    let found = outcomes(|c| {
        c.set(field::GUEST_RFLAGS, 0);
        c.set(field::VMCS_LINK_POINTER, 1);
    });
    assert_eq!(found, [Outcome::GuestState, Outcome::GuestLinkPointer]);
}

#[test]
fn the_basic_checks_have_an_order() {
    let found = outcomes(|c| {
        c.context.cpl = Some(3);
        c.context.has_current_vmcs = Some(false);
        c.context.is_launched = Some(true);
    });
    assert_eq!(found, [Outcome::GeneralProtection]);
    let found = outcomes(|c| {
        c.context.blocked_by_mov_ss = Some(true);
        c.context.is_launched = Some(true);
    });
    assert_eq!(found, [Outcome::BlockedByMovSs]);
    let found = outcomes(|c| c.context.is_launched = Some(true));
    assert_eq!(found, [Outcome::NotClear]);
}

#[test]
fn what_cannot_be_decided_stays_possible() {
    // An NMI into blocking by STI: a processor may refuse it.
    let found = outcomes(|c| {
        c.inject(2, 2, 0);
        c.set(field::GUEST_INTERRUPTIBILITY_STATE, 1);
    });
    assert!(found.contains(&Outcome::GuestNmiInjection) && found.contains(&Outcome::Success));
}

#[test]
fn outcomes_say_numbers_and_words() {
    assert_eq!(
        Outcome::InvalidControls.to_string(),
        "VMfailValid with error 7, VM entry with invalid control field(s)"
    );
    assert_eq!(
        Outcome::GuestLinkPointer.to_string(),
        "VM exit 0x80000021 (invalid guest state), qualification 4"
    );
}
