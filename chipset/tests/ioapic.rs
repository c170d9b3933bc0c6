//! The I/O APIC.

use chipset::{
    DeliveryMode, DestinationMode, InterruptMessage, IoApic, IoApicEffects, IoApicVersion,
    Polarity, TriggerMode,
};
use proptest::prelude::*;

const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;

fn select(ioapic: &mut IoApic, register: u8) {
    assert!(ioapic.write(0x00, u32::from(register)).messages.is_empty());
}

fn write(ioapic: &mut IoApic, register: u8, value: u32) -> IoApicEffects {
    select(ioapic, register);
    ioapic.write(0x10, value)
}

fn read(ioapic: &mut IoApic, register: u8) -> u32 {
    select(ioapic, register);
    ioapic.read(0x10)
}

/// Writes an entry as drivers do: upper half first.
fn route(ioapic: &mut IoApic, pin: u8, entry: u64) -> Vec<InterruptMessage> {
    let [a, b, c, d, e, f, g, h] = entry.to_le_bytes();
    let upper = write(ioapic, 0x11 + 2 * pin, u32::from_le_bytes([e, f, g, h])).messages;
    let lower = write(ioapic, 0x10 + 2 * pin, u32::from_le_bytes([a, b, c, d])).messages;
    upper.into_iter().chain(lower).collect()
}

#[test]
fn power_on_state_is_the_datasheets() {
    for (version, number) in [(IoApicVersion::V11, 0x11), (IoApicVersion::V20, 0x20)] {
        let mut ioapic = IoApic::new(version);
        assert_eq!(read(&mut ioapic, 0x00), 0);
        assert_eq!(read(&mut ioapic, 0x01), 0x0017_0000 | number);
        for pin in 0..24 {
            assert_eq!(read(&mut ioapic, 0x10 + 2 * pin), 0x0001_0000);
            assert_eq!(read(&mut ioapic, 0x11 + 2 * pin), 0);
        }
        assert_eq!(read(&mut ioapic, 0x40), u32::MAX);
        assert_eq!(read(&mut ioapic, 0x03), u32::MAX);
        assert_eq!(ioapic.read(0x20), u32::MAX);
    }
}

#[test]
fn identity_is_written_and_shows_in_arbitration() {
    let mut ioapic = IoApic::new(IoApicVersion::V11);
    assert_eq!(write(&mut ioapic, 0x00, u32::MAX).rerouted, None);
    assert_eq!(read(&mut ioapic, 0x00), 0x0F00_0000);
    assert_eq!(read(&mut ioapic, 0x02), 0x0F00_0000);
    let _ = write(&mut ioapic, 0x01, 0);
    assert_eq!(read(&mut ioapic, 0x01), 0x0017_0011);
}

#[test]
fn entries_keep_what_can_be_written() {
    let mut ioapic = IoApic::new(IoApicVersion::V11);
    assert_eq!(write(&mut ioapic, 0x10, u32::MAX).rerouted, Some(0));
    assert_eq!(write(&mut ioapic, 0x11, u32::MAX).rerouted, Some(0));
    assert_eq!(read(&mut ioapic, 0x10), 0x0001_AFFF);
    assert_eq!(read(&mut ioapic, 0x11), 0xFF00_0000);
    assert_eq!(write(&mut ioapic, 0x10, u32::MAX).rerouted, None, "nothing changed");
}

#[test]
fn entry_is_decoded() {
    let mut ioapic = IoApic::new(IoApicVersion::V11);
    assert!(route(&mut ioapic, 9, 0x5A00_0000_0000_A941 | MASKED).is_empty());
    let entry = ioapic.redirection(9).unwrap();
    assert_eq!(entry.vector(), 0x41);
    assert_eq!(entry.delivery_mode(), DeliveryMode::LOWEST_PRIORITY);
    assert_eq!(entry.destination_mode(), DestinationMode::Logical);
    assert_eq!(entry.polarity(), Polarity::Low);
    assert_eq!(entry.trigger_mode(), TriggerMode::Level);
    assert_eq!(entry.destination(), 0x5A);
    assert!(entry.is_masked());
    assert!(!entry.remote_irr());
    assert_eq!(ioapic.redirection(24), None);
    assert_eq!(ioapic.redirections().count(), 24);
}

#[test]
fn edge_interrupts_once_however_long_it_is() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    assert!(route(&mut ioapic, 4, 0x0300_0000_0000_0034).is_empty());
    let message = ioapic.set_irq(4, true).unwrap();
    assert_eq!((message.vector, message.destination), (0x34, 3));
    assert_eq!(message.trigger_mode, TriggerMode::Edge);
    assert_eq!(ioapic.set_irq(4, true), None);
    assert!(ioapic.eoi(0x34).is_empty());
    assert_eq!(ioapic.set_irq(4, false), None);
    assert!(ioapic.set_irq(4, true).is_some());
}

#[test]
fn masked_edge_is_gone_and_masked_level_waits() {
    for (trigger, waits) in [(0, false), (LEVEL, true)] {
        let mut ioapic = IoApic::new(IoApicVersion::V20);
        assert!(route(&mut ioapic, 5, 0x35 | trigger | MASKED).is_empty());
        assert_eq!(ioapic.set_irq(5, true), None);
        assert_eq!(route(&mut ioapic, 5, 0x35 | trigger).len(), usize::from(waits));
    }
}

