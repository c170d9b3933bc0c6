//! Exits, from bytes: whatever the exit-information fields hold, they are taken apart, and what comes
//! of it agrees with the bits that the manual names.

use vmx::{
    BasicReason, Exit, ExitReason, FIELDS, FieldGroup, VmcsSnapshot, field, instruction_length,
    skip_instruction,
};

use crate::{Bytes, exit_fields};

/// Takes apart the exit that the bytes hold, and lets the guest go on behind its instruction.
///
/// # Panics
/// If the decoder is wrong.
pub fn exits(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    // A byte says which fields are lacking, if any.
    let lacking = bytes.byte();
    let mut vmcs = VmcsSnapshot::new();
    for (place, info) in FIELDS.iter().enumerate() {
        let is_lacking = lacking & 0x80 != 0 && place % 61 == usize::from(lacking & 0x3F);
        if is_lacking {
            continue;
        }
        let counts = info.encoding.group() == FieldGroup::ExitInformation;
        vmcs.set(info.encoding, if counts { bytes.number() } else { 0 });
    }
    for (encoding, mask) in [
        (field::GUEST_RIP.encoding(), u64::MAX),
        (field::GUEST_RFLAGS.encoding(), 1 << 8),
        (field::GUEST_INTERRUPTIBILITY_STATE.encoding(), 3),
        (field::ENTRY_CONTROLS.encoding(), 1 << 9),
        (field::GUEST_CS_ACCESS_RIGHTS.encoding(), 0xF0FF),
    ] {
        vmcs.set(encoding, bytes.number() & mask);
    }
    let reason = vmcs.get(field::EXIT_REASON).map(ExitReason);
    let qualification = vmcs.get(field::EXIT_QUALIFICATION);
    match (Exit::decode(&vmcs), reason) {
        (Ok(exit), Some(reason)) => agrees(&exit, reason, qualification.unwrap_or(0)),
        (Ok(exit), None) => panic!("{exit:?} without a reason"),
        (Err(_), _) => assert!(lacking & 0x80 != 0, "a field is lacking that is there"),
    }
    if let Ok(Some(length)) = instruction_length(&vmcs) {
        let found = vmcs.get(field::EXIT_INSTRUCTION_LENGTH).unwrap_or(0);
        assert_eq!(u32::from(length), found & 0xFF);
    }
    let before = vmcs.get(field::GUEST_RIP);
    let length = instruction_length(&vmcs).ok().flatten().unwrap_or(1);
    if skip_instruction(&mut vmcs, length).is_ok() {
        let blocking = vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE).unwrap_or(0);
        assert_eq!(blocking & 3, 0, "blocking by STI or MOV SS is over");
        let is_64bit = vmcs.get(field::ENTRY_CONTROLS).unwrap_or(0) & 1 << 9 != 0
            && vmcs.get(field::GUEST_CS_ACCESS_RIGHTS).unwrap_or(0) & 1 << 13 != 0;
        let after = vmcs.get(field::GUEST_RIP);
        let upper = |rip: Option<u64>| rip.unwrap_or(0) >> 32;
        assert!(is_64bit || upper(after) == 0 || upper(after) == upper(before), "RIP wraps");
    }
}

fn agrees(exit: &Exit, reason: ExitReason, qualification: u64) {
    let number = reason.0 as u16;
    let bits = |low: u32, count: u32| qualification >> low & ((1 << count) - 1);
    match exit {
        Exit::Unknown(basic) => assert_eq!(basic.0, number),
        Exit::Io(io) => {
            assert_eq!(number, 30);
            assert_eq!(u64::from(io.port), bits(16, 16));
            assert!([1, 2, 4].contains(&io.size_bytes) || !matches!(bits(0, 3), 0 | 1 | 3));
            assert_eq!(io.is_in, bits(3, 1) == 1);
            assert_eq!(io.string.is_some(), bits(4, 1) == 1);
        }
        Exit::Operand { reason, displacement, info } => {
            assert_eq!((reason.0, *displacement), (number, qualification));
            exit_fields::instruction(*info, qualification);
        }
        Exit::TaskSwitch(switch) => exit_fields::task_switch(*switch, qualification),
        Exit::ApicAccess(access) => exit_fields::apic_access(*access, qualification),
        Exit::VirtualizedEoi { vector } => assert_eq!(u64::from(*vector), bits(0, 8)),
        Exit::InstructionTimeout { context_is_invalid } => {
            assert_eq!(*context_is_invalid, bits(0, 1) == 1);
        }
        Exit::Sipi { vector } => assert_eq!(u64::from(*vector), bits(0, 8)),
        Exit::ApicWrite { offset } => assert_eq!(u64::from(*offset), bits(0, 12)),
        Exit::Spp { is_miss, .. } => assert_eq!(*is_miss, bits(11, 1) == 1),
        Exit::EptViolation(violation) => {
            assert_eq!(violation.linear.is_some(), bits(7, 1) == 1);
            exit_fields::ept_access(violation.access, qualification);
        }
        Exit::EntryFailureGuestState { .. } => {
            assert_eq!(number, BasicReason::ENTRY_FAILURE_GUEST_STATE.0);
        }
        _ => {}
    }
    // Everything can be said.
    assert!(!format!("{exit:?} {reason}").is_empty());
}
