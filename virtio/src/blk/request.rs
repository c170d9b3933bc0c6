//! What a driver asks of a disk.

use alloc::vec;

use guest_state::GuestMemory;

use super::{Blk, BlkFeatures, SECTOR_BYTES};
use crate::{Buffers, Chain, Error, Features, InFlight};

/// Where a disk's contents are: a file, memory, something on a network.
///
/// Offsets are in bytes, multiples of 512. What is asked for lies within the disk's size.
pub trait BlockBackend {
    /// Reads `buffer.len()` bytes.
    ///
    /// # Errors
    /// If not all can be read.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), BlockError>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// If not all can be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlockError>;

    /// Makes all that was written outlast a power failure.
    ///
    /// # Errors
    /// If it may not have come to that.
    fn flush(&mut self) -> Result<(), BlockError>;

    /// Learns that nobody needs these bytes any more. Nothing need be done.
    ///
    /// # Errors
    /// If it was tried in vain.
    fn discard(&mut self, _offset: u64, _size_bytes: u64) -> Result<(), BlockError> {
        Ok(())
    }

    /// Makes these bytes zero; `may_unmap` if they need not keep their room.
    ///
    /// # Errors
    /// If not all are zero now.
    fn write_zeroes(
        &mut self,
        offset: u64,
        size_bytes: u64,
        _may_unmap: bool,
    ) -> Result<(), BlockError> {
        let zeros = [0; 4096];
        let mut done = 0;
        while done < size_bytes {
            let count = usize::try_from(size_bytes - done).unwrap_or(zeros.len()).min(zeros.len());
            self.write_at(offset + done, &zeros[..count])?;
            done += count as u64;
        }
        Ok(())
    }
}

/// A backend can't do what it was asked to. Why is its own to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk's contents can't be reached")]
pub struct BlockError;

/// How a request ended.
///
/// # Source
/// VIRTIO 1.2 §5.2.6, "Device Operation".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlkStatus {
    /// It was carried out.
    Ok = 0,
    /// It was not, or not whole.
    IoError = 1,
    /// The device has no such request.
    Unsupported = 2,
}

/// What is to be done. Offsets and sizes are in bytes, and within the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlkOperation {
    /// Fill the buffers from the disk.
    Read {
        /// Where the data begins on the disk.
        offset: u64,
    },
    /// Write the buffers to the disk.
    Write {
        /// Where the data begins on the disk.
        offset: u64,
        /// Whether it has to last before the request is completed: so it is for drivers that never
        /// flush.
        then_flush: bool,
    },
    /// Make all that was written last.
    Flush,
    /// Say the disk's serial number.
    GetId,
    /// Forget these bytes.
    Discard {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        size_bytes: u64,
    },
    /// Make these bytes zero.
    WriteZeroes {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        size_bytes: u64,
        /// Whether they need not keep their room.
        may_unmap: bool,
    },
    /// End with this status.
    Fail(BlkStatus),
}

/// A request of a driver to a disk.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the driver waits for it"]
pub struct BlkRequest {
    in_flight: InFlight,
    operation: BlkOperation,
    id: [u8; 20],
    data: Buffers,
    status: Buffers,
    room_bytes: u64,
}

/// What goes back to the driver.
pub(super) struct Answer {
    place: Buffers,
    /// How many bytes of data were written, if all went well.
    data_bytes: u64,
    /// How many bytes lie before the status.
    room_bytes: u64,
}

/// Type, a reserved word, sector.
const HEADER_BYTES: u64 = 16;
/// The bytes of a range to discard or to clear: sector, number of sectors, flags.
const RANGE_BYTES: u64 = 16;

mod kind {
    pub(super) const IN: u32 = 0;
    pub(super) const OUT: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
    pub(super) const GET_ID: u32 = 8;
    pub(super) const DISCARD: u32 = 11;
    pub(super) const WRITE_ZEROES: u32 = 13;
}

impl BlkRequest {
    /// How much is moved at a time.
    const CHUNK_BYTES: u64 = 64 << 10;

