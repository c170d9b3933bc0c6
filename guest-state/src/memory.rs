//! Guest memory as the rest of the project sees it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{Gpa, GpaRange};

/// Why an access to guest memory failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Some byte of the access lies where the guest has no memory.
    #[error("no guest memory for {size_bytes:#x} bytes at {gpa}")]
    NotMapped {
        /// Where the access began.
        gpa: Gpa,
        /// How long it was.
        size_bytes: u64,
    },
    /// The memory there can't be written.
    #[error("guest memory at {gpa} is read-only")]
    ReadOnly {
        /// Where the write began.
        gpa: Gpa,
    },
    /// An atomic access was not aligned to its size.
    #[error("atomic access of {size_bytes} bytes at {gpa} is not aligned")]
    Misaligned {
        /// Where the access was.
        gpa: Gpa,
        /// How long it was.
        size_bytes: u64,
    },
}

/// Guest-physical memory that the guest's CPUs may read and write at the same time.
///
/// All methods take `&self`: the guest shares the memory anyway, so an exclusive borrow would claim
/// what nobody can promise. [`read`](Self::read) and [`write`](Self::write) order nothing and may
/// tear; the `load_`, `store_` and `compare_exchange_` methods are single atomic accesses with the
/// ordering asked for, as rings and page tables need them. Values are little-endian in memory.
///
/// An access that touches a byte outside the guest's memory fails; how much of it was carried out
/// before is not said.
///
/// # Errors
/// All methods: [`AccessError::NotMapped`] if any byte has no memory behind it,
/// [`AccessError::ReadOnly`] for writes to memory that refuses them, and
/// [`AccessError::Misaligned`] for an atomic access that is not aligned to its size.
#[allow(clippy::missing_errors_doc, reason = "the errors are the same for all, said above")]
pub trait GuestMemory {
    /// Reads `buffer.len()` bytes from `gpa`.
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError>;

    /// Writes `bytes` to `gpa`.
    fn write(&self, gpa: Gpa, bytes: &[u8]) -> Result<(), AccessError>;

    /// Sets `size_bytes` bytes from `gpa` to `byte`.
    fn fill(&self, gpa: Gpa, size_bytes: u64, byte: u8) -> Result<(), AccessError> {
        let block = [byte; 512];
        let mut done = 0;
        while done < size_bytes {
            let left = usize::try_from(size_bytes - done).unwrap_or(usize::MAX).min(block.len());
            let at = gpa.checked_add(done).ok_or(AccessError::NotMapped { gpa, size_bytes })?;
            self.write(at, &block[..left])?;
            done += left as u64;
        }
        Ok(())
    }

    /// Loads a 16-bit value.
    fn load_u16(&self, gpa: Gpa, ordering: Ordering) -> Result<u16, AccessError>;
    /// Loads a 32-bit value.
    fn load_u32(&self, gpa: Gpa, ordering: Ordering) -> Result<u32, AccessError>;
    /// Loads a 64-bit value.
    fn load_u64(&self, gpa: Gpa, ordering: Ordering) -> Result<u64, AccessError>;
    /// Stores a 16-bit value.
    fn store_u16(&self, gpa: Gpa, value: u16, ordering: Ordering) -> Result<(), AccessError>;
    /// Stores a 32-bit value.
    fn store_u32(&self, gpa: Gpa, value: u32, ordering: Ordering) -> Result<(), AccessError>;
    /// Stores a 64-bit value.
    fn store_u64(&self, gpa: Gpa, value: u64, ordering: Ordering) -> Result<(), AccessError>;

    /// Replaces `current` by `new` if `current` is what stands there, with sequential consistency.
    ///
    /// Returns what stood there before: the exchange took place if that equals `current`.
    fn compare_exchange_u32(&self, gpa: Gpa, current: u32, new: u32) -> Result<u32, AccessError>;

    /// The same for 64 bits.
    fn compare_exchange_u64(&self, gpa: Gpa, current: u64, new: u64) -> Result<u64, AccessError>;
}

