//! Changes that single bits seldom make: what has to come together so that one rule is broken, or
//! just not.

use vmx::{
    EntryControls, ExitControls, FieldEncoding, PinBasedControls, PrimaryControls, ReadWrite,
    SecondaryControls, VmcsField, field,
};

use super::case::{Case, Lab};
use super::feature::{
    add_event, cet, entry, exit, posted_interrupts, primary, secondary, tpr_shadow,
};
use super::random::Random;

type Recipe = fn(&Lab, &mut Case, &mut Random);

/// Follows one recipe.
pub(super) fn follow(lab: &Lab, case: &mut Case, random: &mut Random) {
    let index = usize::try_from(random.below(ALL.len() as u64)).unwrap_or(0);
    if let Some(recipe) = ALL.get(index) {
        recipe(lab, case, random);
    }
}

/// The access rights of ES, CS, SS, DS, FS and GS.
const ACCESS: [u32; 6] = [0x4814, 0x4816, 0x4818, 0x481A, 0x481C, 0x481E];

const ALL: &[Recipe] = &[
    // Controls that need each other.
    |lab, case, random| {
        off(case, field::PIN_BASED_CONTROLS, PinBasedControls::VIRTUAL_NMIS.bits());
        if random.once_in(2) {
            off(case, field::PIN_BASED_CONTROLS, PinBasedControls::NMI_EXITING.bits());
        }
        primary(lab, case, PrimaryControls::NMI_WINDOW_EXITING);
    },
    |lab, case, random| {
        secondary(lab, case, SecondaryControls::VIRTUALIZE_APIC_ACCESSES);
        let page = lab.processor.pages.apic_access;
        case.set(field::APIC_ACCESS_ADDRESS, address(lab, page, random, 0xFFF));
    },
    |lab, case, random| {
        posted_interrupts(lab, case, random);
        match random.below(6) {
            0 => off(case, field::EXIT_CONTROLS, ExitControls::ACKNOWLEDGE_INTERRUPT.bits()),
            1 => case.set(field::POSTED_INTERRUPT_VECTOR, 0x100 << random.below(8)),
            2 => off(
                case,
                field::SECONDARY_CONTROLS,
                SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY.bits(),
            ),
            3 => off(
                case,
                field::PIN_BASED_CONTROLS,
                PinBasedControls::EXTERNAL_INTERRUPT_EXITING.bits(),
            ),
            _ => case.set(
                field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS,
                address(lab, lab.processor.pages.scratch, random, 0x3F),
            ),
        }
    },
    |lab, case, random| {
        tpr_shadow(lab, case, random);
        let values = [0x10, 0x100, 1 << 31, u64::from(case.virtual_tpr >> 4) + 1, 15];
        case.set(field::TPR_THRESHOLD, random.pick(&values));
    },
    |_, case, random| {
        let bits = random.pick(&[0x40, 0x80, 0xC0, 0x20, 0x100]);
        case.on(field::EPT_POINTER, bits);
    },
    |lab, case, random| {
        primary(lab, case, PrimaryControls::USE_IO_BITMAPS);
        case.set(field::IO_BITMAP_A, lab.processor.pages.zero);
        case.set(field::IO_BITMAP_B, lab.processor.pages.zero);
        let bitmap = random.below(2) == 0;
        let bitmap = if bitmap { field::IO_BITMAP_A } else { field::IO_BITMAP_B };
        case.set(bitmap, address(lab, lab.processor.pages.scratch, random, 0xFFF));
    },
    |lab, case, random| {
        let (control, page) = match random.below(5) {
            0 => (SecondaryControls::ENABLE_PML, field::PML_ADDRESS),
            1 => (SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS, field::SPP_TABLE_POINTER),
            2 => (SecondaryControls::EPT_VIOLATION_VE, field::VE_INFORMATION_ADDRESS),
            3 => (SecondaryControls::VMCS_SHADOWING, field::VMREAD_BITMAP_ADDRESS),
            _ => (SecondaryControls::VMCS_SHADOWING, field::VMWRITE_BITMAP_ADDRESS),
        };
        if secondary(lab, case, control) {
            for other in [field::VMREAD_BITMAP_ADDRESS, field::VMWRITE_BITMAP_ADDRESS] {
                case.set(other, lab.processor.pages.zero);
            }
            case.set(page, address(lab, lab.processor.pages.scratch, random, 0xFFF));
        }
    },
    |lab, case, random| {
        secondary(lab, case, SecondaryControls::ENABLE_VM_FUNCTIONS);
        case.set(field::VM_FUNCTION_CONTROLS, random.pick(&[1, 1, 2, 3, 1 << 63]));
        case.set(
            field::EPTP_LIST_ADDRESS,
            address(lab, lab.processor.pages.scratch, random, 0xFFF),
        );
        if random.once_in(4) {
            off(case, field::SECONDARY_CONTROLS, SecondaryControls::ENABLE_EPT.bits());
        }
    },
    |lab, case, random| {
        exit(lab, case, ExitControls::SAVE_PREEMPTION_TIMER);
        if random.once_in(2) {
            off(
                case,
                field::PIN_BASED_CONTROLS,
                PinBasedControls::ACTIVATE_PREEMPTION_TIMER.bits(),
            );
        }
    },
    lists,
    lists,
    |_, case, random| case.on(field::ENTRY_CONTROLS, random.pick(&[1 << 10, 1 << 11, 3 << 10])),
    |lab, case, random| {
        if random.once_in(2) {
            exit(lab, case, ExitControls::LOAD_CET_STATE);
        }
        case.on(field::HOST_CR4, 1 << 23 & lab.processor.caps.cr4_fixed1);
        if random.once_in(2) {
            case.set(field::HOST_CR0, case.get(field::HOST_CR0) & !(1 << 16));
        }
    },
    host_cet,
    guest_cet,
    guest_cet,
    guest_cet,
    |_, case, random| {
        off(case, field::EXIT_CONTROLS, ExitControls::HOST_ADDRESS_SPACE_SIZE.bits());
        if random.once_in(2) {
            case.set(field::HOST_EFER, 0);
        }
    },
    // Events and what they meet.
    |lab, case, random| {
        add_event(lab, case, random, 3);
        case.on(field::ENTRY_INTERRUPTION_INFO, 1 << 11);
        case.set(field::ENTRY_EXCEPTION_ERROR_CODE, random.pick(&[0, 0x8000, 0x1_0000, 1 << 31]));
    },
    |lab, case, random| {
        add_event(lab, case, random, 0);
        let flags = case.get(field::GUEST_RFLAGS);
        case.set(field::GUEST_RFLAGS, flags & !(random.below(2) << 9));
        case.set(field::GUEST_INTERRUPTIBILITY_STATE, random.below(4));
    },
    |lab, case, random| {
        add_event(lab, case, random, 2);
        case.set(field::GUEST_INTERRUPTIBILITY_STATE, random.pick(&[1, 2, 8, 10, 16]));
    },
    |lab, case, random| {
        let kind = random.below(8);
        add_event(lab, case, random, kind);
        case.set(field::GUEST_ACTIVITY_STATE, 1 + random.below(3));
    },
    |lab, case, random| {
        let kind = random.pick(&[4, 5, 6]);
        add_event(lab, case, random, kind);
        case.set(field::ENTRY_INSTRUCTION_LENGTH, random.pick(&[0, 15, 16, 1 << 31]));
    },
    |_, case, random| {
        let flags = case.get(field::GUEST_RFLAGS) & !(1 << 9);
        case.set(field::GUEST_RFLAGS, flags);
        case.set(field::GUEST_INTERRUPTIBILITY_STATE, random.pick(&[1, 2, 3]));
    },
    |_, case, random| {
        let values = [0x1_1000, 0x1_0000, 0x1_1001, 0x1_5000];
        case.set(field::GUEST_PENDING_DEBUG_EXCEPTIONS, random.pick(&values));
        case.set(field::GUEST_INTERRUPTIBILITY_STATE, random.below(3));
    },
    // Segments.
    |_, case, random| {
        let dpl = random.below(4) << 5;
        case.set(field::GUEST_CS_ACCESS_RIGHTS, 0x93 | dpl);
        if random.once_in(3) {
            case.set(field::GUEST_SS_ACCESS_RIGHTS, 0x93 | random.below(4) << 5);
        }
    },
    |_, case, random| {
        let old = case.get(field::GUEST_CS_ACCESS_RIGHTS) & !0x6F;
        let kind = random.pick(&[9, 11, 13, 15]);
        case.set(field::GUEST_CS_ACCESS_RIGHTS, old | kind | random.below(4) << 5);
    },
    |_, case, random| {
        let old = case.get(field::GUEST_SS_ACCESS_RIGHTS) & !0x60;
        case.set(field::GUEST_SS_ACCESS_RIGHTS, old | random.below(4) << 5);
    },
    v8086_flag,
    |lab, case, random| {
        let pages = &lab.processor.pages;
        let values = [pages.link, pages.vmcs, pages.link | 8, pages.link | 1 << 40, 1 << 62];
        case.set(field::VMCS_LINK_POINTER, random.pick(&values));
    },
    |_, case, _| case.set(field::GUEST_CR0, case.get(field::GUEST_CR0) & !1 | 1 << 31),
    |_, case, random| {
        let efer = random.pick(&[0, 0x100, 0x400, 0x500, 0xD01]);
        case.set(field::GUEST_EFER, efer);
    },
];