    /// Reads a request from its buffers: how they are divided among them says nothing.
    pub(super) fn read(
        disk: &Blk,
        features: Features,
        chain: Chain,
        in_flight: InFlight,
        memory: &impl GuestMemory,
    ) -> Result<Self, Error> {
        let Chain { readable, writable, .. } = chain;
        let (header, sent) = readable.split_at(HEADER_BYTES)?;
        let most = writable.size_bytes();
        let room = most.checked_sub(1).ok_or(Error::TooShort { size_bytes: most, least: 1 })?;
        let (wanted, status) = writable.split_at(room)?;
        let mut bytes = [0; 16];
        header.read(0, &mut bytes, memory)?;
        let [a, b, c, d, _, _, _, _, sector @ ..] = bytes;
        let sector = u64::from_le_bytes(sector);
        let kind = u32::from_le_bytes([a, b, c, d]);
        let then_flush = !features.contains(Features::from_bits_retain(BlkFeatures::FLUSH.bits()));
        let within = |size_bytes| disk.range(sector, size_bytes);
        let (operation, data) = match kind {
            kind::IN => {
                let operation =
                    within(wanted.size_bytes()).map(|offset| BlkOperation::Read { offset });
                (operation, wanted)
            }
            kind::OUT => {
                let operation = within(sent.size_bytes())
                    .filter(|_| disk.is_writable())
                    .map(|offset| BlkOperation::Write { offset, then_flush });
                (operation, sent)
            }
            kind::FLUSH => (Some(BlkOperation::Flush), Buffers::default()),
            kind::GET_ID => (Some(BlkOperation::GetId), wanted),
            kind::DISCARD | kind::WRITE_ZEROES => {
                if sent.size_bytes() != RANGE_BYTES {
                    (None, Buffers::default())
                } else {
                    let mut range = [0; 16];
                    sent.read(0, &mut range, memory)?;
                    (disk.clearing(kind == kind::DISCARD, range), Buffers::default())
                }
            }
            _ => (Some(BlkOperation::Fail(BlkStatus::Unsupported)), Buffers::default()),
        };
        let operation = operation.unwrap_or(BlkOperation::Fail(BlkStatus::IoError));
        Ok(Self { in_flight, operation, id: disk.config.id, data, status, room_bytes: room })
    }

    /// Returns what is to be done.
    #[must_use]
    pub const fn operation(&self) -> BlkOperation {
        self.operation
    }

    /// Returns where the data goes to, or comes from.
    #[must_use]
    pub const fn data(&self) -> &Buffers {
        &self.data
    }

    /// Carries the request out, and returns how that ended, for
    /// [`complete`](crate::VirtioPci::complete).
    ///
    /// It takes as long as the backend does. Data goes through a buffer of at most 64 KiB.
    ///
    /// # Errors
    /// [`Error::Memory`] if the driver's buffers are not in memory: the device needs a reset then.
    pub fn carry_out(
        &self,
        memory: &impl GuestMemory,
        backend: &mut (impl BlockBackend + ?Sized),
    ) -> Result<BlkStatus, Error> {
        let ended = match self.operation {
            BlkOperation::Read { offset } => self.for_each_chunk(|at, chunk| {
                backend.read_at(offset + at, chunk)?;
                Ok(self.data.write(at, chunk, memory)?)
            }),
            BlkOperation::Write { offset, then_flush } => self
                .for_each_chunk(|at, chunk| {
                    self.data.read(at, chunk, memory)?;
                    Ok(backend.write_at(offset + at, chunk)?)
                })
                .and_then(|()| if then_flush { Ok(backend.flush()?) } else { Ok(()) }),
            BlkOperation::Flush => backend.flush().map_err(Stop::Backend),
            BlkOperation::GetId => {
                self.data.write(0, &self.id[..self.id_bytes()], memory).map_err(Stop::Driver)
            }
            BlkOperation::Discard { offset, size_bytes } => {
                backend.discard(offset, size_bytes).map_err(Stop::Backend)
            }
            BlkOperation::WriteZeroes { offset, size_bytes, may_unmap } => {
                backend.write_zeroes(offset, size_bytes, may_unmap).map_err(Stop::Backend)
            }
            BlkOperation::Fail(status) => return Ok(status),
        };
        match ended {
            Ok(()) => Ok(BlkStatus::Ok),
            Err(Stop::Backend(BlockError)) => Ok(BlkStatus::IoError),
            Err(Stop::Driver(error)) => Err(error),
        }
    }

