//! The MC146818 and its memory.

use chipset::{Nanos, Rtc};

/// Saturday 31 December 2022, 23:59:58.
const NEW_YEARS_EVE: u64 = 1_672_531_198;

fn read(rtc: &mut Rtc, register: u8, now: Nanos) -> u8 {
    rtc.write(0, register, now);
    rtc.read(1, now)
}

fn write(rtc: &mut Rtc, register: u8, value: u8, now: Nanos) {
    rtc.write(0, register, now);
    rtc.write(1, value, now);
}

/// Century, year, month, day, day of week, hour, minute, second.
fn shown(rtc: &mut Rtc, now: Nanos) -> [u8; 8] {
    [0x32, 9, 8, 7, 6, 4, 2, 0].map(|register| read(rtc, register, now))
}

#[test]
fn power_on_shows_the_time_in_bcd_and_24_hours() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    let now = Nanos::ZERO;
    assert_eq!(shown(&mut rtc, now), [0x20, 0x22, 0x12, 0x31, 7, 0x23, 0x59, 0x58]);
    assert_eq!(read(&mut rtc, 0x0A, now), 0x26);
    assert_eq!(read(&mut rtc, 0x0B, now), 0x02);
    assert_eq!(read(&mut rtc, 0x0D, now), 0x80);
}

#[test]
fn time_goes_on_over_the_end_of_the_year() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    let just_before = Nanos::new(1_999_999_999);
    assert_eq!(shown(&mut rtc, just_before)[7], 0x59);
    let after = Nanos::from_secs(2);
    assert_eq!(shown(&mut rtc, after), [0x20, 0x23, 0x01, 0x01, 1, 0, 0, 0]);
}

#[test]
fn a_long_sleep_is_caught_up_at_once() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    // 400 years have 146,097 days, a whole number of weeks.
    let now = Nanos::from_secs(146_097 * 86_400);
    assert_eq!(shown(&mut rtc, now), [0x24, 0x22, 0x12, 0x31, 7, 0x23, 0x59, 0x58]);
}

#[test]
fn binary_and_12_hours_are_counted_as_they_are_written() {
    let mut rtc = Rtc::new(0);
    let now = Nanos::ZERO;
    write(&mut rtc, 0x0B, 0x84, now); // set, binary, 12 hours
    for (register, value) in [(0x32, 19), (9, 99), (8, 12), (7, 31), (6, 6)] {
        write(&mut rtc, register, value, now);
    }
    for (register, value) in [(4, 0x8B), (2, 59), (0, 59)] {
        write(&mut rtc, register, value, now); // 11 p.m.
    }
    write(&mut rtc, 0x0B, 0x04, now);
    let second = Nanos::from_secs(1);
    assert_eq!(shown(&mut rtc, second), [20, 0, 1, 1, 7, 12, 0, 0]); // 12 a.m.
    let noon = Nanos::from_secs(1 + 12 * 3_600);
    assert_eq!(shown(&mut rtc, noon)[5], 0x8C);
}

#[test]
fn set_stops_the_time_and_keeps_what_is_written() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    write(&mut rtc, 0x0B, 0x92, Nanos::ZERO);
    assert_eq!(read(&mut rtc, 0x0B, Nanos::ZERO), 0x82, "SET clears the update interrupt");
    write(&mut rtc, 0x00, 0x30, Nanos::ZERO);
    assert_eq!(read(&mut rtc, 0x00, Nanos::from_secs(10)), 0x30);
    write(&mut rtc, 0x0B, 0x02, Nanos::from_secs(10));
    assert_eq!(read(&mut rtc, 0x00, Nanos::from_secs(11)), 0x31);
}

#[test]
fn update_in_progress_warns_244_microseconds_ahead() {
    let mut rtc = Rtc::new(0);
    let second = 1_000_000_000;
    assert_eq!(read(&mut rtc, 0x0A, Nanos::new(second - 3_000_000)), 0x26);
    // Clear means that the next 244 µs are safe: the flag must be up by then.
    assert_eq!(read(&mut rtc, 0x0A, Nanos::new(second - 244_000)), 0xA6);
    assert_eq!(read(&mut rtc, 0x0A, Nanos::new(second - 1)), 0xA6);
    assert_eq!(read(&mut rtc, 0x0A, Nanos::new(second)), 0x26);
}

#[test]
fn divider_reset_starts_half_a_second_before_an_update() {
    let mut rtc = Rtc::new(0);
    let released = Nanos::from_millis(10_300);
    write(&mut rtc, 0x0A, 0x76, Nanos::from_millis(2_100));
    assert_eq!(read(&mut rtc, 0x00, released), 0x02, "the divider stands");
    write(&mut rtc, 0x0A, 0x26, released);
    assert_eq!(read(&mut rtc, 0x00, Nanos::from_millis(10_799)), 0x02);
    assert_eq!(read(&mut rtc, 0x00, Nanos::from_millis(10_800)), 0x03);
    assert_eq!(read(&mut rtc, 0x00, Nanos::from_millis(11_800)), 0x04);
}

