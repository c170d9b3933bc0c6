//! What the capability MSRs say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use std::cell::RefCell;

use vmx::{
    AddressWidths, Error, ExitControls, FIELDS, PinBasedControls, PrimaryControls,
    SecondaryControls, VmcsSnapshot, VmxCaps, check, field, msr,
};

const FILES: [(&str, &str); 11] = [
    ("corei5_arrandale_m520", include_str!("data/caps/corei5_arrandale_m520.txt")),
    ("corei7_sandy_bridge_2600k", include_str!("data/caps/corei7_sandy_bridge_2600k.txt")),
    ("corei7_haswell_4770", include_str!("data/caps/corei7_haswell_4770.txt")),
    ("corei7_skylake_x", include_str!("data/caps/corei7_skylake_x.txt")),
    ("corei7_icelake_u", include_str!("data/caps/corei7_icelake_u.txt")),
    ("tigerlake", include_str!("data/caps/tigerlake.txt")),
    ("xeon_x5482", include_str!("data/caps/xeon_x5482.txt")),
    ("core_i7_5600u", include_str!("data/caps/core_i7_5600u.txt")),
    ("coffee_lake_906ea", include_str!("data/caps/coffee_lake_906ea.txt")),
    ("xeon_e5_2630_v3", include_str!("data/caps/xeon_e5_2630_v3.txt")),
    ("xeon_silver_4108", include_str!("data/caps/xeon_silver_4108.txt")),
];

/// The first six files are what the module `hardware` read from the emulated processor and printed,
/// the others say where they come from.
#[test]
fn models_are_what_the_dumps_say() {
    for (name, text) in FILES {
        assert_eq!(VmxCaps::parse(text).as_ref(), Ok(VmxCaps::model(name).unwrap()), "{name}");
    }
    assert_eq!(VmxCaps::MODELS.len(), FILES.len());
}

#[test]
fn the_text_form_survives_a_round_trip() {
    for (name, caps) in VmxCaps::MODELS {
        assert_eq!(VmxCaps::parse(&caps.to_string()).as_ref(), Ok(caps), "{name}");
    }
}

#[test]
fn numbers_name_msrs_as_well() {
    let text = VmxCaps::model("tigerlake").unwrap().to_string();
    let numbered = text.replace("IA32_VMX_BASIC", "0x480").replace("IA32_VMX_VMFUNC", "0x491");
    assert_eq!(VmxCaps::parse(&numbered), VmxCaps::parse(&text));
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    let error = |text: &str| VmxCaps::parse(text).unwrap_err();
    assert_eq!(error("# nothing\n\nIA32_VMX_BASIC"), Error::CapsLine { line: 3 });
    assert_eq!(error("IA32_VMX_BASIC = 12"), Error::CapsLine { line: 1 });
    assert_eq!(error("IA32_VMX_BASIC = 0x1_0"), Error::CapsLine { line: 1 });
    assert_eq!(error("0x4ff = 0x0"), Error::CapsLine { line: 1 });
    assert_eq!(error("physical-address-bits = 300"), Error::CapsLine { line: 1 });
    assert_eq!(error(""), Error::MissingMsr { msr: msr::BASIC });
}

/// Reads `caps` back through a reader that records what it is asked.
fn asked(caps: &VmxCaps) -> (Result<VmxCaps, Error>, Vec<u32>) {
    let text = caps.to_string();
    let asked = RefCell::new(Vec::new());
    let result = VmxCaps::read(caps.widths, |number| {
        asked.borrow_mut().push(number);
        let line = text.lines().nth(usize::try_from(number - msr::BASIC).unwrap())?;
        u64::from_str_radix(line.split_once("0x")?.1, 16).ok()
    });
    (result, asked.into_inner())
}

#[test]
fn no_msr_is_read_that_does_not_exist() {
    let (result, numbers) = asked(VmxCaps::model("corei5_arrandale_m520").unwrap());
    assert!(result.is_ok());
    assert!(numbers.contains(&msr::EPT_VPID_CAP));
    for absent in [msr::VMFUNC, msr::TERTIARY, msr::SECONDARY_EXIT] {
        assert!(!numbers.contains(&absent), "{absent:#x}");
    }
    let (result, numbers) = asked(VmxCaps::model("tigerlake").unwrap());
    assert_eq!(result.as_ref(), Ok(VmxCaps::model("tigerlake").unwrap()));
    assert!(numbers.contains(&msr::VMFUNC) && numbers.contains(&msr::SECONDARY_EXIT));
    assert!(!numbers.contains(&msr::TERTIARY));
}

