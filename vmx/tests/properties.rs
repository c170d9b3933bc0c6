//! What holds for all values.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use guest_state::{Activity, Gpa, VcpuState, cr0, cr4, efer, rflags};
use proptest::prelude::*;
use vmx::{
    AfterFault, ControlWishes, Controls, EntryCheck, EntryContext, EntryControls, Event, EventKind,
    Exit, ExitControls, FIELDS, FieldEncoding, Finding, HostState, Interruptibility,
    InterruptionInfo, PendingEvents, PinBasedControls, PrimaryControls, SecondaryControls,
    VmcsAccess, VmcsSnapshot, VmxCaps, Wish, after_fault, check, field, instruction_length,
    interrupted_event, read_guest_state, restore_nmi_blocking, skip_instruction, write_guest_cr0,
    write_guest_efer, write_guest_state, write_pdptes,
};

/// The processors that have unrestricted guests, which the states here need.
fn any_caps() -> impl Strategy<Value = &'static VmxCaps> {
    let able: Vec<_> = VmxCaps::MODELS
        .iter()
        .map(|(_, caps)| caps)
        .filter(|caps| caps.allows(SecondaryControls::UNRESTRICTED_GUEST))
        .collect();
    prop::sample::select(able)
}

/// States that a CPU can be in, one of each kind, with what may vary in each.
fn any_state() -> impl Strategy<Value = VcpuState> {
    let kinds = (0..6_u8, any::<u32>(), any::<u16>(), any::<bool>(), 0..3_u8);
    kinds.prop_map(|(kind, entry, selector, interrupts, activity)| {
        let mut state = match kind {
            0 => VcpuState::reset(0),
            1 => {
                let mut state = VcpuState::reset_application_processor(0);
                assert!(state.sipi(selector.to_le_bytes()[0]));
                state
            }
            2 => VcpuState::flat32(entry),
            3 => {
                let mut state = VcpuState::flat32(entry);
                state.cr0 |= cr0::PG;
                state
            }
            4 => {
                let mut state = VcpuState::flat32(entry);
                state.cr0 |= cr0::PG;
                state.cr4 |= cr4::PAE;
                state
            }
            _ => VcpuState::long_mode(entry.into(), Gpa::new(0x9000)),
        };
        state.rflags |= if interrupts { rflags::IF } else { 0 };
        state.activity = match activity {
            0 => Activity::Active,
            1 => Activity::Halted,
            _ => Activity::Shutdown,
        };
        state
    })
}

fn wishes() -> ControlWishes {
    let secondary = SecondaryControls::ENABLE_EPT | SecondaryControls::UNRESTRICTED_GUEST;
    ControlWishes {
        pin_based: Wish::required(
            PinBasedControls::EXTERNAL_INTERRUPT_EXITING
                | PinBasedControls::NMI_EXITING
                | PinBasedControls::VIRTUAL_NMIS,
        ),
        primary: Wish::required(PrimaryControls::HLT_EXITING)
            .wanted(PrimaryControls::USE_IO_BITMAPS | PrimaryControls::USE_MSR_BITMAPS),
        secondary: Wish::required(secondary).wanted(
            SecondaryControls::ENABLE_RDTSCP
                | SecondaryControls::ENABLE_INVPCID
                | SecondaryControls::ENABLE_XSAVES,
        ),
        exit: Wish::required(
            ExitControls::HOST_ADDRESS_SPACE_SIZE
                | ExitControls::LOAD_EFER
                | ExitControls::SAVE_EFER
                | ExitControls::LOAD_PAT
                | ExitControls::SAVE_PAT,
        ),
        entry: Wish::required(EntryControls::LOAD_EFER | EntryControls::LOAD_PAT),
        ..ControlWishes::default()
    }
}

