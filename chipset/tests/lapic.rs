//! The local APIC: registers, modes and their transitions, local interrupts.

use chipset::{
    ApicMode, CpuSignal, GeneralProtection, Lint, LocalApic, LocalApicConfig, LocalApicEffect,
    Nanos,
};

const NOW: Nanos = Nanos::ZERO;

const ID: u16 = 0x020;
const VERSION: u16 = 0x030;
const TPR: u16 = 0x080;
const LDR: u16 = 0x0D0;
const DFR: u16 = 0x0E0;
const SVR: u16 = 0x0F0;
const ISR: u16 = 0x100;
const TMR: u16 = 0x180;
const IRR: u16 = 0x200;
const ESR: u16 = 0x280;
const ICR_LOW: u16 = 0x300;
const ICR_HIGH: u16 = 0x310;
const LVT_TIMER: u16 = 0x320;
const LVT_THERMAL: u16 = 0x330;
const LVT_PERFORMANCE: u16 = 0x340;
const LVT_LINT0: u16 = 0x350;
const LVT_LINT1: u16 = 0x360;
const LVT_ERROR: u16 = 0x370;
const MASKED: u32 = 1 << 16;
const LVTS: [u16; 6] = [LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR];

const BASE: u64 = 0xFEE0_0000;
const BSP: u64 = 1 << 8;
const EXTD: u64 = 1 << 10;
const EN: u64 = 1 << 11;

fn config(id: u32) -> LocalApicConfig {
    LocalApicConfig {
        id,
        is_bsp: id == 0,
        timer_hertz: 1_000_000_000,
        tsc_hertz: 2_000_000_000,
        physical_bits: 46,
        has_x2apic: true,
        can_suppress_eoi: false,
    }
}

fn write(apic: &mut LocalApic, offset: u16, value: u32) {
    assert_eq!(apic.write(offset, value, NOW), None);
}

fn enabled() -> LocalApic {
    let mut apic = LocalApic::new(config(0));
    write(&mut apic, SVR, 0x1FF);
    apic
}

fn in_x2apic(id: u32) -> LocalApic {
    let mut apic = LocalApic::new(config(id));
    assert_eq!(apic.write_base(BASE | EN | EXTD, NOW), Ok(()));
    apic
}

fn assert_power_on(apic: &mut LocalApic, id: u32) {
    let expected = [
        (ID, id << 24),
        (VERSION, 0x0005_0014),
        (TPR, 0),
        (0x090, 0),
        (0x0A0, 0),
        (LDR, 0),
        (DFR, u32::MAX),
        (SVR, 0xFF),
        (ESR, 0),
        (ICR_LOW, 0),
        (ICR_HIGH, 0),
        (0x380, 0),
        (0x390, 0),
        (0x3E0, 0),
    ];
    let sets = (0..8).flat_map(|i| [(ISR + 16 * i, 0), (TMR + 16 * i, 0), (IRR + 16 * i, 0)]);
    let lvts = LVTS.map(|offset| (offset, MASKED));
    for (offset, value) in expected.into_iter().chain(sets).chain(lvts) {
        assert_eq!(apic.read(offset, NOW), value, "at {offset:#x}");
    }
    assert_eq!(apic.read(ESR, NOW), 0, "nothing of this is an error");
}

/// SDM, "Local APIC State After Power-Up or Reset".
#[test]
fn power_on_state_is_the_manuals() {
    let mut apic = LocalApic::new(config(0));
    assert_eq!(apic.base(), BASE | EN | BSP);
    assert_eq!(apic.mode(), ApicMode::XApic);
    assert_eq!(apic.page(), Some(BASE));
    assert!(!apic.is_enabled());
    assert_power_on(&mut apic, 0);
    let mut other = LocalApic::new(config(7));
    assert_eq!(other.base(), BASE | EN);
    assert_power_on(&mut other, 7);
}

