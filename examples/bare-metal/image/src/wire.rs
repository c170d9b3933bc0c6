//! How everything that the hypervisor says shares one debug port: a byte announces whose the
//! following ones are.

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The serial console of the guest with this number, less than [`MOST_GUESTS`].
    Console(u8),
    /// Its debug port.
    Debug(u8),
    /// What the hypervisor itself has to say.
    Message,
    /// The exit status in decimal; a line feed ends it, and with it everything.
    Status,
}

/// The most guests that can be told apart.
pub const MOST_GUESTS: u8 = 8;

/// Announces a channel; twice in a row it is a byte like any other.
const MARK: u8 = 0x1D;

impl Channel {
    const fn letter(self) -> u8 {
        match self {
            Self::Console(guest) => b'0' + guest % MOST_GUESTS,
            Self::Debug(guest) => b'A' + guest % MOST_GUESTS,
            Self::Message => b'm',
            Self::Status => b's',
        }
    }

    const fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'0'..=b'7' => Self::Console(letter - b'0'),
            b'A'..=b'H' => Self::Debug(letter - b'A'),
            b'm' => Self::Message,
            b's' => Self::Status,
            _ => return None,
        })
    }
}

/// The sender's side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoder {
    current: Option<Channel>,
}

impl Encoder {
    /// Begins with nothing announced.
    #[must_use]
    pub const fn new() -> Self {
        Self { current: None }
    }

    /// Calls `send` with each byte that says `byte` on `channel`.
    pub fn encode(&mut self, channel: Channel, byte: u8, mut send: impl FnMut(u8)) {
        if self.current != Some(channel) {
            self.current = Some(channel);
            send(MARK);
            send(channel.letter());
        }
        if byte == MARK {
            send(MARK);
        }
        send(byte);
    }
}

/// The receiver's side. What comes before the first announcement is nobody's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    current: Option<Channel>,
    marked: bool,
}

impl Decoder {
    /// Takes the next byte of the line; returns the byte that it completes, and whose it is.
    pub fn decode(&mut self, byte: u8) -> Option<(Channel, u8)> {
        if self.marked {
            self.marked = false;
            if byte != MARK {
                self.current = Channel::of_letter(byte).or(self.current);
                return None;
            }
        } else if byte == MARK {
            self.marked = true;
            return None;
        }
        self.current.map(|channel| (channel, byte))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_is_sent_is_received_on_its_channel_whatever_it_is() {
        let sent: Vec<_> = (0..=255_u8)
            .flat_map(|byte| {
                let guest = byte % MOST_GUESTS;
                [
                    (Channel::Console(guest), byte),
                    (Channel::Console(guest), MARK),
                    (Channel::Debug(guest), byte),
                    (Channel::Message, byte),
                ]
            })
            .collect();
        let mut line = Vec::new();
        line.extend(b"noise before anything is announced");
        let mut encoder = Encoder::new();
        for (channel, byte) in &sent {
            encoder.encode(*channel, *byte, |byte| line.push(byte));
        }
        let mut decoder = Decoder::default();
        let received: Vec<_> = line.into_iter().filter_map(|byte| decoder.decode(byte)).collect();
        assert_eq!(received, sent);
    }

    #[test]
    fn one_channel_is_announced_once() {
        let (mut encoder, mut line) = (Encoder::new(), Vec::new());
        for byte in *b"abc" {
            encoder.encode(Channel::Status, byte, |byte| line.push(byte));
        }
        assert_eq!(line, b"\x1Dsabc");
    }
}
