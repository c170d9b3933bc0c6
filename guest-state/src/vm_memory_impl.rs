//! [`GuestMemory`] for the collections of regions that `vm_memory` keeps.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion, GuestRegionCollection,
    VolatileMemory,
};

use crate::{AccessError, Gpa, GuestMemory};

fn not_mapped(gpa: Gpa, size: usize) -> AccessError {
    AccessError::NotMapped { gpa, size_bytes: size as u64 }
}

/// Runs `operate` on the atomic of type `$atomic` at `$gpa`.
macro_rules! with_atomic {
    ($self:ident, $gpa:ident, $atomic:ty, $operate:expr) => {{
        let size = size_of::<$atomic>();
        if !$gpa.is_aligned(size as u64) {
            return Err(AccessError::Misaligned { gpa: $gpa, size_bytes: size as u64 });
        }
        let slice = $self
            .get_slice(GuestAddress($gpa.as_u64()), size)
            .map_err(|_| not_mapped($gpa, size))?;
        let atomic = slice.get_atomic_ref::<$atomic>(0).map_err(|_| not_mapped($gpa, size))?;
        Ok($operate(atomic))
    }};
}

impl<R: GuestMemoryRegion> GuestMemory for GuestRegionCollection<R>
where
    GuestRegionCollection<R>: GuestMemoryBackend,
{
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        let size = buffer.len();
        self.read_slice(buffer, GuestAddress(gpa.as_u64())).map_err(|_| not_mapped(gpa, size))
    }

    fn write(&self, gpa: Gpa, bytes: &[u8]) -> Result<(), AccessError> {
        self.write_slice(bytes, GuestAddress(gpa.as_u64()))
            .map_err(|_| not_mapped(gpa, bytes.len()))
    }

    fn load_u16(&self, gpa: Gpa, ordering: Ordering) -> Result<u16, AccessError> {
        with_atomic!(self, gpa, AtomicU16, |atomic: &AtomicU16| atomic.load(ordering).to_le())
    }

    fn load_u32(&self, gpa: Gpa, ordering: Ordering) -> Result<u32, AccessError> {
        with_atomic!(self, gpa, AtomicU32, |atomic: &AtomicU32| atomic.load(ordering).to_le())
    }

    fn load_u64(&self, gpa: Gpa, ordering: Ordering) -> Result<u64, AccessError> {
        with_atomic!(self, gpa, AtomicU64, |atomic: &AtomicU64| atomic.load(ordering).to_le())
    }

    fn store_u16(&self, gpa: Gpa, value: u16, ordering: Ordering) -> Result<(), AccessError> {
        with_atomic!(self, gpa, AtomicU16, |atomic: &AtomicU16| atomic
            .store(value.to_le(), ordering))
    }

    fn store_u32(&self, gpa: Gpa, value: u32, ordering: Ordering) -> Result<(), AccessError> {
        with_atomic!(self, gpa, AtomicU32, |atomic: &AtomicU32| atomic
            .store(value.to_le(), ordering))
    }

    fn store_u64(&self, gpa: Gpa, value: u64, ordering: Ordering) -> Result<(), AccessError> {
        with_atomic!(self, gpa, AtomicU64, |atomic: &AtomicU64| atomic
            .store(value.to_le(), ordering))
    }

    fn compare_exchange_u32(&self, gpa: Gpa, current: u32, new: u32) -> Result<u32, AccessError> {
        with_atomic!(self, gpa, AtomicU32, |atomic: &AtomicU32| {
            let (Ok(old) | Err(old)) = atomic.compare_exchange(
                current.to_le(),
                new.to_le(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            old.to_le()
        })
    }

    fn compare_exchange_u64(&self, gpa: Gpa, current: u64, new: u64) -> Result<u64, AccessError> {
        with_atomic!(self, gpa, AtomicU64, |atomic: &AtomicU64| {
            let (Ok(old) | Err(old)) = atomic.compare_exchange(
                current.to_le(),
                new.to_le(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            old.to_le()
        })
    }
}
