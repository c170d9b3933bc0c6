//! The local APIC: priorities, ends of interrupts, destinations, interprocessor interrupts.

use chipset::{
    CpuSignal, DeliveryMode, DestinationMode, InterruptMessage, Ipi, LocalApic, LocalApicConfig,
    LocalApicEffect, Nanos, Shorthand, TriggerMode, lowest_priority,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: Nanos = Nanos::ZERO;
const BASE: u64 = 0xFEE0_0000;
const X2APIC: u64 = BASE | 1 << 11 | 1 << 10;
const TPR: u16 = 0x080;
const PPR: u16 = 0x0A0;
const EOI: u16 = 0x0B0;
const SVR: u16 = 0x0F0;
const ICR_LOW: u16 = 0x300;
const ICR_HIGH: u16 = 0x310;

fn apic(id: u32) -> LocalApic {
    let mut apic = LocalApic::new(LocalApicConfig {
        id,
        is_bsp: id == 0,
        timer_hertz: 1_000_000_000,
        tsc_hertz: 2_000_000_000,
        physical_bits: 46,
        has_x2apic: true,
        can_suppress_eoi: true,
    });
    write(&mut apic, SVR, 0x1FF);
    apic
}

fn x2apic(id: u32) -> LocalApic {
    let mut apic = apic(id);
    assert_eq!(apic.write_base(X2APIC, NOW), Ok(()));
    apic
}

fn write(apic: &mut LocalApic, offset: u16, value: u32) {
    assert_eq!(apic.write(offset, value, NOW), None);
}

fn message(vector: u8, delivery_mode: DeliveryMode) -> InterruptMessage {
    InterruptMessage {
        vector,
        delivery_mode,
        destination: 0,
        destination_mode: DestinationMode::Physical,
        trigger_mode: TriggerMode::Edge,
    }
}

fn level(vector: u8) -> InterruptMessage {
    InterruptMessage { trigger_mode: TriggerMode::Level, ..message(vector, DeliveryMode::FIXED) }
}

fn request(apic: &mut LocalApic, vector: u8) {
    assert_eq!(apic.deliver(message(vector, DeliveryMode::FIXED)), None);
}

/// SDM, "Task and Processor Priorities": a class must be above both, its lower half never counts.
#[test]
fn interrupts_wait_for_their_class() {
    for (task, in_service, vector, delivered) in [
        (0x00, None, 0x10, true),
        (0x0F, None, 0x10, true),
        (0x10, None, 0x1F, false),
        (0x1F, None, 0x20, true),
        (0x00, Some(0x31), 0x3F, false),
        (0x00, Some(0x3F), 0x40, true),
        (0x50, Some(0x31), 0x4F, false),
        (0x50, Some(0x31), 0x60, true),
        (0xF0, None, 0xFF, false),
        (0xEF, None, 0xF0, true),
    ] {
        let mut apic = apic(0);
        if let Some(first) = in_service {
            request(&mut apic, first);
            apic.accept(first);
        }
        write(&mut apic, TPR, task);
        request(&mut apic, vector);
        let pending = apic.pending_vector();
        assert_eq!(pending, delivered.then_some(vector), "{vector:#x} over {task:#x}");
    }
}

#[test]
fn processor_priority_is_the_higher_class() {
    for (task, in_service, expected) in [
        (0x00, None, 0x00),
        (0x35, None, 0x35),
        (0x35, Some(0x41), 0x40),
        (0x45, Some(0x41), 0x45),
        (0x55, Some(0x41), 0x55),
    ] {
        let mut apic = apic(0);
        if let Some(vector) = in_service {
            request(&mut apic, vector);
            apic.accept(vector);
        }
        write(&mut apic, TPR, task);
        assert_eq!(apic.read(PPR, NOW), expected);
        assert_eq!(u32::from(apic.processor_priority()), expected);
    }
}

#[test]
fn cr8_is_the_task_priority_class() {
    let mut apic = apic(0);
    write(&mut apic, TPR, 0x5A);
    assert_eq!(apic.cr8(), 5);
    assert_eq!(apic.write_cr8(0xF), Ok(()));
    assert_eq!(apic.read(TPR, NOW), 0xF0);
    for value in [0x10, 1 << 63, u64::MAX] {
        assert!(apic.write_cr8(value).is_err());
    }
    assert_eq!(apic.cr8(), 0xF);
}

#[test]
fn interrupts_nest_and_end_in_order() {
    let mut apic = apic(0);
    for vector in [0x31, 0x52, 0x73] {
        request(&mut apic, vector);
        assert_eq!(apic.pending_vector(), Some(vector));
        apic.accept(vector);
        assert_eq!(apic.pending_vector(), None);
    }
    request(&mut apic, 0x60);
    write(&mut apic, EOI, 0);
    assert_eq!(apic.pending_vector(), Some(0x60));
    assert_eq!(apic.read(0x100 + 16 * 2, NOW), 1 << 0x12, "52h is in service");
    write(&mut apic, EOI, 0);
    write(&mut apic, EOI, 0);
    write(&mut apic, EOI, 0);
    assert_eq!(apic.processor_priority(), 0);
}

#[test]
fn vector_in_service_can_be_requested_once_more() {
    let mut apic = apic(0);
    for _ in 0..3 {
        request(&mut apic, 0x41);
    }
    apic.accept(0x41);
    request(&mut apic, 0x41);
    assert_eq!(apic.pending_vector(), None);
    write(&mut apic, EOI, 0);
    assert_eq!(apic.pending_vector(), Some(0x41));
    apic.accept(0x41);
    write(&mut apic, EOI, 0);
    assert_eq!(apic.pending_vector(), None);
    apic.accept(0x41);
    assert_eq!(apic.processor_priority(), 0, "what is not requested is not accepted");
}

/// SDM, "Signaling Interrupt Servicing Completion".
#[test]
fn end_of_a_level_is_told_and_that_of_an_edge_is_not() {
    let mut apic = apic(0);
    assert_eq!(apic.deliver(level(0x61)), None);
    assert_eq!(apic.read(0x180 + 16 * 3, NOW), 1 << 1, "TMR");
    apic.accept(0x61);
    let end = Some(LocalApicEffect::EndOfInterrupt(0x61));
    assert_eq!(apic.write(EOI, 0, NOW), end);
    request(&mut apic, 0x61);
    assert_eq!(apic.read(0x180 + 16 * 3, NOW), 0);
    apic.accept(0x61);
    write(&mut apic, EOI, 0);
    write(&mut apic, SVR, 0x11FF);
    assert_eq!(apic.deliver(level(0x61)), None);
    apic.accept(0x61);
    write(&mut apic, EOI, 0);
    assert_eq!(apic.processor_priority(), 0, "suppressed, but ended");
    let mut apic = x2apic(0);
    assert_eq!(apic.deliver(level(0x61)), None);
    apic.accept(0x61);
    assert_eq!(apic.write_msr(0x80B, 0, NOW), Ok(end));
}

#[test]
fn what_has_no_vector_is_the_cpus() {
    for (mode, signal) in [
        (DeliveryMode::SMI, Some(CpuSignal::Smi)),
        (DeliveryMode::NMI, Some(CpuSignal::Nmi)),
        (DeliveryMode::INIT, Some(CpuSignal::Init)),
        (DeliveryMode::STARTUP, Some(CpuSignal::Startup(0x9A))),
        (DeliveryMode::EXT_INT, Some(CpuSignal::ExtInt)),
        (DeliveryMode::new(3), None),
    ] {
        let mut apic = apic(0);
        assert_eq!(apic.deliver(message(0x9A, mode)), signal);
        write(&mut apic, SVR, 0xFF);
        assert_eq!(apic.deliver(message(0x9A, mode)), signal, "disabled by software");
        assert_eq!(apic.pending_vector(), None);
        apic.write_base(BASE, NOW).unwrap();
        assert_eq!(apic.deliver(message(0x9A, mode)), None, "disabled by its base");
    }
    let mut apic = apic(0);
    for vector in 0..16 {
        request(&mut apic, vector);
        assert_eq!(apic.pending_vector(), None);
    }
}

/// SDM, "Determining IPI Destination".
#[test]
fn destinations_match_as_the_manual_says() {
    const EVERYONE: u32 = InterruptMessage::EVERYONE;
    const FLAT: u32 = u32::MAX;
    const CLUSTER: u32 = 0x0FFF_FFFF;
    let matches = |apic: &LocalApic, destination, destination_mode| {
        let message = message(0x40, DeliveryMode::FIXED);
        apic.matches(&InterruptMessage { destination, destination_mode, ..message })
    };
    for (id, destination, expected) in
        [(3, 3, true), (3, 2, false), (3, EVERYONE, true), (3, 0x103, false), (0x103, 3, true)]
    {
        assert_eq!(matches(&apic(id), destination, DestinationMode::Physical), expected);
    }
    for (id, destination, expected) in [
        (0x103, 0x103, true),
        (0x103, 3, false),
        (0xFF, 0xFF, true),
        (3, 0xFF, false),
        (3, EVERYONE, true),
    ] {
        assert_eq!(matches(&x2apic(id), destination, DestinationMode::Physical), expected);
    }
    for (format, logical, destination, expected) in [
        (FLAT, 0x04, 0x04, true),
        (FLAT, 0x04, 0x0C, true),
        (FLAT, 0x04, 0xFB, false),
        (FLAT, 0x00, EVERYONE, true),
        (FLAT, 0x04, 0x104, false),
        (CLUSTER, 0x34, 0x34, true),
        (CLUSTER, 0x34, 0x3F, true),
        (CLUSTER, 0x34, 0x3B, false),
        (CLUSTER, 0x34, 0x24, false),
        (CLUSTER, 0x34, EVERYONE, true),
        (0x7FFF_FFFF, 0x34, 0x34, false),
    ] {
        let mut apic = apic(0);
        write(&mut apic, 0x0D0, logical << 24);
        write(&mut apic, 0x0E0, format);
        let found = matches(&apic, destination, DestinationMode::Logical);
        assert_eq!(found, expected, "{destination:#x} for {logical:#x} by {format:#x}");
    }
    // ID 123h is bit 3 of cluster 12h.
    for (destination, expected) in [
        (0x0012_0008, true),
        (0x0012_FFFF, true),
        (0x0012_FFF7, false),
        (0x0013_0008, false),
        (0x0000_0008, false),
        (EVERYONE, true),
    ] {
        assert_eq!(matches(&x2apic(0x123), destination, DestinationMode::Logical), expected);
    }
    let mut disabled = apic(3);
    disabled.write_base(BASE, NOW).unwrap();
    assert!(!matches(&disabled, EVERYONE, DestinationMode::Physical));
}

#[test]
fn lowest_priority_is_chosen_among_destinations_that_are_enabled() {
    let mut apics = [apic(0), apic(1), x2apic(2), apic(3)];
    let all = InterruptMessage {
        destination: InterruptMessage::EVERYONE,
        ..message(0x51, DeliveryMode::LOWEST_PRIORITY)
    };
    assert_eq!(lowest_priority(&apics, &all), Some(0));
    write(&mut apics[0], TPR, 0x20);
    request(&mut apics[1], 0x31);
    assert_eq!(lowest_priority(&apics, &all), Some(1), "requested is not yet in service");
    apics[1].accept(0x31);
    assert_eq!(lowest_priority(&apics, &all), Some(2));
    assert_eq!(apics[2].write_msr(0x80F, 0xFF, NOW), Ok(None));
    assert_eq!(lowest_priority(&apics, &all), Some(3));
    let first = InterruptMessage { destination: 0, ..all };
    assert_eq!(lowest_priority(&apics, &first), Some(0));
    let nobody = InterruptMessage { destination: 9, ..all };
    assert_eq!(lowest_priority(&apics, &nobody), None);
}

fn sent(effect: Option<LocalApicEffect>) -> Option<Ipi> {
    match effect {
        Some(LocalApicEffect::Ipi(ipi)) => Some(ipi),
        _ => None,
    }
}

/// SDM, "Interrupt Command Register": every mode that can be sent, with every shorthand.
#[test]
fn command_register_sends_what_it_says() {
    let shorthands =
        [Shorthand::Destination, Shorthand::SelfOnly, Shorthand::All, Shorthand::AllButSelf];
    for (shorthand, bits) in shorthands.into_iter().zip(0_u32..) {
        for mode in 0..8_u8 {
            for logical in [false, true] {
                let low =
                    bits << 18 | 1 << 14 | u32::from(logical) << 11 | u32::from(mode) << 8 | 0x5A;
                let mut sender = apic(0);
                write(&mut sender, ICR_HIGH, 0x0700_0000);
                let effect = sender.write(ICR_LOW, low, NOW);
                let mut other = x2apic(0);
                let wide = 0x1234_5678_0000_0000 | u64::from(low);
                let wide_effect = other.write_msr(0x830, wide, NOW).unwrap();
                assert_eq!(sender.read(ICR_LOW, NOW), low);
                assert_eq!(other.read_msr(0x830, NOW), Ok(wide));
                if mode == 3 || mode == 7 {
                    assert_eq!((effect, wide_effect), (None, None), "reserved");
                    continue;
                }
                if mode < 2 && shorthand == Shorthand::SelfOnly {
                    assert_eq!((effect, wide_effect), (None, None));
                    assert_eq!(sender.pending_vector(), Some(0x5A));
                    assert_eq!(other.pending_vector(), Some(0x5A));
                    continue;
                }
                let destination_mode =
                    if logical { DestinationMode::Logical } else { DestinationMode::Physical };
                let message = InterruptMessage {
                    destination: 7,
                    destination_mode,
                    ..message(0x5A, DeliveryMode::new(mode))
                };
                assert_eq!(sent(effect), Some(Ipi { message, shorthand }));
                let message = InterruptMessage { destination: 0x1234_5678, ..message };
                assert_eq!(sent(wide_effect), Some(Ipi { message, shorthand }));
            }
        }
    }
}

#[test]
fn destination_of_all_ones_is_everyone_in_either_form() {
    let mut sender = apic(0);
    write(&mut sender, ICR_HIGH, 0xFF00_0000);
    let ipi = sent(sender.write(ICR_LOW, 0x0040, NOW)).unwrap();
    assert_eq!(ipi.message.destination, InterruptMessage::EVERYONE);
    assert!(ipi.is_for(&x2apic(0x300), false));
    let ipi = sent(x2apic(0).write_msr(0x830, 0xFF << 32 | 0x40, NOW).unwrap()).unwrap();
    assert_eq!(ipi.message.destination, 0xFF, "an ID like any other");
    assert!(!ipi.is_for(&x2apic(0x300), false));
}

#[test]
fn shorthands_choose_without_a_destination() {
    let (mut sender, other, mut disabled) = (apic(0), apic(1), apic(2));
    disabled.write_base(BASE, NOW).unwrap();
    for (bits, itself, others) in
        [(0, false, true), (1, true, false), (2, true, true), (3, false, true)]
    {
        write(&mut sender, ICR_HIGH, 0x0100_0000);
        let ipi = sent(sender.write(ICR_LOW, bits << 18 | 0x0400, NOW)).unwrap();
        assert_eq!(ipi.is_for(&sender, true), itself, "{:?}", ipi.shorthand);
        assert_eq!(ipi.is_for(&other, false), others, "{:?}", ipi.shorthand);
        assert!(!ipi.is_for(&disabled, false));
    }
}

#[test]
fn init_is_asserted_and_its_deassertion_is_nothing() {
    let mut sender = apic(0);
    for (low, expected) in [(0x4500, true), (0xC500, true), (0x0500, true), (0x8500, false)] {
        assert_eq!(sender.write(ICR_LOW, low, NOW).is_some(), expected, "{low:#x}");
    }
}

#[test]
fn illegal_vectors_are_not_sent() {
    for low in [0x0000_000F, 0x0000_010F, 0x0004_000F, 0x0008_0000] {
        let mut sender = apic(0);
        write(&mut sender, ICR_LOW, low);
        assert_eq!(sender.pending_vector(), None);
        write(&mut sender, 0x280, 0);
        assert_eq!(sender.read(0x280, NOW), 1 << 5);
    }
    assert!(apic(0).write(ICR_LOW, 0x0600, NOW).is_some(), "a start-up at page 0 is no vector");
}

#[test]
fn self_ipi_register_interrupts_at_once() {
    let mut apic = x2apic(0);
    assert_eq!(apic.write_msr(0x83F, 0x77, NOW), Ok(None));
    assert_eq!(apic.pending_vector(), Some(0x77));
    assert_eq!(apic.read_msr(0x830, NOW), Ok(0), "past the command register");
    assert_eq!(apic.write_msr(0x83F, 0x07, NOW), Ok(None));
    assert_eq!(apic.write_msr(0x828, 0, NOW), Ok(None));
    assert_eq!(apic.read_msr(0x828, NOW), Ok(1 << 5));
}

/// INIT, then start-up: what a kernel sends to start a processor.
#[test]
fn processor_is_started() {
    let mut bsp = x2apic(0);
    let mut ap = x2apic(1);
    let init = sent(bsp.write_msr(0x830, 1 << 32 | 0x4500, NOW).unwrap()).unwrap();
    assert!(init.is_for(&ap, false) && !init.is_for(&bsp, true));
    assert_eq!(ap.deliver(init.message), Some(CpuSignal::Init));
    ap.init();
    let startup = sent(bsp.write_msr(0x830, 1 << 32 | 0x4699, NOW).unwrap()).unwrap();
    assert_eq!(ap.deliver(startup.message), Some(CpuSignal::Startup(0x99)));
}

proptest! {
    /// Against the manual's rules, written down once more with sets of vectors.
    #[test]
    fn interrupts_are_chosen_as_in_a_model_of_sets(
        steps in prop::collection::vec((0u8..4, any::<u8>(), any::<bool>()), 1..200),
    ) {
        let mut apic = apic(0);
        let (mut requested, mut in_service) = (BTreeSet::new(), BTreeSet::new());
        let (mut levels, mut task) = (BTreeSet::new(), 0);
        for (step, value, is_level) in steps {
            match step {
                0 => {
                    let edge = message(value, DeliveryMode::FIXED);
                    let _ = apic.deliver(if is_level { level(value) } else { edge });
                    if value >= 16 {
                        requested.insert(value);
                        levels.remove(&value);
                        levels.extend(is_level.then_some(value));
                    }
                }
                1 => {
                    if let Some(vector) = apic.pending_vector() {
                        apic.accept(vector);
                        requested.remove(&vector);
                        in_service.insert(vector);
                    }
                }
                2 => {
                    let ended = in_service.pop_last();
                    let told = ended
                        .filter(|vector| levels.contains(vector))
                        .map(LocalApicEffect::EndOfInterrupt);
                    prop_assert_eq!(apic.write(EOI, 0, NOW), told);
                }
                _ => {
                    task = value & 0x3F;
                    write(&mut apic, TPR, u32::from(task));
                }
            }
            let barrier = (task / 16).max(in_service.last().map_or(0, |vector| vector / 16));
            let expected = requested.last().copied().filter(|vector| vector / 16 > barrier);
            prop_assert_eq!(apic.pending_vector(), expected);
        }
    }
}