/// Brings every register away from its power-on state.
fn use_all(apic: &mut LocalApic) {
    for (offset, value) in [
        (SVR, 0x1F0),
        (TPR, 0x21),
        (LDR, 0x0100_0000),
        (DFR, 0),
        (0x3E0, 0b1011),
        (ICR_HIGH, 0x0300_0000),
        (0x380, 1000),
    ] {
        write(apic, offset, value);
    }
    for (vector, lvt) in (0x40..).zip(LVTS) {
        write(apic, lvt, vector);
    }
    let _ = apic.write(ICR_LOW, 0x0004_0055, NOW); // to itself
    let _ = apic.read(0x010, NOW);
    write(apic, ESR, 0);
    apic.accept(0x55);
}

/// SDM, "Local APIC State After It Receives an INIT Reset".
#[test]
fn init_resets_all_but_identity_and_base() {
    for (id, base) in [(0, BASE | EN | BSP), (5, 0xFED0_0000 | EN)] {
        let mut apic = LocalApic::new(config(id));
        apic.write_base(base, NOW).unwrap();
        use_all(&mut apic);
        apic.init();
        assert_eq!(apic.base(), base);
        assert_power_on(&mut apic, id);
        assert_eq!(apic.pending_vector(), None);
        assert_eq!(apic.deadline(), None);
    }
}

#[test]
fn reset_brings_the_base_back_too() {
    let mut apic = LocalApic::new(config(5));
    apic.write_base(0xFED0_0000 | EN | BSP, NOW).unwrap();
    use_all(&mut apic);
    apic.reset();
    assert_eq!(apic.base(), BASE | EN);
    assert_power_on(&mut apic, 5);
    let mut apic = in_x2apic(5);
    apic.reset();
    assert_eq!(apic.mode(), ApicMode::XApic);
}

/// SDM, "x2APIC State Transitions".
#[test]
fn modes_change_as_the_manual_draws_it() {
    use ApicMode::{Disabled, X2Apic, XApic};
    let bits = |mode| match mode {
        Disabled => 0,
        XApic => EN,
        X2Apic => EN | EXTD,
    };
    let put = |mode| {
        let mut apic = LocalApic::new(config(0));
        apic.write_base(BASE | bits(mode), NOW).unwrap();
        apic
    };
    for (from, to, allowed) in [
        (Disabled, Disabled, true),
        (Disabled, XApic, true),
        (Disabled, X2Apic, false),
        (XApic, Disabled, true),
        (XApic, XApic, true),
        (XApic, X2Apic, true),
        (X2Apic, Disabled, true),
        (X2Apic, XApic, false),
        (X2Apic, X2Apic, true),
    ] {
        let mut apic = put(from);
        let refusal =
            GeneralProtection::ModeChange { current: apic.base(), value: BASE | bits(to) };
        let expected = if allowed { Ok(()) } else { Err(refusal) };
        assert_eq!(apic.write_base(BASE | bits(to), NOW), expected, "{from:?} to {to:?}");
        assert_eq!(apic.mode(), if allowed { to } else { from });
        // Bit 10 without bit 11 is no mode at all.
        let mut apic = put(from);
        let value = BASE | EXTD;
        let refusal = GeneralProtection::ModeChange { current: apic.base(), value };
        assert_eq!(apic.write_base(value, NOW), Err(refusal));
        assert_eq!(apic.mode(), from);
    }
}

#[test]
fn reserved_bits_of_the_base_are_refused() {
    let mut apic = LocalApic::new(config(0));
    for bit in (0..8).chain([9]).chain(46..64) {
        let (value, reserved) = (BASE | EN | 1 << bit, 1 << bit);
        let refusal = GeneralProtection::ReservedBits { value, reserved };
        assert_eq!(apic.write_base(value, NOW), Err(refusal));
    }
    assert_eq!(apic.base(), BASE | EN | BSP);
    apic.write_base(1 << 45 | EN, NOW).unwrap();
    assert_eq!(apic.page(), Some(1 << 45));
    let mut without = LocalApic::new(LocalApicConfig { has_x2apic: false, ..config(0) });
    let refusal = GeneralProtection::ReservedBits { value: BASE | EN | EXTD, reserved: EXTD };
    assert_eq!(without.write_base(BASE | EN | EXTD, NOW), Err(refusal));
}

