//! Rules on the guest's segment and descriptor-table registers.

use guest_state::{AccessRights, cr0, rflags};

use super::exit_entry::CR4_FRED;
use super::view::{Stop, Verdict, View, each};
use super::{Outcome, rule_table};
use crate::encoding::FieldWidth;
use crate::guest::{CS, DS, ES, FS, GS, LDTR, SS, SegmentFields, TR};
use crate::{Interruptibility, field};

/// Reserved bits of access rights.
const RESERVED_LOW: u64 = 0xF00;
const RESERVED_HIGH: u64 = 0xFFFE_0000;
/// What all segments of virtual-8086 mode have.
const V8086_ACCESS: u64 = 0xF3;
/// The type of read/write accessed data, which CS can have in real mode.
const DATA_TYPE: u32 = 3;

const SIX: [&SegmentFields; 6] = [&CS, &SS, &DS, &ES, &FS, &GS];
const FOUR: [&SegmentFields; 4] = [&DS, &ES, &FS, &GS];

rule_table! {
    SEGMENTS: Segments, "Checks on Guest Segment Registers", Outcome::GuestState;

    1 "TI of the TR selector is 0", |v| v.zero(TR.selector, 4);

    2 "TI of the selector of a usable LDTR is 0",
    |v| if usable(v, &LDTR)? { v.zero(LDTR.selector, 4) } else { Ok(()) };

    3 "RPL of SS and CS are the same (not in virtual-8086 mode, nor if unrestricted)",
    |v| {
        if is_v8086(v)? || v.is_unrestricted()? {
            return Ok(());
        }
        let same = v.get(SS.selector)? & 3 == v.get(CS.selector)? & 3;
        v.agree(same, SS.selector, CS.selector)
    };

    4 "in virtual-8086 mode bases are 16 times their selectors",
    |v| if is_v8086(v)? {
        each(SIX.map(|s| {
            let holds = v.get(s.base)? == v.get(s.selector)? << 4;
            v.agree(holds, s.base, s.selector)
        }))
    } else {
        Ok(())
    };

    5 "the bases of TR, FS and GS are canonical",
    |v| each([&TR, &FS, &GS].map(|s| v.canonical(s.base)));

    6 "the base of a usable LDTR is canonical",
    |v| if usable(v, &LDTR)? { v.canonical(LDTR.base) } else { Ok(()) };

    7 "bits 63:32 of the base of CS are 0", |v| v.zero(CS.base, !0xFFFF_FFFF);

    8 "bits 63:32 of the bases of usable SS, DS and ES are 0",
    |v| each([&SS, &DS, &ES].map(|s| if usable(v, s)? {
        v.zero(s.base, !0xFFFF_FFFF)
    } else {
        Ok(())
    }));

    9 "in virtual-8086 mode limits are FFFFh",
    |v| if is_v8086(v)? {
        each(SIX.map(|s| v.demand(v.get(s.limit)? == 0xFFFF, s.limit)))
    } else {
        Ok(())
    };

    10 "in virtual-8086 mode access rights are F3h",
    |v| if is_v8086(v)? {
        each(SIX.map(|s| v.demand(v.get(s.access)? == V8086_ACCESS, s.access)))
    } else {
        Ok(())
    };

    11 "the type of CS is 9, 11, 13 or 15, or 3 if unrestricted",
    |v| {
        if is_v8086(v)? {
            return Ok(());
        }
        let holds = match access(v, &CS)?.segment_type() {
            9 | 11 | 13 | 15 => true,
            DATA_TYPE => v.is_unrestricted()?,
            _ => false,
        };
        v.demand(holds, CS.access)
    };

    12 "the type of a usable SS is 3 or 7",
    |v| {
        if is_v8086(v)? || !usable(v, &SS)? {
            return Ok(());
        }
        v.demand(matches!(access(v, &SS)?.segment_type(), 3 | 7), SS.access)
    };

    13 "usable DS, ES, FS and GS are accessed (type bit 0)",
    |v| data_segments(v, |v, s| v.ones(s.access, 1));

    14 "usable DS, ES, FS and GS that hold code are readable (type bit 1)",
    |v| data_segments(v, |v, s| if access(v, s)?.segment_type() & 8 != 0 {
        v.ones(s.access, 2)
    } else {
        Ok(())
    });

    15 "S of CS and of usable segments is 1", |v| usable_segments(v, |v, s| v.ones(s.access, 1 << 4));

    16 "DPL of CS of type 3 is 0",
    |v| cs_of_type(v, |kind| kind == DATA_TYPE, |v, dpl| v.demand(dpl == 0, CS.access));

    17 "DPL of nonconforming code in CS (types 9 and 11) is that of SS",
    |v| cs_of_type(v, |kind| matches!(kind, 9 | 11), |v, dpl| {
        v.agree(dpl == access(v, &SS)?.dpl(), CS.access, SS.access)
    });

    18 "DPL of conforming code in CS (types 13 and 15) is at most that of SS",
    |v| cs_of_type(v, |kind| matches!(kind, 13 | 15), |v, dpl| {
        v.agree(dpl <= access(v, &SS)?.dpl(), CS.access, SS.access)
    });

    19 "DPL of SS is its RPL (not if unrestricted)",
    |v| {
        if is_v8086(v)? || v.is_unrestricted()? {
            return Ok(());
        }
        let same = u64::from(access(v, &SS)?.dpl()) == v.get(SS.selector)? & 3;
        v.agree(same, SS.access, SS.selector)
    };

    20 "DPL of SS is 0 if CS has type 3 or CR0.PE is 0",
    |v| {
        if is_v8086(v)? {
            return Ok(());
        }
        let is_real = v.get(field::GUEST_CR0)? & cr0::PE == 0;
        let ss = access(v, &SS)?;
        if is_real {
            return v.agree(ss.dpl() == 0, SS.access, field::GUEST_CR0);
        }
        let is_data = access(v, &CS)?.segment_type() == DATA_TYPE;
        v.agree(!is_data || ss.dpl() == 0, SS.access, CS.access)
    };

    21 "DPL of usable DS, ES, FS and GS of type 0 to 11 is at least RPL (not if unrestricted)",
    |v| {
        if v.is_unrestricted()? {
            return Ok(());
        }
        data_segments(v, |v, s| {
            let rights = access(v, s)?;
            let holds = rights.segment_type() > 11
                || u64::from(rights.dpl()) >= v.get(s.selector)? & 3;
            v.agree(holds, s.access, s.selector)
        })
    };

    22 "CS and usable segments are present", |v| usable_segments(v, |v, s| v.ones(s.access, 1 << 7));

    23 "bits 11:8 of the access rights of CS and of usable segments are 0",
    |v| usable_segments(v, |v, s| v.zero(s.access, RESERVED_LOW));

    24 "D/B of 64-bit code in CS is 0",
    |v| {
        if is_v8086(v)? || !v.is_ia32e_guest()? || !access(v, &CS)?.is_64bit() {
            return Ok(());
        }
        v.zero(CS.access, 1 << 14)
    };

    25 "G of CS and of usable segments is 0 if any of bits 11:0 of the limit is 0",
    |v| usable_segments(v, fine_limit);

    26 "G of CS and of usable segments is 1 if any of bits 31:20 of the limit is 1",
    |v| usable_segments(v, coarse_limit);

    27 "bits 31:17 of the access rights of CS and of usable segments are 0",
    |v| usable_segments(v, |v, s| v.zero(s.access, RESERVED_HIGH));

    28 "the type of TR is 11, or 3 outside of IA-32e mode",
    |v| match access(v, &TR)?.segment_type() {
        11 => Ok(()),
        3 => {
            let ia32e = v.is_ia32e_guest()?;
            v.agree(!ia32e, TR.access, field::ENTRY_CONTROLS)
        }
        _ => v.broken(TR.access, 0),
    };

    29 "S of TR is 0", |v| v.zero(TR.access, 1 << 4);

    30 "TR is present", |v| v.ones(TR.access, 1 << 7);

    31 "bits 11:8 and 31:17 of the access rights of TR are 0",
    |v| v.zero(TR.access, RESERVED_LOW | RESERVED_HIGH);

    32 "G of TR agrees with its limit",
    |v| each([fine_limit(v, &TR), coarse_limit(v, &TR)]);

    33 "TR is usable", |v| v.zero(TR.access, 1 << 16);

    34 "the type of a usable LDTR is 2",
    |v| ldtr(v, |v| v.demand(access(v, &LDTR)?.segment_type() == 2, LDTR.access));

    35 "S of a usable LDTR is 0", |v| ldtr(v, |v| v.zero(LDTR.access, 1 << 4));

    36 "a usable LDTR is present", |v| ldtr(v, |v| v.ones(LDTR.access, 1 << 7));

    37 "bits 11:8 and 31:17 of the access rights of a usable LDTR are 0",
    |v| ldtr(v, |v| v.zero(LDTR.access, RESERVED_LOW | RESERVED_HIGH));

    38 "G of a usable LDTR agrees with its limit",
    |v| ldtr(v, |v| each([fine_limit(v, &LDTR), coarse_limit(v, &LDTR)]));

    39 "with CR4.FRED DPL of SS is 0, with 64-bit code, or 3, with IOPL 0 and no blocking by STI",
    |v| {
        if v.get(field::GUEST_CR4)? & CR4_FRED == 0 || is_v8086(v)? {
            return Ok(());
        }
        match access(v, &SS)?.dpl() {
            0 => v.agree(access(v, &CS)?.is_64bit(), SS.access, CS.access),
            3 => each([
                v.zero(field::GUEST_RFLAGS, rflags::IOPL),
                v.zero(
                    field::GUEST_INTERRUPTIBILITY_STATE,
                    Interruptibility::BLOCKING_BY_STI.bits().into(),
                ),
            ]),
            _ => v.broken(SS.access, 3 << 5),
        }
    };
}

