//! Placements as memory that can be read: enough to walk page tables before they are applied.

use core::sync::atomic::Ordering;

use guest_state::{AccessError, Gpa, GpaRange, GuestMemory};

use crate::Placement;

/// The placements of a plan. Every write is refused.
pub(crate) struct Placed<'a>(pub(crate) &'a [Placement<'a>]);

impl GuestMemory for Placed<'_> {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        let error = AccessError::NotMapped { gpa, size_bytes: buffer.len() as u64 };
        let wanted = GpaRange::new(gpa, buffer.len() as u64).ok_or(error)?;
        let holder = |placement: &&Placement<'_>| {
            placement.range().is_some_and(|range| range.contains_range(wanted))
        };
        let placement = self.0.iter().find(holder).ok_or(error)?;
        let offset = gpa.offset_from(placement.gpa).and_then(|offset| usize::try_from(offset).ok());
        let offset = offset.ok_or(error)?;
        match placement.contents.bytes() {
            Some(bytes) => {
                buffer.copy_from_slice(bytes.get(offset..offset + buffer.len()).ok_or(error)?)
            }
            None => buffer.fill(0),
        }
        Ok(())
    }

    fn write(&self, gpa: Gpa, _: &[u8]) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { gpa })
    }

    fn load_u16(&self, gpa: Gpa, _: Ordering) -> Result<u16, AccessError> {
        let mut bytes = [0; 2];
        self.read(gpa, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn load_u32(&self, gpa: Gpa, _: Ordering) -> Result<u32, AccessError> {
        let mut bytes = [0; 4];
        self.read(gpa, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn load_u64(&self, gpa: Gpa, _: Ordering) -> Result<u64, AccessError> {
        let mut bytes = [0; 8];
        self.read(gpa, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn store_u16(&self, gpa: Gpa, _: u16, _: Ordering) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { gpa })
    }

    fn store_u32(&self, gpa: Gpa, _: u32, _: Ordering) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { gpa })
    }

    fn store_u64(&self, gpa: Gpa, _: u64, _: Ordering) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { gpa })
    }

    fn compare_exchange_u32(&self, gpa: Gpa, _: u32, _: u32) -> Result<u32, AccessError> {
        Err(AccessError::ReadOnly { gpa })
    }

    fn compare_exchange_u64(&self, gpa: Gpa, _: u64, _: u64) -> Result<u64, AccessError> {
        Err(AccessError::ReadOnly { gpa })
    }
}