#[test]
fn switching_to_x2apic_keeps_the_registers_and_switching_off_loses_them() {
    let mut apic = LocalApic::new(config(0x0001_2345));
    use_all(&mut apic);
    assert_eq!(apic.read(ID, NOW), 0x4500_0000);
    apic.write_base(BASE | EN | EXTD, NOW).unwrap();
    assert_eq!(apic.page(), None);
    for (msr, value) in [
        (0x802, 0x0001_2345),
        (0x803, 0x0005_0014),
        (0x808, 0x21),
        (0x80D, 0x1234_0020),
        (0x80F, 0x1F0),
        (0x812, 1 << 21),
        (0x830, 0x0004_0055),
        (0x832, 0x40),
        (0x838, 1000),
        (0x83E, 0b1011),
    ] {
        assert_eq!(apic.read_msr(msr, NOW), Ok(value), "{msr:#x}");
    }
    apic.write_base(BASE, NOW).unwrap();
    apic.write_base(BASE | EN, NOW).unwrap();
    assert_power_on(&mut apic, 0x45);
}

#[test]
fn init_in_x2apic_mode_stays_in_it() {
    let mut apic = in_x2apic(0x0001_2345);
    assert_eq!(apic.write_msr(0x80F, 0x1F0, NOW), Ok(None));
    apic.init();
    assert_eq!(apic.mode(), ApicMode::X2Apic);
    assert_eq!(apic.read_msr(0x802, NOW), Ok(0x0001_2345));
    assert_eq!(apic.read_msr(0x80D, NOW), Ok(0x1234_0020));
    assert_eq!(apic.read_msr(0x80F, NOW), Ok(0xFF));
}

#[test]
fn each_form_is_there_in_its_mode_alone() {
    let mut apic = enabled();
    let gone = Err(GeneralProtection::NoRegister { index: 0x802 });
    assert_eq!(apic.read_msr(0x802, NOW), gone);
    apic.write_base(BASE | EN | EXTD, NOW).unwrap();
    assert_eq!(apic.read(ID, NOW), u32::MAX);
    write(&mut apic, TPR, 0x40);
    assert_eq!(apic.read_msr(0x808, NOW), Ok(0));
    apic.write_base(BASE, NOW).unwrap();
    assert_eq!(apic.read(ID, NOW), u32::MAX);
    assert_eq!(apic.read_msr(0x802, NOW), gone);
    assert_eq!(apic.page(), None);
}

/// SDM, the table "Local APIC Register Address Map Supported by x2APIC".
#[test]
fn x2apic_registers_are_the_manuals() {
    #[derive(PartialEq)]
    enum Access {
        ReadOnly,
        WriteOnly,
        ReadWrite,
        None,
    }
    use Access::{None, ReadOnly, ReadWrite, WriteOnly};
    let access = |index| match index {
        0x802 | 0x803 | 0x80A | 0x80D | 0x810..=0x827 | 0x839 => ReadOnly,
        0x80B | 0x83F => WriteOnly,
        0x808 | 0x80F | 0x828 | 0x830 | 0x832..=0x838 | 0x83E => ReadWrite,
        _ => None,
    };
    for index in (0x7F0..0x910).chain([0, u32::MAX]) {
        let mut apic = in_x2apic(1);
        // Zero would be a reserved delivery of vector zero for the two that send.
        let value = if index == 0x830 || index == 0x83F { 0x30 } else { 0 };
        let read = apic.read_msr(index, NOW).map(|_| ());
        let written = apic.write_msr(index, value, NOW).map(|_| ());
        let none = Err(GeneralProtection::NoRegister { index });
        let expected = match access(index) {
            ReadOnly => (Ok(()), Err(GeneralProtection::ReadOnly { index })),
            WriteOnly => (Err(GeneralProtection::WriteOnly { index }), Ok(())),
            ReadWrite => (Ok(()), Ok(())),
            None => (none, none),
        };
        assert_eq!((read, written), expected, "{index:#x}");
    }
}

