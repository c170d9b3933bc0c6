//! Features that a state is given on top, whole, so that the rules on them apply.

use vmx::{
    ControlSet, EntryControls, ExitControls, MsrEntry, PinBasedControls, PrimaryControls,
    SecondaryControls, SecondaryExitControls, TertiaryControls, field,
};

use super::case::{Case, Lab};
use super::random::Random;

type Feature = fn(&Lab, &mut Case, &mut Random);

/// Gives the case one feature, if the processor has it.
pub(super) fn add(lab: &Lab, case: &mut Case, random: &mut Random) {
    let index = usize::try_from(random.below(ALL.len() as u64)).unwrap_or(0);
    if let Some(feature) = ALL.get(index) {
        feature(lab, case, random);
    }
}

/// Sets controls that the processor has. Returns whether it has them.
fn pin(lab: &Lab, case: &mut Case, controls: PinBasedControls) -> bool {
    let has = lab.processor.caps.allows(controls);
    if has {
        case.on(field::PIN_BASED_CONTROLS, controls.as_u64());
    }
    has
}

pub(super) fn primary(lab: &Lab, case: &mut Case, controls: PrimaryControls) -> bool {
    let has = lab.processor.caps.allows(controls);
    if has {
        case.on(field::PRIMARY_CONTROLS, controls.as_u64());
    }
    has
}

pub(super) fn secondary(lab: &Lab, case: &mut Case, controls: SecondaryControls) -> bool {
    let has = lab.processor.caps.allows(controls)
        && primary(lab, case, PrimaryControls::ACTIVATE_SECONDARY_CONTROLS);
    if has {
        case.on(field::SECONDARY_CONTROLS, controls.as_u64());
    }
    has
}

fn tertiary(lab: &Lab, case: &mut Case, controls: TertiaryControls) -> bool {
    let has = lab.processor.caps.allows(controls)
        && primary(lab, case, PrimaryControls::ACTIVATE_TERTIARY_CONTROLS);
    if has {
        case.on(field::TERTIARY_CONTROLS, controls.as_u64());
    }
    has
}

pub(super) fn exit(lab: &Lab, case: &mut Case, controls: ExitControls) -> bool {
    let has = lab.processor.caps.allows(controls);
    if has {
        case.on(field::EXIT_CONTROLS, controls.as_u64());
    }
    has
}

fn secondary_exit(lab: &Lab, case: &mut Case, controls: SecondaryExitControls) -> bool {
    let has = lab.processor.caps.allows(controls)
        && exit(lab, case, ExitControls::ACTIVATE_SECONDARY_CONTROLS);
    if has {
        case.on(field::SECONDARY_EXIT_CONTROLS, controls.as_u64());
    }
    has
}

pub(super) fn entry(lab: &Lab, case: &mut Case, controls: EntryControls) -> bool {
    let has = lab.processor.caps.allows(controls);
    if has {
        case.on(field::ENTRY_CONTROLS, controls.as_u64());
    }
    has
}

