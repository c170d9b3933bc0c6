//! The local APIC's timer.

use chipset::{LocalApic, LocalApicConfig, Nanos};
use proptest::prelude::*;

const SVR: u16 = 0x0F0;
const LVT_TIMER: u16 = 0x320;
const INITIAL: u16 = 0x380;
const CURRENT: u16 = 0x390;
const DIVIDE: u16 = 0x3E0;
const BY_ONE: u32 = 0b1011;
const VECTOR: u8 = 0x31;
const ONE_SHOT: u32 = 0x31;
const PERIODIC: u32 = 1 << 17 | 0x31;
const TSC_DEADLINE: u32 = 2 << 17 | 0x31;
const MASKED: u32 = 1 << 16;
/// The documented shortest time between two interrupts of the periodic timer.
const SHORTEST: u64 = 100_000;

fn at(nanos: u64) -> Nanos {
    Nanos::new(nanos)
}

fn write(apic: &mut LocalApic, offset: u16, value: u32, nanos: u64) {
    assert_eq!(apic.write(offset, value, at(nanos)), None);
}

/// An enabled APIC whose timer has 1 GHz and whose TSC has 2 GHz.
fn apic(lvt: u32) -> LocalApic {
    apic_at(1_000_000_000, lvt)
}

fn apic_at(timer_hertz: u64, lvt: u32) -> LocalApic {
    let mut apic = LocalApic::new(LocalApicConfig {
        id: 0,
        is_bsp: true,
        timer_hertz,
        tsc_hertz: 2_000_000_000,
        physical_bits: 46,
        has_x2apic: true,
        can_suppress_eoi: false,
    });
    write(&mut apic, SVR, 0x1FF, 0);
    write(&mut apic, DIVIDE, BY_ONE, 0);
    write(&mut apic, LVT_TIMER, lvt, 0);
    apic
}

/// Whether the timer has interrupted since it was last asked.
fn interrupted(apic: &mut LocalApic) -> bool {
    let pending = apic.pending_vector() == Some(VECTOR);
    if pending {
        apic.accept(VECTOR);
        assert_eq!(apic.eoi(), None);
    }
    pending
}

#[test]
fn one_shot_counts_down_once() {
    let mut apic = apic(ONE_SHOT);
    assert_eq!(apic.deadline(), None);
    write(&mut apic, INITIAL, 1_000, 500);
    assert_eq!(apic.deadline(), Some(at(1_500)));
    assert_eq!(apic.read(CURRENT, at(600)), 900);
    apic.advance(at(1_499));
    assert!(!interrupted(&mut apic));
    apic.advance(at(1_500));
    assert!(interrupted(&mut apic));
    assert_eq!(apic.deadline(), None);
    assert_eq!(apic.read(CURRENT, at(1_600)), 0);
    assert_eq!(apic.read(INITIAL, at(1_600)), 1_000);
    apic.advance(at(1_000_000));
    assert!(!interrupted(&mut apic));
}

#[test]
fn initial_count_starts_over_and_zero_stops() {
    let mut apic = apic(ONE_SHOT);
    write(&mut apic, INITIAL, 1_000, 0);
    write(&mut apic, INITIAL, 1_000, 900);
    assert_eq!(apic.deadline(), Some(at(1_900)));
    write(&mut apic, INITIAL, 0, 1_000);
    assert_eq!(apic.deadline(), None);
    assert_eq!(apic.read(CURRENT, at(1_000)), 0);
    apic.advance(at(5_000));
    assert!(!interrupted(&mut apic));
}

#[test]
fn periodic_reloads_without_drift() {
    let mut apic = apic(PERIODIC);
    write(&mut apic, INITIAL, 1_000_000, 0);
    for period in 1..10 {
        assert_eq!(apic.deadline(), Some(at(period * 1_000_000)));
        // The machine comes late, but the timer does not.
        apic.advance(at(period * 1_000_000 + 900_000));
        assert!(interrupted(&mut apic));
        assert!(!interrupted(&mut apic));
        assert_eq!(apic.read(CURRENT, at(period * 1_000_000 + 900_000)), 100_000);
    }
    apic.advance(at(100_000_000));
    assert!(interrupted(&mut apic));
    assert!(!interrupted(&mut apic), "missed periods are one");
    assert_eq!(apic.deadline(), Some(at(101_000_000)));
}