    /// Calls `step` with a buffer for each part of the data, and where in the data it belongs.
    fn for_each_chunk(
        &self,
        mut step: impl FnMut(u64, &mut [u8]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let total = self.data.size_bytes();
        let mut buffer = vec![0; usize::try_from(total.min(Self::CHUNK_BYTES)).unwrap_or(0)];
        let mut at = 0;
        while at < total {
            let count = usize::try_from(total - at).unwrap_or(buffer.len()).min(buffer.len());
            step(at, &mut buffer[..count])?;
            at += count as u64;
        }
        Ok(())
    }

    /// Returns how much of the serial number there is room for.
    fn id_bytes(&self) -> usize {
        usize::try_from(self.data.size_bytes()).unwrap_or(self.id.len()).min(self.id.len())
    }

    pub(super) fn into_answer(self) -> (InFlight, Answer) {
        let data_bytes = match self.operation {
            BlkOperation::Read { .. } => self.data.size_bytes(),
            BlkOperation::GetId => self.id_bytes() as u64,
            _ => 0,
        };
        let Self { in_flight, status: place, room_bytes, .. } = self;
        (in_flight, Answer { place, data_bytes, room_bytes })
    }
}

/// Why a request was not carried out to its end.
enum Stop {
    Backend(BlockError),
    Driver(Error),
}

impl From<BlockError> for Stop {
    fn from(error: BlockError) -> Self {
        Self::Backend(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl Answer {
    /// Writes the status; returns how many bytes were written from the first on, without a gap.
    pub(super) fn write(self, status: BlkStatus, memory: &impl GuestMemory) -> Result<u32, Error> {
        self.place.write(0, &[status as u8], memory)?;
        let is_ok = status == BlkStatus::Ok;
        let data_bytes = if is_ok { self.data_bytes } else { 0 };
        // The status lies behind the room for data, used or not.
        let written = if data_bytes == self.room_bytes { data_bytes + 1 } else { data_bytes };
        Ok(u32::try_from(written).unwrap_or(0))
    }
}

impl Blk {
    /// Returns where in bytes a transfer begins, if it is one of whole sectors within the disk, and
    /// not too long.
    fn range(&self, sector: u64, size_bytes: u64) -> Option<u64> {
        let is_whole =
            size_bytes.is_multiple_of(SECTOR_BYTES) && size_bytes <= Self::MOST_DATA_BYTES;
        is_whole.then_some(())?;
        self.offset(sector, size_bytes / SECTOR_BYTES)
    }

    /// Returns where in bytes a range of sectors begins, if it is within the disk.
    fn offset(&self, sector: u64, sectors: u64) -> Option<u64> {
        let end = sector.checked_add(sectors)?;
        if end > self.config.sectors { None } else { sector.checked_mul(SECTOR_BYTES) }
    }

    /// Reads the range of a discard, or else of zeros to write.
    fn clearing(&self, is_discard: bool, range: [u8; 16]) -> Option<BlkOperation> {
        const UNMAP: u32 = 1;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = range;
        let sector = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let sectors = u32::from_le_bytes([i, j, k, l]);
        let flags = u32::from_le_bytes([m, n, o, p]);
        let known = if is_discard { 0 } else { UNMAP };
        if flags & !known != 0 {
            return Some(BlkOperation::Fail(BlkStatus::Unsupported));
        }
        if !self.is_writable() || sectors > Self::MOST_CLEARED_SECTORS {
            return None;
        }
        let offset = self.offset(sector, sectors.into())?;
        let size_bytes = u64::from(sectors) * SECTOR_BYTES;
        Some(match is_discard {
            true => BlkOperation::Discard { offset, size_bytes },
            false => {
                BlkOperation::WriteZeroes { offset, size_bytes, may_unmap: flags & UNMAP != 0 }
            }
        })
    }
}