/// Guest memory kept in a slice of atomic words: for tests, small guests and frames that a
/// hypervisor owns.
///
/// ```
/// # use core::sync::atomic::AtomicU64;
/// use guest_state::{Gpa, GuestMemory, WordMemory};
/// let words: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];
/// let memory = WordMemory::new(Gpa::new(0x1000), &words);
/// memory.write(Gpa::new(0x1FFE), b"ok").unwrap();
/// assert!(memory.write(Gpa::new(0x1FFF), b"too long").is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WordMemory<'a> {
    base: Gpa,
    words: &'a [AtomicU64],
}

impl<'a> WordMemory<'a> {
    /// Makes memory of `words` that starts at `base`, which must be a multiple of 8.
    ///
    /// A base that is not, or one that would take the end past 2^64 - 1, gives memory that
    /// refuses every access.
    #[must_use]
    pub fn new(base: Gpa, words: &'a [AtomicU64]) -> Self {
        let fits = GpaRange::new(base, words.len() as u64 * 8).is_some();
        Self { base, words: if base.is_aligned(8) && fits { words } else { &[] } }
    }

    /// Returns the addresses that this memory answers to.
    #[must_use]
    pub fn range(&self) -> GpaRange {
        GpaRange::new(self.base, self.words.len() as u64 * 8).unwrap_or_default()
    }

    /// Returns the byte index of `gpa`, if `size` bytes from there exist.
    fn index(&self, gpa: Gpa, size: usize) -> Result<usize, AccessError> {
        let error = AccessError::NotMapped { gpa, size_bytes: size as u64 };
        let access = GpaRange::new(gpa, size as u64).ok_or(error)?;
        let offset = gpa.offset_from(self.base).ok_or(error)?;
        if !self.range().contains_range(access)
            || (size == 0 && access.start() > self.range().end())
        {
            return Err(error);
        }
        usize::try_from(offset).map_err(|_| error)
    }

    /// Returns the word of an aligned atomic access and its shift within the word.
    fn word(&self, gpa: Gpa, size: usize) -> Result<(&AtomicU64, u32), AccessError> {
        let index = self.index(gpa, size)?;
        if !gpa.is_aligned(size as u64) {
            return Err(AccessError::Misaligned { gpa, size_bytes: size as u64 });
        }
        let shift = match index % 8 {
            0 => 0,
            2 => 16,
            4 => 32,
            _ => 48,
        };
        Ok((&self.words[index / 8], shift))
    }

    /// Stores the bits of `mask << shift`, leaving the rest of the word to other writers.
    fn store(&self, gpa: Gpa, size: usize, mask: u64, value: u64) -> Result<(), AccessError> {
        let (word, shift) = self.word(gpa, size)?;
        let (mask, value) = (mask << shift, value << shift);
        word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| Some((old & !mask) | value))
            .map_or(Ok(()), |_| Ok(()))
    }
}