#[test]
fn reserved_bits_of_x2apic_registers_are_refused() {
    const REST: u64 = 0xFFFF_FFFF_0000_0000;
    for (index, reserved) in [
        (0x808, REST | 0xFFFF_FF00),
        (0x80B, u64::MAX),
        (0x80F, REST | 0xFFFF_FC00),
        (0x828, u64::MAX),
        (0x830, 0xFFF3_2000),
        (0x832, REST | 0xFFF8_EF00),
        (0x833, REST | 0xFFFE_E800),
        (0x834, REST | 0xFFFE_E800),
        (0x835, REST | 0xFFFE_0800),
        (0x836, REST | 0xFFFE_0800),
        (0x837, REST | 0xFFFE_EF00),
        (0x838, REST),
        (0x83E, REST | 0xFFFF_FFF4),
        (0x83F, REST | 0xFFFF_FF00),
    ] {
        for bit in 0..64 {
            let value = 1 << bit;
            let written = in_x2apic(1).write_msr(index, value, NOW).map(|_| ());
            let refusal = Err(GeneralProtection::ReservedBits { value, reserved: value });
            let expected = if reserved & value != 0 { refusal } else { Ok(()) };
            assert_eq!(written, expected, "bit {bit} of {index:#x}");
        }
    }
}

#[test]
fn page_registers_keep_what_can_be_written() {
    let mut apic = enabled();
    for (offset, kept) in [
        (ID, 0),
        (VERSION, 0x0005_0014),
        (TPR, 0xFF),
        (LDR, 0xFF00_0000),
        (DFR, u32::MAX),
        (SVR, 0x3FF),
        (ICR_HIGH, 0xFF00_0000),
        (LVT_TIMER, 0x0007_00FF),
        (LVT_THERMAL, 0x0001_07FF),
        (LVT_PERFORMANCE, 0x0001_07FF),
        (LVT_LINT0, 0x0001_A7FF),
        (LVT_LINT1, 0x0001_A7FF),
        (LVT_ERROR, 0x0001_00FF),
        (0x3E0, 0b1011),
    ] {
        write(&mut apic, offset, u32::MAX);
        assert_eq!(apic.read(offset, NOW), kept, "{offset:#x}");
    }
    write(&mut apic, DFR, 0);
    assert_eq!(apic.read(DFR, NOW), 0x0FFF_FFFF);
    for offset in [0x081, 0x084, 0x08C, 0x1000, 0xFFFF] {
        write(&mut apic, offset, 0);
        let _ = apic.read(offset, NOW);
        assert_eq!(apic.read(TPR, NOW), 0xFF, "{offset:#x} is between or behind the registers");
    }
}

/// SDM, "Local APIC State After It Has Been Software Disabled".
#[test]
fn software_disable_masks_the_local_vector_table() {
    let mut apic = enabled();
    for lvt in LVTS {
        write(&mut apic, lvt, 0x50);
        assert_eq!(apic.read(lvt, NOW), 0x50);
    }
    write(&mut apic, ICR_LOW, 0x0004_0055);
    write(&mut apic, SVR, 0xFF);
    for lvt in LVTS {
        assert_eq!(apic.read(lvt, NOW), MASKED | 0x50);
        write(&mut apic, lvt, 0x51);
        assert_eq!(apic.read(lvt, NOW), MASKED | 0x51, "the mask can't be taken off");
    }
    assert_eq!(apic.pending_vector(), Some(0x55), "what was pending still is");
    write(&mut apic, ICR_LOW, 0x0004_0066);
    assert_eq!(apic.pending_vector(), Some(0x55), "and nothing new comes");
    assert!(matches!(apic.write(ICR_LOW, 0x0055, NOW), Some(LocalApicEffect::Ipi(_))));
    write(&mut apic, SVR, 0x1FF);
    assert_eq!(apic.read(LVT_TIMER, NOW), MASKED | 0x51, "masks stay until they are cleared");
}

