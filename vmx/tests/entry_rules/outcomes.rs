//! What the checker says an entry may do.

use vmx::{Finding, MsrEntry, Outcome, RuleId, field};

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

/// Which rules leave it to the model, and in which state.
#[test]
fn what_depends_on_the_model_is_said_to() {
    const MICROCODE: &[MsrEntry] = &[MsrEntry { index: 0x79, reserved: 0, value: 0 }];
    type Change = fn(&mut Case);
    let undecided: [(&str, Change); 9] = [
        ("M13", |c| {
            c.inject(2, 2, 0);
            c.set(field::GUEST_INTERRUPTIBILITY_STATE, 1);
        }),
        ("P3", |_| ()),
        ("L4", |c| {
            c.set(field::ENTRY_MSR_LOAD_COUNT, 1);
            c.context.entry_msrs = Some(MICROCODE);
        }),
        ("L7", |c| c.set(field::ENTRY_MSR_LOAD_COUNT, 513)),
        // #CP has an error code on a processor that has it.
        ("N8", |c| c.inject(3, 21, 1 << 11)),
        // Linear-address masking.
        ("G9", |c| c.on(field::GUEST_CR3, 1 << 61)),
        ("H4", |c| c.on(field::HOST_CR3, 1 << 62)),
        ("M18", |c| {
            c.context.has_bus_lock_detect = None;
            c.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 1 << 11);
        }),
        ("G20", |c| {
            c.guest32();
            c.entry(20);
            c.set(field::GUEST_S_CET, 1 << 32);
        }),
    ];
    for (rule, change) in undecided {
        let mut case = Case::new();
        change(&mut case);
        let found = case.finding(RuleId::parse(rule).unwrap());
        assert!(matches!(found, Finding::NotDecidable(_)), "{rule}: {found:?}");
    }
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