#[test]
fn the_first_processors_have_eleven_msrs() {
    let penryn = VmxCaps::model("xeon_x5482").unwrap();
    assert!(!penryn.has_true_controls());
    let (result, numbers) = asked(penryn);
    assert_eq!((result.as_ref(), numbers.len()), (Ok(penryn), 12), "with secondary controls");
    let primary = penryn.primary & !(1 << 63);
    let (result, numbers) = asked(&VmxCaps { primary, ..*penryn });
    assert_eq!(numbers.len(), 11);
    let caps = result.unwrap();
    assert!(!caps.allows(SecondaryControls::ENABLE_EPT));
    assert!(!caps.has_field(field::EPT_POINTER.encoding()));
    assert!(caps.has_field(field::GUEST_RIP.encoding()));
}

#[test]
fn a_missing_msr_is_named_in_words() {
    let error = VmxCaps::read(AddressWidths { physical: 36, linear: 48 }, |number| {
        (number != msr::MISC).then_some(0)
    });
    let error = error.unwrap_err();
    assert_eq!(error, Error::MissingMsr { msr: msr::MISC });
    assert_eq!(error.to_string(), "no value for IA32_VMX_MISC (MSR 0x485)");
}

#[test]
fn fields_exist_by_capability() {
    let exists =
        |model: &str, field: vmx::FieldEncoding| VmxCaps::model(model).unwrap().has_field(field);
    let ve = field::VE_INFORMATION_ADDRESS.encoding();
    assert!(!exists("corei5_arrandale_m520", ve) && exists("corei7_haswell_4770", ve));
    let pml = field::PML_INDEX.encoding();
    assert!(!exists("corei7_haswell_4770", pml) && exists("corei7_skylake_x", pml));
    let cet = field::GUEST_SSP.encoding();
    assert!(!exists("corei7_icelake_u", cet) && exists("tigerlake", cet));
    let tertiary = field::TERTIARY_CONTROLS.encoding();
    assert!(!exists("tigerlake", tertiary));
    assert!(FIELDS.iter().any(|field| field.encoding == tertiary));
}

#[test]
fn the_true_msrs_count_where_they_exist() {
    let caps = VmxCaps::model("tigerlake").unwrap();
    // Bit 2, save debug controls: the old MSR demands it, the TRUE one does not.
    assert_eq!(caps.exit & 4, 4);
    assert_eq!(caps.allowed::<ExitControls>().must_be_one & 4, 0);
    let old = VmxCaps { basic: caps.basic & !(1 << 55), ..*caps };
    assert_eq!(old.allowed::<ExitControls>().must_be_one & 4, 4);
    assert!(caps.allows(PinBasedControls::PROCESS_POSTED_INTERRUPTS));
    assert!(!caps.allows(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS));
}

#[test]
fn plain_facts_are_taken_from_their_bits() {
    let caps = VmxCaps::model("corei7_skylake_x").unwrap();
    assert_eq!(caps.revision_id().0, 0x2B);
    assert_eq!(caps.vmcs_region_bytes(), 4096);
    assert_eq!(caps.cr3_targets(), 4);
    assert_eq!(caps.most_list_entries(), 512);
    assert!(caps.exits_store_lma() && caps.allows_zero_length_injection());
    assert!((0..4).all(|state| caps.allows_activity(state)) && !caps.allows_activity(4));
    assert_eq!(caps.fixed_cr0(0x11), 0x8000_0031);
    assert_eq!(caps.fixed_cr4(1 << 63), 0x2000);
    assert_eq!(caps.widths.physical_mask(), (1 << 40) - 1);
    assert!(caps.widths.is_canonical(0xFFFF_8000_0000_0000));
    assert!(!caps.widths.is_canonical(0x0000_8000_0000_0000));
}

/// A file may say anything of the widths of addresses.
#[test]
fn no_width_of_addresses_is_too_wide_for_the_checker() {
    for (physical, linear) in [(0, 0), (64, 64), (128, 200), (255, 255)] {
        let widths = AddressWidths { physical, linear };
        let caps = VmxCaps { widths, ..*VmxCaps::model("tigerlake").unwrap() };
        let mut vmcs = VmcsSnapshot::zeroed(&caps);
        assert!(vmcs.set(field::HOST_CR3.encoding(), u64::MAX >> 3));
        let check = check(&vmcs, &caps);
        assert!(check.findings().count() > 200);
    }
}