/// What a hypervisor builds with this crate alone.
fn built(caps: &VmxCaps, state: &VcpuState) -> VmcsSnapshot {
    let mut vmcs = VmcsSnapshot::zeroed(caps);
    Controls::solve(&wishes(), caps).unwrap().write(&mut vmcs).unwrap();
    vmcs.write(field::EPT_POINTER, 0x10_0000 | 3 << 3 | 6).unwrap();
    let host = HostState {
        cr0: 0x8005_0033,
        cr3: 0x1000,
        cr4: 0x2620,
        efer: efer::LME | efer::LMA,
        pat: 0x0007_0406_0007_0406,
        cs: 0x08,
        ss: 0x10,
        tr: 0x18,
        ..HostState::default()
    };
    host.write(&mut vmcs).unwrap();
    write_guest_state(&mut vmcs, caps, state).unwrap();
    write_pdptes(&mut vmcs, [0x2001, 0, 0, 0]).unwrap();
    vmcs
}

fn assert_enters(vmcs: &VmcsSnapshot, caps: &VmxCaps) -> Result<(), TestCaseError> {
    for (rule, finding) in check(vmcs, caps).findings() {
        if let Finding::Broken(fault) = finding {
            prop_assert!(false, "{}: {fault}", rule.id);
        }
    }
    Ok(())
}