fn off(case: &mut Case, field: VmcsField<u32, ReadWrite>, bits: u32) {
    case.set(field, case.get(field) & !u64::from(bits));
}

/// An address, mostly a bad one where the bits of `low` have to be 0.
fn address(lab: &Lab, page: u64, random: &mut Random, low: u64) -> u64 {
    let beyond = 1 << lab.processor.caps.widths.physical;
    let bit = 1 << random.below(12);
    random.pick(&[page, page | low & bit, page | 1, page | beyond, page | 1 << 63])
}

/// Lists of MSRs: aligned or not, at the end of the physical addresses and beyond.
fn lists(lab: &Lab, case: &mut Case, random: &mut Random) {
    let (address, count) = match random.below(3) {
        0 => (field::EXIT_MSR_STORE_ADDRESS, field::EXIT_MSR_STORE_COUNT),
        1 => (field::EXIT_MSR_LOAD_ADDRESS, field::EXIT_MSR_LOAD_COUNT),
        _ => (field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT),
    };
    let pages = &lab.processor.pages;
    let beyond = 1_u64 << lab.processor.caps.widths.physical;
    let places = [
        pages.scratch | 8,
        pages.exit_list | 1,
        beyond,
        beyond - 16,
        beyond | 8,
        1 << 63,
        u64::MAX - 15,
    ];
    case.set(address, random.pick(&places));
    case.set(count, random.pick(&[1, 2, 2, 3]));
}

