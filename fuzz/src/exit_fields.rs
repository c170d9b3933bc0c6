//! What an exit's fields say, bit by bit, beside the numbers that the manual's tables give.

use vmx::{
    ApicAccess, ApicAccessKind, EptAccess, InstructionInfo, TableInstruction, TaskSwitch,
    TaskSwitchSource,
};

/// Intel SDM Vol. 3C, "Exit Qualification for EPT Violations".
pub(crate) fn ept_access(access: EptAccess, bits: u64) {
    let bit = |number: u32| bits >> number & 1 == 1;
    let found = [
        access.is_read(),
        access.is_write(),
        access.is_fetch(),
        access.may_read(),
        access.may_write(),
        access.may_execute(),
        access.user_may_execute(),
        access.has_linear(),
        access.is_to_translation(),
    ];
    assert!(found.into_iter().eq((0..9).map(bit)), "{access:?}");
    let upper = [
        access.nmi_unblocked_by_iret(),
        access.is_shadow_stack(),
        access.is_supervisor_shadow_stack_page(),
        access.failed_verification(),
        access.is_asynchronous(),
    ];
    assert!(upper.into_iter().eq((12..17).map(bit)), "{access:?}");
    let paging = access.guest_paging();
    assert_eq!(paging.is_some(), bit(7) && bit(8));
    if let Some(paging) = paging {
        let found = [paging.is_user, paging.is_writable, paging.is_execute_disabled];
        assert!(found.into_iter().eq((9..12).map(bit)), "{paging:?}");
    }
}

/// Intel SDM Vol. 3C, "Information for VM Exits Due to Instruction Execution".
pub(crate) fn instruction(info: InstructionInfo, displacement: u64) {
    let field = |low: u32, count: u32| u64::from(info.0) >> low & ((1 << count) - 1);
    assert_eq!(u64::from(info.scale()), [1, 2, 4, 8][field(0, 2) as usize]);
    assert_eq!(u64::from(info.register1()), field(3, 4));
    assert_eq!(info.is_register(), field(10, 1) == 1);
    assert_eq!(u64::from(info.segment()), field(15, 3));
    assert_eq!(u64::from(info.register2()), field(28, 4));
    let number = |valid: bool, low: u32| valid.then_some(field(low, 4));
    assert_eq!(info.index().map(u64::from), number(field(22, 1) == 0, 18));
    assert_eq!(info.base().map(u64::from), number(field(27, 1) == 0, 23));
    if let address @ 0..=2 = field(7, 3) {
        assert_eq!(u64::from(info.address_bits()), 16 << address);
    }
    if let operand @ 0..=2 = field(11, 2) {
        assert_eq!(u64::from(info.operand_bits()), 16 << operand);
    }
    use TableInstruction::{Lgdt, Lidt, Lldt, Ltr, Sgdt, Sidt, Sldt, Str};
    assert_eq!(info.gdtr_idtr_access(), [Sgdt, Sidt, Lgdt, Lidt][field(28, 2) as usize]);
    assert_eq!(info.ldtr_tr_access(), [Sldt, Str, Lldt, Ltr][field(28, 2) as usize]);

    let register = |number: u8| 0x1_0001_0003 << number;
    let of = |part: Option<u8>| u128::from(part.map_or(0, register));
    let sum =
        of(info.base()) + of(info.index()) * u128::from(info.scale()) + u128::from(displacement);
    let wanted = sum % (1 << info.address_bits());
    assert_eq!(u128::from(info.effective_address(displacement, register)), wanted);
}

/// Intel SDM Vol. 3C, "Exit Qualification for Task Switches".
pub(crate) fn task_switch(switch: TaskSwitch, bits: u64) {
    use TaskSwitchSource::{Call, Iret, Jmp, TaskGate};
    assert_eq!(u64::from(switch.selector), bits & 0xFFFF);
    assert_eq!(switch.source, [Call, Iret, Jmp, TaskGate][(bits >> 30 & 3) as usize]);
}

/// Intel SDM Vol. 3C, "Exit Qualification for APIC-Access VM Exits from Linear Accesses and
/// Guest-Physical Accesses".
pub(crate) fn apic_access(access: ApicAccess, bits: u64) {
    use ApicAccessKind as Kind;
    assert_eq!(u64::from(access.offset), bits & 0xFFF);
    assert_eq!(access.is_asynchronous, bits >> 16 & 1 == 1);
    let known = [Kind::Read, Kind::Write, Kind::Fetch, Kind::EventDelivery, Kind::Monitor];
    match (access.kind, bits >> 12 & 15) {
        (kind, number @ 0..=4) => assert_eq!(kind, known[number as usize]),
        (kind, 10) => assert_eq!(kind, Kind::PhysicalEventDelivery),
        (kind, 15) => assert_eq!(kind, Kind::PhysicalInstruction),
        (Kind::Unknown(kind), number) => assert_eq!(u64::from(kind), number),
        (kind, number) => panic!("{kind:?} of {number}"),
    }
}
