//! The 8254 beside a counter that is stepped clock by clock, as the datasheet tells it.

use chipset::{Nanos, Pit};
use proptest::prelude::*;

/// The first nanosecond of a tick of 3.579545 MHz divided by 3.
fn at(tick: u64) -> Nanos {
    Nanos::new((tick * 3_000_000_000).div_ceil(3_579_545))
}

/// Programs a channel in one of its modes, both bytes.
fn program(pit: &mut Pit, channel: u8, mode: u8, count: u16, now: Nanos) {
    pit.write(3, channel << 6 | 0x30 | mode << 1, now);
    write_count(pit, channel, count, now);
}

fn write_count(pit: &mut Pit, channel: u8, count: u16, now: Nanos) {
    for byte in count.to_le_bytes() {
        pit.write(channel, byte, now);
    }
}

/// Latches and reads status and count.
fn read_back(pit: &mut Pit, channel: u8, now: Nanos) -> (u8, u16) {
    pit.write(3, 0xC0 | 2 << channel, now);
    let status = pit.read(channel, now);
    (status, u16::from_le_bytes([pit.read(channel, now), pit.read(channel, now)]))
}

/// One channel, stepped by its clock.
struct Reference {
    mode: u8,
    register: u32,
    element: u32,
    gate: bool,
    output: bool,
    load: bool,
    counting: bool,
    /// Whether the strobe or the rise of the output is still to come.
    armed: bool,
}

impl Reference {
    fn new(mode: u8, count: u16, gate: bool) -> Self {
        let load = mode != 1 && mode != 5;
        let register = u32::from(count);
        let output = mode != 0;
        Self { mode, register, element: 0, gate, output, load, counting: false, armed: false }
    }

    fn write(&mut self, count: u16) {
        self.register = u32::from(count);
        match self.mode {
            0 => (self.load, self.output) = (true, false),
            4 => self.load = true,
            _ => {}
        }
    }

    fn set_gate(&mut self, gate: bool) {
        let rising = gate && !self.gate;
        self.gate = gate;
        match self.mode {
            1 | 5 => self.load |= rising,
            2 | 3 if rising => self.load = true,
            2 | 3 => self.output |= !gate,
            _ => {}
        }
    }