#[test]
fn level_interrupts_again_after_its_end_while_active() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    assert!(route(&mut ioapic, 11, 0x5B | LEVEL).is_empty());
    let message = ioapic.set_irq(11, true).unwrap();
    assert_eq!(message.trigger_mode, TriggerMode::Level);
    assert!(ioapic.redirection(11).unwrap().remote_irr());
    assert_eq!(ioapic.set_irq(11, false), None);
    assert_eq!(ioapic.set_irq(11, true), None, "not before its end");
    assert!(ioapic.eoi(0x5A).is_empty(), "another vector's end");
    assert_eq!(*ioapic.eoi(0x5B), [message]);
    assert_eq!(ioapic.set_irq(11, false), None);
    assert!(ioapic.eoi(0x5B).is_empty());
    assert!(!ioapic.redirection(11).unwrap().remote_irr());
}

#[test]
fn pins_that_share_a_vector_end_together() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    for pin in 0..24 {
        assert!(route(&mut ioapic, pin, 0x60 | LEVEL).is_empty());
        assert!(ioapic.set_irq(pin, true).is_some());
    }
    assert_eq!(ioapic.eoi(0x60).into_iter().count(), 24);
}

#[test]
fn eoi_register_exists_in_version_20() {
    for (version, ends) in [(IoApicVersion::V11, false), (IoApicVersion::V20, true)] {
        let mut ioapic = IoApic::new(version);
        assert!(route(&mut ioapic, 7, 0x47 | LEVEL).is_empty());
        assert!(ioapic.set_irq(7, true).is_some());
        assert_eq!(ioapic.set_irq(7, false), None);
        assert!(ioapic.write(0x40, 0x47).messages.is_empty());
        assert_eq!(ioapic.redirection(7).unwrap().remote_irr(), !ends);
    }
}

/// Linux, __eoi_ioapic_pin, where there is no EOI register: mask and make an edge, then restore.
#[test]
fn making_a_level_an_edge_ends_it() {
    let mut ioapic = IoApic::new(IoApicVersion::V11);
    assert!(route(&mut ioapic, 7, 0x47 | LEVEL).is_empty());
    assert!(ioapic.set_irq(7, true).is_some());
    assert!(write(&mut ioapic, 0x1E, 0x0001_8047).messages.is_empty());
    assert!(ioapic.redirection(7).unwrap().remote_irr(), "a mask alone does not");
    assert!(write(&mut ioapic, 0x1E, 0x0001_0047).messages.is_empty());
    assert!(!ioapic.redirection(7).unwrap().remote_irr());
    assert_eq!(write(&mut ioapic, 0x1E, 0x0000_8047).messages.len(), 1, "and it comes again");
}

#[test]
fn nmi_is_an_edge_whatever_the_trigger_mode_says() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    assert!(route(&mut ioapic, 2, 0x0400 | LEVEL).is_empty());
    let message = ioapic.set_irq(2, true).unwrap();
    assert_eq!(message.delivery_mode, DeliveryMode::NMI);
    assert!(!ioapic.redirection(2).unwrap().remote_irr());
}

#[test]
fn message_becomes_an_msi() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    for (entry, address, data) in [
        (0x0000_0000_0000_0030, 0xFEE0_0000, 0x0030),
        (0x1200_0000_0000_8931, 0xFEE1_200C, 0xC131),
        (0xFF00_0000_0000_0732, 0xFEEF_F000, 0x0732),
    ] {
        let _ = route(&mut ioapic, 3, entry);
        let msi = ioapic.redirection(3).unwrap().message().to_msi();
        assert_eq!((msi.address, msi.data), (address, data));
    }
}

#[test]
fn destination_of_all_ones_is_everyone() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    for (entry, destination) in
        [(0xFE00_0000_0000_0030, 0xFE), (0xFF00_0000_0000_0030, InterruptMessage::EVERYONE)]
    {
        let _ = route(&mut ioapic, 3, entry);
        assert_eq!(ioapic.redirection(3).unwrap().message().destination, destination);
    }
}

#[test]
fn reset_masks_all_and_keeps_levels() {
    let mut ioapic = IoApic::new(IoApicVersion::V20);
    assert!(route(&mut ioapic, 5, 0x35 | LEVEL).is_empty());
    assert!(ioapic.set_irq(5, true).is_some());
    ioapic.reset();
    assert_eq!(ioapic.redirection(5).unwrap().bits(), MASKED);
    assert_eq!(route(&mut ioapic, 5, 0x35 | LEVEL).len(), 1);
}

proptest! {
    /// A level never interrupts twice without an end, and never stays silent while it should not.
    #[test]
    fn level_is_sent_exactly_when_due(
        steps in prop::collection::vec((0u8..4, any::<bool>()), 1..100),
    ) {
        let mut ioapic = IoApic::new(IoApicVersion::V20);
        let (mut active, mut masked, mut sent) = (false, true, false);
        let _ = route(&mut ioapic, 1, 0x51 | LEVEL | MASKED);
        for (step, value) in steps {
            let messages = match step {
                0 => {
                    active = value;
                    usize::from(ioapic.set_irq(1, value).is_some())
                }
                1 => {
                    masked = value;
                    route(&mut ioapic, 1, 0x51 | LEVEL | if value { MASKED } else { 0 }).len()
                }
                2 => {
                    sent = false;
                    ioapic.eoi(0x51).len()
                }
                _ => ioapic.eoi(0x52).len(),
            };
            let due = active && !masked && !sent;
            prop_assert_eq!(messages, usize::from(due));
            sent |= due;
        }
    }
}