/// A VMCS with every field of any processor, each of any value.
fn any_vmcs() -> impl Strategy<Value = VmcsSnapshot> {
    prop::collection::vec(any::<u64>(), FIELDS.len()).prop_map(|values| {
        let mut vmcs = VmcsSnapshot::new();
        for (field, value) in FIELDS.iter().zip(values) {
            vmcs.set(field.encoding, value);
        }
        vmcs
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u8>().prop_map(|vector| Event::ExternalInterrupt { vector }),
        Just(Event::Nmi),
        (0..32_u8).prop_map(|vector| match vector {
            8 | 10..=14 | 17 => Event::exception_with(vector, 0),
            // #CP has an error code where there is CET.
            2 | 21 => Event::INVALID_OPCODE,
            _ => Event::exception(vector),
        }),
        (any::<u8>(), 1..16_u8)
            .prop_map(|(vector, length)| Event::SoftwareInterrupt { vector, length }),
        (3..5_u8, 1..16_u8)
            .prop_map(|(vector, length)| Event::SoftwareException { vector, length }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_the_builders_make_always_enters(caps in any_caps(), state in any_state()) {
        assert_enters(&built(caps, &state), caps)?;
    }

    /// Whatever waits, and in whatever a guest is, the plan never leads to a failed entry.
    #[test]
    fn what_the_plan_injects_always_enters(
        caps in any_caps(),
        state in any_state(),
        next in prop::option::of(any_event()),
        nmi: bool,
        interrupt in prop::option::of(any::<u8>()),
        blocking in 0..16_u32,
    ) {
        let mut vmcs = built(caps, &state);
        let mut blocking = Interruptibility::from_bits_retain(blocking & 0b1011);
        // States that no guest is in.
        let sti = Interruptibility::BLOCKING_BY_STI;
        let mov_ss = Interruptibility::BLOCKING_BY_MOV_SS;
        if state.rflags & rflags::IF == 0 || blocking.contains(mov_ss) {
            blocking.remove(sti);
        }
        if state.activity != Activity::Active {
            blocking.remove(sti | mov_ss);
        }
        // An interrupt whose delivery was cut short had found interrupts on.
        let was_possible = match next {
            Some(Event::ExternalInterrupt { .. }) => state.rflags & rflags::IF != 0,
            _ => true,
        };
        prop_assume!(was_possible);
        vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, blocking.bits()).unwrap();
        let mut pending = PendingEvents { next, nmi, interrupt };
        let before = pending;
        let plan = pending.plan(&mut vmcs).unwrap();
        assert_enters(&vmcs, caps)?;
        // Nothing is lost, nothing comes twice.
        let count = |p: &PendingEvents| {
            u32::from(p.next.is_some()) + u32::from(p.nmi) + u32::from(p.interrupt.is_some())
        };
        prop_assert_eq!(count(&before), count(&pending) + u32::from(plan.inject.is_some()));
    }

    #[test]
    fn control_registers_that_a_guest_writes_always_enter(
        caps in any_caps(),
        lme: bool,
        paging: bool,
        cache: bool,
        numeric: bool,
    ) {
        let mut state = VcpuState::flat32(0x1000);
        state.cr4 |= cr4::PAE;
        let mut vmcs = built(caps, &state);
        write_guest_efer(&mut vmcs, if lme { efer::LME } else { 0 }).unwrap();
        let mut value = cr0::PE | cr0::ET;
        value |= if paging { cr0::PG } else { 0 };
        value |= if cache { 0 } else { cr0::CD | cr0::NW };
        value |= if numeric { cr0::NE } else { 0 };
        write_guest_cr0(&mut vmcs, caps, value).unwrap();
        assert_enters(&vmcs, caps)?;
        let mut back = VcpuState::reset(0);
        read_guest_state(&vmcs, &mut back).unwrap();
        prop_assert_eq!(back.cr0, value);
        prop_assert_eq!(back.efer & efer::LMA != 0, lme && paging);
    }

    #[test]
    fn no_vmcs_makes_anything_panic(
        mut vmcs in any_vmcs(),
        caps in any_caps(),
        without_caps: bool,
        reason in 0..100_u32,
        length: u8,
    ) {
        let known = (!without_caps).then_some(caps);
        let check = EntryCheck::new(&vmcs, known, EntryContext::OUTSIDE_SMM);
        for (_, finding) in check.findings() {
            if let Finding::Broken(fault) = finding {
                prop_assert!(!fault.to_string().is_empty());
            }
        }
        prop_assert!(check.outcomes().iter().count() > 0);
        let _ = Exit::decode(&vmcs);
        vmcs.set(field::EXIT_REASON.encoding(), reason.into());
        prop_assert!(Exit::decode(&vmcs).is_ok());
        let _ = instruction_length(&vmcs);
        let _ = interrupted_event(&vmcs);
        let mut state = VcpuState::reset(0);
        prop_assert!(read_guest_state(&vmcs, &mut state).is_ok());
        prop_assert!(restore_nmi_blocking(&mut vmcs).is_ok());
        prop_assert!(skip_instruction(&mut vmcs, length).is_ok());
        prop_assert!(PendingEvents::default().plan(&mut vmcs).is_ok());
    }

    #[test]
    fn any_number_is_an_encoding_that_does_no_harm(number: u32, value: u64) {
        let mut vmcs = VmcsSnapshot::new();
        let encoding = FieldEncoding::new(number);
        let known = vmcs.set(encoding, value);
        prop_assert_eq!(vmcs.raw(encoding).is_some(), known);
        prop_assert!(!encoding.to_string().is_empty());
        vmcs.remove(encoding);
        prop_assert_eq!(vmcs.raw(encoding), None);
    }

    #[test]
    fn descriptions_of_events_survive_a_round_trip(event in any_event(), protected: bool) {
        let info = event.info(protected);
        prop_assert!(protected || !info.has_error_code());
        let length = event.instruction_length().unwrap_or_default();
        let error_code = event.error_code().unwrap_or_default();
        if protected {
            prop_assert_eq!(Event::decode(info, error_code, length), Some(event));
        }
    }

    #[test]
    fn any_description_of_an_event_is_one_or_none(info: u32, error_code: u32, length: u8) {
        let info = InterruptionInfo(info);
        let event = Event::decode(info, error_code, length);
        let unknown = matches!(info.kind(), EventKind::Reserved | EventKind::Other);
        prop_assert_eq!(event.is_none(), !info.is_valid() || unknown);
        if let Some(event) = event {
            let _ = after_fault(Some(event), Event::GENERAL_PROTECTION);
        }
    }

    #[test]
    fn no_fault_makes_an_interrupt_lost(vector: u8, fault in 0..22_u8) {
        let first = Event::ExternalInterrupt { vector };
        let after = after_fault(Some(first), Event::exception(fault));
        let later = Some(first);
        prop_assert_eq!(after, AfterFault::Deliver { event: Event::exception(fault), later });
    }

    #[test]
    fn no_text_of_capabilities_or_fields_panics(text in "(\\PC|\n)*") {
        let _ = VmxCaps::parse(&text);
        let _ = VmcsSnapshot::parse(&text);
    }
}
