//! The keyboard controller, port 92h and the reset control register.

use chipset::{I8042, Nanos, Port92, Reset, ResetControl};

const DATA: u8 = I8042::DATA;
const STATUS: u8 = I8042::STATUS;

/// A driver that polls, 50 µs a step, as SeaBIOS and Linux do.
struct Driver {
    controller: I8042,
    now: Nanos,
}

impl Driver {
    fn new() -> Self {
        Self { controller: I8042::new(), now: Nanos::ZERO }
    }

    fn command(&mut self, command: u8) {
        assert_eq!(self.controller.write(STATUS, command, self.now), None);
    }

    fn data(&mut self, data: u8) {
        assert_eq!(self.controller.write(DATA, data, self.now), None);
    }

    fn answer(&mut self) -> Option<u8> {
        self.now = self.now.saturating_add(Nanos::from_micros(50));
        let full = self.controller.read(STATUS, self.now) & 1 != 0;
        full.then(|| self.controller.read(DATA, self.now))
    }

    fn answers(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.answer()).collect()
    }

    fn config(&mut self) -> Option<u8> {
        self.command(0x20);
        self.answer()
    }

    fn set_config(&mut self, config: u8) {
        self.command(0x60);
        self.data(config);
    }
}

#[test]
fn self_tests_pass() {
    let mut driver = Driver::new();
    assert_eq!(driver.controller.read(STATUS, Nanos::ZERO), 0x10);
    driver.command(0xAA);
    assert_eq!(driver.answers(), [0x55]);
    assert_eq!(driver.controller.read(STATUS, driver.now), 0x1C, "system flag, command last");
    driver.command(0xAB);
    assert_eq!(driver.answers(), [0x00]);
}

/// SeaBIOS, ps2_keyboard_setup: each command between two writes of the configuration byte.
#[test]
fn seabios_initializes_the_keyboard() {
    let mut driver = Driver::new();
    assert_eq!(driver.answers(), [], "nothing to flush");
    for (sent, expected) in [
        (&[0xFF][..], &[0xFA, 0xAA][..]),
        (&[0xF5], &[0xFA]),
        (&[0xF0, 0x02], &[0xFA, 0xFA]),
        (&[0xF4], &[0xFA]),
    ] {
        driver.set_config(0x30);
        driver.set_config(0x20);
        let mut answers = Vec::new();
        for &byte in sent {
            driver.data(byte);
            answers.extend(driver.answers());
        }
        assert_eq!(answers, expected);
        driver.set_config(0x61);
    }
    assert_eq!(driver.config(), Some(0x61));
}

#[test]
fn keyboard_identifies_itself_translated_or_not() {
    let mut driver = Driver::new();
    driver.set_config(0x00);
    driver.data(0xF2);
    assert_eq!(driver.answers(), [0xFA, 0xAB, 0x83]);
    driver.set_config(0x40);
    driver.data(0xF2);
    assert_eq!(driver.answers(), [0xFA, 0xAB, 0x41]);
}

#[test]
fn keyboard_knows_its_scan_code_set() {
    let mut driver = Driver::new();
    driver.set_config(0x00);
    for byte in [0xF0, 3, 0xF0, 0] {
        driver.data(byte);
        if byte != 0 {
            assert_eq!(driver.answers(), [0xFA]);
        }
    }
    assert_eq!(driver.answers(), [0xFA, 0x03]);
    driver.data(0xFE);
    assert_eq!(driver.answers(), [0x03], "sent again");
    driver.data(0x12);
    assert_eq!(driver.answers(), [0xFE]);
}

#[test]
fn interrupt_falls_between_two_bytes() {
    let mut controller = I8042::new();
    let now = Nanos::from_secs(1);
    assert_eq!(controller.write(DATA, 0xFF, now), None);
    assert!(controller.interrupt());
    assert_eq!(controller.deadline(), None);

    assert_eq!(controller.read(DATA, now), 0xFA);
    assert!(!controller.interrupt());
    assert_eq!(controller.read(STATUS, now) & 1, 0);
    let next = controller.deadline().unwrap();
    controller.advance(Nanos::new(next.get() - 1));
    assert!(!controller.interrupt());
    controller.advance(next);
    assert!(controller.interrupt());
    assert_eq!(controller.read(DATA, next), 0xAA);
    assert_eq!(controller.deadline(), None);
}

