//! One or two changes: to any field with bits turned over, copied or at a boundary, or to one field
//! with the values that its rules speak of.

use vmx::{FieldEncoding, FieldGroup, Width, field};

use super::case::{Case, Entering, Lab};
use super::random::Random;
use super::recipe;

/// Changes one or two things.
pub(super) fn change(lab: &Lab, case: &mut Case, random: &mut Random) {
    if random.once_in(40) {
        case.entering = random.pick(&[
            Entering::Resume,
            Entering::LaunchAgain,
            Entering::ResumeFirst,
            Entering::BehindMovSs,
            Entering::WithoutVmcs,
            Entering::ShadowVmcs,
        ]);
        let caps = &lab.processor.caps;
        let shadows = caps.allows(vmx::SecondaryControls::VMCS_SHADOWING);
        if case.entering == Entering::ShadowVmcs && !shadows {
            case.entering = Entering::WithoutVmcs;
        }
    }
    if random.once_in(8) {
        surroundings(lab, case, random);
    }
    for _ in 0..1 + random.below(10) / 7 {
        match random.below(10) {
            0..3 => any_field(case, random),
            3 => controls(lab, case, random),
            4..7 => recipe::follow(lab, case, random),
            _ => with_rules(lab, case, random),
        }
    }
}

/// What is not in the VMCS.
fn surroundings(lab: &Lab, case: &mut Case, random: &mut Random) {
    match random.below(3) {
        0 => case.link_revision ^= random.pick(&[1, 1 << 31, 1 << 8]),
        1 => {
            let bits = random.pick(&[2, 4, 0x20, 0x100, 1 << 63, 1 << 52]);
            let beyond = 1 << lab.processor.caps.widths.physical;
            let entry = usize::try_from(random.below(4)).unwrap_or(0);
            if let Some(pdpte) = case.pdptes.get_mut(entry) {
                *pdpte = lab.processor.pages.zero | 1 | random.pick(&[0, bits, beyond]);
            }
        }
        _ => {
            let [tpr, ..] = random.next().to_le_bytes();
            case.virtual_tpr = tpr;
        }
    }
}

/// Any field that can be written.
fn any_field(case: &mut Case, random: &mut Random) {
    let Some(encoding) = some_field(case, random, |encoding| {
        encoding.group() != FieldGroup::ExitInformation
            && encoding != field::HOST_RSP.encoding()
            && encoding != field::PREEMPTION_TIMER_VALUE.encoding()
    }) else {
        return;
    };
    let old = case.vmcs.raw(encoding).unwrap_or(0);
    let bits = match encoding.width() {
        Width::Bits16 => 16,
        Width::Bits32 => 32,
        _ => 64,
    };
    let value = match random.below(6) {
        0..3 => old ^ 1 << random.below(bits),
        3 => boundary(random),
        4 => random.next(),
        _ => {
            // Where the host is depends on how the image was linked.
            let other = some_field(case, random, |other| other.group() != FieldGroup::HostState);
            other.and_then(|other| case.vmcs.raw(other)).unwrap_or(0)
        }
    };
    case.set_raw(encoding, value);
}

fn some_field(
    case: &Case,
    random: &mut Random,
    suits: impl Fn(FieldEncoding) -> bool,
) -> Option<FieldEncoding> {
    let suiting = || case.vmcs.fields().map(|(encoding, _)| encoding).filter(|e| suits(*e));
    let index = random.below(suiting().count() as u64);
    suiting().nth(usize::try_from(index).unwrap_or(0))
}

fn boundary(random: &mut Random) -> u64 {
    let bit = 1_u64 << random.below(64);
    random.pick(&[0, 1, bit, bit.wrapping_sub(1), bit.wrapping_neg(), u64::MAX])
}

/// A bit of the controls: mostly one that the processor knows.
fn controls(lab: &Lab, case: &mut Case, random: &mut Random) {
    let caps = &lab.processor.caps;
    let sets = [
        (field::PIN_BASED_CONTROLS.encoding(), caps.true_pin_based >> 32),
        (field::PRIMARY_CONTROLS.encoding(), caps.true_primary >> 32),
        (field::SECONDARY_CONTROLS.encoding(), caps.secondary >> 32),
        (field::SECONDARY_CONTROLS.encoding(), caps.secondary >> 32),
        (field::EXIT_CONTROLS.encoding(), caps.true_exit >> 32),
        (field::ENTRY_CONTROLS.encoding(), caps.true_entry >> 32),
        (field::SECONDARY_EXIT_CONTROLS.encoding(), caps.secondary_exit),
        (field::TERTIARY_CONTROLS.encoding(), caps.tertiary),
    ];
    let index = usize::try_from(random.below(sets.len() as u64)).unwrap_or(0);
    let Some(&(encoding, known)) = sets.get(index) else { return };
    let mut bit = 1 << random.below(32);
    for _ in 0..8 {
        if known & bit != 0 {
            break;
        }
        bit = 1 << random.below(32);
    }
    case.set_raw(encoding, case.vmcs.raw(encoding).unwrap_or(0) ^ bit);
}