#[test]
fn update_interrupt_comes_every_second_until_read() {
    let mut rtc = Rtc::new(0);
    write(&mut rtc, 0x0B, 0x12, Nanos::from_millis(400));
    assert_eq!(rtc.deadline(), Some(Nanos::from_secs(1)));
    rtc.advance(Nanos::from_secs(1));
    assert!(rtc.interrupt());
    assert_eq!(rtc.deadline(), None, "the level is up already");
    assert_eq!(read(&mut rtc, 0x0C, Nanos::from_secs(1)), 0xD0, "periodic flag without interrupt");
    assert!(!rtc.interrupt());
    assert_eq!(rtc.deadline(), Some(Nanos::from_secs(2)));
}

#[test]
fn flags_are_set_without_interrupts_too() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    let now = Nanos::from_secs(1);
    assert_eq!(read(&mut rtc, 0x0C, now), 0x50);
    let now = Nanos::from_secs(2);
    assert_eq!(read(&mut rtc, 0x0C, now), 0x70, "alarm registers are all zero: midnight");
    assert_eq!(read(&mut rtc, 0x0C, now), 0x00);
    assert!(!rtc.interrupt());
}

#[test]
fn alarm_rings_at_its_time() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    for (register, value) in [(1, 0x15), (3, 0x30), (5, 0x06)] {
        write(&mut rtc, register, value, Nanos::ZERO);
    }
    write(&mut rtc, 0x0B, 0x22, Nanos::ZERO);
    let alarm = Nanos::from_secs(2 + 6 * 3_600 + 30 * 60 + 15);
    assert_eq!(rtc.deadline(), Some(alarm));
    rtc.advance(Nanos::new(alarm.get() - 1));
    assert!(!rtc.interrupt());
    rtc.advance(alarm);
    assert!(rtc.interrupt());
    assert_eq!(read(&mut rtc, 0x0C, alarm) & 0xA0, 0xA0);
    assert_eq!(rtc.deadline(), Some(alarm.saturating_add(Nanos::from_secs(86_400))));
}

#[test]
fn alarm_with_open_parts_rings_every_minute() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    for (register, value) in [(1, 0x05), (3, 0xC0), (5, 0xFF)] {
        write(&mut rtc, register, value, Nanos::ZERO);
    }
    write(&mut rtc, 0x0B, 0x22, Nanos::ZERO);
    assert_eq!(rtc.deadline(), Some(Nanos::from_secs(7)));
    rtc.advance(Nanos::from_secs(7));
    let _ = read(&mut rtc, 0x0C, Nanos::from_secs(7));
    assert_eq!(rtc.deadline(), Some(Nanos::from_secs(67)));
}

#[test]
fn periodic_interrupt_has_the_rate_of_register_a() {
    // Rate, and half its period in ticks of 32.768 kHz, from the datasheet's table.
    for (rate, hertz) in [(1, 256), (2, 128), (3, 8_192), (6, 1_024), (15, 2)] {
        let mut rtc = Rtc::new(0);
        write(&mut rtc, 0x0A, 0x20 | rate, Nanos::ZERO);
        write(&mut rtc, 0x0B, 0x42, Nanos::ZERO);
        let mut interrupts = 0;
        while let Some(deadline) = rtc.deadline()
            && deadline <= Nanos::from_secs(1)
        {
            rtc.advance(deadline);
            assert!(rtc.interrupt());
            assert_eq!(read(&mut rtc, 0x0C, deadline) & 0xC0, 0xC0);
            interrupts += 1;
        }
        assert_eq!(interrupts, hertz, "rate {rate}");
    }
    let mut rtc = Rtc::new(0);
    write(&mut rtc, 0x0A, 0x20, Nanos::ZERO);
    write(&mut rtc, 0x0B, 0x42, Nanos::ZERO);
    assert_eq!(rtc.deadline(), None);
}

#[test]
fn memory_is_the_platforms_and_the_guests() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    let now = Nanos::ZERO;
    rtc.set_cmos(0x5F, 3);
    rtc.set_cmos(0x00, 0xEE);
    rtc.set_cmos(0x32, 0xEE);
    rtc.set_cmos(0x80, 0xEE);
    assert_eq!(read(&mut rtc, 0x5F, now), 3);
    assert_eq!(read(&mut rtc, 0x00, now), 0x58);
    assert_eq!(read(&mut rtc, 0x32, now), 0x20);

    write(&mut rtc, 0x8F, 0x0A, now); // register 0Fh, NMI masked
    assert!(rtc.nmi_masked());
    assert_eq!(rtc.cmos(0x0F), 0x0A);
    rtc.write(0, 0x0F, now);
    assert!(!rtc.nmi_masked());
    assert_eq!(rtc.read(0, now), 0xFF);
}

#[test]
fn reset_keeps_time_and_memory_and_stops_interrupts() {
    let mut rtc = Rtc::new(NEW_YEARS_EVE);
    write(&mut rtc, 0x0F, 0x0A, Nanos::ZERO);
    write(&mut rtc, 0x0B, 0x72, Nanos::ZERO);
    rtc.advance(Nanos::from_secs(1));
    assert!(rtc.interrupt());
    rtc.reset();
    assert!(!rtc.interrupt());
    let now = Nanos::from_secs(1);
    assert_eq!(read(&mut rtc, 0x0B, now), 0x02);
    assert_eq!(read(&mut rtc, 0x0F, now), 0x0A);
    assert_eq!(read(&mut rtc, 0x00, now), 0x59);
}
