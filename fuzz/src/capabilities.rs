//! Files of capabilities, from bytes: what is accepted is written and read again, and answers every
//! question.

use vmx::{
    ControlWishes, Controls, EntryControls, ExitControls, FIELDS, PrimaryControls,
    SecondaryControls, VmcsSnapshot, VmxCaps, Wish, check,
};

/// Reads a text as a file of capabilities, and uses them.
///
/// # Panics
/// If the parser is wrong.
pub fn capabilities(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let caps = match VmxCaps::parse(&text) {
        Ok(caps) => caps,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(VmxCaps::parse(&caps.to_string()).as_ref(), Ok(&caps));
    agrees(&caps);
    let wishes = ControlWishes {
        primary: Wish::required(PrimaryControls::HLT_EXITING),
        secondary: Wish::default().wanted(SecondaryControls::all()),
        exit: Wish::required(ExitControls::HOST_ADDRESS_SPACE_SIZE),
        entry: Wish::default().wanted(EntryControls::all()),
        ..ControlWishes::default()
    };
    let mut vmcs = VmcsSnapshot::zeroed(&caps);
    if let Ok(controls) = Controls::solve(&wishes, &caps) {
        assert!(controls.primary.contains(PrimaryControls::HLT_EXITING));
        assert!(caps.allows(PrimaryControls::HLT_EXITING), "required, and not allowed");
        assert!(controls.write(&mut vmcs).is_ok());
    }
    assert!(FIELDS.iter().any(|info| caps.has_field(info.encoding)));
    let _ = caps.widths.physical_mask();
    assert!(check(&vmcs, &caps).outcomes().iter().next().is_some());
}

/// What the capabilities answer is in the bits of the MSRs, as their own text has them.
///
/// Intel SDM Vol. 3D, "VMX Capability Reporting Facility".
fn agrees(caps: &VmxCaps) {
    let text = caps.to_string();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        let (digits, radix) = line.map_or(("", 10), |value| match value.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (value, 10),
        });
        u64::from_str_radix(digits, radix).expect("the text has each number")
    };
    let [basic, misc] = ["IA32_VMX_BASIC", "IA32_VMX_MISC"].map(number);
    let bit = |value: u64, bit: u32| value >> bit & 1 == 1;
    assert_eq!(u64::from(caps.revision_id().0), basic % (1 << 31));
    assert_eq!(caps.vmcs_region_bytes(), basic >> 32 & 0x1FFF);
    assert_eq!(caps.has_32bit_addresses(), bit(basic, 48));
    assert_eq!(caps.reports_string_io(), bit(basic, 54));
    assert_eq!(caps.has_true_controls(), bit(basic, 55));
    assert_eq!(caps.error_codes_are_free(), bit(basic, 56));
    assert_eq!(u64::from(caps.preemption_timer_shift()), misc % 32);
    assert_eq!(caps.exits_store_lma(), bit(misc, 5));
    for (state, allowed) in
        [true, bit(misc, 6), bit(misc, 7), bit(misc, 8), false].iter().enumerate()
    {
        assert_eq!(caps.allows_activity(state as u32), *allowed);
    }
    assert_eq!(caps.cr3_targets(), misc >> 16 & 0x1FF);
    assert_eq!(caps.most_list_entries(), ((misc >> 25) % 8 + 1) * 512);
    assert_eq!(caps.exit_information_is_writable(), bit(misc, 29));
    assert_eq!(caps.allows_zero_length_injection(), bit(misc, 30));
    let fixed = |register: &str, value: u64| {
        let must = number(&format!("IA32_VMX_{register}_FIXED0"));
        let may = number(&format!("IA32_VMX_{register}_FIXED1"));
        // A bit that must be 1 and may not be stays 0.
        value & may | must & may
    };
    for value in [0, u64::MAX, basic] {
        assert_eq!(caps.fixed_cr0(value), fixed("CR0", value));
        assert_eq!(caps.fixed_cr4(value), fixed("CR4", value));
    }
    let linear = number("linear-address-bits");
    if let 48 | 57 = linear {
        let sign =
            |address: u64| (address as i64) << (64 - linear) >> (64 - linear) == address as i64;
        for address in [basic, misc, !basic, 1 << 47, 1 << 56, !(1 << 47) + 1] {
            assert_eq!(caps.widths.is_canonical(address), sign(address));
        }
    }
    let physical = number("physical-address-bits");
    assert_eq!(u128::from(caps.widths.physical_mask()), (1 << physical.min(64)) - 1);
}