/// SDM, "Divide Configuration Register".
#[test]
fn divider_is_the_manuals() {
    for (value, divisor) in [
        (0b0000, 2),
        (0b0001, 4),
        (0b0010, 8),
        (0b0011, 16),
        (0b1000, 32),
        (0b1001, 64),
        (0b1010, 128),
        (0b1011, 1),
    ] {
        let mut apic = apic(ONE_SHOT);
        write(&mut apic, DIVIDE, value, 0);
        write(&mut apic, INITIAL, 1_000, 0);
        assert_eq!(apic.deadline(), Some(at(1_000 * divisor)));
        assert_eq!(apic.read(CURRENT, at(10 * divisor)), 990);
        assert_eq!(apic.read(DIVIDE, at(0)), value);
    }
}

#[test]
fn divider_changes_what_is_left() {
    let mut apic = apic(ONE_SHOT);
    write(&mut apic, INITIAL, 1_000, 0);
    write(&mut apic, DIVIDE, 0, 400); // 600 left, now by two
    assert_eq!(apic.read(CURRENT, at(400)), 600);
    assert_eq!(apic.deadline(), Some(at(1_600)));
}

#[test]
fn masked_timer_runs_silently() {
    let mut apic = apic(MASKED | ONE_SHOT);
    write(&mut apic, INITIAL, 1_000, 0);
    assert_eq!(apic.deadline(), None);
    assert_eq!(apic.read(CURRENT, at(400)), 600);
    write(&mut apic, LVT_TIMER, ONE_SHOT, 500);
    assert_eq!(apic.deadline(), Some(at(1_000)));
    write(&mut apic, LVT_TIMER, MASKED | ONE_SHOT, 600);
    write(&mut apic, LVT_TIMER, ONE_SHOT, 2_000);
    assert!(!interrupted(&mut apic), "it ended while it was masked");
}

#[test]
fn one_shot_that_becomes_periodic_counts_on() {
    let mut apic = apic(ONE_SHOT);
    write(&mut apic, INITIAL, 1_000_000, 0);
    write(&mut apic, LVT_TIMER, PERIODIC, 400_000);
    assert_eq!(apic.deadline(), Some(at(1_000_000)));
    apic.advance(at(1_000_000));
    assert!(interrupted(&mut apic));
    assert_eq!(apic.deadline(), Some(at(2_000_000)));
}

/// SDM, "TSC-Deadline Mode".
#[test]
fn tsc_deadline_interrupts_once_and_is_cleared() {
    let mut apic = apic(TSC_DEADLINE);
    apic.write_tsc_deadline(10_000, 4_000, at(100)); // 6000 ticks of 2 GHz
    assert_eq!(apic.tsc_deadline(at(100)), 10_000);
    assert_eq!(apic.deadline(), Some(at(3_100)));
    assert_eq!(apic.read(CURRENT, at(200)), 0);
    write(&mut apic, INITIAL, 1_000, 200);
    assert_eq!(apic.read(INITIAL, at(200)), 0, "ignored in this mode");
    apic.advance(at(3_099));
    assert!(!interrupted(&mut apic));
    apic.advance(at(3_100));
    assert!(interrupted(&mut apic));
    assert_eq!(apic.tsc_deadline(at(3_100)), 0);
    assert_eq!(apic.deadline(), None);

    apic.write_tsc_deadline(5, 4_000, at(4_000));
    assert!(interrupted(&mut apic), "a deadline in the past interrupts at once");
    apic.write_tsc_deadline(50_000, 4_000, at(5_000));
    apic.write_tsc_deadline(0, 4_000, at(5_000));
    assert_eq!(apic.deadline(), None, "zero disarms");
}

#[test]
fn tsc_that_the_guest_sets_moves_the_deadline() {
    let mut apic = apic(TSC_DEADLINE);
    apic.write_tsc_deadline(10_000, 0, at(0));
    assert_eq!(apic.deadline(), Some(at(5_000)));
    apic.set_tsc(8_000, at(1_000));
    assert_eq!(apic.deadline(), Some(at(2_000)));
    apic.set_tsc(10_000, at(1_500));
    assert!(interrupted(&mut apic));
}