const ALL: &[Feature] = &[
    |lab, case, _| {
        primary(lab, case, PrimaryControls::USE_IO_BITMAPS);
        case.set(field::IO_BITMAP_A, lab.processor.pages.zero);
        case.set(field::IO_BITMAP_B, lab.processor.pages.zero);
    },
    tpr_shadow,
    tpr_shadow,
    |lab, case, random| {
        tpr_shadow(lab, case, random);
        secondary(lab, case, SecondaryControls::VIRTUALIZE_X2APIC_MODE);
    },
    |lab, case, random| {
        tpr_shadow(lab, case, random);
        secondary(lab, case, SecondaryControls::APIC_REGISTER_VIRTUALIZATION);
    },
    |lab, case, random| {
        tpr_shadow(lab, case, random);
        secondary(lab, case, SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY);
    },
    posted_interrupts,
    posted_interrupts,
    |lab, case, _| {
        secondary(lab, case, SecondaryControls::VIRTUALIZE_APIC_ACCESSES);
        case.set(field::APIC_ACCESS_ADDRESS, lab.processor.pages.apic_access);
    },
    |lab, case, random| {
        secondary(lab, case, SecondaryControls::ENABLE_VPID);
        case.set(field::VPID, 1 + random.below(0xFFFF));
    },
    |lab, case, _| {
        secondary(lab, case, SecondaryControls::ENABLE_PML);
        case.set(field::PML_ADDRESS, lab.processor.pages.scratch);
    },
    |lab, case, _| {
        secondary(lab, case, SecondaryControls::MODE_BASED_EXECUTE_CONTROL);
    },
    |lab, case, _| {
        secondary(lab, case, SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS);
        case.set(field::SPP_TABLE_POINTER, lab.processor.pages.zero);
    },
    vm_functions,
    vm_functions,
    shadowing,
    shadowing,
    |lab, case, _| {
        secondary(lab, case, SecondaryControls::EPT_VIOLATION_VE);
        case.set(field::VE_INFORMATION_ADDRESS, lab.processor.pages.scratch);
    },
    |lab, case, random| {
        secondary(lab, case, SecondaryControls::USE_TSC_SCALING);
        case.set(field::TSC_MULTIPLIER, random.next() | 1);
    },
    |lab, case, _| {
        tertiary(lab, case, TertiaryControls::all());
    },
    |lab, case, _| {
        secondary_exit(lab, case, SecondaryExitControls::PREMATURELY_BUSY_SHADOW_STACK);
    },
    cet,
    cet,
    |lab, case, random| {
        entry(lab, case, EntryControls::LOAD_PKRS);
        exit(lab, case, ExitControls::LOAD_PKRS);
        case.set(field::GUEST_PKRS, random.next() >> 32);
    },
    |lab, case, _| {
        case.set(field::EXIT_MSR_STORE_ADDRESS, lab.processor.pages.scratch);
        case.set(field::EXIT_MSR_STORE_COUNT, 2);
    },
    |lab, case, _| {
        case.set(field::EXIT_MSR_LOAD_ADDRESS, lab.processor.pages.exit_list);
        case.set(field::EXIT_MSR_LOAD_COUNT, 2);
    },
    entry_list,
    entry_list,
    entry_list,
    injection,
    injection,
    injection,
    injection,
    injection,
    // A single step in a shadow, in HLT or outside.
    |_, case, random| {
        case.on(field::GUEST_RFLAGS, 1 << 8);
        case.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, random.below(2) << 14);
        case.set(field::GUEST_INTERRUPTIBILITY_STATE, random.below(3));
        case.set(field::GUEST_DEBUGCTL, random.below(2) << 1);
    },
    |_, case, random| case.set(field::GUEST_INTERRUPTIBILITY_STATE, random.pick(&[1, 2, 8])),
    |_, case, _| case.set(field::GUEST_ACTIVITY_STATE, 1),
    |_, case, random| case.set(field::GUEST_ACTIVITY_STATE, random.below(4)),
    |_, case, _| case.set(field::GUEST_LDTR_ACCESS_RIGHTS, 0x1_0000),
    |_, case, _| {
        for access in [
            field::GUEST_DS_ACCESS_RIGHTS,
            field::GUEST_ES_ACCESS_RIGHTS,
            field::GUEST_FS_ACCESS_RIGHTS,
            field::GUEST_GS_ACCESS_RIGHTS,
        ] {
            case.set(access, 0x1_0000);
        }
    },
    |lab, case, _| {
        case.pdptes = [lab.processor.pages.zero | 1, 0, 0x1E6, 0];
        case.set(field::GUEST_PDPTE0, lab.processor.pages.zero | 1);
        case.set(field::GUEST_PDPTE2, 0x1E6);
    },
    |_, case, random| case.on(field::GUEST_CR0, random.pick(&[1 << 16, 2, 8, 0x6000_0000])),
    |lab, case, random| {
        let bits = lab.processor.caps.cr4_fixed1;
        case.on(field::GUEST_CR4, random.next() & bits & !(1 << 23 | 1 << 17));
    },
];

pub(super) fn tpr_shadow(lab: &Lab, case: &mut Case, random: &mut Random) {
    primary(lab, case, PrimaryControls::USE_TPR_SHADOW);
    case.set(field::VIRTUAL_APIC_ADDRESS, lab.processor.pages.virtual_apic);
    let [tpr, ..] = random.next().to_le_bytes();
    case.virtual_tpr = tpr;
    case.set(field::TPR_THRESHOLD, random.below(u64::from(tpr >> 4) + 1));
}