#[test]
fn disabled_keyboard_waits_and_interrupts_can_be_off() {
    let mut driver = Driver::new();
    driver.set_config(0x00);
    driver.data(0xEE);
    assert!(!driver.controller.interrupt());
    assert_eq!(driver.answers(), [0xEE]);

    driver.data(0xFF);
    driver.command(0xAD);
    assert_eq!(driver.config(), Some(0xFA), "the key comes first, and then the answer");
    assert_eq!(driver.answers(), [0x10]);
    driver.command(0xAE);
    assert_eq!(driver.answers(), [0xAA]);
}

/// Linux, i8042_check_aux: without the auxiliary flag in the loop's answer and with a failed test
/// there is no mouse, and no answer is waited for in vain.
#[test]
fn linux_finds_no_auxiliary_port() {
    let mut driver = Driver::new();
    driver.command(0xD3);
    driver.data(0x5A);
    let status = driver.controller.read(STATUS, driver.now);
    assert_eq!(status & 0x21, 0x01);
    driver.command(0xA9);
    let answers = driver.answers();
    assert_eq!(answers.len(), 1, "the loop's unread answer is gone");
    assert!(![0x00, 0xFA, 0xFF].contains(&answers[0]));
}

#[test]
fn unknown_commands_take_their_data_with_them() {
    let mut driver = Driver::new();
    driver.command(0x61);
    driver.data(0xFF);
    assert_eq!(driver.answers(), [], "the keyboard did not see it");
    driver.command(0x21);
    assert_eq!(driver.answers(), [0x00]);
    driver.command(0xD2);
    driver.data(0x77);
    assert_eq!(driver.answers(), [0x77]);
}

#[test]
fn output_port_moves_a20_and_resets() {
    let mut driver = Driver::new();
    assert!(driver.controller.a20());
    driver.command(0xD1);
    driver.data(0xDD);
    assert!(!driver.controller.a20());
    driver.command(0xD0);
    assert_eq!(driver.answers(), [0xC1]);
    driver.command(0xD1);
    driver.data(0xDF);
    assert!(driver.controller.a20());
    driver.command(0xD1);
    assert_eq!(driver.controller.write(DATA, 0xFE, driver.now), Some(Reset::Init));
}

#[test]
fn only_a_pulse_of_line_zero_resets() {
    let mut controller = I8042::new();
    assert_eq!(controller.write(STATUS, 0xFE, Nanos::ZERO), Some(Reset::Init));
    assert_eq!(controller.write(STATUS, 0xF0, Nanos::ZERO), Some(Reset::Init));
    assert_eq!(controller.write(STATUS, 0xFF, Nanos::ZERO), None);
    assert_eq!(controller.write(STATUS, 0xFD, Nanos::ZERO), None);
}

#[test]
fn ports_between_are_not_the_controllers() {
    let mut controller = I8042::new();
    assert_eq!(controller.read(1, Nanos::ZERO), 0xFF);
    assert_eq!(controller.write(1, 0xFE, Nanos::ZERO), None);
}

#[test]
fn port_92_gates_a20_and_resets_on_an_edge() {
    let mut port = Port92::new();
    assert_eq!(port.read(), 0x24);
    assert_eq!(port.write(0x02), None);
    assert!(port.a20());
    assert_eq!(port.read(), 0x26);
    assert_eq!(port.write(0x03), Some(Reset::Init));
    assert_eq!(port.write(0x01), None, "still set: no edge");
    assert!(!port.a20());
    assert_eq!(port.write(0x00), None);
    assert_eq!(port.write(0x01), Some(Reset::Init));
}

#[test]
fn reset_control_resets_on_an_edge_in_the_kind_chosen() {
    for (value, reset) in [
        (0x04, Reset::Init),
        (0x06, Reset::Hard),
        (0x0E, Reset::PowerCycle),
        (0x0F, Reset::PowerCycle),
        (0x0C, Reset::Init),
    ] {
        let mut register = ResetControl::new();
        assert_eq!(register.write(value & !0x04), None);
        assert_eq!(register.write(value), Some(reset));
        assert_eq!(register.write(value), None, "still set: no edge");
        assert_eq!(register.read(), value & 0x0E);
    }
}
