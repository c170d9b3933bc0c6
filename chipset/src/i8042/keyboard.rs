//! A keyboard without keys: it answers what its driver asks.

use crate::queue::ByteQueue;

const ACKNOWLEDGE: u8 = 0xFA;
const RESEND: u8 = 0xFE;
const ECHO: u8 = 0xEE;
const SELF_TEST_PASSED: u8 = 0xAA;
const IDENTITY: [u8; 2] = [0xAB, 0x83];
const DEFAULT_SCAN_CODE_SET: u8 = 2;

#[derive(Clone, Debug)]
pub(super) struct Keyboard {
    to_send: ByteQueue<16>,
    last_sent: u8,
    /// The command whose argument comes next.
    command: Option<u8>,
    scan_code_set: u8,
}

impl Keyboard {
    pub(super) const fn new() -> Self {
        Self {
            to_send: ByteQueue::new(),
            last_sent: SELF_TEST_PASSED,
            command: None,
            scan_code_set: DEFAULT_SCAN_CODE_SET,
        }
    }

    pub(super) const fn has_byte(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// Sends the next byte.
    pub(super) fn send(&mut self) -> Option<u8> {
        let byte = self.to_send.pop()?;
        self.last_sent = byte;
        Some(byte)
    }

    /// Receives a byte, a command or the argument of one.
    pub(super) fn receive(&mut self, byte: u8) {
        match (self.command.take(), byte) {
            (Some(command), 0x00..=0x7F) => self.argument(command, byte),
            // A command where an argument was due takes its place.
            (_, command) => self.execute(command),
        }
    }

    fn execute(&mut self, command: u8) {
        // Whatever was left to say is not what the driver wants to hear now.
        self.to_send.clear();
        match command {
            0xEE => self.reply(&[ECHO]),
            // Lamps, scan code set, repeat rate.
            0xED | 0xF0 | 0xF3 => {
                self.command = Some(command);
                self.reply(&[ACKNOWLEDGE]);
            }
            0xF2 => self.reply(&[ACKNOWLEDGE, IDENTITY[0], IDENTITY[1]]),
            // Start and stop, and what keys do when held: without keys, nothing.
            0xF4 | 0xF7..=0xFD => self.reply(&[ACKNOWLEDGE]),
            0xF5 | 0xF6 => {
                self.scan_code_set = DEFAULT_SCAN_CODE_SET;
                self.reply(&[ACKNOWLEDGE]);
            }
            0xFE => self.reply(&[self.last_sent]),
            0xFF => {
                self.scan_code_set = DEFAULT_SCAN_CODE_SET;
                self.reply(&[ACKNOWLEDGE, SELF_TEST_PASSED]);
            }
            _ => self.reply(&[RESEND]),
        }
    }

    fn argument(&mut self, command: u8, argument: u8) {
        match (command, argument) {
            (0xF0, 0) => self.reply(&[ACKNOWLEDGE, self.scan_code_set]),
            (0xF0, 1..=3) => {
                self.scan_code_set = argument;
                self.reply(&[ACKNOWLEDGE]);
            }
            (0xF0, _) => self.reply(&[RESEND]),
            _ => self.reply(&[ACKNOWLEDGE]),
        }
    }

    fn reply(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.to_send.push(byte);
        }
    }
}

/// Translates a byte from scan code set 2 to set 1, as the controller does. Of the bytes that
/// change, these are the ones this keyboard sends: identity and scan code set.
pub(super) const fn translate(byte: u8) -> u8 {
    match byte {
        0x01 => 0x43,
        0x02 | 0x83 => 0x41,
        0x03 => 0x3F,
        _ => byte,
    }
}
