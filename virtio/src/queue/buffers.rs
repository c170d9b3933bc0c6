//! Buffers of a chain, as one run of bytes.

use alloc::vec::Vec;

use guest_state::{Gpa, GuestMemory};

use super::above;
use crate::Error;

/// Bytes of guest memory that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Where they begin.
    pub gpa: Gpa,
    /// How many there are.
    pub size_bytes: u32,
}

/// The buffers of a chain that the device reads, or those that it writes: bytes that are numbered
/// from 0, wherever they are in the guest's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    segments: Vec<Segment>,
    size_bytes: u64,
}

impl Buffers {
    /// Returns where they are, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns how many bytes they have together, less than 2^32.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.segments.is_empty()
    }

    pub(super) fn push(&mut self, segment: Segment) {
        self.segments.push(segment);
        self.size_bytes += u64::from(segment.size_bytes);
    }

    /// Cuts them in two: the first `at` bytes, and the others.
    ///
    /// # Errors
    /// [`Error::TooShort`] if there are not so many.
    pub fn split_at(mut self, at: u64) -> Result<(Self, Self), Error> {
        if at > self.size_bytes {
            return Err(Error::TooShort { size_bytes: self.size_bytes, least: at });
        }
        let mut first = Self::default();
        let mut left = at;
        let mut whole = 0;
        for segment in &mut self.segments {
            let size_bytes = u64::from(segment.size_bytes);
            if size_bytes > left {
                // What is left fits into the segment, whose size is of 32 bits.
                let taken = u32::try_from(left).unwrap_or(segment.size_bytes);
                if taken > 0 {
                    first.push(Segment { gpa: segment.gpa, size_bytes: taken });
                    segment.gpa = above(segment.gpa, left)?;
                    segment.size_bytes -= taken;
                }
                break;
            }
            first.push(*segment);
            left -= size_bytes;
            whole += 1;
        }
        self.segments.drain(..whole);
        self.size_bytes -= at;
        Ok((first, self))
    }

    /// Reads the bytes from number `offset`.
    ///
    /// # Errors
    /// [`Error::TooShort`] if there are not so many; [`Error::Memory`] if they are not in memory.
    pub fn read(
        &self,
        offset: u64,
        buffer: &mut [u8],
        memory: &impl GuestMemory,
    ) -> Result<(), Error> {
        let mut rest = buffer;
        self.for_each_piece(offset, rest.len(), |gpa, size| {
            let (now, later) = core::mem::take(&mut rest).split_at_mut(size);
            rest = later;
            Ok(memory.read(gpa, now)?)
        })
    }

    /// Writes the bytes from number `offset`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, offset: u64, bytes: &[u8], memory: &impl GuestMemory) -> Result<(), Error> {
        let mut rest = bytes;
        self.for_each_piece(offset, rest.len(), |gpa, size| {
            let (now, later) = rest.split_at(size);
            rest = later;
            Ok(memory.write(gpa, now)?)
        })
    }

    /// Calls `visit` with address and size of each part of `size` bytes from number `offset`.
    fn for_each_piece(
        &self,
        offset: u64,
        size: usize,
        mut visit: impl FnMut(Gpa, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let least = offset.saturating_add(size as u64);
        if least > self.size_bytes {
            return Err(Error::TooShort { size_bytes: self.size_bytes, least });
        }
        let (mut skip, mut left) = (offset, size);
        for segment in &self.segments {
            let here = u64::from(segment.size_bytes);
            if skip >= here {
                skip -= here;
                continue;
            }
            let count = usize::try_from(here - skip).unwrap_or(usize::MAX).min(left);
            if count == 0 {
                break;
            }
            visit(above(segment.gpa, skip)?, count)?;
            left -= count;
            skip = 0;
        }
        Ok(())
    }
}