rule_table! {
    DESCRIPTOR_TABLES: DescriptorTables, "Checks on Guest Descriptor-Table Registers",
        Outcome::GuestState;

    1 "the base of GDTR is canonical", |v| v.canonical(field::GUEST_GDTR_BASE);
    2 "the base of IDTR is canonical", |v| v.canonical(field::GUEST_IDTR_BASE);
    3 "bits 31:16 of the limit of GDTR are 0", |v| v.zero(field::GUEST_GDTR_LIMIT, 0xFFFF_0000);
    4 "bits 31:16 of the limit of IDTR are 0", |v| v.zero(field::GUEST_IDTR_LIMIT, 0xFFFF_0000);
}

/// Tells whether the guest will be in virtual-8086 mode.
fn is_v8086(v: &View<'_>) -> Result<bool, Stop> {
    Ok(v.get(field::GUEST_RFLAGS)? & rflags::VM != 0)
}

fn access(v: &View<'_>, segment: &SegmentFields) -> Result<AccessRights, Stop> {
    Ok(AccessRights(<u32 as FieldWidth>::from_raw(v.get(segment.access)?)))
}

fn usable(v: &View<'_>, segment: &SegmentFields) -> Result<bool, Stop> {
    Ok(!access(v, segment)?.is_unusable())
}