/// Values that the rules on a field speak of.
fn with_rules(lab: &Lab, case: &mut Case, random: &mut Random) {
    let index = usize::try_from(random.below(KINDS.len() as u64)).unwrap_or(0);
    let Some((kind, fields)) = KINDS.get(index) else { return };
    let index = usize::try_from(random.below(fields.len() as u64)).unwrap_or(0);
    let Some(encoding) = fields.get(index).map(|number| FieldEncoding::new(*number)) else {
        return;
    };
    let Some(old) = case.vmcs.raw(encoding) else { return };
    case.set_raw(encoding, kind.value(lab, old, random));
}

/// What kind of value a field has.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Address,
    Canonical,
    AccessRights,
    Limit,
    Selector,
    Event,
    PendingDebug,
    Interruptibility,
    Activity,
    Flags,
    Cr0,
    Cr3,
    Cr4,
    Efer,
    Pat,
    EptPointer,
    Count,
    Few,
    Cet,
    Pdpte,
    Upper,
}

/// Kinds, as often as they are to be chosen, and the encodings of the fields that have them.
const KINDS: &[(Kind, &[u32])] = &[
    (
        Kind::Address,
        &[
            0x2000, 0x2002, 0x2004, 0x2006, 0x2008, 0x200A, 0x200E, 0x2012, 0x2014, 0x2016, 0x2024,
            0x2026, 0x2028, 0x202A, 0x2030, 0x2800,
        ],
    ),
    (Kind::Address, &[0x2016, 0x2800, 0x2012, 0x2024, 0x2026, 0x2028]),
    (
        Kind::Canonical,
        &[
            0x6C06, 0x6C08, 0x6C0A, 0x6C0C, 0x6C0E, 0x6C10, 0x6C12, 0x6C16, 0x6824, 0x6826, 0x6816,
            0x6818, 0x681E, 0x6806, 0x6808, 0x680A, 0x680C, 0x680E, 0x6810, 0x6812, 0x6814,
        ],
    ),
    (Kind::Canonical, &[0x681E, 0x6814, 0x6812, 0x6808]),
    (Kind::AccessRights, &[0x4816]),
    (Kind::AccessRights, &[0x4818]),
    (Kind::AccessRights, &[0x4814, 0x481A, 0x481C, 0x481E]),
    (Kind::AccessRights, &[0x4820, 0x4822]),
    (
        Kind::Limit,
        &[0x4800, 0x4802, 0x4804, 0x4806, 0x4808, 0x480A, 0x480C, 0x480E, 0x4810, 0x4812],
    ),
    (
        Kind::Selector,
        &[
            0x800, 0x802, 0x804, 0x806, 0x808, 0x80A, 0x80C, 0x80E, 0xC00, 0xC02, 0xC04, 0xC06,
            0xC08, 0xC0A, 0xC0C,
        ],
    ),
    (Kind::Event, &[0x4016]),
    (Kind::Event, &[0x4016]),
    (Kind::PendingDebug, &[0x6822]),
    (Kind::Interruptibility, &[0x4824]),
    (Kind::Activity, &[0x4826]),
    (Kind::Flags, &[0x6820]),
    (Kind::Cr0, &[0x6800, 0x6C00]),
    (Kind::Cr3, &[0x6802, 0x6C02]),
    (Kind::Cr4, &[0x6804, 0x6C04]),
    (Kind::Efer, &[0x2806, 0x2C02]),
    (Kind::Pat, &[0x2804, 0x2C00]),
    (Kind::EptPointer, &[0x201A]),
    (Kind::Count, &[0x400E, 0x4010, 0x4014, 0x400A]),
    (Kind::Few, &[0x0000, 0x0002, 0x401C, 0x401A, 0x4018, 0x2018, 0x2032]),
    (Kind::Cet, &[0x6828, 0x682A, 0x682C, 0x6C18, 0x6C1A, 0x6C1C]),
    (Kind::Pdpte, &[0x280A, 0x280C, 0x280E, 0x2810]),
    (Kind::Upper, &[0x681A, 0x2818, 0x2C06, 0x2802]),
];

