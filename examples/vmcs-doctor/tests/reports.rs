//! What the doctor says of whole dumps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use proptest::prelude::*;
use vmcs_doctor::{Dump, Kind, Report, Said, report};
use vmx::{ExitReason, InstructionError, VmxCaps, check, field};

const KVM: &str = include_str!("data/kvm-ss-type-1.txt");
const WRAPPED: &str = include_str!("data/kvm-5.10-wrapped.txt");
const XEN: &str = include_str!("data/xen-single-step.txt");

fn examine(text: &str) -> Report {
    report(&Dump::parse(text).unwrap(), None)
}

/// The rules that a report names as broken: their lines come before what was wanted.
fn broken(report: &Report) -> Vec<&str> {
    let lines: Vec<_> = report.text.lines().collect();
    let ids: Vec<_> = lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("      wanted: "))
        .filter_map(|pair| pair[0].split_whitespace().next())
        .collect();
    assert_eq!(ids.len(), report.broken, "{}", report.text);
    ids
}

#[test]
fn a_kernels_dump_is_read_to_the_last_field() {
    let dump = Dump::parse(KVM).unwrap();
    assert_eq!((dump.kind, dump.count), (Kind::Kvm, 1));
    assert_eq!(dump.said, Some(Said::Exit(ExitReason(0x8000_0021), Some(0))));
    for (found, value) in [
        (dump.vmcs.get(field::GUEST_CR0), 0x31),
        (dump.vmcs.get(field::CR4_GUEST_HOST_MASK), 0xFFFF_FFFF_FFFE_F871),
        (dump.vmcs.get(field::GUEST_RIP), 0x1000),
        (dump.vmcs.get(field::GUEST_PAT), 0x0007_0406_0007_0406),
        (dump.vmcs.get(field::HOST_RIP), 0xFFFF_FFFF_C039_C3AE),
        (dump.vmcs.get(field::HOST_SYSENTER_EIP), 0xFFFF_FFFF_86A0_17B0),
        (dump.vmcs.get(field::HOST_PAT), 0x0407_0506_0007_0106),
        (dump.vmcs.get(field::TERTIARY_CONTROLS), 0),
        (dump.vmcs.get(field::TSC_OFFSET), 0xFFFF_FFFF_1ABE_F30E),
        (dump.vmcs.get(field::EPT_POINTER), 0x292_605E),
    ] {
        assert_eq!(found, Some(value));
    }
    for (found, value) in [
        (dump.vmcs.get(field::GUEST_SS_ACCESS_RIGHTS), 0xC091),
        (dump.vmcs.get(field::GUEST_TR_LIMIT), 0x67),
        (dump.vmcs.get(field::GUEST_IDTR_LIMIT), 0xFFFF),
        (dump.vmcs.get(field::SECONDARY_CONTROLS), 0x0201_2CE2),
        (dump.vmcs.get(field::ENTRY_CONTROLS), 0xD1FF),
        (dump.vmcs.get(field::EXIT_INSTRUCTION_LENGTH), 3),
        (dump.vmcs.get(field::ENTRY_INSTRUCTION_LENGTH), 0),
        (dump.vmcs.get(field::PLE_WINDOW), 0x1000),
        (dump.vmcs.get(field::HOST_SYSENTER_CS), 0x10),
    ] {
        assert_eq!(found, Some(value));
    }
    assert_eq!(dump.vmcs.get(field::HOST_TR_SELECTOR), Some(0x40));
    assert_eq!(dump.vmcs.get(field::VPID), Some(2));
}

#[test]
fn the_stack_segment_of_type_1_is_rule_s12() {
    let found = examine(KVM);
    assert_eq!(broken(&found), ["S12"]);
    assert!(found.text.contains("Guest SS access rights is 0xc091"), "{}", found.text);
    assert!(found.text.contains("Checks on Guest Segment Registers"));
    assert!(found.text.contains("32-bit protected mode without paging at 0008:1000"));
}

#[test]
fn a_dump_that_a_mail_program_broke_is_read_all_the_same() {
    let dump = Dump::parse(WRAPPED).unwrap();
    assert_eq!(dump.vmcs.get(field::CR0_GUEST_HOST_MASK), Some(0xFFFF_FFFF_FFFF_FFF7));
    assert_eq!(dump.vmcs.get(field::GUEST_EFER), Some(0x500));
    assert_eq!(dump.vmcs.get(field::VIRTUAL_APIC_ADDRESS), Some(0x1_0A0B_3000));
    assert_eq!(dump.vmcs.get(field::APIC_ACCESS_ADDRESS), Some(0xFEE0_0000));
    assert_eq!(dump.vmcs.get(field::GUEST_INTERRUPT_STATUS), Some(0));
    // Whether the base of GDTR is canonical depends on the processor.
    let found = report(&dump, None);
    assert_eq!(broken(&found), [""; 0]);
    assert!(found.text.contains("  D1  the base of GDTR is canonical"), "{}", found.text);
    let found = report(&dump, VmxCaps::model("corei7_skylake_x"));
    assert!(broken(&found).contains(&"D1"), "{}", found.text);
}