/// Applies a rule to those of DS, ES, FS and GS that are usable, outside of virtual-8086 mode.
fn data_segments(v: &View<'_>, rule: impl Fn(&View<'_>, &SegmentFields) -> Verdict) -> Verdict {
    if is_v8086(v)? {
        return Ok(());
    }
    each(FOUR.map(|s| if usable(v, s)? { rule(v, s) } else { Ok(()) }))
}

/// Applies a rule to CS and to those of SS, DS, ES, FS and GS that are usable, outside of
/// virtual-8086 mode.
fn usable_segments(v: &View<'_>, rule: impl Fn(&View<'_>, &SegmentFields) -> Verdict) -> Verdict {
    if is_v8086(v)? {
        return Ok(());
    }
    let [cs, others @ ..] = SIX;
    let others = others.map(|s| if usable(v, s)? { rule(v, s) } else { Ok(()) });
    each([rule(v, cs), each(others)])
}

/// Applies a rule on the DPL of CS if it has one of some types, outside of virtual-8086 mode.
fn cs_of_type(
    v: &View<'_>,
    applies: impl Fn(u32) -> bool,
    rule: impl Fn(&View<'_>, u32) -> Verdict,
) -> Verdict {
    if is_v8086(v)? {
        return Ok(());
    }
    let rights = access(v, &CS)?;
    if applies(rights.segment_type()) { rule(v, rights.dpl()) } else { Ok(()) }
}

/// Applies a rule on LDTR, if it is usable.
fn ldtr(v: &View<'_>, rule: impl Fn(&View<'_>) -> Verdict) -> Verdict {
    if usable(v, &LDTR)? { rule(v) } else { Ok(()) }
}

/// Demands byte granularity of a limit that is not all ones in its low 12 bits.
fn fine_limit(v: &View<'_>, s: &SegmentFields) -> Verdict {
    let holds = v.get(s.limit)? & 0xFFF == 0xFFF || !access(v, s)?.is_page_granular();
    v.agree(holds, s.access, s.limit)
}

/// Demands page granularity of a limit past 1 MiB.
fn coarse_limit(v: &View<'_>, s: &SegmentFields) -> Verdict {
    let holds = v.get(s.limit)? >> 20 == 0 || access(v, s)?.is_page_granular();
    v.agree(holds, s.access, s.limit)
}