/// SDM, "Error Handling".
#[test]
fn errors_show_after_a_write_and_interrupt_once_until_then() {
    const SEND_ILLEGAL: u32 = 1 << 5;
    const RECEIVE_ILLEGAL: u32 = 1 << 6;
    const ILLEGAL_REGISTER: u32 = 1 << 7;
    let mut apic = enabled();
    write(&mut apic, LVT_ERROR, 0xFE);
    write(&mut apic, ICR_LOW, 0x000F);
    assert_eq!(apic.pending_vector(), Some(0xFE));
    apic.accept(0xFE);
    write(&mut apic, 0x0B0, 0);
    assert_eq!(apic.read(ESR, NOW), 0, "not before a write");
    let _ = apic.read(0x2F0, NOW);
    assert_eq!(apic.pending_vector(), None, "the interrupt is not armed again yet");
    write(&mut apic, ESR, 0);
    assert_eq!(apic.read(ESR, NOW), SEND_ILLEGAL | ILLEGAL_REGISTER);
    assert_eq!(apic.read(ESR, NOW), SEND_ILLEGAL | ILLEGAL_REGISTER);
    write(&mut apic, LVT_LINT0, 0x0F);
    assert_eq!(apic.set_lint(Lint::Lint0, true), None);
    assert_eq!(apic.pending_vector(), Some(0xFE));
    write(&mut apic, ESR, 0);
    assert_eq!(apic.read(ESR, NOW), RECEIVE_ILLEGAL);
    write(&mut apic, ESR, 0);
    assert_eq!(apic.read(ESR, NOW), 0, "a second write clears");
}

#[test]
fn error_interrupt_with_an_illegal_vector_is_an_error_and_no_loop() {
    let mut apic = enabled();
    write(&mut apic, LVT_ERROR, 0x03);
    write(&mut apic, ICR_LOW, 0x0003);
    assert_eq!(apic.pending_vector(), None);
    write(&mut apic, ESR, 0);
    assert_eq!(apic.read(ESR, NOW), 0x60);
}

/// The delivery modes of the LVT and what they make of a rising pin.
#[test]
fn pins_do_what_their_entries_say() {
    for (mode, signal, vector) in [
        (0, None, Some(0x77)),
        (1, None, None),
        (2, Some(CpuSignal::Smi), None),
        (3, None, None),
        (4, Some(CpuSignal::Nmi), None),
        (5, Some(CpuSignal::Init), None),
        (6, None, None),
        (7, None, None),
    ] {
        for (pin, lvt) in [(Lint::Lint0, LVT_LINT0), (Lint::Lint1, LVT_LINT1)] {
            let mut apic = enabled();
            write(&mut apic, lvt, mode << 8 | 0x77);
            assert_eq!(apic.set_lint(pin, true), signal, "mode {mode}");
            assert_eq!(apic.set_lint(pin, true), None, "only a rise is an edge");
            assert_eq!(apic.pending_vector(), vector, "mode {mode}");
            assert_eq!(apic.external_interrupt(), mode == 7);
            assert_eq!(apic.set_lint(pin, false), None);
            assert!(!apic.external_interrupt());
            write(&mut apic, lvt, MASKED | mode << 8 | 0x78);
            assert_eq!(apic.set_lint(pin, true), None);
            assert_eq!(apic.pending_vector(), vector, "masked");
            assert!(!apic.external_interrupt());
        }
    }
}

