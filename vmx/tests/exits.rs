//! Exits, taken apart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

use guest_state::{Gpa, Gva, rflags};
use vmx::{
    ApicAccess, ApicAccessKind, BasicReason, CrAccess, DrAccess, Event, EventKind, Exit,
    ExitReason, InstructionInfo, Interruptibility, InterruptionInfo, PendingDebug,
    TableInstruction, TaskSwitch, TaskSwitchSource, VmcsAccess, VmcsSnapshot, VmxCaps, field,
    instruction_length, interrupted_event, restore_nmi_blocking, skip_instruction,
};

/// A VMCS of which only the exit information is set.
fn exit(reason: u32, qualification: u64) -> VmcsSnapshot {
    let mut vmcs = VmcsSnapshot::zeroed(VmxCaps::model("tigerlake").unwrap());
    vmcs.set(field::EXIT_REASON.encoding(), reason.into());
    vmcs.set(field::EXIT_QUALIFICATION.encoding(), qualification);
    vmcs
}

#[test]
fn bits_above_the_basic_reason_stay_apart() {
    let reason = ExitReason(0x8C00_0021);
    assert_eq!(reason.basic(), BasicReason::ENTRY_FAILURE_GUEST_STATE);
    assert!(reason.is_entry_failure() && reason.from_enclave() && reason.asserted_bus_lock());
    assert_eq!(
        reason.to_string(),
        "VM-entry failure due to invalid guest state (33), entry failed, bus lock, from enclave mode"
    );
    let vmcs = exit(0x8000_0021, 4);
    assert_eq!(Exit::decode(&vmcs), Ok(Exit::EntryFailureGuestState { qualification: 4 }));
}

#[test]
fn an_unknown_reason_is_a_variant() {
    for number in [35, 38, 42, 71, 82, 83, 1000, 0xFFFF] {
        let decoded = Exit::decode(&exit(number, 0));
        let number = u16::try_from(number).unwrap();
        assert_eq!(decoded, Ok(Exit::Unknown(BasicReason(number))));
    }
}

#[test]
fn control_register_accesses_name_register_and_kind() {
    // mov cr0, r8: register 8, type 0.
    assert_eq!(CrAccess::decode(0x800), CrAccess::MovTo { cr: 0, register: 8 });
    // mov rax, cr3.
    assert_eq!(CrAccess::decode(0x13), CrAccess::MovFrom { cr: 3, register: 0 });
    assert_eq!(CrAccess::decode(0x20), CrAccess::Clts);
    let lmsw = CrAccess::Lmsw { source: 0xFFF1, from_memory: true };
    assert_eq!(CrAccess::decode(0xFFF1_0070), lmsw);
    assert_eq!(DrAccess::decode(0x917), DrAccess { dr: 7, register: 9, is_read: true });
}

#[test]
fn a_string_output_has_an_address_and_a_plain_one_has_none() {
    // out dx, al at port 3F8h.
    let Ok(Exit::Io(io)) = Exit::decode(&exit(30, 0x03F8_0000)) else { panic!() };
    assert_eq!((io.port, io.size_bytes, io.is_in, io.string), (0x3F8, 1, false, None));
    // rep insd from DX = 1F0h.
    let mut vmcs = exit(30, 0x01F0_003B);
    vmcs.set(field::GUEST_LINEAR_ADDRESS.encoding(), 0x1234);
    vmcs.set(field::EXIT_INSTRUCTION_INFO.encoding(), 1 << 7);
    let Ok(Exit::Io(io)) = Exit::decode(&vmcs) else { panic!() };
    assert_eq!((io.port, io.size_bytes, io.is_in), (0x1F0, 4, true));
    let string = io.string.unwrap();
    assert!(string.is_repeated);
    assert_eq!(string.linear, Gva::new(0x1234));
    assert_eq!(string.info.address_bits(), 32);
}

#[test]
fn an_ept_violation_has_a_linear_address_only_if_it_says_so() {
    let mut vmcs = exit(48, 0x182 | 1 << 9);
    vmcs.set(field::GUEST_PHYSICAL_ADDRESS.encoding(), 0xFEE0_00B0);
    vmcs.set(field::GUEST_LINEAR_ADDRESS.encoding(), 0xFFFF_8000_FEE0_00B0);
    let Ok(Exit::EptViolation(violation)) = Exit::decode(&vmcs) else { panic!() };
    assert_eq!(violation.gpa, Gpa::new(0xFEE0_00B0));
    assert_eq!(violation.linear, Some(Gva::new(0xFFFF_8000_FEE0_00B0)));
    assert!(violation.access.is_write() && !violation.access.is_read());
    assert!(violation.access.guest_paging().unwrap().is_user);
    vmcs.set(field::EXIT_QUALIFICATION.encoding(), 0x1);
    let Ok(Exit::EptViolation(violation)) = Exit::decode(&vmcs) else { panic!() };
    assert_eq!((violation.linear, violation.access.guest_paging()), (None, None));
}

