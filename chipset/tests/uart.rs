//! The 16550A as its datasheet and its drivers know it.

use chipset::{ModemLines, Uart16550};

const DATA: u8 = 0;
const IER: u8 = 1;
const IIR: u8 = 2;
const FCR: u8 = 2;
const LCR: u8 = 3;
const MCR: u8 = 4;
const LSR: u8 = 5;
const MSR: u8 = 6;
const SCRATCH: u8 = 7;

/// Writes a register that transmits nothing.
fn set(uart: &mut Uart16550, offset: u8, value: u8) {
    assert_eq!(uart.write(offset, value), None);
}

#[test]
fn power_on_state_is_the_datasheets() {
    let mut uart = Uart16550::new();
    assert_eq!(uart.read(IER), 0x00);
    assert_eq!(uart.read(IIR), 0x01);
    assert_eq!(uart.read(LCR), 0x00);
    assert_eq!(uart.read(MCR), 0x00);
    assert_eq!(uart.read(LSR), 0x60);
    assert!(!uart.interrupt());
}

#[test]
fn transmitted_bytes_come_out() {
    let mut uart = Uart16550::new();
    assert_eq!(uart.write(DATA, 0x00), Some(0x00));
    assert_eq!(uart.write(DATA, 0xFF), Some(0xFF));
    assert_eq!(uart.read(LSR), 0x60);
}

#[test]
fn divisor_latch_hides_data_and_interrupt_enable() {
    let mut uart = Uart16550::new();
    set(&mut uart, IER, 0x05);
    set(&mut uart, LCR, 0x83);
    set(&mut uart, DATA, 0x0C);
    set(&mut uart, IER, 0x34);
    assert_eq!((uart.read(DATA), uart.read(IER)), (0x0C, 0x34));
    set(&mut uart, LCR, 0x03);
    assert_eq!(uart.read(IER), 0x05);
    assert_eq!(uart.write(DATA, 0x0C), Some(0x0C));
}

#[test]
fn interrupt_enable_keeps_four_bits_and_scratch_keeps_all() {
    let mut uart = Uart16550::new();
    set(&mut uart, IER, 0xFF);
    set(&mut uart, SCRATCH, 0xA5);
    assert_eq!(uart.read(IER), 0x0F);
    assert_eq!(uart.read(SCRATCH), 0xA5);
}

#[test]
fn fifo_interrupts_at_its_trigger_level() {
    for (fcr, level) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)] {
        let mut uart = Uart16550::new();
        set(&mut uart, FCR, fcr);
        set(&mut uart, IER, 0x01);
        for received in 1..=16 {
            uart.receive(received);
            // Below the level the character timeout interrupts instead.
            let expected = if received >= level { 0xC4 } else { 0xCC };
            assert_eq!(uart.read(IIR), expected, "{received} bytes at level {level}");
        }
    }
}

#[test]
fn fifo_holds_sixteen_bytes_in_order_and_drops_the_seventeenth() {
    let mut uart = Uart16550::new();
    set(&mut uart, FCR, 0x01);
    for byte in 0..16 {
        assert_eq!(uart.receive_room(), 16 - usize::from(byte));
        uart.receive(byte);
    }
    assert!(!uart.can_receive());
    uart.receive(0xEE);
    assert_eq!(uart.read(LSR), 0x63);
    assert_eq!(uart.read(LSR), 0x61, "reading clears the overrun");
    for byte in 0..16 {
        assert_eq!(uart.read(DATA), byte);
    }
    assert_eq!(uart.read(LSR), 0x60);
}

#[test]
fn without_fifo_a_second_byte_overwrites_the_first() {
    let mut uart = Uart16550::new();
    uart.receive(1);
    assert_eq!(uart.receive_room(), 0);
    uart.receive(2);
    assert_eq!(uart.read(LSR), 0x63);
    assert_eq!(uart.read(DATA), 2);
    assert_eq!(uart.read(LSR), 0x60);
}

#[test]
fn fifo_control_clears_the_receiver() {
    let mut uart = Uart16550::new();
    set(&mut uart, FCR, 0x01);
    uart.receive(1);
    set(&mut uart, FCR, 0x05);
    assert_eq!(uart.read(LSR), 0x61, "clearing the transmitter leaves the receiver");
    set(&mut uart, FCR, 0x03);
    assert_eq!(uart.read(LSR), 0x60);
    uart.receive(2);
    set(&mut uart, FCR, 0x00);
    assert_eq!(uart.read(LSR), 0x60, "so does switching FIFOs off");
    assert_eq!(uart.read(IIR), 0x01);
}

