//! The PCI bus: configuration mechanism 1 and the functions behind it.

use alloc::vec::Vec;

use chipset::{ConfigAddress, ConfigTarget, I440fx, PamRanges, PciFunction, Piix3, Piix4Pm};
use guest_state::Gpa;
use virtio::{Blk, Effect, VirtioPci};

use crate::ports;
use crate::slots::{self, Slot};

const HOST_BRIDGE: PciFunction = PciFunction::new(0, 0, 0);
const ISA_BRIDGE: PciFunction = PciFunction::new(0, 1, 0);
const POWER_MANAGEMENT: PciFunction = PciFunction::new(0, 1, 3);

/// Bus 0 and what is on it.
#[derive(Clone, Debug)]
pub(crate) struct PciBus {
    pub(crate) address: ConfigAddress,
    pub(crate) host_bridge: I440fx,
    pub(crate) isa_bridge: Piix3,
    /// For firmware that asks where the power management is, and sets it up elsewhere unless it finds
    /// it set up.
    power_management: Option<Piix4Pm>,
    /// Behind the bridges' device numbers, one each.
    pub(crate) disks: Vec<VirtioPci<Blk>>,
}

/// What a write to the configuration space leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "memory is to be mapped anew, or a driver waits"]
pub(crate) struct Changes {
    /// Which ranges of the PAM changed.
    pub(crate) pam: PamRanges,
    /// Which disk has requests.
    pub(crate) disk: Option<usize>,
}

impl PciBus {
    pub(crate) const fn new() -> Self {
        Self {
            address: ConfigAddress::new(),
            host_bridge: I440fx::new(),
            isa_bridge: Piix3::new(),
            power_management: None,
            disks: Vec::new(),
        }
    }

    /// Adds the function that says where the power management is.
    pub(crate) const fn add_power_management(&mut self) {
        self.power_management = Some(Piix4Pm::placed(ports::PM_BASE));
    }

    pub(crate) fn reset(&mut self) {
        self.address.reset();
        self.host_bridge.reset();
        self.isa_bridge.reset();
        self.disks.iter_mut().for_each(VirtioPci::reset);
        if self.power_management.is_some() {
            self.add_power_management();
        }
    }

    /// Does to disks and bridge what firmware would have done: addresses, interrupts, routes.
    pub(crate) fn assign(&mut self) {
        for (disk, slot) in self.disks.iter_mut().zip(Slot::all()) {
            disk.assign(slot.bar(), slot.irq());
        }
        for (register, route) in (0x60..).zip(slots::ROUTES) {
            // No line is asserted that could move.
            let _ = self.isa_bridge.write(register, route);
        }
    }

    /// Reads from CFCh + `offset`.
    pub(crate) fn read_data(&mut self, offset: u8, data: &mut [u8]) {
        data.fill(0xFF);
        let Some(target) = self.address.target(offset) else { return };
        if let Some(disk) = self.disk(target) {
            return self.disks[disk].config_read(target.register, data);
        }
        for (byte, register) in data.iter_mut().zip(target.register..=u8::MAX) {
            *byte = match target.function {
                HOST_BRIDGE => self.host_bridge.read(register),
                ISA_BRIDGE => self.isa_bridge.read(register),
                POWER_MANAGEMENT => {
                    self.power_management.as_ref().map_or(0xFF, |function| function.read(register))
                }
                _ => 0xFF,
            };
        }
    }

    /// Writes to CFCh + `offset`.
    pub(crate) fn write_data(&mut self, offset: u8, data: &[u8]) -> Changes {
        let Some(target) = self.address.target(offset) else { return Changes::default() };
        if let Some(disk) = self.disk(target) {
            let effect = self.disks[disk].config_write(target.register, data);
            let disk = (effect == Effect::Requests).then_some(disk);
            return Changes { disk, ..Changes::default() };
        }
        let mut pam = PamRanges::EMPTY;
        for (value, register) in data.iter().zip(target.register..=u8::MAX) {
            match target.function {
                HOST_BRIDGE => pam = pam.union(self.host_bridge.write(register, *value)),
                ISA_BRIDGE => {
                    // The lines are looked at after each access.
                    let _ = self.isa_bridge.write(register, *value);
                }
                // It stays where the tables say that it is.
                POWER_MANAGEMENT if !Piix4Pm::places(register) => {
                    if let Some(function) = &mut self.power_management {
                        function.write(register, *value);
                    }
                }
                _ => {}
            }
        }
        Changes { pam, disk: None }
    }

    /// Returns which disk an access to the configuration space is to.
    fn disk(&self, target: ConfigTarget) -> Option<usize> {
        Slot::all()
            .zip(0..self.disks.len())
            .find(|(slot, _)| slot.function() == target.function)
            .map(|(_, disk)| disk)
    }

    /// Returns the disk that has registers at an address, and their offset.
    pub(crate) fn disk_at(&self, gpa: Gpa) -> Option<(usize, u32)> {
        self.disks.iter().enumerate().find_map(|(index, disk)| {
            let bar = disk.bar().filter(|bar| bar.contains(gpa))?;
            Some((index, u32::try_from(gpa.offset_from(bar.start())?).ok()?))
        })
    }

    /// Returns the levels of PIRQA to PIRQD.
    pub(crate) fn links(&self) -> [bool; 4] {
        let mut links = [false; 4];
        for (disk, slot) in self.disks.iter().zip(Slot::all()) {
            links[slot.link() as usize] |= disk.interrupt();
        }
        links
    }
}