pub(super) fn posted_interrupts(lab: &Lab, case: &mut Case, random: &mut Random) {
    if pin(lab, case, PinBasedControls::PROCESS_POSTED_INTERRUPTS) {
        tpr_shadow(lab, case, random);
        secondary(lab, case, SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY);
        case.set(field::POSTED_INTERRUPT_VECTOR, random.below(256));
        case.set(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, lab.processor.pages.scratch);
    }
}

fn vm_functions(lab: &Lab, case: &mut Case, random: &mut Random) {
    secondary(lab, case, SecondaryControls::ENABLE_VM_FUNCTIONS);
    case.set(field::VM_FUNCTION_CONTROLS, random.below(2));
    case.set(field::EPTP_LIST_ADDRESS, lab.processor.pages.zero);
}

fn shadowing(lab: &Lab, case: &mut Case, random: &mut Random) {
    if random.once_in(2) && secondary(lab, case, SecondaryControls::VMCS_SHADOWING) {
        case.set(field::VMREAD_BITMAP_ADDRESS, lab.processor.pages.zero);
        case.set(field::VMWRITE_BITMAP_ADDRESS, lab.processor.pages.zero);
        case.link_revision |= 1 << 31;
    }
    case.set(field::VMCS_LINK_POINTER, lab.processor.pages.link);
}

pub(super) fn cet(lab: &Lab, case: &mut Case, random: &mut Random) {
    if exit(lab, case, ExitControls::LOAD_CET_STATE) {
        case.set(field::HOST_S_CET, random.pick(&[0, 4, 0x1000]));
        case.set(field::HOST_SSP, 0x1000);
    }
    if entry(lab, case, EntryControls::LOAD_CET_STATE) {
        case.set(field::GUEST_S_CET, random.pick(&[0, 4, 0x1000, 0x800]));
        case.set(field::GUEST_SSP, 0x2000);
        if random.once_in(3) {
            case.on(field::GUEST_CR4, 1 << 23);
            case.on(field::GUEST_CR0, 1 << 16);
        }
    }
}

/// MSRs for a list, with values that are good and some that are not.
fn entry_list(lab: &Lab, case: &mut Case, random: &mut Random) {
    let addresses = [0, 0x1000, 0xFFFF_8000_0000_0000, 0x0000_8000_0000_0000];
    for entry in &mut case.entry_list {
        let (index, value) = match random.below(10) {
            0..3 => (0xC000_0103, random.next() >> 32),
            3 => (0x175, random.pick(&addresses)),
            4 => (0x176, random.pick(&addresses)),
            5 => (0xC000_0102, random.pick(&addresses)),
            6 => (0xC000_0082, random.pick(&addresses)),
            7 => (0x277, random.pick(&[0x0007_0406_0007_0406, 0x0606_0606_0606_0606, 2, 8 << 56])),
            8 => (random.pick(&[0xC000_0100, 0xC000_0101, 0x808, 0x8FF, 0x9B, 0x79]), 0),
            _ => (0xC000_0080, random.pick(&[0, 0x500, 0xD01, 2, 1, 0x100])),
        };
        let reserved = u32::from(random.once_in(20));
        *entry = MsrEntry { index, reserved, value };
    }
    case.set(field::ENTRY_MSR_LOAD_ADDRESS, lab.processor.pages.entry_list);
    case.set(field::ENTRY_MSR_LOAD_COUNT, 1 + random.below(4));
}

/// An event that most states take.
fn injection(lab: &Lab, case: &mut Case, random: &mut Random) {
    let kind = random.pick(&[0, 2, 4, 5, 6, 7, 3, 3]);
    add_event(lab, case, random, kind);
}

/// An event of this kind, as it should be.
pub(super) fn add_event(_: &Lab, case: &mut Case, random: &mut Random, kind: u64) {
    let with_error_code = [8, 10, 11, 12, 13, 14, 17];
    let vector = match kind {
        2 => 2,
        3 => random.below(32),
        5 => 1,
        6 => random.pick(&[3, 4]),
        7 => 0,
        _ => random.below(256),
    };
    let is_protected = case.get(field::GUEST_CR0) & 1 != 0;
    let error_code = kind == 3 && is_protected && with_error_code.contains(&vector);
    let info = 1 << 31 | kind << 8 | vector | u64::from(error_code) << 11;
    case.set(field::ENTRY_INTERRUPTION_INFO, info);
    case.set(field::ENTRY_EXCEPTION_ERROR_CODE, random.below(0x8000));
    case.set(field::ENTRY_INSTRUCTION_LENGTH, 1 + random.below(15));
}
