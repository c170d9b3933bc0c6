//! PM1 and the PM timer, and the ports of virtual machines.

use chipset::{AcpiPm, DebugExit, DebugPort, Nanos, PmTimerWidth, SleepType};

fn read_u16(pm: &mut AcpiPm, offset: u8, now: Nanos) -> u16 {
    u16::from_le_bytes([pm.read(offset, now), pm.read(offset + 1, now)])
}

fn write_u16(pm: &mut AcpiPm, offset: u8, value: u16, now: Nanos) -> Option<SleepType> {
    let [low, high] = value.to_le_bytes();
    assert_eq!(pm.write(offset, low, now), None);
    pm.write(offset + 1, high, now)
}

#[test]
fn timer_counts_3_579_545_a_second() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits32);
    let now = Nanos::from_secs(100);
    assert_eq!(pm.timer(now), 357_954_500);
    let bytes = [8, 9, 10, 11].map(|offset| pm.read(offset, now));
    assert_eq!(u32::from_le_bytes(bytes), 357_954_500);
}

#[test]
fn timer_wraps_at_its_width() {
    // 2^24 ticks take 4,686,968,874.5 ns, 2^32 ticks 1,199,864,031,881.1 ns.
    let narrow = AcpiPm::new(PmTimerWidth::Bits24);
    assert_eq!(narrow.timer(Nanos::new(4_686_968_874)), 0xFF_FFFF);
    assert_eq!(narrow.timer(Nanos::new(4_686_968_875)), 0);
    let wide = AcpiPm::new(PmTimerWidth::Bits32);
    assert_eq!(wide.timer(Nanos::new(1_199_864_031_881)), 0xFFFF_FFFF);
    assert_eq!(wide.timer(Nanos::new(1_199_864_031_882)), 0);
}

#[test]
fn timer_interrupts_when_its_top_bit_changes() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits24);
    assert_eq!(pm.deadline(), None);
    assert_eq!(write_u16(&mut pm, 2, 0x0001, Nanos::ZERO), None);
    for carry in 1..4 {
        let deadline = pm.deadline().unwrap();
        assert_eq!(pm.timer(deadline), if carry % 2 == 0 { 0 } else { 0x80_0000 });
        pm.advance(Nanos::new(deadline.get() - 1));
        assert!(!pm.interrupt());
        pm.advance(deadline);
        assert!(pm.interrupt());
        assert_eq!(pm.deadline(), None);
        assert_eq!(write_u16(&mut pm, 0, 0x0001, deadline), None);
        assert!(!pm.interrupt());
    }
}

#[test]
fn power_button_interrupts_when_enabled_until_cleared() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits32);
    let now = Nanos::ZERO;
    pm.press_power_button();
    assert!(!pm.interrupt());
    assert_eq!(write_u16(&mut pm, 2, 0x0100, now), None);
    assert!(pm.interrupt());
    assert_eq!(read_u16(&mut pm, 0, now), 0x0100);
    assert_eq!(write_u16(&mut pm, 0, 0x0021, now), None);
    assert!(pm.interrupt(), "other bits' ones leave it");
    assert_eq!(write_u16(&mut pm, 0, 0x0100, now), None);
    assert!(!pm.interrupt());
    assert_eq!(read_u16(&mut pm, 0, now), 0);
}

#[test]
fn the_clocks_interrupt_is_an_event_too() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits32);
    let now = Nanos::ZERO;
    assert_eq!(write_u16(&mut pm, 2, 0x0400, now), None);
    assert!(!pm.interrupt());
    pm.rtc_interrupt();
    assert!(pm.interrupt());
    assert_eq!(read_u16(&mut pm, 0, now), 0x0400);
    assert_eq!(write_u16(&mut pm, 0, 0x0400, now), None);
    assert!(!pm.interrupt());
}

#[test]
fn enable_register_keeps_the_bits_of_this_machine_bytewise() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits32);
    let now = Nanos::ZERO;
    assert_eq!(write_u16(&mut pm, 2, 0xFFFF, now), None);
    assert_eq!(read_u16(&mut pm, 2, now), 0x0521);
    assert_eq!(pm.write(2, 0x00, now), None);
    assert_eq!(read_u16(&mut pm, 2, now), 0x0500);
}

#[test]
fn sleep_is_asked_for_by_sleep_enable_alone() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits32);
    let now = Nanos::ZERO;
    assert_eq!(read_u16(&mut pm, 4, now), 0x0001, "ACPI mode from the start");
    // Type 5 at bits 12:10; SLP_EN is bit 13.
    assert_eq!(write_u16(&mut pm, 4, 5 << 10, now), None);
    assert_eq!(read_u16(&mut pm, 4, now), 5 << 10 | 1);
    assert_eq!(write_u16(&mut pm, 4, 5 << 10 | 1 << 13, now), Some(SleepType::new(5)));
    assert_eq!(read_u16(&mut pm, 4, now), 5 << 10 | 1, "SLP_EN reads as zero");
    assert_eq!(write_u16(&mut pm, 4, 1 << 13, now), Some(SleepType::new(0)));
}

#[test]
fn reset_forgets_all_but_the_timer() {
    let mut pm = AcpiPm::new(PmTimerWidth::Bits32);
    let now = Nanos::from_secs(1);
    pm.press_power_button();
    assert_eq!(write_u16(&mut pm, 2, 0x0121, now), None);
    pm.reset();
    assert!(!pm.interrupt());
    assert_eq!(read_u16(&mut pm, 0, now), 0);
    assert_eq!(pm.timer(now), 3_579_545);
    assert_eq!(pm.read(12, now), 0xFF);
}

#[test]
fn debug_port_is_known_by_its_signature() {
    assert_eq!(DebugPort::new().read(), 0xE9);
    assert_eq!(DebugPort::new().write(b'S'), b'S');
}

#[test]
fn debug_exit_ends_with_an_odd_status() {
    assert_eq!(DebugExit::new().write(0).get(), 1);
    assert_eq!(DebugExit::new().write(31).get(), 63);
    assert_eq!(DebugExit::new().write(0xFF).get(), 0xFF);
}
