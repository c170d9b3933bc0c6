//! What the image says, and how it ends.

use core::fmt::{self, Write};
use core::hint::spin_loop;

use bare_metal_image::{Channel, Encoder};
use spin::Mutex;

use crate::hardware::{inb, outb, outw, stop};

/// Bochs' debug port. It reads as its own number where something listens.
const DEBUG_PORT: u16 = 0xE9;
const COM1: u16 = 0x3F8;
const COM1_LINE_STATUS: u16 = COM1 + 5;
const COM1_LINE_CONTROL: u16 = COM1 + 3;
const TRANSMITTER_EMPTY: u8 = 0x60;

static LINE: Mutex<Encoder> = Mutex::new(Encoder::new());

/// Sends bytes on a channel: framed to the debug port, or as they are to the serial port of a real
/// machine.
pub(crate) fn send(channel: Channel, bytes: &[u8]) {
    let framed = has_debug_port();
    let mut line = LINE.lock();
    for byte in bytes {
        if framed {
            line.encode(channel, *byte, |byte| outb(DEBUG_PORT, byte));
        } else if channel != Channel::Status {
            send_serial(*byte);
        }
    }
}

fn has_debug_port() -> bool {
    inb(DEBUG_PORT) == 0xE9
}

/// Sets the serial port of a real machine to 115,200 bits a second, 8 bits, no parity.
pub(crate) fn init() {
    if has_debug_port() {
        return;
    }
    outb(COM1 + 1, 0);
    outb(COM1_LINE_CONTROL, 0x80);
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1_LINE_CONTROL, 0x03);
    outb(COM1 + 2, 0x07);
}

fn send_serial(byte: u8) {
    // A port that is not there reads as all ones, and so is never waited for.
    while inb(COM1_LINE_STATUS) & TRANSMITTER_EMPTY != TRANSMITTER_EMPTY {
        spin_loop();
    }
    outb(COM1, byte);
}

/// Text for the channel of messages, sent a line at a time, so that processors do not talk at
/// once. The lock is not held while something is formatted: that may panic, which is said too.
struct Messages {
    text: [u8; 256],
    length: usize,
}

impl Messages {
    fn flush(&mut self) {
        send(Channel::Message, &self.text[..self.length]);
        self.length = 0;
    }
}

impl Write for Messages {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length == self.text.len() {
                self.flush();
            }
            self.text[self.length] = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Says a line.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let mut messages = Messages { text: [0; 256], length: 0 };
    let _ = messages.write_fmt(format_args!("{line}\n"));
    messages.flush();
}

/// Says a line of its own.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::say(format_args!($($argument)*)) };
}

/// Ends everything with this exit status.
pub(crate) fn finish(status: u8) -> ! {
    let mut digits = [0; 3];
    let mut rest = status;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + rest % 10;
        rest /= 10;
    }
    send(Channel::Status, &digits);
    send(Channel::Status, b"\n");
    // Bochs' I/O debug device: its key, then the command that returns to its prompt.
    outw(0x8A00, 0x8A00);
    outw(0x8A00, 0x8AE0);
    stop()
}