#[test]
fn xens_table_of_segments_is_read() {
    let dump = Dump::parse(XEN).unwrap();
    assert_eq!(dump.kind, Kind::Xen);
    assert_eq!(dump.vmcs.get(field::GUEST_FS_LIMIT), Some(0x3C00));
    assert_eq!(dump.vmcs.get(field::GUEST_LDTR_ACCESS_RIGHTS), Some(0x1_C000));
    assert_eq!(dump.vmcs.get(field::GUEST_IDTR_LIMIT), Some(0xFFF));
    assert_eq!(dump.vmcs.get(field::GUEST_IDTR_BASE), Some(0xFFFF_F804_8E6F_8000));
    assert_eq!(dump.vmcs.get(field::GUEST_TR_BASE), Some(0xFFFF_F804_8E6F_9000));
    assert_eq!(dump.vmcs.get(field::GUEST_RSP), Some(0xFFFF_8C0F_4DD7_1E98));
    assert_eq!(dump.vmcs.get(field::HOST_RSP), Some(0xFFFF_8310_5EB3_FF70));
    assert_eq!(dump.vmcs.get(field::VM_FUNCTION_CONTROLS), Some(0));
}

#[test]
fn a_single_step_in_the_shadow_of_mov_ss_is_rule_m19() {
    assert_eq!(broken(&examine(XEN)), ["M19"]);
}

#[test]
fn a_dump_without_a_broken_rule_names_candidates() {
    let healthy = KVM.replace("attr=0x0c091", "attr=0x0c093");
    let found = examine(&healthy);
    assert_eq!(found.broken, 0);
    assert!(found.text.contains("can come from one of these"), "{}", found.text);
    assert!(found.text.contains("  G1  CR0 has its fixed bits"), "{}", found.text);
    assert!(!found.text.contains("S12"));
}

#[test]
fn what_the_processor_got_past_is_not_what_it_stopped_at() {
    // A processor without the controls that this dump uses.
    let found = report(&Dump::parse(KVM).unwrap(), VmxCaps::model("corei5_arrandale_m520"));
    let (before, after) = found.text.split_once("Broken as well").unwrap();
    assert!(before.contains("S12") && !before.contains("E3 "), "{}", found.text);
    assert!(after.contains("  E3  Secondary processor-based"), "{}", found.text);
}

#[test]
fn error_numbers_are_found_beside_a_dump() {
    let plain = KVM.replace("reason=80000021", "reason=0000000a");
    assert_eq!(Dump::parse(&plain).unwrap().said, None);
    for line in ["KVM: entry failed, hardware error 0x7", "(XEN) d2v0 VMLAUNCH error: 0x7"] {
        let dump = Dump::parse(&format!("{line}\n{plain}")).unwrap();
        assert_eq!(dump.said, Some(Said::Error(InstructionError(7))), "{line}");
    }
    let line = "(XEN) d1v0 vmentry failure (reason 0x80000022): MSR loading (entry 1)";
    let dump = Dump::parse(&format!("{line}\n{plain}")).unwrap();
    assert_eq!(dump.said, Some(Said::Exit(ExitReason(0x8000_0022), None)));
}

#[test]
fn of_several_dumps_the_last_counts() {
    let healthy = KVM.replace("attr=0x0c091", "attr=0x0c093");
    let dump = Dump::parse(&format!("{healthy}\nother messages\n{KVM}")).unwrap();
    assert_eq!(dump.count, 2);
    assert_eq!(broken(&report(&dump, None)), ["S12"]);
    assert_eq!(examine(&format!("{KVM}\n{healthy}")).broken, 0);
}

#[test]
fn a_list_of_fields_is_a_dump_too() {
    let from_kernel = Dump::parse(KVM).unwrap();
    let dump = Dump::parse(&from_kernel.vmcs.to_string()).unwrap();
    assert_eq!(dump.kind, Kind::Plain);
    assert_eq!((dump.vmcs, dump.said), (from_kernel.vmcs, from_kernel.said));
    assert_eq!(broken(&report(&dump, None)), ["S12"]);
}

#[test]
fn a_text_without_a_vmcs_is_refused() {
    for text in ["", "\n", "# nothing", "hello", "kvm: entry failed, hardware error 0x7"] {
        assert!(Dump::parse(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\PC|\n)*") {
        let _ = Dump::parse(&text);
    }

    #[test]
    fn no_change_of_a_dump_panics(at in 0..KVM.len(), cut in 0..400_usize, put in "[0-9a-fx=: *\n]{0,9}") {
        let end = (at + cut).min(KVM.len());
        let text = format!("{}{put}{}", &KVM[..at], &KVM[end..]);
        if let Ok(dump) = Dump::parse(&text) {
            let _ = report(&dump, VmxCaps::model("tigerlake"));
        }
    }

    /// The doctor's word is the checker's: a rule that holds is never named as broken.
    #[test]
    fn only_broken_rules_are_named(place in 0..vmx::FIELDS.len(), value: u64) {
        let mut dump = Dump::parse(KVM).unwrap();
        dump.vmcs.set(vmx::FIELDS[place].encoding, value);
        let caps = VmxCaps::model("tigerlake").unwrap();
        let found = report(&dump, Some(caps));
        let mut named = broken(&found);
        let mut wanted: Vec<_> =
            check(&dump.vmcs, caps).broken().map(|(rule, _)| rule.id.to_string()).collect();
        named.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(named, wanted);
    }
}
