//! Disks: what drivers ask of them goes out, what comes of it goes in.

use chipset::PicPort;
use virtio::{Blk, BlkConfig, BlkRequest, BlkStatus, Error, VirtioPci};

use super::Devices;
use crate::backend::Backend;
use crate::slots;

impl Devices<'_> {
    /// Adds disks; `is_assigned` if no firmware comes to set them up.
    pub(crate) fn with_disks(mut self, disks: &[BlkConfig], is_assigned: bool) -> Self {
        self.pci.disks = disks.iter().map(|disk| VirtioPci::new(Blk::new(*disk))).collect();
        self.is_assigned = is_assigned && !disks.is_empty();
        self.assign();
        self
    }

    /// Does what firmware would have done for the disks.
    pub(super) fn assign(&mut self) {
        if self.is_assigned {
            self.pci.assign();
            self.pic.write(PicPort::SecondaryElcr, slots::LEVEL_TRIGGERED);
        }
    }

    /// Hands on all that a driver has asked of a disk.
    pub(super) fn take_requests(&mut self, disk: usize, backend: &mut impl Backend) {
        let Some(function) = self.pci.disks.get_mut(disk) else { return };
        while let Some(request) = function.take_request(backend.memory()) {
            backend.disk(disk, request);
        }
    }

    /// Completes a request of [`Backend::disk`] with what [`BlkRequest::carry_out`] came to.
    pub fn complete(
        &mut self,
        disk: usize,
        request: BlkRequest,
        ended: Result<BlkStatus, Error>,
        backend: &mut impl Backend,
    ) {
        if let Some(function) = self.pci.disks.get_mut(disk) {
            function.complete(request, ended, backend.memory());
        }
        self.update_lines(backend);
    }
}