fn host_cet(lab: &Lab, case: &mut Case, random: &mut Random) {
    if exit(lab, case, ExitControls::LOAD_CET_STATE) {
        let bad = random.pick(&[0x40, 0xC00, 1 << 47, 0xFFFF_8000_0000_0000]);
        match random.below(3) {
            0 => case.set(field::HOST_S_CET, bad),
            1 => case.set(field::HOST_SSP, random.pick(&[1, 2, 4, 1 << 47, 1 << 63])),
            _ => case.set(field::HOST_INTERRUPT_SSP_TABLE, random.pick(&[1, 1 << 47, 1 << 63])),
        }
    }
}

fn guest_cet(lab: &Lab, case: &mut Case, random: &mut Random) {
    cet(lab, case, random);
    if entry(lab, case, EntryControls::LOAD_CET_STATE) {
        let bad = random.pick(&[0x40, 0xC00, 1 << 47, 1 << 32, 0xFFFF_8000_0000_0000]);
        match random.below(3) {
            0 => case.set(field::GUEST_S_CET, bad),
            1 => case.set(field::GUEST_SSP, random.pick(&[1, 2, 4, 1 << 32, 1 << 47, 1 << 63])),
            _ => case.set(field::GUEST_INTERRUPT_SSP_TABLE, random.pick(&[1, 1 << 47, 1 << 63])),
        }
    }
}

/// RFLAGS.VM with segments to suit, whatever the mode.
fn v8086_flag(_: &Lab, case: &mut Case, _: &mut Random) {
    case.on(field::GUEST_RFLAGS, 1 << 17);
    for access in ACCESS {
        let at = |first: u32| FieldEncoding::new(first + (access - 0x4814));
        case.set_raw(at(0x800), 0x100);
        case.set_raw(at(0x6806), 0x1000);
        case.set_raw(at(0x4800), 0xFFFF);
        case.set_raw(FieldEncoding::new(access), 0xF3);
    }
}
