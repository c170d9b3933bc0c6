//! How AML encodes lengths, names and objects.
//!
//! # Source
//! ACPI 6.5, "AML Grammar Definition".

use alloc::vec::Vec;

use super::Rule;
use super::fields::Fields;

pub(super) type Segment = [u8; 4];
pub(super) type Path = Vec<Segment>;

/// Why a block is not read on.
pub(super) enum Stop {
    /// It is broken.
    Broken(Rule, usize),
    /// It has something in it that is no declaration.
    Unknown,
}

/// A name as AML has it.
pub(super) struct Name {
    pub(super) is_absolute: bool,
    pub(super) parents: usize,
    pub(super) segments: Path,
}

/// An object as far as it matters.
pub(super) enum Value<'a> {
    Integer(u64),
    Text(&'a [u8]),
    Buffer(usize, &'a [u8]),
    Other,
}

/// The bytes of a table. Each read starts at an offset and must end before another.
#[derive(Clone, Copy)]
pub(super) struct Code<'a>(pub(super) &'a [u8]);

impl<'a> Code<'a> {
    pub(super) fn byte(&self, at: usize, end: usize) -> Result<u8, Stop> {
        let byte = if at < end { self.0.byte(at) } else { None };
        byte.ok_or(Stop::Broken(Rule::AmlTruncated, at.min(end)))
    }

    /// Reads a PkgLength and returns where its contents start and end.
    pub(super) fn package_length(&self, at: usize, end: usize) -> Result<(usize, usize), Stop> {
        let lead = self.byte(at, end)?;
        let more = usize::from(lead >> 6);
        let mut length = if more == 0 { usize::from(lead & 0x3F) } else { usize::from(lead & 0xF) };
        for index in 0..more {
            length |= usize::from(self.byte(at + 1 + index, end)?) << (4 + 8 * index);
        }
        let start = at + 1 + more;
        let block_end = at + length;
        if block_end < start || block_end > end {
            return Err(Stop::Broken(Rule::AmlLength, at));
        }
        Ok((start, block_end))
    }

    /// Reads a name.
    pub(super) fn name(&self, mut at: usize, end: usize) -> Result<(Name, usize), Stop> {
        let mut name = Name { is_absolute: false, parents: 0, segments: Path::new() };
        let start = at;
        loop {
            match self.byte(at, end)? {
                b'\\' if at == start => name.is_absolute = true,
                b'^' if !name.is_absolute => name.parents += 1,
                _ => break,
            }
            at += 1;
        }
        let count = match self.byte(at, end)? {
            0x00 => return Ok((name, at + 1)),
            0x2E => 2,
            0x2F => usize::from(self.byte(at + 1, end)?),
            _ => 1,
        };
        at += match self.byte(at, end)? {
            0x2E => 1,
            0x2F => 2,
            _ => 0,
        };
        for _ in 0..count {
            self.byte(at + 3, end)?;
            let segment = self.0[at..].first_chunk().copied().unwrap_or_default();
            if !is_segment(segment) {
                return Err(Stop::Broken(Rule::AmlName, at));
            }
            name.segments.push(segment);
            at += 4;
        }
        Ok((name, at))
    }

    /// Skips the number of bits of a field, which has the form of a PkgLength.
    pub(super) fn bits(&self, at: usize, end: usize) -> Result<usize, Stop> {
        let more = usize::from(self.byte(at, end)? >> 6);
        self.byte(at + more, end).map(|_| at + more + 1)
    }

    /// Reads an object that stands there as it is.
    pub(super) fn value(&self, at: usize, end: usize) -> Result<(Value<'a>, usize), Stop> {
        let bytes = self.0;
        let size = match self.byte(at, end)? {
            opcode @ (0x00 | 0x01) => return Ok((Value::Integer(opcode.into()), at + 1)),
            0xFF => return Ok((Value::Integer(u64::MAX), at + 1)),
            0x0A => 1,
            0x0B => 2,
            0x0C => 4,
            0x0E => 8,
            0x0D => {
                let rest = &bytes[at + 1..end];
                let Some(length) = rest.iter().position(|byte| *byte == 0) else {
                    return Err(Stop::Broken(Rule::AmlTruncated, at));
                };
                return Ok((Value::Text(&rest[..length]), at + 1 + length + 1));
            }
            0x11 => {
                let (start, block_end) = self.package_length(at + 1, end)?;
                let (size, start) = self.value(start, block_end)?;
                let Value::Integer(size) = size else { return Ok((Value::Other, block_end)) };
                let contents = &bytes[start..block_end];
                // A buffer may be longer than what stands in it; the rest is zero.
                let length = usize::try_from(size).unwrap_or(usize::MAX).min(contents.len());
                return Ok((Value::Buffer(start, &contents[..length]), block_end));
            }
            0x12 | 0x13 => {
                let (_, block_end) = self.package_length(at + 1, end)?;
                return Ok((Value::Other, block_end));
            }
            b'\\' | b'^' | b'A'..=b'Z' | b'_' | 0x2E | 0x2F => {
                let (_, next) = self.name(at, end)?;
                return Ok((Value::Other, next));
            }
            _ => return Err(Stop::Unknown),
        };
        self.byte(at + size, end)?;
        let number = bytes.number(at + 1, size).unwrap_or_default();
        Ok((Value::Integer(number), at + 1 + size))
    }
}

/// Tells whether four bytes are a segment of a name.
pub(super) fn is_segment(segment: Segment) -> bool {
    let is_lead = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let [lead, rest @ ..] = segment;
    is_lead(lead) && rest.iter().all(|&byte| is_lead(byte) || byte.is_ascii_digit())
}