    fn clock(&mut self) {
        if self.load {
            (self.load, self.counting, self.armed) = (false, true, true);
            self.element = if self.mode == 3 { self.register & !1 } else { self.register };
            self.output = !matches!(self.mode, 0 | 1);
            return;
        }
        let gated = matches!(self.mode, 1 | 5) || self.gate;
        if !self.counting || !gated {
            return;
        }
        match self.mode {
            0 | 1 => {
                self.element = self.element.wrapping_sub(1) & 0xFFFF;
                self.output |= self.element == 0;
            }
            2 => {
                if self.element == 1 {
                    self.element = self.register;
                } else {
                    self.element -= 1;
                }
                self.output = self.element != 1;
            }
            3 => {
                let odd_high = self.register % 2 == 1 && self.output;
                if self.element == if odd_high { 0 } else { 2 } {
                    self.element = self.register & !1;
                    self.output = !self.output;
                } else {
                    self.element -= 2;
                }
            }
            _ => {
                self.element = self.element.wrapping_sub(1) & 0xFFFF;
                self.output = !(self.armed && self.element == 0);
                self.armed &= self.element != 0;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    Gate(bool),
    Count(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => Just(Event::Nothing),
        1 => any::<bool>().prop_map(Event::Gate),
        1 => (3u16..30).prop_map(Event::Count),
    ]
}

proptest! {
    #[test]
    fn channel_counts_as_its_clock_steps(
        mode in 0u8..6,
        count in 3u16..30,
        gate: bool,
        start in 0u64..1 << 31,
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut pit = Pit::new();
        pit.write_port61(u8::from(gate), at(start));
        program(&mut pit, 2, mode, count, at(start));
        let mut reference = Reference::new(mode, count, gate);
        for (tick, event) in (start + 1..).zip(events) {
            reference.clock();
            let now = at(tick);
            let (status, element) = read_back(&mut pit, 2, now);
            prop_assert_eq!(status >> 7 != 0, reference.output, "output at {}", tick - start);
            if reference.counting {
                prop_assert_eq!(u32::from(element), reference.element, "at {}", tick - start);
            }
            match event {
                Event::Gate(gate) => {
                    pit.write_port61(u8::from(gate), now);
                    reference.set_gate(gate);
                }
                // Periodic modes take a new count up at the period's end: tested apart.
                Event::Count(count) if !matches!(mode, 2 | 3) => {
                    write_count(&mut pit, 2, count, now);
                    reference.write(count);
                }
                Event::Count(_) | Event::Nothing => {}
            }
        }
    }

    /// The deadline is where the reference's output rises, and the edge is there, not before.
    #[test]
    fn edges_come_at_deadlines(mode in prop::sample::select(vec![0u8, 2, 3, 4]), count in 2u16..50) {
        let mut pit = Pit::new();
        program(&mut pit, 0, mode, count, at(10));
        let mut reference = Reference::new(mode, count, true);
        let _ = pit.take_edge();
        let mut output = reference.output;
        for tick in 11..300 {
            reference.clock();
            let rises = reference.output && !output;
            output = reference.output;
            if rises {
                prop_assert_eq!(pit.deadline(), Some(at(tick)));
                pit.advance(Nanos::new(at(tick).get() - 1));
                prop_assert!(!pit.take_edge());
                pit.advance(at(tick));
                prop_assert!(pit.take_edge());
                prop_assert!(pit.interrupt());
            }
        }
        if matches!(mode, 0 | 4) {
            prop_assert_eq!(pit.deadline(), None);
        }
    }
}

#[test]
fn rate_generator_keeps_its_pace_when_served_late() {
    let mut pit = Pit::new();
    program(&mut pit, 0, 2, 0, at(0));
    pit.advance(at(1 + 5 * 65_536 + 100));
    assert!(pit.take_edge());
    assert!(!pit.take_edge(), "five edges are one");
    assert_eq!(pit.deadline(), Some(at(1 + 6 * 65_536)));
}

#[test]
fn new_count_waits_for_the_end_of_the_period() {
    let mut pit = Pit::new();
    program(&mut pit, 0, 2, 100, at(0));
    write_count(&mut pit, 0, 10, at(31));
    let (status, count) = read_back(&mut pit, 0, at(51));
    assert_eq!((status & 0x40, count), (0x40, 50), "null count: the new one is not yet there");
    let (status, count) = read_back(&mut pit, 0, at(104));
    assert_eq!((status & 0x40, count), (0, 7));
    assert_eq!(pit.deadline(), Some(at(111)));
}

#[test]
fn status_tells_how_the_channel_was_programmed() {
    let mut pit = Pit::new();
    pit.write(3, 0x94, at(0)); // channel 2, low byte, mode 2
    pit.write(3, 0xE8, at(0)); // read back the status of channel 2
    assert_eq!(pit.read(2, at(0)), 0x80 | 0x40 | 0x14);
}

#[test]
fn latched_count_stands_until_read() {
    let mut pit = Pit::new();
    program(&mut pit, 1, 2, 0x1234, at(0));
    pit.write(3, 0x40, at(1));
    pit.write(3, 0x40, at(100)); // ignored: still latched
    assert_eq!(pit.read(1, at(200)), 0x34);
    assert_eq!(pit.read(1, at(300)), 0x12);
    assert_eq!(
        pit.read(1, at(0x35)),
        0x09,
        "1234h - 12Bh: no longer latched, and time does not run back"
    );
}

#[test]
fn single_byte_access_sets_the_other_to_zero() {
    let mut pit = Pit::new();
    pit.write(3, 0x64, at(0)); // channel 1, high byte, mode 2
    pit.write(1, 0x02, at(0));
    assert_eq!(pit.read(1, at(1)), 0x02);
    assert_eq!(pit.read(1, at(2)), 0x01);
}

#[test]
fn bcd_counts_in_decimal() {
    let mut pit = Pit::new();
    pit.write(3, 0x31, at(0)); // channel 0, mode 0, BCD
    write_count(&mut pit, 0, 0x1000, at(0));
    assert_eq!(read_back(&mut pit, 0, at(2)).1, 0x0999);
    assert_eq!(pit.deadline(), Some(at(1_001)));
    assert_eq!(read_back(&mut pit, 0, at(1_002)).1, 0x9999);
}

#[test]
fn control_word_that_raises_the_output_makes_an_edge() {
    let mut pit = Pit::new();
    pit.write(3, 0x30, at(0));
    assert!(!pit.take_edge());
    assert!(!pit.interrupt());
    pit.write(3, 0x34, at(1));
    assert!(pit.take_edge());
    assert!(pit.interrupt());
}

/// Linux and SeaBIOS measure the TSC by channel 2 in mode 0 and its output in port 61h.
#[test]
fn port_61_shows_the_end_of_channel_2() {
    let mut pit = Pit::new();
    pit.write_port61(0x01, at(0));
    program(&mut pit, 2, 0, 11_932, at(0)); // 10 ms
    assert_eq!(pit.read_port61(Nanos::from_micros(9_999)) & 0x23, 0x01);
    assert_eq!(pit.read_port61(Nanos::from_micros(10_002)) & 0x23, 0x21);
    pit.write_port61(0x02, at(12_000));
    assert!(pit.speaker());
    assert_eq!(pit.read_port61(at(12_000)) & 0x0F, 0x02);
}

#[test]
fn port_61_toggles_with_memory_refresh() {
    let mut pit = Pit::new();
    let mut changes = 0;
    let mut last = 0;
    for micros in 0..1_000 {
        let bit = pit.read_port61(Nanos::from_micros(micros)) & 0x10;
        changes += u32::from(bit != last);
        last = bit;
    }
    assert_eq!(changes, 66); // 1 ms / 15.085 µs
}

#[test]
fn control_word_cannot_be_read() {
    let mut pit = Pit::new();
    assert_eq!(pit.read(3, at(0)), 0xFF);
    assert_eq!(pit.read(4, at(0)), 0xFF);
}