#[test]
fn sensor_and_counter_interrupt_and_the_counter_masks_itself() {
    let mut apic = enabled();
    write(&mut apic, LVT_THERMAL, 0x61);
    write(&mut apic, LVT_PERFORMANCE, 0x0400);
    assert_eq!(apic.thermal_interrupt(), None);
    assert_eq!(apic.pending_vector(), Some(0x61));
    assert_eq!(apic.performance_interrupt(), Some(CpuSignal::Nmi));
    assert_eq!(apic.performance_interrupt(), None);
    assert_eq!(apic.read(LVT_PERFORMANCE, NOW), MASKED | 0x0400);
    assert_eq!(apic.read(LVT_THERMAL, NOW), 0x61);
}

/// SDM: without its APIC a CPU has the pins INTR and NMI.
#[test]
fn disabled_apic_leaves_intr_and_nmi() {
    let mut apic = enabled();
    apic.write_base(BASE, NOW).unwrap();
    assert_eq!(apic.set_lint(Lint::Lint0, true), None);
    assert!(apic.external_interrupt());
    assert_eq!(apic.set_lint(Lint::Lint1, true), Some(CpuSignal::Nmi));
    assert_eq!(apic.set_lint(Lint::Lint1, true), None);
    assert_eq!(apic.thermal_interrupt(), None);
    apic.write_base(BASE | EN, NOW).unwrap();
    assert!(!apic.external_interrupt(), "masked by the reset");
    write(&mut apic, SVR, 0x1FF);
    write(&mut apic, LVT_LINT0, 0x0700);
    assert!(apic.external_interrupt(), "the pin kept its level");
}

#[test]
fn virtual_wire_brings_the_8259s_to_the_cpu() {
    let mut apic = LocalApic::new(config(0));
    assert_eq!(apic.set_lint(Lint::Lint0, true), None);
    assert!(!apic.external_interrupt());
    apic.set_virtual_wire();
    assert!(apic.is_enabled() && apic.external_interrupt());
    assert_eq!(apic.read(LVT_LINT0, NOW), 0x700);
    assert_eq!(apic.read(LVT_LINT1, NOW), 0x400);
    assert_eq!(apic.set_lint(Lint::Lint1, true), Some(CpuSignal::Nmi));
}

#[test]
fn level_on_lint0_interrupts_again_after_its_end() {
    const LEVEL: u32 = 1 << 15;
    const REMOTE_IRR: u32 = 1 << 14;
    let mut apic = enabled();
    assert_eq!(apic.set_lint(Lint::Lint0, true), None);
    write(&mut apic, LVT_LINT0, LEVEL | 0x71);
    assert_eq!(apic.pending_vector(), Some(0x71), "it was active before it was unmasked");
    assert_eq!(apic.read(LVT_LINT0, NOW), LEVEL | REMOTE_IRR | 0x71);
    apic.accept(0x71);
    assert_eq!(apic.set_lint(Lint::Lint0, false), None);
    assert_eq!(apic.set_lint(Lint::Lint0, true), None);
    assert_eq!(apic.pending_vector(), None, "not before its end");
    assert_eq!(apic.eoi(), Some(LocalApicEffect::EndOfInterrupt(0x71)));
    assert_eq!(apic.pending_vector(), Some(0x71));
    apic.accept(0x71);
    assert_eq!(apic.set_lint(Lint::Lint0, false), None);
    let _ = apic.eoi();
    assert_eq!(apic.pending_vector(), None);
    assert_eq!(apic.read(LVT_LINT0, NOW), LEVEL | 0x71);
    // An entry that changes while its interrupt is in service does not wait for an end forever.
    assert_eq!(apic.set_lint(Lint::Lint0, true), None);
    write(&mut apic, LVT_LINT0, LEVEL | 0x72);
    assert_eq!(apic.read(LVT_LINT0, NOW), LEVEL | REMOTE_IRR | 0x72);
}
