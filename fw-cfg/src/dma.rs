//! Transfers between items and guest memory.

use core::sync::atomic::Ordering;

use guest_state::{Gpa, GuestMemory};
use zerocopy::{FromZeros, IntoBytes};

use crate::spec::{DmaAccess, dma_flags};
use crate::{FwCfg, Key};

/// How many zeros one read may ask for past the end of its item.
const MAX_ZERO_BYTES: u64 = 1 << 20;

/// A transfer that the guest has started and now waits for: [`FwCfg::dma`] carries it out.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the guest waits for the transfer"]
pub struct DmaTransfer {
    pub(crate) descriptor: Gpa,
}

impl DmaTransfer {
    /// Returns where the guest says that its descriptor is.
    #[must_use]
    pub fn descriptor(&self) -> Gpa {
        self.descriptor
    }
}

/// Says no more than the guest is told.
struct Failed;

impl FwCfg<'_> {
    /// Carries out a transfer on the guest's memory and tells the guest how it went.
    ///
    /// Descriptors and addresses that lie outside the memory set the error bit; if the descriptor
    /// itself can't be written, nobody is told.
    pub fn dma(&mut self, transfer: DmaTransfer, memory: &(impl GuestMemory + ?Sized)) {
        let mut access = DmaAccess::new_zeroed();
        let flags = match memory.read(transfer.descriptor, access.as_mut_bytes()) {
            Ok(()) => match self.transfer(&access, memory) {
                Ok(()) => 0,
                Err(Failed) => dma_flags::ERROR,
            },
            Err(_) => dma_flags::ERROR,
        };
        // Another processor may be polling: what was transferred must be there before this is.
        let control = u32::from(flags);
        let _ = memory
            .store_u32(transfer.descriptor, control.swap_bytes(), Ordering::Release)
            .or_else(|_| memory.write(transfer.descriptor, &control.to_be_bytes()));
    }

    fn transfer(
        &mut self,
        access: &DmaAccess,
        memory: &(impl GuestMemory + ?Sized),
    ) -> Result<(), Failed> {
        let flags = access.flags.get();
        if flags & dma_flags::SELECT != 0 {
            self.select(Key(access.key.get()));
        }
        let length = access.length.get() as usize;
        let address = Gpa::new(access.address.get());
        if length == 0 {
            Ok(())
        } else if flags & dma_flags::READ != 0 {
            self.copy_out(address, length, memory)
        } else if flags & dma_flags::WRITE != 0 {
            let bytes = self.writable_rest(length).ok_or(Failed)?;
            memory.read(address, bytes).map_err(|_| Failed)?;
            self.advance(length);
            Ok(())
        } else {
            if flags & dma_flags::SKIP != 0 {
                self.advance(length);
            }
            Ok(())
        }
    }

    /// Copies what is left of the item, then zeros.
    fn copy_out(
        &mut self,
        address: Gpa,
        length: usize,
        memory: &(impl GuestMemory + ?Sized),
    ) -> Result<(), Failed> {
        let rest = self.rest();
        let count = rest.len().min(length);
        let zeros = (length - count) as u64;
        if zeros > MAX_ZERO_BYTES {
            return Err(Failed);
        }
        if count > 0 {
            memory.write(address, &rest[..count]).map_err(|_| Failed)?;
        }
        if zeros > 0 {
            let behind = address.checked_add(count as u64).ok_or(Failed)?;
            memory.fill(behind, zeros, 0).map_err(|_| Failed)?;
        }
        self.advance(count);
        Ok(())
    }
}
