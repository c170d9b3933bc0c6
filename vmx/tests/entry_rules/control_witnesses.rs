//! Witnesses for the rules on the instruction and on the control fields.

use vmx::{EntryInstruction, EptVpidCaps, field};

use crate::case::{BEYOND, witnesses};

witnesses! {
    B1: |_| () => |c| c.context.is_protected = Some(false);
    B2: |_| () => |c| c.context.cpl = Some(3);
    B3: |_| () => |c| c.context.has_current_vmcs = Some(false);
    B4: |_| () => |c| c.context.is_shadow_vmcs = Some(true);
    B5: |_| () => |c| c.context.blocked_by_mov_ss = Some(true);
    B6: |_| () => |c| c.context.is_launched = Some(true);
    B7: |c| {
        c.context.instruction = Some(EntryInstruction::Resume);
        c.context.is_launched = Some(true);
    } => |c| c.context.is_launched = Some(false);

    E1: |_| () => |c| c.off(field::PIN_BASED_CONTROLS, 1 << 1);
    E2: |_| () => |c| c.primary(0);
    E3: |c| c.caps.secondary = 0xFFu64 << 32 => |c| c.secondary(13);
    E4: |c| c.tertiary(8) => |c| c.tertiary(9);
    E5: |c| c.set(field::CR3_TARGET_COUNT, 4) => |c| c.set(field::CR3_TARGET_COUNT, 5);
    E6: |c| c.primary(25) => |c| c.set(field::IO_BITMAP_A, 0x1800);
    E7: |c| c.primary(25) => |c| c.set(field::IO_BITMAP_B, BEYOND);
    E8: |c| c.primary(28) => |c| c.set(field::MSR_BITMAPS, 0x1001);
    E9: |c| c.primary(21) => |c| c.set(field::VIRTUAL_APIC_ADDRESS, BEYOND);
    E10: |c| c.primary(21) => |c| c.set(field::TPR_THRESHOLD, 0x10);
    E11: |c| { c.primary(21); c.set(field::TPR_THRESHOLD, 5); }
        => |c| c.set(field::TPR_THRESHOLD, 6);
    E12: |c| { c.pin(3); c.pin(5); } => |c| c.off(field::PIN_BASED_CONTROLS, 1 << 3);
    E13: |c| { c.pin(3); c.pin(5); c.primary(22); }
        => |c| c.off(field::PIN_BASED_CONTROLS, 1 << 5);
    E14: |c| c.secondary(0) => |c| c.set(field::APIC_ACCESS_ADDRESS, 0xFEE0_0010);
    E15: |c| { c.primary(21); c.secondary(4); } => |c| c.off(field::PRIMARY_CONTROLS, 1 << 21);
    E16: |c| { c.primary(21); c.secondary(8); } => |c| c.off(field::PRIMARY_CONTROLS, 1 << 21);
    E17: |c| { c.primary(21); c.secondary(9); c.pin(0); }
        => |c| c.off(field::PRIMARY_CONTROLS, 1 << 21);
    E18: |c| { c.primary(21); c.secondary(4); } => |c| c.secondary(0);
    E19: |c| { c.primary(21); c.secondary(9); c.pin(0); }
        => |c| c.off(field::PIN_BASED_CONTROLS, 1);
    E20: |c| { c.primary(21); c.secondary(9); c.pin(0); c.pin(7); c.exit(15); }
        => |c| c.off(field::SECONDARY_CONTROLS, 1 << 9);
    E21: |c| { c.primary(21); c.secondary(9); c.pin(0); c.pin(7); c.exit(15); }
        => |c| c.off(field::EXIT_CONTROLS, 1 << 15);
    E22: |c| {
        c.primary(21); c.secondary(9); c.pin(0); c.pin(7); c.exit(15);
        c.set(field::POSTED_INTERRUPT_VECTOR, 0xF2);
    } => |c| c.set(field::POSTED_INTERRUPT_VECTOR, 0x1F2);
    E23: |c| {
        c.primary(21); c.secondary(9); c.pin(0); c.pin(7); c.exit(15);
        c.set(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, 0x1040);
    } => |c| c.set(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, 0x1020);
    E24: |c| { c.primary(21); c.secondary(9); c.pin(0); c.pin(7); c.exit(15); }
        => |c| c.set(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, BEYOND);
    E25: |c| { c.secondary(5); c.set(field::VPID, 1); } => |c| c.set(field::VPID, 0);
    E26: |c| c.set(field::EPT_POINTER, 0x20_0018) => |c| c.set(field::EPT_POINTER, 0x20_001C);
    E27: |c| c.set(field::EPT_POINTER, 0x20_0026) => |c| c.set(field::EPT_POINTER, 0x20_0016);
    E28: |c| c.on(field::EPT_POINTER, 1 << 6)
        => |c| c.caps.ept_vpid.remove(EptVpidCaps::ACCESSED_DIRTY);
    E29: |c| c.on(field::EPT_POINTER, 1 << 7)
        => |c| c.caps.ept_vpid.remove(EptVpidCaps::SUPERVISOR_SHADOW_STACK);
    E30: |_| () => |c| c.on(field::EPT_POINTER, 1 << 8);
    E31: |c| c.secondary(17) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E32: |c| c.secondary(17) => |c| c.set(field::PML_ADDRESS, 0x1008);
    E33: |c| c.secondary(7) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E34: |c| c.secondary(22) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E35: |c| c.secondary(23) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E36: |c| c.secondary(23) => |c| c.set(field::SPP_TABLE_POINTER, 0x800);
    E37: |c| { c.secondary(13); c.set(field::VM_FUNCTION_CONTROLS, 1); }
        => |c| c.set(field::VM_FUNCTION_CONTROLS, 2);
    E38: |c| { c.secondary(13); c.set(field::VM_FUNCTION_CONTROLS, 1); }
        => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E39: |c| { c.secondary(13); c.set(field::VM_FUNCTION_CONTROLS, 1); }
        => |c| c.set(field::EPTP_LIST_ADDRESS, 1);
    E40: |c| c.secondary(14) => |c| c.set(field::VMREAD_BITMAP_ADDRESS, BEYOND);
    E41: |c| c.secondary(14) => |c| c.set(field::VMWRITE_BITMAP_ADDRESS, 4);
    E42: |c| c.secondary(18) => |c| c.set(field::VE_INFORMATION_ADDRESS, 8);
    E43: |c| { c.secondary(24); c.entry(18); c.exit(25); }
        => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E44: |c| { c.secondary(24); c.entry(18); c.exit(25); }
        => |c| c.off(field::EXIT_CONTROLS, 1 << 25);
    E45: |c| { c.secondary(25); c.set(field::TSC_MULTIPLIER, 1 << 48); }
        => |c| c.set(field::TSC_MULTIPLIER, 0);
    E46: |c| c.tertiary(1) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E47: |c| { c.tertiary(1); c.set(field::HLAT_POINTER, 0x1018); }
        => |c| c.set(field::HLAT_POINTER, 0x1020);
    E48: |c| c.tertiary(2) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E49: |c| c.tertiary(3) => |c| c.off(field::SECONDARY_CONTROLS, 2);
    E50: |c| {
        c.primary(21); c.tertiary(4);
        c.set(field::PID_POINTER_TABLE_ADDRESS, BEYOND - 16);
        c.set(field::LAST_PID_POINTER_INDEX, 1);
    } => |c| c.set(field::LAST_PID_POINTER_INDEX, 2);
    E51: |c| c.secondary(21) => |c| c.set(field::HIGH_PASID_DIRECTORY_ADDRESS, 0x10);

    X1: |_| () => |c| c.off(field::EXIT_CONTROLS, 1);
    X2: |c| c.secondary_exit(3) => |c| c.secondary_exit(4);
    X3: |c| { c.pin(6); c.exit(22); } => |c| c.off(field::PIN_BASED_CONTROLS, 1 << 6);
    X4: |c| c.set(field::EXIT_MSR_STORE_COUNT, 1) => |c| c.set(field::EXIT_MSR_STORE_ADDRESS, 8);
    X5: |c| { c.set(field::EXIT_MSR_STORE_COUNT, 2); c.set(field::EXIT_MSR_STORE_ADDRESS, BEYOND - 32); }
        => |c| c.set(field::EXIT_MSR_STORE_COUNT, 3);
    X6: |c| c.set(field::EXIT_MSR_LOAD_COUNT, 1) => |c| c.set(field::EXIT_MSR_LOAD_ADDRESS, 4);
    X7: |c| { c.set(field::EXIT_MSR_LOAD_COUNT, 1); c.set(field::EXIT_MSR_LOAD_ADDRESS, BEYOND - 16); }
        => |c| c.set(field::EXIT_MSR_LOAD_ADDRESS, BEYOND);

    N1: |_| () => |c| c.off(field::ENTRY_CONTROLS, 1);
    N2: |c| c.inject(7, 0, 0) => |c| c.inject(1, 0, 0);
    N3: |c| c.inject(2, 2, 0) => |c| c.inject(2, 3, 0);
    N4: |c| c.inject(3, 31, 0) => |c| c.inject(3, 32, 0);
    N5: |c| c.inject(7, 0, 0) => |c| c.inject(7, 1, 0);
    N6: |c| { c.real_mode(); c.inject(3, 13, 0); } => |c| c.inject(3, 13, 1 << 11);
    N7: |c| c.inject(0, 0x30, 0) => |c| c.inject(0, 0x30, 1 << 11);
    N8: |c| c.inject(3, 13, 1 << 11) => |c| c.inject(3, 13, 0);
    N9: |c| c.inject(3, 6, 1 << 13) => |c| c.inject(3, 6, 1 << 12);
    N10: |c| { c.inject(3, 14, 1 << 11); c.set(field::ENTRY_EXCEPTION_ERROR_CODE, 0xFFFF); }
        => |c| c.set(field::ENTRY_EXCEPTION_ERROR_CODE, 0x1_0000);
    N11: |c| { c.inject(4, 0x80, 0); c.set(field::ENTRY_INSTRUCTION_LENGTH, 15); }
        => |c| c.set(field::ENTRY_INSTRUCTION_LENGTH, 0);
    N12: |c| { c.set(field::ENTRY_MSR_LOAD_COUNT, 1); c.context.entry_msrs = Some(&[]); }
        => |c| c.set(field::ENTRY_MSR_LOAD_ADDRESS, 8);
    N13: |c| { c.set(field::ENTRY_MSR_LOAD_COUNT, 1); c.set(field::ENTRY_MSR_LOAD_ADDRESS, BEYOND - 16); }
        => |c| c.set(field::ENTRY_MSR_LOAD_COUNT, 2);
    N14: |c| { c.context.in_smm = Some(true); c.entry(10); c.on(field::GUEST_INTERRUPTIBILITY_STATE, 4); }
        => |c| c.context.in_smm = Some(false);
    N15: |c| { c.context.in_smm = Some(true); c.entry(11); } => |c| c.context.in_smm = Some(false);
    N16: |c| { c.context.in_smm = Some(true); c.entry(11); } => |c| c.entry(10);
}