impl Kind {
    fn value(self, lab: &Lab, old: u64, random: &mut Random) -> u64 {
        let pages = &lab.processor.pages;
        let widths = lab.processor.caps.widths;
        let beyond = 1_u64 << widths.physical;
        match self {
            Self::Address => random.pick(&[
                pages.zero,
                pages.link,
                pages.vmcs,
                pages.scratch | 8,
                pages.scratch | 0x10,
                pages.scratch | 0x40,
                pages.scratch | 0x801,
                pages.zero | beyond,
                old | 1 << 63,
                beyond - 8,
                0,
                u64::MAX,
            ]),
            Self::Canonical => {
                let top = 1_u64 << (widths.linear - 1);
                random.pick(&[
                    top,
                    top - 1,
                    top.wrapping_neg(),
                    top.wrapping_neg() - 1,
                    2 * top,
                    1 << 63,
                    1 << 32,
                    0xFFFF_FFFF,
                ])
            }
            Self::AccessRights => match random.below(8) {
                0..2 => old & !0xF | random.below(16),
                2 => old & !0x60 | random.below(4) << 5,
                3 => old ^ random.pick(&[0x10, 0x80]),
                4 => old ^ 1 << (8 + random.below(4)),
                5 => old ^ random.pick(&[1 << 13, 1 << 14, 1 << 15, 3 << 13]),
                6 => old ^ 1 << (17 + random.below(15)),
                _ => old ^ 1 << 16,
            },
            Self::Limit => random.pick(&[
                0,
                0xFFE,
                0xFFF,
                0xFFFF,
                0xF_FFFF,
                0x10_0000,
                0x1F_FFFF,
                0xFFFF_F000,
                0xFFFF_FFFF,
            ]),
            Self::Selector => {
                random.pick(&[0, old ^ 1, old ^ 2, old ^ 3, old ^ 4, old | 7, 0xFFFF])
            }
            Self::Event => event(random),
            Self::PendingDebug => {
                let bit = 1 << random.below(18);
                random.pick(&[bit, 1 << 14, 0x1_1000, 0x1_0000, 0x1000, 0xF, 1 << 11, 1 << 40])
            }
            Self::Interruptibility => {
                let (any, bit) = (random.below(32), 1 << random.below(32));
                random.pick(&[any, any, bit])
            }
            Self::Activity => random.pick(&[1, 2, 3, 4, 0x100]),
            Self::Flags => {
                old ^ random.pick(&[2, 1 << 3, 1 << 5, 1 << 8, 1 << 9, 1 << 15, 1 << 17, 1 << 22])
            }
            Self::Cr0 => {
                old ^ random.pick(&[
                    1,
                    1 << 5,
                    1 << 16,
                    1 << 29,
                    1 << 30,
                    1 << 31,
                    1 << 32,
                    1 << 63,
                ])
            }
            Self::Cr3 => old | random.pick(&[beyond, 1 << 51, 1 << 52, 1 << 61, 1 << 63, 0x18]),
            Self::Cr4 => old ^ 1 << random.pick(&[5, 13, 14, 17, 18, 20, 21, 22, 23, 24, 32, 63]),
            Self::Efer => old ^ random.pick(&[1, 2, 1 << 8, 1 << 10, 1 << 11, 1 << 12, 5 << 8]),
            Self::Pat => {
                let place = 8 * random.below(8);
                old & !(0xFF << place) | random.pick(&[0, 1, 2, 3, 4, 7, 8, 0x80, 0xFF]) << place
            }
            Self::EptPointer => {
                let bits =
                    random.pick(&[1, 2, 4, 7, 8, 0x10, 0x20, 0x38, 0x40, 0x80, 0x100, 0x800]);
                old ^ random.pick(&[bits, beyond, 1 << 63, 6])
            }
            Self::Count => random.pick(&[0, 1, 2, 4, 5, 512, 513, 0x1000_0000, 0xFFFF_FFFF]),
            Self::Few => {
                random.pick(&[0, 1, 2, 5, 15, 16, 0x100, 0x8000, 0x1_0000, 0x1_0005, u64::MAX])
            }
            Self::Cet => random.pick(&[
                1,
                2,
                4,
                0x40,
                0x200,
                0xC00,
                0x400,
                0x800,
                1 << 32,
                1 << 47,
                0xFFFF_8000_0000_0000,
            ]),
            Self::Pdpte => {
                let bits = 1 << random.below(64);
                1 | random.pick(&[bits, 2, 0x20, 0x1000, beyond, beyond >> 1])
            }
            Self::Upper => old | random.pick(&[1 << 32, 1 << 63, 1 << 16, 1 << 6, 1, 2]),
        }
    }
}

/// An event with something wrong, or not.
fn event(random: &mut Random) -> u64 {
    let kind = random.below(8);
    let vector = match random.below(3) {
        0 => random.below(256),
        1 => random.below(34),
        _ => random.pick(&[0, 1, 2, 3, 4, 8, 13, 14, 18, 21]),
    };
    let error_code = random.below(2) << 11;
    let reserved = if random.once_in(6) { 1 << (12 + random.below(19)) } else { 0 };
    1 << 31 | reserved | error_code | kind << 8 | vector
}
