//! From wishes to controls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use vmx::{
    ControlWishes, Controls, Error, ExitControls, PinBasedControls, PrimaryControls,
    SecondaryControls, SecondaryExitControls, TertiaryControls, VmcsSnapshot, VmxCaps, Wish, field,
};

fn caps(model: &str) -> &'static VmxCaps {
    VmxCaps::model(model).unwrap()
}

#[test]
fn what_must_be_one_is_and_what_nobody_wants_is_not() {
    let solved = Wish::required(PinBasedControls::NMI_EXITING).solve(caps("tigerlake")).unwrap();
    assert_eq!(solved.bits(), 0x16 | 1 << 3);
}

#[test]
fn a_missing_feature_is_named_with_its_msr() {
    let wish = Wish::required(SecondaryControls::ENABLE_EPT | SecondaryControls::ENABLE_PML);
    let error = wish.solve(caps("corei7_haswell_4770")).unwrap_err();
    assert_eq!(error, Error::ControlUnavailable { control: "ENABLE_PML", msr: 0x48B });
    assert_eq!(
        error.to_string(),
        "the processor can't set ENABLE_PML: IA32_VMX_PROCBASED_CTLS2 (MSR 0x48b) does not allow it"
    );
}

#[test]
fn a_control_that_cannot_be_cleared_is_named() {
    let old = VmxCaps { basic: caps("tigerlake").basic & !(1 << 55), ..*caps("tigerlake") };
    let wish = Wish { forbidden: PrimaryControls::CR3_LOAD_EXITING, ..Wish::default() };
    let error = wish.solve(&old).unwrap_err();
    assert_eq!(error, Error::ControlForced { control: "CR3_LOAD_EXITING", msr: 0x482 });
    // With the TRUE MSRs it can be.
    let solved = wish.solve(caps("tigerlake")).unwrap();
    assert!(!solved.contains(PrimaryControls::CR3_LOAD_EXITING));
}

#[test]
fn what_is_wanted_is_taken_where_it_exists() {
    let wish = Wish::required(SecondaryControls::ENABLE_EPT)
        .wanted(SecondaryControls::ENABLE_VPID | SecondaryControls::ENABLE_PML)
        .forbidden(SecondaryControls::ENABLE_VPID);
    assert_eq!(
        wish.solve(caps("tigerlake")),
        Ok(SecondaryControls::ENABLE_EPT | SecondaryControls::ENABLE_PML)
    );
    assert_eq!(wish.solve(caps("corei7_haswell_4770")), Ok(SecondaryControls::ENABLE_EPT));
}

#[test]
fn a_contradiction_is_named() {
    let hlt = PrimaryControls::HLT_EXITING;
    let error = Wish::required(hlt).forbidden(hlt).solve(caps("tigerlake")).unwrap_err();
    assert_eq!(error, Error::ControlContradicted { control: "HLT_EXITING" });
}

#[test]
fn further_sets_are_activated_by_themselves() {
    let wishes = ControlWishes {
        secondary: Wish::required(SecondaryControls::ENABLE_EPT),
        secondary_exit: Wish::default()
            .wanted(SecondaryExitControls::PREMATURELY_BUSY_SHADOW_STACK),
        tertiary: Wish::default().wanted(TertiaryControls::IPI_VIRTUALIZATION),
        ..ControlWishes::default()
    };
    let solved = Controls::solve(&wishes, caps("tigerlake")).unwrap();
    assert!(solved.primary.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS));
    assert!(!solved.primary.contains(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS));
    assert!(solved.exit.contains(ExitControls::ACTIVATE_SECONDARY_CONTROLS));

    let mut vmcs = VmcsSnapshot::new();
    solved.write(&mut vmcs).unwrap();
    assert_eq!(vmcs.get(field::SECONDARY_CONTROLS), Some(2));
    assert_eq!(vmcs.get(field::SECONDARY_EXIT_CONTROLS), Some(8));
    assert_eq!(vmcs.get(field::TERTIARY_CONTROLS), None);
}

#[test]
fn a_set_that_cannot_be_activated_is_an_error_only_if_it_is_required() {
    let wishes = ControlWishes {
        tertiary: Wish::required(TertiaryControls::IPI_VIRTUALIZATION),
        ..ControlWishes::default()
    };
    assert_eq!(
        Controls::solve(&wishes, caps("tigerlake")),
        Err(Error::ControlUnavailable { control: "ACTIVATE_TERTIARY_CONTROLS", msr: 0x48E })
    );
}