#[test]
fn task_switches_and_apic_accesses_are_taken_apart() {
    let switch = TaskSwitch { selector: 0x28, source: TaskSwitchSource::TaskGate };
    assert_eq!(TaskSwitch::decode(0xC000_0028), switch);
    let access = ApicAccess { offset: 0xB0, kind: ApicAccessKind::Write, is_asynchronous: false };
    assert_eq!(ApicAccess::decode(0x10B0), access);
    assert_eq!(ApicAccess::decode(0x7000).kind, ApicAccessKind::Unknown(7));
}

#[test]
fn memory_operands_are_base_plus_scaled_index_plus_displacement() {
    // [rbx + 8 * rsi - 0x10], 64-bit addresses, register 2 = r9.
    let info = InstructionInfo(3 | 2 << 7 | 3 << 15 | 6 << 18 | 3 << 23 | 9 << 28);
    let registers = |number| if number == 3 { 0x1000 } else { 0x20 };
    assert_eq!(info.effective_address(0_u64.wrapping_sub(0x10), registers), 0x10F0);
    assert_eq!((info.register2(), info.segment()), (9, 3));
    // Neither base nor index, 16-bit addresses: the displacement wraps.
    let info = InstructionInfo(1 << 22 | 1 << 27);
    assert_eq!(info.effective_address(0x1_2345, registers), 0x2345);
}

#[test]
fn descriptor_table_accesses_name_their_instruction() {
    assert_eq!(InstructionInfo(2 << 28).gdtr_idtr_access(), TableInstruction::Lgdt);
    assert_eq!(InstructionInfo(3 << 28 | 3 << 30).ldtr_tr_access(), TableInstruction::Ltr);
    assert_eq!(InstructionInfo(1 << 11).operand_bits(), 32);
}

#[test]
fn an_exception_has_an_error_code_only_if_it_says_so() {
    let mut vmcs = exit(0, 0x5000);
    vmcs.set(field::EXIT_INTERRUPTION_INFO.encoding(), 0x8000_0B0E);
    vmcs.set(field::EXIT_INTERRUPTION_ERROR_CODE.encoding(), 2);
    let Ok(Exit::Exception { event, error_code, qualification }) = Exit::decode(&vmcs) else {
        panic!()
    };
    assert_eq!((event.vector(), error_code, qualification), (14, Some(2), 0x5000));
    vmcs.set(field::EXIT_INTERRUPTION_INFO.encoding(), 0x8000_0306);
    let Ok(Exit::Exception { error_code, .. }) = Exit::decode(&vmcs) else { panic!() };
    assert_eq!(error_code, None);
}

#[test]
fn the_instruction_length_is_there_only_where_the_manual_defines_it() {
    let length = |reason, qualification, exit_info: u32, vectoring: u32| {
        let mut vmcs = exit(reason, qualification);
        vmcs.set(field::EXIT_INSTRUCTION_LENGTH.encoding(), 3);
        vmcs.set(field::EXIT_INTERRUPTION_INFO.encoding(), exit_info.into());
        vmcs.set(field::IDT_VECTORING_INFO.encoding(), vectoring.into());
        instruction_length(&vmcs).unwrap()
    };
    let software = InterruptionInfo::new(EventKind::SoftwareInterrupt, 0x80).0;
    let hardware = InterruptionInfo::new(EventKind::HardwareException, 14).0;
    let int3 = InterruptionInfo::new(EventKind::SoftwareException, 3).0;
    assert_eq!(length(10, 0, 0, 0), Some(3));
    assert_eq!(length(30, 0, 0, 0), Some(3));
    // EPT violations and misconfigurations have none.
    assert_eq!(length(48, 0, 0, 0), None);
    assert_eq!(length(48, 0, 0, hardware), None);
    assert_eq!(length(48, 0, 0, software), Some(3));
    assert_eq!(length(49, 0, 0, 0), None);
    assert_eq!(length(0, 0, hardware, 0), None);
    assert_eq!(length(0, 0, int3, 0), Some(3));
    assert_eq!(length(0, 0, hardware, software), Some(3));
    assert_eq!(length(9, 0x4000_0000, 0, 0), Some(3));
    assert_eq!(length(9, 0xC000_0000, 0, hardware), None);
    assert_eq!(length(9, 0xC000_0000, 0, software), Some(3));
    for asynchronous in [1, 2, 7, 8, 37, 43, 52, 56] {
        assert_eq!(length(asynchronous, 0, 0, 0), None, "{asynchronous}");
    }
}