#[test]
fn timer_is_disarmed_between_deadlines_and_counts() {
    let mut apic = apic(ONE_SHOT);
    apic.write_tsc_deadline(10_000, 0, at(0));
    assert_eq!(apic.tsc_deadline(at(0)), 0, "ignored in another mode");
    write(&mut apic, INITIAL, 1_000, 0);
    write(&mut apic, LVT_TIMER, TSC_DEADLINE, 100);
    assert_eq!(apic.deadline(), None);
    apic.write_tsc_deadline(10_000, 0, at(100));
    write(&mut apic, LVT_TIMER, ONE_SHOT, 200);
    assert_eq!(apic.deadline(), None);
    assert_eq!(apic.tsc_deadline(at(200)), 0);
    write(&mut apic, LVT_TIMER, 3 << 17 | 0x31, 200);
    write(&mut apic, INITIAL, 10, 200);
    assert_eq!(apic.deadline(), None, "the reserved mode does nothing");
}

/// A guest that asks for a gigahertz of interrupts gets ten thousand a second.
#[test]
fn periodic_timer_has_a_shortest_period() {
    let mut apic = apic(PERIODIC);
    write(&mut apic, INITIAL, 1, 0);
    let mut interrupts = 0;
    while let Some(deadline) = apic.deadline().filter(|deadline| *deadline <= Nanos::from_secs(1)) {
        apic.advance(deadline);
        assert!(interrupted(&mut apic));
        assert!(apic.deadline().unwrap() > deadline, "deadlines make progress");
        interrupts += 1;
        assert!(interrupts <= 10_001, "by {deadline:?} already");
    }
    assert!((9_999..=10_001).contains(&interrupts), "{interrupts}");
}

#[test]
fn shortest_period_can_not_be_reset_away() {
    let mut apic = apic(PERIODIC);
    write(&mut apic, INITIAL, 1, 0);
    apic.advance(at(1));
    assert!(interrupted(&mut apic));
    apic.init();
    write(&mut apic, SVR, 0x1FF, 2);
    write(&mut apic, DIVIDE, BY_ONE, 2);
    write(&mut apic, LVT_TIMER, PERIODIC, 2);
    write(&mut apic, INITIAL, 1, 2);
    assert_eq!(apic.deadline(), Some(at(1 + SHORTEST)));
}

#[test]
fn moments_behind_the_end_of_time_never_come() {
    let mut apic = apic(TSC_DEADLINE);
    apic.write_tsc_deadline(u64::MAX, 0, at(u64::MAX - 5));
    assert_eq!(apic.deadline(), None);
    let mut apic = self::apic(PERIODIC);
    write(&mut apic, INITIAL, u32::MAX, u64::MAX - 5);
    assert_eq!(apic.deadline(), None);
    apic.advance(Nanos::MAX);
    assert!(!interrupted(&mut apic));
    // This clock's ticks end before the nanoseconds do.
    let mut apic = apic_at(3_000_000_000, PERIODIC);
    write(&mut apic, INITIAL, 1_000_000, 0);
    for late in [u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        apic.advance(at(late));
        assert!(apic.deadline().is_none_or(|deadline| deadline > at(late)));
    }
}

proptest! {
    /// The current count, and the interrupts told, against the arithmetic of whole numbers.
    #[test]
    fn periodic_timer_is_exact(
        initial in 1_u32..10_000_000,
        start in 0_u64..1_000_000_000_000,
        waits in prop::collection::vec(0_u64..30_000_000, 1..30),
    ) {
        let mut apic = apic(PERIODIC);
        write(&mut apic, INITIAL, initial, start);
        let (mut now, period) = (start, u64::from(initial));
        let mut told = 0;
        for wait in waits {
            now += wait;
            let left = period - (now - start) % period;
            prop_assert_eq!(u64::from(apic.read(CURRENT, at(now))), left);
            let ended = (now - start) / period;
            let interrupted = interrupted(&mut apic);
            if period >= SHORTEST {
                prop_assert_eq!(interrupted, ended > told);
                prop_assert_eq!(apic.deadline(), Some(at(start + (ended + 1) * period)));
            } else {
                prop_assert!(ended > told || !interrupted);
            }
            if interrupted {
                told = ended;
            }
        }
    }
}