impl GuestMemory for WordMemory<'_> {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        let first = self.index(gpa, buffer.len())?;
        let mut index = first;
        let mut rest = buffer;
        while !rest.is_empty() {
            let bytes = self.words[index / 8].load(Ordering::Relaxed).to_le_bytes();
            let count = (8 - index % 8).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&bytes[index % 8..index % 8 + count]);
            index += count;
            rest = later;
        }
        Ok(())
    }

    fn write(&self, gpa: Gpa, bytes: &[u8]) -> Result<(), AccessError> {
        let mut index = self.index(gpa, bytes.len())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = &self.words[index / 8];
            let count = (8 - index % 8).min(rest.len());
            let (now, later) = rest.split_at(count);
            let patch = |old: u64| {
                let mut bytes = old.to_le_bytes();
                bytes[index % 8..index % 8 + count].copy_from_slice(now);
                u64::from_le_bytes(bytes)
            };
            if count == 8 {
                word.store(patch(0), Ordering::Relaxed);
            } else {
                // Another writer may own the word's other bytes: never write them back stale.
                let mut old = word.load(Ordering::Relaxed);
                while let Err(seen) = word.compare_exchange_weak(
                    old,
                    patch(old),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    old = seen;
                }
            }
            index += count;
            rest = later;
        }
        Ok(())
    }

    fn load_u16(&self, gpa: Gpa, ordering: Ordering) -> Result<u16, AccessError> {
        let (word, shift) = self.word(gpa, 2)?;
        let [a, b, ..] = (word.load(ordering) >> shift).to_le_bytes();
        Ok(u16::from_le_bytes([a, b]))
    }

    fn load_u32(&self, gpa: Gpa, ordering: Ordering) -> Result<u32, AccessError> {
        let (word, shift) = self.word(gpa, 4)?;
        Ok(low_u32(word.load(ordering) >> shift))
    }

    fn load_u64(&self, gpa: Gpa, ordering: Ordering) -> Result<u64, AccessError> {
        Ok(self.word(gpa, 8)?.0.load(ordering))
    }

    // Stores to part of a word are exchanges of the whole, which are as ordered as any caller asks.
    fn store_u16(&self, gpa: Gpa, value: u16, _: Ordering) -> Result<(), AccessError> {
        self.store(gpa, 2, u64::from(u16::MAX), u64::from(value))
    }

    fn store_u32(&self, gpa: Gpa, value: u32, _: Ordering) -> Result<(), AccessError> {
        self.store(gpa, 4, u64::from(u32::MAX), u64::from(value))
    }

    fn store_u64(&self, gpa: Gpa, value: u64, ordering: Ordering) -> Result<(), AccessError> {
        self.word(gpa, 8)?.0.store(value, ordering);
        Ok(())
    }

    fn compare_exchange_u32(&self, gpa: Gpa, current: u32, new: u32) -> Result<u32, AccessError> {
        let (word, shift) = self.word(gpa, 4)?;
        let mask = u64::from(u32::MAX) << shift;
        let exchanged = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| {
            (low_u32(old >> shift) == current).then_some((old & !mask) | (u64::from(new) << shift))
        });
        let (Ok(old) | Err(old)) = exchanged;
        Ok(low_u32(old >> shift))
    }

    fn compare_exchange_u64(&self, gpa: Gpa, current: u64, new: u64) -> Result<u64, AccessError> {
        let word = self.word(gpa, 8)?.0;
        let (Ok(old) | Err(old)) =
            word.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst);
        Ok(old)
    }
}

fn low_u32(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl<M: GuestMemory + ?Sized> GuestMemory for &M {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        (**self).read(gpa, buffer)
    }
    fn write(&self, gpa: Gpa, bytes: &[u8]) -> Result<(), AccessError> {
        (**self).write(gpa, bytes)
    }
    fn fill(&self, gpa: Gpa, size_bytes: u64, byte: u8) -> Result<(), AccessError> {
        (**self).fill(gpa, size_bytes, byte)
    }
    fn load_u16(&self, gpa: Gpa, ordering: Ordering) -> Result<u16, AccessError> {
        (**self).load_u16(gpa, ordering)
    }
    fn load_u32(&self, gpa: Gpa, ordering: Ordering) -> Result<u32, AccessError> {
        (**self).load_u32(gpa, ordering)
    }
    fn load_u64(&self, gpa: Gpa, ordering: Ordering) -> Result<u64, AccessError> {
        (**self).load_u64(gpa, ordering)
    }
    fn store_u16(&self, gpa: Gpa, value: u16, ordering: Ordering) -> Result<(), AccessError> {
        (**self).store_u16(gpa, value, ordering)
    }
    fn store_u32(&self, gpa: Gpa, value: u32, ordering: Ordering) -> Result<(), AccessError> {
        (**self).store_u32(gpa, value, ordering)
    }
    fn store_u64(&self, gpa: Gpa, value: u64, ordering: Ordering) -> Result<(), AccessError> {
        (**self).store_u64(gpa, value, ordering)
    }
    fn compare_exchange_u32(&self, gpa: Gpa, current: u32, new: u32) -> Result<u32, AccessError> {
        (**self).compare_exchange_u32(gpa, current, new)
    }
    fn compare_exchange_u64(&self, gpa: Gpa, current: u64, new: u64) -> Result<u64, AccessError> {
        (**self).compare_exchange_u64(gpa, current, new)
    }
}