#[test]
fn causes_are_told_in_order_of_priority() {
    let mut uart = Uart16550::new();
    set(&mut uart, IER, 0x0F);
    uart.receive(1);
    uart.receive(2);
    uart.set_modem_lines(ModemLines::empty());
    assert_eq!(uart.read(IIR), 0x06);
    assert_eq!(uart.read(LSR), 0x63);
    assert_eq!(uart.read(IIR), 0x04);
    assert_eq!(uart.read(DATA), 2);
    assert_eq!(uart.read(IIR), 0x02);
    assert_eq!(uart.read(IIR), 0x00, "reading the cause ended the transmitter's interrupt");
    assert_eq!(uart.read(MSR), 0x0B);
    assert_eq!(uart.read(IIR), 0x01);
    assert!(!uart.interrupt());
}

#[test]
fn transmitter_interrupts_when_enabled_and_after_every_byte() {
    let mut uart = Uart16550::new();
    set(&mut uart, IER, 0x02);
    assert!(uart.interrupt());
    assert_eq!(uart.read(IIR), 0x02);
    assert!(!uart.interrupt());

    set(&mut uart, IER, 0x02);
    assert!(!uart.interrupt(), "enabling what is enabled changes nothing");
    assert_eq!(uart.write(DATA, b'a'), Some(b'a'));
    assert!(uart.interrupt());
    set(&mut uart, IER, 0x03);
    assert!(uart.interrupt(), "enabling another cause keeps it");
    set(&mut uart, IER, 0x00);
    assert!(!uart.interrupt());
    set(&mut uart, IER, 0x02);
    assert!(uart.interrupt());
}

/// Linux' 8250 driver, serial8250_THRE_test: a port that fails it is polled by a timer.
#[test]
fn transmitter_interrupt_comes_back_after_being_read_and_disabled() {
    let mut uart = Uart16550::new();
    for _ in 0..2 {
        set(&mut uart, IER, 0x02);
        assert_eq!(uart.read(IIR) & 0x01, 0, "no interrupt pending");
        set(&mut uart, IER, 0x00);
    }
}

/// Linux' 8250 driver, autoconfig: what each step must read for a 16550A and nothing newer.
#[test]
fn linux_probe_finds_a_16550a() {
    let mut uart = Uart16550::new();
    set(&mut uart, IER, 0x00);
    assert_eq!(uart.read(IER) & 0x0F, 0x00);
    set(&mut uart, IER, 0x0F);
    assert_eq!(uart.read(IER) & 0x0F, 0x0F);
    set(&mut uart, IER, 0x00);

    set(&mut uart, MCR, 0x1A);
    assert_eq!(uart.read(MSR) & 0xF0, 0x90);
    set(&mut uart, MCR, 0x00);

    // FIFOs are there and work.
    set(&mut uart, FCR, 0x01);
    assert_eq!(uart.read(IIR) >> 6, 3);
    // No enhanced feature register (16650).
    for lcr in [0x80, 0xBF] {
        set(&mut uart, LCR, lcr);
        assert_ne!(uart.read(2), 0);
    }
    set(&mut uart, LCR, 0x00);
    // No 64-byte FIFO (16750).
    set(&mut uart, FCR, 0x21);
    assert_eq!(uart.read(IIR) >> 5, 6);
    // No unit enable bit (XScale).
    set(&mut uart, IER, 0x40);
    assert_eq!(uart.read(IER), 0x00);
}

#[test]
fn loopback_returns_bytes_and_modem_lines() {
    let mut uart = Uart16550::new();
    set(&mut uart, FCR, 0x01);
    set(&mut uart, MCR, 0x1F);
    assert_eq!(uart.read(MSR) & 0xF0, 0xF0);
    assert!(!uart.out2(), "outputs are inactive");
    assert_eq!(uart.write(DATA, 0xAE), None);
    assert_eq!(uart.receive_room(), 0);
    uart.receive(0x11);
    assert_eq!(uart.read(DATA), 0xAE);
    assert_eq!(uart.read(LSR), 0x60, "the terminal's byte did not arrive");

    set(&mut uart, MCR, 0x0B);
    assert!(uart.out2());
    assert_eq!(uart.read(MSR) & 0xF0, 0xB0);
}

#[test]
fn ring_is_told_at_its_end() {
    let mut uart = Uart16550::new();
    set(&mut uart, IER, 0x08);
    uart.set_modem_lines(ModemLines::CONNECTED | ModemLines::RING);
    assert!(!uart.interrupt());
    assert_eq!(uart.read(MSR), 0xF0);
    uart.set_modem_lines(ModemLines::CONNECTED);
    assert!(uart.interrupt());
    assert_eq!(uart.read(MSR), 0xB4);
    assert_eq!(uart.read(MSR), 0xB0);
}

#[test]
fn registers_past_the_last_are_not_there() {
    let mut uart = Uart16550::new();
    assert_eq!(uart.write(8, 0x55), None);
    assert_eq!(uart.read(8), 0xFF);
}
