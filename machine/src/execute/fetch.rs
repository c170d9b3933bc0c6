//! Fetching and decoding.

use guest_state::{AccessKind, GuestMemory, Gva};
use iced_x86::{Code, Decoder, DecoderError, DecoderOptions, Instruction};

use super::address::PAGE_BYTES;
use super::string::StringInstruction;
use super::{Exception, ExecuteError, Executor, InstructionBytes, MemoryBus, Mode, Stop};

/// The longest instruction there is.
pub(super) const MAX_BYTES: usize = 15;

/// A decoded instruction.
pub(super) struct Fetched {
    pub(super) instruction: Instruction,
    unsupported: ExecuteError,
}

impl Fetched {
    pub(super) fn string(&self) -> Option<StringInstruction> {
        StringInstruction::decode(&self.instruction)
    }

    pub(super) fn unsupported(&self) -> Stop {
        Stop::Error(self.unsupported)
    }
}

impl<M: GuestMemory, B: MemoryBus> Executor<'_, M, B> {
    /// Fetches no page before a byte in it is needed, so that none faults that the CPU would leave.
    pub(super) fn fetch(&mut self) -> Result<Fetched, Stop> {
        let mut fetched = InstructionBytes { bytes: [0; MAX_BYTES], length: 0 };
        let rip = if self.mode == Mode::Long { self.cpu.rip } else { self.cpu.rip & 0xFFFF_FFFF };
        loop {
            let (at, room) = self.fetch_address(rip, fetched.length as u64)?;
            let gpa = self.translate_marked(at, AccessKind::Execute)?;
            let in_page = PAGE_BYTES - at.as_u64() % PAGE_BYTES;
            let room = usize::try_from(room.min(in_page)).unwrap_or(MAX_BYTES);
            let end = MAX_BYTES.min(fetched.length + room);
            if let Some(rest) = fetched.bytes.get_mut(fetched.length..end) {
                self.bus.fetch(gpa, rest);
            }
            fetched.length = end;

            let unsupported = ExecuteError::Unsupported { bytes: fetched, rip: self.cpu.rip };
            let (instruction, error) = self.decode(fetched.as_slice(), rip, DecoderOptions::NONE);
            match error {
                DecoderError::None => return Ok(Fetched { instruction, unsupported }),
                DecoderError::NoMoreBytes if end < MAX_BYTES => {}
                _ if self.is_too_long(&fetched, rip) => {
                    return Err(Exception::GeneralProtection.into());
                }
                _ if self.is_invalid(&fetched, rip) => return Err(Exception::InvalidOpcode.into()),
                _ => return Err(Stop::Error(unsupported)),
            }
        }
    }

    /// The RIP behind an instruction. A 16-bit IP does not wrap since the 386: the next fetch finds
    /// it behind the limit of CS.
    pub(super) fn next_rip(&self, fetched: &Fetched) -> u64 {
        let next = fetched.instruction.next_ip();
        if self.mode == Mode::Long { next } else { next & 0xFFFF_FFFF }
    }

    fn decode(&self, bytes: &[u8], rip: u64, options: u32) -> (Instruction, DecoderError) {
        let bitness = match self.mode {
            Mode::Long => 64,
            _ if self.cpu.cs.access.is_32bit() => 32,
            _ => 16,
        };
        let mut decoder = Decoder::with_ip(bitness, bytes, rip, options);
        let instruction = decoder.decode();
        (instruction, decoder.last_error())
    }

    /// Tells whether an instruction would go on behind its fifteenth byte, which the decoder calls
    /// invalid. So long a one begins with prefixes, and without some of them it becomes valid.
    fn is_too_long(&self, bytes: &InstructionBytes, rip: u64) -> bool {
        const fn is_prefix(byte: u8) -> bool {
            matches!(byte, 0x26 | 0x2E | 0x36 | 0x3E | 0x64..=0x67 | 0xF0 | 0xF2 | 0xF3)
        }
        let bytes = bytes.as_slice();
        let prefixes = bytes.iter().take_while(|byte| is_prefix(**byte)).count();
        bytes.len() == MAX_BYTES
            && (1..=prefixes).filter_map(|dropped| bytes.get(dropped..)).any(|rest| {
                let mut shorter = [0; MAX_BYTES];
                shorter.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                let (instruction, error) = self.decode(&shorter, rip, DecoderOptions::NONE);
                error == DecoderError::None && instruction.len() > rest.len()
            })
    }

    /// Tells whether an instruction that can't be decoded is known to be invalid, rather than
    /// unknown: LOCK stands before something that can't have it.
    fn is_invalid(&self, bytes: &InstructionBytes, rip: u64) -> bool {
        let options = DecoderOptions::NO_INVALID_CHECK;
        let (instruction, error) = self.decode(bytes.as_slice(), rip, options);
        error == DecoderError::None
            && instruction.code() != Code::INVALID
            && instruction.has_lock_prefix()
    }

    /// The linear address of a byte of the instruction, and how many follow it within CS.
    fn fetch_address(&self, rip: u64, done: u64) -> Result<(Gva, u64), Stop> {
        if self.mode == Mode::Long {
            return Ok((Gva::new(rip.wrapping_add(done)), u64::MAX));
        }
        // Neither can overflow: both are of 32 bits and a few bytes.
        let offset = rip + done;
        let left = u64::from(self.cpu.cs.limit).checked_sub(offset);
        let left = left.ok_or(Exception::GeneralProtection)?;
        let linear = self.cpu.cs.base.wrapping_add(offset) & 0xFFFF_FFFF;
        Ok((Gva::new(linear), left + 1))
    }
}
