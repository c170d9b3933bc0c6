//! The cases of the entry lab, without a processor.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::collections::BTreeSet;

use bare_metal_image::lab::{BASES, Lab, Observed, Pages, Processor, Record};
use vmx::{EntryCheck, HostState, Outcome, RuleId, VmxCaps};

const MODELS: [&str; 3] = ["corei5_arrandale_m520", "corei7_haswell_4770", "tigerlake"];

fn lab(model: &str) -> Lab {
    let page = |number: u64| 0x3F0_0000 + number * 0x1000;
    let host = HostState {
        cr0: 0x8001_0033,
        cr3: 0x20_0000,
        cr4: 0x2620,
        efer: 0xD00,
        pat: 0x0007_0406_0007_0406,
        cs: 8,
        ss: 16,
        ds: 16,
        es: 16,
        tr: 24,
        ..HostState::default()
    };
    let pages = Pages {
        zero: page(0),
        scratch: page(1),
        virtual_apic: page(2),
        apic_access: page(3),
        entry_list: page(4),
        exit_list: page(5),
        link: page(6),
        pdptes: page(7),
        vmcs: page(8),
    };
    let caps = *VmxCaps::model(model).unwrap();
    let processor = Processor {
        caps,
        has_sgx: false,
        has_rtm: false,
        has_bus_lock_detect: false,
        host,
        host_rip: 0x20_1000,
        pages,
    };
    Lab::new(processor).unwrap()
}

fn broken(lab: &Lab, number: u32) -> Vec<String> {
    let case = lab.case(1, number);
    let caps = &lab.processor().caps;
    let check = EntryCheck::new(&case.vmcs, Some(caps), lab.context(&case));
    check.broken().map(|(rule, _)| rule.id.to_string()).collect()
}

#[test]
fn the_states_to_start_from_enter() {
    for model in MODELS {
        let lab = lab(model);
        for number in 0..BASES {
            let case = lab.base(number);
            let check =
                EntryCheck::new(&case.vmcs, Some(&lab.processor().caps), lab.context(&case));
            let broken: Vec<_> = check.broken().map(|(rule, _)| rule.id).collect();
            assert!(broken.is_empty(), "{model}, {}: {broken:?}", Lab::base_name(number));
            assert!(check.outcomes().iter().eq([Outcome::Success]));
        }
    }
}

#[test]
fn a_case_is_the_same_each_time_and_depends_on_no_other() {
    let (first, second) = (lab("tigerlake"), lab("tigerlake"));
    for number in [10, 500, 1999] {
        let (a, b) = (first.case(1, number), second.case(1, number));
        assert_eq!(a.vmcs, b.vmcs, "{number}");
        assert_eq!(first.around(&a), second.around(&b), "{number}");
    }
    assert_ne!(first.case(1, 20).vmcs, first.case(2, 20).vmcs);
}

#[test]
fn cases_break_many_rules_and_leave_many_states_healthy() {
    let lab = lab("tigerlake");
    let found: Vec<_> = (0..1000).map(|number| broken(&lab, number)).collect();
    let healthy = found.iter().filter(|rules| rules.is_empty()).count();
    assert!((200..600).contains(&healthy), "{healthy}");
    let rules: BTreeSet<_> = found.into_iter().flatten().collect();
    assert!(rules.len() > 120, "{}", rules.len());
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let lab = lab("tigerlake");
    let case = lab.case(1, 77);
    for observed in
        [Observed::Outcome(Outcome::MsrLoading), Observed::Error(12), Observed::Exit(34, u64::MAX)]
    {
        let record = Record {
            number: 77,
            base: case.base,
            ticks: 0x1234_5678_9ABC,
            observed,
            predicted: vec![Outcome::InvalidControls, Outcome::Success],
            broken: ["E1", "S12"].map(|id| RuleId::parse(id).unwrap()).to_vec(),
            open: Vec::new(),
            changes: lab.changes(&case).collect(),
            around: lab.around(&case),
        };
        assert_eq!(Record::parse(&record.to_string()), Some(record));
    }
    assert_eq!(Record::parse("end of the lab"), None);
}