#[test]
fn an_event_whose_delivery_was_cut_short_is_found_again() {
    let mut vmcs = exit(48, 0);
    assert_eq!(interrupted_event(&vmcs), Ok(None));
    vmcs.set(field::IDT_VECTORING_INFO.encoding(), 0x8000_0B0D);
    vmcs.set(field::IDT_VECTORING_ERROR_CODE.encoding(), 0x18);
    assert_eq!(interrupted_event(&vmcs), Ok(Some(Event::exception_with(13, 0x18))));
    vmcs.set(field::IDT_VECTORING_INFO.encoding(), 0x8000_0480);
    vmcs.set(field::EXIT_INSTRUCTION_LENGTH.encoding(), 2);
    let wanted = Event::SoftwareInterrupt { vector: 0x80, length: 2 };
    assert_eq!(interrupted_event(&vmcs), Ok(Some(wanted)));
    // Bit 12 is undefined here and must not come back with the entry.
    vmcs.set(field::IDT_VECTORING_INFO.encoding(), 0x8000_1030);
    let event = interrupted_event(&vmcs).unwrap().unwrap();
    assert_eq!(event.info(true).0, 0x8000_0030);
}

#[test]
fn blocking_by_nmi_returns_when_the_iret_has_to_come_again() {
    let blocked = |reason, qualification, exit_info: u32, vectoring: u32| {
        let mut vmcs = exit(reason, qualification);
        vmcs.set(field::EXIT_INTERRUPTION_INFO.encoding(), exit_info.into());
        vmcs.set(field::IDT_VECTORING_INFO.encoding(), vectoring.into());
        restore_nmi_blocking(&mut vmcs).unwrap();
        vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE) == Ok(8)
    };
    assert!(blocked(0, 0, 0x8000_1B0E, 0));
    assert!(!blocked(0, 0, 0x8000_0B0E, 0));
    assert!(!blocked(0, 0, 0x8000_1B08, 0), "undefined for #DF");
    assert!(!blocked(0, 0, 0x8000_1B0E, 0x8000_0030), "undefined during delivery");
    assert!(blocked(48, 0x1001, 0, 0));
    assert!(!blocked(10, 0x1000, 0, 0));
}

/// Skips `length` bytes at `rip` and returns the new RIP.
fn skip(rip: u64, length: u8, is_64bit: bool) -> u64 {
    let mut vmcs = exit(10, 0);
    let (access, entry) = if is_64bit { (0xA09B, 1 << 9) } else { (0xC09B, 0) };
    vmcs.write(field::GUEST_CS_ACCESS_RIGHTS, access).unwrap();
    vmcs.write(field::ENTRY_CONTROLS, entry).unwrap();
    vmcs.write(field::GUEST_RIP, rip).unwrap();
    skip_instruction(&mut vmcs, length).unwrap();
    vmcs.read(field::GUEST_RIP).unwrap()
}

#[test]
fn rip_wraps_at_4_gib_outside_64_bit_mode_only() {
    assert_eq!(skip(0xFFFF_FFFE, 2, false), 0);
    assert_eq!(skip(0xFFFF_FFFE, 2, true), 0x1_0000_0000);
    assert_eq!(skip(0x1_FFFF_FFFF, 3, true), 0x2_0000_0002);
    assert_eq!(skip(0xFFFE, 3, false), 0x1_0001);
    assert_eq!(skip(u64::MAX, 2, true), 1);
}

#[test]
fn a_skipped_instruction_ends_blocking_and_single_steps() {
    let after = |flags: u64, blocking: Interruptibility, debugctl: u64| {
        let mut vmcs = exit(10, 0);
        vmcs.write(field::GUEST_RFLAGS, flags).unwrap();
        vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, blocking.bits()).unwrap();
        vmcs.write(field::GUEST_DEBUGCTL, debugctl).unwrap();
        skip_instruction(&mut vmcs, 2).unwrap();
        let pending = vmcs.read(field::GUEST_PENDING_DEBUG_EXCEPTIONS).unwrap();
        (
            vmcs.read(field::GUEST_RFLAGS).unwrap(),
            vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE).unwrap(),
            PendingDebug::from_bits_retain(pending),
        )
    };
    let none = PendingDebug::empty();
    let nmi = Interruptibility::BLOCKING_BY_NMI;
    let sti = Interruptibility::BLOCKING_BY_STI;
    assert_eq!(after(2, nmi | sti, 0), (2, 8, none));
    assert_eq!(after(2, Interruptibility::BLOCKING_BY_MOV_SS, 0), (2, 0, none));
    assert_eq!(after(2 | rflags::RF, nmi, 0), (2, 8, none));
    let tf = 2 | rflags::TF;
    assert_eq!(after(tf, nmi, 0), (tf, 8, PendingDebug::SINGLE_STEP));
    assert_eq!(after(tf, nmi, 2), (tf, 8, none), "BTF steps over branches only");
}
